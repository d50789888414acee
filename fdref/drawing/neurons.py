"""Neurons by what excites them: projections beside patches, as Zeiler & Fergus's figure 2."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.drawing.canvas import GREY, HEAD, LINE, MARGIN, Page, coloured, plain_style, png
from fdref.drawing.grid import columns_for
from fdref.drawing.sheets import ASPECT
from fdref.drawing.sizes import reduced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Shades = NDArray[np.uint8]

MOST = 64
"""Neurons on a sheet, more of which nobody would look at one by one."""

SIDES = ((4, 84), (16, 56), (MOST, 42))
"""Up to so many neurons: pixels that the side of one of their pictures has, about."""

SEAM, GAP, LABEL = 2, 8, 18
"""Pixels between pictures, between the two blocks of a neuron, for the words under both."""

NOTE = (
    "left the projections, each on its own contrast, grey is zero; right what the neuron saw; "
    "below its number, its strongest and its weakest of these activations"
)


def sheet(
    projections: NDArray[Any],
    patches: NDArray[Any],
    labels: Sequence[str],
    title: str,
    count: int,
    file: str,
) -> bytes:
    """Draw neurons: on the left of each the projections, on the right the patches, as PNG.

    Parameters
    ----------
    projections : (K, n, C, h, w) array
        Each is drawn on its own contrast, grey is zero.
    patches : (K, n, C, h, w) array
        Pixels from 0 to 255.
    labels : sequence of K str
    title : str
    count : int
        How many neurons there are, of which the first are drawn.
    file : str
        Where all are, for the note.
    """
    side = next(side for most, side in SIDES if len(labels) <= most)
    cells = [
        beside(
            block([coloured(one) for one in left], side),
            block([pixels(one) for one in right], side),
        )
        for left, right in zip(projections, patches, strict=True)
    ]
    height, width = cells[0].shape[:2]
    column, row = width + 3 * GAP, height + LABEL + 2 * GAP
    columns = columns_for(len(cells), row, column, ASPECT)
    some = f"the first {len(cells)} of {count} ({file} has all); " if len(cells) < count else ""
    with plain_style():
        page = Page(title, f"{some}{NOTE}")
        for k, (cell, label) in enumerate(zip(cells, labels, strict=True)):
            left, top = MARGIN + k % columns * column, HEAD + k // columns * row
            page.place(cell, left, top)
            page.write(label, left, top + height + 4, size=11, color=GREY)
        wide = max(columns * column - 3 * GAP, page.head_width) + 2 * MARGIN
        return png(page.finished(wide, HEAD + ceil(len(cells) / columns) * row - 2 * GAP))


def block(shades: Sequence[Shades], side: int) -> Shades:
    """Lay pictures (h, w, 3) out in about a square, each about so large, in a frame."""
    fitted = [scaled(one, side) for one in shades]
    height, width = fitted[0].shape[0] + 2 + SEAM, fitted[0].shape[1] + 2 + SEAM
    columns = ceil(sqrt(len(fitted)))
    found = np.full((ceil(len(fitted) / columns) * height, columns * width, 3), 255, np.uint8)
    for k, picture in enumerate(fitted):
        cell = found[k // columns * height :, k % columns * width :]
        cell[: height - SEAM, : width - SEAM] = LINE
        cell[1 : height - SEAM - 1, 1 : width - SEAM - 1] = picture
    return found[:-SEAM, :-SEAM]


def beside(left: Shades, right: Shades) -> Shades:
    """Lay two blocks of one size side by side."""
    gap = np.full((len(left), GAP, 3), 255, np.uint8)
    return np.concatenate([left, gap, right], axis=1)


def scaled(shades: Shades, side: int) -> Shades:
    """Magnify or shrink a picture (h, w, 3) by a whole factor to about a size."""
    largest = max(shades.shape[:2])
    zoom = max(1, round(side / largest))
    if largest > 2 * side:
        step = round(largest / side)
        height, width = (ceil(length / step) for length in shades.shape[:2])
        small = reduced(shades.transpose(2, 0, 1).astype(np.float64), height, width)
        return np.rint(small).astype(np.uint8).transpose(1, 2, 0)
    return shades.repeat(zoom, axis=0).repeat(zoom, axis=1)


def pixels(image: NDArray[Any]) -> Shades:
    """Return an image (C, h, w) as it is: three channels in colour, of others the mean in grey."""
    values = np.clip(np.rint(image), 0, 255)
    if len(values) != 3:
        values = np.broadcast_to(values.mean(axis=0), (3, *values.shape[1:]))
    return np.ascontiguousarray(values.transpose(1, 2, 0)).astype(np.uint8)

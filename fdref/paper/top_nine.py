"""Zeiler & Fergus's figure 2 as a page: projections beside the patches that they are of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.drawing.canvas import (
    GREY,
    HEAD,
    MARGIN,
    OWN_CONTRAST,
    SEAM,
    Page,
    about,
    coloured,
    plain_style,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.drawing.canvas import Shades

SIDE, COLUMNS, GAP, WIDEST, LETTER = 56, 3, 16, 1450, 7
"""Pixels of a picture, pictures in a row, pixels between neurons, of all of them, of a letter."""


class Block(NamedTuple):
    """A neuron: what stands below it, and its projections and patches (n, C, h, w)."""

    text: str
    projections: Array
    patches: Array


class Strip(NamedTuple):
    """The neurons of a layer."""

    title: str
    blocks: Sequence[Block]


@plain_style()
def draw(strips: Sequence[Strip]) -> Figure:
    """Draw for neurons of each layer projections (left) beside patches (right).

    Parameters
    ----------
    strips : sequence of Strip
    """
    page = Page(
        "Zeiler & Fergus: what excites neurons of each layer most",
        f"Left: deconvnet projections. {OWN_CONTRAST} Right: what the neuron saw of the image; "
        "beyond its borders, black.",
    )
    top, right = HEAD, 700
    for strip in strips:
        page.write(strip.title, MARGIN, top, size=14, weight="bold")
        top += 26
        left, height = MARGIN, 0
        for block in strip.blocks:
            sheets = (
                tiled([about(coloured(one), SIDE) for one in block.projections]),
                tiled([about(photo(one), SIDE) for one in block.patches]),
            )
            width = max(
                sum(sheet.shape[1] for sheet in sheets) + 3 * SEAM, LETTER * len(block.text)
            )
            if left > MARGIN and left + width > MARGIN + WIDEST:
                break
            x = left
            for sheet in sheets:
                page.show(sheet, x, top)
                x += sheet.shape[1] + 3 * SEAM
            height = max(height, sheets[0].shape[0])
            page.write(block.text, left, top + height + 6, color=GREY)
            left += width + GAP
        right = max(right, left - GAP)
        top += height + 40
    return page.finished(right + MARGIN, top - 16)


def photo(pixels: Array) -> Shades:
    """Turn pixels (C, h, w) into shades (h, w, 3), as they are; of other than 3 channels the mean.

    >>> photo(np.full((1, 1, 1), 300))[0, 0].tolist()
    [255, 255, 255]
    """
    if len(pixels) != 3:
        pixels = pixels.mean(axis=0, keepdims=True)
    shades = np.clip(np.rint(pixels), 0, 255).astype(np.uint8)
    return np.broadcast_to(shades, (3, *shades.shape[1:])).transpose(1, 2, 0)


def tiled(pictures: Sequence[Shades]) -> Shades:
    """Lay pictures of one size out in rows."""
    height, width = (side + SEAM for side in pictures[0].shape[:2])
    rows = -(-len(pictures) // COLUMNS)
    sheet = np.full((rows * height, COLUMNS * width, 3), 255, np.uint8)
    for k, picture in enumerate(pictures):
        y, x = k // COLUMNS * height, k % COLUMNS * width
        sheet[y : y + height - SEAM, x : x + width - SEAM] = picture
    return sheet[:-SEAM, :-SEAM]

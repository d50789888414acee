"""Pictures of filters. The rest of the library knows nothing of this module, nor of matplotlib."""

from __future__ import annotations

from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

    from numpy.typing import NDArray

    from fdref.layers import Array

CELLS = ((12, 168), (100, 112), (10**9, 84))
"""Up to so many filters: pixels high that a small filter is magnified to, by a whole factor."""

GAP, LABEL, MARGIN, TITLE = 8, 14, 16, 44
"""Pixels between cells, for a cell's label, around the picture, and for its title."""

DPI = 100
NOTE = "each filter on its own contrast, grey is zero"


def save_filters(path: str | PathLike[str], bank: Array, title: str, labels: Sequence[str]) -> None:
    """Draw a bank of filters as a labelled grid and write it as PNG.

    Parameters
    ----------
    path : path
    bank : (K, C, h, w) array
        One channel is drawn grey, three as a colour picture, any other number side by side.
    title : str
    labels : sequence of K str
        What stands under each filter.
    """
    cell = next(cell for count, cell in CELLS if len(bank) <= count)
    tiles = [magnify(picture_of(filters), cell) for filters in bank]
    height, width = tiles[0].shape[:2]
    columns = grid_columns(len(tiles), width + GAP, height + LABEL + GAP)
    rows = ceil(len(tiles) / columns)
    page_width = max(2 * MARGIN + columns * (width + GAP) - GAP, 8 * len(title))
    page = np.full((TITLE + rows * (height + LABEL + GAP) + MARGIN, page_width, 3), 255, np.uint8)
    figure = Figure(figsize=(page.shape[1] / DPI, page.shape[0] / DPI), dpi=DPI)
    FigureCanvasAgg(figure)

    def write(x: float, y: float, text: str, **style: Any) -> None:
        figure.text(x / page.shape[1], 1 - y / page.shape[0], text, va="top", **style)

    write(MARGIN, 8, title, fontsize=9, weight="bold")
    write(MARGIN, 25, NOTE, fontsize=7, color="0.35")
    for k, (tile, label) in enumerate(zip(tiles, labels, strict=True)):
        top = TITLE + k // columns * (height + LABEL + GAP)
        left = MARGIN + k % columns * (width + GAP)
        page[top : top + height, left : left + width] = tile
        write(left + width / 2, top + height + 2, label, fontsize=6, ha="center", color="0.35")
    figure.figimage(page, zorder=-1)
    figure.savefig(path, format="png", dpi=DPI, metadata={"Software": None, "Title": title})


def picture_of(filters: Array) -> NDArray[np.uint8]:
    """Turn one filter (C, h, w) into colours (h, w', 3): its largest magnitude black or white."""
    scale = np.abs(filters).max()
    shades = np.rint(127.5 + 127.5 * (filters / scale if scale > 0 else filters)).astype(np.uint8)
    if len(shades) == 3:
        colours: NDArray[np.uint8] = shades.transpose(1, 2, 0)
        return colours
    side_by_side = np.concatenate(list(shades), axis=1)
    return np.repeat(side_by_side[:, :, None], 3, axis=2)


def magnify(picture: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """Enlarge a small picture to about a height, by a whole factor, pixels staying squares."""
    factor = max(1, round(height / picture.shape[0]))
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)


def grid_columns(count: int, cell_width: int, cell_height: int) -> int:
    """Choose the columns of a grid about four wide by three high."""
    return max(1, min(count, round(sqrt(count * cell_height / cell_width * 4 / 3))))

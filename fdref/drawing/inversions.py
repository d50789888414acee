"""Images beside those that a layer answers alike."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple

from fdref.drawing.canvas import GREY, HEAD, MARGIN, Page, plain_style, png
from fdref.drawing.grid import columns_for
from fdref.drawing.neurons import block, pixels
from fdref.drawing.sheets import ASPECT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

MOST = 120
"""Found images on a sheet."""

SIDES = ((12, 168), (40, 112), (MOST, 84))
"""Up to so many found images: pixels that the side of one has, about."""

GAP, LABEL = 14, 34
"""Pixels between pictures, and for two lines below."""


class Found(NamedTuple):
    """An image (C, H, W) that was found, the number of its original, what it is, and its error."""

    image: NDArray[Any]
    original: int
    label: str
    error: float


def sheet(
    originals: NDArray[Any],
    names: Sequence[str],
    found: Sequence[Found],
    title: str,
    note: str,
    count: int,
) -> bytes:
    """Draw each original, and behind it all that was found of it, as PNG.

    Parameters
    ----------
    originals : (N, C, H, W) array
        Pixels from 0 to 255.
    names : sequence of N str
    found : sequence of Found
        One or several of each original, in order.
    title, note : str
    count : int
        How many were found, of which the first are drawn.
    """
    side = next(side for most, side in SIDES if len(found) <= most)
    groups = [
        [(block([pixels(one)], side), name, "")] for one, name in zip(originals, names, strict=True)
    ]
    for one in found:
        groups[one.original].append(
            (block([pixels(one.image)], side), one.label or "found", f"error {one.error:.2g}")
        )
    height, width = groups[0][0][0].shape[:2]
    column, row = max(width, 84) + GAP, height + LABEL + GAP
    columns, rows = arranged([len(group) for group in groups], column, row)
    some = f"the first {len(found)} of {count}; " if len(found) < count else ""
    with plain_style():
        page = Page(title, f"{some}{note}; error: |difference|² / |code|²")
        place = 0
        for group in groups:
            if len(group) > columns - place % columns and place % columns:
                place += columns - place % columns
            for picture, label, below in group:
                left, top = MARGIN + place % columns * column, HEAD + place // columns * row
                page.place(picture, left, top)
                page.write(label, left, top + height + 4, size=11)
                page.write(below, left, top + height + 18, size=11, color=GREY)
                place += 1
        wide = max(columns * column - GAP, page.head_width) + 2 * MARGIN
        return png(page.finished(wide, HEAD + rows * row - GAP))


def arranged(lengths: Sequence[int], column: int, row: int) -> tuple[int, int]:
    """Choose the columns of a page, a multiple of a group's length where several fit, and its rows.

    >>> arranged([2, 2, 2, 2, 2], 100, 100), arranged([30], 100, 100)
    ((4, 3), (6, 5))
    """
    columns, longest = columns_for(sum(lengths), row, column, ASPECT), max(lengths)
    if longest <= 2 * columns:
        columns = max(longest, columns // longest * longest)
        return columns, ceil(len(lengths) / (columns // longest))
    return columns, sum(ceil(length / columns) for length in lengths)

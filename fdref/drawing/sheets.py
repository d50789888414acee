"""Pages of filters: a labelled grid under a title, with the scale of its shades."""

from __future__ import annotations

from math import ceil, prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.drawing.canvas import GREY, HEAD, MARGIN, Page, plain_style, text_width
from fdref.drawing.colours import ZERO, table
from fdref.drawing.grid import (
    Tiling,
    check_page,
    columns_for,
    largest_of,
    picture_size,
    pictures_in,
    sheet_of,
    tile_shape,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.arrays import Array
    from fdref.drawing.canvas import Drawing
    from fdref.drawing.colours import Shades
    from fdref.drawing.grid import Look

    Progress = Callable[[int], object] | None

MOST_FILTERS = 5000
"""More than these are left out, which nobody would look at one by one."""

GAP, LINE, LABEL, HIGH = 8, 1, 11, 1.35
"""Pixels between cells, of a frame's line, of labels' letters; lines of text are so much higher."""

RAMP, THICK, BELOW = 120, 12, 24
"""Pixels of the ramp that shows which shade is which number: its length, and what it adds."""

SCREEN = 1280
"""Pixels of a page that most people see at once: where it is wider, letters are larger."""

ASPECT = 4 / 3
"""Of a page, about."""


class Words(NamedTuple):
    """What is said on a page."""

    title: str
    about: str
    """how the filters came about"""
    labels: Sequence[str]
    """what stands under each filter; under a single one, nothing does"""


def work(shape: Sequence[int]) -> int:
    """Return what there is to do for a bank of a shape: numbers to lay out and to write.

    >>> work((20, 1, 5, 5))
    1000
    """
    return 2 * min(shape[0], MOST_FILTERS) * prod(shape[1:])


@plain_style()
def page_of(
    bank: Array, words: Words, look: Look, scale: float | None = None, progress: Progress = None
) -> Drawing:
    """Draw filters on a page.

    Parameters
    ----------
    bank : (K, C, h, w) array
        At least one filter, of finite numbers.
    words : Words
    look : Look
    scale : float, optional
        What is shown as black or white where all filters have one contrast; the bank's largest
        magnitude by default, which may be a part of a larger one.
    progress : callable, optional
        Called after each filter with its size, half of the `work` in all.

    Raises
    ------
    ArgumentError
        If the page would have too many pixels.
    """
    drawn = bank[:MOST_FILTERS]
    size = picture_size(drawn, look)
    tile = tile_shape(pictures_in(drawn.shape[1], look), size)
    check_page(tile, 1)
    if look.contrast == "own":
        scale = None
    elif scale is None:
        scale = largest_of(bank)
    if look.bare:
        tiling = _tiling(len(drawn), look, tile, (GAP // 2, GAP // 2))
        page = Page("", "")
        page.place(sheet_of(drawn, tiling, size, look, scale, progress), 0, 0)
        return page.finished(tiling.shape[1], tiling.shape[0], margin=0)

    labels = [plain(text) for text in words.labels[: len(drawn)]] if len(bank) > 1 else []
    letters, widest = _letters(labels, tile, len(drawn), look)
    below = ceil(letters * HIGH) if labels else 0
    over = max(0, widest - tile[1])
    tiling = _tiling(len(drawn), look, tile, (GAP + 2 * LINE + below, GAP + 2 * LINE + over))
    large = max(1.0, tiling.shape[1] / SCREEN)
    page = Page(plain(words.title), _note(bank, words, look), large)
    right = max(page.head_width, _draw_scale(page, drawn, look, scale, large))
    top, left = round((HEAD + BELOW) * large), MARGIN + ceil(over / 2)
    page.place(sheet_of(drawn, tiling, size, look, scale, progress), left, top)
    for k, text in enumerate(labels):
        down, across = tiling.corner(k)
        middle, under = left + LINE + across + tile[1] / 2, top + down + tile[0] + 2 * LINE
        page.write(text, middle, under + letters / 6, letters, ha="center", color=GREY)
    width = max(right, tiling.shape[1] + 2 * LINE + over)
    return page.finished(ceil(width) + 2 * MARGIN, top + tiling.shape[0] + 2 * LINE + below)


def plain(text: str) -> str:
    """Write what the font may not have as Python does."""
    return text.encode("unicode_escape").decode()


def _tiling(count: int, look: Look, tile: tuple[int, int], apart: tuple[int, int]) -> Tiling:
    """Lay a grid out."""
    cell = tile[0] + apart[0], tile[1] + apart[1]
    columns = min(count, look.columns or columns_for(count, *cell, ASPECT))
    tiling = Tiling(count, columns, tile, cell)
    check_page(tiling.shape, count)
    return tiling


def _letters(
    labels: Sequence[str], tile: tuple[int, int], count: int, look: Look
) -> tuple[float, int]:
    """Choose the size of the labels' letters; return it, and how wide the widest label is.

    On a wide page they are as much larger, as long as they are no wider than the pictures.
    """
    if not labels:
        return LABEL, 0
    widest = max(1.0, text_width(labels, LABEL))
    page = _tiling(count, look, tile, (GAP + round(LABEL * HIGH), GAP)).shape[1]
    large = max(1.0, min(page / SCREEN, tile[1] / widest))
    return LABEL * large, ceil(widest * large)


def _note(bank: Array, words: Words, look: Look) -> str:
    """Say what is drawn."""
    count, channels, height, width = bank.shape
    some = f"the first {MOST_FILTERS} of " if count > MOST_FILTERS else ""
    size = f"{height}×{width} pixels"
    filters = size if count == 1 else f"{some}{count} filters of {size}"
    aside = "red, green and blue side by side" if pictures_in(channels, look) == 3 else ""
    return ", ".join(part for part in (filters, plain(words.about), aside) if part)


def _draw_scale(page: Page, bank: Array, look: Look, scale: float | None, large: float) -> float:
    """Say which shade is which number; return how far to the right that reaches."""
    middle = (HEAD - 4 + THICK / 2) * large

    def write(text: str, x: float) -> float:
        written = page.write(text, x, middle, 12 * large, va="center", color=GREY)
        return float(x + written.get_window_extent().width + 8 * large)

    shared = scale
    if shared is None and len(bank) == 1:
        shared = largest_of(bank)
    end = "m" if shared is None else f"{shared:.3g}"
    ramp = _ramp(bank.shape[1], look, round(THICK * large), round(RAMP * large))
    x = round(write(f"−{end}", MARGIN))
    page.show(ramp, x, round(middle - len(ramp) / 2))
    x = round(write(f"+{end}", x + ramp.shape[1] + 8 * large))
    zero = f"{'white' if look.cmap == 'diverging' else 'grey'} is zero"
    if shared is None:
        magnitudes = [largest_of(filters) for filters in bank]
        ends = f"{min(magnitudes):.3g} to {max(magnitudes):.3g}"
        zero += f"; m is each filter's largest magnitude, {ends}"
    elif scale is not None and len(bank) > 1:
        zero += "; one contrast for all"
    return write(zero, x) - MARGIN


def _ramp(channels: int, look: Look, height: int, width: int) -> Shades:
    """Show all shades, from the most negative to the most positive; of colours, each channel's."""
    shades = np.rint(np.linspace(1, 255, width)).astype(np.uint8)
    if pictures_in(channels, look) == channels:
        return np.broadcast_to(table(look.cmap)[shades], (height, width, 3))
    ramp = np.full((height, width, 3), ZERO, np.uint8)
    for row in range(height):
        ramp[row, :, row * 3 // height] = shades
    return ramp

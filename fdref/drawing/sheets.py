"""Pictures of filters. The rest of the library knows nothing of this module, nor of matplotlib."""

from __future__ import annotations

from math import ceil, prod, sqrt
from typing import TYPE_CHECKING, Any, BinaryIO
from zlib import Z_RLE

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.transforms import IdentityTransform
from PIL import Image
from PIL.PngImagePlugin import PngInfo

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from os import PathLike

    from matplotlib.text import Text
    from numpy.typing import NDArray

    from fdref.arrays import Array

CELLS = ((12, 168), (100, 112), (10**9, 84))
"""Up to so many filters: pixels to which the sides of a small filter are magnified, about."""

MOST_FILTERS, MOST_PIXELS, LONGEST_SIDE = 5000, 5 * 10**7, 8000
"""Viewers refuse larger pages: more filters are left out, larger ones shrunk."""

GAP, SEAM, LABEL, MARGIN, TITLE = 8, 4, 14, 16, 44
"""Pixels between cells, between channels, for a label, around the page, for its title."""

FRAME = 200
"""Shade of the line around a picture, without which a white one would be lost."""

DPI = 128  # a power of two, so that sizes in inches are exact
NOTE = "each filter on its own contrast, grey is zero"


def save_filters(
    path: str | PathLike[str] | BinaryIO,
    bank: Array,
    title: str,
    labels: Sequence[str],
    progress: Callable[[int], object] | None = None,
) -> None:
    """Draw a bank of filters as a labelled grid and write it as PNG.

    Parameters
    ----------
    path : path or file
    bank : (K, C, h, w) array
        One channel is drawn grey, three as a colour picture, any other number side
        by side.
    title : str
    labels : sequence of K str
        What stands under each filter.
    progress : callable, optional
        Called from time to time with how much of the `work` has been done since.
    """
    drawn = bank[:MOST_FILTERS]
    left_out = f"the first {len(drawn)} of {len(bank)}; " if len(drawn) < len(bank) else ""
    with mpl.rc_context():
        mpl.rcdefaults()  # the same picture whatever the user's matplotlibrc says
        page = _page(drawn, title, f"{left_out}{NOTE}", labels[:MOST_FILTERS], progress)
    about = PngInfo()
    about.add_text("Software", "fdref")
    about.add_text("Title", title)
    # On filtered rows of smooth pictures, runs compress as well as level 6 in a third of the time.
    Image.fromarray(page).save(
        path, "png", dpi=(DPI, DPI), pnginfo=about, compress_level=1, compress_type=Z_RLE
    )
    if progress is not None:
        progress(drawn.size)


def work(shape: Sequence[int]) -> int:
    """Return what `save_filters` has to do for a bank of a shape: numbers to lay out and to write.

    >>> work((20, 1, 5, 5))
    1000
    """
    return 2 * min(shape[0], MOST_FILTERS) * prod(shape[1:])


def _page(
    bank: Array,
    title: str,
    note: str,
    labels: Sequence[str],
    progress: Callable[[int], object] | None,
) -> NDArray[np.uint8]:
    """Return the shades (height, width) or colours (height, width, 3) of a page."""
    figure = Figure(dpi=DPI)
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib types its methods no further
    plain = title.encode("unicode_escape").decode()  # the font has no other glyphs for sure
    head = [_write(figure, plain, 12.5, weight="bold"), _write(figure, note, 9.5, color="0.35")]
    feet = [_write(figure, label, 8.5, ha="center", color="0.35") for label in labels]
    title_width, label_width = (max(map(_width, texts)) for texts in (head, feet))

    scale = choose_scale(bank)
    height, width = tile(bank[0], *scale).shape[:2]
    row, column = height + LABEL + GAP, max(width, label_width) + GAP
    columns = grid_columns(len(bank), column, row)
    corners = [
        (TITLE + k // columns * row, MARGIN + k % columns * column) for k in range(len(bank))
    ]
    page_width = 2 * MARGIN + max(columns * column - GAP, title_width)
    page_height = TITLE + ceil(len(bank) / columns) * row + MARGIN

    figure.set_size_inches(page_width / DPI, page_height / DPI)
    head[0].set_position((MARGIN, page_height - 8))
    head[1].set_position((MARGIN, page_height - 25))
    for foot, (top, left) in zip(feet, corners, strict=True):
        foot.set_position((left + width / 2, page_height - top - height - 2))
    canvas.draw()
    texts = np.asarray(canvas.buffer_rgba())[:, :, 0]  # they are grey: any colour will do
    page = np.stack([texts] * 3, axis=2) if bank.shape[1] == 3 else texts.copy()
    for filters, (top, left) in zip(bank, corners, strict=True):
        page[top - 1 : top + height + 1, left - 1 : left + width + 1] = FRAME
        page[top : top + height, left : left + width] = tile(filters, *scale)
        if progress is not None:
            progress(filters.size)
    return page


def _write(figure: Figure, text: str, pixels: float, **style: Any) -> Text:
    """Add a text of so many pixels, to be placed in pixels from the bottom left corner."""
    style |= {"fontsize": pixels * 72 / DPI, "va": "top", "parse_math": False}
    return figure.text(0, 0, text, transform=IdentityTransform(), **style)


def _width(text: Text) -> int:
    return ceil(text.get_window_extent().width)


def choose_scale(bank: Array) -> tuple[int, int]:
    """Choose whole factors by which to magnify, and to shrink, the pictures of a bank."""
    count, channels, height, width = bank.shape
    area = height * width * (1 if channels == 3 else channels)
    side = next(side for most, side in CELLS if count <= most)
    enlarge = max(1, round(side / sqrt(area)))
    shrink = max(ceil(sqrt(count * area / MOST_PIXELS)), ceil(max(height, width) / LONGEST_SIDE))
    return enlarge, shrink


def tile(filters: Array, enlarge: int, shrink: int) -> NDArray[np.uint8]:
    """Turn one filter (C, h, w) into colours (h', w', 3) if C is 3, else into shades (h', w')."""
    shades = shades_of(averages(filters, shrink)).repeat(enlarge, axis=1).repeat(enlarge, axis=2)
    return shades.transpose(1, 2, 0) if len(shades) == 3 else side_by_side(shades)


def averages(filters: Array, step: int) -> Array:
    """Shrink pictures (C, h, w) by a whole factor; what is left over makes a smaller last pixel."""
    if step == 1:
        return filters
    starts = [np.arange(0, size, step) for size in filters.shape[1:]]
    sums = np.add.reduceat(np.add.reduceat(filters, starts[0], axis=1), starts[1], axis=2)
    rows, columns = (
        np.diff(np.append(start, size))
        for start, size in zip(starts, filters.shape[1:], strict=True)
    )
    shrunk: Array = sums / np.outer(rows, columns)
    return shrunk


def shades_of(filters: Array) -> NDArray[np.uint8]:
    """Turn numbers into 1 to 255; zero is 128, and x as far from it as -x."""
    scale = np.abs(filters).max()
    return np.rint(128 + 127 * (filters / scale if scale > 0 else filters)).astype(np.uint8)


def side_by_side(shades: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Lay channels (C, h, w) out in a row, many of them row by row in about a square."""
    count, height, width = shades.shape
    columns = count if count <= 8 else ceil(sqrt(count))
    row, column = height + SEAM, width + SEAM
    sheet = np.full((ceil(count / columns) * row - SEAM, columns * column - SEAM), 255, np.uint8)
    for c, channel in enumerate(shades):
        top, left = c // columns * row, c % columns * column
        sheet[top : top + height, left : left + width] = channel
    return sheet


def grid_columns(count: int, cell_width: int, cell_height: int) -> int:
    """Choose the columns of a grid about four wide by three high."""
    return max(1, min(count, round(sqrt(count * cell_height / cell_width * 4 / 3))))

"""Filters of a bank side by side: how large, in how many columns, and as one picture."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from fdref.drawing.colours import painted
from fdref.drawing.sizes import enlarged, reduced
from fdref.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.arrays import Array
    from fdref.drawing.colours import Cmap, Shades

Contrast = Literal["own", "layer"]
CONTRASTS: tuple[Contrast, ...] = ("own", "layer")

CELLS = ((1, 336), (12, 168), (100, 112), (10**9, 56))
"""Up to so many filters: pixels to which the sides of a small filter are magnified, about."""

MOST_PIXELS, LONGEST_SIDE = 5 * 10**7, 8000
"""Viewers refuse larger pages: where nobody asks for a size, larger filters are shrunk."""

LARGEST_PAGE, LONGEST_PAGE = 2 * 10**8, 16_000
"""Pixels beyond which nothing is drawn, nor in a format such as WebP, whatever is asked for."""

SEAM, FRAME = 4, 200
"""Pixels between the channels of a filter; the shade around pictures, or white ones are lost."""


@dataclass(frozen=True)
class Look:
    """How filters are to be drawn; `fdref.show` says what each means."""

    size: int | None = None
    columns: int | None = None
    contrast: Contrast = "own"
    cmap: Cmap = "grey"
    bare: bool = False


@dataclass(frozen=True)
class Tiling:
    """Where filters stand on a sheet, row by row, in pixels."""

    count: int
    columns: int
    tile: tuple[int, int]
    """height and width of a filter, all its channels"""
    cell: tuple[int, int]
    """the same with what lies between two"""

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of all of it."""
        gaps = [a - b for a, b in zip(self.cell, self.tile, strict=True)]
        rows = ceil(self.count / self.columns)
        return rows * self.cell[0] - gaps[0], self.columns * self.cell[1] - gaps[1]

    def corner(self, k: int) -> tuple[int, int]:
        """Return where the k-th filter begins."""
        return k // self.columns * self.cell[0], k % self.columns * self.cell[1]


def largest_of(bank: Array) -> float:
    """Return the largest magnitude, without another bank of them."""
    return max(abs(float(bank.max(initial=0))), abs(float(bank.min(initial=0))))


def picture_size(bank: Array, look: Look) -> tuple[int, int]:
    """Choose the height and width at which each channel of a filter is drawn."""
    count, channels, height, width = bank.shape
    longer = max(height, width)
    if look.size is not None:
        return _side(height, look.size, longer), _side(width, look.size, longer)
    area = height * width * pictures_in(channels, look)
    side = next(side for most, side in CELLS if count <= most)
    enlarge = max(1, round(side / sqrt(area)))
    shrink = max(ceil(sqrt(count * area / MOST_PIXELS)), ceil(longer / LONGEST_SIDE))
    return ceil(height * enlarge / shrink), ceil(width * enlarge / shrink)


def pictures_in(channels: int, look: Look) -> int:
    """Return how many pictures a filter makes, as `painted` paints them."""
    return 1 if channels == 3 and look.cmap == "grey" else channels


def _side(length: int, size: int, longer: int) -> int:
    return max(1, round(length * size / longer))


def tile(filters: Array, size: tuple[int, int], scale: float | None, cmap: Cmap) -> Shades:
    """Turn one filter (C, h, w) into colours (h', w', 3), its pictures of a size side by side."""
    height, width = size
    if scale is None:
        scale = largest_of(filters)  # whatever of it averages leave, shades mean these numbers
    smaller = min(filters.shape[1], height), min(filters.shape[2], width)
    if smaller != filters.shape[1:]:
        filters = reduced(filters, *smaller)
    return side_by_side(enlarged(painted(filters, scale, cmap), height, width))


def tile_shape(pictures: int, size: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of so many pictures of a size side by side."""
    columns = columns_within(pictures)
    rows = ceil(pictures / columns)
    return rows * (size[0] + SEAM) - SEAM, columns * (size[1] + SEAM) - SEAM


def side_by_side(pictures: Shades) -> Shades:
    """Lay pictures (P, h, w, 3) out in a row, many of them row by row in about a square."""
    count, height, width = pictures.shape[:3]
    columns = columns_within(count)
    sheet = np.full((*tile_shape(count, (height, width)), 3), 255, np.uint8)
    for p, picture in enumerate(pictures):
        top, left = p // columns * (height + SEAM), p % columns * (width + SEAM)
        sheet[top : top + height, left : left + width] = picture
    return sheet


def columns_within(pictures: int) -> int:
    """Return how many of a filter's pictures stand side by side."""
    return pictures if pictures <= 8 else columns_for(pictures, 1, 1)


def columns_for(count: int, height: float, width: float, aspect: float = 1) -> int:
    """Choose the columns of a grid of cells, so that it is about `aspect` times as wide as high.

    It may be up to half as many more, or a third less, for the sake of a last row that is full.

    >>> [columns_for(count, 1, 1, 4 / 3) for count in (500, 50, 65, 97)]
    [25, 10, 13, 14]
    """
    ideal = sqrt(count * height / width * aspect)
    fewest, most = min(count, ceil(ideal / 1.5)), min(count, max(1, int(ideal * 1.5)))
    return min(range(fewest, most + 1), key=lambda n: (-count % n, abs(n - ideal)))


def sheet_of(
    bank: Array,
    tiling: Tiling,
    size: tuple[int, int],
    look: Look,
    scale: float | None = None,
    progress: Callable[[int], object] | None = None,
) -> Shades:
    """Draw filters where a tiling says, each in a frame, where there is room for one.

    Returns
    -------
    (height, width, 3) array of uint8
        The tiling's, with a pixel more on every side if there are frames.
    """
    line = 0 if look.bare else 1
    height, width = tiling.tile
    rows, columns = tiling.shape
    sheet = np.full((rows + 2 * line, columns + 2 * line, 3), 255, np.uint8)
    for k, filters in enumerate(bank):
        top, left = tiling.corner(k)
        sheet[top : top + height + 2 * line, left : left + width + 2 * line] = FRAME
        inside = sheet[top + line : top + line + height, left + line : left + line + width]
        inside[:] = tile(filters, size, scale, look.cmap)
        if progress is not None:
            progress(filters.size)
    return sheet


def check_page(shape: Sequence[float], count: int) -> None:
    """Refuse a page that nothing could show.

    Raises
    ------
    ArgumentError
        If it has too many pixels, or too many along one side.
    """
    height, width = map(int, shape)
    if height * width > LARGEST_PAGE or max(height, width) > LONGEST_PAGE:
        raise ArgumentError(
            f"{count} filters make a picture of {width} x {height} pixels; expected at most "
            f"{LONGEST_PAGE} along a side and {LARGEST_PAGE:,} in all: ask for a smaller size, "
            "other columns, or fewer filters"
        )

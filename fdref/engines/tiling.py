"""Minimal filtering, counted: how substitutions for 3x3 pixels are cut, and when that is shorter.

To substitute filters for the pixels of 3x3 maps is to convolve the filters with the maps. Two
neighbouring pixels of a filter and three of a map are two polynomials, whose product has four
coefficients: it is found from its values at four points, 0, 1, -1 and infinity, by four
multiplications instead of six (A. L. Toom 1963; S. Winograd, *Arithmetic Complexity of
Computations*, 1980). Along both axes those are 16 instead of 36: the algorithm F(2x2, 3x3) of
A. Lavin & S. Gray (arXiv 1509.09308), here transposed: tiles of 2x2 pixels become 4x4, which
overlap and are added. With more points the values on the way grow, which costs digits.

With a stride, pixels that meet the same pixels of a picture are that far apart: each residue modulo
the stride is a convolution of its own.
"""

from __future__ import annotations

from functools import lru_cache
from math import ceil, inf
from typing import TYPE_CHECKING, NamedTuple

from fdref.engines.products import LONG, SMALL

if TYPE_CHECKING:
    from fdref.geometry import Pair

SIDE, POINTS = 3, 16
"""Pixels of a map along an axis; points at which polynomials in two variables are evaluated."""

# BLAS copies the maps for each product: with half as many columns, VGG-16's conv5_3 takes a tenth
# longer, with a quarter a sixth. Of products it is as quick with half the numbers, not with less.
COLUMNS = 2**9
"""Tiles that are multiplied together."""
NUMBERS, PRODUCTS = 2**22, 2**21
"""Numbers of tiles and of products that a thread keeps at most, if strides are not very long: 16 MB
and 8 MB in float32, which VGG-16 takes."""
PARTS = 4
"""Parts, at least, that threads take turns at."""

# Fitted to 21 layers such as VGG-16's, in one thread: relations of times, as what they are
# compared with. Times of tiles against those without were within 0.86 to 1.16 of the estimates.
MOVED = 32
"""Multiply-adds of a product that take as long as moving a number: transforming it, for example."""
RUN = 1.8
"""Numbers that could be moved while a loop begins: it runs along a stride."""
COPIED = 0.5
"""Numbers that could be moved while BLAS copies one before it multiplies."""
STAMPED = 14
"""Multiply-adds that take as long as adding a number where no tiles are: see `compiled`."""

Filters = tuple[int, ...]
"""(K, C, H, W), the shape of the filters that are substituted"""


class Tiling(NamedTuple):
    """How filters are cut: into lines, one for each channel and each row modulo the stride."""

    lines: int
    step: int
    """lines of a part, which one thread computes"""
    high: int
    """tiles of a line, from top to bottom"""
    wide: int
    """tiles of a row"""
    across: int
    """of them those that are multiplied at a time"""
    columns: int
    """tiles of all lines, at every place along a row"""
    most: int
    """of them those that are multiplied at a time"""

    @property
    def products(self) -> int:
        """How often all maps are multiplied."""
        return ceil(self.lines / self.step) * self.high * ceil(self.wide / self.across)


def left_ones(size: int, stride: int) -> int:
    """Return how many of `size` pixels are the first ones of their tiles, pairs a stride apart.

    Examples
    --------
    >>> left_ones(7, 2)  # the pixels 0, 1, 4, 5 begin tiles, which 2, 3, 6 end
    4
    """
    return size // (2 * stride) * stride + min(stride, size % (2 * stride))


@lru_cache(maxsize=256)
def tiling(filters: Filters, stride: Pair) -> Tiling:
    """Cut filters of a shape; by sizes alone, so that the same input gives the same bits.

    Examples
    --------
    >>> tiling((512, 3, 164, 164), (16, 16))
    Tiling(lines=48, step=6, high=6, wide=6, across=6, columns=21168, most=504)
    """
    channels, inputs, height, width = filters
    high, wide = ceil(height / (2 * stride[0])), ceil(width / (2 * stride[1]))
    row = left_ones(width, stride[1])
    limit = max(1, min(COLUMNS, NUMBERS // (POINTS * channels)))
    lines = inputs * min(stride[0], height)
    step = ceil(lines / max(PARTS, round(lines * row / limit)))
    across = wide if row <= limit else max(1, limit // stride[1])
    most = step * left_ones(min(width, 2 * stride[1] * across), stride[1])
    columns = inputs * left_ones(height, stride[0]) * row
    return Tiling(lines, step, high, wide, across, columns, most)


def work(count: int, filters: Filters, stride: Pair) -> tuple[float, float]:
    """Count the multiply-adds, and the numbers that are moved, for so many maps.

    What takes longer than moving a number, or less long, counts as more than one, or less.
    """
    channels, cut = filters[0], tiling(filters, stride)
    maps, tiles = POINTS * count * channels, POINTS * cut.columns * channels
    products = POINTS * cut.columns * count
    moved = (1 + RUN / stride[1]) * (maps + tiles + products) + COPIED * maps * cut.products
    return products * channels, moved


@lru_cache(maxsize=256)
def fewest(filters: Filters, stride: Pair) -> float:
    """Return from how many maps on tiles are shorter; infinitely many if they never are."""
    channels, inputs, height, width = filters
    (_, fixed), (multiplied, moved) = work(0, filters, stride), work(1, filters, stride)
    saved: float = inputs * height * width * SIDE**2 * (channels + STAMPED)
    saved -= multiplied + MOVED * (moved - fixed)
    return max(1.0, MOVED * fixed / saved) if saved > 0 else inf


def pays(maps: tuple[int, ...], filters: Filters, stride: Pair, groups: int = 1) -> bool:
    """Tell whether tiles are shorter for maps (N, K, h, w).

    Examples
    --------
    >>> pays((512, 512, 3, 3), (512, 3, 164, 164), (16, 16))
    True
    >>> pays((9, 8, 3, 3), (8, 3, 9, 9), (1, 1))
    False
    """
    return maps[2:] == (SIDE, SIDE) and groups == 1 and maps[0] >= fewest(filters, stride)


def together(most: int) -> int:
    """Return how many maps are multiplied at a time with so many columns."""
    return max(1, PRODUCTS // (POINTS * most))


def scratch_sizes(count: int, filters: Filters, stride: Pair) -> Pair:
    """Return how many numbers a thread keeps for one map, and for `count` of them.

    For n maps it is no more than n times the former: for fewer than `fewest` it is nothing.
    """
    least = fewest(filters, stride)
    if count < least:
        return 0, 0
    channels, most = filters[0], tiling(filters, stride).most
    summed = 4 * max(SMALL // channels, most) if channels > LONG else 0  # in pieces, in float64
    kept = channels + min(count, together(most))
    fixed = channels * most + summed
    return POINTS * (ceil(fixed / least) + most), POINTS * (kept * most + summed)

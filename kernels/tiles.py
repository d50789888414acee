"""Tiles of two pixels by two, transformed for minimal filtering and back (Winograd's F(2x2, 3x3)).

The pixels of a tile are as far apart as a substitution's stride, and neighbouring tiles lie beside
each other: so what is read and written runs along rows, a stride at a time. A *line* is what a
channel has in rows that are equal modulo the stride: line q belongs to channel q // n and begins in
row q % n, where n, the stride or fewer, rows are different. In a row there is a column for each
tile, that is for each pixel but those that are the right ones of their tiles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba.extending import register_jitable

from fdref.kernels.jit import compiled

if TYPE_CHECKING:
    from fdref.arrays import Array


@compiled
def transform_maps(maps: Array, transformed: Array, first: int) -> None:
    """Evaluate maps (n, K, 3, 3) as polynomials at 0, 1, -1 and infinity, along both axes.

    Into ``transformed[:, first:]``, (16, N, K); values at 1 and -1 are halved.
    """
    half = maps.dtype.type(0.5)
    rows = np.empty((4, 3), maps.dtype)
    for n in range(len(maps)):
        for k in range(maps.shape[1]):
            taps = maps[n, k]
            for v in range(3):
                ends = taps[0, v] + taps[2, v]
                rows[0, v] = taps[0, v]
                rows[1, v] = half * (ends + taps[1, v])
                rows[2, v] = half * (ends - taps[1, v])
                rows[3, v] = taps[2, v]
            for i in range(4):
                ends = rows[i, 0] + rows[i, 2]
                transformed[4 * i, first + n, k] = rows[i, 0]
                transformed[4 * i + 1, first + n, k] = half * (ends + rows[i, 1])
                transformed[4 * i + 2, first + n, k] = half * (ends - rows[i, 1])
                transformed[4 * i + 3, first + n, k] = rows[i, 2]


@compiled
def gather_tiles(
    filters: Array,
    columns: Array,
    stride: tuple[int, int],
    lines: tuple[int, int],
    corner: tuple[int, int],
    count: int,
) -> None:
    """Evaluate tiles of filters (K, C, H, W) as polynomials, into columns (16, K, columns).

    Of some lines (first, last + 1), those tiles whose first pixels lie `corner[0]` below the lines'
    beginnings, where the filters are so high; of these rows `count` tiles from the pixel
    `corner[1]` on.
    """
    height = filters.shape[2]
    different = min(stride[0], height)
    left, beside = np.empty((4, count), filters.dtype), np.empty((4, count), filters.dtype)
    for k in range(len(filters)):
        column = 0
        for line in range(lines[0], lines[1]):
            row = line % different + corner[0]
            if row >= height:
                continue
            channel = filters[k, line // different]
            _part(channel, row, corner[1], stride[1], left, beside, 0)
            if row + stride[0] < height:
                _part(channel, row + stride[0], corner[1], stride[1], left, beside, 3)
            else:
                left[3], beside[3] = 0, 0
            _combine(left)
            _combine(beside)
            for i in range(4):
                _evaluate(left, beside, i, columns, k, column)
            column += count


# Slices would be nearer at hand in what follows. But to make one takes as long as some ten numbers;
# and where an index cannot be seen to be no less than 0, Numba asks of each whether it counts from
# the end, and nothing is vectorized: hence max(0, ...).


@register_jitable(inline="always")
def _part(
    channel: Array, row: int, start: int, right: int, one: Array, other: Array, end: int
) -> None:
    """Part a row into the left and the right pixels of its tiles; zero beyond the row."""
    count, width = one.shape[1], channel.shape[1]
    for block in range(0, count, right):
        first = max(0, block)
        tiles = min(right, count - first)
        here = max(0, start + 2 * first)
        after = max(0, here + right)
        for x in range(tiles):
            one[end, first + x] = channel[row, here + x]
        present = max(0, min(tiles, width - after))
        for x in range(present):
            other[end, first + x] = channel[row, after + x]
        for x in range(present, tiles):
            other[end, first + x] = 0


@register_jitable(inline="always")
def _combine(ends: Array) -> None:
    """Add and subtract values at 0 and infinity (rows 0 and 3), in loops that LLVM vectorizes."""
    for x in range(ends.shape[1]):
        ends[1, x] = ends[0, x] + ends[3, x]
    for x in range(ends.shape[1]):
        ends[2, x] = ends[0, x] - ends[3, x]


@register_jitable(inline="always")
def _evaluate(left: Array, beside: Array, i: int, columns: Array, k: int, start: int) -> None:
    """Write the values of one row at the four points along the other axis, from a column on."""
    first = max(0, start)
    for x in range(left.shape[1]):
        columns[4 * i, k, first + x] = left[i, x]
    for x in range(left.shape[1]):
        columns[4 * i + 1, k, first + x] = left[i, x] + beside[i, x]
    for x in range(left.shape[1]):
        columns[4 * i + 2, k, first + x] = left[i, x] - beside[i, x]
    for x in range(left.shape[1]):
        columns[4 * i + 3, k, first + x] = beside[i, x]


@compiled
def add_tiles(
    products: Array,
    pictures: Array,
    stride: tuple[int, int],
    lines: tuple[int, int],
    corner: tuple[int, int],
    count: int,
    size: tuple[int, int],
) -> None:
    """Interpolate products (16, n, columns), and add 4x4 pixels for each to pictures (n, C, ., .).

    Columns are those of `gather_tiles`; `size`: of the filters.
    """
    different, right = min(stride[0], size[0]), stride[1]
    between = np.empty((2, 4, 1, products.shape[2]), products.dtype)
    even = np.empty(count + right, products.dtype)
    odd = np.empty(count + right, products.dtype)
    for n in range(len(pictures)):
        for j in range(4):
            _interpolate(products, j, n, between)
        column = 0
        for line in range(lines[0], lines[1]):
            row = line % different + corner[0]
            if row >= size[0]:
                continue
            channel = pictures[n, line // different]
            for i in range(min(4, -(-(len(channel) - row) // stride[0]))):
                if i in (0, 3):
                    _join(products, 4 * i, n, column, count, right, even, odd)
                else:
                    _join(between[i - 1], 0, 0, column, count, right, even, odd)
                _add_blocks(even, odd, right, channel, row + i * stride[0], corner[1])
            column += count


@register_jitable(inline="always")
def _interpolate(products: Array, j: int, n: int, between: Array) -> None:
    """Find the two inner coefficients of cubics; the outer ones are the values at 0 and infinity.

    No number on the way is larger than the sum of the coefficients' terms, each taken positive.
    """
    size = products.shape[2]
    for x in range(size):
        difference = products[4 + j, n, x] - products[8 + j, n, x]
        between[0, j, 0, x] = difference - products[12 + j, n, x]
    for x in range(size):
        total = products[4 + j, n, x] + products[8 + j, n, x]
        between[1, j, 0, x] = total - products[j, n, x]


@register_jitable(inline="always")
def _join(
    values: Array, i: int, n: int, start: int, count: int, right: int, even: Array, odd: Array
) -> None:
    """Find the four coefficients along a row, and add two of them to the next tile's other two.

    Values at 0, 1, -1 and infinity: ``values[i:i + 4, n, start:start + count]``.
    """
    first, after = max(0, start), max(0, right)
    for x in range(count):
        even[x] = values[i, n, first + x]
    for x in range(count):
        difference = values[i + 1, n, first + x] - values[i + 2, n, first + x]
        odd[x] = difference - values[i + 3, n, first + x]
    even[count:], odd[count:] = 0, 0
    for x in range(count):
        total = values[i + 1, n, first + x] + values[i + 2, n, first + x]
        even[after + x] += total - values[i, n, first + x]
    for x in range(count):
        odd[after + x] += values[i + 3, n, first + x]


@register_jitable(inline="always")
def _add_blocks(even: Array, odd: Array, right: int, channel: Array, row: int, left: int) -> None:
    """Add what takes turns to a row: as many pixels of one array, then of the other."""
    width = channel.shape[1]
    for block in range(0, even.size, right):
        first = max(0, block)
        count = min(right, even.size - first)
        one, other = max(0, left + 2 * first), max(0, left + 2 * first + right)
        for x in range(count):
            channel[row, one + x] += even[first + x]
        for x in range(min(count, width - other)):  # beyond the picture there are zeros
            channel[row, other + x] += odd[first + x]

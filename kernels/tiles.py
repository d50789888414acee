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
    different, right = min(stride[0], height), stride[1]
    left, beside = np.empty((4, count), filters.dtype), np.empty((4, count), filters.dtype)
    for k in range(len(filters)):
        column = 0
        for line in range(lines[0], lines[1]):
            row = line % different + corner[0]
            if row >= height:
                continue
            channel = filters[k, line // different]
            _part(channel[row, corner[1] :], right, left[0], beside[0])
            if row + stride[0] < height:
                _part(channel[row + stride[0], corner[1] :], right, left[3], beside[3])
            else:
                left[3], beside[3] = 0, 0
            _combine(left[0], left[3], left[1], left[2])
            _combine(beside[0], beside[3], beside[1], beside[2])
            own = slice(column, column + count)
            for i in range(4):
                columns[4 * i, k, own] = left[i]
                columns[4 * i + 3, k, own] = beside[i]
                plus, minus = columns[4 * i + 1, k, own], columns[4 * i + 2, k, own]
                _combine(left[i], beside[i], plus, minus)
            column += count


@register_jitable(inline="always")
def _combine(one: Array, other: Array, plus: Array, minus: Array) -> None:
    """Add and subtract, in loops that LLVM can vectorise."""
    for x in range(plus.size):
        plus[x] = one[x] + other[x]
    for x in range(minus.size):
        minus[x] = one[x] - other[x]


@register_jitable(inline="always")
def _part(row: Array, right: int, one: Array, other: Array) -> None:
    """Part a row into the left and the right pixels of its tiles; zero beyond the row."""
    for first in range(0, one.size, right):
        count = min(right, one.size - first)
        pixels = row[2 * first :]
        for x in range(count):
            one[first + x] = pixels[x]
        pixels = row[2 * first + right :]
        present = min(count, pixels.size)
        for x in range(present):
            other[first + x] = pixels[x]
        for x in range(present, count):
            other[first + x] = 0


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
    between = np.empty((8, products.shape[2]), products.dtype)
    even = np.empty(count + right, products.dtype)
    odd = np.empty(count + right, products.dtype)
    for n in range(len(pictures)):
        for j in range(4):
            zero, plus = products[j, n], products[4 + j, n]
            minus, infinity = products[8 + j, n], products[12 + j, n]
            _interpolate(zero, plus, minus, infinity, between[j], between[4 + j])
        column = 0
        for line in range(lines[0], lines[1]):
            row = line % different + corner[0]
            if row >= size[0]:
                continue
            channel = pictures[n, line // different]
            own = slice(column, column + count)
            column += count
            for i in range(4):
                if row + i * stride[0] >= len(channel):
                    break
                if i in (0, 3):
                    zero, plus = products[4 * i, n], products[4 * i + 1, n]
                    minus, infinity = products[4 * i + 2, n], products[4 * i + 3, n]
                else:
                    zero, plus = between[4 * i - 4], between[4 * i - 3]
                    minus, infinity = between[4 * i - 2], between[4 * i - 1]
                _join(zero[own], plus[own], minus[own], infinity[own], right, even, odd)
                _add_blocks(even, odd, right, channel[row + i * stride[0], corner[1] :])


@register_jitable(inline="always")
def _interpolate(
    zero: Array, plus: Array, minus: Array, infinity: Array, first: Array, second: Array
) -> None:
    """Find the two inner coefficients of cubics; the outer ones are the values at 0 and infinity.

    No number on the way is larger than the sum of the coefficients' terms, each taken positive.
    """
    for i in range(first.size):
        first[i] = (plus[i] - minus[i]) - infinity[i]
    for i in range(second.size):
        second[i] = (plus[i] + minus[i]) - zero[i]


@register_jitable(inline="always")
def _join(
    zero: Array, plus: Array, minus: Array, infinity: Array, right: int, even: Array, odd: Array
) -> None:
    """Find the four coefficients along a row, and add two of them to the next tile's other two."""
    count = zero.size
    for i in range(count):
        even[i] = zero[i]
    for i in range(count):
        odd[i] = (plus[i] - minus[i]) - infinity[i]
    even[count:], odd[count:] = 0, 0
    for i in range(count):
        even[i + right] += (plus[i] + minus[i]) - zero[i]
    for i in range(count):
        odd[i + right] += infinity[i]


@register_jitable(inline="always")
def _add_blocks(even: Array, odd: Array, right: int, pixels: Array) -> None:
    """Add what takes turns to a row: as many pixels of one array, then of the other."""
    for first in range(0, even.size, right):
        count = min(right, even.size - first)
        one, other = pixels[2 * first :], pixels[2 * first + right :]
        for i in range(count):
            one[i] += even[first + i]
        for i in range(min(count, other.size)):  # beyond the picture there are zeros
            other[i] += odd[first + i]

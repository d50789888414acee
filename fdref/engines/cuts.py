"""Operations cut into parts, or tiles, each small enough for a core's own cache.

Where the cuts are depends on sizes alone, never on the machine or the number of threads: so the
same input gives the same bits.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fdref.engines import shifting
from fdref.engines.products import LONG
from fdref.engines.tiling import pays, scratch_sizes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.arrays import Array
    from fdref.engines.tiling import Filters
    from fdref.geometry import Pair

Part = tuple[slice, slice]
"""Some pictures and of each some rows or channels; or some channels and of each some elements."""

# A core's own (L2) cache had 1 MB where these were measured. Where a part does not fit, the loop
# before or after the matrix product waits for memory, on all cores at once.
MATRIX, LARGEST_MATRIX = 2**18, 2**22
"""Elements of the im2col matrix of a part: 1 MB in float32, which a core's own cache holds. More
where the filters have more, so that they are not read for few columns, up to 16 MB."""

# For 50 filters of 14x14 on maps of 4x4, 2**16 and 2**20 take more than twice as long as 2**18.
STAMPS, PIXELS = 2**18, 2**9
"""Elements of the stamps made at a time, and of how many pixels they are at least: both sides of
the product are long, and a core's own cache still has its result when it is added."""

# Smaller parts are handed over more often: with 2**14, pooling takes three times as long.
MAPS = 2**17
"""Elements of the maps that are pooled or enlarged in one part: 0.5 MB in float32."""


# Of one thread, with what it computes in its cache.
MULTIPLY_ADD, MOVED = 2.5e-11, 5e-10
"""Seconds that a multiply-add of a product takes, and a number that a loop moves."""

A_FEW = 8
"""Parts: of more it does not matter much if one thread computes one more than another."""

ADDED = 2**21
"""Multiply-adds without a matrix product in one part: 0.1 ms."""


def seconds(multiplied: int = 0, moved: int = 0) -> float:
    """Estimate how long one thread takes for so many multiply-adds, and numbers moved."""
    return multiplied * MULTIPLY_ADD + moved * MOVED


def by_rows(images: Array, filters: Array, size: Pair, several: slice) -> Iterator[Part]:
    """Cut several images into batches, and images that are large by themselves by rows, too."""
    row = images.shape[1] * filters.shape[2] * filters.shape[3] * size[1]
    elements = min(max(MATRIX, filters.size), LARGEST_MATRIX)
    step, height = max(1, elements // (row * size[0])), max(1, elements // row)
    for batch in evenly(several.start, several.stop, step):
        for rows in evenly(0, size[0], height):
            yield batch, rows


def by_strips(count: int, filters: Array, height: int, pitch: int) -> Iterator[Part]:
    """Cut images whose maps are added up tap by tap into batches, and large maps into strips."""
    tall = min(height, max(1, shifting.MAPS // (pitch * (filters.shape[1] + shifting.SUMS))))
    step = max(1, ADDED // (filters.size * height * pitch)) if tall == height else 1
    for batch in evenly(0, count, step):
        for rows in evenly(0, height, tall):
            yield batch, rows


def by_channels(maps: Array, filters: Array, channels: int) -> Iterator[Part]:
    """Cut pictures of so many channels into batches, by groups; large ones by channels, too."""
    own = filters.shape[1]
    step, depth = _pictures_and_channels(filters.shape, maps.shape[2:])
    for batch in evenly(0, len(maps), step):
        for group in range(0, channels, own):
            for some in evenly(group, group + own, depth):
                yield batch, some


def _pictures_and_channels(filters: tuple[int, ...], size: tuple[int, ...]) -> tuple[int, int]:
    """Return how many pictures, and how many channels of each, are multiplied at a time."""
    own, channel = filters[1], filters[2] * filters[3] * int(prod(size))
    elements = min(max(MATRIX, int(prod(filters))), LARGEST_MATRIX)
    # The pictures of a part share the weights that it reads, so more of them pay; channels do not.
    return max(1, elements // (channel * own)), min(own, max(1, MATRIX // channel))


def stamp_sizes(count: int, size: Pair, taps: Pair) -> tuple[int, int, int]:
    """Return of how many maps, rows of a map and rows of a filter stamps are made at a time.

    Filters are cut last: each cut of them reads the maps once more.
    """
    height, width = taps
    most = max(PIXELS, STAMPS // (height * width))
    step = min(count, max(1, most // (size[0] * size[1])))
    tall = min(size[0], max(1, STAMPS // (size[1] * width)))
    return step, tall, min(height, max(1, STAMPS // (step * tall * size[1] * width)))


def substitution_scratch(
    count: int,
    size: Pair,
    filters: Filters,
    groups: int,
    stride: Pair,
    dilate: Pair = (1, 1),
) -> Pair:
    """Return how many elements a thread keeps for one picture (K, h, w), and for `count` of them.

    The planner bounds memory by it before anything is computed: it follows the branches of
    `fdref.engines.compiled.substitute`, and the arrays that they take from `scratch`.
    """
    maps = count, filters[0], *size
    one, most = _plain_scratch(count, size, filters, groups)
    # Which way is taken depends on the numbers, too: all of them count.
    moved = shifting.scratch_size(maps, filters, groups, stride, dilate)
    one, most = max(one, moved), max(most, moved)
    if pays(maps, filters, stride, groups):
        # Beside the others, which there may have been before.
        tiled = scratch_sizes(count, filters, stride)
        one, most = one + tiled[0], most + tiled[1]
    return one, most


def _plain_scratch(count: int, size: Pair, filters: Filters, groups: int) -> Pair:
    share, taps = filters[0] // groups, (filters[2], filters[3])
    pieces = 4 if share > LONG else 0  # long sums are made of pieces, in float64
    if size == (1, 1):
        most = pieces * min(MATRIX, int(prod(filters[1:])))
        return most, most
    if taps[1] > size[1]:
        step, tall, rows = stamp_sizes(count, size, taps)
        _, _, alone = stamp_sizes(1, size, taps)
        strip = tall * size[1]
        return strip * (share + alone * taps[1]), step * strip * (share + rows * taps[1])
    step, depth = _pictures_and_channels(filters, size)
    some, tall = _rows(taps, size)
    strip = tall * size[1]
    # The product, once more where narrow maps are multiplied together, and a copy of the pixels.
    one = (2 + pieces) * depth * some * taps[1] * strip + share * strip
    return one, min(step, count) * one  # narrow maps are multiplied together


def _rows(taps: Pair, size: Pair) -> Pair:
    """Return how many rows of taps, and of a map, are multiplied at a time."""
    row = taps[1] * size[1]
    depth = min(taps[0], max(1, LARGEST_MATRIX // (row * size[0])))
    return depth, min(size[0], max(1, LARGEST_MATRIX // row))


def by_taps(taps: Pair, size: Pair) -> Iterator[Part]:
    """Cut the matrix of products of one channel, where it is large, by rows of taps and of maps."""
    depth, height = _rows(taps, size)
    for u in range(0, taps[0], depth):
        for y in range(0, size[0], height):
            yield slice(u, min(u + depth, taps[0])), slice(y, min(y + height, size[0]))


def in_slices(count: int, size: tuple[int, ...]) -> Iterator[slice]:
    """Cut so many maps of a size, which are computed one by one, into parts."""
    return evenly(0, count, max(1, MAPS // prod(size)))


def evenly(start: int, stop: int, most: int) -> Iterator[slice]:
    """Cut a range into parts of at most so many, as alike as can be: who is done first waits.

    Of a few there is an even number, for an even number of threads.

    >>> [(part.start, part.stop) for part in evenly(0, 784, 524)]
    [(0, 392), (392, 784)]
    >>> [(part.start, part.stop) for part in evenly(0, 10, 4)]
    [(0, 2), (2, 5), (5, 7), (7, 10)]
    """
    length = stop - start
    count = -(-length // most)
    if 1 < count < A_FEW:
        count = min(count + count % 2, length)
    for part in range(count):
        yield slice(start + part * length // count, start + (part + 1) * length // count)

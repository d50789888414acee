"""Operations cut into parts, such that a core's own cache holds what a part makes on its way.

Where the cuts are depends on sizes alone, never on the machine: so the same input gives the same
bits.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fdref.engines.products import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.arrays import Array
    from fdref.geometry import Pair

Part = tuple[slice, slice]
"""Some pictures and of each some rows or channels; or some channels and of each some numbers."""

BLOCK, LARGEST_BLOCK = 2**18, 2**22
"""Numbers in the matrix of patches of a part: 1 MB in float32, which a core's own cache holds. More
where there are more in the filters, so that they are not read for little, up to 16 MB."""

STAMPS, PIXELS = 2**18, 2**9
"""Numbers in the stamps made at a time, and of how many pixels they are at least: both sides of the
product are long, and a core's own cache still has its result when it is added."""

MAPS = 2**17
"""Numbers of the maps that are pooled or enlarged in one part."""


def by_rows(images: Array, filters: Array, size: Pair, several: slice) -> Iterator[Part]:
    """Cut several images into blocks, and images that are large by themselves by rows, too."""
    row = images.shape[1] * filters.shape[2] * filters.shape[3] * size[1]
    numbers = min(max(BLOCK, filters.size), LARGEST_BLOCK)
    step, height = max(1, numbers // (row * size[0])), max(1, numbers // row)
    for first in range(several.start, several.stop, step):
        for top in range(0, size[0], height):
            yield (
                slice(first, min(first + step, several.stop)),
                slice(top, min(top + height, size[0])),
            )


def by_channels(maps: Array, filters: Array, channels: int) -> Iterator[Part]:
    """Cut pictures of so many channels into blocks, by groups, and where they are large further."""
    own = filters.shape[1]
    step, depth = _pictures_and_channels(filters.shape, maps.shape[2:])
    for first in range(0, len(maps), step):
        for group in range(0, channels, own):
            for c in range(group, group + own, depth):
                yield (
                    slice(first, min(first + step, len(maps))),
                    slice(c, min(c + depth, group + own)),
                )


def _pictures_and_channels(filters: tuple[int, ...], size: tuple[int, ...]) -> tuple[int, int]:
    """Return how many pictures, and how many channels of each, are multiplied at a time."""
    own, channel = filters[1], filters[2] * filters[3] * int(prod(size))
    numbers = min(max(BLOCK, int(prod(filters))), LARGEST_BLOCK)
    return max(1, numbers // (channel * own)), min(own, max(1, BLOCK // channel))


def stamp_sizes(count: int, size: Pair, taps: Pair) -> tuple[int, int, int]:
    """Return of how many maps, rows of a map and rows of a filter stamps are made at a time."""
    height, width = taps
    most = max(PIXELS, STAMPS // (height * width))
    step = min(count, max(1, most // (size[0] * size[1])))
    tall = min(size[0], max(1, STAMPS // (size[1] * width)))
    return step, tall, min(height, max(1, STAMPS // (step * tall * size[1] * width)))


def substitution_scratch(count: int, size: Pair, filters: tuple[int, ...], groups: int) -> Pair:
    """Return how many numbers a thread keeps for one picture (K, h, w), and for `count` of them."""
    share, taps = filters[0] // groups, (filters[2], filters[3])
    pieces = 4 if share > LONG else 0  # long sums are made of pieces, in float64
    if size == (1, 1):
        most = pieces * min(BLOCK, int(prod(filters[1:])))
        return most, most
    if taps[1] > size[1]:
        step, tall, rows = stamp_sizes(count, size, taps)
        _, _, alone = stamp_sizes(1, size, taps)
        strip = tall * size[1]
        return strip * (share + alone * taps[1]), step * strip * (share + rows * taps[1])
    step, depth = _pictures_and_channels(filters, size)
    some, tall = _rows(taps, size)
    strip = tall * size[1]
    one = (2 + pieces) * depth * some * taps[1] * strip + share * strip
    return one, min(step, count) * one  # narrow maps are multiplied together


def _rows(taps: Pair, size: Pair) -> Pair:
    """Return how many rows of taps, and of a map, are multiplied at a time."""
    row = taps[1] * size[1]
    depth = min(taps[0], max(1, LARGEST_BLOCK // (row * size[0])))
    return depth, min(size[0], max(1, LARGEST_BLOCK // row))


def by_taps(taps: Pair, size: Pair) -> Iterator[Part]:
    """Cut what one channel takes, where it is large: some rows of taps, some of the map's."""
    depth, height = _rows(taps, size)
    for u in range(0, taps[0], depth):
        for y in range(0, size[0], height):
            yield slice(u, min(u + depth, taps[0])), slice(y, min(y + height, size[0]))


def in_slices(count: int, size: tuple[int, ...]) -> Iterator[slice]:
    """Cut so many maps of a size into parts."""
    step = max(1, MAPS // prod(size))
    for first in range(0, count, step):
        yield slice(first, min(first + step, count))

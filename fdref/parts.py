"""Operations cut into parts, such that a core's own cache holds what a part makes on its way.

Where the cuts are depends on sizes alone, never on the machine: so the same input gives the same
bits.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.arrays import Array
    from fdref.geometry import Pair

Part = tuple[slice, slice]
"""Some pictures and of each some rows or channels; or some channels and of each some numbers."""

BLOCK, LARGEST_BLOCK = 2**18, 2**22
"""Numbers in the matrix of patches of a part: 1 MB in float32, which a core's own cache holds. More
where there are more in the filters, so that they are not read for little, up to 16 MB."""

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
    channel = filters.shape[2] * filters.shape[3] * maps.shape[2] * maps.shape[3]
    numbers = min(max(BLOCK, filters.size), LARGEST_BLOCK)
    step, depth = max(1, numbers // (channel * own)), min(own, max(1, BLOCK // channel))
    for first in range(0, len(maps), step):
        for group in range(0, channels, own):
            for c in range(group, group + own, depth):
                yield (
                    slice(first, min(first + step, len(maps))),
                    slice(c, min(c + depth, group + own)),
                )


def by_taps(taps: Pair, size: Pair) -> Iterator[Part]:
    """Cut what one channel takes, where it is large: some rows of taps, some of the map's."""
    row = taps[1] * size[1]
    depth = min(taps[0], max(1, LARGEST_BLOCK // (row * size[0])))
    height = min(size[0], max(1, LARGEST_BLOCK // row))
    for u in range(0, taps[0], depth):
        for y in range(0, size[0], height):
            yield slice(u, min(u + depth, taps[0])), slice(y, min(y + height, size[0]))


def in_slices(count: int, size: tuple[int, ...]) -> Iterator[slice]:
    """Cut so many maps of a size into parts."""
    step = max(1, MAPS // prod(size))
    for first in range(0, count, step):
        yield slice(first, min(first + step, count))

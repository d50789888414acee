"""Substitution (transposed convolution): pixel by pixel, or of filters already multiplied.

The other way, for filters that are small beside the maps, is a product and col2im: see `patches`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.kernels.jit import compiled

if TYPE_CHECKING:
    from fdref.arrays import Array


@compiled
def substitute(
    maps: Array,
    filters: Array,
    pictures: Array,
    stride: tuple[int, int],
    dilate: tuple[int, int],
) -> None:
    """Add filter j times the value of each pixel of channel j to pictures (N, C, H, W).

    As the paper writes it; the quickest where few pixels are not zero, which it looks for.

    Maps (N, K, h, w); filters (K, C/groups, kh, kw).
    """
    count, own, kernel_height, kernel_width = filters.shape
    height, width = maps.shape[2], maps.shape[3]
    per_group = count * own // pictures.shape[1]
    for n in range(len(maps)):
        for j in range(count):
            channel = j // per_group * own
            for y in range(height):
                for x in range(width):
                    value = maps[n, j, y, x]
                    if value == 0:  # NaN is not, so that it reaches the pictures
                        continue
                    left = max(0, x * stride[1])
                    for c in range(own):
                        for u in range(kernel_height):
                            row = max(0, y * stride[0] + u * dilate[0])
                            for v in range(kernel_width):
                                at = left + v * dilate[1]
                                pictures[n, channel + c, row, at] += value * filters[j, c, u, v]


@compiled
def add_stamps(
    stamps: Array,
    pictures: Array,
    stride: tuple[int, int],
    dilate: tuple[int, int],
    channel: int,
    top: int,
) -> None:
    """Add each pixel's stamp, its filter times its value, onto a channel of pictures (N, C, H, W).

    Stamps (N, h, w, rows, kw): some rows of the filters and of the maps, the first of which meet
    at the pictures' row `top`.
    """
    count, height, width, rows, taps = stamps.shape
    # Rows of a stamp before the next stamp, which overlaps it: a processor stalls where it reads
    # across the ends of what it has only just written. (Stamps of 16x16, 4 apart: 0.4 to 0.2 ns.)
    for n in range(count):
        for y in range(height):
            for x in range(width):
                at = max(0, x * stride[1])
                for u in range(rows):
                    row = max(0, top + y * stride[0] + u * dilate[0])
                    if dilate[1] == 1:  # a loop that LLVM can vectorise
                        for v in range(taps):
                            pictures[n, channel, row, at + v] += stamps[n, y, x, u, v]
                    else:
                        for v in range(taps):
                            pictures[n, channel, row, at + v * dilate[1]] += stamps[n, y, x, u, v]

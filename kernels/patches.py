"""Patches of images as the columns of a matrix, and back: what turns correlation into a product.

`columns` has the shape (C, kh, kw, N, oh, ow): one column for each position of a filter, some rows
of positions or some channels if need be. The two loops are each other's adjoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from numba.extending import register_jitable

from fdref.kernels.jit import compiled

if TYPE_CHECKING:
    from fdref.arrays import Array


@compiled
def gather_patches(
    images: Array,
    columns: Array,
    stride: tuple[int, int],
    pad: tuple[int, int],
    dilate: tuple[int, int],
    top: int,
) -> None:
    """Fill the columns from images (N, C, H, W), zero beside them; the positions' first row is top.

    Pad: (top, left).
    """
    channels, kernel_height, kernel_width, count, rows, width = columns.shape
    for c in range(channels):
        for u in range(kernel_height):
            for v in range(kernel_width):
                start = v * dilate[1] - pad[1]
                reached = _reached(start, stride[1], images.shape[3], width)
                for n in range(count):
                    for y in range(rows):
                        column = columns[c, u, v, n, y]
                        row = (top + y) * stride[0] + u * dilate[0] - pad[0]
                        if 0 <= row < images.shape[2] and reached[0] < reached[1]:
                            _copy(images[n, c, row], column, start, stride[1], reached)
                        else:
                            column[:] = 0


@register_jitable
def _reached(start: int, stride: int, size: int, count: int) -> tuple[int, int]:
    """Of `count` places from `start` on, return the first on the map and the first beyond it."""
    first = max(0, (stride - 1 - start) // stride)
    return first, min(count, (size - 1 - start) // stride + 1)


@register_jitable
def _copy(row: Array, column: Array, start: int, stride: int, reached: tuple[int, int]) -> None:
    """Copy the pixels of a row that places reach, zero elsewhere."""
    first, last = reached
    for x in range(first):
        column[x] = 0
    for x in range(last, column.size):
        column[x] = 0
    inner, pixels = column[first:last], row[start + first * stride :]
    if stride == 1:  # a loop that LLVM can vectorise
        for x in range(inner.size):
            inner[x] = pixels[x]
    else:
        for x in range(inner.size):
            inner[x] = pixels[x * stride]


@compiled
def scatter_patches(
    columns: Array,
    images: Array,
    stride: tuple[int, int],
    dilate: tuple[int, int],
    channel: int,
) -> None:
    """Add the columns onto images (N, C, H, W), from a channel on, each where it belongs."""
    channels, kernel_height, kernel_width, count, height, width = columns.shape
    for c in range(channels):
        for u in range(kernel_height):
            for v in range(kernel_width):
                for n in range(count):
                    for y in range(height):
                        column = columns[c, u, v, n, y]
                        row = y * stride[0] + u * dilate[0]
                        pixels = images[n, channel + c, row, v * dilate[1] :]
                        if stride[1] == 1:  # a loop that LLVM can vectorise
                            for x in range(width):
                                pixels[x] += column[x]
                        else:
                            for x in range(width):
                                pixels[x * stride[1]] += column[x]

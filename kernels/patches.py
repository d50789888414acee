"""Patches of images as the columns of a matrix (im2col), and back (col2im).

So a correlation is a matrix product (GEMM), and so is a transposed convolution. `columns` has the
shape (C, kh, kw, N, oh, ow), a matrix of C*kh*kw rows: one column for each position of a filter, of
some rows of positions or some channels if need be. The two loops are each other's adjoint.
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
    """Fill columns from images (N, C, H, W), zero beside them: im2col, from row `top` of positions.

    Pad: (top, left).
    """
    # Tap by tap, since a tap's pixels of one row of positions are a run of one row of the image.
    channels, kernel_height, kernel_width = columns.shape[:3]
    for c in range(channels):
        for u in range(kernel_height):
            for v in range(kernel_width):
                first = top * stride[0] + u * dilate[0] - pad[0], v * dilate[1] - pad[1]
                _gather_tap(images, c, first, stride, columns[c, u, v])


@register_jitable
def _gather_tap(
    images: Array, channel: int, first: tuple[int, int], stride: tuple[int, int], taps: Array
) -> None:
    """Copy one channel's pixels from the first on, `stride` apart, to taps (N, rows, ow)."""
    rows, width = taps.shape[1:]
    top, bottom = _reached(first[0], stride[0], images.shape[2], rows)
    left, right = _reached(first[1], stride[1], images.shape[3], width)
    if bottom - top < rows or right - left < width:  # where nothing is beside the map, no zeros
        taps[:] = 0
    corner = first[0] + top * stride[0], first[1] + left * stride[1]
    _copy(images, channel, corner, stride, taps, (top, left), (bottom - top, right - left))


@register_jitable
def _copy(
    images: Array,
    channel: int,
    corner: tuple[int, int],
    stride: tuple[int, int],
    taps: Array,
    first: tuple[int, int],
    size: tuple[int, int],
) -> None:
    """Copy so many pixels; in a loop by itself, for beside a branch it takes five times as long."""
    at, source = max(0, first[1]), max(0, corner[1])
    for n in range(len(taps)):
        for y in range(size[0]):
            tap, row = max(0, first[0] + y), max(0, corner[0] + y * stride[0])
            if stride[1] == 1:
                for x in range(size[1]):
                    taps[n, tap, at + x] = images[n, channel, row, source + x]
            else:
                for x in range(size[1]):
                    taps[n, tap, at + x] = images[n, channel, row, source + x * stride[1]]


@register_jitable
def _reached(start: int, stride: int, size: int, count: int) -> tuple[int, int]:
    """Of `count` places from `start` on, return the first on the map and the first beyond it."""
    # The first n for which start + n * stride is at least 0, and the first for which it is beyond.
    first = min(count, max(0, (stride - 1 - start) // stride))
    return first, max(first, min(count, (size - 1 - start) // stride + 1))


@compiled
def scatter_patches(
    columns: Array,
    images: Array,
    stride: tuple[int, int],
    dilate: tuple[int, int],
    channel: int,
    top: int,
) -> None:
    """Add columns onto images (N, C, H, W), from a channel and a row on: col2im."""
    channels, kernel_height, kernel_width, count, height, width = columns.shape
    for c in range(channels):
        for u in range(kernel_height):
            for v in range(kernel_width):
                left = max(0, v * dilate[1])
                for n in range(count):
                    for y in range(height):
                        row = max(0, top + y * stride[0] + u * dilate[0])
                        # Apart: LLVM vectorises steps of 1, not of a number known later.
                        if stride[1] == 1:
                            for x in range(width):
                                images[n, channel + c, row, left + x] += columns[c, u, v, n, y, x]
                        else:
                            for x in range(width):
                                at = left + x * stride[1]
                                images[n, channel + c, row, at] += columns[c, u, v, n, y, x]

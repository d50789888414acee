"""Patches of images as the columns of a matrix, and back: what turns correlation into a product.

`columns` has the shape (C, kh, kw, N, oh, ow): seen as a (C*kh*kw, N*oh*ow) matrix, one column for
each position of a filter. The two loops are each other's adjoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.kernels.jit import compiled

if TYPE_CHECKING:
    from fdref.arrays import Array


@compiled
def gather_patches(
    images: Array, columns: Array, stride: tuple[int, int], dilate: tuple[int, int]
) -> None:
    """Fill the columns from images (N, C, H, W), which have their padding on."""
    channels, kernel_height, kernel_width, count, out_height, out_width = columns.shape
    for c in range(channels):
        for u in range(kernel_height):
            for v in range(kernel_width):
                for n in range(count):
                    for y in range(out_height):
                        column = columns[c, u, v, n, y]
                        pixels = images[n, c, y * stride[0] + u * dilate[0], v * dilate[1] :]
                        if stride[1] == 1:  # a loop that LLVM can vectorise
                            for x in range(out_width):
                                column[x] = pixels[x]
                        else:
                            for x in range(out_width):
                                column[x] = pixels[x * stride[1]]


@compiled
def scatter_patches(
    columns: Array, images: Array, stride: tuple[int, int], dilate: tuple[int, int]
) -> None:
    """Add the columns onto images (N, C, H, W), each where it was gathered from."""
    channels, kernel_height, kernel_width, count, out_height, out_width = columns.shape
    for c in range(channels):
        for u in range(kernel_height):
            for v in range(kernel_width):
                for n in range(count):
                    for y in range(out_height):
                        column = columns[c, u, v, n, y]
                        pixels = images[n, c, y * stride[0] + u * dilate[0], v * dilate[1] :]
                        if stride[1] == 1:  # a loop that LLVM can vectorise
                            for x in range(out_width):
                                pixels[x] += column[x]
                        else:
                            for x in range(out_width):
                                pixels[x * stride[1]] += column[x]

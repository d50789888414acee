"""Substitution for maps of 3x3 pixels with 16 multiplications in place of 36: see `tiling`.

Maps are evaluated once; then each part evaluates tiles of the filters, multiplies, at each of the
16 points, all maps with them, and adds what the products are interpolated to. Halves and quarters
are all that the transforms multiply by, so that sums of integers stay exact; but the numbers on the
way need more digits than the result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref import kernels
from fdref.engines.cuts import in_slices
from fdref.engines.parallel import each, scratch
from fdref.engines.products import product
from fdref.engines.tiling import POINTS, left_ones, tiling, together

if TYPE_CHECKING:
    from fdref.arrays import Array
    from fdref.geometry import Pair

SPARE_BITS = 4
"""Binary digits that integers must leave free. Products are of quarters, which take two."""


def keeps_digits(maps: Array, filters: Array) -> bool:
    """Tell whether tiles are as good as plain sums for these numbers.

    Not if some are NaN or infinite, which would spread over a tile, nor if evaluating might
    overflow or lose what is smaller than normal numbers; nor if plain sums of integers may be exact
    where those of quarters are not.
    """
    limits = np.finfo(maps.dtype)
    peak = float(max(filters.max(), -filters.min()))
    with np.errstate(over="ignore", invalid="ignore"):
        weight = float(np.abs(maps).sum(axis=(1, 2, 3)).max())
    largest = peak * weight  # of all possible sums
    if not (max(peak, largest) < limits.max / 2**8 and weight > limits.tiny * 2**24):
        return False
    exact = 2.0 ** (limits.nmant + 1 - SPARE_BITS)
    return largest <= exact or not (_are_whole(maps) and _are_whole(filters))


def _are_whole(values: Array) -> bool:
    return all((np.rint(some) == some).all() for some in values)


def substitute(maps: Array, filters: Array, pictures: Array, stride: Pair) -> None:
    """Add filters (K, C, H, W), times the pixels of maps (N, K, 3, 3), to pictures of zeros."""
    count, channels = maps.shape[:2]
    height, width = filters.shape[2:]
    cut = tiling(filters.shape, stride)
    transformed = np.empty((POINTS, count, channels), maps.dtype)

    def transform(several: slice) -> None:
        kernels.transform_maps(maps[several], transformed, several.start)

    def fill(first: int) -> None:
        # From top to bottom in one thread: what tiles become overlaps, but with other lines' never.
        lines = first, min(first + cut.step, cut.lines)
        for top in range(0, height, 2 * stride[0]):
            present = [line % stride_rows + top < height for line in range(*lines)]
            for left in range(0, width, 2 * stride[1] * cut.across):
                reach = min(width - left, 2 * stride[1] * cut.across)
                row = left_ones(reach, stride[1])
                multiply(lines, (top, left), row, sum(present) * row)

    def multiply(lines: Pair, corner: Pair, row: int, columns: int) -> None:
        tiles = scratch("tiles", (POINTS, channels, columns), maps.dtype)
        kernels.gather_tiles(filters, tiles, stride, lines, corner, row)
        step = together(cut.most)
        for n in range(0, count, step):
            some = slice(n, n + step)
            weights = transformed[:, some]
            products = scratch("products", (POINTS, weights.shape[1], columns), maps.dtype)
            product(weights, tiles, products)
            kernels.add_tiles(products, pictures[some], stride, lines, corner, row, (height, width))

    stride_rows = min(stride[0], height)
    each(transform, in_slices(count, maps.shape[1:]))
    each(fill, range(0, cut.lines, cut.step))

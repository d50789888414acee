"""Unpooling by resizing: each row of the result blends rows of the map, then columns likewise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba.extending import register_jitable

from fdref.kernels.jit import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.arrays import Array


@compiled
def enlarge(
    maps: Array,
    row_starts: NDArray[np.int64],
    row_weights: Array,
    column_starts: NDArray[np.int64],
    column_weights: Array,
    origin: tuple[int, int],
    pictures: Array,
) -> None:
    """Resize maps (M, h, w) into pictures (M, H, W) at `origin`.

    Row o of the result is the sum of ``row_weights[o, t]`` times row ``row_starts[o] + t``;
    columns likewise.
    """
    width = maps.shape[2]
    if row_weights.shape[1] == column_weights.shape[1] == 1:  # one input each, which weighs 1
        _repeat(maps, row_starts, column_starts, origin, pictures)
        return
    # Rows first: then one row is held meanwhile, not a picture, and blending it is vectorised.
    blended = np.empty(width, maps.dtype)
    for m in range(len(maps)):
        for y in range(row_starts.size):
            start, target = row_starts[y], pictures[m, origin[0] + y]
            for x in range(width):
                blended[x] = row_weights[y, 0] * maps[m, start, x]
            for t in range(1, row_weights.shape[1]):
                weight, row = row_weights[y, t], maps[m, start + t]
                for x in range(width):
                    blended[x] += weight * row[x]
            for x in range(column_starts.size):
                start = column_starts[x]
                value = column_weights[x, 0] * blended[start]
                for t in range(1, column_weights.shape[1]):
                    value += column_weights[x, t] * blended[start + t]
                target[origin[1] + x] = value


@register_jitable
def _repeat(
    maps: Array,
    row_starts: NDArray[np.int64],
    column_starts: NDArray[np.int64],
    origin: tuple[int, int],
    pictures: Array,
) -> None:
    """Enlarge by nearest neighbour, where each output is a copy of one input."""
    for m in range(len(maps)):
        for y in range(row_starts.size):
            row = maps[m, row_starts[y]]
            target = pictures[m, origin[0] + y, origin[1] :]
            for x in range(column_starts.size):
                target[x] = row[column_starts[x]]

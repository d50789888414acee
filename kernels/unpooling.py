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
    if row_weights.shape[1] == column_weights.shape[1] == 1:  # one input each, which weighs 1
        _repeat(maps, row_starts, column_starts, origin, pictures)
        return
    # Columns first: of them there are fewer as long as rows have not been enlarged.
    across = np.empty((maps.shape[1], column_starts.size), maps.dtype)
    weights = np.ascontiguousarray(column_weights.T)
    left = max(0, origin[1])
    for m in range(len(maps)):
        _enlarge_rows(maps[m], column_starts, weights, across)
        for y in range(row_starts.size):
            start, row = max(0, row_starts[y]), max(0, origin[0] + y)
            weight = row_weights[y, 0]
            for x in range(across.shape[1]):
                pictures[m, row, left + x] = weight * across[start, x]
            for t in range(1, row_weights.shape[1]):
                weight = row_weights[y, t]
                for x in range(across.shape[1]):
                    pictures[m, row, left + x] += weight * across[start + t, x]


@register_jitable
def _enlarge_rows(rows: Array, starts: NDArray[np.int64], weights: Array, enlarged: Array) -> None:
    """Blend pixels of rows (h, w) into rows (h, W), by weights (taps, W)."""
    for y in range(len(rows)):
        for x in range(starts.size):
            enlarged[y, x] = weights[0, x] * rows[y, max(0, starts[x])]
        for t in range(1, len(weights)):
            for x in range(starts.size):
                enlarged[y, x] += weights[t, x] * rows[y, max(0, starts[x]) + t]


@register_jitable
def _repeat(
    maps: Array,
    row_starts: NDArray[np.int64],
    column_starts: NDArray[np.int64],
    origin: tuple[int, int],
    pictures: Array,
) -> None:
    """Enlarge by nearest neighbour, where each output is a copy of one input."""
    left = max(0, origin[1])
    for m in range(len(maps)):
        for y in range(row_starts.size):
            start, row = max(0, row_starts[y]), max(0, origin[0] + y)
            above = max(0, row - 1)
            if y > 0 and row_starts[y] == row_starts[y - 1]:  # the same once more
                for x in range(column_starts.size):
                    pictures[m, row, left + x] = pictures[m, above, left + x]
            else:
                for x in range(column_starts.size):
                    pictures[m, row, left + x] = maps[m, start, max(0, column_starts[x])]

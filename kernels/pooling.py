"""Pooling and its gradient, over windows that are clipped to the map."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.kernels.jit import compiled

if TYPE_CHECKING:
    from fdref.arrays import Array


@compiled
def max_pool(
    maps: Array,
    pooled: Array,
    window: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
) -> None:
    """Take maxima of maps (M, H, W); NaN wins. Pad: (top, left)."""
    height, width = maps.shape[1], maps.shape[2]
    for m in range(len(maps)):
        for y in range(pooled.shape[1]):
            top = max(y * stride[0] - pad[0], 0)
            bottom = min(y * stride[0] - pad[0] + window[0], height)
            for x in range(pooled.shape[2]):
                left = max(x * stride[1] - pad[1], 0)
                right = min(x * stride[1] - pad[1] + window[1], width)
                best = maps[m, top, left]
                for row in range(top, bottom):
                    for column in range(left, right):
                        value = maps[m, row, column]
                        if value > best or value != value:  # noqa: PLR0124 - true of NaN alone
                            best = value
                pooled[m, y, x] = best


@compiled
def max_pool_gradient(
    maps: Array,
    gradient: Array,
    result: Array,
    window: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
) -> None:
    """Add each window's gradient at its first maximum, to a result that the caller has zeroed."""
    height, width = maps.shape[1], maps.shape[2]
    for m in range(len(maps)):
        for y in range(gradient.shape[1]):
            top = max(y * stride[0] - pad[0], 0)
            bottom = min(y * stride[0] - pad[0] + window[0], height)
            for x in range(gradient.shape[2]):
                left = max(x * stride[1] - pad[1], 0)
                right = min(x * stride[1] - pad[1] + window[1], width)
                best, best_row, best_column = maps[m, top, left], top, left
                for row in range(top, bottom):
                    for column in range(left, right):
                        if maps[m, row, column] > best:
                            best, best_row, best_column = maps[m, row, column], row, column
                result[m, best_row, best_column] += gradient[m, y, x]


@compiled
def average_pool(
    maps: Array,
    pooled: Array,
    window: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
) -> None:
    """Take averages of maps (M, H, W). Pad: (top, left)."""
    height, width = maps.shape[1], maps.shape[2]
    for m in range(len(maps)):
        for y in range(pooled.shape[1]):
            top = max(y * stride[0] - pad[0], 0)
            bottom = min(y * stride[0] - pad[0] + window[0], height)
            for x in range(pooled.shape[2]):
                left = max(x * stride[1] - pad[1], 0)
                right = min(x * stride[1] - pad[1] + window[1], width)
                total = maps[m, top, left]
                total -= total  # a zero in the maps' own precision
                for row in range(top, bottom):
                    for column in range(left, right):
                        total += maps[m, row, column]
                pooled[m, y, x] = total / ((bottom - top) * (right - left))


@compiled
def average_pool_gradient(
    gradient: Array,
    result: Array,
    window: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
) -> None:
    """Add equal shares of each window's gradient, to a result that the caller has zeroed."""
    height, width = result.shape[1], result.shape[2]
    for m in range(len(result)):
        for y in range(gradient.shape[1]):
            top = max(y * stride[0] - pad[0], 0)
            bottom = min(y * stride[0] - pad[0] + window[0], height)
            for x in range(gradient.shape[2]):
                left = max(x * stride[1] - pad[1], 0)
                right = min(x * stride[1] - pad[1] + window[1], width)
                share = gradient[m, y, x] / ((bottom - top) * (right - left))
                for row in range(top, bottom):
                    for column in range(left, right):
                        result[m, row, column] += share

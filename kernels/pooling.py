"""Pooling and its gradient, over windows that are clipped to the map.

First down, then across, since windows are separable. A row of windows becomes one row of `cells`:
the maximum or sum of each column of pixels that the windows cover. It has room for what they reach
beyond the map, and its length is a whole number of strides: so the rows of all windows lie one
behind the other like a single row, and each tap of all of them is one loop. With a stride of 2 taps
go in pairs, because LLVM vectorises loops over all of an array, not over every second element.
(2,000 maps of 24x24 by 2: maximum 5.3 to 0.4 ms, its gradient 6.3 to 1.3 ms.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba.extending import register_jitable

from fdref.kernels.jit import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.arrays import Array

NOWHERE = 2**31 - 1
"""The place of what lies beside the map: behind all others."""


@compiled
def max_pool(
    maps: Array,
    pooled: Array,
    window: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
) -> None:
    """Take maxima of maps (M, H, W); NaN wins. Pad: (top, left)."""
    rows, columns = pooled.shape[1:]
    pitch = _pitch(columns, window[1], stride[1])
    reach = min(maps.shape[2], pitch * stride[1] - pad[1])
    # Filled once: each map writes the same cells, and those beside the map stay -inf. A window more
    # at the end is for the last windows of the last row, which reach beyond it and are cut off.
    cells = np.full(rows * pitch * stride[1] + window[1], -np.inf, maps.dtype)
    best = np.empty(rows * pitch, maps.dtype)
    for m in range(len(maps)):
        for y in range(rows):
            first, last = _clip(y, window[0], stride[0], pad[0], maps.shape[1])
            cell = cells[y * pitch * stride[1] + pad[1] :]
            pixels, other = maps[m, first], maps[m, min(first + 1, last - 1)]
            # The first two rows at once, which spares writing one; with one row both are the same.
            for x in range(reach):
                cell[x] = _larger(other[x], pixels[x])
            for row in range(first + 2, last):
                pixels = maps[m, row]
                for x in range(reach):
                    cell[x] = _larger(pixels[x], cell[x])
        if pitch == columns:  # no cells between rows of windows: straight to the result
            best = pooled[m].reshape(-1)
        _highest(cells, window[1], stride[1], best)
        if pitch > columns:
            _leave_out(best.reshape(rows, pitch), pooled[m])


@register_jitable
def _leave_out(rows: Array, pooled: Array) -> None:
    """Copy rows without what lies between them; an assignment of slices takes twice as long."""
    for y in range(pooled.shape[0]):
        for x in range(pooled.shape[1]):
            pooled[y, x] = rows[y, x]


@register_jitable
def _highest(cells: Array, window: int, stride: int, best: Array) -> None:
    best[:] = -np.inf
    pairs = window // 2 * 2 if stride == 2 else 0
    for v in range(0, pairs, 2):
        taps = cells[v:]
        for i in range(best.size):
            best[i] = _larger(_larger(taps[i * 2 + 1], taps[i * 2]), best[i])
    for v in range(pairs, window):
        taps = cells[v:]
        for i in range(best.size):
            best[i] = _larger(taps[i * stride], best[i])


@register_jitable
def _larger(value: float, best: float) -> float:
    return value if value > best or value != value else best  # noqa: PLR0124 - true of NaN alone


@register_jitable
def _pitch(count: int, window: int, stride: int) -> int:
    """Return how many strides long a row of cells is: as far as its last window reaches."""
    return count + (window - 1) // stride


@register_jitable
def _clip(place: int, window: int, stride: int, pad: int, size: int) -> tuple[int, int]:
    """Return where a window begins and ends on the map."""
    first = place * stride - pad
    return max(first, 0), min(first + window, size)


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
    width = maps.shape[2]
    rows, columns = gradient.shape[1:]
    pitch = _pitch(columns, window[1], stride[1])
    reach = min(width, pitch * stride[1] - pad[1])
    cells = np.full(rows * pitch * stride[1] + window[1], -np.inf, maps.dtype)
    places = np.full(cells.size, NOWHERE, np.int32)
    best = np.empty(rows * pitch, maps.dtype)
    best_at = np.empty(rows * pitch, np.int32)
    for m in range(len(maps)):
        for y in range(rows):
            first, last = _clip(y, window[0], stride[0], pad[0], maps.shape[1])
            start = y * pitch * stride[1] + pad[1]
            cell, place, pixels = cells[start:], places[start:], maps[m, first]
            for x in range(reach):
                cell[x] = pixels[x]
                place[x] = first * width + x
            for row in range(first + 1, last):
                pixels = maps[m, row]
                for x in range(reach):
                    cell[x], place[x] = _first(pixels[x], row * width + x, cell[x], place[x])
        _first_highest(cells, places, window[1], stride[1], best, best_at)
        flat = result[m].reshape(-1)
        for y in range(rows):
            for x in range(columns):
                flat[best_at[y * pitch + x]] += gradient[m, y, x]


@register_jitable
def _first_highest(
    cells: Array,
    places: NDArray[np.int32],
    window: int,
    stride: int,
    best: Array,
    best_at: NDArray[np.int32],
) -> None:
    best[:] = -np.inf
    best_at[:] = NOWHERE
    pairs = window // 2 * 2 if stride == 2 else 0
    for v in range(0, pairs, 2):
        taps, at = cells[v:], places[v:]
        for i in range(best.size):
            one, place = _first(taps[i * 2], at[i * 2], best[i], best_at[i])
            best[i], best_at[i] = _first(taps[i * 2 + 1], at[i * 2 + 1], one, place)
    for v in range(pairs, window):
        taps, at = cells[v:], places[v:]
        for i in range(best.size):
            best[i], best_at[i] = _first(taps[i * stride], at[i * stride], best[i], best_at[i])


@register_jitable
def _first(value: float, place: int, best: float, best_at: int) -> tuple[float, int]:
    """Return the larger value and its place; of equal values the one that comes first."""
    number, best_number = value == value, best == best  # noqa: PLR0124 - false of NaN alone
    equal = (value == best) | (not number and not best_number)
    better = (value > best) | (best_number and not number) | (equal & (place < best_at))
    return value if better else best, place if better else best_at


@compiled
def average_pool(
    maps: Array,
    pooled: Array,
    window: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
) -> None:
    """Take averages of maps (M, H, W), in the result's precision. Pad: (top, left)."""
    rows, columns = pooled.shape[1:]
    pitch = _pitch(columns, window[1], stride[1])
    reach = min(maps.shape[2], pitch * stride[1] - pad[1])
    cells = np.zeros(rows * pitch * stride[1] + window[1], pooled.dtype)
    total = np.empty(rows * pitch, pooled.dtype)
    areas = _areas(pooled, maps, window, stride, pad)
    for m in range(len(maps)):
        for y in range(rows):
            first, last = _clip(y, window[0], stride[0], pad[0], maps.shape[1])
            cell, pixels = cells[y * pitch * stride[1] + pad[1] :], maps[m, first]
            for x in range(reach):
                cell[x] = pixels[x]
            for row in range(first + 1, last):
                pixels = maps[m, row]
                for x in range(reach):
                    cell[x] += pixels[x]
        if pitch == columns:
            total = pooled[m].reshape(-1)
        _sum(cells, window[1], stride[1], total)
        for i in range(total.size):
            total[i] /= areas[i]
        if pitch > columns:
            _leave_out(total.reshape(rows, pitch), pooled[m])


@register_jitable
def _sum(cells: Array, window: int, stride: int, total: Array) -> None:
    total[:] = 0
    pairs = window // 2 * 2 if stride == 2 else 0
    for v in range(0, pairs, 2):
        taps = cells[v:]
        for i in range(total.size):
            total[i] += taps[i * 2] + taps[i * 2 + 1]
    for v in range(pairs, window):
        taps = cells[v:]
        for i in range(total.size):
            total[i] += taps[i * stride]


@register_jitable
def _areas(
    pooled: Array,
    maps: Array,
    window: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
) -> Array:
    """Return how many pixels each window has, windows lying like `cells`."""
    rows, columns = pooled.shape[1:]
    areas = np.ones((rows, _pitch(columns, window[1], stride[1])), pooled.dtype)
    for y in range(rows):
        top, bottom = _clip(y, window[0], stride[0], pad[0], maps.shape[1])
        for x in range(columns):
            left, right = _clip(x, window[1], stride[1], pad[1], maps.shape[2])
            areas[y, x] = (bottom - top) * (right - left)
    return areas.reshape(-1)


@compiled
def average_pool_gradient(
    gradient: Array,
    result: Array,
    window: tuple[int, int],
    stride: tuple[int, int],
    pad: tuple[int, int],
) -> None:
    """Add equal shares of each window's gradient, to a result that the caller has zeroed."""
    rows, columns = gradient.shape[1:]
    pitch = _pitch(columns, window[1], stride[1])
    reach = min(result.shape[2], pitch * stride[1] - pad[1])
    cells = np.empty(rows * pitch * stride[1] + window[1], result.dtype)
    shares = np.zeros((rows, pitch), result.dtype)
    areas = _areas(gradient, result, window, stride, pad).reshape(rows, pitch)
    for m in range(len(result)):
        for y in range(rows):
            for x in range(columns):
                shares[y, x] = gradient[m, y, x] / areas[y, x]
        _spread(shares.reshape(-1), window[1], stride[1], cells)
        for y in range(rows):
            first, last = _clip(y, window[0], stride[0], pad[0], result.shape[1])
            cell = cells[y * pitch * stride[1] + pad[1] :]
            for row in range(first, last):
                pixels = result[m, row]
                for x in range(reach):
                    pixels[x] += cell[x]


@register_jitable
def _spread(shares: Array, window: int, stride: int, cells: Array) -> None:
    cells[:] = 0
    pairs = window // 2 * 2 if stride == 2 else 0
    for v in range(0, pairs, 2):
        taps = cells[v:]
        for i in range(shares.size):
            taps[i * 2] += shares[i]
            taps[i * 2 + 1] += shares[i]
    for v in range(pairs, window):
        taps = cells[v:]
        for i in range(shares.size):
            taps[i * stride] += shares[i]

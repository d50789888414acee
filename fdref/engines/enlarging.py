"""Maps enlarged along both axes: by bands of weights, a loop, or as one matrix, where it is small.

Each row, and each column, of an enlarged map is a weighted sum of a few of the map's that lie
beside each other: see `resize`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref import kernels
from fdref.engines.contents import all_finite
from fdref.engines.cuts import in_slices, seconds
from fdref.engines.parallel import each
from fdref.engines.resize import band
from fdref.geometry import substituted_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines.resize import Method
    from fdref.geometry import Pair

    Taps = NDArray[np.int64]
    Band = tuple[Taps, Array]

TAPS = {"nearest": 1, "bilinear": 2, "bicubic": 4}
"""Pixels along an axis of which one of an enlarged map is made."""

# Twice as large, one GEMM was 1.3 times as quick as the loop for maps of 4x4 (nearest), 7x7
# (bilinear) and 8x8 (bicubic), but no quicker for 5x5, 8x8 and 10x10.
SMALL = 2**11
"""Elements of a matrix that enlarges along both axes, for each pixel of the sums that a loop adds
up, to which it is used."""


def enlarge(maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
    """Enlarge maps (N, C, h, w) along both axes, then frame or crop."""
    size = maps.shape[2:]
    field = substituted_size(size, stride, window)
    pictures = np.zeros((*maps.shape[:2], *field), maps.dtype)
    small, large = (array.reshape(-1, *array.shape[2:]) for array in (maps, pictures))
    framed = window[0] > stride[0] or window[1] > stride[1]
    large_matrix = size[0] * size[1] * field[0] * field[1] > SMALL * TAPS[method] ** 2
    finite = all_finite(maps)
    if framed or large_matrix or not finite:  # one NaN would spread over a whole product
        rows, columns = (_band(size[a], stride[a], window[a], method, maps.dtype) for a in (0, 1))
        origin = (max(window[0] - stride[0], 0) // 2, max(window[1] - stride[1], 0) // 2)

        def fill(part: slice) -> None:
            if finite:
                kernels.enlarge(small[part], *rows, *columns, origin, large[part])
            else:
                _enlarge_by_reach(small[part], rows, columns, origin, large[part])

    else:
        both = _both_axes(size, stride, window, method, maps.dtype)

        def fill(part: slice) -> None:
            below = large[part].reshape(-1, both.shape[1])
            np.matmul(small[part].reshape(-1, len(both)), both, out=below)

    each(fill, in_slices(len(large), field), seconds(moved=large.size))
    return pictures


def _enlarge_by_reach(
    maps: Array, rows: Band, columns: Band, origin: Pair, pictures: Array
) -> None:
    """Enlarge so that what weighs 0 takes no part, as NaN and infinity times 0 are not 0."""
    for own_rows, row_band in _by_reach(*rows):
        for own_columns, column_band in _by_reach(*columns):
            part = np.empty((len(maps), len(own_rows), len(own_columns)), maps.dtype)
            kernels.enlarge(maps, *row_band, *column_band, (0, 0), part)
            pictures[:, origin[0] + own_rows[:, None], origin[1] + own_columns] = part


def _by_reach(starts: NDArray[np.int64], weights: Array) -> Iterator[tuple[Taps, Band]]:
    """Part a band into outputs that have as many weights, none of them 0."""
    used = weights != 0
    counts, firsts = used.sum(axis=1), used.argmax(axis=1)  # those that are not 0 are neighbours
    for count in np.unique(counts):
        own = np.flatnonzero(counts == count)
        taps = firsts[own, None] + np.arange(count)
        yield own, (starts[own] + firsts[own], np.take_along_axis(weights[own], taps, axis=1))


def _band(size: int, factor: int, window: int, method: Method, dtype: np.dtype[Any]) -> Band:
    starts, weights = band(size, factor, window, method)
    return starts, weights.astype(dtype, copy=False)


@lru_cache(maxsize=32)
def _both_axes(
    size: Pair, stride: Pair, window: Pair, method: Method, dtype: np.dtype[Any]
) -> Array:
    """Return the matrix (h*w, H*W), of SMALL numbers at most, that enlarges maps as rows."""
    axes = []
    for axis in range(2):
        starts, weights = band(size[axis], stride[axis], window[axis], method)
        dense = np.zeros((len(starts), size[axis]))
        np.put_along_axis(dense, starts[:, None] + np.arange(weights.shape[1]), weights, axis=1)
        axes.append(dense)
    return np.kron(*axes).T.astype(dtype, order="C")  # maps are rows: (N, h*w) @ (h*w, H*W)

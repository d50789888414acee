"""Rows held against each other, each mapped to [0, 1]: the paper's eq. 3, and correlation.

Terms that are added one after the other wait for each other, and no compiler may change their
order. So rows are broken into lines of WIDTH numbers, which are added as a whole, line by line, and
along the line at the end. What is left of the last line is filled with what changes no result.
"""

from __future__ import annotations

from math import frexp, inf, isfinite, ldexp, nan, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numba.extending import register_jitable

from fdref.kernels.jit import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.arrays import Array

    Lines = NDArray[np.float64]

WIDTH = 64
"""Sums that are added to at once: enough to keep a core's adders busy."""


@compiled
def compare(
    responses: Array,
    predictions: Array,
    errors: NDArray[np.float64],
    correlations: NDArray[np.float64],
) -> None:
    """Compare each of N rows of n numbers with the other's, in float64, into (N,) each.

    NaN where a row has no extremes: one of its numbers is not finite, or all are equal.
    """
    count = responses.shape[1]
    one = np.empty((-(-count // WIDTH), WIDTH))
    other = np.empty_like(one)
    sums = np.empty((3, WIDTH))
    for n in range(len(responses)):
        errors[n] = correlations[n] = nan
        if _map(responses[n], one, sums) and _map(predictions[n], other, sums):
            errors[n], correlations[n] = _compared(count, one, other, sums)


@register_jitable
def _map(values: Array, lines: Lines, sums: Lines) -> bool:
    """Map numbers to [0, 1] by their own extremes, if there are any; what is left over is 0."""
    row = lines.reshape(-1)
    row[: values.size] = values
    row[values.size :] = values[0]
    low, high = _extremes(lines, sums[0], sums[1])
    if not (isfinite(low) and isfinite(high) and low < high):
        return False
    # By a power of two, which rounds nothing, so that no span overflows or is subnormal.
    scale = ldexp(1.0, min(max(-frexp(max(abs(low), abs(high)))[1], -1022), 1022))
    bottom = low * scale
    span = high * scale - bottom
    for i in range(row.size):
        row[i] = (row[i] * scale - bottom) / span
    row[values.size :] = 0
    return True


@register_jitable
def _extremes(
    lines: Lines, lows: NDArray[np.float64], highs: NDArray[np.float64]
) -> tuple[float, float]:
    """Return the lowest and the highest number; NaN if there is one."""
    lows[:] = inf
    highs[:] = -inf
    for y in range(len(lines)):
        line = lines[y]
        for x in range(WIDTH):
            value = line[x]
            lows[x] = value if (value < lows[x]) | (value != value) else lows[x]  # noqa: PLR0124
            highs[x] = value if (value > highs[x]) | (value != value) else highs[x]  # noqa: PLR0124
    return lows.min(), highs.max()


@register_jitable
def _compared(count: int, one: Lines, other: Lines, sums: Lines) -> tuple[float, float]:
    """Return the mean squared difference of two rows, and their correlation coefficient."""
    differences, ones, others = sums[0], sums[1], sums[2]
    sums[:] = 0
    for y in range(len(one)):
        line, same = one[y], other[y]
        for x in range(WIDTH):
            differences[x] += (line[x] - same[x]) ** 2
            ones[x] += line[x]
            others[x] += same[x]
    error = differences.sum() / count
    mean, other_mean = ones.sum() / count, others.sum() / count
    one.reshape(-1)[count:] = mean
    other.reshape(-1)[count:] = other_mean
    products, squares, other_squares = sums[0], sums[1], sums[2]
    sums[:] = 0
    for y in range(len(one)):
        line, same = one[y], other[y]
        for x in range(WIDTH):
            centred, other_centred = line[x] - mean, same[x] - other_mean
            products[x] += centred * other_centred
            squares[x] += centred * centred
            other_squares[x] += other_centred * other_centred
    return error, products.sum() / sqrt(squares.sum() * other_squares.sum())

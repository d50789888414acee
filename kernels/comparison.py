"""Rows held against each other, each mapped to [0, 1]: the paper's eq. 3, and correlation.

Terms that are added one after the other wait for each other, and no compiler may change their
order. So WIDTH sums are added to in turn, and are added up themselves at the end. Rows are read
where they are, and mapped anew each time: that is quicker than to write down what they are mapped
to.
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

    Sums = NDArray[np.float64]

WIDTH = 64
"""Sums that are added to in turn: enough to keep a core's adders busy."""


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
    sums = np.empty((3, WIDTH))
    for n in range(len(responses)):
        one, other = responses[n], predictions[n]
        mapping, other_mapping = _mapping(one, sums), _mapping(other, sums)
        if mapping[2] > 0 and other_mapping[2] > 0:
            squares, mean, other_mean = _squares(one, other, mapping, other_mapping, sums)
            errors[n] = squares / count
            means = mean / count, other_mean / count
            correlations[n] = _correlation(one, other, mapping, other_mapping, means, sums)
        else:
            errors[n] = correlations[n] = nan


@register_jitable
def _mapping(row: Array, sums: Sums) -> tuple[float, float, float]:
    """Return the scale, what is subtracted after, and the factor that map a row to [0, 1]; or 0."""
    low, high = _extremes(row, sums[0], sums[1])
    if not (isfinite(low) and isfinite(high) and low < high):
        return 0.0, 0.0, 0.0
    # By a power of two, which rounds nothing, so that no span overflows or is subnormal.
    scale = ldexp(1.0, min(max(-frexp(max(abs(low), abs(high)))[1], -1022), 1022))
    return scale, low * scale, 1 / (high * scale - low * scale)


@register_jitable
def _extremes(row: Array, lows: Sums, highs: Sums) -> tuple[float, float]:
    """Return the lowest and the highest number; NaN if there is one."""
    lows[:] = inf
    highs[:] = -inf
    for first in range(0, row.size, WIDTH):
        for x in range(min(WIDTH, row.size - first)):
            value = np.float64(row[max(0, first) + x])
            lows[x] = value if (value < lows[x]) | (value != value) else lows[x]  # noqa: PLR0124
            highs[x] = value if (value > highs[x]) | (value != value) else highs[x]  # noqa: PLR0124
    return lows.min(), highs.max()


@register_jitable
def _squares(
    one: Array,
    other: Array,
    mapping: tuple[float, float, float],
    other_mapping: tuple[float, float, float],
    sums: Sums,
) -> tuple[float, float, float]:
    """Return the sum of the squared differences of two rows, and the sum of either."""
    (scale, low, factor), (other_scale, other_low, other_factor) = mapping, other_mapping
    squares, ones, others = sums[0], sums[1], sums[2]
    sums[:] = 0
    for first in range(0, one.size, WIDTH):
        for x in range(min(WIDTH, one.size - first)):
            value = (one[max(0, first) + x] * scale - low) * factor
            same = (other[max(0, first) + x] * other_scale - other_low) * other_factor
            squares[x] += (value - same) ** 2
            ones[x] += value
            others[x] += same
    return squares.sum(), ones.sum(), others.sum()


@register_jitable
def _correlation(
    one: Array,
    other: Array,
    mapping: tuple[float, float, float],
    other_mapping: tuple[float, float, float],
    means: tuple[float, float],
    sums: Sums,
) -> float:
    """Return the correlation coefficient of two rows, whose means are known."""
    (scale, low, factor), (other_scale, other_low, other_factor) = mapping, other_mapping
    products, squares, other_squares = sums[0], sums[1], sums[2]
    sums[:] = 0
    for first in range(0, one.size, WIDTH):
        for x in range(min(WIDTH, one.size - first)):
            value = (one[max(0, first) + x] * scale - low) * factor - means[0]
            same = (other[max(0, first) + x] * other_scale - other_low) * other_factor - means[1]
            products[x] += value * same
            squares[x] += value * value
            other_squares[x] += same * same
    return float(products.sum()) / sqrt(squares.sum() * other_squares.sum())

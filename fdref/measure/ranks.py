"""Correlation of ranks, which asks no more than that one number grows with another."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray


def rank_correlation(one: ArrayLike, other: ArrayLike) -> float:
    """Return Spearman's rank correlation of two lists; NaN where one is the same everywhere.

    Equal values share the mean of their ranks.

    Examples
    --------
    >>> rank_correlation([1, 2, 30], [5, 6, 7]), rank_correlation([1, 1, 1], [5, 6, 7])
    (1.0, nan)
    """
    rows = [ranks - ranks.mean() for ranks in (_ranks(np.ravel(one)), _ranks(np.ravel(other)))]
    norm = float(np.sqrt((rows[0] ** 2).sum() * (rows[1] ** 2).sum()))
    return float(rows[0] @ rows[1]) / norm if norm > 0 else nan


def _ranks(values: NDArray[np.generic]) -> NDArray[np.float64]:
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    middle: NDArray[np.float64] = last - (counts - 1) / 2
    return middle[which]

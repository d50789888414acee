"""Weights of layers, read and checked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.arrays import Array, common_precision, in_precision, real_array
from fdref.errors import NetworkError
from fdref.values import is_held, read_only

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def weights(values: ArrayLike, what: str, ndim: int) -> Array:
    """Copy weights into a read-only array of float32 or float64 that holds finite numbers.

    Those of another layer are shared.
    """
    array = real_array(values, what)
    if array.dtype == bool:
        raise NetworkError(f"{what} are truth values; expected real numbers")
    if array.ndim != ndim or 0 in array.shape:
        raise NetworkError(f"{what} have shape {array.shape}; expected {ndim} axes, none empty")
    if is_held(array):  # another layer's: they share
        return array.view()
    array = np.array(in_precision(array, common_precision(array.dtype), what))
    if not np.isfinite(array).all():
        first = np.unravel_index(np.isfinite(array).argmin(), array.shape)  # of many, one
        worst = tuple(map(int, first))
        raise NetworkError(f"{what} hold {array[worst]} at {list(worst)}; expected finite numbers")
    return read_only(array)


def per_channel(values: ArrayLike, what: str, count: int) -> Array:
    """Read one number for each of `count` channels."""
    array = weights(values, what, ndim=1)
    if len(array) != count:
        raise NetworkError(f"{what} are {len(array)} numbers; expected one for each of {count}")
    return array

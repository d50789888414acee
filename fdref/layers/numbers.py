"""Weights and constants of layers, read and checked."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

import numpy as np

from fdref.arrays import Array, real_array
from fdref.errors import NetworkError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def weights(values: ArrayLike, what: str, ndim: int) -> Array:
    """Copy weights into a read-only array of float32 or float64 that holds finite numbers."""
    array = real_array(values, what)
    if array.ndim != ndim or 0 in array.shape:
        raise NetworkError(f"{what} have shape {array.shape}; expected {ndim} axes, none empty")
    single = array.dtype in (np.float32, np.float16)
    array = np.array(array, np.float32 if single else np.float64, order="C")
    if not np.isfinite(array).all():
        worst = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        raise NetworkError(f"{what} hold {array[worst]} at {list(worst)}; expected finite numbers")
    array.flags.writeable = False
    return array


def finite(value: float, what: str) -> float:
    """Read one finite number."""
    number = float(value)
    if not isfinite(number):
        raise NetworkError(f"{what} is {value}; expected a finite number")
    return number


def per_channel(values: ArrayLike, what: str, count: int) -> Array:
    """Read one number for each of `count` channels."""
    array = weights(values, what, ndim=1)
    if len(array) != count:
        raise NetworkError(f"{what} are {len(array)} numbers; expected one for each of {count}")
    return array

"""Arrays that come from outside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import ArgumentError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

Array = np.ndarray[Any, np.dtype[np.floating[Any]]]


def real_array(values: ArrayLike, what: str) -> Array:
    """Read an array of real numbers of any dtype, or say what was passed instead."""
    try:
        array = np.asarray(values)
    except ValueError as error:
        raise ArgumentError(f"{what} are no array of numbers: {error}") from None
    if array.dtype.kind not in "fiub":
        raise ArgumentError(f"{what} have dtype {array.dtype}; expected real numbers")
    return array

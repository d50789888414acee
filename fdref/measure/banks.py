"""Banks of pictures from outside, such as decoded filters, and how large these are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.arrays import common_precision, in_precision, real_array
from fdref.errors import ArgumentError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.network.graph import Network


def read_bank(bank: ArrayLike, what: str = "bank") -> Array:
    """Read pictures (K, C, h, w), in float32 or float64.

    Raises
    ------
    ArgumentError
        For another shape, pictures without pixels, NaN or infinity.
    """
    array = real_array(bank, what)
    if array.ndim != 4 or 0 in array.shape[1:]:
        raise ArgumentError(
            f"{what} has shape {array.shape}; expected (filters, channels, height, width), as "
            "fdref.decode returns"
        )
    pictures = in_precision(array, common_precision(array.dtype), what)
    if not np.isfinite(pictures).all():
        raise ArgumentError(f"{what} holds NaN or infinity; expected finite numbers")
    return pictures


def norms(pictures: Array) -> NDArray[np.float64]:
    """Return the length of each picture, the root of the sum of its squares: (K,).

    >>> norms(np.array([[[[3e300, 4e300]]], [[[0, 0]]]])) / 1e300
    array([5., 0.])
    """
    found = np.zeros(len(pictures))
    for k, picture in enumerate(pictures):  # one by one: in double they take twice the memory
        largest = max(abs(float(picture.max())), abs(float(picture.min())))
        if largest > 0:
            scaled = picture.ravel().astype(np.float64) / largest  # no square is beyond its range
            found[k] = np.sqrt(np.einsum("n,n->", scaled, scaled)) * largest
    return found


def check_finite(net: Network, banks: Mapping[int, Array]) -> None:
    """Raise NetworkError if decoded filters are beyond their precision."""
    for layer, bank in banks.items():
        if not np.isfinite(bank).all():
            label = net.describe(layer)
            raise NetworkError(f"{label} has decoded filters too large for {bank.dtype}")

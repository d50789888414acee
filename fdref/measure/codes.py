"""Codes: activations of a layer that come from outside, as `forward` returns them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.arrays import common_precision, in_precision, real_array
from fdref.errors import ArgumentError
from fdref.measure.finite import first_bad
from fdref.network.sizes import by, sizes_from

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    import numpy as np
    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.network.graph import Network


def read_code(code: ArrayLike, what: str, dtype: np.dtype[Any] | None = None) -> Array:
    """Read the finite activations of at least one image, in a precision or, without one, its own.

    Raises
    ------
    ArgumentError
        If it is something else.
    """
    array = real_array(code, what)
    if array.ndim != 4 or not array.size:
        raise ArgumentError(
            f"{what} has shape {array.shape}; expected (N, C, H, W), activations of at least one "
            "image"
        )
    place = first_bad(array)
    if place is not None:
        raise ArgumentError(
            f"{what} holds {array[place]} at {list(place)}; expected finite numbers"
        )
    return in_precision(array, common_precision(array.dtype) if dtype is None else dtype, what)


def check_code(net: Network, number: int, code: Array, size: Sequence[int]) -> None:
    """Raise ArgumentError unless a code is of a layer, for images of a size."""
    maps = sizes_from(net, [(size[0], size[1])] * net.inputs)
    expected = (net.channels[number], *maps[number])
    if code.shape[1:] != expected:
        raise ArgumentError(
            f"code has shape {code.shape}; expected (N, {', '.join(map(str, expected))}), what "
            f"{net.describe(number)} makes of images of {by(size)}"
        )

"""MATLAB's `imresize` upwards by a whole factor, as a matrix."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Distances = NDArray[np.floating[Any]]

Method = Literal["bicubic", "bilinear", "nearest", "window"]
METHODS: tuple[Method, ...] = ("bicubic", "bilinear", "nearest", "window")
"""The paper's three, by `imresize`; and `window`, which shares a pixel over its pool's window."""


@lru_cache(maxsize=256)
def matrix(size: int, factor: int, method: Method) -> NDArray[np.float64]:
    """Return the (size * factor, size) matrix that enlarges a column of pixels.

    Output o, counted from 0, lies at ``u = (o + 1/2) / factor - 1/2`` among the inputs; each input
    weighs as the kernel says at its distance from u; the weights of an output add up to 1. Inputs
    beyond the border are mirrored: -1 is 0, -2 is 1, `size` is size - 1.

    Examples
    --------
    >>> matrix(2, 2, "bilinear")
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    outputs = np.arange(size * factor)
    enlarged = np.zeros((size * factor, size))
    if method == "nearest":
        enlarged[outputs, outputs // factor] = 1
        return _frozen(enlarged)
    kernel, reach = (_triangle, 1) if method == "bilinear" else (_keys_cubic, 2)
    u = (outputs + 0.5) / factor - 0.5
    taps = np.floor(u)[:, None].astype(int) + np.arange(1 - reach, 1 + reach)
    weights = kernel(np.abs(u[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    mirrored = np.concatenate([np.arange(size), np.arange(size)[::-1]])[taps % (2 * size)]
    np.add.at(enlarged, (outputs[:, None], mirrored), weights)
    return _frozen(enlarged)


def _triangle(x: Distances) -> Distances:
    return np.maximum(1 - x, 0)


def _keys_cubic(x: Distances) -> Distances:
    """Keys' cubic convolution kernel with a = -1/2, for distances from 0 to 2."""
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, far)


def _frozen(array: NDArray[np.float64]) -> NDArray[np.float64]:
    array.flags.writeable = False  # the cache hands out the same array again
    return array

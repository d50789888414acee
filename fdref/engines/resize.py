"""MATLAB's `imresize` upwards by a whole factor, as the band of weights that each output has."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Distances = NDArray[np.floating[Any]]
    Band = tuple[NDArray[np.int64], NDArray[np.float64]]

Method = Literal["bicubic", "bilinear", "nearest", "window"]
PAPERS: tuple[Method, ...] = ("bicubic", "bilinear", "nearest")
"""The paper's ways of unpooling, which are those of MATLAB's `imresize`."""
METHODS: tuple[Method, ...] = (*PAPERS, "window")
"""All ways: the paper's, and sharing each pixel over its window, the adjoint of average pooling."""

REMEMBERED = 2**10
"""Rows up to which a band is remembered: 40 KB each. For longer ones it is soon made."""


def band(size: int, factor: int, window: int, method: Method) -> Band:
    """Return which inputs each output of an enlarged column of pixels is made of, and how.

    Output o, counted from 0, lies at ``u = (o + 1/2) / factor - 1/2`` among the inputs; each input
    weighs as the kernel says at its distance from u; the weights of an output add up to 1. Inputs
    beyond the border are mirrored: -1 is 0, -2 is 1, `size` is size - 1.

    Returns
    -------
    starts : (n,) array of int64
        The first input of each output. Where a pool's window is smaller than its stride, the
        outputs beyond the receptive field are left out, at both ends.
    weights : (n, reach) array of float64
        ``weights[o, t]`` is that of input ``starts[o] + t``.

    Examples
    --------
    >>> starts, weights = band(2, 2, 2, "bilinear")
    >>> starts.tolist(), weights.tolist()
    ([0, 0, 0, 0], [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]])
    """
    make = _remembered if size * factor <= REMEMBERED else _band
    return make(size, factor, window, method)


def matrix(size: int, factor: int, method: Method) -> NDArray[np.float64]:
    """Return the weights of `band` as a (size * factor, size) matrix, most of which is zero.

    >>> matrix(2, 2, "bilinear")
    array([[1.  , 0.  ],
           [0.75, 0.25],
           [0.25, 0.75],
           [0.  , 1.  ]])
    """
    starts, weights = band(size, factor, factor, method)
    enlarged = np.zeros((len(starts), size))
    np.put_along_axis(enlarged, starts[:, None] + np.arange(weights.shape[1]), weights, axis=1)
    return enlarged


def _band(size: int, factor: int, window: int, method: Method) -> Band:
    cut = max(factor - window, 0)
    outputs = np.arange(cut // 2, size * factor - (cut - cut // 2))
    if method == "nearest":
        return _frozen(outputs // factor, np.ones((len(outputs), 1)))
    kernel, reach = (_triangle, 1) if method == "bilinear" else (_keys_cubic, 2)
    u = (outputs + 0.5) / factor - 0.5  # pixels are areas: centres meet centres, not corners
    taps = np.floor(u)[:, None].astype(int) + np.arange(1 - reach, 1 + reach)
    weights = kernel(np.abs(u[:, None] - taps))
    weights /= weights.sum(axis=1, keepdims=True)
    # Mirrored with the border pixel twice, the row has a period of 2 * size: forth, then back.
    mirrored = taps % (2 * size)
    mirrored = np.where(mirrored < size, mirrored, 2 * size - 1 - mirrored)
    return _frozen(*_gathered(mirrored, weights, size))


def _gathered(inputs: NDArray[np.int64], weights: Distances, size: int) -> Band:
    """Add up weights (n, taps) of the same input, and start each row where its first one is.

    At the borders several taps are mirrored to one input; elsewhere taps at integer distances weigh
    0 and are left out, so that the compiled loop has no more terms than need be.
    """
    lowest = inputs.min(axis=1, keepdims=True)
    rows = np.zeros((len(inputs), np.ptp(inputs, axis=1).max() + 1))
    np.add.at(rows, (np.arange(len(inputs))[:, None], inputs - lowest), weights)
    used = rows != 0
    starts = lowest[:, 0] + used.argmax(axis=1)
    ends = lowest[:, 0] + rows.shape[1] - used[:, ::-1].argmax(axis=1)
    reach = (ends - starts).max()
    starts = np.minimum(starts, size - reach)  # all rows are as long as the longest: none overhangs
    places = starts[:, None] + np.arange(reach) - lowest
    within = (places >= 0) & (places < rows.shape[1])
    shifted = np.take_along_axis(rows, np.where(within, places, 0), axis=1)
    return starts, np.where(within, shifted, 0.0)


def _triangle(x: Distances) -> Distances:
    return np.maximum(1 - x, 0)


def _keys_cubic(x: Distances) -> Distances:
    """Keys' cubic convolution kernel with a = -1/2, for distances from 0 to 2."""
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, far)


def _frozen(starts: NDArray[np.int64], weights: NDArray[np.float64]) -> Band:
    for array in (starts, weights):
        array.flags.writeable = False  # the same arrays are handed out again
    return starts, weights


_remembered = lru_cache(maxsize=64)(_band)

"""The gradient of the classification loss, layer by layer downwards, over an engine's operations.

The gradient of a correlation with respect to its input *is* substitution: what decodes a filter
also trains it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.engine import engine_named
from fdref.errors import ArgumentError
from fdref.layers import Conv, Dropout, Pool, ReLU, Softmax
from fdref.products import sum_precision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engine import Engine
    from fdref.layers import Layer
    from fdref.network import Network

    Labels = NDArray[np.integer]


def cross_entropy(probabilities: Array, labels: Labels) -> float:
    """Return the loss, -log of the right class's probability, averaged over the batch.

    Parameters
    ----------
    probabilities : (N, C, 1, 1) array
    labels : (N,) array of int from 0

    Examples
    --------
    >>> import numpy as np
    >>> round(cross_entropy(np.array([0.25, 0.75]).reshape(1, 2, 1, 1), np.array([1])), 4)
    0.2877
    """
    right = probabilities[np.arange(len(labels)), labels, 0, 0].astype(np.float64)
    return float(-np.log(np.maximum(right, np.finfo(probabilities.dtype).tiny)).mean())


def backward(
    net: Network, acts: Sequence[Array], labels: Labels, engine: str = "compiled"
) -> dict[int, tuple[Array, Array]]:
    """Return the gradients of the averaged cross-entropy in the weights.

    Parameters
    ----------
    net : Network
        Convolutions, pools, ReLUs and dropouts under a final softmax.
    acts : list of arrays
        What `forward` returned, with the same engine; the last output is (N, C, 1, 1).
    labels : (N,) array of int from 0
    engine : "compiled" or "reference"

    Returns
    -------
    dict
        ``{number: (gradient in the filters, gradient in the biases)}`` of every convolution.

    Raises
    ------
    ArgumentError
        If the network does not end in a softmax over one pixel, has a layer of another kind, or
        the labels do not fit.
    """
    operations = engine_named(engine)
    _check(net, acts, labels)
    delta = acts[-1].copy()
    delta[np.arange(len(labels)), labels] -= 1
    delta /= len(labels)
    first = min(net.decodable)
    found = {}
    for number in range(len(net) - 1, 0, -1):
        layer, x = net[number], acts[number - 1]
        if isinstance(layer, Conv):
            found[number] = weight_gradients(layer, x, delta, operations)
        if number == first:
            break
        delta = input_gradient(layer, x, delta, net.groups(number), operations)
    return found


def weight_gradients(layer: Conv, x: Array, delta: Array, engine: Engine) -> tuple[Array, Array]:
    """Return the gradients in a convolution's filters and biases, given that in its output."""
    filters = np.ascontiguousarray(layer.filters, x.dtype)
    in_filters = engine.filter_gradient(x, delta, filters, layer.stride, layer.pad, layer.dilate)
    in_bias = delta.sum(axis=(0, 2, 3), dtype=sum_precision(len(delta), delta.dtype))
    return in_filters, in_bias.astype(delta.dtype, copy=False)


def input_gradient(layer: Layer, x: Array, delta: Array, groups: int, engine: Engine) -> Array:
    """Return the gradient in a layer's input x, given that in its output."""
    match layer:
        case Conv(stride=stride, dilate=dilate):
            filters = np.ascontiguousarray(layer.filters, x.dtype)
            padded = engine.substitute(delta, filters, stride, dilate, groups)
            return _without_padding(padded, layer, x)
        case Pool(window=window, stride=stride, pad=pad, method=method):
            return engine.pool_gradient(x, delta, window, stride, pad, method)
        case ReLU(leak=leak):
            return np.where(x > 0, delta, delta * x.dtype.type(leak))
        case _:
            return delta


def _without_padding(padded: Array, layer: Conv, x: Array) -> Array:
    """Cut off what fell on padding; a last row that no filter reached has no gradient."""
    top, _, left, _ = layer.pad
    inner = padded[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    if inner.shape == x.shape:
        return np.ascontiguousarray(inner)
    gradient = np.zeros_like(x)
    gradient[:, :, : inner.shape[2], : inner.shape[3]] = inner
    return gradient


def _check(net: Network, acts: Sequence[Array], labels: Labels) -> None:
    for number, layer in enumerate(net, 1):
        last = number == len(net)
        if isinstance(layer, Softmax) != last or not isinstance(
            layer, Conv | Pool | ReLU | Dropout | Softmax
        ):
            raise ArgumentError(
                f"{net.describe(number)} has no gradient here; expected convolutions, pools, ReLUs "
                "and dropouts under a final softmax"
            )
    count, classes = acts[-1].shape[:2]
    if acts[-1].shape[2:] != (1, 1):
        raise ArgumentError(f"the output has shape {acts[-1].shape}; expected one pixel an image")
    if labels.shape != (count,) or labels.dtype.kind not in "iu":
        raise ArgumentError(
            f"labels have shape {labels.shape} and dtype {labels.dtype}; expected ({count},) "
            "whole numbers"
        )
    if count and not (labels.min() >= 0 and labels.max() < classes):
        raise ArgumentError(
            f"labels go from {labels.min()} to {labels.max()}; expected 0 to {classes - 1}"
        )

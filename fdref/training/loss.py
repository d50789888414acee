"""The gradient of the classification loss in the weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.engines import engine_named
from fdref.engines.products import sum_precision
from fdref.errors import ArgumentError
from fdref.layers import BatchNorm, Conv, ConvTranspose, PReLU, Scale, Softmax
from fdref.walk.gradient import Gradient

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.network.graph import Network
    from fdref.walk.pictures import Picture

    Labels = NDArray[np.integer]

UNTRAINED = (BatchNorm, ConvTranspose, PReLU, Scale)
"""Layers with weights whose gradients nobody needs yet."""


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
    net: Network, acts: Sequence[Array], labels: Labels, engine: Engine | str = "compiled"
) -> dict[int, tuple[Array, Array]]:
    """Return the gradients of the averaged cross-entropy in the weights.

    Parameters
    ----------
    net : Network
        Convolutions and layers without weights under a final softmax.
    acts : list of arrays
        What `forward` returned, with the same engine; the last output is (N, C, 1, 1).
    labels : (N,) array of int from 0
    engine : "compiled", "reference" or Engine

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
    rules = WeightGradients(net, dict(enumerate(acts)), operations)
    first = min(net.decodable)
    rest = rules.down_to({len(net) - 1: delta}, first)
    rules.note(first, rest[first])  # what reaches the maps below it is nobody's weight
    return rules.found


class WeightGradients(Gradient):
    """The gradient, which on its way notes that in every convolution's weights."""

    def __init__(self, net: Network, maps: Mapping[int, Array], engine: Engine) -> None:
        super().__init__(net, maps, engine)
        self.found: dict[int, tuple[Array, Array]] = {}

    def note(self, number: int, delta: Array) -> None:
        """Note the gradient in a layer's filters and biases, if it has any."""
        layer = self.net[number]
        if isinstance(layer, Conv):
            x = self.maps[self.net.takes[number][0]]
            self.found[number] = weight_gradients(layer, x, delta, self.engine)

    def below(self, number: int, picture: Picture) -> list[Picture]:
        """Note, and hand down."""
        self.note(number, self.whole(number, picture))
        return super().below(number, picture)


def weight_gradients(layer: Conv, x: Array, delta: Array, engine: Engine) -> tuple[Array, Array]:
    """Return the gradients in a convolution's filters and biases, given that in its output."""
    filters = np.ascontiguousarray(layer.filters, x.dtype)
    in_filters = engine.filter_gradient(x, delta, filters, layer.stride, layer.pad, layer.dilate)
    in_bias = delta.sum(axis=(0, 2, 3), dtype=sum_precision(len(delta), delta.dtype))
    return in_filters, in_bias.astype(delta.dtype, copy=False)


def _check(net: Network, acts: Sequence[Array], labels: Labels) -> None:
    for number, layer in enumerate(net, 1):
        last = number == len(net)
        if isinstance(layer, Softmax) != last or isinstance(layer, UNTRAINED):
            raise ArgumentError(
                f"{net.describe(number)} has no gradient here; expected convolutions and layers "
                "without weights under a final softmax"
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

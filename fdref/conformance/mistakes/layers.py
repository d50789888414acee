"""Mistakes in the other layers of the forward pass."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from fdref import reference
from fdref.conformance.implementation import NO_PAD, Wrong
from fdref.layers import BatchNorm, Normalize, Pool, ReLU
from fdref.pointwise import relu

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fdref.arrays import Array
    from fdref.layers import Layer

NETWORKS = ("forward", "decode", "evaluate")


class PaddingSeen(Wrong):
    """Takes the padding for pixels of the map, in the pools of one method."""

    operations = ("pool", "forward", "evaluate")
    method = ""

    def pool(self, x: Array, layer: Pool) -> Array:
        if layer.method != self.method:
            return super().pool(x, layer)
        padded = np.pad(x, ((0, 0), (0, 0), layer.pad[:2], layer.pad[2:]))
        return reference.pool(padded, layer.window, layer.stride, NO_PAD, layer.method)


class AverageCountsPadding(PaddingSeen):
    name = "average-counts-padding"
    sentence = "averages divide by the whole window; expected: they divide by its pixels on the map"
    method = "avg"


class PaddingWins(PaddingSeen):
    name = "padding-wins"
    sentence = (
        "the padding's zeros win over negative maxima; expected: windows are clipped to the map"
    )
    method = "max"


class PoolRoundsUp(Wrong):
    name = "pool-rounds-up"
    sentence = (
        "a pool has one more row or column where the stride does not divide the map; "
        "expected: its size is "
        "rounded down"
    )
    operations = ("pool", "forward")

    def pool(self, x: Array, layer: Pool) -> Array:
        pad = list(layer.pad)
        for axis in range(2):
            spare = x.shape[2 + axis] + sum(pad[2 * axis : 2 * axis + 2]) - layer.window[axis]
            pad[2 * axis + 1] += ceil(spare / layer.stride[axis]) * layer.stride[axis] - spare
        top, bottom, left, right = pad
        return reference.pool(
            x, layer.window, layer.stride, (top, bottom, left, right), layer.method
        )


class NaNLost(Wrong):
    name = "nan-lost"
    sentence = "a comparison with NaN loses it; expected: NaN in, NaN out"
    operations = ("pool", "relu")

    def pool(self, x: Array, layer: Pool) -> Array:
        lowest = np.where(np.isnan(x), -np.inf, x) if layer.method == "max" else x
        return super().pool(lowest, layer)

    def relu(self, x: Array, layer: ReLU) -> Array:
        return relu(np.where(np.isnan(x), 0, x), layer.leak)


class LeakIgnored(Wrong):
    name = "leak-ignored"
    sentence = "negative values become 0; expected: they become leak times themselves"
    operations = ("relu", "forward", "evaluate")

    def relu(self, x: Array, layer: ReLU) -> Array:  # noqa: ARG002
        return relu(x)


class AlphaDivided(Wrong):
    name = "alpha-divided"
    sentence = (
        "alpha is divided by the number of channels, as in Caffe and PyTorch; expected: it is not"
    )
    operations = ("normalize", "forward", "evaluate")

    def normalize(self, x: Array, layer: Normalize) -> Array:
        divided = Normalize(layer.size, layer.kappa, layer.alpha / layer.size, layer.beta)
        return super().normalize(x, divided)


class WindowBefore(Wrong):
    name = "odd-channel-before"
    sentence = (
        "of an even number of channels the odd one lies below the channel; "
        "expected: it lies above: "
        "from k - floor((N-1)/2) to k + ceil((N-1)/2)"
    )
    operations = ("normalize", "forward", "evaluate")

    def normalize(self, x: Array, layer: Normalize) -> Array:
        return super().normalize(x[:, ::-1], layer)[:, ::-1]


class BothNormalizations(WindowBefore, AlphaDivided):  # one after the other
    name = "pytorch-normalize"
    sentence = (
        "PyTorch's local_response_norm: alpha is divided by the number of channels, and the odd "
        "channel of an even number lies below; "
        "expected: alpha is not divided, and the odd one lies above"
    )


class Renormed(Wrong):
    """Has another variance than the square of the standard deviation."""

    operations = ("bnorm", *NETWORKS)
    power, epsilon = 2, 0.0
    """Of the second moment, and what is added to that; these are right."""

    def read(self, layer: Layer) -> Layer:
        if isinstance(layer, BatchNorm):
            variance = layer.deviation**self.power + self.epsilon
            return BatchNorm(layer.gain, layer.bias, layer.mean, np.sqrt(variance))
        return layer


class DeviationAsVariance(Renormed):
    name = "deviation-as-variance"
    sentence = (
        "the second moment is taken for a variance, and its root divides; expected: it is the root"
    )
    power = 1


class DeviationAsVarianceEpsilon(Renormed):
    name = "deviation-as-variance-epsilon"
    sentence = (
        "the second moment is taken for a variance, and the root of it and an epsilon of 1e-5 "
        "divides, as PyTorch's batch_norm does it; "
        "expected: it is the standard deviation and divides itself"
    )
    power, epsilon = 1, 1e-5


class EpsilonAdded(Renormed):
    name = "epsilon-added"
    sentence = (
        "an epsilon of 1e-5 is added to the variance once more; "
        "expected: the standard deviation has it in"
    )
    epsilon = 1e-5


class SoftmaxOverPixels(Wrong):
    name = "softmax-over-pixels"
    sentence = (
        "probabilities are over the pixels of a channel; "
        "expected: they are over the channels of a pixel"
    )
    operations = ("forward",)

    def softmax(self, x: Array) -> Array:
        rows = x.reshape(*x.shape[:2], -1, 1).swapaxes(1, 2)
        return super().softmax(rows).swapaxes(1, 2).reshape(x.shape)


class LayersShifted(Wrong):
    name = "layers-shifted"
    sentence = "`layer1` is the input; expected: it is what the first layer gives"
    operations = ("forward",)

    def forward(self, layers: Iterable[Layer], x: Array) -> list[Array]:
        return [x, *super().forward(layers, x)[:-1]]


ALL: tuple[type[Wrong], ...] = (
    AverageCountsPadding,
    PaddingWins,
    PoolRoundsUp,
    NaNLost,
    LeakIgnored,
    AlphaDivided,
    WindowBefore,
    BothNormalizations,
    DeviationAsVariance,
    DeviationAsVarianceEpsilon,
    EpsilonAdded,
    SoftmaxOverPixels,
    LayersShifted,
)

"""Mistakes in the other layers of the forward pass."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.mistakes.mistake import NETWORKS, NO_PAD, Mistake, other, over
from fdref.layers import BatchNorm, PReLU, ReLU

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.arrays import Array
    from fdref.conformance.compute import Library, Outputs
    from fdref.geometry import Margins, Pair
    from fdref.layers import Layer

    Operation = Callable[..., Array]


def padding_in_pools(of: str) -> Library:
    """Take the padding for pixels of the map, in the pools of one method, up and down."""

    def padded(x: Array, pad: Margins) -> Array:
        return np.pad(x, ((0, 0), (0, 0), pad[:2], pad[2:]))

    def pool(
        right: Operation, x: Array, window: Pair, stride: Pair, pad: Margins, method: str
    ) -> Array:
        if method != of:
            return right(x, window, stride, pad, method)
        return right(padded(x, pad), window, stride, NO_PAD, method)

    def pool_gradient(
        right: Operation,
        x: Array,
        delta: Array,
        window: Pair,
        stride: Pair,
        pad: Margins,
        method: str,
    ) -> Array:
        if method != of:
            return right(x, delta, window, stride, pad, method)
        found = right(padded(x, pad), delta, window, stride, NO_PAD, method)
        height, width = x.shape[2:]
        return found[:, :, pad[0] : pad[0] + height, pad[2] : pad[2] + width]

    return over(pool=pool, pool_gradient=pool_gradient)


def rounded_up(
    right: Operation, x: Array, window: Pair, stride: Pair, pad: Margins, method: str
) -> Array:
    """Go on to where the last window begins on the map."""
    edges = list(pad)
    for axis in range(2):
        spare = x.shape[2 + axis] + sum(pad[2 * axis : 2 * axis + 2]) - window[axis]
        edges[2 * axis + 1] += ceil(spare / stride[axis]) * stride[axis] - spare
    return right(x, window, stride, tuple(edges), method)


def nan_loses(right: Operation, x: Array, *windows: Any) -> Array:
    """Let NaN lose against every pixel."""
    return right(np.where(np.isnan(x), -np.inf, x) if windows[-1] == "max" else x, *windows)


def nan_is_zero(right: Operation, x: Array, leak: float) -> Array:
    """Let NaN lose against 0."""
    return right(np.where(np.isnan(x), 0, x), leak)


def without_leak(layer: Layer) -> Layer:
    """Read a rectifier as one without a leak."""
    return ReLU() if isinstance(layer, ReLU | PReLU) else layer


def alpha_divided(
    right: Operation, x: Array, size: int, kappa: float, alpha: float, beta: float
) -> Array:
    """Divide alpha as others do."""
    return right(x, size, kappa, alpha / size, beta)


def window_before(right: Operation, x: Array, *more: Any) -> Array:
    """Normalise with the odd channel below."""
    return right(x[:, ::-1], *more)[:, ::-1]


def renormed(power: int, epsilon: float) -> Callable[[Layer], Layer]:
    """Take a power of the second moment, and an epsilon, for the variance."""

    def read(layer: Layer) -> Layer:
        if not isinstance(layer, BatchNorm):
            return layer
        variance = layer.deviation.astype(np.float64) ** power + epsilon
        return BatchNorm(layer.gain, layer.bias, layer.mean, np.sqrt(variance))

    return read


def over_pixels(right: Operation, x: Array) -> Array:
    """Exchange channels and pixels."""
    rows = x.reshape(*x.shape[:2], -1, 1).swapaxes(1, 2)
    return right(rows).swapaxes(1, 2).reshape(x.shape)


def shifted(found: Outputs, net: object, inputs: Any, known: object) -> Outputs:  # noqa: ARG001
    """Return what each layer takes."""
    return dict(zip(found, [inputs["images"], *found.values()], strict=False))


ALL = (
    Mistake("average-counts-padding",
        "averages divide by the whole window; expected: they divide by its pixels on the map",
        ("pool", "forward", "project", "evaluate", "occlude"), padding_in_pools("avg")),
    Mistake("padding-wins",
        "the padding's zeros win over negative maxima; expected: windows are clipped to the map",
        ("pool", "forward", "project", "evaluate"), padding_in_pools("max")),
    Mistake("pool-rounds-up",
        "a pool has one more row or column where the stride does not divide the map; expected: "
        "its size is rounded down", ("pool", "forward"), over(pool=rounded_up)),
    Mistake("nan-lost", "a comparison with NaN loses it; expected: NaN in, NaN out",
        ("pool", "relu"), over(pool=nan_loses, relu=nan_is_zero)),
    Mistake("leak-ignored", "negative values become 0; expected: they become leak times themselves",
        ("relu", "forward", "project", "evaluate", "occlude"), other(read=without_leak)),
    Mistake("alpha-divided",
        "alpha is divided by the number of channels, as in Caffe and PyTorch; expected: it is not",
        ("normalize", "forward", "project", "evaluate", "occlude"), over(normalize=alpha_divided)),
    Mistake("odd-channel-before",
        "of an even number of channels the odd one lies below the channel; expected: it lies "
        "above: from k - floor((N-1)/2) to k + ceil((N-1)/2)",
        ("normalize", "forward", "project", "evaluate", "occlude"),
        over(normalize=window_before)),
    Mistake("pytorch-normalize",
        "PyTorch's local_response_norm: alpha is divided by the number of channels, and the odd "
        "channel of an even number lies below; expected: alpha is not divided, and the odd one "
        "lies above", ("normalize", "forward", "project", "evaluate", "occlude"),
        over(normalize=lambda right, *more: window_before(partial(alpha_divided, right), *more))),
    Mistake("deviation-as-variance",
        "the second moment is taken for a variance, and its root divides; expected: it is the root",
        ("bnorm", *NETWORKS), other(read=renormed(1, 0.0))),
    Mistake("deviation-as-variance-epsilon",
        "the second moment is taken for a variance, and the root of it and an epsilon of 1e-5 "
        "divides, as PyTorch's batch_norm does it; expected: it is the standard deviation and "
        "divides itself", ("bnorm", *NETWORKS), other(read=renormed(1, 1e-5))),
    Mistake("epsilon-added",
        "an epsilon of 1e-5 is added to the variance once more; expected: the standard deviation "
        "has it in", ("bnorm", *NETWORKS), other(read=renormed(2, 1e-5))),
    Mistake("softmax-over-pixels",
        "probabilities are over the pixels of a channel; expected: they are over the channels of "
        "a pixel", ("forward",), over(softmax=over_pixels)),
    Mistake("layers-shifted", "`layer1` is the input; expected: it is what the first layer gives",
        ("forward",), other(change=shifted)),
)  # fmt: skip

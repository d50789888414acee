"""The gradient, walked down as decoding is: how a change of an output changes each map below.

The gradient of a correlation in its input *is* substitution: what decodes a filter trains it, too.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, assert_never

import numpy as np

from fdref import layers as kinds
from fdref.network.fields import descend
from fdref.walk.forward import framed, times
from fdref.walk.shuffles import block_sums, depth_to_space, space_to_depth, spread_channels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.network.graph import Network


class Gradient:
    """The rules of the gradient: from that in a layer's output to that in each map it takes.

    Parameters
    ----------
    net : Network
    maps : mapping
        What the forward pass made of images, by number of the map.
    engine : Engine
    """

    def __init__(self, net: Network, maps: Mapping[int, Array], engine: Engine) -> None:
        self.net, self.maps, self.engine = net, maps, engine

    def down_to(self, start: Mapping[int, Array], boundary: int = 0) -> dict[int, Array]:
        """Take gradients in some maps down to those up to a boundary."""
        return descend(self.net, start, self.united, self.below, boundary)

    @staticmethod
    def united(number: int, deltas: Sequence[Array]) -> Array:  # noqa: ARG004 - as all rules
        """Add what all users of a map handed down."""
        return reduce(np.add, deltas)

    def below(  # noqa: C901, PLR0912 - a table: a row for each kind of layer
        self, number: int, delta: Array
    ) -> list[Array]:
        """Return the gradient in each map that a layer takes."""
        layer, engine = self.net[number], self.engine
        taken = [self.maps[below] for below in self.net.takes[number]]
        x = taken[0]
        match layer:
            case kinds.Conv(stride=stride, dilate=dilate):
                filters = np.ascontiguousarray(layer.filters, x.dtype)
                # The adjoint of the correlation of padded maps, before the padding is cut off.
                padded = engine.substitute(delta, filters, stride, dilate, self.net.groups(number))
                return [_without_padding(padded, layer, x)]
            case kinds.ConvTranspose():  # the adjoint of substitution is correlation
                whole = np.ascontiguousarray(framed(delta, layer.crop))
                filters = np.ascontiguousarray(layer.filters, x.dtype)
                none = (0, 0, 0, 0)
                return [engine.correlate(whole, filters, None, layer.upsample, none, (1, 1))]
            case kinds.Pool(window=window, stride=stride, pad=pad, method=method):
                return [engine.pool_gradient(x, delta, window, stride, pad, method)]
            case kinds.ReLU(leak=leak):
                return [np.where(x > 0, delta, delta * x.dtype.type(leak))]
            case kinds.PReLU(leak=leaks):
                return [np.where(x > 0, delta, delta * leaks.astype(x.dtype)[:, None, None])]
            case kinds.Elementwise():
                return [delta * layer.slope(x)]
            case kinds.Normalize():
                return [_through_normalize(layer, x, delta)]
            case kinds.Softmax():
                y = self.maps[number]  # the Jacobian is diag(y) - y y^T at each pixel
                return [y * (delta - (delta * y).sum(axis=1, keepdims=True))]
            case kinds.BatchNorm():
                return [engine.scale(delta, layer.scale(x.dtype), None, None)]
            case kinds.Scale(factor=factor):
                return [engine.scale(delta, factor.astype(x.dtype), None, None)]
            case kinds.Sum():
                return [times(delta, layer.factor(n)) for n in range(len(taken))]
            case kinds.Concat():
                ends = np.cumsum([maps.shape[1] for maps in taken])
                pieces = np.split(delta, ends[:-1], axis=1)
                return [np.ascontiguousarray(piece) for piece in pieces]
            case kinds.Channels(indices=indices):
                return [spread_channels(delta, indices, x.shape[1])]
            case kinds.Upsample(factor=factors):
                return [block_sums(delta, factors)]
            case kinds.Shuffle(reverse=True):
                return [depth_to_space(delta, layer.sources(x.shape[1]))]
            case kinds.Shuffle():
                return [space_to_depth(delta, layer.sources(delta.shape[1]))]
            case kinds.Pad(pad=(top, bottom, left, right)):
                return [np.ascontiguousarray(framed(delta, (-top, -bottom, -left, -right)))]
            case kinds.Product():
                others = (taken[:n] + taken[n + 1 :] for n in range(len(taken)))
                return [delta * reduce(np.multiply, several) for several in others]
            case kinds.Maximum():
                return _to_the_largest(taken, delta)
            case kinds.Dropout():
                return [delta]
            case kinds.Unknown():
                raise AssertionError(layer)  # the forward pass was refused
            case _:
                assert_never(layer)


def _without_padding(padded: Array, layer: kinds.Conv, x: Array) -> Array:
    """Cut off what fell on padding; a last row that no filter reached has no gradient."""
    top, _, left, _ = layer.pad
    inner = padded[:, :, top : top + x.shape[2], left : left + x.shape[3]]
    if inner.shape == x.shape:
        return np.ascontiguousarray(inner)
    gradient = np.zeros_like(x)
    gradient[:, :, : inner.shape[2], : inner.shape[3]] = inner
    return gradient


def _through_normalize(layer: kinds.Normalize, x: Array, delta: Array) -> Array:
    """Differentiate x * s**-beta, s = kappa + alpha * sum of squares over the nearest channels."""
    before, after = (layer.size - 1) // 2, layer.size // 2
    scale = layer.kappa + layer.alpha * _channel_sums(x * x, before, after)
    # The channels in whose sums a channel stands lie the other way round: after, before.
    through_sum = _channel_sums(delta * x * scale ** (-layer.beta - 1), after, before)
    return delta * scale**-layer.beta - 2 * layer.alpha * layer.beta * x * through_sum


def _channel_sums(x: Array, before: int, after: int) -> Array:
    """Sum, for each channel, those from `before` earlier ones to `after` later ones."""
    padded = np.pad(x, ((0, 0), (before, after), (0, 0), (0, 0)))
    count = x.shape[1]
    return reduce(np.add, [padded[:, n : n + count] for n in range(before + after + 1)])


def _to_the_largest(taken: Sequence[Array], delta: Array) -> list[Array]:
    """Hand each pixel's gradient to the first of the maps that has the maximum."""
    best = np.argmax(np.stack(taken), axis=0)
    return [np.where(best == n, delta, 0) for n in range(len(taken))]

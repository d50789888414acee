"""The gradient, walked down as decoding is: how a change of an output changes each map below.

The gradient of a correlation in its input *is* substitution: what decodes a filter trains it, too.
"""

from __future__ import annotations

from functools import reduce
from typing import TYPE_CHECKING, Any, assert_never

import numpy as np

from fdref import layers as kinds
from fdref.network.fields import Box, descend, seen
from fdref.walk.adjoint import Adjoint
from fdref.walk.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.network.graph import Network
    from fdref.walk.adjoint import NonLinear


class Gradient(Adjoint):
    """The rules of the gradient: from that in a layer's output to that in each map it takes.

    Parameters
    ----------
    net : Network
    maps : mapping
        What the forward pass made of images, by number of the map.
    engine : Engine
    """

    def __init__(self, net: Network, maps: Mapping[int, Array], engine: Engine) -> None:
        sizes = {number: (own.shape[2], own.shape[3]) for number, own in maps.items()}
        super().__init__(net, engine, sizes)
        self.maps = maps

    def down_to(self, start: Mapping[int, Array], boundary: int = 0) -> dict[int, Array]:
        """Take gradients in whole maps down to those up to a boundary."""
        pictures = {number: Picture(delta, (0, 0)) for number, delta in start.items()}
        reached = descend(self.net, pictures, self.united, self.below, boundary)
        return {number: self.whole(number, picture) for number, picture in reached.items()}

    def whole(self, number: int, picture: Picture) -> Array:
        """Return a picture over the whole map: of rows that no filter reached, zero."""
        height, width = self.maps[number].shape[2:]
        return np.ascontiguousarray(picture.over(Box(0, 0, height - 1, width - 1)).values)

    def seen_by(self, number: int, box: Box) -> list[Array]:
        """Return part of each map that a layer takes."""
        return [self.part(below, box) for below in self.net.takes[number]]

    def part(self, number: int, box: Box) -> Array:
        """Return part of what the forward pass made."""
        return np.ascontiguousarray(self.maps[number][:, :, box.rows, box.columns])

    def through(self, layer: NonLinear, number: int, picture: Picture) -> list[Picture]:
        """Multiply by the derivative; of a max pool all goes to where the maximum was."""
        if isinstance(layer, kinds.Pool):
            return [self._pooled(layer, number, picture)]
        deltas = self.derived(layer, number, picture)
        return [Picture(delta, picture.origin) for delta in deltas]

    def derived(self, layer: NonLinear, number: int, picture: Picture) -> list[Array]:
        """Return the gradient in each of the maps that a layer takes pixel by pixel."""
        taken, delta = self.seen_by(number, picture.box), picture.values
        match layer:
            case kinds.ReLU() | kinds.PReLU():
                return [np.where(taken[0] > 0, delta, delta * leak(layer, delta.dtype))]
            case kinds.Elementwise():
                return [delta * layer.slope(taken[0])]
            case kinds.Normalize():
                return [_through_normalize(layer, taken[0], delta)]
            case kinds.Softmax():
                y = self.part(number, picture.box)  # the Jacobian is diag(y) - y y^T at each pixel
                return [y * (delta - (delta * y).sum(axis=1, keepdims=True))]
            case kinds.Product():
                others = (taken[:n] + taken[n + 1 :] for n in range(len(taken)))
                return [delta * reduce(np.multiply, several) for several in others]
            case kinds.Maximum():
                return _to_the_largest(taken, delta)
            case kinds.Pool():
                raise AssertionError(layer)  # its windows overlap pixels
            case _:
                assert_never(layer)

    def _pooled(self, pool: kinds.Pool, number: int, picture: Picture) -> Picture:
        """Take the windows whose results a picture covers; where they reach beyond is padding."""
        delta, windows = np.ascontiguousarray(picture.values), seen(pool, picture.box)
        (taken,) = self.net.takes[number]
        inside = windows.within(self.maps[taken].shape[2:])
        pad = (
            inside.top - windows.top,
            windows.bottom - inside.bottom,
            inside.left - windows.left,
            windows.right - inside.right,
        )
        x = self.part(taken, inside)
        below = self.engine.pool_gradient(x, delta, pool.window, pool.stride, pad, pool.method)
        return Picture(below, inside.origin)


def leak(layer: kinds.ReLU | kinds.PReLU, dtype: np.dtype[Any]) -> Array | np.floating[Any]:
    """Return by what a rectifier multiplies what is negative: one factor, or one a channel."""
    if isinstance(layer, kinds.PReLU):
        return layer.leak.astype(dtype)[:, None, None]
    factor: np.floating[Any] = dtype.type(layer.leak)
    return factor


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

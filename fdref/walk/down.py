"""Decoding from above, the paper's way: a unit, taken down layer by layer to the input.

The adjoint of each layer, with unpooling for a pool. What is not linear passes, and no image is
needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, assert_never, cast

import numpy as np

from fdref import layers as kinds
from fdref.network.fields import descend
from fdref.network.units import FIRST, Unit
from fdref.walk.adjoint import Adjoint, moved, scaled_by
from fdref.walk.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.network.fields import Box
    from fdref.network.graph import Network
    from fdref.walk.adjoint import NonLinear


class Decoding(Adjoint):
    """The rules of decoding: how pictures over a layer's output become pictures over its inputs.

    Parameters
    ----------
    net : Network
    number : int
        The layer that is decoded.
    unpool : str
    engine : Engine
    unit : Unit
        Which of each channel's units.
    """

    def __init__(
        self, net: Network, number: int, unpool: Method, engine: Engine, unit: Unit = FIRST
    ) -> None:
        super().__init__(net, engine, dict(net.sizes) if unit.clip else None)
        self.number, self.method, self.unit = number, unpool, unit
        fewest, most = net.copies[number]
        self.shared = unpool != "window" and fewest != most
        """whether pools divide by the number of their copies: ways through others join"""

    def decode(self, indices: Sequence[int]) -> Picture:
        """Return decoded filters as a picture over the input."""
        return self.down_to(0, indices)[0]

    def down_to(self, boundary: int, indices: Sequence[int]) -> dict[int, Picture]:
        """Take filters down to the maps up to a boundary that all ways to the input cross."""
        reached = descend(self.net, self._start(indices), self.united, self.below, boundary)
        return {below: self._weighed(below, picture) for below, picture in reached.items()}

    def parted(
        self, ends: Collection[int], boxes: Mapping[int, Box], indices: Sequence[int]
    ) -> dict[int, Picture]:
        """Take filters down to where each way first meets one of some maps; none leads on there.

        Pictures cover the boxes that they would if no way ended: enlarging depends on these. They
        are not weighed, as `down_to`'s are.
        """

        def unite_in_box(number: int, pictures: Sequence[Picture]) -> Picture:
            return self.united(number, pictures).over(boxes[number])

        return descend(self.net, self._start(indices), unite_in_box, self.below, ends=ends)

    def stages(self, indices: Sequence[int]) -> list[Array]:
        """Return what filters amount to over each map on the way down, the last the input."""
        noted: list[Array] = []

        def unite_and_note(number: int, pictures: Sequence[Picture]) -> Picture:
            picture = self.united(number, pictures)
            if number >= 0:
                noted.append(self._weighed(number, picture).values.copy())
            return picture

        descend(self.net, self._start(indices), unite_and_note, self.below)
        return noted

    def _start(self, indices: Sequence[int]) -> dict[int, Picture]:
        """Begin with the filters, one step down, or with one pixel of value 1 in each channel."""
        layer, dtype = self.net[self.number], self.engine.precision(self.net.dtype)
        if isinstance(layer, kinds.Conv):
            (taken,) = self.net.takes[self.number]
            filters = top(self.net, self.number, indices, dtype)
            return {taken: Picture(filters, moved(self.unit.at, layer.stride, layer.pad))}
        pixels = np.zeros((len(indices), self.net.channels[self.number], 1, 1), dtype)
        pixels[np.arange(len(indices)), list(indices)] = 1
        return {self.number: Picture(pixels, self.unit.at)}

    def _weighed(self, below: int, picture: Picture) -> Picture:
        """Give back what the way with the fewest copies was divided by, and so all ways."""
        return Picture(scaled_by(picture.values, self.weight(below)), picture.origin)

    def weight(self, below: int) -> float:
        """Return what pictures over a map are to be multiplied with, see `Network.copies`."""
        if not self.shared:
            return 1.0
        return self.net.copies[self.number][0] / self.net.copies[below][0]

    def through(self, layer: NonLinear, number: int, picture: Picture) -> list[Picture]:
        """Unpool; as in the paper, what else is not linear passes."""
        match layer:
            case kinds.Pool():
                return [self._unpooled(number, picture)]
            case (
                kinds.ReLU()
                | kinds.PReLU()
                | kinds.Elementwise()
                | kinds.Softmax()
                | kinds.Normalize()
            ):
                return [picture]
            case kinds.Product() | kinds.Maximum():
                raise AssertionError(layer)  # refused before anything is decoded
            case _:
                assert_never(layer)

    def _unpooled(self, number: int, picture: Picture) -> Picture:
        """Spread pixels over windows; where ways through other pools join, by shares."""
        pool = cast("kinds.Pool", self.net.decoded_as[number])
        values = picture.values
        # At the border of a real map an average is over fewer pixels, each of which weighs more.
        if self.method == "window" and self.unit.clip:
            values = values * self._clipped_shares(pool, number, picture)
        if self.shared:
            values = values / values.dtype.type(pool.stride[0] * pool.stride[1])
        values = np.ascontiguousarray(values)
        enlarged = self.engine.unpool(values, pool.stride, pool.window, self.method)
        return Picture(enlarged, moved(picture.origin, pool.stride, pool.pad))

    def _clipped_shares(self, pool: kinds.Pool, number: int, picture: Picture) -> Array:
        """Return by how much larger the shares of pixels are whose windows the border cuts."""
        (taken,) = self.net.takes[number]
        shares = []
        for axis, first in enumerate(picture.origin):
            starts = (first + np.arange(picture.values.shape[2 + axis])) * pool.stride[axis]
            starts -= pool.pad[2 * axis]
            ends = np.minimum(starts + pool.window[axis], self.net.sizes[taken][axis])
            shares.append(pool.window[axis] / np.maximum(ends - np.maximum(starts, 0), 1))
        both: Array = np.outer(*shares).astype(picture.values.dtype)
        return both


def top(net: Network, number: int, indices: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """Return a convolution's filters as pictures over the map that it takes, (K, C, h, w): a copy.

    A dilated filter has its zeros in between; a grouped one lies on its own channels, the others
    are zero.
    """
    layer = cast("kinds.Conv", net[number])
    count, own = layer.filters.shape[:2]
    per_group = count // net.groups(number)
    if per_group == count and layer.dilate == (1, 1):
        if isinstance(indices, range) and indices.step == 1:
            return layer.filters[indices.start : indices.stop].astype(dtype)
        return layer.filters[list(indices)].astype(dtype, copy=False)
    pictures = np.zeros((len(indices), own * net.groups(number), *layer.window), dtype)
    for picture, k in zip(pictures, indices, strict=True):
        first = k // per_group * own
        picture[first : first + own, :: layer.dilate[0], :: layer.dilate[1]] = layer.filters[k]
    return pictures

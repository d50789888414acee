"""Decoding from above, the paper's way: a unit, taken down layer by layer to the input.

Each layer's rule is the adjoint of its linear part: substitution (transposed convolution) for a
correlation, unpooling for a pool. What is not linear passes, and no image is needed.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, assert_never, cast

import numpy as np

from fdref import layers as kinds
from fdref.network.fields import Box, descend
from fdref.network.units import FIRST, Unit
from fdref.walk.pictures import Picture, unite
from fdref.walk.shuffles import block_sums, depth_to_space, space_to_depth, spread_channels

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.geometry import Pair
    from fdref.network.graph import Network


class Decoding:
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
        self.net, self.number, self.method, self.engine = net, number, unpool, engine
        self.unit = unit
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
            return {taken: Picture(filters, _moved(self.unit.at, layer.stride, layer.pad))}
        pixels = np.zeros((len(indices), self.net.channels[self.number], 1, 1), dtype)
        pixels[np.arange(len(indices)), list(indices)] = 1
        return {self.number: Picture(pixels, self.unit.at)}

    def _weighed(self, below: int, picture: Picture) -> Picture:
        """Give back what the way with the fewest copies was divided by, and so all ways."""
        if not self.shared:
            return picture
        share = self.net.copies[self.number][0] / self.net.copies[below][0]
        return Picture(_times(picture.values, share), picture.origin)

    def united(self, number: int, pictures: Sequence[Picture]) -> Picture:
        """Add what all users of a map handed down."""
        picture = unite(pictures)
        return (
            picture.over(picture.box.within(self.net.sizes[number])) if self.unit.clip else picture
        )

    def below(  # noqa: C901, PLR0912 - a table: a row for each kind of layer
        self, number: int, picture: Picture
    ) -> list[Picture]:
        """Express a picture over a layer's output over each map that it takes."""
        layer, values, engine = self.net.decoded_as[number], picture.values, self.engine
        channels = [self.net.channels_of(taken) for taken in self.net.takes[number]]
        match layer:
            case kinds.Conv(filters=filters, stride=stride, pad=pad, dilate=dilate):
                bank, groups = np.ascontiguousarray(filters, values.dtype), self.net.groups(number)
                below = engine.substitute(values, bank, stride, dilate, groups)
                return [Picture(below, _moved(picture.origin, stride, pad))]
            case kinds.Pool():
                return [self._unpooled(layer, number, picture)]
            case kinds.ConvTranspose():
                return [_correlated(layer, picture, engine)]
            case kinds.Sum():  # whose summands have one value handed down to each
                return [
                    Picture(_times(values, layer.factor(n)), picture.origin)
                    for n in range(len(channels))
                ]
            case kinds.Concat():
                starts = np.cumsum([0, *channels])
                return [
                    Picture(np.ascontiguousarray(values[:, first:last]), picture.origin)
                    for first, last in pairwise(starts)
                ]
            case kinds.Channels(indices=indices):
                return [Picture(spread_channels(values, indices, channels[0]), picture.origin)]
            case kinds.Upsample(factor=factor):  # the adjoint of repeating pixels is summing them
                whole, origin = _whole_blocks(picture, factor)
                return [Picture(block_sums(whole, factor), origin)]
            case kinds.Shuffle(block=block, reverse=False):
                whole, origin = _whole_blocks(picture, (block, block))
                sources = layer.sources(values.shape[1])
                return [Picture(space_to_depth(whole, sources), origin)]
            case kinds.Shuffle(block=block):
                origin = (picture.origin[0] * block, picture.origin[1] * block)
                return [Picture(depth_to_space(values, layer.sources(channels[0])), origin)]
            case kinds.Pad(pad=pad):
                return [Picture(values, _moved(picture.origin, (1, 1), pad))]
            case kinds.BatchNorm():
                return [self._scaled(picture, layer.scale(values.dtype))]
            case kinds.Scale(factor=own):
                return [self._scaled(picture, own.astype(values.dtype))]
            case (
                kinds.ReLU()
                | kinds.PReLU()
                | kinds.Elementwise()
                | kinds.Dropout()
                | kinds.Softmax()
                | kinds.Normalize()
            ):
                return [picture]  # as the paper: what is not linear passes
            case kinds.Product() | kinds.Maximum() | kinds.Unknown():
                raise AssertionError(layer)  # refused before anything is decoded
            case _:
                assert_never(layer)

    def _scaled(self, picture: Picture, factor: Array) -> Picture:
        values = np.ascontiguousarray(picture.values)
        return Picture(self.engine.scale(values, factor, None, None), picture.origin)

    def _unpooled(self, pool: kinds.Pool, number: int, picture: Picture) -> Picture:
        """Spread pixels over windows; where ways through other pools join, by shares."""
        values = picture.values
        # At the border of a real map an average is over fewer pixels, each of which weighs more.
        if self.method == "window" and self.unit.clip:
            values = values * self._clipped_shares(pool, number, picture)
        if self.shared:
            values = values / values.dtype.type(pool.stride[0] * pool.stride[1])
        values = np.ascontiguousarray(values)
        enlarged = self.engine.unpool(values, pool.stride, pool.window, self.method)
        return Picture(enlarged, _moved(picture.origin, pool.stride, pool.pad))

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


def _moved(origin: Pair, stride: Pair, pad: Sequence[int]) -> Pair:
    return origin[0] * stride[0] - pad[0], origin[1] * stride[1] - pad[2]


def _times(values: Array, factor: float) -> Array:
    return values if factor == 1 else values * values.dtype.type(factor)


def _whole_blocks(picture: Picture, factor: Pair) -> tuple[Array, Pair]:
    """Return a picture extended to whole blocks of pixels, and the first block's position.

    Blocks are those that an `Upsample` or a `Shuffle` has made of one pixel each.
    """
    box = picture.box
    top, left = box.top // factor[0], box.left // factor[1]
    bottom, right = box.bottom // factor[0], box.right // factor[1]
    blocks = Box(
        top * factor[0],
        left * factor[1],
        (bottom + 1) * factor[0] - 1,
        (right + 1) * factor[1] - 1,
    )
    return picture.over(blocks).values, (top, left)


def _correlated(layer: kinds.ConvTranspose, picture: Picture, engine: Engine) -> Picture:
    """Correlate a picture with the filters at the upsampling's stride.

    That is the adjoint of a transposed convolution: of substitution and cropping.
    """
    box, (up, across), taps = picture.box, layer.upsample, layer.filters.shape[2:]
    top, bottom = layer.sees((box.top, box.bottom), 0)
    left, right = layer.sees((box.left, box.right), 1)
    first_row, first_column = top * up - layer.crop[0], left * across - layer.crop[2]
    seen = Box(
        first_row,
        first_column,
        first_row + (bottom - top) * up + taps[0] - 1,
        first_column + (right - left) * across + taps[1] - 1,
    )
    # Extended by zeros to all taps of all pixels that reach the picture: no padding is needed then.
    values = picture.over(seen).values
    filters = np.ascontiguousarray(layer.filters, values.dtype)
    below = engine.correlate(values, filters, None, layer.upsample, (0, 0, 0, 0), (1, 1))
    return Picture(below, (top, left))

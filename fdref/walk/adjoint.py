"""The adjoint of a network's linear layers, over pictures: what every way down has in common.

The adjoint of a correlation is substitution (transposed convolution), that of a sum hands the same
to all, and so on. Decoding, the gradient and the deconvnet differ in pools and in what is not
linear; each of them says what it does there.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from itertools import pairwise
from typing import TYPE_CHECKING, TypeAlias, assert_never

import numpy as np

from fdref import layers as kinds
from fdref.network.fields import Box
from fdref.walk.pictures import Picture, unite
from fdref.walk.shuffles import block_sums, depth_to_space, space_to_depth, spread_channels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.geometry import Pair
    from fdref.network.graph import Network

NonLinear: TypeAlias = (
    kinds.Pool
    | kinds.ReLU
    | kinds.PReLU
    | kinds.Elementwise
    | kinds.Softmax
    | kinds.Normalize
    | kinds.Product
    | kinds.Maximum
)
"""Layers of which each way down has a rule of its own; pools among them, as averages are rare."""


class Adjoint(ABC):
    """How pictures over a layer's output become pictures over each map that it takes.

    Parameters
    ----------
    net : Network
    engine : Engine
    sizes : mapping, optional
        Height and width of the maps, by number, to which pictures are clipped: what falls on
        padding is left out.
    """

    def __init__(self, net: Network, engine: Engine, sizes: Mapping[int, Pair] | None) -> None:
        self.net, self.engine, self.sizes = net, engine, sizes

    def united(self, number: int, pictures: Sequence[Picture]) -> Picture:
        """Add what all users of a map handed down."""
        picture = unite(pictures)
        return picture.over(picture.box.within(self.sizes[number])) if self.sizes else picture

    def below(  # noqa: C901, PLR0912 - a table: a row for each kind of layer
        self, number: int, picture: Picture
    ) -> list[Picture]:
        """Express a picture over a layer's output over each map that it takes."""
        layer, values, engine = self.net.layers[number - 1], picture.values, self.engine
        channels = [self.net.channels_of(taken) for taken in self.net.takes[number]]
        match layer:
            case kinds.Conv(filters=filters, stride=stride, pad=pad, dilate=dilate):
                bank = np.ascontiguousarray(filters, values.dtype)
                groups = channels[0] // bank.shape[1]
                below = engine.substitute(values, bank, stride, dilate, groups)
                return [Picture(below, moved(picture.origin, stride, pad))]
            case kinds.ConvTranspose():
                return [_correlated(layer, picture, engine)]
            case kinds.Sum():  # whose summands have one value handed down to each
                return [
                    Picture(scaled_by(values, layer.factor(n)), picture.origin)
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
                return [Picture(values, moved(picture.origin, (1, 1), pad))]
            case kinds.BatchNorm():
                return [self._scaled(picture, layer.scale(values.dtype))]
            case kinds.Scale(factor=own):
                return [self._scaled(picture, own.astype(values.dtype))]
            case kinds.Dropout():
                return [picture]
            case (
                kinds.Pool()
                | kinds.ReLU()
                | kinds.PReLU()
                | kinds.Elementwise()
                | kinds.Softmax()
                | kinds.Normalize()
                | kinds.Product()
                | kinds.Maximum()
            ):
                return self.through(layer, number, picture)
            case kinds.Unknown():
                raise AssertionError(layer)  # refused before anything is taken down
            case _:
                assert_never(layer)

    @abstractmethod
    def through(self, layer: NonLinear, number: int, picture: Picture) -> list[Picture]:
        """Take a picture through a layer that each way down has a rule of its own for."""

    def _scaled(self, picture: Picture, factor: Array) -> Picture:
        values = np.ascontiguousarray(picture.values)
        return Picture(self.engine.scale(values, factor, None, None), picture.origin)


def moved(origin: Pair, stride: Pair, pad: Sequence[int]) -> Pair:
    """Return where a window at a position begins on the map below."""
    return origin[0] * stride[0] - pad[0], origin[1] * stride[1] - pad[2]


def scaled_by(values: Array, factor: float) -> Array:
    """Multiply, unless that changes nothing."""
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

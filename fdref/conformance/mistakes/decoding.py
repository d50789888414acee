"""Mistakes in substitution, and in the order of decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref import reference
from fdref.conformance.implementation import Wrong, conv_like
from fdref.layers import BatchNorm, Conv, ReLU

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.arrays import Array
    from fdref.layers import Layer
    from fdref.network import Network
    from fdref.resize import Method

DOWN = ("substitute", "decode", "evaluate")
DECODE = ("decode", "evaluate")


class SubstitutionFlipped(Wrong):
    name = "substitution-flipped"
    sentence = (
        "pixels are replaced by filters rotated by 180 degrees (a full correlation with the "
        "filter); expected: they are replaced by the filters as they are"
    )
    operations = DOWN

    def substitute(self, maps: Array, layer: Conv, groups: int) -> Array:
        flipped = conv_like(layer, filters=layer.filters[:, :, ::-1, ::-1])
        return super().substitute(maps, flipped, groups)


class CorrelationDown(Wrong):
    name = "correlation-for-substitution"
    sentence = (
        "on the way down maps are correlated with the filters and keep their size; "
        "expected: every pixel is "
        "replaced by its filter, and the picture grows"
    )
    operations = ("substitute", "decode")

    def substitute(self, maps: Array, layer: Conv, groups: int) -> Array:
        count, own, height, width = layer.filters.shape
        shared_out = layer.filters.reshape(groups, count // groups, own, height, width)
        filters = shared_out.swapaxes(1, 2).reshape(-1, count // groups, height, width)
        rows, columns = layer.window
        pad = (rows - 1) // 2, rows // 2, (columns - 1) // 2, columns // 2
        return reference.correlate(maps, filters, None, layer.stride, pad, layer.dilate)


class Overwritten(Wrong):
    name = "overlaps-overwritten"
    sentence = "where filters overlap the last one stays; expected: they add"
    operations = DOWN

    def substitute(self, maps: Array, layer: Conv, groups: int) -> Array:
        pictures = np.zeros_like(super().substitute(maps, layer, groups))
        (down, across), (height, width) = layer.stride, layer.window
        (below, beside), count = layer.dilate, len(layer.filters) // groups
        for group in range(groups):
            own = slice(group * count, (group + 1) * count)
            stamps = np.einsum("njyx,jcuv->nyxcuv", maps[:, own], layer.filters[own])
            part = np.split(pictures, groups, axis=1)[group]
            for y, x in np.ndindex(maps.shape[2:]):
                rows = slice(y * down, y * down + height, below)
                columns = slice(x * across, x * across + width, beside)
                part[:, :, rows, columns] = stamps[:, y, x]
        return pictures


class SummedTooEarly(Wrong):
    name = "channels-summed-too-early"
    sentence = (
        "channels are summed before they are replaced, and so are the filters; "
        "expected: every channel is "
        "replaced by its own filter, and the results are summed"
    )
    operations = DOWN

    def substitute(self, maps: Array, layer: Conv, groups: int) -> Array:
        count, own, height, width = layer.filters.shape
        summed = maps.reshape(len(maps), groups, count // groups, *maps.shape[2:]).sum(axis=2)
        filters = layer.filters.reshape(groups, count // groups, own, height, width).sum(axis=1)
        return super().substitute(summed, conv_like(layer, filters=filters, bias=None), groups)


class BiasAdded(Wrong):
    name = "bias-added-while-decoding"
    sentence = (
        "a layer's biases are added to the pixels that it replaces; expected: they play no part"
    )
    operations = DECODE

    def down(self, layer: Layer, groups: int, pictures: Array, method: Method) -> Array:
        if isinstance(layer, Conv) and layer.bias is not None:
            pictures = pictures + layer.bias[:, None, None]
        return super().down(layer, groups, pictures, method)


class PaddingCropped(Wrong):
    name = "padding-cropped"
    sentence = (
        "what a layer pads is cropped from the picture, as transposed convolutions do it; "
        "expected: a "
        "decoded filter has the whole size of its receptive field"
    )
    operations = ("decode",)

    def down(self, layer: Layer, groups: int, pictures: Array, method: Method) -> Array:
        below = super().down(layer, groups, pictures, method)
        if not isinstance(layer, Conv):
            return below
        top, bottom, left, right = layer.pad
        return below[:, :, top : below.shape[2] - bottom, left : below.shape[3] - right]


class Rectified(Wrong):
    name = "rectified-while-decoding"
    sentence = (
        "negative values are dropped at a ReLU, as a deconvnet does; expected: it changes nothing"
    )
    operations = DECODE

    def down(self, layer: Layer, groups: int, pictures: Array, method: Method) -> Array:
        below = super().down(layer, groups, pictures, method)
        return np.maximum(below, 0) if isinstance(layer, ReLU) else below


class NormIgnored(Wrong):
    name = "bnorm-ignored-while-decoding"
    sentence = (
        "bnorm changes nothing on the way down; "
        "expected: each channel is multiplied by gain / deviation"
    )
    operations = DECODE

    def down(self, layer: Layer, groups: int, pictures: Array, method: Method) -> Array:
        if isinstance(layer, BatchNorm):
            return pictures
        return super().down(layer, groups, pictures, method)


class GroupOnFirstChannels(Wrong):
    name = "group-on-first-channels"
    sentence = (
        "a filter of the decoded layer lies on the first channels whatever its group; "
        "expected: it lies on "
        "its group's channels"
    )
    operations = ("decode", "evaluate")

    def top(self, layer: Conv, groups: int, filters: Sequence[int]) -> Array:
        pictures = np.zeros_like(super().top(layer, groups, filters))
        own = layer.filters.shape[1]
        alone = layer.filters[list(filters)]
        pictures[:, :own, :: layer.dilate[0], :: layer.dilate[1]] = alone
        return pictures


class StagesReversed(Wrong):
    name = "stages-reversed"
    sentence = (
        "`stage1` is the decoded filter; "
        "expected: it is the filter itself, and the decoded one is last"
    )
    operations = ("decode",)

    def decode(
        self, net: Network, number: int, filters: Sequence[int], method: Method
    ) -> list[Array]:
        return super().decode(net, number, filters, method)[::-1]


ALL: tuple[type[Wrong], ...] = (
    SubstitutionFlipped,
    CorrelationDown,
    Overwritten,
    SummedTooEarly,
    BiasAdded,
    PaddingCropped,
    Rectified,
    NormIgnored,
    GroupOnFirstChannels,
    StagesReversed,
)

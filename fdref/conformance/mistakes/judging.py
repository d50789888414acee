"""Mistakes in receptive fields, and in judging what decoded filters predict."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.conformance.implementation import Implementation, Wrong, windows
from fdref.geometry import ReceptiveField
from fdref.layers import Conv, ReLU

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.arrays import Array
    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.network import Network
    from fdref.resize import Method


class JumpTooSoon(Wrong):
    name = "jump-too-soon"
    sentence = (
        "a window grows the receptive field by its own stride times the layers' below; "
        "expected: only the "
        "strides below count"
    )
    operations = ("receptive_field",)

    def field(self, layers: Sequence[Layer]) -> ReceptiveField:
        size, jump, offset = [1, 1], [1, 1], [0, 0]
        for window, stride, pad in windows(layers):
            for axis in range(2):
                jump[axis] *= stride[axis]
                size[axis] += (window[axis] - 1) * jump[axis]
                offset[axis] -= pad[2 * axis] * jump[axis]
        return ReceptiveField(_pair(size), _pair(jump), _pair(offset))


class OffsetInPixelsAbove(Wrong):
    name = "offset-not-scaled"
    sentence = (
        "paddings are added up as they are; "
        "expected: a layer's counts in steps of the strides below"
    )
    operations = ("receptive_field", "evaluate")

    def field(self, layers: Sequence[Layer]) -> ReceptiveField:
        right = super().field(layers)
        pads = [pad for _, _, pad in windows(layers)]
        offset = -sum(pad[0] for pad in pads), -sum(pad[2] for pad in pads)
        return ReceptiveField(right.size, right.stride, offset)


class OffsetIgnored(Wrong):
    name = "offset-ignored"
    sentence = (
        "the first receptive field starts at pixel (0, 0) of the image; "
        "expected: where the network pads it "
        "starts outside"
    )
    operations = ("receptive_field", "respond", "evaluate")

    def field(self, layers: Sequence[Layer]) -> ReceptiveField:
        right = super().field(layers)
        return ReceptiveField(right.size, right.stride, (0, 0))

    def respond(
        self,
        images: Array,
        bank: Conv,
        offset: Sequence[int],  # noqa: ARG002
        output: Sequence[int],
    ) -> Array:
        return super().respond(images, bank, (0, 0), output)


class PerFilter(Wrong):
    name = "normalised-per-filter"
    sentence = (
        "each filter's responses are mapped to [0, 1] by themselves; "
        "expected: a layer's are together"
    )
    operations = ("evaluate",)

    def compare(self, response: Array, predicted: Array) -> tuple[Array, Array]:
        rows = response.shape[0] * response.shape[1]
        each = Implementation.compare(
            self, response.reshape(rows, -1), predicted.reshape(rows, -1)
        )[0]
        errors = each.reshape(response.shape[:2]).mean(axis=1)
        return errors, super().compare(response, predicted)[1]


class OverImages(Wrong):
    name = "normalised-over-images"
    sentence = "all images are mapped to [0, 1] together; expected: each is mapped by itself"
    operations = ("evaluate",)

    def compare(self, response: Array, predicted: Array) -> tuple[Array, Array]:
        both = [(a - a.min()) / np.ptp(a) for a in (response, predicted)]
        errors = ((both[0] - both[1]) ** 2).mean(axis=(1, 2, 3))
        return errors, super().compare(response, predicted)[1]


class NotNormalised(Wrong):
    name = "not-normalised"
    sentence = "the responses are compared as they are; expected: each is mapped to [0, 1] before"
    operations = ("evaluate",)

    def compare(self, response: Array, predicted: Array) -> tuple[Array, Array]:
        errors = ((response - predicted) ** 2).mean(axis=(1, 2, 3))
        return errors, super().compare(response, predicted)[1]


class AfterReLU(Wrong):
    name = "response-after-relu"
    sentence = "the response is taken after the ReLU; expected: it is the convolution's, before"
    operations = ("evaluate",)

    def evaluate(
        self, net: Network, number: int, images: Array, method: Method
    ) -> tuple[Array, Array]:
        response, predicted = super().evaluate(net, number, images, method)
        above = net.layers[number] if number < len(net) else None
        return self.relu(response, above) if isinstance(above, ReLU) else response, predicted


class DeviationOfSample(Wrong):
    name = "sample-deviation"
    sentence = "the standard deviation divides by N - 1; expected: it divides by N"
    operations = ("evaluate",)

    def spread(self, errors: Array) -> Array:
        return np.asarray(errors.std(ddof=1))


def _pair(numbers: Sequence[int]) -> Pair:
    return numbers[0], numbers[1]


ALL: tuple[type[Wrong], ...] = (
    JumpTooSoon,
    OffsetInPixelsAbove,
    OffsetIgnored,
    PerFilter,
    OverImages,
    NotNormalised,
    AfterReLU,
    DeviationOfSample,
)

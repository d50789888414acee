"""Mistakes in convolutions, on the way up and down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.implementation import Wrong, conv_like
from fdref.layers import Conv, Pool

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.conformance.case import Case
    from fdref.layers import Layer
    from fdref.resize import Method

UP = ("correlate", "respond", "forward", "evaluate")
NETWORKS = ("forward", "decode", "evaluate")


class FiltersFlipped(Wrong):
    name = "filters-flipped"
    sentence = (
        "the filters are rotated by 180 degrees, a true convolution; "
        "expected: the layer is a correlation"
    )
    operations = UP

    def correlate(self, x: Array, layer: Conv) -> Array:
        flipped = conv_like(layer, filters=layer.filters[:, :, ::-1, ::-1])
        return super().correlate(x, flipped)


class FiltersTransposed(Wrong):
    name = "filters-transposed"
    sentence = (
        "rows and columns of the filters are exchanged; "
        "expected: MATLAB's arrays have columns first in "
        "HDF5, so that axes must be put right once"
    )
    operations = (*UP, "substitute", "decode")

    def read(self, layer: Layer) -> Layer:
        if isinstance(layer, Conv):
            return conv_like(layer, filters=layer.filters.swapaxes(2, 3))
        return layer


class Repadded(Wrong):
    """Has the paddings in another order."""

    operations = ("correlate", "pool", "receptive_field", "forward", "evaluate")
    order = (0, 1, 2, 3)
    """Where the top, bottom, left and right ones are looked for; this is right."""

    def read(self, layer: Layer) -> Layer:
        if not isinstance(layer, Conv | Pool):
            return layer
        top, bottom, left, right = (layer.pad[place] for place in self.order)
        pad = top, bottom, left, right
        if isinstance(layer, Conv):
            return conv_like(layer, pad=pad)
        return Pool(layer.window, layer.stride, pad, layer.method)


class PadHorizontalFirst(Repadded):
    name = "pad-left-right-top-bottom"
    sentence = (
        "paddings are taken as [left, right, top, bottom]; "
        "expected: they are [top, bottom, left, right]"
    )
    order = (2, 3, 0, 1)


class PadCorners(Repadded):
    name = "pad-top-left-bottom-right"
    sentence = (
        "paddings are taken as [top, left, bottom, right]; "
        "expected: they are [top, bottom, left, right]"
    )
    order = (0, 2, 1, 3)


class StrideIgnored(Wrong):
    name = "stride-ignored"
    sentence = (
        "convolutions go on by one pixel whatever their stride; "
        "expected: they must go on by the stride"
    )
    operations = (*UP, "substitute", "decode")

    def read(self, layer: Layer) -> Layer:
        return conv_like(layer, stride=1) if isinstance(layer, Conv) else layer


class DilationIgnored(Wrong):
    name = "dilation-ignored"
    sentence = "taps of the filters are neighbours; expected: they lie `dilate` pixels apart"
    operations = ("correlate", "substitute", *NETWORKS)

    def read(self, layer: Layer) -> Layer:
        return conv_like(layer, dilate=1) if isinstance(layer, Conv) else layer


class GroupsInterleaved(Wrong):
    name = "groups-interleaved"
    sentence = (
        "filter k belongs to group k modulo the number of groups; "
        "expected: each group has neighbouring "
        "filters, k divided by their number"
    )
    operations = ("correlate", "substitute", *NETWORKS)

    def correlate(self, x: Array, layer: Conv) -> Array:
        order = _interleaved(len(layer.filters), x.shape[1] // layer.filters.shape[1])
        bias = None if layer.bias is None else layer.bias[order]
        response = super().correlate(x, conv_like(layer, filters=layer.filters[order], bias=bias))
        return response[:, np.argsort(order)]

    def substitute(self, maps: Array, layer: Conv, groups: int) -> Array:
        order = _interleaved(len(layer.filters), groups)
        filters = conv_like(layer, filters=layer.filters[order], bias=None)
        return super().substitute(maps[:, order], filters, groups)

    def top(self, layer: Conv, groups: int, filters: Sequence[int]) -> Array:
        order = _interleaved(len(layer.filters), groups)
        own = conv_like(layer, filters=layer.filters[order], bias=None)
        place = np.argsort(order)
        return super().top(own, groups, [int(place[k]) for k in filters])


class Single(Wrong):
    name = "float32"
    sentence = "results have the precision of float32; expected: float64 inputs ask for float64"
    operations = (
        "correlate",
        "pool",
        "relu",
        "substitute",
        "unpool",
        "forward",
        "decode",
    )

    def outputs(self, case: Case, folder: Path | None = None) -> dict[str, NDArray[Any]]:
        found = super().outputs(case, folder)
        return {name: _single(values) for name, values in found.items()}

    def output(self, layer: Layer, x: Array) -> Array:
        return _single(super().output(layer, _single(x)))

    def substitute(self, maps: Array, layer: Conv, groups: int) -> Array:
        return _single(super().substitute(_single(maps), layer, groups))

    def unpool(self, maps: Array, layer: Pool, method: Method) -> Array:
        return _single(super().unpool(_single(maps), layer, method))

    def read(self, layer: Layer) -> Layer:
        if isinstance(layer, Conv):
            bias = None if layer.bias is None else _single(layer.bias)
            return conv_like(layer, filters=_single(layer.filters), bias=bias)
        return layer


def _single(values: NDArray[Any]) -> NDArray[Any]:
    """Round to float32."""
    return values.astype(np.float32).astype(values.dtype)


def _interleaved(filters: int, groups: int) -> NDArray[np.intp]:
    """Return which filter each of the groups' places would get."""
    return np.argsort(np.arange(filters) % groups, kind="stable")


ALL: tuple[type[Wrong], ...] = (
    FiltersFlipped,
    FiltersTransposed,
    PadHorizontalFirst,
    PadCorners,
    StrideIgnored,
    DilationIgnored,
    GroupsInterleaved,
    Single,
)

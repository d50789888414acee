"""Mistakes in convolutions, on the way up and down."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.mistakes.mistake import NETWORKS, Mistake, other, over
from fdref.conformance.mistakes.rules import Interleaved, interleaved
from fdref.engines import OPERATIONS
from fdref.layers import Conv, Pool

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.arrays import Array
    from fdref.layers import Layer

    Operation = Callable[..., Array]
    Reading = Callable[[Layer], Layer]

PADDED = ("correlate", "pool", "receptive_field", "forward", "project", "evaluate", "occlude")
UP = ("correlate", "respond", "forward", "project", "evaluate", "occlude")


def flipped(right: Operation, x: Array, filters: Array, *more: Any) -> Array:
    """Rotate the filters by 180 degrees."""
    return right(x, filters[:, :, ::-1, ::-1], *more)


def convolutions(**changes: Any) -> Reading:
    """Read convolutions with some parameters of one's own."""

    def read(layer: Layer) -> Layer:
        return conv_like(layer, **changes) if isinstance(layer, Conv) else layer

    return read


def conv_like(layer: Conv, **changes: Any) -> Conv:
    """Return a convolution that differs in some parameters."""
    same = {name: getattr(layer, name) for name in ("filters", "bias", "stride", "pad", "dilate")}
    return Conv(**(same | changes))


def transposed(layer: Layer) -> Layer:
    """Exchange rows and columns of filters."""
    if isinstance(layer, Conv):
        return conv_like(layer, filters=layer.filters.swapaxes(2, 3))
    return layer


def pads(*order: int) -> Reading:
    """Look for the top, bottom, left and right padding at other places."""

    def read(layer: Layer) -> Layer:
        if not isinstance(layer, Conv | Pool):
            return layer
        top, bottom, left, right = (layer.pad[place] for place in order)
        pad = top, bottom, left, right
        if isinstance(layer, Conv):
            return conv_like(layer, pad=pad)
        return Pool(layer.window, layer.stride, pad, layer.method)

    return read


def correlate_interleaved(
    right: Operation, x: Array, filters: Array, bias: Array | None, *more: Any
) -> Array:
    """Give each filter the channels of another group."""
    order = interleaved(len(filters), x.shape[1] // filters.shape[1])
    response = right(x, filters[order], None if bias is None else bias[order], *more)
    return response[:, np.argsort(order)]


def substitute_interleaved(
    right: Operation, maps: Array, filters: Array, stride: Any, dilate: Any, groups: int
) -> Array:
    """Do so on the way down."""
    order = interleaved(len(filters), groups)
    return right(maps[:, order], filters[order], stride, dilate, groups)


def single(right: Operation, *arguments: Any) -> Array:
    """Compute in float64, but round to float32 before and after."""
    wide = (a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in arguments)
    return right(*wide).astype(np.float32)


SINGLE = over(
    **{name: single for name in OPERATIONS if name != "precision"},
    precision=lambda right, weights: np.dtype(np.float32),  # noqa: ARG005
)

ALL = (
    Mistake("filters-flipped",
        "the filters are rotated by 180 degrees, a true convolution; expected: the layer is a "
        "correlation", UP, over(correlate=flipped)),
    Mistake("filters-transposed",
        "rows and columns of the filters are exchanged; expected: MATLAB's arrays have columns "
        "first in HDF5, so that axes must be put right once", (*UP, "substitute", "decode"),
        other(read=transposed)),
    Mistake("pad-left-right-top-bottom",
        "paddings are taken as [left, right, top, bottom]; expected: they are [top, bottom, left, "
        "right]", PADDED,
        other(read=pads(2, 3, 0, 1))),
    Mistake("pad-top-left-bottom-right",
        "paddings are taken as [top, left, bottom, right]; expected: they are [top, bottom, left, "
        "right]", PADDED,
        other(read=pads(0, 2, 1, 3))),
    Mistake("stride-ignored",
        "convolutions go on by one pixel whatever their stride; expected: they must go on by the "
        "stride", (*UP, "substitute", "decode"), other(read=convolutions(stride=1))),
    Mistake("dilation-ignored",
        "taps of the filters are neighbours; expected: they lie `dilate` pixels apart",
        ("correlate", "substitute", *NETWORKS), other(read=convolutions(dilate=1))),
    Mistake("groups-interleaved",
        "filter k belongs to group k modulo the number of groups; expected: each group has "
        "neighbouring filters, k divided by their number", ("correlate", "substitute", *NETWORKS),
        replace(over(correlate=correlate_interleaved, substitute=substitute_interleaved),
         rules=Interleaved)),
    Mistake("float32",
        "results have the precision of float32; expected: float64 inputs ask for float64",
        ("correlate", "pool", "relu", "substitute", "unpool", "forward", "decode", "project"),
        SINGLE),
)  # fmt: skip

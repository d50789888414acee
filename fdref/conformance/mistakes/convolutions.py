"""Mistakes in convolutions, on the way up."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fdref.conformance.mistakes.mistake import NO_PAD, Mistake, other, over
from fdref.conformance.mistakes.rules import interleaved
from fdref.layers import Conv

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.arrays import Array
    from fdref.conformance.mistakes.mistake import Wrong
    from fdref.geometry import Margins, Pair
    from fdref.layers import Layer

    Operation = Callable[..., Array]

PADDED = ("correlate", "forward", "project", "evaluate", "occlude")
PLACED = ("correlate", "forward", "evaluate", "occlude")
STEPPED, RESPONDING = ("correlate", "forward"), ("correlate", "respond", "forward")
"""Where maps of another size can be returned: elsewhere nothing would fit."""
UP = ("correlate", "respond", "forward", "project", "evaluate", "occlude")


def conv_like(layer: Conv, **changes: Any) -> Conv:
    """Return a convolution that differs in some parameters."""
    same = {name: getattr(layer, name) for name in ("filters", "bias", "stride", "pad", "dilate")}
    return Conv(**(same | changes))


def transposed(layer: Layer) -> Layer:
    """Exchange rows and columns of filters."""
    if isinstance(layer, Conv):
        return conv_like(layer, filters=layer.filters.swapaxes(2, 3))
    return layer


def filters(change: Callable[[Array], Array]) -> Wrong:
    """Correlate with other filters."""

    def correlate(right: Operation, x: Array, filters: Array, *more: Any) -> Array:
        return right(x, np.ascontiguousarray(change(filters)), *more)

    return over(correlate=correlate)


def biases(change: Callable[[Array], Array | None]) -> Wrong:
    """Add other biases."""

    def correlate(
        right: Operation, x: Array, filters: Array, bias: Array | None, *more: Any
    ) -> Array:
        return right(x, filters, None if bias is None else change(bias), *more)

    return over(correlate=correlate)


def steps(change: Callable[[Pair, Margins, Pair], tuple[Pair, Margins, Pair]]) -> Wrong:
    """Take other strides, paddings and dilations."""

    def correlate(
        right: Operation, x: Array, filters: Array, bias: Array | None, *given: Any
    ) -> Array:
        return right(x, filters, bias, *change(*given))

    return over(correlate=correlate)


def pads(*order: int) -> Wrong:
    """Look for the top, bottom, left and right padding at other places."""

    def change(stride: Pair, pad: Margins, dilate: Pair) -> tuple[Pair, Margins, Pair]:
        top, bottom, left, right = (pad[place] for place in order)
        return stride, (top, bottom, left, right), dilate

    return steps(change)


def flipped(*axes: int) -> Callable[[Array], Array]:
    """Turn filters round along axes."""
    return lambda filters: np.flip(filters, axes)


def without_last(axis: int) -> Callable[[Array], Array]:
    """Leave out what loops that end too early leave out."""

    def changed(filters: Array) -> Array:
        found = np.array(filters)
        np.moveaxis(found, axis, 0)[-1] = 0
        return found

    return changed


def channels_first(filters: Array) -> Array:
    """Read filters as if the numbers of channels came before those of filters."""
    count, own, *window = filters.shape
    return filters.reshape(own, count, *window).swapaxes(0, 1)


def of_first(filters: Array) -> Array:
    """Take the first filter for every filter."""
    return np.broadcast_to(filters[:1], filters.shape)


def correlate_interleaved(
    right: Operation, x: Array, filters: Array, bias: Array | None, *more: Any
) -> Array:
    """Give each filter the channels of another group."""
    order = interleaved(len(filters), x.shape[1] // filters.shape[1])
    response = right(x, filters[order], None if bias is None else bias[order], *more)
    return response[:, np.argsort(order)]


def correlate_first(right: Operation, x: Array, filters: Array, *more: Any) -> Array:
    """Give each filter the channels of the first group."""
    return right(np.ascontiguousarray(x[:, : filters.shape[1]]), filters, *more)


def padded(mode: Literal["edge", "symmetric"]) -> Operation:
    """Pad with pixels of the map."""

    def correlate(
        right: Operation,
        x: Array,
        filters: Array,
        bias: Array | None,
        stride: Pair,
        pad: Margins,
        dilate: Pair,
    ) -> Array:
        larger = np.pad(x, ((0, 0), (0, 0), pad[:2], pad[2:]), mode)
        return right(larger, filters, bias, stride, NO_PAD, dilate)

    return correlate


def size_rounded_up(
    right: Operation,
    x: Array,
    filters: Array,
    bias: Array | None,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Array:
    """Go on to where the last filter begins on the padded map."""
    edges = list(pad)
    for axis in range(2):
        extent = (filters.shape[2 + axis] - 1) * dilate[axis] + 1
        spare = x.shape[2 + axis] + sum(pad[2 * axis : 2 * axis + 2]) - extent
        edges[2 * axis + 1] += ceil(spare / stride[axis]) * stride[axis] - spare
    return right(x, filters, bias, stride, tuple(edges), dilate)


ALL = (
    Mistake("filters-flipped",
        "the filters are rotated by 180 degrees, a true convolution; expected: the layer is a "
        "correlation", UP, filters(flipped(2, 3))),
    Mistake("filters-upside-down",
        "the filters' rows are taken from the last to the first; expected: from the first to the "
        "last", UP, filters(flipped(2))),
    Mistake("filters-mirrored",
        "the filters' columns are taken from the last to the first; expected: from the first to "
        "the last", UP, filters(flipped(3))),
    Mistake("filters-transposed",
        "rows and columns of the filters are exchanged; expected: MATLAB's arrays have columns "
        "first in HDF5, so that axes must be put right once", UP,
        filters(lambda filters: filters.swapaxes(2, 3))),
    Mistake("decoded-filters-transposed",
        "on the way down rows and columns of the filters are exchanged; expected: MATLAB's arrays "
        "have columns first in HDF5, so that axes must be put right once",
        ("substitute", "decode", "project", "evaluate"), other(read=transposed)),
    Mistake("filters-and-channels-swapped",
        "filters are read as (C, K, kh, kw); expected: they are (K, C, kh, kw)", UP,
        filters(channels_first)),
    Mistake("first-filter-for-all",
        "every filter gives the response of the first; expected: each its own", UP,
        filters(of_first)),
    Mistake("filters-in-reverse",
        "responses of the filters are returned from the last to the first; expected: from the "
        "first to the last", UP, filters(flipped(0))),
    Mistake("last-filter-row-left-out",
        "the last row of the filters is left out; expected: i goes from 0 to kh - 1", UP,
        filters(without_last(2))),
    Mistake("last-filter-column-left-out",
        "the last column of the filters is left out; expected: j goes from 0 to kw - 1", UP,
        filters(without_last(3))),
    Mistake("last-channel-left-out",
        "the last channel of the filters is left out; expected: c goes from 0 to C/groups - 1", UP,
        filters(without_last(1))),
    Mistake("channels-reversed",
        "the filters' channels are taken from the last to the first, as BGR for RGB; expected: "
        "from the first to the last", UP, filters(flipped(1))),
    Mistake("bias-ignored",
        "convolutions add no bias; expected: each filter adds its own",
        PADDED, biases(lambda bias: None)),  # noqa: ARG005
    Mistake("bias-twice", "convolutions add their bias twice; expected: once", PADDED,
        biases(lambda bias: 2 * bias)),
    Mistake("bias-minus",
        "convolutions subtract their bias on the way up; expected: they add it", PADDED,
        biases(lambda bias: -bias)),
    Mistake("first-bias-for-all",
        "every filter adds the first bias; expected: each its own", PADDED,
        biases(lambda bias: np.repeat(bias[:1], len(bias)))),
    Mistake("pad-left-right-top-bottom",
        "paddings of convolutions are taken as [left, right, top, bottom]; expected: they are "
        "[top, bottom, left, right]", PLACED, pads(2, 3, 0, 1)),
    Mistake("pad-top-left-bottom-right",
        "paddings of convolutions are taken as [top, left, bottom, right]; expected: they are "
        "[top, bottom, left, right]", PLACED, pads(0, 2, 1, 3)),
    Mistake("pad-bottom-top-right-left",
        "paddings of convolutions are taken as [bottom, top, right, left]; expected: they are "
        "[top, bottom, left, right]", PLACED, pads(1, 0, 3, 2)),
    Mistake("pad-one-for-all",
        "convolutions pad every side like the top; expected: four sides, four numbers",
        PLACED, pads(0, 0, 0, 0)),
    Mistake("pad-vertical-horizontal",
        "convolutions pad the bottom like the top and the right like the left; expected: four "
        "sides, four numbers", PLACED, pads(0, 0, 2, 2)),
    Mistake("pad-ignored",
        "convolutions do not pad; expected: zeros on every side", STEPPED,
        steps(lambda stride, pad, dilate: (stride, (0, 0, 0, 0), dilate))),  # noqa: ARG005
    Mistake("stride-ignored",
        "convolutions go on by one pixel whatever their stride; expected: they must go on by the "
        "stride", (*RESPONDING, "evaluate"),
        steps(lambda stride, pad, dilate: ((1, 1), pad, dilate))),  # noqa: ARG005
    Mistake("stride-swapped",
        "strides of convolutions are taken as [horizontal, vertical]; expected: they are "
        "[vertical, horizontal]", RESPONDING,
        steps(lambda stride, pad, dilate: (stride[::-1], pad, dilate))),
    Mistake("stride-one-for-both",
        "convolutions go on horizontally as they do vertically; expected: a stride is a pair",
        RESPONDING,
        steps(lambda stride, pad, dilate: ((stride[0], stride[0]), pad, dilate))),
    Mistake("dilation-ignored",
        "taps of the filters are neighbours; expected: they lie `dilate` pixels apart",
        (*STEPPED, "occlude"),
        steps(lambda stride, pad, dilate: (stride, pad, (1, 1)))),  # noqa: ARG005
    Mistake("dilation-swapped",
        "dilations are taken as [horizontal, vertical]; expected: they are [vertical, horizontal]",
        (*STEPPED, "occlude"), steps(lambda stride, pad, dilate: (stride, pad, dilate[::-1]))),
    Mistake("dilation-one-for-both",
        "filters are dilated horizontally as they are vertically; expected: `dilate` is a pair",
        STEPPED, steps(lambda stride, pad, dilate: (stride, pad, (dilate[0], dilate[0])))),
    Mistake("padding-repeats",
        "convolutions pad by repeating the border; expected: with zeros", PLACED,
        over(correlate=padded("edge"))),
    Mistake("padding-mirrors",
        "convolutions pad by mirroring the map; expected: with zeros", PLACED,
        over(correlate=padded("symmetric"))),
    Mistake("convolution-rounds-up",
        "a convolution has one more row or column where the stride does not divide the map; "
        "expected: its size is rounded down", STEPPED, over(correlate=size_rounded_up)),
    Mistake("groups-interleaved",
        "filter k sees group k modulo the number of groups; expected: each group has neighbouring "
        "filters, k divided by their number", PADDED, over(correlate=correlate_interleaved)),
    Mistake("groups-ignored",
        "every filter sees the channels of the first group; expected: those of its own", PADDED,
        over(correlate=correlate_first)),
)  # fmt: skip

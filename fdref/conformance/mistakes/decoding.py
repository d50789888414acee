"""Mistakes in substitution, and in the order of decoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.mistakes.convolutions import flipped
from fdref.conformance.mistakes.mistake import Mistake, other, over
from fdref.conformance.mistakes.rules import BiasAdded, OnFirstChannels, PaddingCropped, Rectified
from fdref.engines import reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.arrays import Array
    from fdref.conformance.compute import Outputs
    from fdref.geometry import Pair

    Operation = Callable[..., Array]

DOWN = ("substitute", "decode", "project", "evaluate")
DECODE = ("decode", "evaluate")


def correlation(
    right: Operation,  # noqa: ARG001
    maps: Array,
    filters: Array,
    stride: Pair,
    dilate: Pair,
    groups: int,
) -> Array:
    """Correlate maps with the filters, each group's seen from the other side."""
    count, own, height, width = filters.shape
    shared_out = filters.reshape(groups, count // groups, own, height, width)
    turned = shared_out.swapaxes(1, 2).reshape(-1, count // groups, height, width)
    rows, columns = (dilate[axis] * (filters.shape[2 + axis] - 1) for axis in range(2))
    pad = rows // 2, rows - rows // 2, columns // 2, columns - columns // 2
    return reference.correlate(maps, turned, None, stride, pad, dilate)


def overwritten(
    right: Operation, maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int
) -> Array:
    """Put filters into the picture one by one, each over those before."""
    pictures = np.zeros_like(right(maps, filters, stride, dilate, groups))
    count, extent = (
        len(filters) // groups,
        [dilate[axis] * (filters.shape[2 + axis] - 1) + 1 for axis in range(2)],
    )
    for group in range(groups):
        own = slice(group * count, (group + 1) * count)
        part = np.split(pictures, groups, axis=1)[group]
        for y in range(maps.shape[2]):
            stamps = np.einsum("njx,jcuv->nxcuv", maps[:, own, y], filters[own], optimize=True)
            rows = slice(y * stride[0], y * stride[0] + extent[0], dilate[0])
            for x in range(maps.shape[3]):
                left = x * stride[1]
                columns = slice(left, left + extent[1], dilate[1])
                part[:, :, rows, columns] = stamps[:, x]
    return pictures


def summed_too_early(
    right: Operation, maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int
) -> Array:
    """Sum the channels of each group, and their filters."""
    summed = maps.reshape(len(maps), groups, -1, *maps.shape[2:]).sum(axis=2)
    together = filters.reshape(groups, -1, *filters.shape[1:]).sum(axis=1)
    return right(summed, together, stride, dilate, groups)


def norm_ignored(
    right: Operation, x: Array, factor: Array, offset: Array | None, mean: Array | None
) -> Array:
    """Scale on the way up alone, where there is an offset."""
    return x if offset is None else right(x, factor, offset, mean)


def reverse(found: Outputs, *question: Any) -> Outputs:  # noqa: ARG001
    """Name the stages from the image."""
    return dict(zip(found, reversed(found.values()), strict=True))


ALL = (
    Mistake("substitution-flipped",
        "pixels are replaced by filters rotated by 180 degrees (a full correlation with the "
        "filter); expected: they are replaced by the filters as they are", DOWN,
        over(substitute=flipped)),
    Mistake("correlation-for-substitution",
        "on the way down maps are correlated with the filters and keep their size; expected: "
        "every pixel is replaced by its filter, and the picture grows", ("substitute", "decode"),
        over(substitute=correlation)),
    Mistake("overlaps-overwritten", "where filters overlap the last one stays; expected: they add",
        DOWN, over(substitute=overwritten)),
    Mistake("channels-summed-too-early",
        "channels are summed before they are replaced, and so are the filters; expected: every "
        "channel is replaced by its own filter, and the results are summed", DOWN,
        over(substitute=summed_too_early)),
    Mistake("bias-added-while-decoding",
        "a layer's biases are added to the pixels that it replaces; expected: they play no part",
        DECODE, other(rules=BiasAdded)),
    Mistake("padding-cropped",
        "what a layer pads is cropped from the picture, as transposed convolutions do it; "
        "expected: a decoded filter has the whole size of its receptive field", ("decode",),
        other(rules=PaddingCropped)),
    Mistake("rectified-while-decoding",
        "negative values are dropped at a ReLU, as a deconvnet does; expected: it changes nothing",
        DECODE, other(rules=Rectified)),
    Mistake("bnorm-ignored-while-decoding",
        "bnorm changes nothing on the way down; expected: each channel is multiplied by gain / "
        "deviation", (*DECODE, "project"), over(scale=norm_ignored)),
    Mistake("group-on-first-channels",
        "a filter of the decoded layer lies on the first channels whatever its group; expected: "
        "it lies on its group's channels", DECODE, other(rules=OnFirstChannels)),
    Mistake("stages-reversed",
        "`stage1` is the decoded filter; expected: it is the filter itself, and the decoded one "
        "is last", ("decode",), other(change=reverse)),
)  # fmt: skip

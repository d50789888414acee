"""Mistakes in substitution."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.conformance.mistakes.convolutions import (
    channels_first,
    flipped,
    of_first,
    without_last,
)
from fdref.conformance.mistakes.mistake import Mistake, over
from fdref.conformance.mistakes.rules import interleaved
from fdref.engines import reference

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.arrays import Array
    from fdref.conformance.mistakes.mistake import Wrong
    from fdref.geometry import Pair

    Operation = Callable[..., Array]

SIZED = ("substitute", "decode", "project")
"""Where pictures of another size can be returned: elsewhere nothing would fit."""
DOWN = ("substitute", "decode", "project", "evaluate")


def filters(change: Callable[[Array], Array]) -> Wrong:
    """Replace pixels by other filters."""

    def substitute(right: Operation, maps: Array, filters: Array, *more: object) -> Array:
        return right(maps, np.ascontiguousarray(change(filters)), *more)

    return over(substitute=substitute)


def steps(change: Callable[[Pair, Pair], tuple[Pair, Pair]]) -> Wrong:
    """Take other strides and dilations."""

    def substitute(
        right: Operation, maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int
    ) -> Array:
        return right(maps, filters, *change(stride, dilate), groups)

    return over(substitute=substitute)


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


def averaged(
    right: Operation, maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int
) -> Array:
    """Divide each pixel by the number of filters that overlap there."""
    ones = np.ones_like(filters[:1, :1])
    count = right(np.ones_like(maps[:1, :1]), ones, stride, dilate, 1)
    return np.asarray(right(maps, filters, stride, dilate, groups) / np.maximum(count, 1))


def summed_too_early(
    right: Operation, maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int
) -> Array:
    """Sum the channels of each group, and their filters."""
    summed = maps.reshape(len(maps), groups, -1, *maps.shape[2:]).sum(axis=2)
    together = filters.reshape(groups, -1, *filters.shape[1:]).sum(axis=1)
    return right(summed, together, stride, dilate, groups)


def on_interleaved(
    right: Operation, maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int
) -> Array:
    """Take neighbouring channels for those of different groups."""
    order = interleaved(len(filters), groups)
    return right(np.ascontiguousarray(maps[:, order]), filters[order], stride, dilate, groups)


def on_first(
    right: Operation, maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int
) -> Array:
    """Put the filters of all groups on the channels of the first."""
    found = np.zeros_like(right(maps, filters, stride, dilate, groups))
    found[:, : filters.shape[1]] = right(maps, filters, stride, dilate, 1)
    return found


ALL = (
    Mistake("substitution-flipped",
        "pixels are replaced by filters rotated by 180 degrees (a full correlation with the "
        "filter); expected: they are replaced by the filters as they are", DOWN,
        filters(flipped(2, 3))),
    Mistake("substitution-upside-down",
        "pixels are replaced by filters whose rows go from the last to the first; expected: by "
        "the filters as they are", DOWN, filters(flipped(2))),
    Mistake("substitution-mirrored",
        "pixels are replaced by filters whose columns go from the last to the first; expected: by "
        "the filters as they are", DOWN, filters(flipped(3))),
    Mistake("substitution-of-swapped-channels",
        "on the way down filters are read as (C, K, kh, kw); expected: they are (K, C, kh, kw)",
        DOWN, filters(channels_first)),
    Mistake("substitution-of-reversed-channels",
        "on the way down the filters' channels go from the last to the first; expected: from the "
        "first to the last", DOWN, filters(flipped(1))),
    Mistake("substitution-by-filters-in-reverse",
        "pixels of channel j are replaced by filter K - 1 - j; expected: by filter j", DOWN,
        filters(flipped(0))),
    Mistake("substitution-by-the-first-filter",
        "pixels of every channel are replaced by the first filter; expected: by their own", DOWN,
        filters(of_first)),
    Mistake("substitution-without-the-last-row",
        "on the way down the last row of the filters is left out; expected: u goes from 0 to "
        "kh - 1", DOWN, filters(without_last(2))),
    Mistake("substitution-without-the-last-column",
        "on the way down the last column of the filters is left out; expected: v goes from 0 to "
        "kw - 1", DOWN, filters(without_last(3))),
    Mistake("substitution-without-the-last-channel",
        "pixels of the last channel are left out; expected: j goes from 0 to K - 1", DOWN,
        filters(without_last(0))),
    Mistake("substitution-stride-ignored",
        "replaced pixels are neighbours; expected: filters lie a stride apart", SIZED,
        steps(lambda stride, dilate: ((1, 1), dilate))),  # noqa: ARG005
    Mistake("substitution-stride-swapped",
        "on the way down strides are taken as [horizontal, vertical]; expected: they are "
        "[vertical, horizontal]", SIZED, steps(lambda stride, dilate: (stride[::-1], dilate))),
    Mistake("substitution-stride-one-for-both",
        "on the way down filters lie as far apart horizontally as vertically; expected: a stride "
        "is a pair", SIZED, steps(lambda stride, dilate: ((stride[0], stride[0]), dilate))),
    Mistake("substitution-dilation-ignored",
        "on the way down the filters' taps are neighbours; expected: they lie `dilate` pixels "
        "apart", SIZED, steps(lambda stride, dilate: (stride, (1, 1)))),  # noqa: ARG005
    Mistake("substitution-dilation-swapped",
        "on the way down dilations are taken as [horizontal, vertical]; expected: they are "
        "[vertical, horizontal]", SIZED, steps(lambda stride, dilate: (stride, dilate[::-1]))),
    Mistake("substitution-groups-interleaved",
        "on the way down channel j belongs to group j modulo the number of groups; expected: each "
        "group has neighbouring channels, j divided by their number", DOWN,
        over(substitute=on_interleaved)),
    Mistake("substitution-groups-ignored",
        "on the way down all groups lie on the channels of the first; expected: each on its own",
        DOWN, over(substitute=on_first)),
    Mistake("correlation-for-substitution",
        "on the way down maps are correlated with the filters and keep their size; expected: "
        "every pixel is replaced by its filter, and the picture grows", ("substitute", "decode"),
        over(substitute=correlation)),
    Mistake("overlaps-overwritten", "where filters overlap the last one stays; expected: they add",
        DOWN, over(substitute=overwritten)),
    Mistake("overlaps-averaged",
        "where filters overlap their sum is divided by their number; expected: they add", DOWN,
        over(substitute=averaged)),
    Mistake("channels-summed-too-early",
        "channels are summed before they are replaced, and so are the filters; expected: every "
        "channel is replaced by its own filter, and the results are summed", DOWN,
        over(substitute=summed_too_early)),
)  # fmt: skip

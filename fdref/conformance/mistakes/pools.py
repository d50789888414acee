"""Mistakes in pools, on the way up."""

from __future__ import annotations

from math import ceil, prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.mistakes.mistake import NO_PAD, Mistake, over

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.arrays import Array
    from fdref.conformance.mistakes.mistake import Wrong
    from fdref.geometry import Margins, Pair

    Operation = Callable[..., Array]
    Steps = tuple[Pair, Pair, Margins, str]

SIZED = ("pool", "forward")
"""Where maps of another size can be returned: elsewhere nothing would fit."""
POOLED = ("pool", "forward", "project", "evaluate", "occlude")


def padding_in_pools(of: str) -> Wrong:
    """Take the padding for pixels of the map, in the pools of one method, up and down."""

    def padded(x: Array, pad: Margins) -> Array:
        return np.pad(x, ((0, 0), (0, 0), pad[:2], pad[2:]))

    def pool(
        right: Operation, x: Array, window: Pair, stride: Pair, pad: Margins, method: str
    ) -> Array:
        if method != of:
            return right(x, window, stride, pad, method)
        return right(padded(x, pad), window, stride, NO_PAD, method)

    def pool_gradient(
        right: Operation,
        x: Array,
        delta: Array,
        window: Pair,
        stride: Pair,
        pad: Margins,
        method: str,
    ) -> Array:
        if method != of:
            return right(x, delta, window, stride, pad, method)
        found = right(padded(x, pad), delta, window, stride, NO_PAD, method)
        height, width = x.shape[2:]
        return found[:, :, pad[0] : pad[0] + height, pad[2] : pad[2] + width]

    return over(pool=pool, pool_gradient=pool_gradient)


def rounded_up(
    right: Operation, x: Array, window: Pair, stride: Pair, pad: Margins, method: str
) -> Array:
    """Go on to where the last window begins on the map."""
    edges = list(pad)
    for axis in range(2):
        spare = x.shape[2 + axis] + sum(pad[2 * axis : 2 * axis + 2]) - window[axis]
        edges[2 * axis + 1] += ceil(spare / stride[axis]) * stride[axis] - spare
    return right(x, window, stride, tuple(edges), method)


def steps(change: Callable[[Pair, Pair, Margins, str], Steps]) -> Wrong:
    """Take other windows, strides, paddings and methods."""

    def pool(right: Operation, x: Array, *given: Any) -> Array:
        return right(x, *change(*given))

    return over(pool=pool)


def edges(*order: int) -> Callable[[Pair, Pair, Margins, str], Steps]:
    """Look for the top, bottom, left and right padding at other places."""

    def change(window: Pair, stride: Pair, pad: Margins, method: str) -> Steps:
        top, bottom, left, right = (pad[place] for place in order)
        return window, stride, (top, bottom, left, right), method

    return change


def summed(
    right: Operation, x: Array, window: Pair, stride: Pair, pad: Margins, method: str
) -> Array:
    """Do not divide a sum."""
    if method != "avg":
        return right(x, window, stride, pad, method)
    widths = ((0, 0), (0, 0), pad[:2], pad[2:])
    return right(np.pad(x, widths), window, stride, NO_PAD, method) * prod(window)


def of_magnitudes(right: Operation, x: Array, *given: Any) -> Array:
    """Take the number that is farthest from 0."""
    if given[-1] != "max":
        return right(x, *given)
    most, least = right(x, *given), -right(-x, *given)
    return np.where(-least > most, least, most)


def nan_in_maxima(right: Operation, x: Array, *given: Any) -> Array:
    """Let NaN lose against every pixel."""
    return right(np.where(np.isnan(x), -np.inf, x) if given[-1] == "max" else x, *given)


ALL = (
    Mistake("average-counts-padding",
        "averages divide by the whole window; expected: they divide by its pixels on the map",
        POOLED, padding_in_pools("avg")),
    Mistake("average-not-divided",
        "averages are sums; expected: they divide by the window's pixels on the map", POOLED,
        over(pool=summed)),
    Mistake("padding-wins",
        "the padding's zeros win over negative maxima; expected: windows are clipped to the map",
        ("pool", "forward", "project", "evaluate"), padding_in_pools("max")),
    Mistake("pool-rounds-up",
        "a pool has one more row or column where the stride does not divide the map; expected: "
        "its size is rounded down", (*SIZED, "occlude"), over(pool=rounded_up)),
    Mistake("pool-window-swapped",
        "windows of pools are taken as [horizontal, vertical]; expected: they are [vertical, "
        "horizontal]", (*SIZED, "project", "occlude"),
        steps(lambda w, s, p, m: (w[::-1], s, p, m))),
    Mistake("pool-window-square",
        "windows of pools are as wide as they are high; expected: a window is a pair", POOLED,
        steps(lambda w, s, p, m: ((w[0], w[0]), s, p, m))),
    Mistake("pool-stride-swapped",
        "strides of pools are taken as [horizontal, vertical]; expected: they are [vertical, "
        "horizontal]", SIZED, steps(lambda w, s, p, m: (w, s[::-1], p, m))),
    Mistake("pool-stride-one-for-both",
        "pools go on horizontally as they do vertically; expected: a stride is a pair", SIZED,
        steps(lambda w, s, p, m: (w, (s[0], s[0]), p, m))),
    Mistake("pool-stride-ignored",
        "pools go on by one pixel whatever their stride; expected: they go on by the stride",
        SIZED, steps(lambda w, s, p, m: (w, (1, 1), p, m))),  # noqa: ARG005
    Mistake("pool-stride-is-window",
        "pools go on by their window whatever their stride; expected: they go on by the stride",
        POOLED, steps(lambda w, s, p, m: (w, w, p, m))),  # noqa: ARG005
    Mistake("pool-pad-left-right-top-bottom",
        "paddings of pools are taken as [left, right, top, bottom]; expected: they are [top, "
        "bottom, left, right]", POOLED, steps(edges(2, 3, 0, 1))),
    Mistake("pool-pad-top-left-bottom-right",
        "paddings of pools are taken as [top, left, bottom, right]; expected: they are [top, "
        "bottom, left, right]", SIZED, steps(edges(0, 2, 1, 3))),
    Mistake("pool-pad-bottom-top-right-left",
        "paddings of pools are taken as [bottom, top, right, left]; expected: they are [top, "
        "bottom, left, right]", POOLED, steps(edges(1, 0, 3, 2))),
    Mistake("pool-pad-one-for-all",
        "pools pad every side like the top; expected: four sides, four numbers",
        (*SIZED, "occlude"),
        steps(edges(0, 0, 0, 0))),
    Mistake("pool-pad-vertical-horizontal",
        "pools pad the bottom like the top and the right like the left; expected: four sides, "
        "four numbers", (*SIZED, "occlude"), steps(edges(0, 0, 2, 2))),
    Mistake("pool-pad-ignored",
        "pools do not pad; expected: on every side as many pixels as are asked for", POOLED,
        steps(lambda w, s, p, m: (w, s, NO_PAD, m))),  # noqa: ARG005
    Mistake("maximum-for-average", "all pools take maxima; expected: `avg` takes averages", POOLED,
        steps(lambda w, s, p, m: (w, s, p, "max"))),  # noqa: ARG005
    Mistake("average-for-maximum", "all pools take averages; expected: `max` takes maxima", POOLED,
        steps(lambda w, s, p, m: (w, s, p, "avg"))),  # noqa: ARG005
    Mistake("maximum-of-magnitudes",
        "pools take the number that is farthest from 0; expected: the largest", POOLED,
        over(pool=of_magnitudes)),
    Mistake("nan-lost-in-maxima", "a maximum loses NaN; expected: NaN in, NaN out", ("pool",),
        over(pool=nan_in_maxima)),
)  # fmt: skip

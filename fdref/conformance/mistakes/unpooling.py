"""Mistakes in unpooling: where enlarged maps lie, and how windows are shared."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.mistakes.mistake import Mistake
from fdref.conformance.mistakes.resizing import UNPOOL, by, framed
from fdref.conformance.mistakes.substitutions import overwritten
from fdref.engines import reference
from fdref.engines.resize import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.arrays import Array
    from fdref.engines.resize import Method
    from fdref.geometry import Pair

    Operation = Callable[..., Array]

SIZED = ("unpool", "decode")
"""Where pictures of another size can be returned: elsewhere nothing would fit."""


def odd_before(right: Operation, maps: Array, *more: Any) -> Array:
    """Centre with the odd zero before: turn, unpool, and turn back."""
    return np.ascontiguousarray(right(maps[:, :, ::-1, ::-1], *more)[:, :, ::-1, ::-1])


def sizes(change: Callable[[Pair, Pair], tuple[Pair, Pair]]) -> Operation:
    """Take other strides and windows."""

    def unpool(right: Operation, maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
        return right(maps, *change(stride, window), method)

    return unpool


def odd_cropped_before(
    right: Operation, maps: Array, stride: Pair, window: Pair, method: Method
) -> Array:
    """Crop the odd pixel before, where windows are smaller than strides, and pad as it is right."""
    for axis in range(2):
        if window[axis] < stride[axis]:
            maps = np.flip(maps, 2 + axis)
    found = right(np.ascontiguousarray(maps), stride, window, method)
    for axis in range(2):
        if window[axis] < stride[axis]:
            found = np.flip(found, 2 + axis)
    return np.ascontiguousarray(found)


def odd_zero_before(
    right: Operation, maps: Array, stride: Pair, window: Pair, method: Method
) -> Array:
    """Put the odd zero before, where windows are larger than strides, and crop as it is right."""
    both = odd_before(right, maps, stride, window, method)
    turned = partial(odd_cropped_before, partial(odd_before, right))
    narrow = any(w < s for w, s in zip(window, stride, strict=True))
    return turned(maps, stride, window, method) if narrow else both


def zeros_after(right: Operation, maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
    """Put the enlarged map into the first corner."""
    pictures = right(maps, stride, stride, method)
    found = np.zeros_like(right(maps, stride, window, method))
    fitting = pictures[:, :, : found.shape[2], : found.shape[3]]
    found[:, :, : fitting.shape[2], : fitting.shape[3]] = fitting
    return found


def zeros_before(right: Operation, *given: Any) -> Array:
    """Put the enlarged map into the last corner: turn, put it into the first, and turn back."""
    return odd_before(partial(zeros_after, partial(odd_before, right)), *given)


def window_ignored(
    right: Operation,
    maps: Array,
    stride: Pair,
    window: Pair,  # noqa: ARG001
    method: Method,
) -> Array:
    """Enlarge, and no more."""
    return right(maps, stride, stride, method)


def zero_filled(
    right: Operation,
    maps: Array,
    stride: Pair,
    window: Pair,
    method: Method,  # noqa: ARG001
) -> Array:
    """Give each pixel one place of its window."""
    (count, channels, height, width), (down, across) = maps.shape, stride
    pictures = np.zeros((count, channels, height * down, width * across))
    pictures[:, :, ::down, ::across] = maps
    return framed(right, pictures, stride, window)


def copied(right: Operation, maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
    """Give each pixel of a window the whole value."""
    return right(maps * prod(window), stride, window, method)


def divided_by_strides(
    right: Operation, maps: Array, stride: Pair, window: Pair, method: Method
) -> Array:
    """Take the shares to be as many as a stride has pixels."""
    return copied(right, maps / prod(stride), stride, window, method)


def shares_overwritten(
    right: Operation,  # noqa: ARG001
    maps: Array,
    stride: Pair,
    window: Pair,
    method: Method,  # noqa: ARG001
) -> Array:
    """Put shares into the picture one by one, each over those before."""
    each, share = maps.reshape(-1, 1, *maps.shape[2:]), np.full((1, 1, *window), 1 / prod(window))
    found = overwritten(reference.substitute, each, share, stride, (1, 1), 1)
    return found.reshape(*maps.shape[:2], *found.shape[2:])


ALL = (
    Mistake("odd-pixel-before",
        "of an odd number of zeros around a map one more is before it; expected: one more is after",
        UNPOOL, by(odd_before)),
    Mistake("odd-zero-before",
        "of an odd number of zeros around a map one more is before it; expected: one more is "
        "after (cropped pixels are right)", UNPOOL, by(odd_zero_before)),
    Mistake("odd-cropped-before",
        "of an odd number of pixels that are cropped one more is before; expected: one more is "
        "after (zeros are right)", SIZED, by(odd_cropped_before)),
    Mistake("not-centred", "all zeros come after the enlarged map; expected: it is centred", UNPOOL,
        by(zeros_after)),
    Mistake("centred-at-the-end",
        "all zeros come before the enlarged map; expected: it is centred", UNPOOL,
        by(zeros_before)),
    Mistake("unpool-stride-swapped",
        "on the way down strides of pools are taken as [horizontal, vertical]; expected: they are "
        "[vertical, horizontal]", SIZED,
        by(sizes(lambda stride, window: (stride[::-1], window)), METHODS)),
    Mistake("unpool-window-swapped",
        "on the way down windows of pools are taken as [horizontal, vertical]; expected: they are "
        "[vertical, horizontal]", SIZED,
        by(sizes(lambda stride, window: (stride, window[::-1])), METHODS)),
    Mistake("unpool-stride-one-for-both",
        "maps are enlarged horizontally as they are vertically; expected: a stride is a pair",
        SIZED, by(sizes(lambda stride, window: ((stride[0], stride[0]), window)), METHODS)),
    Mistake("unpool-window-square",
        "on the way down windows of pools are as wide as they are high; expected: a window is a "
        "pair", SIZED,
        by(sizes(lambda stride, window: (stride, (window[0], window[0]))), METHODS)),
    Mistake("unpool-stride-is-window",
        "maps are enlarged by the window; expected: by the stride", SIZED,
        by(sizes(lambda stride, window: (window, window)), METHODS)),  # noqa: ARG005
    Mistake("window-ignored",
        "maps grow by the stride alone; expected: they lie in (n - 1) * stride + window pixels",
        SIZED, by(window_ignored, METHODS)),
    Mistake("unpooled-with-zeros",
        "each pixel goes to one place of its window and the others are 0, as in max-unpooling; "
        "expected: maps are enlarged, or under `window` shared out", UNPOOL,
        by(zero_filled, METHODS)),
    Mistake("window-not-divided",
        "under `window` each pixel of a window gets the whole value; expected: it gets an equal "
        "share of it", UNPOOL, by(copied, ["window"])),
    Mistake("window-divided-by-stride",
        "under `window` values are divided by the area of the stride; expected: they are divided "
        "by that of the window", UNPOOL, by(divided_by_strides, ["window"])),
    Mistake("window-overlaps-overwritten",
        "where the windows of `window` overlap the last share stays; expected: they add", UNPOOL,
        by(shares_overwritten, ["window"])),
)  # fmt: skip

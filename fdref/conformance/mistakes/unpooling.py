"""Mistakes in unpooling."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.mistakes.decoding import overwritten
from fdref.conformance.mistakes.mistake import Mistake, over
from fdref.engines import reference
from fdref.engines.resize import METHODS, PAPERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.conformance.compute import Library
    from fdref.engines.resize import Method
    from fdref.geometry import Pair

    Operation = Callable[..., Array]
    Taps = NDArray[np.intp]

UNPOOL = ("unpool", "decode", "evaluate")


def by(wrong: Operation, methods: Sequence[Method] = PAPERS) -> Library:
    """Return fdref that unpools wrongly by some methods: those that enlarge, if none are named."""

    def unpool(right: Operation, maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
        own = partial(wrong, right) if method in methods else right
        return own(maps, stride, window, method)

    return over(unpool=unpool)


def mirrored(taps: Taps, size: int) -> Taps:
    """Mirror indices beyond the border, as it is right."""
    around = taps % (2 * size)
    return np.where(around < size, around, 2 * size - 1 - around)


def clamped(taps: Taps, size: int) -> Taps:
    """Repeat the last pixel beyond the border."""
    return np.asarray(np.clip(taps, 0, size - 1))


def edges(size: int, enlarged: int) -> Array:
    """Return where outputs stand among the inputs, whose outer edges are the same."""
    return np.asarray((np.arange(enlarged) + 0.5) * size / enlarged - 0.5)


def corners(size: int, enlarged: int) -> Array:
    """Return where they stand if the outer pixels are the same."""
    return np.arange(enlarged) * ((size - 1) / max(enlarged - 1, 1))


def matrix(
    size: int,
    enlarged: int,
    method: Method,
    a: float = -0.5,
    border: Callable[[Taps, int], Taps] = mirrored,
    places: Callable[[int, int], Array] = edges,
) -> Array:
    """Return the matrix (enlarged, size) that interpolates; the defaults are right."""
    outputs, found = np.arange(enlarged), np.zeros((enlarged, size))
    if method == "nearest":
        found[outputs, np.floor(edges(size, enlarged) + 0.5).astype(int)] = 1
        return found
    u, reach = places(size, enlarged), 1 if method == "bilinear" else 2
    taps = np.floor(u)[:, None].astype(int) + np.arange(1 - reach, 1 + reach)
    x = np.abs(u[:, None] - taps)
    near = (a + 2) * x**3 - (a + 3) * x**2 + 1  # Keys' kernel for any a
    far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    cubic = np.where(x <= 1, near, far)
    np.add.at(
        found,
        (outputs[:, None], border(taps, size)),
        np.maximum(1 - x, 0) if reach == 1 else cubic,
    )
    return found


def resized(
    right: Operation, maps: Array, stride: Pair, window: Pair, method: Method, **wrong: Any
) -> Array:
    """Enlarge with another matrix, then centre."""
    sizes = maps.shape[2:]
    rows, columns = (matrix(n, n * s, method, **wrong) for n, s in zip(sizes, stride, strict=True))
    return framed(right, rows @ maps @ columns.T, stride, window)


def framed(right: Operation, pictures: Array, stride: Pair, window: Pair) -> Array:
    """Centre as the right one does: as a pool of stride 1 would."""
    (down, across), (height, width) = stride, window
    return right(pictures, (1, 1), (1 + height - down, 1 + width - across), "nearest")


def stretched(
    right: Operation,  # noqa: ARG001
    maps: Array,
    stride: Pair,
    window: Pair,
    method: Method,
) -> Array:
    """Enlarge straight to the receptive field."""
    rows, columns = (
        matrix(n, (n - 1) * step + size, method)
        for n, step, size in zip(maps.shape[2:], stride, window, strict=True)
    )
    return rows @ maps @ columns.T


def odd_before(right: Operation, maps: Array, *more: Any) -> Array:
    """Centre with the odd zero before: turn, unpool, and turn back."""
    return np.ascontiguousarray(right(maps[:, :, ::-1, ::-1], *more)[:, :, ::-1, ::-1])


def zeros_after(right: Operation, maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
    """Put the enlarged map into the first corner."""
    pictures = right(maps, stride, stride, method)
    found = np.zeros_like(right(maps, stride, window, method))
    fitting = pictures[:, :, : found.shape[2], : found.shape[3]]
    found[:, :, : fitting.shape[2], : fitting.shape[3]] = fitting
    return found


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
    Mistake("bicubic-three-quarters", "bicubic's kernel has a = -3/4; expected: it has a = -1/2",
        UNPOOL, by(partial(resized, a=-0.75))),
    Mistake("border-clamped",
        "pixels beyond the border repeat the last one; expected: they are mirrored: -1 is 0, -2 "
        "is 1", UNPOOL, by(partial(resized, border=clamped))),
    Mistake("pytorch-bicubic",
        "PyTorch's interpolate: bicubic's kernel has a = -3/4 and the border is clamped; "
        "expected: it has a = -1/2 and the border is mirrored", UNPOOL,
        by(partial(resized, a=-0.75, border=clamped))),
    Mistake("aligned-corners",
        "the outer pixels of the small and the large picture coincide (align_corners); expected: "
        "their outer edges do", UNPOOL, by(partial(resized, places=corners))),
    Mistake("stretched-to-the-field",
        "maps are enlarged straight to their receptive field; expected: they are enlarged by the "
        "stride, then centred in it", UNPOOL, by(stretched)),
    Mistake("odd-pixel-before",
        "of an odd number of zeros around a map one more is before it; expected: one more is after",
        UNPOOL, by(odd_before)),
    Mistake("not-centred", "all zeros come after the enlarged map; expected: it is centred", UNPOOL,
        by(zeros_after)),
    Mistake("window-ignored",
        "maps grow by the stride alone; expected: they lie in (n - 1) * stride + window pixels",
        ("unpool", "decode"), by(window_ignored, METHODS)),
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

"""Mistakes in enlarging maps by the paper's methods."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.mistakes.mistake import Mistake, over
from fdref.engines.resize import PAPERS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.conformance.mistakes.mistake import Wrong
    from fdref.engines.resize import Method
    from fdref.geometry import Pair

    Operation = Callable[..., Array]
    Taps = NDArray[np.intp]
    Kernel = Callable[[Array], Array]

UNPOOL = ("unpool", "decode", "evaluate")


def by(wrong: Operation, methods: Sequence[Method] = PAPERS) -> Wrong:
    """Return fdref that unpools wrongly by some methods: those that enlarge, if none are named."""

    def unpool(right: Operation, maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
        own = partial(wrong, right) if method in methods else right
        return own(maps, stride, window, method)

    return over(unpool=unpool)


def mirrored(taps: Taps, size: int) -> Taps:
    """Mirror indices beyond the border, as it is right."""
    around = taps % (2 * size)
    return np.where(around < size, around, 2 * size - 1 - around)


def reflected(taps: Taps, size: int) -> Taps:
    """Mirror indices at the middle of the last pixel, which is not repeated."""
    if size == 1:
        return np.zeros_like(taps)
    around = np.abs(taps) % (2 * size - 2)
    return np.asarray(np.minimum(around, 2 * size - 2 - around))


def wrapped(taps: Taps, size: int) -> Taps:
    """Begin again at the other end."""
    return np.asarray(taps % size)


def clamped(taps: Taps, size: int) -> Taps:
    """Repeat the last pixel beyond the border."""
    return np.asarray(np.clip(taps, 0, size - 1))


def edges(size: int, enlarged: int) -> Array:
    """Return where outputs stand among the inputs, whose outer edges are the same."""
    return np.asarray((np.arange(enlarged) + 0.5) * size / enlarged - 0.5)


def asymmetric(size: int, enlarged: int) -> Array:
    """Return where they stand if the first pixels begin together."""
    return np.arange(enlarged) * (size / enlarged)


def unshifted(size: int, enlarged: int) -> Array:
    """Return where they stand half a pixel of the input too far."""
    return np.asarray((np.arange(enlarged) + 0.5) * size / enlarged)


def corners(size: int, enlarged: int) -> Array:
    """Return where they stand if the outer pixels are the same."""
    return np.arange(enlarged) * ((size - 1) / max(enlarged - 1, 1))


def keys(a: float) -> Kernel:
    """Return Keys' kernel; x are distances of no more than 2."""

    def kernel(x: Array) -> Array:
        near = (a + 2) * x**3 - (a + 3) * x**2 + 1
        far = a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
        return np.asarray(np.where(x <= 1, near, far))

    return kernel


def smooth(b: float, c: float) -> Kernel:
    """Return the kernel of Mitchell and Netravali: B-splines have b = 1 and c = 0."""

    def kernel(x: Array) -> Array:
        near = (12 - 9 * b - 6 * c) * x**3 + (-18 + 12 * b + 6 * c) * x**2 + 6 - 2 * b
        far = (-b - 6 * c) * x**3 + (6 * b + 30 * c) * x**2 + (-12 * b - 48 * c) * x
        return np.asarray(np.where(x <= 1, near, far + 8 * b + 24 * c) / 6)

    return kernel


def linear(x: Array) -> Array:
    """Return the kernel of bilinear interpolation."""
    return np.maximum(1 - x, 0)


def matrix(
    size: int,
    enlarged: int,
    method: Method,
    cubic: Kernel = keys(-0.5),  # noqa: B008 - a constant
    border: Callable[[Taps, int], Taps] | None = mirrored,
    places: Callable[[int, int], Array] = edges,
    *,
    renormalised: bool = False,
) -> Array:
    """Return the matrix (enlarged, size) that interpolates; the defaults are right.

    Without a border what lies beyond is 0.
    """
    outputs, found = np.arange(enlarged), np.zeros((enlarged, size))
    if method == "nearest":
        found[outputs, np.floor(edges(size, enlarged) + 0.5).astype(int)] = 1
        return found
    u, reach = places(size, enlarged), 1 if method == "bilinear" else 2
    taps = np.floor(u)[:, None].astype(int) + np.arange(1 - reach, 1 + reach)
    weights = (linear if reach == 1 else cubic)(np.abs(u[:, None] - taps))
    if border is None:
        weights = np.where((taps >= 0) & (taps < size), weights, 0)
    np.add.at(found, (outputs[:, None], (border or clamped)(taps, size)), weights)
    return found / found.sum(axis=1, keepdims=True) if renormalised else found


def rounded(size: int, enlarged: int) -> Array:
    """Return the matrix of nearest neighbours that rounds o / stride."""
    found = np.zeros((enlarged, size))
    nearest = np.floor(asymmetric(size, enlarged) + 0.5).astype(int)
    found[np.arange(enlarged), np.minimum(nearest, size - 1)] = 1
    return found


def nearest_rounded(
    right: Operation,
    maps: Array,
    stride: Pair,
    window: Pair,
    method: Method,  # noqa: ARG001
) -> Array:
    """Enlarge by nearest neighbours, of which some are the next."""
    rows, columns = (rounded(n, n * s) for n, s in zip(maps.shape[2:], stride, strict=True))
    return framed(right, rows @ maps @ columns.T, stride, window)


def another(instead: Method) -> Operation:
    """Enlarge by another method."""

    def unpool(right: Operation, maps: Array, stride: Pair, window: Pair, method: Method) -> Array:  # noqa: ARG001
        return right(maps, stride, window, instead)

    return unpool


def divided(right: Operation, maps: Array, stride: Pair, *more: Any) -> Array:
    """Share a pixel among its copies."""
    return right(maps / prod(stride), stride, *more)


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


ENLARGING: tuple[Method, Method] = ("bilinear", "bicubic")

ALL = (
    Mistake("bicubic-three-quarters", "bicubic's kernel has a = -3/4; expected: it has a = -1/2",
        UNPOOL, by(partial(resized, cubic=keys(-0.75)))),
    Mistake("bicubic-one", "bicubic's kernel has a = -1; expected: it has a = -1/2", UNPOOL,
        by(partial(resized, cubic=keys(-1)))),
    Mistake("bicubic-spline",
        "bicubic's kernel is the cubic B-spline, which smooths; expected: Keys' with a = -1/2",
        UNPOOL, by(partial(resized, cubic=smooth(1, 0)))),
    Mistake("bicubic-mitchell",
        "bicubic's kernel is Mitchell's; expected: Keys' with a = -1/2", UNPOOL,
        by(partial(resized, cubic=smooth(1 / 3, 1 / 3)))),
    Mistake("border-clamped",
        "pixels beyond the border repeat the last one; expected: they are mirrored: -1 is 0, -2 "
        "is 1", UNPOOL, by(partial(resized, border=clamped))),
    Mistake("border-reflected",
        "pixels beyond the border are mirrored without the last one (reflect-101): -1 is 1; "
        "expected: -1 is 0, -2 is 1", UNPOOL, by(partial(resized, border=reflected))),
    Mistake("border-wrapped",
        "beyond the border the map begins again; expected: it is mirrored: -1 is 0, -2 is 1",
        UNPOOL, by(partial(resized, border=wrapped))),
    Mistake("border-zero",
        "pixels beyond the border are 0; expected: they are mirrored: -1 is 0, -2 is 1", UNPOOL,
        by(partial(resized, border=None))),
    Mistake("border-renormalised",
        "weights beyond the border are left out and the others divided by their sum, as JAX, "
        "TensorFlow and PIL do it; expected: pixels are mirrored: -1 is 0, -2 is 1", UNPOOL,
        by(partial(resized, border=None, renormalised=True))),
    Mistake("pytorch-bicubic",
        "PyTorch's interpolate: bicubic's kernel has a = -3/4 and the border is clamped; "
        "expected: it has a = -1/2 and the border is mirrored", UNPOOL,
        by(partial(resized, cubic=keys(-0.75), border=clamped))),
    Mistake("aligned-corners",
        "the outer pixels of the small and the large picture coincide (align_corners); expected: "
        "their outer edges do", UNPOOL, by(partial(resized, places=corners))),
    Mistake("asymmetric",
        "output o stands at o / stride of the input; expected: at (o + 1/2) / stride - 1/2",
        UNPOOL, by(partial(resized, places=asymmetric))),
    Mistake("half-a-pixel-off",
        "output o stands at (o + 1/2) / stride of the input; expected: 1/2 less", UNPOOL,
        by(partial(resized, places=unshifted))),
    Mistake("stretched-to-the-field",
        "maps are enlarged straight to their receptive field; expected: they are enlarged by the "
        "stride, then centred in it", UNPOOL, by(stretched)),
    Mistake("nearest-rounded",
        "`nearest` rounds o / stride, so that the next pixel begins half way; expected: it takes "
        "the whole number below", UNPOOL, by(nearest_rounded, ["nearest"])),
    Mistake("copies-divided",
        "enlarged pixels are divided by the area of the stride; expected: each is as bright as "
        "its pixel", UNPOOL, by(divided)),
    Mistake("nearest-for-all",
        "maps are enlarged by `nearest` whatever the method; expected: by the method", UNPOOL,
        by(another("nearest"), ENLARGING)),
    Mistake("bilinear-for-bicubic", "`bicubic` is `bilinear`; expected: Keys' kernel", UNPOOL,
        by(another("bilinear"), ["bicubic"])),
    Mistake("bicubic-for-bilinear", "`bilinear` is `bicubic`; expected: 1 - |t|", UNPOOL,
        by(another("bicubic"), ["bilinear"])),
)  # fmt: skip

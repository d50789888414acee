"""Section 4 of the specification for `numpy_scipy.py`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy_layers import demand
from scipy import ndimage, signal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kit_files import Array

    Pair = Sequence[int]


def unpool(
    maps: Array, *, stride: Pair, window: Pair, method: str, pixels: Array | None = None
) -> Array:
    """Enlarge maps. `pixels` has over how many each pixel is shared, if not over its window."""
    demand(min(stride) > 0 and min(window) > 0, f"strides {stride}, windows {window}")
    if method == "window":
        return shared(maps / (window[0] * window[1] if pixels is None else pixels), stride, window)
    for axis in (2, 3):
        factor = stride[axis - 2]
        maps = np.moveaxis(stretched(maps, axis, factor, method), axis, -1)
        extra = window[axis - 2] - factor  # cropped where it is negative
        before, after = abs(extra) // 2, abs(extra) - abs(extra) // 2
        if extra < 0:
            maps = maps[..., before : maps.shape[-1] - after]
        else:
            maps = np.pad(maps, [(0, 0)] * 3 + [(before, after)])
        maps = np.moveaxis(maps, -1, axis)
    return maps


def shared(maps: Array, stride: Pair, window: Pair) -> Array:
    """Every share on all of its window's pixels; a convolution adds where they overlap."""
    rows, columns = (np.arange(n) * s for n, s in zip(maps.shape[2:], stride, strict=True))
    apart = np.zeros((*maps.shape[:2], rows[-1] + 1, columns[-1] + 1))
    apart[:, :, rows[:, None], columns] = maps
    return signal.convolve(apart, np.ones((1, 1, *window)), "full", "direct")


def stretched(maps: Array, axis: int, factor: int, method: str) -> Array:
    """One axis enlarged as imresize does: every factor-th output has the same weights."""
    demand(method in KERNELS or method == "nearest", f"no such method as {method!r}")
    if method == "nearest":
        return np.repeat(maps, factor, axis)
    phases = []
    for phase in range(factor):
        u = (phase + 0.5) / factor - 0.5
        near = np.arange(-2, 3)
        weights = KERNELS[method](np.abs(u - near))
        used = near[weights != 0]  # a weight of 0 would spread NaN
        weights = weights[used[0] + 2 : used[-1] + 3]
        origin = -used[0] - len(weights) // 2
        # "reflect" is SciPy's name for the mirror that repeats the border pixel.
        phases.append(ndimage.correlate1d(maps, weights, axis, mode="reflect", origin=origin))
    shape = list(maps.shape)
    shape[axis] *= factor
    return np.stack(phases, axis + 1).reshape(shape)


def bilinear(t: Array) -> Array:
    return np.maximum(1 - t, 0)


def bicubic(t: Array) -> Array:
    inner = 1.5 * t**3 - 2.5 * t**2 + 1
    outer = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t <= 1, inner, np.where(t <= 2, outer, 0))


KERNELS: dict[str, Callable[[Array], Array]] = {"bilinear": bilinear, "bicubic": bicubic}

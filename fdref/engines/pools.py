"""Pools of the compiled engine, and their gradients: every channel of every image by itself."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fdref import kernels
from fdref.engines.cuts import in_slices, seconds
from fdref.engines.parallel import each
from fdref.engines.products import sum_precision
from fdref.geometry import output_size

if TYPE_CHECKING:
    from fdref.arrays import Array
    from fdref.geometry import Margins, Pair


def pool(images: Array, window: Pair, stride: Pair, pad: Margins, method: str) -> Array:
    """Pool every channel of every image as a map by itself."""
    size = output_size(images.shape[2:], window, stride, pad)
    loop, dtype = kernels.max_pool, images.dtype
    if method == "avg":
        loop, dtype = kernels.average_pool, sum_precision(sum(window), dtype)
    pooled = np.empty((*images.shape[:2], *size), dtype)
    maps, results, windows = _maps(images), _maps(pooled), (window, stride, (pad[0], pad[2]))

    def fill(part: slice) -> None:
        loop(maps[part], results[part], *windows)

    each(fill, in_slices(len(maps), images.shape[2:]), seconds(moved=images.size))
    return pooled.astype(images.dtype, copy=False)


def pool_gradient(
    images: Array,
    gradient: Array,
    window: Pair,
    stride: Pair,
    pad: Margins,
    method: str,
) -> Array:
    """Hand the gradient back through every channel of every image by itself."""
    # By how many windows a pixel is reached along each axis; their gradients are added one by one.
    reached = [
        min(-(-size // step), count)
        for size, step, count in zip(window, stride, gradient.shape[2:], strict=True)
    ]
    terms = prod(reached) if method == "max" else sum(reached)
    result = np.zeros(images.shape, sum_precision(terms, images.dtype))
    maps, above, below = _maps(images), _maps(gradient), _maps(result)
    windows = (window, stride, (pad[0], pad[2]))

    def fill(part: slice) -> None:
        if method == "max":
            kernels.max_pool_gradient(maps[part], above[part], below[part], *windows)
        else:
            kernels.average_pool_gradient(above[part], below[part], *windows)

    each(fill, in_slices(len(maps), images.shape[2:]), seconds(moved=images.size))
    return result.astype(images.dtype, copy=False)


def _maps(images: Array) -> Array:
    return images.reshape(-1, *images.shape[2:])

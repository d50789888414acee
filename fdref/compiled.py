"""The compiled engine: BLAS products between Numba loops, in the weights' own precision.

A correlation gathers the patches of a block of images into a matrix and multiplies the filters
with it; a substitution multiplies first and scatters the products. This module checks nothing,
allocates everything, and hands over to `fdref.kernels`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref import kernels
from fdref.geometry import extent, output_size, substituted_size
from fdref.resize import matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.geometry import Margins, Pair
    from fdref.resize import Method

BLOCK = 2**21
"""Numbers in the matrix of patches of one block of images: 8 MB in float32, within most caches."""

COUNTED = 2**16
"""Numbers among which zeros are counted."""

STAMPS, PIXELS = 2**22, 2**11
"""Numbers in the stamps made at a time, and of how many pixels they are at least: both sides of the
product are long, and its result is still in the cache when it is added."""


def precision(weights: np.dtype[Any]) -> np.dtype[Any]:
    """Return the weights' own dtype."""
    return weights


def correlate(
    images: Array,
    filters: Array,
    bias: Array | None,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Array:
    """Multiply the filters with the matrix of patches."""
    size = output_size(images.shape[2:], extent(filters.shape[2:], dilate), stride, pad)
    response = np.empty((len(images), len(filters), *size), images.dtype)
    offsets = np.zeros(len(filters), images.dtype) if bias is None else bias
    for block, columns in _patches(images, filters, size, stride, pad, dilate):
        product = np.empty((len(filters), columns.shape[1]), images.dtype)
        for own, filter_set in _groups(filters, columns):
            weights = filters[filter_set].reshape(-1, own.stop - own.start)
            np.matmul(weights, columns[own], out=product[filter_set])
        by_filter = product.reshape(len(filters), -1, *size)
        np.add(by_filter.swapaxes(0, 1), offsets[:, None, None], out=response[block])
    return response


def substitute(maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int) -> Array:
    """Multiply the filters with the maps and add up the products; few pixels, one by one."""
    taps, size = filters.shape[2:], maps.shape[2:]
    channels = filters.shape[1] * groups
    enlarged = substituted_size(size, stride, extent(taps, dilate))
    pictures = np.zeros((len(maps), channels, *enlarged), maps.dtype)
    if _is_sparse(maps) and np.isfinite(filters).all():
        kernels.substitute(maps, filters, pictures, stride, dilate)
    elif taps[1] > size[1]:
        _stamp(maps, filters, pictures, stride, dilate)
    else:
        _scatter(maps, filters, pictures, stride, dilate)
    return pictures


def _scatter(maps: Array, filters: Array, pictures: Array, stride: Pair, dilate: Pair) -> None:
    """Multiply all taps with all pixels, then scatter; each run is a row of a map."""
    taps, size = filters.shape[2:], maps.shape[2:]
    channels = pictures.shape[1]
    rows = channels * taps[0] * taps[1]
    for block in _blocks(len(maps), rows * size[0] * size[1]):
        by_filter = np.ascontiguousarray(maps[block].swapaxes(0, 1)).reshape(len(filters), -1)
        columns = np.empty((rows, by_filter.shape[1]), maps.dtype)
        for own, filter_set in _groups(filters, columns):
            weights = filters[filter_set].reshape(-1, own.stop - own.start)
            np.matmul(weights.T, by_filter[filter_set], out=columns[own])
        patches = columns.reshape(channels, *taps, -1, *size)
        kernels.scatter_patches(patches, pictures[block], stride, dilate)


def _stamp(maps: Array, filters: Array, pictures: Array, stride: Pair, dilate: Pair) -> None:
    """Multiply all pixels with some rows of all filters, then add; each run is a filter's row.

    So large filters on small maps, such as those that are composed from below, are added from the
    cache that the product has left them in.
    """
    (count, _, *size), (height, width) = maps.shape, filters.shape[2:]
    own = filters.shape[1]
    per_group = len(filters) * own // pictures.shape[1]
    pixels = np.ascontiguousarray(maps.transpose(0, 2, 3, 1))
    if tuple(size) == (1, 1) and len(filters) == per_group and dilate == (1, 1):
        # One pixel has no neighbour to overlap with: the product is the picture.
        product = pictures.reshape(count, -1)
        np.matmul(pixels.reshape(count, -1), filters.reshape(per_group, -1), out=product)
        return
    at_once = max(PIXELS, STAMPS // (height * width))
    step = min(count, max(1, at_once // (size[0] * size[1])))
    rows = min(height, max(1, STAMPS // (step * size[0] * size[1] * width)))
    buffer = np.empty(step * size[0] * size[1] * rows * width, maps.dtype)
    for first in range(0, count, step):
        block = pixels[first : first + step].reshape(-1, len(filters))
        for c in range(pictures.shape[1]):
            group = slice(c // own * per_group, (c // own + 1) * per_group)
            for top in range(0, height, rows):
                weights = filters[group, c % own, top : top + rows].reshape(per_group, -1)
                stamps = buffer[: len(block) * weights.shape[1]].reshape(len(block), -1)
                np.matmul(block[:, group], weights, out=stamps)
                kernels.add_stamps(
                    stamps.reshape(-1, *size, weights.shape[1] // width, width),
                    pictures[first : first + step, c],
                    stride,
                    dilate,
                    top,
                )


def unpool(maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
    """Enlarge by the bands of the two small matrices, framed or cropped to the receptive field."""
    height, width = maps.shape[2:]
    rows = _band(height, stride[0], window[0], method, maps.dtype)
    columns = _band(width, stride[1], window[1], method, maps.dtype)
    origin = (max(window[0] - stride[0], 0) // 2, max(window[1] - stride[1], 0) // 2)
    size = substituted_size((height, width), stride, window)
    pictures = np.zeros((*maps.shape[:2], *size), maps.dtype)
    kernels.enlarge(_maps(maps), *rows, *columns, origin, _maps(pictures))
    return pictures


def pool(images: Array, window: Pair, stride: Pair, pad: Margins, method: str) -> Array:
    """Pool every channel of every image as a map by itself."""
    size = output_size(images.shape[2:], window, stride, pad)
    pooled = np.empty((*images.shape[:2], *size), images.dtype)
    loop = kernels.max_pool if method == "max" else kernels.average_pool
    loop(_maps(images), _maps(pooled), window, stride, (pad[0], pad[2]))
    return pooled


def filter_gradient(
    images: Array,
    gradient: Array,
    filters: Array,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Array:
    """Multiply the gradient with the matrix of patches."""
    size = gradient.shape[2:]
    result = np.zeros_like(filters)
    for block, columns in _patches(images, filters, size, stride, pad, dilate):
        by_filter = np.ascontiguousarray(gradient[block].swapaxes(0, 1)).reshape(len(filters), -1)
        for own, filter_set in _groups(filters, columns):
            pairs = by_filter[filter_set] @ columns[own].T
            result[filter_set] += pairs.reshape(result[filter_set].shape)
    return result


def pool_gradient(
    images: Array,
    gradient: Array,
    window: Pair,
    stride: Pair,
    pad: Margins,
    method: str,
) -> Array:
    """Hand the gradient back through every channel of every image by itself."""
    result = np.zeros_like(images)
    maps, windows = _maps(result), (window, stride, (pad[0], pad[2]))
    if method == "max":
        kernels.max_pool_gradient(_maps(images), _maps(gradient), maps, *windows)
    else:
        kernels.average_pool_gradient(_maps(gradient), maps, *windows)
    return result


def _patches(
    images: Array,
    filters: Array,
    size: tuple[int, ...],
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Iterator[tuple[slice, Array]]:
    """For each block of images: which they are, and their patches (C*kh*kw, n*oh*ow)."""
    rows = images.shape[1] * filters.shape[2] * filters.shape[3]
    for block in _blocks(len(images), rows * size[0] * size[1]):
        pixels = images[block]
        if any(pad):
            pixels = np.pad(pixels, ((0, 0), (0, 0), pad[:2], pad[2:]))
        columns = np.empty((images.shape[1], *filters.shape[2:], len(pixels), *size), images.dtype)
        kernels.gather_patches(pixels, columns, stride, dilate)
        yield block, columns.reshape(rows, -1)


def _blocks(count: int, numbers: int) -> Iterator[slice]:
    """Cut a batch into blocks, given how many numbers one image takes."""
    step = max(1, BLOCK // numbers)
    for start in range(0, count, step):
        yield slice(start, min(start + step, count))


def _groups(filters: Array, columns: Array) -> Iterator[tuple[slice, slice]]:
    """For each group of filters: the rows of the matrix of patches, and the filters."""
    own = filters[0].size
    groups = len(columns) // own
    share = len(filters) // groups
    for g in range(groups):
        yield slice(g * own, (g + 1) * own), slice(g * share, (g + 1) * share)


def _is_sparse(maps: Array) -> bool:
    """Tell whether scattering pixel by pixel beats a product over all channels.

    Measured with 1 to 512 channels: a product takes as long as one pixel in every fourth position,
    and one more for every 200 channels. The first maps speak for all: counting takes its time.
    """
    some = maps[: max(1, COUNTED // maps[0].size)] if maps.size else maps
    positions = len(some) * maps.shape[2] * maps.shape[3]
    return bool(np.count_nonzero(some) < positions * (0.25 + maps.shape[1] / 200))


@lru_cache(maxsize=256)
def _band(
    size: int, factor: int, window: int, method: Method, dtype: np.dtype[Any]
) -> tuple[NDArray[np.int64], Array]:
    """Return, for each row that falls into the field, where its weights start and what they are."""
    full = matrix(size, factor, method)
    cut = max(factor - window, 0)
    full = full[cut // 2 : len(full) - (cut - cut // 2)]
    used = full != 0
    starts, ends = used.argmax(axis=1), size - used[:, ::-1].argmax(axis=1)
    reach = (ends - starts).max()
    starts = np.minimum(starts, size - reach)
    weights = np.take_along_axis(full, starts[:, None] + np.arange(reach), axis=1)
    return starts, weights.astype(dtype)


def _maps(images: Array) -> Array:
    return images.reshape(-1, *images.shape[2:])

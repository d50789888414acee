"""The compiled engine: BLAS products between Numba loops, in the weights' own precision.

A correlation gathers the patches of some images into a matrix and multiplies the filters with it; a
substitution multiplies first and scatters the products. Every operation is cut into parts that a
core's cache can hold, which `fdref.parallel` computes. This module checks nothing, allocates
everything, and hands over to `fdref.kernels`.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref import kernels
from fdref.geometry import extent, output_size, substituted_size
from fdref.parallel import each, scratch
from fdref.parts import BLOCK, by_channels, by_rows, in_slices
from fdref.resize import matrix

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.geometry import Margins, Pair
    from fdref.parts import Part
    from fdref.resize import Method

NARROW = 32
"""Maps of fewer pixels are multiplied together, not each by itself."""

SMALL = 2**14
"""Numbers in a matrix that enlarges along both axes at once, up to which it does so sooner."""

COUNTED = 2**14
"""Numbers among which zeros are counted."""

STAMPS, PIXELS = 2**18, 2**9
"""Numbers in the stamps made at a time, and of how many pixels they are at least: both sides of the
product are long, and a core's own cache still has its result when it is added."""

SUMS = 8
"""Parts that a gradient is summed from."""


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

    def fill(part: Part) -> None:
        block, rows = part
        columns = _patches(images[block], filters, size[1], rows, stride, pad, dilate)
        found = response[block][:, :, rows].reshape(columns.shape[1], len(filters), -1)
        for own, filter_set in _groups(filters, len(columns)):
            weights = filters[filter_set].reshape(-1, own.stop - own.start)
            _multiply(weights, columns[own].swapaxes(0, 1), found[:, filter_set])
        if bias is not None:
            found += bias[:, None]

    def fill_whole(part: slice) -> None:
        found = response[part].reshape(-1, len(filters))
        weights = filters.reshape(len(filters), -1)
        np.matmul(images[part].reshape(len(found), -1), weights.T, out=found)
        if bias is not None:
            found += bias

    if _cover(images, filters, pad):
        each(fill_whole, in_slices(len(images), images.shape[1:]))
    else:
        each(fill, by_rows(images, filters, size, slice(0, len(images))))
    return response


def substitute(maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int) -> Array:
    """Multiply the filters with the maps and add up the products; few pixels, one by one."""
    taps, size = filters.shape[2:], maps.shape[2:]
    channels = filters.shape[1] * groups
    enlarged = substituted_size(size, stride, extent(taps, dilate))
    pictures = np.zeros((len(maps), channels, *enlarged), maps.dtype)
    if _is_sparse(maps) and np.isfinite(filters).all():
        kernels.substitute(maps, filters, pictures, stride, dilate)
    elif size == (1, 1) and dilate == (1, 1):
        _weigh(maps, filters, pictures)
    elif taps[1] > size[1]:
        _stamp(maps, filters, pictures, stride, dilate)
    else:
        _scatter(maps, filters, pictures, stride, dilate)
    return pictures


def _scatter(maps: Array, filters: Array, pictures: Array, stride: Pair, dilate: Pair) -> None:
    """Multiply all taps with all pixels, then scatter; each run is a row of a map."""
    taps, size = filters.shape[2:], maps.shape[2:]
    own = filters.shape[1]
    share = len(filters) * own // pictures.shape[1]

    def fill(part: Part) -> None:
        block, channels = part
        group, first = divmod(channels.start, own)
        filter_set = slice(group * share, (group + 1) * share)
        count = channels.stop - channels.start
        weights = filters[filter_set, first : first + count].reshape(share, -1)
        pixels = maps[block, filter_set].reshape(-1, share, size[0] * size[1])
        columns = scratch("columns", (count, *taps, len(pixels), *size), maps.dtype)
        by_tap = columns.reshape(weights.shape[1], len(pixels), -1)
        _multiply(weights.T, pixels, by_tap.swapaxes(0, 1))
        kernels.scatter_patches(columns, pictures[block], stride, dilate, channels.start)

    each(fill, by_channels(maps, filters, pictures.shape[1]))


def _weigh(maps: Array, filters: Array, pictures: Array) -> None:
    """Sum the filters, each times its pixel: where there is but one, nothing overlaps."""
    own, one = filters.shape[1], filters[0].size
    share = len(filters) * own // pictures.shape[1]

    def fill(part: Part) -> None:
        channels, numbers = part
        filter_set = slice(channels.start // own * share, channels.stop // own * share)
        weights = filters[filter_set].reshape(share, one)
        below = pictures[:, channels].reshape(-1, one)
        np.matmul(maps[:, filter_set, 0, 0], weights[:, numbers], out=below[:, numbers])

    step = max(NARROW, BLOCK // max(1, len(maps)))
    groups = [slice(c, c + own) for c in range(0, pictures.shape[1], own)]
    numbers = [slice(first, first + step) for first in range(0, one, step)]
    each(fill, [(group, several) for group in groups for several in numbers])


def _stamp(maps: Array, filters: Array, pictures: Array, stride: Pair, dilate: Pair) -> None:
    """Multiply all pixels with some rows of all filters, then add; each run is a filter's row.

    So large filters on small maps, such as those that are composed from below, are added from the
    cache that the product has left them in.
    """
    (count, _, *size), (_, own, height, width) = maps.shape, filters.shape
    share = len(filters) * own // pictures.shape[1]
    each_map = size[0] * size[1]
    step = min(count, max(1, max(PIXELS, STAMPS // (height * width)) // each_map))
    rows = min(height, max(1, STAMPS // (step * each_map * width)))

    def fill(part: Part) -> None:
        block, channels = part
        group, c = divmod(channels.start, own)
        filter_set = slice(group * share, (group + 1) * share)
        pixels = maps[block, filter_set].transpose(0, 2, 3, 1)
        values = scratch("values", pixels.shape, maps.dtype)
        values[:] = pixels
        values = values.reshape(-1, share)
        for top in range(0, height, rows):
            weights = filters[filter_set, c, top : top + rows].reshape(share, -1)
            stamps = scratch("stamps", (len(values), weights.shape[1]), maps.dtype)
            np.matmul(values, weights, out=stamps)
            stamps = stamps.reshape(-1, *size, weights.shape[1] // width, width)
            kernels.add_stamps(stamps, pictures[block], stride, dilate, channels.start, top)

    blocks = [slice(first, min(first + step, count)) for first in range(0, count, step)]
    each(fill, [(block, slice(c, c + 1)) for block in blocks for c in range(pictures.shape[1])])


def unpool(maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
    """Enlarge by the bands of the two small matrices, framed or cropped to the receptive field."""
    if method == "window":
        share = np.full((1, 1, *window), 1 / prod(window), maps.dtype)
        shared = substitute(maps.reshape(-1, 1, *maps.shape[2:]), share, stride, (1, 1), 1)
        return shared.reshape(*maps.shape[:2], *shared.shape[2:])
    size = maps.shape[2:]
    field = substituted_size(size, stride, window)
    pictures = np.zeros((*maps.shape[:2], *field), maps.dtype)
    small, large = _maps(maps), _maps(pictures)
    framed = window[0] > stride[0] or window[1] > stride[1]
    if framed or size[0] * size[1] * field[0] * field[1] > SMALL:
        rows, columns = (_band(size[a], stride[a], window[a], method, maps.dtype) for a in (0, 1))
        origin = (max(window[0] - stride[0], 0) // 2, max(window[1] - stride[1], 0) // 2)

        def fill(part: slice) -> None:
            kernels.enlarge(small[part], *rows, *columns, origin, large[part])

    else:
        both = _both_axes(size, stride, window, method, maps.dtype)

        def fill(part: slice) -> None:
            below = large[part].reshape(-1, both.shape[1])
            np.matmul(small[part].reshape(-1, len(both)), both, out=below)

    each(fill, in_slices(len(large), field))
    return pictures


def pool(images: Array, window: Pair, stride: Pair, pad: Margins, method: str) -> Array:
    """Pool every channel of every image as a map by itself."""
    size = output_size(images.shape[2:], window, stride, pad)
    pooled = np.empty((*images.shape[:2], *size), images.dtype)
    loop = kernels.max_pool if method == "max" else kernels.average_pool
    maps, results, windows = _maps(images), _maps(pooled), (window, stride, (pad[0], pad[2]))

    def fill(part: slice) -> None:
        loop(maps[part], results[part], *windows)

    each(fill, in_slices(len(maps), images.shape[2:]))
    return pooled


def filter_gradient(
    images: Array,
    gradient: Array,
    filters: Array,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Array:
    """Multiply the gradient with the matrix of patches, and sum in an order of its own."""
    if _cover(images, filters, pad):
        return _whole_filter_gradient(images, gradient, filters)
    size = gradient.shape[2:]
    step = -(-len(images) // SUMS)
    sums = np.zeros((SUMS, *filters.shape), filters.dtype)

    def add(number: int) -> None:
        several = slice(number * step, min((number + 1) * step, len(images)))
        for block, rows in by_rows(images, filters, size, several):
            columns = _patches(images[block], filters, size[1], rows, stride, pad, dilate)
            columns = columns.reshape(len(columns), -1)
            delta = gradient[block][:, :, rows].swapaxes(0, 1)
            by_filter = scratch("by filter", delta.shape, delta.dtype)
            by_filter[:] = delta
            by_filter = by_filter.reshape(len(filters), -1)
            for own, filter_set in _groups(filters, len(columns)):
                pairs = by_filter[filter_set] @ columns[own].T
                sums[number, filter_set] += pairs.reshape(-1, *filters.shape[1:])

    each(add, range(SUMS))
    result: Array = sums.sum(axis=0)
    return result


def _whole_filter_gradient(images: Array, gradient: Array, filters: Array) -> Array:
    """Do so where an image is its only patch."""
    result = np.empty_like(filters)
    by_image, delta = (array.reshape(len(images), -1) for array in (images, gradient))

    def fill(part: slice) -> None:
        np.matmul(delta[:, part].T, by_image, out=result[part].reshape(-1, by_image.shape[1]))

    each(fill, in_slices(len(filters), filters.shape[1:]))
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
    maps, above, below = _maps(images), _maps(gradient), _maps(result)
    windows = (window, stride, (pad[0], pad[2]))

    def fill(part: slice) -> None:
        if method == "max":
            kernels.max_pool_gradient(maps[part], above[part], below[part], *windows)
        else:
            kernels.average_pool_gradient(above[part], below[part], *windows)

    each(fill, in_slices(len(maps), images.shape[2:]))
    return result


def _patches(
    images: Array,
    filters: Array,
    width: int,
    rows: slice,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Array:
    """Return the patches of images in some rows of positions of this width: (C*kh*kw, N, oh*ow)."""
    channels, taps = images.shape[1], filters.shape[2:]
    size = (rows.stop - rows.start, width)
    columns = scratch("columns", (channels, *taps, len(images), *size), images.dtype)
    kernels.gather_patches(images, columns, stride, (pad[0], pad[2]), dilate, rows.start)
    return columns.reshape(channels * taps[0] * taps[1], len(images), -1)


def _cover(images: Array, filters: Array, pad: Margins) -> bool:
    """Tell whether filters are as large as the images: each image is its only patch."""
    return images.shape[1:] == filters.shape[1:] and not any(pad)


def _multiply(matrix: Array, stack: Array, products: Array) -> None:
    """Multiply a matrix (m, r) with each of a stack (n, r, p) into products (n, m, p)."""
    if stack.shape[2] >= NARROW:
        np.matmul(matrix, stack, out=products)
    else:
        together = stack.swapaxes(0, 1).reshape(matrix.shape[1], -1)
        product = scratch("product", (len(matrix), together.shape[1]), matrix.dtype)
        np.matmul(matrix, together, out=product)
        products[:] = product.reshape(len(matrix), len(stack), -1).swapaxes(0, 1)


def _groups(filters: Array, rows: int) -> Iterator[tuple[slice, slice]]:
    """For each group of filters: its rows of the matrix of patches, and the filters."""
    own = filters[0].size
    groups = rows // own
    share = len(filters) // groups
    for g in range(groups):
        yield slice(g * own, (g + 1) * own), slice(g * share, (g + 1) * share)


def _is_sparse(maps: Array) -> bool:
    """Tell whether scattering pixel by pixel beats a product over all channels.

    Measured with 1 to 512 channels: a product takes as long as one pixel in every fourth position,
    and one more for every 200 channels. The first maps speak for all, since counting takes its
    time; small ones are multiplied before they are counted.
    """
    if maps.size < COUNTED:
        return False
    some = maps[: max(1, COUNTED // maps[0].size)]
    positions = len(some) * maps.shape[2] * maps.shape[3]
    return bool(np.count_nonzero(some) < positions * (0.25 + maps.shape[1] / 200))


@lru_cache(maxsize=256)
def _band(
    size: int, factor: int, window: int, method: Method, dtype: np.dtype[Any]
) -> tuple[NDArray[np.int64], Array]:
    """Return, for each row that falls into the field, where its weights start and what they are."""
    full = _cropped(size, factor, window, method)
    used = full != 0
    starts, ends = used.argmax(axis=1), size - used[:, ::-1].argmax(axis=1)
    reach = (ends - starts).max()
    starts = np.minimum(starts, size - reach)
    weights = np.take_along_axis(full, starts[:, None] + np.arange(reach), axis=1)
    return starts, weights.astype(dtype)


@lru_cache(maxsize=64)
def _both_axes(
    size: Pair, stride: Pair, window: Pair, method: Method, dtype: np.dtype[Any]
) -> Array:
    """Return the matrix (h*w, H*W) that enlarges maps, each as one row."""
    rows, columns = (_cropped(size[a], stride[a], window[a], method) for a in (0, 1))
    return np.kron(rows, columns).T.astype(dtype, order="C")


def _cropped(size: int, factor: int, window: int, method: Method) -> NDArray[np.float64]:
    """Return the rows of the enlarging matrix that fall into the receptive field."""
    full = matrix(size, factor, method)
    cut = max(factor - window, 0)
    return full[cut // 2 : len(full) - (cut - cut // 2)]


def _maps(images: Array) -> Array:
    return images.reshape(-1, *images.shape[2:])

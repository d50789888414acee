"""The compiled engine: BLAS products between Numba loops, in the weights' own precision.

A correlation gathers the patches of some images into a matrix and multiplies the filters with it; a
substitution multiplies first and scatters the products. Every operation is cut into parts that a
core's cache can hold, which `fdref.engines.parallel` computes. This module checks nothing,
allocates everything, and hands over to `fdref.kernels`.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref import kernels
from fdref.engines.cuts import BLOCK, by_channels, by_rows, by_taps, in_slices, stamp_sizes
from fdref.engines.parallel import each, scratch
from fdref.engines.pointwise import normalize, relu, scale, softmax
from fdref.engines.products import NARROW, product, stacked_product, sum_precision
from fdref.engines.resize import band
from fdref.geometry import extent, output_size, substituted_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines.cuts import Part
    from fdref.engines.resize import Method
    from fdref.geometry import Margins, Pair

__all__ = [
    "correlate",
    "filter_gradient",
    "normalize",
    "pool",
    "pool_gradient",
    "precision",
    "relu",
    "scale",
    "softmax",
    "substitute",
    "unpool",
]

SMALL = 2**14
"""Numbers in a matrix that enlarges along both axes at once, up to which it does so sooner."""

COUNTED = 2**14
"""Numbers among which zeros are counted."""

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
    if not response.size:
        return response

    def fill(part: Part) -> None:
        block, rows = part
        columns = _patches(images[block], filters, size[1], rows, stride, pad, dilate)
        found = response[block][:, :, rows].reshape(columns.shape[1], len(filters), -1)
        for own, filter_set in _groups(filters, len(columns)):
            weights = filters[filter_set].reshape(-1, own.stop - own.start)
            stacked_product(weights, columns[own].swapaxes(0, 1), found[:, filter_set])
        if bias is not None:
            found += bias[:, None]

    def fill_whole(part: slice) -> None:
        found = response[part].reshape(-1, len(filters))
        weights = filters.reshape(len(filters), -1)
        product(images[part].reshape(len(found), -1), weights.T, found)
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
    overlap = min(taps[0], size[0]) * min(taps[1], size[1])
    sparse = _is_sparse(maps) and _all_finite(filters)
    terms = overlap * len(filters) // (2 * groups) if sparse else overlap
    pictures = np.zeros((len(maps), channels, *enlarged), sum_precision(terms, maps.dtype))
    if not maps.size:
        return pictures
    if sparse:
        kernels.substitute(maps, filters, pictures, stride, dilate)
    elif size == (1, 1) and dilate == (1, 1):
        _weigh(maps, filters, pictures)
    elif taps[1] > size[1]:
        _stamp(maps, filters, pictures, stride, dilate)
    else:
        _scatter(maps, filters, pictures, stride, dilate)
    return pictures.astype(maps.dtype, copy=False)


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
        for some, rows in by_taps(taps, (size[0], size[1])):
            weights = filters[filter_set, first : first + count, some].reshape(share, -1)
            pixels = maps[block, filter_set, rows].reshape(len(maps[block]), share, -1)
            shape = some.stop - some.start, taps[1], len(pixels), rows.stop - rows.start, size[1]
            columns = scratch("columns", (count, *shape), maps.dtype)
            by_tap = columns.reshape(weights.shape[1], len(pixels), -1)
            stacked_product(weights.T, pixels, by_tap.swapaxes(0, 1))
            top = some.start * dilate[0] + rows.start * stride[0]
            kernels.scatter_patches(columns, pictures[block], stride, dilate, channels.start, top)

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
        product(maps[:, filter_set, 0, 0], weights[:, numbers], below[:, numbers])

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
    step, tall, rows = stamp_sizes(count, (size[0], size[1]), (height, width))

    def fill(part: Part) -> None:
        block, channels = part
        group, c = divmod(channels.start, own)
        filter_set = slice(group * share, (group + 1) * share)
        for y in range(0, size[0], tall):
            pixels = maps[block, filter_set, y : y + tall].transpose(0, 2, 3, 1)
            values = scratch("values", pixels.shape, maps.dtype)
            values[:] = pixels
            for u in range(0, height, rows):
                weights = filters[filter_set, c, u : u + rows].reshape(share, -1)
                stamps = scratch("stamps", (*pixels.shape[:3], weights.shape[1]), maps.dtype)
                product(values.reshape(-1, share), weights, stamps.reshape(-1, weights.shape[1]))
                stamps = stamps.reshape(*pixels.shape[:3], -1, width)
                top = y * stride[0] + u * dilate[0]
                kernels.add_stamps(stamps, pictures[block], stride, dilate, channels.start, top)

    blocks = [slice(first, min(first + step, count)) for first in range(0, count, step)]
    each(fill, [(block, slice(c, c + 1)) for block in blocks for c in range(pictures.shape[1])])


def unpool(maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
    """Enlarge by the bands of the two small matrices, framed or cropped; or share over windows."""
    if method == "window":
        share = np.full((1, 1, *window), 1 / prod(window), maps.dtype)
        shared = substitute(maps.reshape(-1, 1, *maps.shape[2:]), share, stride, (1, 1), 1)
        return shared.reshape(*maps.shape[:2], *shared.shape[2:])
    size = maps.shape[2:]
    field = substituted_size(size, stride, window)
    pictures = np.zeros((*maps.shape[:2], *field), maps.dtype)
    small, large = _maps(maps), _maps(pictures)
    framed = window[0] > stride[0] or window[1] > stride[1]
    large_matrix = size[0] * size[1] * field[0] * field[1] > SMALL
    if framed or large_matrix or not _all_finite(maps):
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
    loop, dtype = kernels.max_pool, images.dtype
    if method == "avg":
        loop, dtype = kernels.average_pool, sum_precision(sum(window), dtype)
    pooled = np.empty((*images.shape[:2], *size), dtype)
    maps, results, windows = _maps(images), _maps(pooled), (window, stride, (pad[0], pad[2]))

    def fill(part: slice) -> None:
        loop(maps[part], results[part], *windows)

    each(fill, in_slices(len(maps), images.shape[2:]))
    return pooled.astype(images.dtype, copy=False)


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
    if not gradient.size:
        return np.zeros_like(filters)
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
                share = filter_set.stop - filter_set.start
                pairs = scratch("pairs", (share, own.stop - own.start), delta.dtype)
                product(by_filter[filter_set], columns[own].T, pairs)
                sums[number, filter_set] += pairs.reshape(share, *filters.shape[1:])

    each(add, range(SUMS))
    result: Array = sums.sum(axis=0)
    return result


def _whole_filter_gradient(images: Array, gradient: Array, filters: Array) -> Array:
    """Do so where an image is its only patch."""
    result = np.zeros_like(filters)
    if not result.size or not len(images):
        return result
    by_image, delta = (array.reshape(len(images), -1) for array in (images, gradient))

    def fill(part: slice) -> None:
        product(delta[:, part].T, by_image, result[part].reshape(-1, by_image.shape[1]))

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

    each(fill, in_slices(len(maps), images.shape[2:]))
    return result.astype(images.dtype, copy=False)


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


def _band(
    size: int, factor: int, window: int, method: Method, dtype: np.dtype[Any]
) -> tuple[NDArray[np.int64], Array]:
    starts, weights = band(size, factor, window, method)
    return starts, weights.astype(dtype, copy=False)


@lru_cache(maxsize=32)
def _both_axes(
    size: Pair, stride: Pair, window: Pair, method: Method, dtype: np.dtype[Any]
) -> Array:
    """Return the matrix (h*w, H*W), of SMALL numbers at most, that enlarges maps as rows."""
    axes = []
    for axis in range(2):
        starts, weights = band(size[axis], stride[axis], window[axis], method)
        dense = np.zeros((len(starts), size[axis]))
        np.put_along_axis(dense, starts[:, None] + np.arange(weights.shape[1]), weights, axis=1)
        axes.append(dense)
    return np.kron(*axes).T.astype(dtype, order="C")


def _all_finite(maps: Array) -> bool:
    """Tell so by one sum; the zeros of a matrix times what is not finite would be NaN."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(maps.sum()))


def _maps(images: Array) -> Array:
    return images.reshape(-1, *images.shape[2:])

"""The compiled engine: BLAS products between Numba loops, in the weights' own precision.

A correlation is im2col, which gathers the patches of some images as the columns of a matrix, then a
matrix product (GEMM) with the filters; a substitution, its adjoint (transposed convolution), is the
product first, then col2im, which adds the columns up where their patches were. With few filters
`shifts` moves maps instead; of many maps of 3x3 pixels `minimal_filtering` multiplies less. Every
operation is cut into parts that a core's cache can hold, which `parallel` computes. This module
checks nothing, allocates everything, and hands over to `fdref.kernels`.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref import kernels
from fdref.engines import allocating, enlarging, minimal_filtering, shifting, shifts
from fdref.engines.contents import all_finite, is_sparse
from fdref.engines.cuts import (
    MATRIX,
    by_channels,
    by_rows,
    by_taps,
    evenly,
    in_slices,
    seconds,
    stamp_sizes,
)
from fdref.engines.parallel import each, scratch, together  # noqa: F401 - it is asked for both
from fdref.engines.pointwise import normalize, relu, scale, softmax
from fdref.engines.pools import pool, pool_gradient
from fdref.engines.products import NARROW, product, stacked_product, sum_precision
from fdref.engines.tiling import pays
from fdref.geometry import extent, output_size, substituted_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines.cuts import Part
    from fdref.engines.resize import Method
    from fdref.geometry import Margins, Pair


__all__ = [
    "compare",
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

LOCAL = True
"""Its loops compute a number from what it sees alone; products `fdref.engines.local` makes so."""

allocating.expect_large()  # once, before there is any

# However many threads there are: the order of a sum decides its last bits. More threads than these
# would find nothing to do.
SUMS = 8
"""Sums over some of the images each, from which the gradient in filters is added up."""


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
    """Multiply the filters with the matrix of patches: im2col, then a GEMM for each group.

    Few filters are moved over the images, tap by tap, and added up.
    """
    size = output_size(images.shape[2:], extent(filters.shape[2:], dilate), stride, pad)
    response = np.empty((len(images), len(filters), *size), images.dtype)
    if not response.size:
        return response
    multiplied = response.size * filters[0].size

    def fill(part: Part) -> None:
        batch, rows = part
        columns = im2col(images[batch], filters, size[1], rows, stride, pad, dilate)
        # A view even where rows are cut: those of one map lie behind each other.
        maps = response[batch][:, :, rows].reshape(columns.shape[1], len(filters), -1)
        for own, filter_set in _groups(filters, len(columns)):
            weights = filters[filter_set].reshape(-1, own.stop - own.start)
            stacked_product(weights, columns[own].swapaxes(0, 1), maps[:, filter_set])
        if bias is not None:
            maps += bias[:, None]

    def fill_whole(part: slice) -> None:
        answers = response[part].reshape(-1, len(filters))
        weights = filters.reshape(len(filters), -1).T
        product(images[part].reshape(len(answers), -1), weights, answers)
        if bias is not None:
            answers += bias

    if _cover(images, filters, pad):
        each(fill_whole, in_slices(len(images), images.shape[1:]), seconds(multiplied))
    elif shifting.pays(filters.shape, images.shape[1], size, stride, dilate):
        shifts.correlate(images, filters, bias, response, stride, pad, dilate)
    else:
        gathered = len(images) * images.shape[1] * prod(filters.shape[2:]) * prod(size)
        parts = by_rows(images, filters, size, slice(0, len(images)))
        each(fill, parts, seconds(multiplied, gathered))
    return response


def substitute(maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int) -> Array:
    """Transposed convolution: multiply the filters with the maps, then add up (col2im).

    Where few pixels are not zero, their filters are added one by one.
    """
    taps, size = filters.shape[2:], maps.shape[2:]
    channels = filters.shape[1] * groups
    enlarged = substituted_size(size, stride, extent(taps, dilate))
    # How many terms are added one by one to a pixel. Where maps are sparse no product adds over the
    # filters first; that half of them meet there is far more than `is_sparse` expects.
    overlap = min(taps[0], size[0]) * min(taps[1], size[1])
    sparse = is_sparse(maps) and all_finite(filters)
    terms = overlap * len(filters) // (2 * groups) if sparse else overlap
    pictures = np.zeros((len(maps), channels, *enlarged), sum_precision(terms, maps.dtype))
    if not maps.size:
        return pictures
    if sparse:
        kernels.substitute(maps, filters, pictures, stride, dilate)
    elif size == (1, 1) and dilate == (1, 1):
        _weigh(maps, filters, pictures)
    elif shifting.pays_to_substitute(maps.shape, filters.shape, groups, stride, dilate) and (
        all_finite(filters)
    ):
        shifts.substitute(maps, filters, pictures, dilate)
    elif (
        dilate == (1, 1)
        and pays(maps.shape, filters.shape, stride, groups)
        and minimal_filtering.keeps_digits(maps, filters)
    ):
        minimal_filtering.substitute(maps, filters, pictures, stride)
    elif taps[1] > size[1]:  # the longer of the two rows runs in the innermost loop
        _stamp(maps, filters, pictures, stride, dilate)
    else:
        _scatter(maps, filters, pictures, stride, dilate)
    return pictures.astype(maps.dtype, copy=False)


def _scatter(maps: Array, filters: Array, pictures: Array, stride: Pair, dilate: Pair) -> None:
    """Multiply all taps with all pixels, then col2im; the innermost loop runs along a map's row."""
    taps, size = filters.shape[2:], maps.shape[2:]
    own = filters.shape[1]
    share = len(filters) * own // pictures.shape[1]

    def fill(part: Part) -> None:
        batch, channels = part
        group, first = divmod(channels.start, own)
        filter_set = slice(group * share, (group + 1) * share)
        count = channels.stop - channels.start
        for tap_rows, rows in by_taps(taps, (size[0], size[1])):
            weights = filters[filter_set, first : first + count, tap_rows].reshape(share, -1)
            pixels = maps[batch, filter_set, rows].reshape(len(maps[batch]), share, -1)
            taps_high, high = tap_rows.stop - tap_rows.start, rows.stop - rows.start
            shape = taps_high, taps[1], len(pixels), high, size[1]
            columns = scratch("columns", (count, *shape), maps.dtype)
            by_tap = columns.reshape(weights.shape[1], len(pixels), -1)
            stacked_product(weights.T, pixels, by_tap.swapaxes(0, 1))
            top = tap_rows.start * dilate[0] + rows.start * stride[0]
            kernels.scatter_patches(columns, pictures[batch], stride, dilate, channels.start, top)

    parts = by_channels(maps, filters, pictures.shape[1])
    each(fill, parts, _substitution_seconds(maps, filters, pictures))


def _weigh(maps: Array, filters: Array, pictures: Array) -> None:
    """Sum the filters, each times its pixel, of maps of a single pixel: a GEMM, without col2im."""
    own, one = filters.shape[1], filters[0].size
    share = len(filters) * own // pictures.shape[1]

    def fill(part: Part) -> None:
        channels, elements = part
        filter_set = slice(channels.start // own * share, channels.stop // own * share)
        weights = filters[filter_set].reshape(share, one)
        below = pictures[:, channels].reshape(-1, one)
        product(maps[:, filter_set, 0, 0], weights[:, elements], below[:, elements])

    # Cut by elements of the filters, not by pictures: so every filter is read once, by one thread.
    step = max(NARROW, MATRIX // max(1, len(maps)))
    groups = [slice(c, c + own) for c in range(0, pictures.shape[1], own)]
    runs = list(evenly(0, one, step))
    parts = [(group, run) for group in groups for run in runs]
    each(fill, parts, seconds(maps.size * one))


def _stamp(maps: Array, filters: Array, pictures: Array, stride: Pair, dilate: Pair) -> None:
    """Multiply all pixels with some rows of all filters, then add along the filters' rows.

    So large filters on small maps, such as those that are composed from below, are added from the
    cache that the product has left them in.
    """
    (count, _, *size), (_, own, height, width) = maps.shape, filters.shape
    share = len(filters) * own // pictures.shape[1]
    step, tall, rows = stamp_sizes(count, (size[0], size[1]), (height, width))

    def fill(part: Part) -> None:
        batch, channels = part
        group, c = divmod(channels.start, own)
        filter_set = slice(group * share, (group + 1) * share)
        for y in range(0, size[0], tall):
            # Pixels as rows (N*h*w, K), so that a row of the product is a pixel's stamp, in order.
            pixels = maps[batch, filter_set, y : y + tall].transpose(0, 2, 3, 1)
            values = scratch("values", pixels.shape, maps.dtype)
            values[:] = pixels
            for u in range(0, height, rows):
                weights = filters[filter_set, c, u : u + rows].reshape(share, -1)
                stamps = scratch("stamps", (*pixels.shape[:3], weights.shape[1]), maps.dtype)
                product(values.reshape(-1, share), weights, stamps.reshape(-1, weights.shape[1]))
                stamps = stamps.reshape(*pixels.shape[:3], -1, width)
                top = y * stride[0] + u * dilate[0]
                kernels.add_stamps(stamps, pictures[batch], stride, dilate, channels.start, top)

    channels = pictures.shape[1]
    batches = evenly(0, count, step)
    parts = [(batch, slice(c, c + 1)) for batch in batches for c in range(channels)]
    each(fill, parts, _substitution_seconds(maps, filters, pictures))


def _substitution_seconds(maps: Array, filters: Array, pictures: Array) -> float:
    """Estimate the products, each of which is added to a picture."""
    products = len(maps) * pictures.shape[1] * prod(filters.shape[2:]) * prod(maps.shape[2:])
    return seconds(maps.size * filters[0].size, products)


def unpool(maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
    """Enlarge by bands of weights, or share over windows."""
    if method != "window":
        return enlarging.enlarge(maps, stride, window, method)
    share = np.full((1, 1, *window), 1 / prod(window), maps.dtype)
    shared = substitute(maps.reshape(-1, 1, *maps.shape[2:]), share, stride, (1, 1), 1)
    return shared.reshape(*maps.shape[:2], *shared.shape[2:])


def filter_gradient(
    images: Array,
    gradient: Array,
    filters: Array,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Array:
    """Multiply the gradient with the matrix of patches (im2col), and sum in a fixed order."""
    if _cover(images, filters, pad):
        return _whole_filter_gradient(images, gradient, filters)
    size = gradient.shape[2:]
    step = -(-len(images) // SUMS)
    if not gradient.size:
        return np.zeros_like(filters)
    sums = np.zeros((SUMS, *filters.shape), filters.dtype)

    def add(number: int) -> None:
        several = slice(number * step, min((number + 1) * step, len(images)))
        for batch, rows in by_rows(images, filters, size, several):
            columns = im2col(images[batch], filters, size[1], rows, stride, pad, dilate)
            columns = columns.reshape(len(columns), -1)
            # Filters first, as the columns have their images behind: both rows run over (n, y, x).
            delta = gradient[batch][:, :, rows].swapaxes(0, 1)
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
    """Return the gradient in filters as large as the images, a fully connected layer: one GEMM."""
    result = np.zeros_like(filters)
    if not result.size or not len(images):
        return result
    by_image, delta = (array.reshape(len(images), -1) for array in (images, gradient))

    def fill(part: slice) -> None:
        product(delta[:, part].T, by_image, result[part].reshape(-1, by_image.shape[1]))

    multiplied = delta.size * by_image.shape[1]
    each(fill, in_slices(len(filters), filters.shape[1:]), seconds(multiplied))
    return result


def compare(responses: Array, predictions: Array) -> NDArray[np.float64]:
    """Compare every pair of rows by itself."""
    compared = np.empty((2, len(responses)))

    def fill(part: slice) -> None:
        kernels.compare(responses[part], predictions[part], compared[0, part], compared[1, part])

    parts = in_slices(len(responses), responses.shape[1:])
    each(fill, parts, seconds(moved=2 * responses.size))
    return compared


def im2col(
    images: Array,
    filters: Array,
    width: int,
    rows: slice,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Array:
    """Return patches of images as columns, those of some rows of positions: (C*kh*kw, N, oh*ow).

    Channels and taps come first, as in a filter, so that the rows of a group's channels lie
    together for its own product; images and positions last, so that a row of a map is one copy.
    """
    channels, taps = images.shape[1], filters.shape[2:]
    size = (rows.stop - rows.start, width)
    columns = scratch("columns", (channels, *taps, len(images), *size), images.dtype)
    kernels.gather_patches(images, columns, stride, (pad[0], pad[2]), dilate, rows.start)
    return columns.reshape(channels * taps[0] * taps[1], len(images), -1)


def _cover(images: Array, filters: Array, pad: Margins) -> bool:
    """Tell whether filters are as large as the images: each image is its only patch, uncopied."""
    return images.shape[1:] == filters.shape[1:] and not any(pad)


def _groups(filters: Array, rows: int) -> Iterator[tuple[slice, slice]]:
    """For each group of filters: its rows of the matrix of patches, and the filters."""
    own = filters[0].size
    groups = rows // own
    share = len(filters) // groups
    for g in range(groups):
        yield slice(g * own, (g + 1) * own), slice(g * share, (g + 1) * share)

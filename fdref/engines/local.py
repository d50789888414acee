"""An engine whose every number depends on what it sees alone, to the bit.

BLAS computes a column of a product in another order of operations at the edge of a matrix than
within, and in a small matrix than in a large one. So a pixel of a map is rounded one way or another
depending on the map's size, its place, and the images beside it. Whoever computes a part of a map
and wants the bits of the whole needs products of which that is not so. Here they are made of panels
of one width, whose columns have been seen to be treated alike.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.engines import engine_named, patched
from fdref.engines.cuts import in_slices
from fdref.engines.parallel import each, scratch
from fdref.engines.products import product, sum_precision
from fdref.geometry import extent, output_size, substituted_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.cuts import Part
    from fdref.geometry import Margins, Pair

    Gather = Callable[[Array, Array, int, slice, Pair, Margins, Pair], Array]
    Softmax = Callable[[Array], Array]

WIDTH = 192
"""Columns of a panel. Of narrower ones BLAS packs the filters more often than it need (96: a tenth
slower), of wider ones more is left empty at the end."""

COLUMNS = 2**20
"""Elements of the im2col matrix made at a time: few enough for the cache, and several panels."""

EVIDENCE = 256
"""Numbers of each column of a panel that are compared, before columns are taken to be alike."""


def local(engine: Engine | str = "compiled") -> Engine:
    """Return an engine like another, whose numbers depend on what they see alone, to the bit.

    What `fdref.forward` makes of an image with it is the same whatever images stand beside it, and
    a pixel of a convolution's map is the same wherever what it sees lies on the image. It differs
    from the other engine in rounding alone.

    Parameters
    ----------
    engine : "compiled", "reference" or Engine
        An engine of one's own gives the operations that are no convolutions and no softmax.

    Raises
    ------
    ArgumentError
        For something that is no engine.

    Examples
    --------
    >>> import fdref
    >>> from fdref.engines.local import local
    >>> net, digits = fdref.load(), fdref.mnist().test.images
    >>> many = fdref.forward(net, net.prepare(digits[:33]), local())[-1]
    >>> one = fdref.forward(net, net.prepare(digits[:1]), local())[-1]
    >>> (many[:1] == one).all()
    np.True_
    """
    right = engine_named(engine)
    gather = getattr(right, "im2col", im2col)

    def correlate_locally(_: object, *arguments: Any) -> Array:
        return correlate(gather, *arguments)

    def substitute_locally(_: object, *arguments: Any) -> Array:
        return substitute(*arguments)

    return patched(
        right, correlate=correlate_locally, substitute=substitute_locally, softmax=softmax
    )


def correlate(
    gather: Gather,
    images: Array,
    filters: Array,
    bias: Array | None,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Array:
    """Correlate by im2col, which `gather` makes, and products in panels."""
    size = output_size(images.shape[2:], extent(filters.shape[2:], dilate), stride, pad)
    response = np.empty((len(images), len(filters), *size), images.dtype)
    if not response.size:
        return response
    terms = filters[0].size
    groups = images.shape[1] // filters.shape[1]
    share = len(filters) // groups

    def fill(part: Part) -> None:
        batch, rows = part
        columns = gather(images[batch], filters, size[1], rows, stride, pad, dilate)
        # A view even where rows are cut: those of one map lie behind each other.
        maps = response[batch][:, :, rows].reshape(columns.shape[1], len(filters), -1)
        by_position = columns.reshape(len(columns), -1)
        for g in range(groups):
            own = slice(g * share, (g + 1) * share)
            wide = scratch("wide", (share, by_position.shape[1]), images.dtype)
            multiply(
                filters[own].reshape(share, terms),
                by_position[g * terms : (g + 1) * terms],
                wide,
            )
            by_image = wide.reshape(share, columns.shape[1], -1).swapaxes(0, 1)
            if bias is None:
                maps[:, own] = by_image
            else:
                np.add(by_image, bias[own, None], out=maps[:, own])

    each(fill, _parts(len(images), size, terms * groups))
    return response


def _parts(count: int, size: Pair, terms: int) -> Iterator[Part]:
    """Cut positions into parts that fill panels well; no cut changes a bit.

    Several whole images each, at least two parts; or some rows of one.
    """
    most = COLUMNS // (terms * prod(size))
    if most:
        step = _filling(min(most, max(1, -(-count // 2))), prod(size))
        for first in range(0, count, step):
            yield slice(first, min(first + step, count)), slice(0, size[0])
        return
    high = _filling(min(size[0], max(1, COLUMNS // (terms * size[1]))), size[1])
    for n in range(count):
        for top in range(0, size[0], high):
            yield slice(n, n + 1), slice(top, min(top + high, size[0]))


def _filling(most: int, columns: int) -> int:
    """Return how many times so many columns leave the least of the last panel empty."""
    return min(
        range(most, most // 2, -1), key=lambda n: (-n * columns % WIDTH) / (n * columns), default=1
    )


def im2col(
    images: Array,
    filters: Array,
    width: int,
    rows: slice,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Array:
    """Return patches of images as columns, those of some rows of positions: (C*kh*kw, N, oh*ow)."""
    count, channels = images.shape[:2]
    taps, height = filters.shape[2:], rows.stop - rows.start
    padded = np.pad(images, ((0, 0), (0, 0), pad[:2], pad[2:]))
    columns = np.empty((channels, *taps, count, height, width), images.dtype)
    for u, v in np.ndindex(*taps):
        top, left = rows.start * stride[0] + u * dilate[0], v * dilate[1]
        pixels = padded[:, :, top :: stride[0], left :: stride[1]][:, :, :height, :width]
        columns[:, u, v] = pixels.swapaxes(0, 1)
    return columns.reshape(channels * prod(taps), count, -1)


def substitute(maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int) -> Array:
    """Multiply all taps with all pixels in panels; add them up tap by tap, wherever a pixel is."""
    taps, size = filters.shape[2:], maps.shape[2:]
    own, share = filters.shape[1], len(filters) // groups
    enlarged = substituted_size(size, stride, extent(taps, dilate))
    pictures = np.zeros((len(maps), own * groups, *enlarged), sum_precision(prod(taps), maps.dtype))
    if not pictures.size:
        return pictures.astype(maps.dtype, copy=False)

    def fill(batch: slice) -> None:
        for g in range(groups):
            some = slice(g * share, (g + 1) * share)
            weights = np.ascontiguousarray(filters[some].reshape(share, -1).T)
            pixels = np.ascontiguousarray(maps[batch, some].swapaxes(0, 1)).reshape(share, -1)
            stamps = np.empty((len(weights), pixels.shape[1]), maps.dtype)
            multiply(weights, pixels, stamps)
            by_tap = stamps.reshape(own, *taps, -1, *size)
            below = pictures[batch, g * own : (g + 1) * own]
            for u, v in np.ndindex(*taps):
                rows = slice(
                    u * dilate[0], u * dilate[0] + (size[0] - 1) * stride[0] + 1, stride[0]
                )
                left = v * dilate[1]
                columns = slice(left, left + (size[1] - 1) * stride[1] + 1, stride[1])
                below[:, :, rows, columns] += by_tap[:, u, v].swapaxes(0, 1)

    each(fill, in_slices(len(maps), (own * groups, *enlarged)))
    return pictures.astype(maps.dtype, copy=False)


def softmax(right: Softmax, images: Array) -> Array:
    """Return probabilities over the channels; of a single pixel as of one among others.

    NumPy adds the channels of a single pixel pairwise, those of several one after the other.
    """
    if images.shape[2:] != (1, 1):
        return right(images)
    return np.ascontiguousarray(right(images.repeat(2, axis=3))[:, :, :, :1])


def multiply(matrix: Array, columns: Array, out: Array) -> None:
    """Multiply a matrix (m, r) with columns (r, p), each as if it were alone, into (m, p)."""
    if (
        len(matrix) == 1
    ):  # with a second row it is no product of a vector, which BLAS adds otherwise
        both = scratch("both", (2, columns.shape[1]), out.dtype)
        multiply(np.concatenate([matrix, np.zeros_like(matrix)]), columns, both)
        out[:] = both[:1]
        return
    first, last = alike(*matrix.shape, out.dtype)
    if first == last:
        _add_one_by_one(matrix, columns, out)
        return
    count = columns.shape[1]
    for start in range(0, count, last - first):
        stop = min(start + last - first, count)
        panel = _panel(columns, start - first)
        if stop - start == WIDTH:
            product(matrix, panel, out[:, start:stop])
        else:
            result = scratch("panel's product", (len(matrix), WIDTH), out.dtype)
            product(matrix, panel, result)
            out[:, start:stop] = result[:, first : first + stop - start]


def _panel(columns: Array, start: int) -> Array:
    """Return a panel's width of columns from one on, zeros where there are none."""
    stop = start + WIDTH
    if start >= 0 and stop <= columns.shape[1]:
        return columns[:, start:stop]
    panel = scratch("panel", (len(columns), WIDTH), columns.dtype)
    panel[:] = 0
    there = columns[:, max(start, 0) : stop]
    before = max(-start, 0)
    panel[:, before : before + there.shape[1]] = there
    return panel


def _add_one_by_one(matrix: Array, columns: Array, out: Array) -> None:
    """Multiply without BLAS, where it treats no two columns alike: slow, and always possible."""
    total = np.zeros(out.shape, sum_precision(matrix.shape[1], out.dtype))
    for term in range(matrix.shape[1]):
        total += matrix[:, term, None] * columns[term]
    out[:] = total


@lru_cache(maxsize=1024)
def alike(rows: int, terms: int, dtype: np.dtype[Any]) -> tuple[int, int]:
    """Return the first of those columns of a panel that BLAS treats alike, and the first after.

    Found by multiplying panels whose columns are all the same. (OpenBLAS for AVX2 rounds the first
    eight and the last eight otherwise than those between.)
    """
    random = np.random.default_rng(0)
    same = np.ones(WIDTH, bool)
    for _ in range(max(1, EVIDENCE // rows)):
        matrix = random.standard_normal((rows, terms)).astype(dtype)
        panel = random.standard_normal((terms, 1)).astype(dtype).repeat(WIDTH, axis=1)
        result = np.empty((rows, WIDTH), dtype)
        product(matrix, panel, result)
        same &= (result == result[:, WIDTH // 2, None]).all(axis=0)
    others = np.flatnonzero(~same)
    first = int(max(others[others < WIDTH // 2], default=-1)) + 1
    last = int(min(others[others > WIDTH // 2], default=WIDTH))
    return (first, last) if last - first >= WIDTH // 2 else (0, 0)

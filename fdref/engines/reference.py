"""The reference engine: NumPy in float64, to be read beside the paper and MatConvNet's manual."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.engines.pointwise import normalize, relu, scale, softmax
from fdref.engines.resize import band
from fdref.geometry import extent, output_size, substituted_size

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from fdref.arrays import Array
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

FROM_ABOVE = True
"""It decodes the paper's way."""

LOCAL = True
"""It computes a number from what it sees alone, but for products: see `fdref.engines.local`."""


def precision(weights: np.dtype[Any]) -> np.dtype[Any]:  # noqa: ARG001 - whatever they are
    """Return float64."""
    return np.dtype(np.float64)


def correlate(
    images: Array,
    filters: Array,
    bias: Array | None,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Array:
    """Add up, tap by tap, the shifted images times the filters' weights: no im2col."""
    taps = filters.shape[2:]
    size = output_size(images.shape[2:], extent(taps, dilate), stride, pad)
    padded = _pad(images, pad, 0.0)
    groups = images.shape[1] // filters.shape[1]
    response = np.zeros((len(images), len(filters), *size))
    for i, j, y, x in _taps(taps, size, stride, dilate):
        for c, k in _groups(groups, images.shape[1], len(filters)):
            response[:, k] += _einsum("kc,ncyx->nkyx", filters[k, :, i, j], padded[:, c, y, x])
    return response if bias is None else response + bias[:, None, None]


def substitute(maps: Array, filters: Array, stride: Pair, dilate: Pair, groups: int) -> Array:
    """Replace every pixel by its channel's filter times its value; where they overlap, add.

    Line by line the adjoint of `correlate`: what is read there is added to here.
    """
    taps, size = filters.shape[2:], maps.shape[2:]
    channels = filters.shape[1] * groups
    enlarged = substituted_size(size, stride, extent(taps, dilate))
    picture = np.zeros((len(maps), channels, *enlarged))
    for u, v, y, x in _taps(taps, size, stride, dilate):
        for c, j in _groups(groups, channels, len(filters)):
            picture[:, c, y, x] += _einsum("njyx,jc->ncyx", maps[:, j], filters[j, :, u, v])
    return picture


def unpool(maps: Array, stride: Pair, window: Pair, method: Method) -> Array:
    """Enlarge by the stride, then centre in the receptive field; or share over the window."""
    if method == "window":  # the adjoint of the average: equal shares, overlaps add
        each = maps.reshape(-1, 1, *maps.shape[2:])  # every channel by itself, as in a pool
        shared = substitute(each, np.full((1, 1, *window), 1 / prod(window)), stride, (1, 1), 1)
        return shared.reshape(*maps.shape[:2], *shared.shape[2:])
    for axis, step, size in zip((2, 3), stride, window, strict=True):
        maps = _framed(_enlarged(maps, axis, step, size, method), axis, size - step)
    return maps


def pool(images: Array, window: Pair, stride: Pair, pad: Margins, method: str) -> Array:
    """Take the maximum, or the average of the pixels that lie on the map."""
    size = output_size(images.shape[2:], window, stride, pad)
    if method == "max":
        padded = _pad(images, pad, -np.inf)
        pooled = np.full((*images.shape[:2], *size), -np.inf)
        for _, _, y, x in _taps(window, size, stride):
            pooled = np.maximum(pooled, padded[:, :, y, x])
        return pooled
    padded = _pad(images, pad, 0.0)
    total = np.zeros((*images.shape[:2], *size))
    for _, _, y, x in _taps(window, size, stride):
        total += padded[:, :, y, x]
    return total / _areas(images, window, stride, pad)


def filter_gradient(
    images: Array,
    gradient: Array,
    filters: Array,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> Array:
    """Correlate the images with the gradient: each weight gets what it was multiplied with."""
    padded = _pad(images, pad, 0.0)
    groups = images.shape[1] // filters.shape[1]
    result = np.zeros(filters.shape)
    for i, j, y, x in _taps(filters.shape[2:], gradient.shape[2:], stride, dilate):
        for c, k in _groups(groups, images.shape[1], len(filters)):
            result[k, :, i, j] = _einsum("nkyx,ncyx->kc", gradient[:, k], padded[:, c, y, x])
    return result


def pool_gradient(
    images: Array,
    gradient: Array,
    window: Pair,
    stride: Pair,
    pad: Margins,
    method: str,
) -> Array:
    """Hand each window's gradient to its first maximum, or in equal shares to its pixels."""
    padded = _pad(images, pad, -np.inf)  # where padding never wins
    result = np.zeros_like(padded)
    on_map = _pad(np.ones(images.shape), pad, 0.0) > 0
    best = pool(images, window, stride, pad, "max")
    share = gradient / _areas(images, window, stride, pad)
    waiting = np.ones(gradient.shape, bool)  # windows none of whose taps has been their maximum yet
    for _, _, y, x in _taps(window, gradient.shape[2:], stride):
        if method == "max":
            pixels = padded[:, :, y, x]
            highest = (pixels == best) | np.isnan(pixels)  # padding is as low as -inf, and no pixel
            first = waiting & on_map[:, :, y, x] & highest
            result[:, :, y, x] += np.where(first, gradient, 0)
            waiting &= ~first
        else:
            result[:, :, y, x] += share
    height, width = images.shape[2:]
    return result[:, :, pad[0] : pad[0] + height, pad[2] : pad[2] + width]


def compare(responses: Array, predictions: Array) -> NDArray[np.float64]:
    """Map both sides to [0, 1]; return the mean squared difference, and the correlation."""
    one, other = _unit_range(responses), _unit_range(predictions)
    errors = ((one - other) ** 2).mean(axis=1)
    # Correlation does not depend on scale, and from 0 to 1 no square overflows or vanishes.
    one, other = (side - side.mean(axis=1, keepdims=True) for side in (one, other))
    norms = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return np.stack([errors, (one * other).sum(axis=1) / norms])


def _unit_range(rows: Array) -> NDArray[np.float64]:
    """Map each row to [0, 1] by its own minimum and maximum, or to NaN if that cannot be."""
    values = rows.astype(np.float64)
    low, high = values.min(axis=1, keepdims=True), values.max(axis=1, keepdims=True)
    possible = np.isfinite(low) & np.isfinite(high) & (low < high)
    low, high = (np.where(possible, edge, np.nan) for edge in (low, high))
    # By a power of two, which rounds nothing, so that no span overflows or is subnormal.
    exponent = np.frexp(np.maximum(np.abs(low), np.abs(high)))[1]
    scale = np.ldexp(1.0, np.clip(-exponent, -1022, 1022))
    mapped: NDArray[np.float64] = (values * scale - low * scale) / (high * scale - low * scale)
    return mapped


def _taps(
    window: tuple[int, ...], size: tuple[int, ...], stride: Pair, dilate: Pair = (1, 1)
) -> Iterator[tuple[int, int, slice, slice]]:
    """For each tap of a window: its row and column, and the pixels it meets at `size` positions."""
    for i in range(window[0]):
        for j in range(window[1]):
            top, left = i * dilate[0], j * dilate[1]
            rows = slice(top, top + (size[0] - 1) * stride[0] + 1, stride[0])
            columns = slice(left, left + (size[1] - 1) * stride[1] + 1, stride[1])
            yield i, j, rows, columns


def _groups(groups: int, channels: int, filters: int) -> Iterator[tuple[slice, slice]]:
    """For each group: its channels, and the filters that see them."""
    for group in range(groups):
        own = slice(group * channels // groups, (group + 1) * channels // groups)
        yield own, slice(group * filters // groups, (group + 1) * filters // groups)


def _areas(images: Array, window: Pair, stride: Pair, pad: Margins) -> Array:
    """Count the pixels of each window that lie on the map."""
    size = output_size(images.shape[2:], window, stride, pad)
    ones = _pad(np.ones((1, 1, *images.shape[2:])), pad, 0.0)
    areas = np.zeros(size)
    for _, _, y, x in _taps(window, size, stride):
        areas += ones[0, 0, y, x]
    return areas


def _enlarged(maps: Array, axis: int, stride: int, window: int, method: Method) -> Array:
    """Sum the weighted pixels that each pixel of the enlarged maps is made of, along an axis."""
    starts, weights = band(maps.shape[axis], stride, window, method)
    along = [-1 if place == axis else 1 for place in range(maps.ndim)]
    total = np.zeros(())
    for t, weight in enumerate(weights.T):
        weight = weight.reshape(along)  # noqa: PLW2901
        # What weighs 0 takes no part, be it NaN or infinite.
        total = total + weight * np.where(weight == 0, 0, maps.take(starts + t, axis))
    return total


def _framed(pictures: Array, axis: int, border: int) -> Array:
    """Put `border` zeros around, if it is more than none; the odd one after."""
    widths = [(0, 0)] * pictures.ndim
    widths[axis] = max(border, 0) // 2, max(border, 0) - max(border, 0) // 2
    return np.pad(pictures, widths)


def _pad(images: Array, pad: Margins, value: float) -> Array:
    return np.pad(images, ((0, 0), (0, 0), pad[:2], pad[2:]), constant_values=value)


def _einsum(subscripts: str, left: Array, right: Array) -> Array:
    product: Array = np.einsum(subscripts, left, right, optimize=True)
    return product

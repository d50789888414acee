"""What both engines compute alike: non-linearities and scales, whose time goes to memory alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.engines.products import sum_precision

if TYPE_CHECKING:
    from fdref.arrays import Array

    Leak = float | Array
    """one for all channels, or one for each (C,)"""


def relu(images: Array, leak: Leak = 0.0) -> Array:
    """Return ``max(x, 0)``, or ``leak * x`` where x is negative; NaN stays NaN."""
    if isinstance(leak, np.ndarray):
        return np.where(images < 0, images * leak[:, None, None], images)
    if leak == 0:  # apart, because 0 * -inf is NaN
        return np.maximum(images, 0)
    return np.where(images < 0, images * images.dtype.type(leak), images)


def scale(
    images: Array, factor: Array, offset: Array | None = None, mean: Array | None = None
) -> Array:
    """Return ``(x - mean) * factor + offset``, each of them (C,)."""
    centred = images if mean is None else images - mean[:, None, None]
    scaled = centred * factor[:, None, None]
    return scaled if offset is None else scaled + offset[:, None, None]


def normalize(images: Array, size: int, kappa: float, alpha: float, beta: float) -> Array:
    """Divide by (kappa + alpha * sum of squares over the nearest `size` channels) ** beta.

    Squares that overflow are summed in float64; beyond that the result is NaN, which no number is.
    """
    count = images.shape[1]
    total = np.zeros(images.shape, sum_precision(size, images.dtype))
    squares = images * images
    for shift in range(-((size - 1) // 2), size // 2 + 1):  # floor and ceil of (size - 1) / 2
        # Each channel and its neighbour `shift` further on; beyond the first and last is none.
        own, other = slice(max(0, -shift), count - max(0, shift)), slice(max(0, shift), count)
        if abs(shift) < count:
            total[:, own] += squares[:, other][:, : own.stop - own.start]
    divisor = kappa + alpha * total
    if np.isinf(divisor).any() and np.isfinite(images).all():  # else it would divide to 0
        if images.dtype == np.float32:
            double = normalize(images.astype(np.float64), size, kappa, alpha, beta)
            return double.astype(images.dtype)
        divisor[np.isinf(divisor)] = np.nan
    normalized: Array = images / divisor**beta
    return normalized.astype(images.dtype, copy=False)


def softmax(images: Array) -> Array:
    """Return probabilities over the channels."""
    # Less the largest of a pixel, which changes nothing but that no exponential overflows.
    exponentials: Array = np.exp(images - images.max(axis=1, keepdims=True))
    dtype = sum_precision(images.shape[1], images.dtype)
    exponentials /= exponentials.sum(axis=1, keepdims=True, dtype=dtype)
    return exponentials

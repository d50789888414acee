"""Whitening as a convolution: what neighbouring pixels and colours have in common is taken away."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import callback, real_number, whole_number
from fdref.arrays import real_array
from fdref.errors import ArgumentError
from fdref.layers import Conv

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    Numbers = NDArray[np.float64]

AT_A_TIME = 100
"""Images whose transforms are in memory together."""


def whitening(
    images: ArrayLike,
    window: int = 7,
    floor: float = 10.0,
    progress: Callable[[int], object] | None = None,
) -> Conv:
    """Return the layer that whitens images from which their average image has been subtracted.

    In MatConvNet's CIFAR example an image x becomes V diag(m / max(sqrt(d), floor)) V' x, where
    V diag(d) V' is the covariance of all its pixels and m the root of the mean of d: whitening by
    components, turned back to pixels (ZCA). Here that is done to windows of few pixels, whose
    covariance is taken to be the same all over the image, and of each window the central pixel is
    kept. So the matrix becomes as many filters as there are colours, and whatever can be done to a
    layer (running, decoding, saving, exporting) can be done to it.

    Parameters
    ----------
    images : (N, C, H, W) array
        Training images, of any dtype; C colours.
    window : int
        Height and width of the filters in pixels, odd, at most H and W.
    floor : float
        Above 0, in the images' units. What varies by less than this is amplified no more than what
        varies by as much: there, photographs are noise, or what JPEG left over.
    progress : callable, optional
        Called from time to time with how many images have been looked at since.

    Returns
    -------
    Conv
        Named "whitening", filters (C, C, window, window) in float32, without biases, padded so that
        maps keep their size.

    Raises
    ------
    ArgumentError
        If images are no such array, hold what is no finite number, or are all the same; if the
        window is even or larger than they, or the floor not above 0.

    Examples
    --------
    Pixels side by side were alike, and are so no more:

    >>> import fdref
    >>> noise = np.random.default_rng(0).normal(0, 100, (500, 1, 17, 17))
    >>> images = noise[..., 1:] + noise[..., :-1]
    >>> layer = whitening(images, window=5)
    >>> white = fdref.forward(fdref.Network([layer]), images)[1]
    >>> for maps in (images, white):
    ...     print(f"{np.corrcoef(maps[..., 1:].ravel(), maps[..., :-1].ravel())[0, 1]:z.1f}")
    0.5
    0.0
    """
    pixels = _checked(images)
    size = whole_number(window, "window", 1, min(pixels.shape[2:]))
    if size % 2 == 0:
        raise ArgumentError(f"window is {size}; expected an odd number, so that one is central")
    least = real_number(floor, "floor", 0)
    if not least:
        raise ArgumentError("floor is 0; expected more, or what hardly varies would become all")
    callback(progress, "progress")
    covariance = window_covariance(pixels, size, progress)
    values, vectors = np.linalg.eigh(covariance)
    # Lags that are averaged one by one may give variances a little below 0: below the floor.
    deviations = np.sqrt(np.maximum(values, 0))
    scale = np.sqrt(covariance.trace() / len(covariance))
    colours = pixels.shape[1]
    matrix = (vectors * (scale / np.maximum(deviations, least))) @ vectors.T
    rows = matrix.reshape(colours, size, size, colours, size, size)[:, size // 2, size // 2]
    return Conv(rows.astype(np.float32), pad=size // 2, name="whitening")


def window_covariance(
    images: NDArray[np.generic], window: int, progress: Callable[[int], object] | None = None
) -> Numbers:
    """Return how the pixels of windows vary together, on average over all places and images.

    It depends on the colours and on how far pixels are apart alone: of all pairs of pixels so far
    apart the product is averaged, of images (N, C, H, W) less their average image.

    Returns
    -------
    (D, D) array
        D = C * window * window, in that order.

    Examples
    --------
    >>> stripes = np.array([1.0, -1.0, 1.0]) * np.ones((1, 1, 3, 3))
    >>> window_covariance(np.concatenate([stripes, -stripes]), 2)
    array([[ 1., -1.,  1., -1.],
           [-1.,  1., -1.,  1.],
           [ 1., -1.,  1., -1.],
           [-1.,  1., -1.,  1.]])
    """
    products = _products(images, window, progress)
    place = np.arange(window)
    lag = place[:, None] - place  # of a window's row y from row v; of column x from column u, too
    down, across = lag[:, None, :, None], lag[None, :, None, :]
    count, colours, height, width = images.shape
    pairs = count * (height - abs(down)) * (width - abs(across))
    with np.errstate(invalid="ignore"):
        means = products[:, :, down, across] / pairs
    if not np.isfinite(means).all():
        raise ArgumentError(
            "images hold NaN, infinity or numbers too large to be squared; expected finite pixels"
        )
    length = colours * window * window
    matrix: Numbers = means.transpose(0, 2, 3, 1, 4, 5).reshape(length, length)
    return matrix


def _products(
    images: NDArray[np.generic], window: int, progress: Callable[[int], object] | None
) -> Numbers:
    """Add up the products of pixels (C, C, rows, columns) by colours and lag, below 0 from the end.

    A correlation is a product of spectra; zeros around the images keep their opposite edges apart.
    """
    height, width = (side + window - 1 for side in images.shape[2:])
    total = 0.0
    with np.errstate(over="ignore", invalid="ignore"):  # told by what comes of it
        average = images.mean(axis=0, dtype=np.float64)
        for first in range(0, len(images), AT_A_TIME):
            part = images[first : first + AT_A_TIME]
            spectra = np.fft.rfft2(part - average, (height, width))
            total = total + np.einsum("nchw,ndhw->cdhw", spectra, spectra.conj())
            if progress is not None:
                progress(len(part))
        products: Numbers = np.fft.irfft2(total, (height, width))
    return products


def _checked(images: ArrayLike) -> NDArray[np.generic]:
    """Read images (N, C, H, W) that are not all the same."""
    pixels = real_array(images, "images")
    if pixels.ndim != 4 or 0 in pixels.shape:
        raise ArgumentError(f"images have shape {pixels.shape}; expected (N, C, H, W), none of 0")
    if (pixels == pixels[:1]).all():
        raise ArgumentError("the images are all the same; expected some that differ")
    return pixels

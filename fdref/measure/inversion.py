"""What a layer knows of an image: another image that it answers alike, found by inversion."""

from __future__ import annotations

from dataclasses import dataclass, field
from sys import float_info
from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import callback, instance, real_number, whole_number
from fdref.engines import engine_named
from fdref.errors import ArgumentError
from fdref.measure.codes import check_code, read_code
from fdref.measure.finite import QUIET
from fdref.measure.image_search import Objective, Range, View, pixels_of, starts_of
from fdref.network.graph import Network

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.measure.image_search import Values

ITERATIONS = 400
"""The most of one search, unless somebody says otherwise."""


@dataclass(frozen=True, eq=False)
class Inversion:
    """Images found for a code.

    Attributes
    ----------
    images : (N, C, H, W) array
        Pixels, the average not subtracted, in the engine's precision.
    errors : (N,) array of float64
        ``|Phi(image) - code|^2 / |code|^2`` of each, without what `smooth` adds.
    evaluations : (N,) array of int
        How many times the network and its gradient were computed for each.
    dead : (N, C_l) array of bool
        Maps that are zero everywhere for the image found, though the code's are not: nothing pulls
        at an image through a ReLU that lets nothing pass, so no search from there wakes them.
    restarted : (N,) array of bool
        Whether the image was found from `restart`.
    """

    images: Array = field(repr=False)
    errors: NDArray[np.float64]
    evaluations: NDArray[np.int64]
    dead: NDArray[np.bool_] = field(repr=False)
    restarted: NDArray[np.bool_]


def invert(
    net: Network,
    code: ArrayLike,
    layer: int | str,
    start: ArrayLike | None = None,
    bounds: Sequence[float] = (0, 255),
    smooth: float = 0.0,
    *,
    iterations: int = ITERATIONS,
    size: int | Sequence[int] | None = None,
    restart: ArrayLike | None = None,
    seed: int = 0,
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
) -> Inversion:
    """Find images whose activations of a layer are a code: Mahendran & Vedaldi's inversion.

    Each image x is searched by itself, by L-BFGS-B, for the least of
    ``|Phi(x) - code|^2 / |code|^2 + smooth * V(x)`` within bounds on the pixels. V is Mahendran &
    Vedaldi's total variation with beta = 2, the mean over pixels and channels of the squared
    differences to the pixels below and on the right. The same seed gives the same images.

    Parameters
    ----------
    net : Network
        The layer sees its image, and no further input.
    code : (N, C_l, H_l, W_l) array
        What `forward` returned for the layer, or what `reallocate` made of that.
    layer : int or str
        Number from 1, or name.
    start : (N, H, W) or (N, C, H, W) array, optional
        Pixels to start from, clipped to the bounds. By default the average plus Gaussian noise of
        deviation 20 (for other bounds, as large a part of their range); without an average, the
        middle of the bounds, or 0 where one is infinite, plus that noise.
    bounds : (lowest, highest)
        Of pixels as they are before the average is subtracted; infinite where there is no bound.
    smooth : float
        Weight of the total variation, whose unit is a pixel's squared; 0: none.
    iterations : int
        The most for each image. It ends earlier where no step makes the error smaller.
    size : int or (height, width), optional
        Of the images, where the network does not tell, nor `start`.
    restart : (N, H, W) or (N, C, H, W) array, optional
        Where to start again for images that are found with a dead map (see `Inversion.dead`): the
        pictures that the code is of. What is found from there is taken if its error is smaller.
    seed : int
        Of the noise.
    engine : "compiled", "reference" or Engine
    progress : callable, optional
        Called with how many iterations were made since: ``N * iterations`` in all, and as many
        again for each image that is restarted. One that ends early counts with all.

    Returns
    -------
    Inversion
        With ``.images``, ``.errors``, ``.evaluations``, ``.dead`` and ``.restarted``.

    Raises
    ------
    ArgumentError
        If code, start, bounds, size or layer do not fit the network, or are not finite; if the code
        of an image is zero everywhere.
    NetworkError
        If a layer of unknown type lies below, or answers are too large for the precision.
    DependencyError
        If SciPy is not installed: ``pip install 'fdref[invert]'``.

    Notes
    -----
    A. Mahendran and A. Vedaldi, "Understanding Deep Image Representations by Inverting Them",
    arXiv 1412.0035.

    Examples
    --------
    >>> import fdref
    >>> net, digits = fdref.load(), fdref.mnist().test.images[:2]
    >>> code = fdref.forward(net, net.prepare(digits), last=3)[3]
    >>> found = fdref.invert(net, code, 3, iterations=100)
    >>> found.images.shape, bool((found.errors < 1e-4).all())
    ((2, 1, 28, 28), True)
    """
    callback(progress, "progress")
    number = instance(net, Network, "net").number(layer)
    limits = Range.read(bounds)
    rough = real_number(smooth, "smooth", 0, float_info.max)
    most = whole_number(iterations, "iterations", 1)
    random = whole_number(seed, "seed", 0)
    operations = engine_named(engine)
    wanted = read_code(code, "code", operations.precision(net.dtype))
    away = Mismatch(wanted)
    _check_norms(away.norms)
    view = View(net, [number], operations)
    starts = starts_of(net, len(wanted), start, size, limits, random)
    check_code(net, number, wanted, starts.shape[2:])
    again = None if restart is None else pixels_of(net, restart, "restart", len(wanted), limits)
    if again is not None and again.shape != starts.shape:
        raise ArgumentError(f"restart has shape {again.shape}; expected {starts.shape}")
    objective = Objective(view, {number: away}, rough)

    def searched(begin: Values, which: Sequence[int]) -> Inversion:
        found = objective.search(begin, limits, most, progress, which)
        images = found.points.astype(view.dtype)
        errors, dead = _judged(view, away, images, which)
        return Inversion(images, errors, found.evaluations, dead, np.zeros(len(which), np.bool_))

    result = searched(starts, range(len(wanted)))
    stuck = np.flatnonzero(result.dead.any(axis=1))
    if again is None or not len(stuck):
        return result
    return _better(result, searched(again[stuck], stuck.tolist()), stuck)


def _better(first: Inversion, second: Inversion, which: NDArray[np.intp]) -> Inversion:
    """Put in place of some images those that were found from elsewhere, where their error is less.

    In the first result, which nobody else has seen.
    """
    first.evaluations[which] += second.evaluations
    less = second.errors < first.errors[which]
    taken = which[less]
    first.images[taken], first.errors[taken] = second.images[less], second.errors[less]
    first.dead[taken], first.restarted[taken] = second.dead[less], True
    return first


class Mismatch:
    """How far maps are from a code, relative to it: squared, for each image."""

    def __init__(self, code: Array) -> None:
        self.code = code
        self.norms = (code.astype(np.float64) ** 2).sum(axis=(1, 2, 3))

    def __call__(self, maps: Array, which: Sequence[int]) -> tuple[Values, Values]:
        """Return the errors of some of the images (n,), and their gradient in the maps."""
        norms = self.norms[which]
        off = maps.astype(np.float64) - self.code[which]
        errors = (off**2).sum(axis=(1, 2, 3)) / norms
        off *= (2 / norms)[:, None, None, None]
        return errors, off


@QUIET
def _judged(
    view: View, away: Mismatch, images: Array, which: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return errors and dead maps of images as they are handed out, rounded."""
    (number,) = view.numbers
    errors, dead = [], []
    step = view.together(images.shape[2:])
    for first in range(0, len(images), step):
        own = which[first : first + step]
        maps = view.maps(images[first : first + step], [number])[number]
        errors.append(away(maps, own)[0])
        dead.append(~maps.any(axis=(2, 3)) & away.code[own].any(axis=(2, 3)))
    return np.concatenate(errors), np.concatenate(dead)


def _check_norms(norms: NDArray[np.float64]) -> None:
    """Raise ArgumentError where an error cannot be relative to a code."""
    silent = np.flatnonzero(norms == 0)
    if len(silent):
        raise ArgumentError(
            f"the code of image {silent[0]} is zero everywhere; expected one that an error can be "
            "relative to"
        )

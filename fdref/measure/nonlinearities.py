"""What do the non-linearities do to a decoded filter? Other linear filters, and linear networks.

A decoded filter takes max pools for averages and lets ReLUs pass. Two questions tell what that
costs: do filters that see images predict the neuron better (the mean gradient, the best linear and
affine filters), and is the neuron predicted better where the network itself is made linear, one
layer after the other?
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arguments import callback, elements, instance, one_of, shown, whole_number
from fdref.decoding.decode import decode
from fdref.engines import engine_named
from fdref.engines.resize import METHODS
from fdref.errors import ArgumentError
from fdref.measure.abreast import Abreast
from fdref.measure.ceiling import Best, best_filters
from fdref.measure.chunks import check_executor, cut, over_chunks, read_images
from fdref.measure.evaluation import Evaluation, gathered
from fdref.measure.finite import QUIET, check_banks, check_pixels
from fdref.measure.mean_gradient import looked_at, mean_gradients, points_of
from fdref.measure.predicting import Predicting
from fdref.measure.replacing import variants
from fdref.network.graph import Network
from fdref.network.images import check_images
from fdref.network.units import receptive_field
from fdref.selection import decodable_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.measure.chunks import Executor, Images
    from fdref.measure.replacing import Replaced
    from fdref.selection import Layers

MEAN_GRADIENT, AT_THE_MEAN = "mean gradient", "gradient at the mean image"
LINEAR, AFFINE = "best linear filter", "best affine filter"

FITTED = 2000
"""Fields of more numbers have no best filters: fitting them takes the cube of that."""


@dataclass(frozen=True, eq=False)
class Nonlinearities:
    """How well filters predict a layer, and decoded filters the layer of networks made linear.

    Attributes
    ----------
    filters : {name: (K, C0, Rh, Rw) array}
        Those compared: "decoded, nearest" and the like, "mean gradient", "gradient at the mean
        image", and, unless the receptive field holds more than `FITTED` numbers, "best linear
        filter" and "best affine filter", which has a constant for each filter besides.
    predicted : {name: Evaluation}
        How well each predicts the layer's responses.
    replaced : {layers: Evaluation}
        How well the decoded filter predicts the layer of the network in which some layers that are
        not linear, a tuple of their numbers, are replaced: max pools average, others pass. ``()``
        is the network as it is.

    Notes
    -----
    Evaluations are in the order of the images that filters are compared on; where all take turns,
    those are the second, fourth and so on, and then the first, third and so on.
    """

    filters: dict[str, Array]
    predicted: dict[str, Evaluation]
    replaced: dict[Replaced, Evaluation]


@QUIET
def nonlinearities(
    net: Network,
    images: Array,
    others: Images | None = None,
    layers: Layers = None,
    unpool: Method | Sequence[Method] = "nearest",
    points: int | None = None,
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> dict[int, Nonlinearities]:
    """Tell what the non-linearities of a network do to its decoded filters.

    Parameters
    ----------
    net : Network
    images : (N, H, W) or (N, C, H, W) array
        Pixels as `Network.prepare` takes them, on which filters are fitted and gradients averaged.
        What is too large for memory may be a `numpy.memmap`.
    others : array, or iterable of arrays, optional
        Likewise; those on which filters are compared. By default every other image of `images` in
        turn: filters of one half are compared on the other.
    layers : int, str, sequence or array of these, or mask, optional
        Convolutions, as `evaluate` takes them.
    unpool : "bicubic", "nearest", "bilinear", "window", or a sequence of these
        Of the decoded filters; replaced networks are predicted by the first.
    points : int, optional
        Positions in images where gradients are taken for each layer; by default up to 100.
    engine : "compiled", "reference" or Engine
    progress : callable, optional
        Called after each chunk of images with their number; `steps` tells their sum.
    executor : optional
        As `evaluate` takes it. It does not change a bit of the result.

    Returns
    -------
    dict
        ``{layer: Nonlinearities}``

    Raises
    ------
    ArgumentError
        If there are too few images, they do not fit the network or are not finite, or a layer has
        no filters.
    NetworkError
        If weights are so large that filters or responses overflow.

    Examples
    --------
    >>> import fdref
    >>> net, digits = fdref.load(), fdref.mnist().test.images
    >>> found = fdref.nonlinearities(net, digits[::5], layers=7)[7]
    >>> for name in ("decoded, nearest", "mean gradient", "best linear filter"):
    ...     print(name, round(found.predicted[name].correlation, 1))
    decoded, nearest 0.7
    mean gradient 0.6
    best linear filter 0.8
    >>> for replaced in ((), (6,), (2, 4), (2, 4, 6)):
    ...     print(replaced, round(found.replaced[replaced].correlation, 1))
    () 0.7
    (6,) 0.7
    (2, 4) 0.9
    (2, 4, 6) 1.0
    """
    if instance(net, Network, "net").inputs > 1:
        raise ArgumentError(f"the network has {net.inputs} inputs; expected one to be shown images")
    methods = _methods(unpool)
    engine_named(engine)
    callback(progress, "progress")
    check_executor(executor)
    if points is not None:
        whole_number(points, "points", 1)
    numbers = decodable_numbers(net, layers)
    pixels = read_images(images)
    if not isinstance(pixels, np.ndarray):
        raise ArgumentError(
            f"images are {shown(images)}; expected an array: how many there are tells which of "
            "them are used for what"
        )
    check_images(net, pixels[:, None] if pixels.ndim == 3 else pixels)
    least = 2 if others is None else 1
    if len(pixels) < least:
        raise ArgumentError(f"there are {len(pixels)} images; expected at least {least}")
    for chunk in cut(pixels):  # at once: later an image has another number, in its half
        check_pixels(net, chunk.images, chunk.first)
    folds: list[tuple[Array, Images]] = (
        [(pixels[::2], pixels[1::2]), (pixels[1::2], pixels[::2])]
        if others is None
        else [(pixels, others)]
    )
    return joined(
        [
            _fold(net, fitted, shown_to, numbers, methods, points, engine, progress, executor)
            for fitted, shown_to in folds
        ]
    )


def steps(
    net: Network, images: int, others: int, size: Sequence[int], layers: Layers = None,
    points: int | None = None,
) -> int:  # fmt: skip
    """Return the sum of what `nonlinearities` tells of its progress for so many images of a size.

    >>> import fdref
    >>> steps(fdref.load(), 500, 300, (28, 28), 7, points=40)
    841
    """
    numbers = decodable_numbers(net, layers)
    if not numbers:
        return others
    chosen = {n: points_of(net, n, images, size, points) for n in numbers}
    return images * bool(fitted_layers(net, numbers)) + len(looked_at(chosen)) + 1 + others


def fitted_layers(net: Network, numbers: Iterable[int]) -> list[int]:
    """Return the layers whose fields are small enough for filters to be fitted."""
    return [n for n in numbers if net.channels[0] * prod(receptive_field(net, n).size) <= FITTED]


def joined(folds: Sequence[Mapping[int, Nonlinearities]]) -> dict[int, Nonlinearities]:
    """Put together what different images told; the filters are those of the first."""

    def together(several: Sequence[Evaluation]) -> Evaluation:
        return Evaluation(
            np.concatenate([one.errors for one in several]),
            np.concatenate([one.correlations for one in several]),
        )

    return {
        layer: Nonlinearities(
            first.filters,
            {name: together([f[layer].predicted[name] for f in folds]) for name in first.predicted},
            {key: together([f[layer].replaced[key] for f in folds]) for key in first.replaced},
        )
        for layer, first in folds[0].items()
    }


def _methods(unpool: Method | Sequence[Method]) -> tuple[Method, ...]:
    several: list[Any] | None = [unpool] if isinstance(unpool, str) else elements(unpool)
    if not several:
        raise ArgumentError(f"unpool is {shown(unpool)}; expected at least one of {METHODS}")
    known: list[Method] = [one_of(method, "unpool", METHODS) for method in several]
    return tuple(dict.fromkeys(known))


def _fold(
    net: Network,
    images: Array,
    others: Images,
    layers: Sequence[int],
    methods: Sequence[Method],
    points: int | None,
    engine: Engine | str,
    progress: Callable[[int], object] | None,
    executor: Executor | None,
) -> dict[int, Nonlinearities]:
    """Compare filters that images were used for on others."""
    mean = mean_image(images)
    best = best_filters(net, images, fitted_layers(net, layers), progress, executor, engine)
    gradients = mean_gradients(net, images, layers, points, engine, progress, executor)
    at_mean = mean_gradients(net, mean[None], layers, points, engine, progress)
    filters: dict[int, dict[str, Best]] = {}
    for n in layers:
        decoded = {f"decoded, {method}": decode(net, n, None, method, engine) for method in methods}
        for bank in decoded.values():
            check_banks(net, {n: bank})
        seen = decoded | {MEAN_GRADIENT: gradients[n], AT_THE_MEAN: at_mean[n]}
        none = np.zeros(net.channels[n])
        filters[n] = {name: Best(bank, none) for name, bank in seen.items()}
        filters[n] |= dict(zip((LINEAR, AFFINE), best.get(n, ()), strict=False))
    which = {n: variants(net, n) for n in layers}
    predicting, abreast = Predicting(net, filters, which, engine), Abreast(net, engine)
    found = gathered(over_chunks(predicting, others, progress, executor, abreast=abreast))
    return {
        n: Nonlinearities(
            {name: best.bank for name, best in filters[n].items()},
            {name: found[n, name] for name in filters[n]},
            {replaced: found[n, replaced] for replaced in which[n]},
        )
        for n in layers
    }


def mean_image(images: Array) -> NDArray[np.float64]:
    """Average images, which may be larger than memory."""
    sums = (chunk.images.sum(axis=0, dtype=np.float64) for chunk in cut(images))
    mean: NDArray[np.float64] = reduce(np.add, sums) / len(images)
    return mean

"""How good could any filter be? The best linear filter, without and with an offset, as the ceiling.

Few images do not determine the weights of a filter over a large field: plain least squares fits
them to the images' noise, and is worse on others than what it should bound. So it is ridge
regression, whose strength the fitting images choose among themselves: half of them are fitted with
every ridge, and eq. 3 on the others tells which is best. Without offset, it also tells whether the
filters are better fitted to the responses or to what varies in them: no filter makes a bias.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.engines.parallel import each
from fdref.errors import NetworkError
from fdref.measure.chunks import over_chunks
from fdref.measure.evaluation import Evaluation, compare, gathered, padded, respond
from fdref.measure.finite import QUIET, check_response, finite_forward, prepare
from fdref.measure.ridge import STRENGTHS, fit, moments, predictions
from fdref.network.sizes import map_size
from fdref.network.units import receptive_field
from fdref.selection import decodable_numbers
from fdref.walk.forward import forward

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.measure.chunks import Chunk, Executor, Images
    from fdref.measure.ridge import Kind, Moments
    from fdref.network.graph import Network
    from fdref.selection import Layers

    Progress = Callable[[int], object] | None


JUDGES = 500
"""At most so many images tell which ridge is best."""

KINDS: tuple[Kind, ...] = ("affine", "linear", "slopes")

ALIKE = 1e-9
"""Errors of eq. 3 that differ by less speak for the weaker ridge."""


class Best(NamedTuple):
    """The best filters of a layer, to be used like a decoded bank.

    Attributes
    ----------
    bank : (K, C0, Rh, Rw) array
    offset : (K,) array
        Added to each filter's answers; zero where none was fitted.
    """

    bank: NDArray[np.float64]
    offset: NDArray[np.float64]


class Ceiling(NamedTuple):
    """How well the best filters predict a layer, as `evaluate` says it of decoded ones.

    Attributes
    ----------
    linear : Evaluation
        Of filters alone, such as decoded ones.
    affine : Evaluation
        Of filters with a constant each, such as a network's biases add up to.
    """

    linear: Evaluation
    affine: Evaluation


def best_filters(
    net: Network,
    images: Array,
    layers: Layers,
    progress: Progress = None,
    executor: Executor | None = None,
) -> dict[int, tuple[Best, Best]]:
    """Fit to each filter's responses the linear filter over its receptive field.

    Parameters
    ----------
    net : Network
    images : (N, H, W) or (N, C, H, W) array
        Pixels as `Network.prepare` takes them. All of them, because how many there are tells which
        of them judge; what is too large for memory may be a `numpy.memmap`.
    layers : int, str, sequence or array of these, or mask, optional
        Convolutions, as `evaluate` takes them.
    progress : callable, optional
        Called after each chunk of images with their number.
    executor : optional
        As `evaluate` takes it.

    Returns
    -------
    dict
        ``{layer: (without offset, with offset)}``

    Raises
    ------
    NetworkError
        If responses are so large that filters overflow.
    """
    numbers = decodable_numbers(net, layers)
    groups = same_view(net, images, numbers)
    sums: dict[tuple[int, int], Moments] = {}
    for parts in over_chunks(Observing(net, groups), images, progress, executor):
        for part, new in parts.items():
            sums[part] = sums[part].and_of(new) if part in sums else new
    x = net.prepare(judges(images))
    acts = forward(net, x, last=max(numbers, default=None))
    found: dict[int, tuple[Best, Best]] = {}
    for i, group in enumerate(groups):
        kinds: dict[Kind, dict[int, tuple[float, Best]]] = {}

        def add_kind(
            kind: Kind,
            i: int = i,
            group: Sequence[int] = group,
            kinds: dict[Kind, dict[int, tuple[float, Best]]] = kinds,
        ) -> None:
            kinds[kind] = fitted(net, group, (sums[i, 0], sums[i, 1]), x, acts, kind)

        each(add_kind, KINDS)
        for layer in group:
            linear = min((kinds["linear"][layer], kinds["slopes"][layer]), key=itemgetter(0))
            found[layer] = linear[1], kinds["affine"][layer][1]
    return {layer: found[layer] for layer in numbers}


@dataclass(frozen=True, eq=False)
class Observing:
    """Adds up what a chunk of images says of groups of layers with the same view."""

    net: Network
    groups: Sequence[Sequence[int]]

    @QUIET
    def __call__(self, chunk: Chunk) -> dict[tuple[int, int], Moments]:
        """Return the sums for each group, over every other image and over the others."""
        x = prepare(self.net, chunk.images, chunk.first)
        last = max((layer for group in self.groups for layer in group), default=None)
        acts = finite_forward(self.net, x, chunk.first, last=last)
        found: dict[tuple[int, int], Moments] = {}

        def add(part: tuple[int, int]) -> None:
            group, half = self.groups[part[0]], slice(part[1], None, 2)  # often sorted by class
            responses = [acts[layer][half] for layer in group]
            found[part] = moments(*observed(self.net, group, x[half], responses))

        each(add, [(i, half) for i in range(len(self.groups)) for half in range(2)])
        return found


def judges(images: Array) -> Array:
    """Choose images evenly among every other one, the half that is held back at first."""
    half = images[1::2]
    return half[:: max(1, -(-len(half) // JUDGES))]


def same_view(net: Network, images: Array, layers: Sequence[int]) -> list[list[int]]:
    """Put together layers whose pixels see the same patches, which are decomposed once for all."""
    groups: dict[object, list[int]] = {}
    for layer in layers:
        groups.setdefault(
            (receptive_field(net, layer), map_size(net, layer, images.shape[-2:])), []
        ).append(layer)
    return list(groups.values())


def observed(
    net: Network, group: Sequence[int], x: Array, responses: Sequence[Array]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the pixels of some layers' maps see (n, D), and what all answer (n, K)."""
    answers = [
        np.moveaxis(response.astype(np.float64), 1, -1).reshape(-1, response.shape[1])
        for response in responses
    ]
    return patches(net, group[0], x), np.hstack(answers)


def fitted(
    net: Network,
    group: Sequence[int],
    halves: tuple[Moments, Moments],
    x: Array,
    acts: Sequence[Array],
    kind: Kind,
) -> dict[int, tuple[float, Best]]:
    """Fit filters to what was observed of layers with the same view; return them with their error.

    The ridge is that with which filters fitted to the first half do best on some images of the
    other, given with their activations. Without any it is the weakest, least squares.
    """
    seen, answers = observed(net, group, x, [acts[layer] for layer in group])
    ends = np.cumsum([net.channels[layer] for layer in group]).tolist()
    parts = {n: slice(end - net.channels[n], end) for n, end in zip(group, ends, strict=True)}
    errors: dict[int, list[float]] = {layer: [] for layer in group}
    for predicted in predictions(halves[0], seen, kind) if len(x) else ():
        for layer, part in parts.items():
            sides = (side[:, part].reshape(len(x), -1) for side in (answers, predicted))
            errors[layer].append(Evaluation(*compare(*sides)).mean)
    whole = halves[0].and_of(halves[1])
    found = {}
    for layer, part in parts.items():
        own = whole._replace(answers=whole.answers[part], products=whole.products[:, part])
        error, strength = weakest(errors[layer])
        filters, constant = fit(own, strength, kind)
        if not (np.isfinite(filters).all() and np.isfinite(constant).all()):
            raise NetworkError(
                f"{net.describe(layer)} answers with numbers too large to fit filters to them; "
                "expected smaller weights or pixels"
            )
        shape = (-1, net.channels[0], *receptive_field(net, layer).size)
        found[layer] = error, Best(np.ascontiguousarray(filters.T).reshape(shape), constant)
    return found


def weakest(errors: Sequence[float]) -> tuple[float, float]:
    """Return the least error, and the weakest of the ridges that have it; NaN is no error."""
    known = [inf if isnan(error) else error for error in errors]
    least = min(known, default=inf)
    best = [s for s, error in zip(STRENGTHS, known, strict=False) if error <= least + ALIKE]
    return least, best[-1] if best else STRENGTHS[-1]


def patches(net: Network, layer: int, x: Array) -> NDArray[np.float64]:
    """Return what each pixel of a layer's map sees, one row each: (N * H_l * W_l, C0 * Rh * Rw)."""
    field = receptive_field(net, layer)
    height, width = map_size(net, layer, x.shape[2:])
    windows = np.lib.stride_tricks.sliding_window_view(padded(net, layer, x), field.size, (2, 3))
    windows = windows[:, :, :: field.stride[0], :: field.stride[1]][:, :, :height, :width]
    pixels = x.shape[1] * field.size[0] * field.size[1]
    # im2col, as rows: (n, c, y, x, i, j) to (n, y, x, c, i, j), a patch for each pixel of the map
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(x) * height * width, pixels)
    return rows.astype(np.float64)


@QUIET
def ceiling(
    net: Network,
    images: Array,
    others: Images,
    layers: Layers,
    progress: Progress = None,
    executor: Executor | None = None,
) -> dict[int, Ceiling]:
    """Evaluate filters fitted on some images on others, as `evaluate` does decoded filters.

    Parameters
    ----------
    net : Network
    images : (N, H, W) or (N, C, H, W) array
        Pixels as `Network.prepare` takes them.
    others : array, or iterable of arrays
        Likewise.
    layers : int, str, sequence or array of these, or mask, optional
    progress : callable, optional
    executor : optional
        As `evaluate` takes it.

    Returns
    -------
    dict
        ``{layer: Ceiling}``

    Raises
    ------
    ArgumentError, NetworkError
        As `evaluate` does, for what is not finite.
    """
    numbers = decodable_numbers(net, layers)
    filters = best_filters(net, images, numbers, progress, executor)
    found = gathered(over_chunks(Measuring(net, filters), others, progress, executor))
    return {layer: Ceiling(found[layer, 0], found[layer, 1]) for layer in numbers}


@dataclass(frozen=True, eq=False)
class Measuring:
    """Compares layers' responses with the answers of the best filters to a chunk of images."""

    net: Network
    filters: dict[int, tuple[Best, Best]]

    @QUIET
    def __call__(self, chunk: Chunk) -> dict[tuple[int, int], NDArray[np.float64]]:
        """Return `compare`'s rows for each layer, without (0) and with offset (1)."""
        x = prepare(self.net, chunk.images, chunk.first)
        acts = finite_forward(self.net, x, chunk.first, last=max(self.filters, default=None))
        rows = {}
        for layer, kinds in self.filters.items():
            for kind, (bank, offset) in enumerate(kinds):
                predicted = respond(self.net, layer, bank, x) + offset[:, None, None]
                check_response(self.net, layer, predicted, chunk.first)
                rows[layer, kind] = compare(acts[layer], predicted)
        return rows

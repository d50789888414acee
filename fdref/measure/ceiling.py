"""How good could any filter be? The best linear filter, without and with an offset.

Few images do not determine the weights of a filter over a large field: plain least squares fits
them to the images' noise, and is worse on others than what it should bound. So it is ridge
regression, whose strength the fitting images choose among themselves: half of them are fitted with
every ridge, and eq. 3 on the others tells which is best. Without offset, it also tells whether the
filters are better fitted to the responses or to what varies in them: no filter makes a bias.

The best filter on all images that there are would be a ceiling for any other. Where images are few,
more of them would make it better: then it stands below the ceiling.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isnan, prod
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.engines.parallel import each
from fdref.errors import NetworkError
from fdref.measure.chunks import over_chunks
from fdref.measure.evaluation import Evaluation, compare, padded
from fdref.measure.finite import QUIET, finite_forward, prepare
from fdref.measure.ridge import STRENGTHS, fit, moments, predictions
from fdref.network.sizes import map_size
from fdref.network.units import receptive_field
from fdref.selection import decodable_numbers
from fdref.walk.forward import forward

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.measure.chunks import Chunk, Executor
    from fdref.measure.ridge import Kind, Moments
    from fdref.network.graph import Network
    from fdref.selection import Layers

    Progress = Callable[[int], object] | None


JUDGES, FEWEST = 500, 50
"""At most so many images tell which ridge is best; where maps are large, less, but so many."""

ROOM = 2**27
"""Bytes that what pixels of the judges' maps see may take; it is held a few times."""

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

    bank: Array
    offset: NDArray[np.float64]


def best_filters(
    net: Network,
    images: Array,
    layers: Layers,
    progress: Progress = None,
    executor: Executor | None = None,
    engine: Engine | str = "compiled",
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
    engine : "compiled", "reference" or Engine
        For the responses; what is fitted to them is computed in float64.

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
    if not numbers:
        return {}
    sums: dict[tuple[int, int], Moments] = {}  # by group and half
    for sums_of_chunk in over_chunks(Observing(net, groups, engine), images, progress, executor):
        for key, added in sums_of_chunk.items():
            sums[key] = sums[key].and_of(added) if key in sums else added
    seen = (prod(map_size(net, own[0], images.shape[-2:])) * weights(net, own[0]) for own in groups)
    x = net.prepare(judges(images, min(JUDGES, max(FEWEST, ROOM // (8 * max(seen))))))
    acts = forward(net, x, engine, max(numbers))
    best: dict[int, tuple[Best, Best]] = {}
    for i, group in enumerate(groups):
        by_kind: dict[Kind, dict[int, tuple[float, Best]]] = {}

        # Defaults, because a loop's variables would be those of its last turn in every function.
        def add_kind(
            kind: Kind,
            i: int = i,
            group: Sequence[int] = group,
            by_kind: dict[Kind, dict[int, tuple[float, Best]]] = by_kind,
        ) -> None:
            by_kind[kind] = fitted(net, group, (sums[i, 0], sums[i, 1]), x, acts, kind)

        each(add_kind, KINDS)  # decompositions of large matrices, which leave Python's lock alone
        for layer in group:
            linear = min((by_kind["linear"][layer], by_kind["slopes"][layer]), key=itemgetter(0))
            best[layer] = linear[1], by_kind["affine"][layer][1]
    return {layer: best[layer] for layer in numbers}


@dataclass(frozen=True, eq=False)
class Observing:
    """Adds up what a chunk of images says of groups of layers with the same view."""

    net: Network
    groups: Sequence[Sequence[int]]
    engine: Engine | str

    @QUIET
    def __call__(self, chunk: Chunk) -> dict[tuple[int, int], Moments]:
        """Return the sums for each group, over every other image and over the others."""
        x = prepare(self.net, chunk.images, chunk.first)
        last = max((layer for group in self.groups for layer in group), default=None)
        acts = finite_forward(self.net, x, chunk.first, self.engine, last)
        sums: dict[tuple[int, int], Moments] = {}

        def add(key: tuple[int, int]) -> None:
            # Every other image, not the first and the last ones: files are often sorted by class.
            group, half = self.groups[key[0]], slice(key[1], None, 2)
            responses = [acts[layer][half] for layer in group]
            sums[key] = moments(*observed(self.net, group, x[half], responses))

        each(add, [(i, half) for i in range(len(self.groups)) for half in range(2)])
        return sums


def weights(net: Network, layer: int) -> int:
    """Return how many weights a filter over the field of a layer has."""
    return net.channels[0] * prod(receptive_field(net, layer).size)


def judges(images: Array, most: int) -> Array:
    """Choose images evenly among every other one, the half that is held back at first."""
    half = images[1::2]
    return half[:: max(1, -(-len(half) // most))]


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
    columns = {n: slice(end - net.channels[n], end) for n, end in zip(group, ends, strict=True)}
    errors: dict[int, list[float]] = {layer: [] for layer in group}
    for predicted in predictions(halves[0], seen, kind) if len(x) else ():
        for layer, own in columns.items():
            # Rows are pixels of maps; eq. 3 compares images, whose pixels follow one another.
            sides = (side[:, own].reshape(len(x), -1) for side in (answers, predicted))
            errors[layer].append(Evaluation(*compare(*sides)).mean)
    every = halves[0].and_of(halves[1])
    best = {}
    for layer, own in columns.items():
        sums = every._replace(answers=every.answers[own], products=every.products[:, own])
        error, strength = weakest(errors[layer])
        filters, constant = fit(sums, strength, kind)
        if not (np.isfinite(filters).all() and np.isfinite(constant).all()):
            raise NetworkError(
                f"{net.describe(layer)} answers with numbers too large to fit filters to them; "
                "expected smaller weights or pixels"
            )
        shape = (-1, net.channels[0], *receptive_field(net, layer).size)
        best[layer] = error, Best(np.ascontiguousarray(filters.T).reshape(shape), constant)
    return best


def weakest(errors: Sequence[float]) -> tuple[float, float]:
    """Return the least error, and the weakest of the ridges that have it; NaN is no error."""
    comparable = [inf if isnan(error) else error for error in errors]
    least = min(comparable, default=inf)
    as_good = [s for s, e in zip(STRENGTHS, comparable, strict=False) if e <= least + ALIKE]
    return least, as_good[-1] if as_good else STRENGTHS[-1]


def patches(net: Network, layer: int, x: Array) -> NDArray[np.float64]:
    """Return what each pixel of a layer's map sees, one row each: (N * H_l * W_l, C0 * Rh * Rw)."""
    field = receptive_field(net, layer)
    height, width = map_size(net, layer, x.shape[2:])
    windows = np.lib.stride_tricks.sliding_window_view(padded(net, layer, x), field.size, (2, 3))
    windows = windows[:, :, :: field.stride[0], :: field.stride[1]]
    pixels = x.shape[1] * field.size[0] * field.size[1]
    # im2col, as rows: (n, c, y, x, i, j) to (n, y, x, c, i, j), a patch for each pixel of the map
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(x) * height * width, pixels)
    return rows.astype(np.float64)

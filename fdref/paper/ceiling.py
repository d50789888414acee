"""How good could any filter be? The best linear filter, without and with an offset, as the ceiling.

Few images do not determine the weights of a filter over a large field: plain least squares fits
them to the images' noise, and is worse on others than what it should bound. So it is ridge
regression, whose strength the fitting images choose among themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.errors import NetworkError
from fdref.evaluation import Evaluation, chunks, compare, padded, respond
from fdref.finite import QUIET, check_forward, check_response
from fdref.forward_pass import forward
from fdref.network import receptive_field
from fdref.paper.ridge import fits, moments
from fdref.parallel import each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.network import Network
    from fdref.paper.ridge import Moments

    Progress = Callable[[int], object] | None


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
    net: Network, images: Array, layers: Sequence[int], progress: Progress = None
) -> dict[int, tuple[Best, Best]]:
    """Fit to each filter's responses the linear filter over its receptive field.

    Parameters
    ----------
    net : Network
    images : (N, H, W) or (N, C, H, W) array
        Pixels as `Network.prepare` takes them. Every other one judges which ridge is best for the
        rest, and the other way round.
    layers : sequence of int
        Numbers of convolutions.
    progress : callable, optional
        Called after each chunk of images with their number.

    Returns
    -------
    dict
        ``{layer: (without offset, with offset)}``

    Raises
    ------
    NetworkError
        If responses are so large that their squares overflow.
    """
    groups = same_view(net, images, layers)
    sums: dict[tuple[int, int], Moments] = {}
    first = 0
    for raw in chunks(images):
        x = net.prepare(raw)
        acts = forward(net, x)
        check_forward(net, x, acts, first)

        def add(part: tuple[int, int], x: Array = x, acts: list[Array] = acts) -> None:
            group, half = groups[part[0]], slice(part[1], None, 2)  # often sorted by class
            new = observed(net, group, x[half], [acts[layer][half] for layer in group])
            sums[part] = sums[part] + new if part in sums else new

        each(add, [(i, half) for i in range(len(groups)) for half in range(2)])
        first += len(x)
        if progress is not None:
            progress(len(x))
    found: dict[int, tuple[Best, Best]] = {}
    for i, group in enumerate(groups):
        found |= fitted(net, group, sums[i, 0], sums[i, 1])
    return found


def same_view(net: Network, images: Array, layers: Sequence[int]) -> list[list[int]]:
    """Put together layers whose pixels see the same patches, which are decomposed once for all."""
    sizes = net.map_sizes(images.shape[-2:])
    groups: dict[object, list[int]] = {}
    for layer in layers:
        groups.setdefault((receptive_field(net, layer), sizes[layer]), []).append(layer)
    return list(groups.values())


def observed(net: Network, group: Sequence[int], x: Array, responses: Sequence[Array]) -> Moments:
    """Add up what the pixels of some layers' maps see and answer."""
    answers = [
        np.moveaxis(response.astype(np.float64), 1, -1).reshape(-1, response.shape[1])
        for response in responses
    ]
    return moments(patches(net, group[0], x), np.hstack(answers))


def fitted(
    net: Network, group: Sequence[int], one: Moments, other: Moments
) -> dict[int, tuple[Best, Best]]:
    """Fit filters to the halves of what was observed of layers with the same view."""
    ends = np.cumsum([net.channels[layer] for layer in group]).tolist()
    parts = [slice(end - net.channels[layer], end) for layer, end in zip(group, ends, strict=True)]
    for layer, part in zip(group, parts, strict=True):
        if not np.isfinite((one.energy + other.energy)[part]).all():
            raise NetworkError(
                f"{net.describe(layer)} answers with numbers whose squares are too large to be "
                "added up; expected smaller weights or pixels"
            )
    shape = (-1, net.channels[0], *receptive_field(net, group[0]).size)
    kinds: dict[bool, list[Best]] = {}

    def fit(offset: bool) -> None:  # noqa: FBT001 - one of the parts
        kinds[offset] = [
            Best(np.ascontiguousarray(found.filters.T).reshape(shape), found.offset)
            for found in fits(one, other, parts, offset=offset)
        ]

    each(fit, (False, True))
    return dict(zip(group, zip(kinds[False], kinds[True], strict=True), strict=True))


def patches(net: Network, layer: int, x: Array) -> NDArray[np.float64]:
    """Return what each pixel of a layer's map sees, one row each: (N * H_l * W_l, C0 * Rh * Rw)."""
    field = receptive_field(net, layer)
    height, width = net.map_sizes(x.shape[2:])[layer]
    windows = np.lib.stride_tricks.sliding_window_view(padded(net, layer, x), field.size, (2, 3))
    windows = windows[:, :, :: field.stride[0], :: field.stride[1]][:, :, :height, :width]
    rows = windows.transpose(0, 2, 3, 1, 4, 5).reshape(len(x) * height * width, -1)
    return rows.astype(np.float64)


@QUIET
def ceiling(
    net: Network,
    fit: Array,
    test: Array,
    layers: Sequence[int],
    progress: Progress = None,
) -> dict[int, Ceiling]:
    """Evaluate filters fitted on some images on others, as `evaluate` does decoded filters.

    Parameters
    ----------
    net : Network
    fit, test : (N, H, W) or (N, C, H, W) arrays
        Pixels as `Network.prepare` takes them.
    layers : sequence of int
    progress : callable, optional

    Returns
    -------
    dict
        ``{layer: Ceiling}``

    Raises
    ------
    ArgumentError, NetworkError
        As `evaluate` does, for what is not finite.
    """
    filters = best_filters(net, fit, layers, progress)
    parts: dict[tuple[int, int], list[Array]] = {}
    first = 0
    for raw in chunks(test):
        x = net.prepare(raw)
        acts = forward(net, x)
        check_forward(net, x, acts, first)
        for layer in layers:
            for kind, (bank, offset) in enumerate(filters[layer]):
                predicted = respond(net, layer, bank, x) + offset[:, None, None]
                check_response(net, layer, predicted, first)
                parts.setdefault((layer, kind), []).append(compare(acts[layer], predicted))
        first += len(x)
        if progress is not None:
            progress(len(x))
    found = {key: Evaluation(*np.concatenate(rows, axis=1)) for key, rows in parts.items()}
    return {layer: Ceiling(found[layer, 0], found[layer, 1]) for layer in layers}

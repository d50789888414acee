"""Who is made of whom: of every neuron the strongest parts, and the neurons that it is part of."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.measure.composition import composition

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.measure.composition import Composition
    from fdref.network.graph import Network

SHOWN = 10
"""Of a neuron's parts, and of what it is part of, so many are told."""


class Link(NamedTuple):
    """A neuron at one end of a connection, and the signed share."""

    layer: int
    neuron: int
    share: float


class Parts(NamedTuple):
    """What a neuron is made of: the largest shares, and all that is left."""

    largest: tuple[Link, ...]
    others: int
    rest: float
    """the sum of the shares of the others"""


class Connections(NamedTuple):
    """By layer, for every neuron."""

    made: dict[int, list[Parts]]
    used: dict[int, list[list[Link]]]


def connections(
    net: Network,
    layers: Sequence[int],
    unpool: Method,
    engine: Engine | str,
    banks: Mapping[int, Array],
    progress: Callable[[int], object] | None = None,
) -> Connections:
    """Find the signed shares of all neurons of some layers in each other.

    Parameters
    ----------
    net : Network
    layers : sequence of int
    unpool, engine, banks
        As `fdref.composition` takes them.
    progress : callable, optional
        Called after each layer with the number of its neurons.
    """
    made: dict[int, list[Parts]] = {}
    found: dict[int, list[list[Link]]] = {
        layer: [[] for _ in range(net.channels[layer])] for layer in layers
    }
    for layer in layers:
        shares = composition(net, layer, unpool=unpool, engine=engine, banks=banks)
        made[layer] = [_parts(shares, row) for row in shares.shares]
        for below in set(shares.layers.tolist()) & found.keys():
            _add_users(found[below], layer, shares, below)
        if progress is not None:
            progress(net.channels[layer])
    used = {
        layer: [sorted(links, key=lambda link: -abs(link.share))[:SHOWN] for links in several]
        for layer, several in found.items()
    }
    return Connections(made, used)


def _parts(shares: Composition, row: NDArray[np.float64]) -> Parts:
    """Choose the largest shares of a neuron."""
    largest = np.argsort(-np.abs(row), kind="stable")[:SHOWN]
    largest = largest[row[largest] != 0]
    links = tuple(
        Link(int(shares.layers[j]), int(shares.channels[j]), float(row[j])) for j in largest
    )
    others = int(np.count_nonzero(row)) - len(links)
    return Parts(links, others, float(row.sum() - row[largest].sum()))


def _add_users(found: list[list[Link]], layer: int, shares: Composition, below: int) -> None:
    """Note, for every neuron of a layer below, the neurons in which it has the largest shares."""
    of_layer = np.flatnonzero(shares.layers == below)
    weights = shares.shares[:, of_layer]
    strongest = np.argsort(-np.abs(weights), axis=0, kind="stable")[:SHOWN]
    for column, place in enumerate(of_layer):
        own = found[int(shares.channels[place])]
        for k in strongest[:, column]:
            if weights[k, column] != 0:
                own.append(Link(layer, int(k), float(weights[k, column])))

"""What a filter is made of: the filters of the layers below, and their shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.arguments import whole_number
from fdref.measure.composition import composition
from fdref.selection import decodable_number, filter_index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.arrays import Array
    from fdref.network.graph import Network

Node = tuple[int, int]
"""A filter: the number of its layer from 1, its own from 0."""


class Part(NamedTuple):
    """One of the filters that a filter is made of.

    Attributes
    ----------
    node : (layer, filter)
    share : float
        How much of the decoded filter it makes, as `fdref.composition` tells: negative where it
        works against the others.
    """

    node: Node
    share: float


NONE = 1e-9
"""A share that is not larger is rounding's."""

Graph = dict[Node, tuple[Part, ...]]
"""Filters and what they are made of, from the top down."""


def parts_of(net: Network, layer: int | str, k: int) -> tuple[Part, ...]:
    """Return what a filter is made of, one layer with filters below.

    Parameters
    ----------
    net : Network
    layer : int or str
        Number from 1, or name.
    k : int
        Which filter, counted from 0.

    Returns
    -------
    tuple of Part
        Those with a share other than zero, that of the largest magnitude first; none where the
        layer sees the image itself.

    Raises
    ------
    ArgumentError
        If the layer or the filter does not exist, or the layer has no filters.

    Examples
    --------
    >>> from fdref.weights.handmade import handmade
    >>> [(node, round(share, 3)) for node, share in parts_of(handmade(), "parts", 2)]
    [((1, 0), 0.54), ((1, 1), 0.46)]
    """
    number = decodable_number(net, layer)
    (found,) = _parts(net, number, [filter_index(net, number, k)])
    return found


def _parts(net: Network, number: int, filters: Sequence[int]) -> list[tuple[Part, ...]]:
    """Return what filters of a layer are made of."""
    made_of = composition(net, number, filters, engine="reference")
    nodes = [*zip(made_of.layers.tolist(), made_of.channels.tolist(), strict=True)]
    found = []
    for shares in made_of.shares:
        parts = [
            Part(node, share)
            for node, share in zip(nodes, shares.tolist(), strict=True)
            if node[0] > 0 and abs(share) > NONE
        ]
        found.append(tuple(sorted(parts, key=lambda part: -round(abs(part.share), 9))))
    return found


def graph_of(net: Network, layer: int | str, k: int, most: int | None = None) -> Graph:
    """Return the graph from a filter down to those that see the image itself.

    Parameters and errors are those of `parts_of`.

    Parameters
    ----------
    most : int, optional
        How many parts of each filter are followed, the largest first; all by default.

    Returns
    -------
    dict
        ``{(layer, filter): its parts}``, from the top down, each filter once.

    Examples
    --------
    >>> from fdref.weights.handmade import handmade
    >>> list(graph_of(handmade(), "characters", 0))
    [(4, 0), (2, 2), (2, 3), (2, 0), (2, 1), (1, 0), (1, 1)]
    """
    number = decodable_number(net, layer)
    if most is not None:
        most = whole_number(most, "most", 0)
    waiting: dict[int, list[int]] = {number: [filter_index(net, number, k)]}
    graph: Graph = {}
    while waiting:
        layer = max(waiting)
        filters = list(dict.fromkeys(waiting.pop(layer)))
        for j, parts in zip(filters, _parts(net, layer, filters), strict=True):
            graph[layer, j] = parts[:most]
            for below, i in (part.node for part in graph[layer, j]):
                waiting.setdefault(below, []).append(i)
    return graph


def named_and_strongest(
    graph: Graph, acts: Sequence[Array]
) -> dict[int, tuple[frozenset[int], frozenset[int]]]:
    """Compare the filters that a graph names with the maps that answer most to one image.

    A map is as strong as its largest value. A layer that only passes maps on, such as a pooling
    layer, is compared with the filters of the convolution below it.

    Parameters
    ----------
    graph : dict
        What `graph_of` returned.
    acts : list of (1, C, h, w) arrays
        What `forward` returned for the image.

    Returns
    -------
    dict
        ``{layer: (named, strongest)}`` for the layers up to the graph's top: the numbers of the
        named maps, and of as many that are strongest. Maps that tie for the last place are all
        among them.

    Examples
    --------
    >>> import fdref
    >>> from fdref.weights.handmade import handmade
    >>> net = handmade()
    >>> graph = graph_of(net, "characters", 0)
    >>> c = fdref.decode(net, "characters", 0, unpool="nearest")
    >>> for layer, (named, strongest) in named_and_strongest(graph, fdref.forward(net, c)).items():
    ...     print(layer, sorted(named), sorted(strongest))
    1 [0, 1] [0, 1]
    2 [0, 1, 2, 3] [0, 1, 2, 3]
    3 [0, 1, 2, 3] [0, 1, 2, 3]
    4 [0] [0]
    """
    layers = {layer for layer, _ in graph}
    found = {}
    for number in range(min(layers), max(layers) + 1):
        source = max(layer for layer in layers if layer <= number)
        named = frozenset(k for layer, k in graph if layer == source)
        peaks = acts[number][0].max(axis=(1, 2))
        last = np.sort(peaks)[-len(named)]
        found[number] = named, frozenset(np.flatnonzero(peaks >= last).tolist())
    return found

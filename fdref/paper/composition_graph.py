"""What a filter is made of: the filters of the layers below, and their shares."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.arguments import whole_number
from fdref.layers import BatchNorm
from fdref.selection import decodable_number, filter_index
from fdref.walk.down import top

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
        Its part, from 0 to 1, of the sum of the absolute weights.
    """

    node: Node
    share: float


Graph = dict[Node, tuple[Part, ...]]
"""Filters and what they are made of, from the top down."""


def parts_of(net: Network, layer: int | str, k: int) -> tuple[Part, ...]:
    """Return what a filter is made of, one convolution below.

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
        Those with a weight other than zero, the largest share first; none for the first
        convolution. What batch normalisation in between multiplies with counts as weight.

    Raises
    ------
    ArgumentError
        If the layer or the filter does not exist, or the layer has no filters.

    Examples
    --------
    >>> from fdref.weights.handmade import handmade
    >>> parts_of(handmade(), "parts", 2)
    (Part(node=(1, 0), share=0.6), Part(node=(1, 1), share=0.4))
    """
    number = decodable_number(net, layer)
    index = filter_index(net, number, k)
    below = max((n for n in net.decodable if n < number), default=0)
    if below == 0:
        return ()
    weights = np.abs(top(net, number, [index], np.dtype(np.float64))[0]).sum(axis=(1, 2))
    for between in net.layers[below : number - 1]:
        if isinstance(between, BatchNorm):
            weights *= np.abs(between.scale(weights.dtype))
    found = [j for j in np.argsort(-weights, kind="stable") if weights[j] > 0]
    total = weights.sum()
    return tuple(Part((below, int(j)), float(weights[j] / total)) for j in found)


def graph_of(net: Network, layer: int | str, k: int, most: int | None = None) -> Graph:
    """Return the graph from a filter down to those of the first convolution that make it.

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
    [(4, 0), (2, 0), (2, 1), (2, 2), (2, 3), (1, 0), (1, 1)]
    """
    number = decodable_number(net, layer)
    if most is not None:
        most = whole_number(most, "most", 0)
    waiting = [(number, filter_index(net, number, k))]
    graph: Graph = {}
    for node in waiting:
        if node not in graph:
            graph[node] = parts_of(net, *node)[:most]
            waiting += [part.node for part in graph[node]]
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

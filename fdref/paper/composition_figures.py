"""Figures 6 and 7 of the paper: what a filter is made of, and what answers an image of it.

Examples
--------
>>> import fdref
>>> from fdref.paper.composition_graph import graph_of
>>> from fdref.weights.handmade import NAMES, handmade
>>> net = handmade()
>>> graph, banks = graph_of(net, 4, 0), fdref.decode_all(net)
>>> figure = figure6(graph, banks, NAMES)
>>> len(figure.axes[0].images), len(figure.axes[0].lines)
(7, 12)
>>> figure = figure7(graph, fdref.forward(net, banks[4][:1]), NAMES)
>>> len(figure.axes[0].images)
41
"""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from fdref.paper.composition_graph import named_and_strongest
from fdref.paper.page import (
    ACCENT,
    GREY,
    HEAD,
    MARGIN,
    coloured,
    count_of,
    finished,
    fitted,
    frame,
    new_page,
    place,
    plain_style,
    write,
)
from fdref.pictures import shades_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.paper.composition_graph import Graph, Node


@plain_style()
def figure6(graph: Graph, banks: Mapping[int, Array], names: Mapping[int, Sequence[str]]) -> Figure:
    """Draw what a filter is made of, with the decoded filter at every node.

    Parameters
    ----------
    graph : dict
        What `composition_graph.graph_of` returned; those of several filters of a layer, joined by
        ``|``, show what they share.
    banks : dict
        ``{layer: (K, C, h, w) array}``, the decoded filters.
    names : dict
        ``{layer: what its K filters are called}``.

    Returns
    -------
    Figure
    """
    cell, gap, text, aside = 150, 64, 15, 70
    rows = _rows(graph)
    zoom = max(1, 112 // max(max(bank.shape[2:]) for bank in banks.values()))
    inner = max(cell * max(map(len, rows)), 610)
    tops = " and ".join(names[layer][k] for layer, k in rows[0])
    page = new_page(
        f"Figure 6: what {tops} {'is' if len(rows[0]) == 1 else 'are'} made of",
        "The thicker a line, the larger the share of the absolute weights. "
        "Each picture has its own contrast; grey is zero.",
    )
    top, ends = HEAD, {}
    for row in rows:
        layer = row[0][0]
        height, width = (size * zoom for size in banks[layer].shape[2:])
        write(page, f"layer {layer}", MARGIN, top + height / 2, color=GREY, va="center")
        for spot, (_, k) in enumerate(row):
            x = round(MARGIN + aside + inner * (spot + 0.5) / len(row))
            picture = fitted(coloured(banks[layer][k]), max(height, width))
            place(page, picture, x - width / 2, top)
            frame(page, picture, x - width / 2, top)
            shares = [f"{share:.0%} {names[below][j]}" for (below, j), share in graph[layer, k]]
            write(page, names[layer][k], x, top + height + 6, ha="center", weight="bold")
            write(page, "\n".join(shares), x, top + height + 6 + text, ha="center", color=GREY)
            ends[layer, k] = x, top, top + height + 10 + text * (1 + len(shares))
        top = max(ends[node][2] for node in row) + gap
    for node, made_of in graph.items():
        for part in made_of:
            _join(page, ends[node], ends[part.node], part.share)
    return finished(page, 2 * MARGIN + aside + inner, top - gap)


@plain_style()
def figure7(graph: Graph, acts: Sequence[Array], names: Mapping[int, Sequence[str]]) -> Figure:
    """Draw all activation maps for one image, those pointed out that a filter is made of.

    Parameters
    ----------
    graph : dict
        What `composition_graph.graph_of` returned for the filter.
    acts : list of (1, C, h, w) arrays
        What `forward` returned for the image, such as the decoded filter.
    names : dict
        ``{layer: what its filters are called}``, for the convolutions.

    Returns
    -------
    Figure
    """
    side, cell, columns = 60, 80, 14
    highest, k = next(iter(graph))
    page = new_page(
        f"Figure 7: all activation maps when the input is the decoded {names[highest][k]}",
        "Each layer has one contrast, grey is zero; below a map, its largest value in per cent of "
        "the layer's. Framed: what figure 6 names.",
    )
    height, width = acts[0].shape[2:]
    write(page, f"input of {height}×{width}", MARGIN, HEAD, color=GREY)
    place(page, picture := fitted(coloured(acts[0][0]), 2 * side), MARGIN, HEAD + 20)
    frame(page, picture, MARGIN, HEAD + 20)
    left, bottom = MARGIN + 2 * cell, HEAD
    for number, (named, _) in named_and_strongest(graph, acts).items():
        maps, top = acts[number][0], bottom + 20
        own = names[max(layer for layer in names if layer <= number)]
        peaks = maps.max(axis=(1, 2))
        write(page, f"layer {number}: {count_of(maps, 'map')}", left, bottom, color=GREY)
        for j, shades in enumerate(shades_of(maps)):
            x, y = left + j % columns * cell, top + j // columns * (side + 60)
            label = f"{fill(own[j], 12)}\n{peaks[j] / (np.abs(peaks).max() or 1):.0%}"
            place(page, picture := fitted(shades, side), x, y)
            if j in named:
                frame(page, picture, x, y, ACCENT, 3)
                write(page, label, x, y + side + 6, size=10.5, color=ACCENT, weight="bold")
            else:
                frame(page, picture, x, y)
                write(page, label, x, y + side + 6, size=10.5, color=GREY)
            bottom = y + side + 64
    return finished(page, left + columns * cell - (cell - side) + MARGIN, bottom - 20)


def _join(
    page: Axes, upper: tuple[float, float, float], lower: tuple[float, float, float], share: float
) -> None:
    """Draw a line from under a node to the top of one below; nodes are (x, top, bottom)."""
    ends = (upper[0], lower[0]), (upper[2], lower[1] - 4)
    page.plot(*ends, color="0.55", lw=0.5 + 5 * share, solid_capstyle="round", zorder=0)


def _rows(graph: Graph) -> list[list[Node]]:
    """Return the nodes layer by layer, top first, each below those that it is part of."""
    rows: list[list[Node]] = []
    above: list[Node] = []
    for layer in sorted({layer for layer, _ in graph}, reverse=True):
        users = {
            node: [i for i, user in enumerate(above) if node in dict(graph[user])]
            for node in graph
            if node[0] == layer
        }
        above = sorted(users, key=lambda node: float(np.mean(users[node] or 0)))
        rows.append(above)
    return rows

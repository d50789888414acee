"""Figure 7: all activation maps for one image, such as a decoded filter.

Examples
--------
>>> import fdref
>>> from fdref.paper.composition_graph import graph_of
>>> from fdref.weights.handmade import NAMES, handmade
>>> net = handmade()
>>> acts = fdref.forward(net, fdref.decode(net, 4, 0))
>>> len(draw(graph_of(net, 4, 0), acts, NAMES).axes[0].images)
41
"""

from __future__ import annotations

from functools import partial
from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from fdref.drawing.canvas import (
    ACCENT,
    GREY,
    HEAD,
    MARGIN,
    Page,
    coloured,
    count_of,
    fitted,
    plain_style,
)
from fdref.drawing.colours import shades_of
from fdref.paper.composition_graph import named_and_strongest
from fdref.paper.exhibit import Exhibit, judged
from fdref.weights.handmade import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.paper.composition_graph import Graph
    from fdref.paper.supplement import Supplement


def exhibit(supplement: Supplement) -> Exhibit:
    """Show what the hand-made network answers to its own decoded C."""
    graph, acts = supplement.graph("C"), supplement.acts_for("C")
    agree = [named == strongest for named, strongest in named_and_strongest(graph, acts).values()]
    return Exhibit(
        "figure7",
        "Figure 7: activations for the decoded C",
        "All activation maps of the hand-made network when the decoded C is the input.",
        (
            judged(
                "The strongest maps of each layer are those that the graph of C names.",
                f"in {sum(agree)} of {len(agree)} layers",
                "layers where they are",
                sum(agree),
                ">=",
                len(agree),
            ),
        ),
        numbers={f"layer{number}": maps[0] for number, maps in enumerate(acts)},
        draw=partial(draw, graph, acts, NAMES),
        alt="All activation maps of the hand-made network",
    )


@plain_style()
def draw(graph: Graph, acts: Sequence[Array], names: Mapping[int, Sequence[str]]) -> Figure:
    """Draw all activation maps for one image, those pointed out that a filter is made of.

    Parameters
    ----------
    graph : dict
        What `composition_graph.graph_of` returned for the filter.
    acts : list of (1, C, h, w) arrays
        What `forward` returned for the image, such as the decoded filter.
    names : dict
        ``{layer: what its filters are called}``, for the convolutions.
    """
    side, cell, columns = 60, 80, 14
    highest, k = next(iter(graph))
    page = Page(
        f"Figure 7: all activation maps when the input is the decoded {names[highest][k]}",
        "Each layer has one contrast, grey is zero; below a map, its largest value in per cent of "
        "the layer's. Framed: what figure 6 names.",
    )
    height, width = acts[0].shape[2:]
    page.write(f"input of {height}×{width}", MARGIN, HEAD, color=GREY)
    page.show(fitted(coloured(acts[0][0]), 2 * side), MARGIN, HEAD + 20)
    left, bottom = MARGIN + 2 * cell, HEAD
    for number, (named, _) in named_and_strongest(graph, acts).items():
        maps, top = acts[number][0], bottom + 20
        own = names[max(layer for layer in names if layer <= number)]
        peaks = maps.max(axis=(1, 2))
        page.write(f"layer {number}: {count_of(maps, 'map')}", left, bottom, color=GREY)
        for j, shades in enumerate(shades_of(maps)):
            x, y = left + j % columns * cell, top + j // columns * (side + 60)
            label = f"{fill(own[j], 12)}\n{peaks[j] / (np.abs(peaks).max() or 1):.0%}"
            if j in named:
                page.show(fitted(shades, side), x, y, ACCENT, 3)
                page.write(label, x, y + side + 6, size=10.5, color=ACCENT, weight="bold")
            else:
                page.show(fitted(shades, side), x, y)
                page.write(label, x, y + side + 6, size=10.5, color=GREY)
            bottom = y + side + 64
    return page.finished(left + columns * cell - (cell - side) + MARGIN, bottom - 20)

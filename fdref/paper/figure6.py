"""Figure 6: what a filter is made of.

Examples
--------
>>> import fdref
>>> from fdref.paper.composition_graph import graph_of
>>> from fdref.weights.handmade import NAMES, handmade
>>> net = handmade()
>>> page = draw(graph_of(net, 4, 0), fdref.decode_all(net), NAMES).axes[0]
>>> len(page.images), len(page.lines)
(7, 12)
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from fdref.drawing.canvas import GREY, HEAD, MARGIN, Page, coloured, fitted, plain_style
from fdref.drawing.colours import table
from fdref.measure.survey import wins
from fdref.paper.exhibit import Exhibit, judged
from fdref.weights.handmade import NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.paper.composition_graph import Graph, Node
    from fdref.paper.supplement import Supplement


ADDS, TAKES = (f"#{bytes(table('diverging')[shade]).hex()}" for shade in (220, 36))
"""Colours of lines, which can be seen on white and on black."""


def exhibit(supplement: Supplement) -> Exhibit:
    """Show what two characters of the hand-made network, C and D, are made of."""
    c, d = supplement.graph("C"), supplement.graph("D")
    answers = supplement.answers
    own = int(wins(answers).sum())
    (made_of_c, *_), (made_of_d, *_) = c.values(), d.values()
    others = [part.node for part in made_of_d]
    shared = [NAMES[layer][k] for (layer, k), _ in made_of_c if (layer, k) in others]
    return Exhibit(
        "figure6",
        "Figure 6: what a character is made of",
        "The graph from two top filters of the hand-made network, C and D, to the filters that "
        "make them, with the decoded picture at every node.",
        (
            judged(
                "Every decoded character excites its own neuron most.",
                f"{own} of {len(answers)}",
                "characters that do",
                own,
                ">=",
                len(answers),
            ),
            judged(
                "C uses four filters of the second layer.",
                f"it uses {len(made_of_c)}",
                "filters that it uses",
                len(made_of_c),
                "==",
                4,
            ),
            judged(
                "C and D share a corner.",
                f"they share {', '.join(shared) or 'none'}",
                "filters that both use",
                len(shared),
                ">=",
                1,
            ),
        ),
        numbers={"answers": answers},
        draw=partial(draw, c | d, supplement.banks, NAMES),
        alt="A graph of decoded filters",
    )


@plain_style()
def draw(graph: Graph, banks: Mapping[int, Array], names: Mapping[int, Sequence[str]]) -> Figure:
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
    """
    cell, gap, text, aside = 150, 64, 15, 70
    rows = _rows(graph)
    zoom = max(1, 112 // max(max(bank.shape[2:]) for bank in banks.values()))
    tops = " and ".join(names[layer][k] for layer, k in rows[0])
    page = Page(
        f"Figure 6: what {tops} {'is' if len(rows[0]) == 1 else 'are'} made of",
        "The thicker a line, the larger a share; blue and dashed takes away; a filter's shares add "
        "up to 100 %. Each picture has its own contrast; grey is zero.",
    )
    inner = max(cell * max(map(len, rows)), page.head_width - aside)
    top, ends = HEAD, {}
    for row in rows:
        layer = row[0][0]
        height, width = (size * zoom for size in banks[layer].shape[2:])
        page.write(f"layer {layer}", MARGIN, top + height / 2, color=GREY, va="center")
        for spot, (_, k) in enumerate(row):
            x = round(MARGIN + aside + inner * (spot + 0.5) / len(row))
            picture = fitted(coloured(banks[layer][k]), max(height, width))
            page.show(picture, x - width / 2, top)
            shares = [
                f"{_signed(share)} {names[below][j]}" for (below, j), share in graph[layer, k]
            ]
            page.write(names[layer][k], x, top + height + 6, ha="center", weight="bold")
            page.write("\n".join(shares), x, top + height + 6 + text, ha="center", color=GREY)
            ends[layer, k] = x, top, top + height + 10 + text * (1 + len(shares))
        top = max(ends[node][2] for node in row) + gap
    for node, made_of in graph.items():
        for part in made_of:
            _join(page, ends[node], ends[part.node], part.share)
    return page.finished(2 * MARGIN + aside + inner, top - gap)


def _join(
    page: Page, upper: tuple[float, float, float], lower: tuple[float, float, float], share: float
) -> None:
    """Draw a line from under a node to the top of one below; nodes are (x, top, bottom)."""
    ends = (upper[0], lower[0]), (upper[2], lower[1] - 4)
    page.axes.plot(
        *ends,
        color=ADDS if share > 0 else TAKES,
        linestyle="solid" if share > 0 else (0, (4, 2)),
        lw=0.5 + 5 * abs(share),
        solid_capstyle="round",
        zorder=0,
    )


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


def _signed(share: float) -> str:
    """Write a share with a minus that is as wide as a plus.

    >>> _signed(0.254), _signed(-0.04)
    ('25%', '−4%')
    """
    return f"{'−' * (share < 0)}{abs(share):.0%}"

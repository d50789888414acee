"""Figures 5, 6 and 7: the hand-made network of the paper's supplement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.decoding import decode_all
from fdref.forward_pass import forward
from fdref.paper.composition_graph import graph_of, named_and_strongest
from fdref.paper.report import Section, judged
from fdref.paper.survey import wins
from fdref.weights.handmade import NAMES, handmade

if TYPE_CHECKING:
    from fdref.paper.subject import Reproduction, Subject


def add_to(result: Reproduction, subject: Subject) -> None:
    """Figures 5, 6 and 7: the hand-made network of the supplement."""
    net = handmade()
    banks = decode_all(net)
    top = net.decodable[-1]
    graphs = {k: graph_of(net, top, k) for k in range(net.channels[top])}
    c, d = (NAMES[top].index(name) for name in "CD")
    acts = forward(net, banks[top])
    answers = acts[top][:, :, 0, 0]
    own = int(wins(answers).sum())
    lookup = named_and_strongest(graphs[c], [a[c : c + 1] for a in acts])
    agree = [named == strongest for named, strongest in lookup.values()]
    shared = [
        NAMES[part.node[0]][part.node[1]]
        for part in graphs[c][top, c]
        if part.node in [other.node for other in graphs[d][top, d]]
    ]
    result.drawings["figure5"] = ({"the network": decode_all(subject.net), "hand-made": banks},)
    result.drawings["figure6"] = graphs[c] | graphs[d], banks, NAMES
    result.drawings["figure7"] = graphs[c], [a[c : c + 1] for a in acts], NAMES
    result.numbers["figure6/answers"] = answers
    for layer, bank in banks.items():
        result.numbers[f"figure5/handmade/layer{layer}"] = bank
    for number, maps in enumerate(acts):
        result.numbers[f"figure7/layer{number}"] = maps[c]
    result.sections += [
        Section(
            "Figure 5: all decoded filters",
            "Every decoded filter of the network and of the hand-made one.",
            picture="figure5",
            alt="Sheets of decoded filters, layer by layer",
        ),
        Section(
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
                    f"it uses {len(graphs[c][top, c])}",
                    "filters that it uses",
                    len(graphs[c][top, c]),
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
            picture="figure6",
            alt="A graph of decoded filters",
        ),
        Section(
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
            picture="figure7",
            alt="All activation maps of the hand-made network",
        ),
    ]

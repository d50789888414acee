"""The hand-made network of the paper's supplement, which figures 5, 6 and 7 look at."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fdref.decoding.decode import decode_all
from fdref.paper.composition_graph import graph_of
from fdref.walk.forward import forward
from fdref.weights.handmade import NAMES, handmade

if TYPE_CHECKING:
    from fdref.arrays import Array
    from fdref.network.graph import Network
    from fdref.paper.composition_graph import Graph


class Supplement(NamedTuple):
    """What comes of the network.

    Attributes
    ----------
    net : Network
    banks : {layer: (K, C0, Rh, Rw) array}
        Its decoded filters.
    acts : list of (K, C, h, w) arrays
        What it answers to the decoded filters of its last convolution, the characters.
    """

    net: Network
    banks: dict[int, Array]
    acts: list[Array]

    @property
    def top(self) -> int:
        """The number of the last convolution."""
        return self.net.decodable[-1]

    @property
    def answers(self) -> Array:
        """What each decoded character (row) gets from each character's neuron."""
        return self.acts[self.top][:, :, 0, 0]

    def graph(self, character: str) -> Graph:
        """Return what a character is made of."""
        return graph_of(self.net, self.top, NAMES[self.top].index(character))

    def acts_for(self, character: str) -> list[Array]:
        """Return what the network answers to one decoded character."""
        k = NAMES[self.top].index(character)
        return [maps[k : k + 1] for maps in self.acts]


def supplement() -> Supplement:
    """Decode the network and show it its own characters.

    >>> supplement().answers.shape
    (8, 8)
    """
    net = handmade()
    banks = decode_all(net)
    return Supplement(net, banks, forward(net, banks[net.decodable[-1]]))

"""What can be composed from below: the fields, jumps and layers under each map of a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fdref.atoms import commutes_with_shifts
from fdref.layers import POINTWISE, Conv

if TYPE_CHECKING:
    from fdref.geometry import Pair
    from fdref.network import Network
    from fdref.resize import Method


@dataclass(frozen=True)
class Lattice:
    """The pixels of a map, as far as they amount to one picture moved by a jump."""

    low: Pair
    """the input's first row and column in the picture of pixel (0, 0)"""
    high: Pair
    """the last ones"""
    jump: Pair
    composes: bool
    """whether the picture is the same wherever the pixel is"""
    banks: frozenset[int]
    """convolutions whose banks of decoded filters the pictures are made of"""
    alone: int = 0
    """the convolution, if any, whose units these are but for what is pointwise above it"""

    @property
    def size(self) -> Pair:
        """Of the picture."""
        return self.high[0] - self.low[0] + 1, self.high[1] - self.low[1] + 1


def lattices(net: Network, unpool: Method) -> dict[int, Lattice | None]:
    """Return the lattice of every map that has one: above enlarged maps pixels differ.

    It is None where no way leads down to the input.
    """
    input_map = Lattice((0, 0), (0, 0), (1, 1), composes=True, banks=frozenset())
    found: dict[int, Lattice | None] = {-n: None for n in range(1, net.inputs)} | {0: input_map}
    for number in range(1, len(net) + 1):
        if any(below not in found for below in net.takes[number]):
            continue
        below = [found[n] for n in net.takes[number]]
        known = [lattice for lattice in below if lattice is not None]
        if not known:
            found[number] = None
        elif len({lattice.jump for lattice in known}) == 1:
            made = _above(net, number, known, unpool)
            if made is not None:
                found[number] = made
    return found


def _above(net: Network, number: int, below: list[Lattice], unpool: Method) -> Lattice | None:
    layer = net.decoded_as[number]
    if any(step.denominator > 1 for step in layer.jump):
        return None  # it enlarges
    low = tuple(min(lattice.low[a] for lattice in below) for a in (0, 1))
    high = tuple(max(lattice.high[a] for lattice in below) for a in (0, 1))
    jump = below[0].jump
    seen = [layer.sees((0, 0), a) for a in (0, 1)]
    pointwise = isinstance(layer, POINTWISE)
    return Lattice(
        (low[0] + seen[0][0] * jump[0], low[1] + seen[1][0] * jump[1]),
        (high[0] + seen[0][1] * jump[0], high[1] + seen[1][1] * jump[1]),
        (jump[0] * int(layer.jump[0]), jump[1] * int(layer.jump[1])),
        composes=commutes_with_shifts(layer, unpool) and all(x.composes for x in below),
        banks=frozenset([number] if isinstance(layer, Conv) else []).union(
            *([] if isinstance(layer, Conv) else [x.banks for x in below])
        ),
        alone=number if isinstance(layer, Conv) else below[0].alone if pointwise else 0,
    )

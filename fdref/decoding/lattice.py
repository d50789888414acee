"""Which maps of a network can be composed from below, and from the banks of which layers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fdref.decoding.atoms import commutes_with_shifts
from fdref.layers import POINTWISE, Conv

if TYPE_CHECKING:
    from fdref.engines.resize import Method
    from fdref.geometry import Pair, ReceptiveField
    from fdref.network.graph import Network


@dataclass(frozen=True)
class Lattice:
    """The pixels of a map, as far as they amount to pictures moved by a jump."""

    field: ReceptiveField
    composes: bool
    """whether the picture is the same wherever the pixel is"""
    banks: frozenset[int]
    """convolutions whose banks of decoded filters the pictures are made of"""
    alone: int
    """the convolution, if any, whose units these are but for what is pointwise above it; or 0"""

    @property
    def size(self) -> Pair:
        """The size of the picture that a pixel amounts to."""
        return self.field.size


def lattices(net: Network, unpool: Method) -> dict[int, Lattice | None]:
    """Return the lattice of every map that has one: above enlarged maps pixels differ.

    It is None where no way leads down to the image.
    """
    found: dict[int, Lattice | None] = {}
    for number, field in net.fields.items():
        if field is None:
            found[number] = None
        elif number < 1:
            found[number] = Lattice(field, composes=True, banks=frozenset(), alone=0)
        else:
            below = [found[taken] for taken in net.takes[number]]
            known = [lattice for lattice in below if lattice is not None]
            found[number] = _above(net, number, field, known, unpool)
    return found


def _above(
    net: Network, number: int, field: ReceptiveField, below: list[Lattice], unpool: Method
) -> Lattice:
    layer = net.decoded_as[number]
    composes = commutes_with_shifts(layer, unpool) and all(one.composes for one in below)
    if isinstance(layer, Conv):
        return Lattice(field, composes, frozenset([number]), number)
    alone = below[0].alone if isinstance(layer, POINTWISE) else 0
    return Lattice(field, composes, frozenset().union(*(one.banks for one in below)), alone)

"""How much of decoded filters each channel below accounts for, without decoding its part.

A decoded filter D is the sum of parts P_j, each what comes through one channel j of the maps below.
With S_j the part's picture over its map, <P_j, D> is the sum, over pixels, of S_j times what the
pixel has in common with D: the scalar product of D and what a pixel of that channel amounts to in
the image. That is the same for all filters' parts, and there are two ways to it: products with
atoms, where pixels amount to moved copies of one picture, or the transposed walk.
"""

from __future__ import annotations

from functools import cached_property
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fdref.decoding.atoms import Atoms, Composition
from fdref.decoding.blocks import PICTURES
from fdref.decoding.costs import Cost
from fdref.decoding.lattice import lattices
from fdref.engines import parallel
from fdref.layers import Conv, ConvTranspose, Pool
from fdref.network.fields import Box, ancestors, descend, seen
from fdref.network.sources import sources
from fdref.network.units import FIRST, boxes, receptive_field
from fdref.walk.down import Decoding
from fdref.walk.pictures import Picture
from fdref.walk.transpose import Transpose

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.network.graph import Network

TOGETHER = 2**7
"""Decoded filters of one product with atoms."""

SHARED_OUT = 2**25
"""Numbers of decoded filters that threads share out among themselves: 128 MB in float32."""

TERMS = 2**12
"""Pixels that are added up in one product with atoms, unless a row has more."""


class Accounts:
    """The accounts of one layer's decoded filters.

    Parameters
    ----------
    net : Network
    number : int
        The layer.
    unpool : str
    engine : Engine
    """

    def __init__(self, net: Network, number: int, unpool: Method, engine: Engine) -> None:
        self.net, self.number, self.unpool, self.engine = net, number, unpool, engine
        self.rules = Decoding(net, number, unpool, engine)
        self.boxes = boxes(net, number, FIRST)
        self.sources = sources(net, number)

    @cached_property
    def met(self) -> tuple[int, ...]:
        """The maps at which ways end: the first on each whose channels are one layer's own."""

        def step(number: int, box: Box) -> list[Box]:
            return [seen(self.net.decoded_as[number], box)] * len(self.net.takes[number])

        start = {self.number: self.boxes[self.number]}
        reached = descend(self.net, start, lambda _, several: several[0], step, ends=self.sources)
        return tuple(sorted(n for n in reached if self.sources[n] >= 0))  # no further inputs

    @cached_property
    def columns(self) -> dict[int, slice]:
        """Where each layer's channels stand among all parts."""
        found, first = {}, 0
        for layer in sorted({self.sources[n] for n in self.met}):
            found[layer] = slice(first, first + self.net.channels[layer])
            first = found[layer].stop
        return found

    @property
    def banks(self) -> frozenset[int] | None:
        """The layers whose banks make the atoms of the maps that are met; None if there are none.

        None where what a pixel amounts to depends on where it is.
        """
        known = lattices(self.net, self.unpool)
        if any(n not in known for n in self.met):
            return None
        several = [lattice for lattice in map(known.get, self.met) if lattice is not None]
        if not all(lattice.composes for lattice in several):
            return None
        return frozenset().union(*(lattice.banks for lattice in several))

    def with_atoms(self, banks: Mapping[int, Array]) -> dict[int, Atoms]:
        """Return the atoms of the maps that are met, given decoded banks."""
        rules = Composition(self.net, self.unpool, self.engine)
        known: dict[int, Atoms | None] = {}
        needed = set().union(*(self._under(number, banks) for number in self.met))
        for number in sorted(needed):
            if number in banks:
                field = receptive_field(self.net, number)
                known[number] = Atoms(Picture(banks[number], field.offset), field.stride)
            elif number > 0:
                taken = [known.get(below) for below in self.net.takes[number]]
                known[number] = rules.above(number, taken)
            else:
                known[number] = rules.of_input(number)
        return {n: atoms for n in self.met if (atoms := known[n]) is not None}

    def _under(self, number: int, banks: Mapping[int, Array]) -> set[int]:
        """Return the maps between one and the banks that its atoms are made of."""
        found, waiting = set(), [number]
        while waiting:
            at = waiting.pop()
            if at not in found:
                found.add(at)
                waiting += [] if at in banks or at < 1 else self.net.takes[at]
        return found

    def products(
        self,
        indices: Sequence[int],
        decoded: Array,
        atoms: Mapping[int, Atoms] | None = None,
    ) -> NDArray[np.float64]:
        """Return <P_j, D> for each filter and part, (K, P).

        Parameters
        ----------
        indices : sequence of int
            Which filters.
        decoded : (K, C0, H, W) array
            What stands for D: the decoded filters, or as many other pictures.
        atoms : mapping, optional
            Of the maps that are met; without them by the transposed walk.
        """
        parts = self.rules.parted(self.sources.keys(), self.boxes, indices)
        found = np.zeros((len(indices), sum(self.net.channels[n] for n in self.columns)))
        if atoms is None:
            common = Transpose(self.rules, self.boxes).up_to(self.met, decoded)
        else:
            whole = Picture(decoded, self.boxes[0].origin)
            common = {n: in_common(whole, own, self.boxes[n]) for n, own in atoms.items()}
        for number, values in common.items():
            weight = 1.0 if atoms is None else self.rules.weight(number)
            both = np.einsum("kchw,kchw->kc", parts[number].values, values, dtype=np.float64)
            found[:, self.columns[self.sources[number]]] += weight * both
        return found

    def at_once(self, *, by_atoms: bool) -> int:
        """Return how many filters' products are computed together."""
        if by_atoms:
            return max(1, SHARED_OUT // (self.net.channels[0] * prod(self.boxes[0].size)))
        largest = max(self.net.channels_of(n) * prod(box.size) for n, box in self.boxes.items())
        return max(1, PICTURES // largest)

    def cost_with_atoms(self) -> Cost:
        """Count what a filter takes with atoms, these apart."""
        known, total = lattices(self.net, self.unpool), Cost()
        for number in self.met:
            lattice = known[number]
            if lattice is not None:
                copied = prod(self.boxes[number].size) * self.net.channels[0] * prod(lattice.size)
                total += Cost(copied * self.net.channels_of(number), long=copied, calls=1)
        return total

    def cost_of_walk(self) -> Cost:
        """Count what a filter takes by the transposed walk."""
        total = Cost()
        for number in set().union(*(ancestors(self.net, n) for n in self.met)):
            if number > 0:
                total += self._cost(number)
        return total

    def _cost(self, number: int) -> Cost:
        layer, box = self.net.decoded_as[number], self.boxes[number]
        below, taken = seen(layer, box), self.net.channels_of(self.net.takes[number][0])
        match layer:
            case Conv(filters=filters):
                moved = taken * prod(box.size) * prod(filters.shape[2:])
                return Cost(filters.size * prod(box.size), short=moved, calls=1)
            case ConvTranspose(filters=filters):
                moved = taken * prod(box.size) * prod(filters.shape[2:])
                return Cost(filters.size * prod(below.size), short=moved, calls=1)
            case Pool():
                rows, columns = below.size
                across = rows * columns * box.size[1] + box.size[1] * rows * box.size[0]
                return Cost(taken * across, long=taken * prod(below.size), calls=3)
            case _:
                return Cost(long=self.net.channels[number] * prod(box.size), calls=1)


def in_common(pictures: Picture, atoms: Atoms, box: Box) -> Array:
    """Return the scalar products of pictures with the moved atoms of a map's pixels in a box.

    The transpose of `fdref.decoding.atoms.contract`.

    Returns
    -------
    (K, C, h, w) array
    """
    bank, (height, width) = atoms.pictures.values, box.size
    (top, left), (down, right) = atoms.pictures.origin, atoms.jump
    top += box.top * down - pictures.origin[0]
    left += box.left * right - pictures.origin[1]
    count, channels, rows, columns = bank.shape
    step = max(1, TERMS // (channels * columns))
    found = np.empty((len(pictures.values), count, height, width), bank.dtype)

    def compute(first: int) -> None:
        some = pictures.values[first : first + TOGETHER]
        total = np.zeros((height, width, len(some), count))  # float64: pieces add up exactly
        for y in range(0, rows, step):
            piece = bank[:, :, y : y + step]
            turned = piece.reshape(count, -1).T
            for row, column in np.ndindex(height, width):
                y0, x0 = top + row * down + y, left + column * right
                window = some[:, :, y0 : y0 + piece.shape[2], x0 : x0 + columns]
                total[row, column] += window.reshape(len(some), -1) @ turned
        found[first : first + TOGETHER] = total.transpose(2, 3, 0, 1)

    parallel.each(compute, range(0, len(found), TOGETHER))
    return found

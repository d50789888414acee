"""Going the ways of a plan, block of filters by block of filters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fdref.atoms import Atoms, Composition, contract
from fdref.down import Decoding
from fdref.every_pixel import contract_each, every_pixel
from fdref.fields import boxes, jumps
from fdref.pictures_over_maps import Picture, unite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from fdref.arrays import Array
    from fdref.costs import Way
    from fdref.engine import Engine
    from fdref.network import Network
    from fdref.planning import Plan
    from fdref.resize import Method

    Wanted = Mapping[int, Sequence[int]]
    """{layer: numbers of its filters}"""
    Found = Mapping[int, tuple[int, Array]]
    """{layer: (how many of the filters asked for are decoded already, their pictures)}"""

PICTURES = 2**24
"""Numbers that the pictures of a block of filters hold at most on their way down."""


@dataclass(frozen=True)
class Block:
    """Some of the filters asked for, decoded."""

    layer: int
    first: int
    """position of the first among those asked for"""
    pictures: Array
    """(n, C0, H, W)"""


@dataclass(frozen=True)
class Decoder:
    """Decodes what a plan was made for; iterating over it yields blocks."""

    net: Network
    wanted: Wanted
    plan: Plan
    unpool: Method
    engine: Engine
    largest: int = 2**31
    """Numbers that a block may hold, if that is at least one filter's picture."""
    found: Found = field(default_factory=dict)
    """What need not be decoded again."""

    def __iter__(self) -> Iterator[Block]:
        """Go the ways from the lowest boundary up; what is met rises with them."""
        known = _Known(self)
        for position, way in enumerate(self.plan.ways):
            yield from self._go(way, known)
            known.forget(self.plan.ways[position + 1 :])

    def _go(self, way: Way, known: _Known) -> Iterator[Block]:
        """Decode filters of a layer, or all of them if they are to be met above."""
        asked: Sequence[int] = self.wanted.get(way.layer, ())
        every = range(self.net.channels[way.layer])
        kept = way.layer in self.plan.kept
        indices = every if kept else asked
        done, bank = 0, None
        if way.layer in self.found and indices == asked:
            done, pictures = self.found[way.layer]
            if kept and done:
                bank = np.empty((len(indices), *pictures.shape[1:]), pictures.dtype)
                bank[:done] = pictures[:done]
        for block in self._blocks(way, indices[done:], known):
            if indices == asked:
                yield Block(way.layer, done, block)
            if kept:
                bank = _with(block, bank, done, len(indices))
            done += len(block)
        if bank is not None:
            known.keep(way.layer, bank)
            step = max(1, self.largest // way.result)
            for first in range(0, len(asked) if indices != asked else 0, step):
                yield Block(way.layer, first, bank[list(asked[first : first + step])])

    def _blocks(self, way: Way, indices: Sequence[int], known: _Known) -> Iterator[Array]:
        """Take filters down to where they meet what is known, as many at once as memory allows."""
        if not indices:
            return
        rules = Decoding(self.net, way.layer, self.unpool, self.engine)
        itemsize = self.engine.precision(self.net.dtype).itemsize
        step = max(1, min(self._at_once(way, itemsize), self.largest // way.result))
        for first in range(0, len(indices), step):
            met = rules.down_to(way.boundary, indices[first : first + step], (0, 0))
            if way.kind == "from above":
                pictures = met[0].values
            elif way.kind == "atoms":
                pictures = known.contracted(met)
            else:
                ((number, picture),) = met.items()
                atoms = known.every_pixel(number, picture.box.size)
                pictures = contract_each(picture.values, atoms, self.engine)
            # What has met nothing on its way is still the layer's own.
            yield pictures if pictures.flags.writeable else pictures.copy()

    def _at_once(self, way: Way, itemsize: int) -> int:
        """Return how many filters go down together."""
        one = way.largest * 4 * itemsize
        free = self.plan.memory - (way.memory - one)
        return min(PICTURES // way.largest, free // one)


class _Known:
    """What is known from below while a plan is carried out, and still needed."""

    def __init__(self, decoder: Decoder) -> None:
        self.net, self.engine, self.unpool = decoder.net, decoder.engine, decoder.unpool
        self.rules = Composition(self.net, self.unpool, self.engine)
        self.atoms: dict[int, Atoms | None] = {}
        self.pixels: tuple[object, Array] | None = None

    def keep(self, layer: int, bank: Array) -> None:
        """Keep a layer's bank: the atoms of its map."""
        field = boxes(self.net, layer)[0]
        jump = jumps(self.net, layer)[0]
        self.atoms[layer] = Atoms(Picture(bank, field.origin), (int(jump[0]), int(jump[1])))

    def of(self, number: int) -> Atoms | None:
        """Return the atoms of a map, from those of the maps under it down to the banks."""
        if number not in self.atoms:
            taken = [self.of(below) for below in self.net.takes[number]]
            made = self.rules.above(number, taken) if number > 0 else self.rules.of_input(number)
            self.atoms[number] = made
        return self.atoms[number]

    def contracted(self, met: Mapping[int, Picture]) -> Array:
        """Express pictures over several maps in the input, and add them."""
        parts = [
            contract(picture, atoms, self.engine)
            for number, picture in met.items()
            if (atoms := self.of(number)) is not None
        ]
        return unite(parts).values

    def every_pixel(self, number: int, size: Pair) -> Array:
        """Return what each pixel of pictures of a size amounts to."""
        if self.pixels is None or self.pixels[0] != (number, size):
            dtype = self.engine.precision(self.net.dtype)
            found = every_pixel(self.net, number, size, self.unpool, dtype, self.engine)
            self.pixels = (number, size), found
        return self.pixels[1]

    def forget(self, ways: Sequence[Way]) -> None:
        """Let go what no way that is still to be gone needs."""
        self.pixels = None
        met = {number for way in ways for number in way.met}
        under = {bank for way in ways if not self.atoms.keys() >= set(way.met) for bank in way.banks}
        self.atoms = {n: atoms for n, atoms in self.atoms.items() if n in met | under}


def _with(block: Array, bank: Array | None, first: int, count: int) -> Array:
    """Put some filters in their place among so many; those that are all need no other place."""
    if len(block) == count:
        return block
    if bank is None:
        bank = np.empty((count, *block.shape[1:]), block.dtype)
    bank[first : first + len(block)] = block
    return bank

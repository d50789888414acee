"""Going the ways of a plan, block of filters by block of filters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fdref.fields import receptive_field
from fdref.from_above import one_layer_down, picture_shapes, top
from fdref.from_below import atoms_above, contract, contract_each, every_pixel

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
        """Climb from the input; to every boundary, take the filters down that meet there."""
        atoms, bank = None, 0
        banks: dict[int, Array] = {}
        for boundary in range(len(self.net)):
            if boundary in self.plan.kept:
                atoms, bank = banks.pop(boundary), boundary
            elif any(way.bank == bank > 0 and way.boundary >= boundary for way in self.plan.ways):
                assert atoms is not None  # noqa: S101 - there is a bank
                jump = receptive_field(self.net, boundary - 1).stride
                atoms = atoms_above(self.net, boundary, atoms, jump, self.engine)
            else:
                atoms = None
            for way in self.plan.ways:
                if way.boundary == boundary:
                    yield from self._go(way, atoms, banks)

    def _go(self, way: Way, atoms: Array | None, banks: dict[int, Array]) -> Iterator[Block]:
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
        for block in self._blocks(way, indices[done:], atoms):
            if indices == asked:
                yield Block(way.layer, done, block)
            if kept:
                bank = _with(block, bank, done, len(indices))
            done += len(block)
        if bank is not None:
            banks[way.layer] = bank
            step = max(1, self.largest // way.result)
            for first in range(0, len(asked) if indices != asked else 0, step):
                yield Block(way.layer, first, bank[list(asked[first : first + step])])

    def _blocks(self, way: Way, indices: Sequence[int], atoms: Array | None) -> Iterator[Array]:
        """Take filters down to where they meet what is known, as many at once as memory allows."""
        if not indices:
            return
        dtype = self.engine.precision(self.net.dtype)
        if way.kind == "pixels":
            met = picture_shapes(self.net, way.layer)[way.layer - 1 - way.boundary]
            pixels = every_pixel(self.net, way.boundary, met[1:], self.unpool, dtype, self.engine)
        jump = receptive_field(self.net, way.boundary).stride if way.boundary else (1, 1)
        step = max(1, min(self._at_once(way, dtype.itemsize), self.largest // way.result))
        for first in range(0, len(indices), step):
            pictures = top(self.net, way.layer, indices[first : first + step])
            pictures = np.ascontiguousarray(pictures, dtype)
            for number in range(way.layer - 1, way.boundary, -1):
                pictures = one_layer_down(self.net, number, pictures, self.unpool, self.engine)
            if way.kind == "atoms":
                assert atoms is not None  # noqa: S101 - the plan keeps the bank below
                pictures = contract(pictures, atoms, jump, self.engine)
            elif way.kind == "pixels":
                pictures = contract_each(pictures, pixels, self.engine)
            # What has met nothing on its way is still the layer's own.
            yield pictures if pictures.flags.writeable else pictures.copy()

    def _at_once(self, way: Way, itemsize: int) -> int:
        """Return how many filters go down together."""
        one = way.largest * 4 * itemsize
        free = self.plan.memory - (way.memory - one)
        return min(PICTURES // way.largest, free // one)


def _with(block: Array, bank: Array | None, first: int, count: int) -> Array:
    """Put some filters in their place among so many; those that are all need no other place."""
    if len(block) == count:
        return block
    if bank is None:
        bank = np.empty((count, *block.shape[1:]), block.dtype)
    bank[first : first + len(block)] = block
    return bank

"""Going the ways of a plan, block of filters by block of filters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arguments import one_of, whole_number
from fdref.engine import engine_named
from fdref.from_above import one_layer_down, picture_shapes, top
from fdref.from_below import atoms_above, contract, contract_each, every_pixel
from fdref.network import receptive_field
from fdref.planning import UNASKED, Choice, cheapest, from_above
from fdref.resize import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fdref.arrays import Array
    from fdref.costs import Way
    from fdref.engine import Engine
    from fdref.network import Network
    from fdref.resize import Method

    Wanted = Mapping[int, Sequence[int]]
    """{layer: numbers of its filters}"""
    Found = Mapping[int, tuple[int, Callable[[Array], None]]]
    """{layer: (how many of the filters asked for are decoded already, what reads them)}"""

LARGEST = 2**31
"""Numbers that a block may hold where nobody asks for less."""

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
class Plan:
    """What is to be decoded, and by which ways; iterating over it decodes, block by block.

    The ways are chosen here, the shortest for the compiled engine, the paper's for the reference;
    so they always belong to the network, the filters and the unpooling.

    Parameters
    ----------
    net : Network
    wanted : {layer: numbers of its filters}
    unpool : "bicubic", "nearest" or "bilinear"
    engine : "compiled" or "reference"
    max_memory : int, optional
        Bytes that may be taken beside the result; half of what is free by default.
    ways : tuple of Way, optional
        To be gone in place of the chosen ones: to measure them.

    Raises
    ------
    ArgumentError
        If pictures would be larger than any memory, or no way fits into the memory allowed.
    """

    net: Network
    wanted: Wanted
    unpool: Method
    engine: str
    max_memory: int | None = None
    ways: tuple[Way, ...] | None = None
    choice: Choice = field(init=False)
    operations: Engine = field(init=False, repr=False)

    def __post_init__(self) -> None:
        one_of(self.unpool, "unpool", METHODS)
        limit = self.max_memory
        if limit is not None:
            limit = whole_number(limit, "max_memory", 1)
        self.__dict__["operations"] = engine_named(self.engine)
        self.__dict__["wanted"] = {  # the ways are for these, whatever becomes of what was passed
            number: indices if isinstance(indices, range) else tuple(indices)
            for number, indices in self.wanted.items()
        }
        counts = {number: len(indices) for number, indices in self.wanted.items() if len(indices)}
        task = self.net, counts, self.unpool, self.dtype.itemsize
        if self.ways is not None:
            self.__dict__["choice"] = Choice(self.ways, (), UNASKED if limit is None else limit)
        elif self.engine == "compiled":
            self.__dict__["choice"] = cheapest(*task, limit)
        else:
            self.__dict__["choice"] = from_above(*task, limit)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pictures."""
        return self.operations.precision(self.net.dtype)

    def __iter__(self) -> Iterator[Block]:
        return self.blocks()

    def blocks(
        self,
        largest: int = LARGEST,
        found: Found | None = None,
        progress: Callable[[float], object] | None = None,
    ) -> Iterator[Block]:
        """Decode.

        Parameters
        ----------
        largest : int
            Numbers that a block may hold, if that is at least one filter's picture.
        found : {layer: (count, pictures)}, optional
            What need not be decoded again.
        progress : callable, optional
            Called after every block, of banks that nobody asked for, too, with its share of the
            choice's seconds.
        """
        return iter(_Decoder(self, largest, found or {}, progress))


@dataclass(frozen=True)
class _Decoder:
    """One run of a plan."""

    plan: Plan
    largest: int
    found: Found
    progress: Callable[[float], object] | None

    def __iter__(self) -> Iterator[Block]:
        """Climb from the input; to every boundary, take the filters down that meet there."""
        net, engine, choice = self.plan.net, self.plan.operations, self.plan.choice
        atoms, bank = None, 0
        banks: dict[int, Array] = {}
        for boundary in range(len(net)):
            if boundary in choice.kept:
                atoms, bank = banks.pop(boundary), boundary
            elif any(way.bank == bank > 0 and way.boundary >= boundary for way in choice.ways):
                assert atoms is not None  # noqa: S101 - there is a bank
                jump = receptive_field(net, boundary - 1).stride
                atoms = atoms_above(net, boundary, atoms, jump, engine)
            else:
                atoms = None
            for way in choice.ways:
                if way.boundary == boundary:
                    yield from self._go(way, atoms, banks)

    def _go(self, way: Way, atoms: Array | None, banks: dict[int, Array]) -> Iterator[Block]:
        """Decode filters of a layer, or all of them if they are to be met above."""
        asked: Sequence[int] = self.plan.wanted.get(way.layer, ())
        every = range(self.plan.net.channels[way.layer])
        kept = way.layer in self.plan.choice.kept
        indices = every if kept else asked
        done, bank = 0, None
        if way.layer in self.found and indices == asked:
            done, read = self.found[way.layer]
            if kept and done:
                shape = len(indices), *picture_shapes(self.plan.net, way.layer)[-1]
                bank = np.empty(shape, self.plan.dtype)
                read(bank[:done])
        for block in self._blocks(way, indices[done:], atoms):
            if self.progress is not None:
                self.progress(way.seconds * len(block) / len(indices))
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
        net, engine, unpool = self.plan.net, self.plan.operations, self.plan.unpool
        dtype = self.plan.dtype
        if way.kind == "pixels":
            met = picture_shapes(net, way.layer)[way.layer - 1 - way.boundary]
            pixels = every_pixel(net, way.boundary, met[1:], unpool, dtype, engine)
        jump = receptive_field(net, way.boundary).stride if way.boundary else (1, 1)
        together = min(PICTURES // way.largest, way.at_once(self.plan.choice.spare(way)))
        step = max(1, min(together, self.largest // way.result))
        for first in range(0, len(indices), step):
            pictures = top(net, way.layer, indices[first : first + step], dtype)
            for number in range(way.layer - 1, way.boundary, -1):
                pictures = one_layer_down(net, number, pictures, unpool, engine)
            if way.kind == "atoms":
                assert atoms is not None  # noqa: S101 - the plan keeps the bank below
                pictures = contract(pictures, atoms, jump, engine)
            elif way.kind == "pixels":
                pictures = contract_each(pictures, pixels, engine)
            yield pictures


def _with(block: Array, bank: Array | None, first: int, count: int) -> Array:
    """Put some filters in their place among so many; those that are all need no other place."""
    if len(block) == count:
        return block
    if bank is None:
        bank = np.empty((count, *block.shape[1:]), block.dtype)
    bank[first : first + len(block)] = block
    return bank

"""Going the ways of a plan, block of filters by block of filters."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arguments import one_of, whole_number
from fdref.decoding.atoms import Atoms, Composition
from fdref.decoding.every_pixel import contract_each, every_pixel
from fdref.decoding.planning import UNASKED, Choice, cheapest, from_above
from fdref.decoding.ways import Ways
from fdref.engines import engine_named, goes_from_above, together
from fdref.engines.resize import METHODS
from fdref.network.units import FIRST, Unit, receptive_field
from fdref.walk.down import Decoding
from fdref.walk.pictures import Picture, unite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from fdref.arrays import Array
    from fdref.decoding.costs import Way
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.geometry import Pair
    from fdref.network.graph import Network

    Wanted = Mapping[int, Sequence[int]]
    """{layer: numbers of its filters}"""
    Found = Mapping[int, tuple[int, Callable[[Array], None]]]
    """{layer: (how many of the filters asked for are decoded already, what reads them)}"""

LARGEST = 2**31
"""Elements that a block may hold where nobody asks for less."""

# 64 MB in float32: filters go down together so that products are large, not so many that all that
# is gained is memory taken. Memory that is scarcer bounds them further.
PICTURES = 2**24
"""Elements that the pictures of a block of filters hold at most on their way down."""


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

    The ways are chosen here, the shortest, but for an engine that decodes from above alone, such as
    the reference; so they always belong to the network, the filters and the unpooling.

    Parameters
    ----------
    net : Network
    wanted : {layer: numbers of its filters}
    unpool : "bicubic", "nearest", "bilinear" or "window"
    engine : "compiled", "reference" or Engine
    max_memory : int, optional
        Bytes that may be taken beside the result; half of what is free by default.
    unit : Unit
        Which of each channel's units is decoded.
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
    engine: Engine | str
    max_memory: int | None = None
    unit: Unit = FIRST
    ways: tuple[Way, ...] | None = None
    choice: Choice = field(init=False)

    def __post_init__(self) -> None:
        one_of(self.unpool, "unpool", METHODS)
        limit = self.max_memory
        if limit is not None:
            limit = whole_number(limit, "max_memory", 1)
        self.__dict__["wanted"] = {  # the ways are for these, whatever becomes of what was passed
            number: indices if isinstance(indices, range) else tuple(indices)
            for number, indices in self.wanted.items()
        }
        counts = {number: len(indices) for number, indices in self.wanted.items() if len(indices)}
        task = self.net, counts, self.unpool, self.dtype.itemsize
        if self.ways is not None:
            self.__dict__["choice"] = Choice(self.ways, UNASKED if limit is None else limit)
        elif goes_from_above(self.operations):
            self.__dict__["choice"] = from_above(*task, limit, self.unit)
        else:
            self.__dict__["choice"] = cheapest(*task, limit, self.unit)

    @cached_property
    def operations(self) -> Engine:
        """The engine itself."""
        return engine_named(self.engine)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is pickled: of an engine with a name the name, as modules cannot be."""
        return {name: value for name, value in self.__dict__.items() if name != "operations"}

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the pictures."""
        return self.operations.precision(self.net.dtype)

    def considered(self) -> list[Way]:
        """Return all ways that there are to the filters asked for, layer by layer."""
        ways = Ways(self.net, self.unpool, self.dtype.itemsize, unit=self.unit)
        return [
            way
            for layer, indices in sorted(self.wanted.items())
            if len(indices)
            for way in ways.all_to(layer, len(indices))
        ]

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
            Elements that a block may hold, if that is at least one filter's picture.
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
        """Go the ways from the lowest boundary up; what is met rises with them."""
        known, ways = _Known(self.plan), self.plan.choice.ways
        for position, way in enumerate(ways):
            yield from self._go(way, known)
            known.forget(ways[position + 1 :])

    def _go(self, way: Way, known: _Known) -> Iterator[Block]:
        """Decode filters of a layer, or all of them if they are to be met above."""
        asked: Sequence[int] = self.plan.wanted.get(way.layer, ())
        every = range(self.plan.net.channels[way.layer])
        kept = way.layer in self.plan.choice.kept
        indices = every if kept else asked
        done, bank = 0, None
        # What a file has already need not be decoded again, but a bank must be whole to be met.
        if way.layer in self.found and indices == asked:
            done, read = self.found[way.layer]
            if kept and done:
                size = receptive_field(self.plan.net, way.layer).size
                shape = len(indices), self.plan.net.channels[0], *size
                bank = np.empty(shape, self.plan.dtype)
                read(bank[:done])
        for block in self._blocks(way, indices[done:], known):
            if self.progress is not None:
                self.progress(way.seconds * len(block) / len(indices))
            if indices == asked:
                yield Block(way.layer, done, block)
            if kept:
                bank = _with(block, bank, done, len(indices))
            done += len(block)
            del block  # else it is kept for as long as the next one is being decoded
        if bank is not None:
            known.keep(way.layer, bank)
            step = max(1, self.largest // way.result)
            for first in range(0, len(asked) if indices != asked else 0, step):
                yield Block(way.layer, first, bank[list(asked[first : first + step])])

    def _blocks(self, way: Way, indices: Sequence[int], known: _Known) -> Iterator[Array]:
        """Take filters down to where they meet what is known, as many at once as memory allows."""
        if not indices:
            return
        plan = self.plan
        rules = Decoding(plan.net, way.layer, plan.unpool, plan.operations, plan.unit)
        at_once = min(PICTURES // way.largest, plan.choice.at_once(way))
        step = max(1, min(at_once, self.largest // way.result))
        for first in range(0, len(indices), step):
            with together(plan.operations):
                met = rules.down_to(way.boundary, indices[first : first + step])
                block = known.reached(way, met)
                del met
            yield block
            del block  # else it is kept for as long as the next one is being decoded


class _Known:
    """What is known from below while a plan is carried out, and still needed."""

    def __init__(self, plan: Plan) -> None:
        self.net, self.engine, self.unpool = plan.net, plan.operations, plan.unpool
        self.rules = Composition(self.net, self.unpool, self.engine)
        self.atoms: dict[int, Atoms | None] = {}
        self.pixels: tuple[object, Array] | None = None

    def keep(self, layer: int, bank: Array) -> None:
        """Keep a layer's bank: the atoms of its map."""
        field = receptive_field(self.net, layer)
        self.atoms[layer] = Atoms(Picture(bank, field.offset), field.stride)

    def of(self, number: int) -> Atoms | None:
        """Return the atoms of a map, from those of the maps under it down to the banks."""
        if number not in self.atoms:
            if number > 0:
                taken = [self.of(below) for below in self.net.takes[number]]
                self.atoms[number] = self.rules.above(number, taken)
            else:
                self.atoms[number] = self.rules.of_input(number)
        return self.atoms[number]

    def reached(self, way: Way, met: Mapping[int, Picture]) -> Array:
        """Return decoded filters, given where a way has taken them."""
        if way.kind == "from above":
            return met[0].values
        if way.kind == "atoms":
            return self.contracted(met)
        ((number, picture),) = met.items()
        atoms = self.every_pixel(number, picture.box.size)
        return contract_each(picture.values, atoms, self.engine)

    def contracted(self, met: Mapping[int, Picture]) -> Array:
        """Express pictures over several maps in the input, and add them."""
        found = [self.rules.contracted(number, own, self.of) for number, own in met.items()]
        return unite([picture for picture in found if picture is not None]).values

    def every_pixel(self, number: int, size: Pair) -> Array:
        """Return what each pixel of pictures of a size amounts to."""
        if self.pixels is None or self.pixels[0] != (number, size):
            dtype = self.engine.precision(self.net.dtype)
            atoms = every_pixel(self.net, number, size, self.unpool, dtype, self.engine)
            self.pixels = (number, size), atoms
        return self.pixels[1]

    def forget(self, ways: Sequence[Way]) -> None:
        """Let go what no way that is still to be gone needs."""
        self.pixels = None
        met = {number for way in ways for number in way.met}
        under = {
            bank for way in ways if not self.atoms.keys() >= set(way.met) for bank in way.banks
        }
        self.atoms = {n: atoms for n, atoms in self.atoms.items() if n in met | under}


def _with(block: Array, bank: Array | None, first: int, count: int) -> Array:
    """Put some filters in their place among so many; those that are all need no other place."""
    if len(block) == count:
        return block
    if bank is None:
        bank = np.empty((count, *block.shape[1:]), block.dtype)
    bank[first : first + len(block)] = block
    return bank

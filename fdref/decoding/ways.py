"""All ways to decoded filters: how far down each goes, and what it meets there."""

from __future__ import annotations

import itertools
from math import inf, prod
from typing import TYPE_CHECKING, NamedTuple

from fdref.decoding.costs import ONCE, Cost, Way, composition, substitution
from fdref.decoding.every_pixel import path_down, with_pools
from fdref.decoding.lattice import Lattice, lattices
from fdref.decoding.paths import BAND, paths_of, pixels_of
from fdref.engines import products
from fdref.engines.cuts import substitution_scratch
from fdref.geometry import extent, substituted_size
from fdref.layers import (
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dropout,
    Elementwise,
    Normalize,
    Pool,
    PReLU,
    ReLU,
    Scale,
    Softmax,
    Sum,
    Upsample,
)
from fdref.network.fields import Box, around, seen
from fdref.network.units import FIRST, Unit, boxes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fdref.decoding.costs import Kind
    from fdref.decoding.paths import Paths
    from fdref.engines.resize import Method
    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.network.graph import Network

WINDOWED = (Conv, Pool, ConvTranspose)
"""Layers that change a filter: below them it may meet something."""
COUNTED = (*WINDOWED, Sum, Concat)
"""Layers through which a step takes something."""
PASSED = (ReLU, BatchNorm, Scale, Dropout)
"""The most frequent of those that pictures pass as they are: there is nothing to count."""

HANDED_ON = (ReLU, PReLU, Elementwise, Dropout, Softmax, Normalize, Upsample)
"""Layers whose atoms are those below themselves, not a copy of them."""


class Stage(NamedTuple):
    """How far down a filter is: the layers above a boundary lie behind it."""

    boundary: int
    cut: dict[int, Box]
    """what it sees of the maps that are still before it"""
    cost: Cost
    """of the way so far"""
    largest: int
    """elements of its pictures so far, where they were most"""
    scratch: Pair
    """elements that a thread keeps, for one filter and for all of them together"""

    def with_scratch(self, one: int, most: int) -> Stage:
        """Return the stage where a thread keeps so many numbers, too."""
        return self._replace(scratch=(max(self.scratch[0], one), max(self.scratch[1], most)))


class Ways:
    """All ways through one network.

    Parameters
    ----------
    net : Network
    unpool : str
    itemsize : int
        Bytes of a number.
    threads : int
        How many keep memory of their own.
    unit : Unit
        Which of each channel's units is decoded.
    """

    def __init__(
        self, net: Network, unpool: Method, itemsize: int, threads: int = 1, unit: Unit = FIRST
    ) -> None:
        self.net, self.itemsize, self.threads, self.unit = net, itemsize, threads, unit
        self.lattices = lattices(net, unpool)
        self.pooled = with_pools(net)
        self._raised: dict[int, tuple[Cost, int, int]] = {}
        self._fields: dict[int, Pair] = {}
        self._paths: dict[int, Paths] = {}
        self._walks: dict[
            tuple[int, int], tuple[list[tuple[float, list[Way]]], Iterator[tuple[float, list[Way]]]]
        ] = {}

    def all_to(self, layer: int, count: int) -> Iterator[Way]:
        """Return every way to `count` filters of a layer."""
        *between, last = self.stages(layer, count)
        yield self._from_above(layer, count, last)
        for stage in reversed(between):
            yield from self._meeting(layer, count, stage)

    def shortest(self, layer: int, count: int, price: Callable[[Way], float]) -> Way | None:
        """Return the way of the least price, if that of any is finite.

        Parameters
        ----------
        layer : int
        count : int
            How many of its filters.
        price : callable
            From a way to seconds, no less than it takes by itself.
        """
        # A stage costs no less than those above it: once it exceeds the best way, none can win.
        best, least = None, inf
        for so_far, several in self._remembered(layer, count):
            if so_far > least:
                break
            for way in several:
                own = price(way)
                if own < least or (way.kind == "from above" and own == least < inf):
                    best, least = way, own
        return best

    def _remembered(self, layer: int, count: int) -> Iterator[tuple[float, list[Way]]]:
        """Walk down as often as is asked, but count each step once: prices change, steps do not."""
        known, rest = self._walks.setdefault((layer, count), ([], self._walk(layer, count)))
        for position in itertools.count():
            if position == len(known):
                known.extend(itertools.islice(rest, 1))
            if position == len(known):
                return
            yield known[position]

    def _walk(self, layer: int, count: int) -> Iterator[tuple[float, list[Way]]]:
        """Yield, for each stage, the seconds down to it, and the ways that meet something there."""
        for stage in self.stages(layer, count):
            so_far = stage.cost.times(count).seconds(self.itemsize)
            yield so_far, list(self._meeting(layer, count, stage))
        yield so_far, [self._from_above(layer, count, stage)]

    def from_above(self, layer: int, count: int) -> Way:
        """Return the paper's way."""
        *_, last = self.stages(layer, count)
        return self._from_above(layer, count, last)

    def stages(self, layer: int, count: int) -> Iterator[Stage]:
        """Walk down with one of `count` filters, and stop wherever a window has changed it."""
        net, handed = self.net, {layer: Box(*self.unit.at, *self.unit.at)}
        # A convolution's filters are counted below; other units begin as a pixel in each channel.
        largest = 0 if isinstance(net[layer], Conv) else net.channels[layer]
        cost, scratch = Cost(), (0, 0)
        for number in range(layer, 0, -1):
            if number not in handed:
                continue
            box, step = handed.pop(number), net.decoded_as[number]
            if isinstance(step, PASSED) and net.takes[number][0] not in handed:
                handed[net.takes[number][0]] = box
                continue
            below = seen(step, box)
            # The filters of the layer itself are there already.
            if isinstance(net[number], COUNTED) and (number != layer or not isinstance(step, Conv)):
                cost += self._step(number, box, below)
                one, most = self._scratch(number, count, box, below)
                scratch = max(scratch[0], one), max(scratch[1], most)
            for taken in net.takes[number]:
                united = around([handed[taken], below]) if taken in handed else below
                handed[taken] = united.within(net.sizes[taken]) if self.unit.clip else united
            held = sum(net.channels_of(n) * prod(own.size) for n, own in handed.items())
            largest = max(largest, held)
            if isinstance(step, WINDOWED) and max(handed) > 0:
                yield Stage(number - 1, dict(handed), cost, largest, scratch)
        yield Stage(0, handed, cost, largest, scratch)

    def _step(self, number: int, box: Box, below: Box) -> Cost:
        """Count one filter's step down through a layer."""
        layer, channels = self.net[number], self.net.channels[number]
        taken = self.net.channels_of(self.net.takes[number][0])
        match layer:
            case Conv(filters=filters):
                taps = (filters.shape[2], filters.shape[3])
                return substitution((channels, *box.size), taken, taps, self.net.groups(number))
            case Pool():
                return Cost(short=taken * prod(below.size), calls=1)
            case ConvTranspose(filters=filters):
                elements = taken * prod(below.size)
                return Cost(elements * filters[0].size, short=elements, calls=1)
            case Sum() | Concat():
                return Cost(long=channels * prod(box.size), calls=1)
            case _:
                return Cost()  # a path may lead through others

    def _scratch(self, number: int, count: int, box: Box, below: Box) -> Pair:
        """Return how many elements a thread keeps for a picture, and for all, one layer down."""
        match self.net[number]:
            case Conv(filters=filters, stride=stride):
                groups = self.net.groups(number)
                one, most = substitution_scratch(count, box.size, filters.shape, groups, stride)
                # The compiled engine makes a copy of filters of another precision.
                cast = filters.size if filters.dtype.itemsize != self.itemsize else 0
                return one + cast, most + cast
            case ConvTranspose(filters=filters):
                one = filters[0].size * prod(below.size) + filters.size
                return one, count * one
            case Pool():
                bands = BAND * sum(below.size) // self.itemsize
                return bands, bands
            case _:
                return 0, 0

    def _from_above(self, layer: int, count: int, last: Stage) -> Way:
        return self._way(layer, count, "from above", last, last.cost.times(count), 0)

    def _meeting(self, layer: int, count: int, stage: Stage) -> Iterator[Way]:
        """Return the ways to filters that meet at a stage what is known from below."""
        if self.unit.clip:
            return  # at the border of a map its pixels are unlike the others
        banks = self._banks(stage)
        if banks and stage.boundary:
            yield self._by_atoms(layer, count, stage, banks)
        above = self.net.decoded_as.get(stage.boundary + 1)
        if len(stage.cut) == 1 and isinstance(above, Conv) and max(stage.cut) in self.pooled:
            yield self._by_pixels(layer, count, stage)

    def _banks(self, stage: Stage) -> frozenset[int]:
        """Return the banks whose atoms a filter can meet, if it can.

        Either atoms are the same wherever they are, or there is but one, which is all of a filter.
        """
        known = [lattice for lattice in map(self.lattices.get, stage.cut) if lattice is not None]
        if stage.cut.keys() <= self.lattices.keys() and all(x.composes for x in known):
            return frozenset().union(*(lattice.banks for lattice in known))
        (number, box), *others = stage.cut.items()
        lattice = self.lattices.get(number)
        if lattice is None or others or box.size != (1, 1) or not lattice.alone:
            return frozenset()
        return frozenset([lattice.alone])

    def _by_atoms(self, layer: int, count: int, stage: Stage, banks: frozenset[int]) -> Way:
        total, held, spread = stage.cost.times(count), 0, 0
        for number, box in stage.cut.items():
            if self.lattices[number] is None:
                continue
            pool = self.net.decoded_as.get(number)
            below = number
            if isinstance(pool, Pool):  # unpooled last
                (below,) = self.net.takes[number]
                step, kept = self._spread(pool, below, count, box.size)
                total, stage = total + step, stage.with_scratch(kept, kept)
                spread = self.net.channels[0] * prod(self._field(layer))
            atoms, jump = self._atoms(below), self._lattice(number).field.stride
            own, numbers, scratch = self._raise(below)
            total += composition(count, box.size, atoms, jump) + own
            held += numbers
            one, most = substitution_scratch(count, box.size, atoms, 1, jump)
            stage = stage.with_scratch(max(one, scratch), max(most, scratch))
        return self._way(layer, count, "atoms", stage, total, held, banks, spread)

    def _lattice(self, number: int) -> Lattice:
        lattice = self.lattices[number]
        assert lattice is not None  # noqa: S101 - somebody meets its atoms
        return lattice

    def _atoms(self, number: int) -> tuple[int, int, int, int]:
        """Return the shape of a map's atoms."""
        return self.net.channels_of(number), self.net.channels[0], *self._lattice(number).size

    def _spread(self, pool: Pool, below: int, count: int, size: Pair) -> tuple[Cost, int]:
        """Count the unpooling of so many pictures, in the input, and what a thread keeps."""
        pictures, jump = count * self.net.channels[0], self._lattice(below).field.stride
        apart = jump[0] * pool.stride[0], jump[1] * pool.stride[1]
        once = substituted_size(size, apart, self._atoms(below)[2:])
        window = 1, 1, *pool.window
        kept = substitution_scratch(pictures, once, window, 1, (1, 1), jump)
        spread = pictures * prod(substituted_size(once, (1, 1), extent(pool.window, jump)))
        return Cost(long=spread, calls=2), max(kept)

    def _raise(self, number: int) -> tuple[Cost, int, int]:
        """Count what turns banks into the atoms of a map above them.

        Returns
        -------
        cost, the elements of banks and atoms, and those that a thread keeps
        """
        if number in self._raised:
            return self._raised[number]
        net, layer = self.net, self.net.decoded_as.get(number)
        numbers = prod(self._atoms(number))
        cost, held, scratch = Cost(), 0, 0
        if isinstance(layer, HANDED_ON):
            return self._raise(net.takes[number][0])
        if layer is not None and not isinstance(layer, Conv):
            under = [n for n in net.takes[number] if self.lattices[n] is not None]
            for below in under:
                own, _, kept = self._raise(below)
                cost, scratch = cost + own, max(scratch, kept)
            held = sum(self._bank_numbers(bank) for bank in self._lattice(number).banks)
            step, kept = self._raise_once(layer, numbers, under[0])
            cost, scratch = cost + step, max(scratch, kept)
        self._raised[number] = cost, numbers + held, scratch
        return self._raised[number]

    def _raise_once(self, layer: Layer, numbers: int, below: int) -> tuple[Cost, int]:
        """Count one layer's step up with atoms, and the numbers that a thread keeps."""
        if isinstance(layer, Sum | Concat):
            return Cost(long=numbers, calls=1), 0
        if not isinstance(layer, Pool):
            return Cost(), 0
        return self._spread(layer, below, self.net.channels[below], (1, 1))

    def _bank_numbers(self, bank: int) -> int:
        return self.net.channels[bank] * self.net.channels[0] * prod(self._field(bank))

    def _by_pixels(self, layer: int, count: int, stage: Stage) -> Way:
        ((number, box),) = stage.cut.items()
        pixels, inputs = self.net.channels[number] * prod(box.size), self.net.channels[0]
        field, field_below = self._field(layer), self.net.fields[number]
        assert field_below is not None  # noqa: S101 - a path leads down from it
        cost = stage.cost + substitution((pixels, 1, 1), inputs, field)
        if number not in self._paths:
            path = path_down(self.net, number)
            self._paths[number] = paths_of(self.net, path, self._step, self._scratch)
        finding, held, scratch = pixels_of(
            self.net, number, box.size, field_below, self._paths[number]
        )
        held += 2 * pixels * inputs * prod(field)
        total = cost.times(count) + finding
        one, most = substitution_scratch(count, (1, 1), (pixels, inputs, *field), 1, (1, 1))
        met = stage.with_scratch(max(one, scratch), max(most, scratch))
        return self._way(layer, count, "pixels", met, total, held)

    def _field(self, layer: int) -> Pair:
        """Return the size of a layer's decoded filters."""
        if layer not in self._fields:
            known = None if self.unit.clip else self.net.fields.get(layer)
            if known is None:
                self._fields[layer] = boxes(self.net, layer, self.unit)[0].size
            else:
                self._fields[layer] = known.size
        return self._fields[layer]

    def _way(
        self,
        layer: int,
        count: int,
        kind: Kind,
        stage: Stage,
        cost: Cost,
        held: int,
        banks: frozenset[int] = frozenset(),
        spread: int = 0,
    ) -> Way:
        seconds = cost.seconds(self.itemsize) + ONCE
        result = self.net.channels[0] * prod(self._field(layer))
        # A picture, the next one, and that in double or its products; or of the last one what it is
        # transformed to.
        elements = 4 * stage.largest + spread
        if kind == "atoms" and len(stage.cut) > 1:
            elements += len(stage.cut) * result  # one for each map, before they are added
        most = max(prod(box.size) for box in stage.cut.values())
        if kind == "atoms" and most > products.LONG:
            elements += 2 * result  # summed in double
        each = self.threads * self.itemsize
        return Way(
            layer,
            count,
            kind,
            stage.boundary,
            tuple(stage.cut),
            banks,
            cost,
            seconds,
            held * self.itemsize,
            elements * self.itemsize,
            (stage.scratch[0] * each, stage.scratch[1] * each),
            stage.largest,
            result,
            self.itemsize,
        )

"""What each way to decoded filters takes, counted beforehand: multiply-adds, numbers moved, memory.

A filter is taken down from above to some map and meets there what the map's pixels amount to,
which was found from below. All the way down is the paper's order; not at all is composition. Ways
through a graph that run side by side are cut together: what is met lies on the maps up to a
boundary.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, prod
from typing import TYPE_CHECKING, Literal, NamedTuple

from fdref.every_pixel import path_down
from fdref.fields import Box, around, boxes, seen
from fdref.geometry import substituted_size
from fdref.lattice import lattices
from fdref.layers import Concat, Conv, ConvTranspose, Pool, Sum

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fdref.geometry import Pair
    from fdref.network import Network
    from fdref.resize import Method

Kind = Literal["from above", "atoms", "pixels"]

# Seconds, for the compiled engine in float32 with two threads; benchmarks/planner.py compares.
MULTIPLY_ADD = 1.4e-11
"""in a product"""
LONG = 1.0e-9
"""to write a number of a product and add it where it belongs, in the long rows of atoms"""
SHORT = 1.6e-9
"""the same in the short rows on the way down; also to enlarge a picture by a pixel"""
CALL = 6e-5
"""for an operation, however small"""
ONCE = 8e-5
"""to set out at all"""


@dataclass(frozen=True)
class Cost:
    """What a computation takes, in numbers."""

    multiplied: float = 0
    """multiply-adds"""
    long: float = 0
    """numbers moved in long rows"""
    short: float = 0
    """numbers moved in short rows"""
    calls: float = 0
    """operations"""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.multiplied + other.multiplied,
            self.long + other.long,
            self.short + other.short,
            self.calls + other.calls,
        )

    def times(self, count: int) -> Cost:
        """Return the cost for `count` pictures, which go through the operations together."""
        return Cost(self.multiplied * count, self.long * count, self.short * count, self.calls)

    def seconds(self, itemsize: int) -> float:
        """Estimate the time; numbers of double the size take double the time."""
        numbers = self.multiplied * MULTIPLY_ADD + self.long * LONG + self.short * SHORT
        return numbers * itemsize / 4 + self.calls * CALL


@dataclass(frozen=True)
class Way:
    """One way to decode filters of a layer."""

    layer: int
    filters: int
    """how many"""
    kind: Kind
    """``from above``, down to the input; ``atoms``, to where a pixel's atom is known from the banks
    of layers below; ``pixels``, to a map each of whose pixels is decoded by itself"""
    boundary: int
    """they meet on the maps up to this layer's that all ways cross; 0: the input"""
    met: tuple[int, ...]
    """those maps"""
    banks: frozenset[int]
    """the layers whose banks are needed"""
    cost: Cost
    seconds: float
    """estimated"""
    memory: int
    """bytes beside the result, if filters are decoded one by one"""
    largest: int
    """numbers of a filter's pictures on its way down, where they are most"""
    result: int
    """numbers of a decoded filter"""


class Stage(NamedTuple):
    """How far down a filter is: the layers above a boundary lie behind it."""

    boundary: int
    cut: dict[int, Box]
    """what it sees of the maps that are still before it"""
    cost: Cost
    """of the way so far"""
    largest: int
    """numbers of its pictures so far, where they were most"""


class Ways:
    """All ways through one network."""

    def __init__(self, net: Network, unpool: Method, itemsize: int) -> None:
        self.net, self.itemsize = net, itemsize
        self.lattices = lattices(net, unpool)
        self._raised: dict[int, tuple[Cost, int]] = {}
        self._fields: dict[int, Pair] = {}

    def all_to(self, layer: int, count: int) -> Iterator[Way]:
        """Return every way to `count` filters of a layer."""
        *between, last = self.stages(layer)
        yield self._from_above(layer, count, last)
        for stage in between:
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
        best, least = None, inf
        for stage in self.stages(layer):
            if stage.cost.times(count).seconds(self.itemsize) > least:
                return best  # the rest is further down still
            for way in self._meeting(layer, count, stage):
                if price(way) < least:
                    best, least = way, price(way)
        way = self._from_above(layer, count, stage)
        return way if price(way) <= least and price(way) < inf else best

    def _meeting(self, layer: int, count: int, stage: Stage) -> Iterator[Way]:
        """Return the ways to filters that meet at a stage what is known from below."""
        banks = self._banks(stage)
        if banks and stage.boundary:
            yield self._by_atoms(layer, count, stage, banks)
        path = path_down(self.net, *stage.cut) if len(stage.cut) == 1 else []
        pools = any(isinstance(self.net[n], Pool) for n in path)
        if pools and isinstance(self.net[stage.boundary + 1], Conv):
            yield self._by_pixels(layer, count, stage, path)

    def from_above(self, layer: int, count: int) -> Way:
        """Return the paper's way."""
        *_, last = self.stages(layer)
        return self._from_above(layer, count, last)

    def stages(self, layer: int) -> Iterator[Stage]:
        """Walk down with one filter, and stop wherever a window has changed its pictures."""
        net, cost, largest = self.net, Cost(), 0
        handed = {layer: Box(0, 0, 0, 0)}
        for number in range(layer, 0, -1):
            if number not in handed:
                continue
            box, step = handed.pop(number), net.decoded_as[number]
            below = seen(step, box)
            if number != layer or not isinstance(step, Conv):  # its filters are there already
                cost += self._step(number, box, below)
            for taken in net.takes[number]:
                handed[taken] = around([handed[taken], below]) if taken in handed else below
            held = [net.channels_of(n) * prod(one.size) for n, one in handed.items()]
            largest = max(largest, sum(held))
            if isinstance(step, Conv | Pool | ConvTranspose) and max(handed) > 0:
                yield Stage(number - 1, dict(handed), cost, largest)
        yield Stage(0, handed, cost, largest)

    def _step(self, number: int, box: Box, below: Box) -> Cost:
        """Count one filter's step down through a layer."""
        layer, channels = self.net[number], self.net.channels[number]
        taken = self.net.channels_of(self.net.takes[number][0])
        match layer:
            case Conv(filters=filters):
                taps = (filters.shape[2], filters.shape[3])
                return _substitution((channels, *box.size), taken, taps, self.net.groups(number))
            case Pool():
                return Cost(short=taken * prod(below.size), calls=1)
            case ConvTranspose(filters=filters):
                numbers = taken * prod(below.size)
                return Cost(numbers * filters[0].size, short=numbers, calls=1)
            case Sum() | Concat():
                return Cost(long=channels * prod(box.size), calls=1)
            case _:
                return Cost()

    def _from_above(self, layer: int, count: int, last: Stage) -> Way:
        cost = last.cost.times(count)
        return self._way(layer, count, "from above", last, cost, 0)

    def _by_atoms(self, layer: int, count: int, stage: Stage, banks: frozenset[int]) -> Way:
        cost, raising, held = stage.cost, Cost(), 0
        for number, box in stage.cut.items():
            lattice = self.lattices[number]
            if lattice is not None:
                channels = self.net.channels_of(number)
                cost += _substitution(
                    (channels, *box.size), self.net.channels[0], lattice.size
                )
                own, numbers = self._raise(number)
                raising, held = raising + own, held + numbers
        total = cost.times(count) + raising
        return self._way(layer, count, "atoms", stage, total, held, banks)

    def _banks(self, stage: Stage) -> frozenset[int]:
        """Return the banks whose atoms a filter can meet, if it can.

        Either atoms are the same wherever they are, or there is but one, which is all of a filter.
        """
        found = [self.lattices.get(n, False) for n in stage.cut]
        if all(lattice is None or (lattice and lattice.composes) for lattice in found):
            return frozenset().union(*(lattice.banks for lattice in found if lattice))
        (number, box), *others = stage.cut.items()
        lattice = self.lattices.get(number)
        if lattice is None or others or box.size != (1, 1) or not lattice.alone:
            return frozenset()
        return frozenset([lattice.alone])

    def _raise(self, number: int) -> tuple[Cost, int]:
        """Count what turns banks into the atoms of a map above them, and the numbers of both."""
        if number not in self._raised:
            lattice, net = self.lattices[number], self.net
            numbers = net.channels_of(number) * net.channels[0] * prod(lattice.size)
            cost, held = Cost(), 0
            layer = net.decoded_as[number] if number > 0 else None
            if not isinstance(layer, Conv | None):
                for below in net.takes[number]:
                    if self.lattices[below] is not None:
                        own, _ = self._raise(below)
                        cost += own
                held = sum(self._bank_numbers(bank) for bank in lattice.banks)
            if isinstance(layer, Pool):
                (below,) = net.takes[number]
                copied = net.channels[number] * net.channels[0]
                copied *= prod(self.lattices[below].size) * prod(layer.window)
                cost += Cost(copied, short=copied, calls=2)
            elif isinstance(layer, Sum | Concat):
                cost += Cost(long=numbers, calls=1)
            self._raised[number] = cost, numbers + held
        return self._raised[number]

    def _bank_numbers(self, bank: int) -> int:
        return self.net.channels[bank] * self.net.channels[0] * prod(self.lattices[bank].size)

    def _by_pixels(self, layer: int, count: int, stage: Stage, path: list[int]) -> Way:
        ((number, box),) = stage.cut.items()
        pixels = (self.net.channels[number] * prod(box.size), 1, 1)
        field, inputs = self._field(layer), self.net.channels[0]
        cost = stage.cost + _substitution(pixels, inputs, field)
        found, held = self._every_pixel(path, box.size)
        held += 2 * pixels[0] * inputs * prod(field)
        total = cost.times(count) + found
        return self._way(layer, count, "pixels", stage, total, held)

    def _field(self, layer: int) -> Pair:
        """Return the size of a layer's decoded filters."""
        if layer not in self._fields:
            lattice = self.lattices.get(layer)
            self._fields[layer] = boxes(self.net, layer)[0].size if lattice is None else lattice.size
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
    ) -> Way:
        largest, result = stage.largest, self.net.channels[0] * prod(self._field(layer))
        memory = (held + 4 * largest) * self.itemsize  # a picture, the next one, the products
        seconds = cost.seconds(self.itemsize) + ONCE
        boundary = stage.boundary
        met = tuple(stage.cut)
        return Way(
            layer, count, kind, boundary, met, banks, cost, seconds, memory, largest, result
        )

    def _every_pixel(self, path: list[int], size: Pair) -> tuple[Cost, int]:
        """Count what `every_pixel` does, and the numbers of its largest array beside the result."""
        net, channels, cost, peak = self.net, self.net.channels[path[0]], Cost(), 0
        top, filters, paths = path[0], (1, 1), (1, 1)
        for number, after in zip([*path, 0], [*path[1:], 0, 0], strict=True):
            layer = net.decoded_as[number] if number else None
            if isinstance(layer, Conv):
                taps = (layer.filters.shape[2], layer.filters.shape[3])
                maps = (net.channels[number], *filters)
                groups = net.groups(number)
                cost += _substitution(maps, net.channels[after], taps, groups).times(
                    net.channels[top]
                )
                filters = substituted_size(filters, layer.stride, layer.window)
            elif isinstance(layer, Pool) or layer is None:
                maps = (net.channels[top], *paths)
                cost += _substitution(maps, net.channels[number], filters).times(channels)
                paths = (paths[0] * filters[0], paths[1] * filters[1])
                peak = max(peak, channels * net.channels[number] * prod(paths))
                top, filters = after, (1, 1)
        pictures = channels * net.channels[0]
        field = self.lattices[path[0]]
        rows, columns = (
            n * ((n - 1) * field.jump[a] + field.size[a]) for a, n in enumerate(size)
        )
        products = pictures * columns * paths[0] * (paths[1] + rows)
        numbers = pictures * rows * columns
        return cost + Cost(products, short=3 * numbers, calls=10), peak  # made, and put in order


def _substitution(maps: tuple[int, int, int], channels: int, taps: Pair, groups: int = 1) -> Cost:
    """Count the substitution of filters for the pixels of one picture (K, h, w)."""
    numbers = maps[1] * maps[2] * channels * prod(taps)
    products = numbers * maps[0] // groups
    if taps[1] > maps[2]:
        return Cost(products, long=numbers, calls=1)
    return Cost(products, short=numbers, calls=1)

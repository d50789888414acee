"""What each way to decoded filters takes, counted beforehand: multiply-adds, numbers moved, memory.

A filter is taken down from above to some map and meets there what the map's pixels amount to,
which was found from below. All the way down is the paper's order; not at all is composition.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal, NamedTuple

from fdref import products
from fdref.from_above import picture_shapes
from fdref.from_below import commutes_with_shifts
from fdref.geometry import substituted_size
from fdref.layers import Conv, Pool
from fdref.network import receptive_field
from fdref.parts import substitution_scratch

if TYPE_CHECKING:
    from collections.abc import Iterator

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


@dataclass(slots=True, unsafe_hash=True)  # frozen ones take three times as long to make
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
    """``from above``, down to the input; ``atoms``, to where a pixel's atom is known from the bank
    of the layer below; ``pixels``, to a map each of whose pixels is decoded by itself"""
    boundary: int
    """the layer whose output is where they meet; 0: the input"""
    bank: int
    """the layer whose bank is needed; 0: none"""
    cost: Cost
    seconds: float
    """estimated"""
    held: int
    """bytes of what is known from below"""
    each: int
    """bytes of a filter's largest pictures on its way down"""
    scratch: tuple[int, int]
    """bytes that threads keep for themselves, for one filter and for all of them together"""
    largest: int
    """numbers of the largest picture of a filter on its way down"""
    result: int
    """numbers of a decoded filter"""
    itemsize: int
    """bytes of a number"""

    @property
    def memory(self) -> int:
        """Bytes beside the result, if filters are decoded one by one."""
        return self.taken(1)

    def taken(self, count: int) -> int:
        """Return the bytes beside the result, if so many filters go down together."""
        scratch = self.kept_by_threads(count)
        whole = 0 if count >= self.filters else self.result  # put in its place among the others
        return self.held + scratch + count * (self.each + whole * self.itemsize)

    def kept_by_threads(self, count: int) -> int:
        """Return the bytes that threads keep for themselves, if so many go down together."""
        return min(count * self.scratch[0], self.scratch[1])

    def at_once(self, memory: int) -> int:
        """Return how many filters may go down together, at least one."""
        if self.taken(self.filters) <= memory:
            return self.filters
        one, free = self.each + self.result * self.itemsize, memory - self.held
        return max(1, free // (one + self.scratch[0]), (free - self.scratch[1]) // one)


class Fall(NamedTuple):
    """What the way of one filter down to a map takes."""

    cost: Cost
    largest: int
    """numbers of the largest picture"""
    met: tuple[int, int, int]
    """the picture's shape there"""
    scratch: Pair
    """numbers that a thread keeps, for one filter and for all of them together"""

    def contracted(self, bank: tuple[int, int, int, int], count: int, scratch: int) -> Fall:
        """Meet a bank (K, C0, H, W) there, which took a thread's scratch to find."""
        one, most = substitution_scratch(count, self.met[1:], bank, 1)
        known, all_known = self.scratch
        return self._replace(scratch=(max(known, one, scratch), max(all_known, most, scratch)))


Paths = tuple[Cost, int, int, "Pair"]
"""what they take; numbers held, and kept by a thread; how many there are along each axis"""

BAND = 400
"""Bytes that it takes to find which pixels one row or column of an enlarged map is made of."""


class Ways:
    """All ways through one network."""

    def __init__(self, net: Network, unpool: Method, itemsize: int, threads: int = 1) -> None:
        self.net, self.itemsize, self.threads = net, itemsize, threads
        self.fields = {n: receptive_field(net, n) for n in range(1, len(net) + 1)}
        self.layers = dict(enumerate(net, 1))
        self.banks = [0]
        for n, layer in enumerate(net, 1):
            self.banks.append(n if isinstance(layer, Conv) else self.banks[-1])
        self._raised: dict[int, tuple[Cost, int]] = {}
        self._grown: dict[int, Paths] = {}
        pools = {n: layer for n, layer in enumerate(net, 1) if isinstance(layer, Pool)}
        bordered = [n for n, pool in pools.items() if not commutes_with_shifts(pool, unpool)]
        self.first_pool = min(pools, default=len(net))
        self.first_bordered = min(bordered, default=len(net) + 1)

    def all_to(self, layer: int, count: int) -> Iterator[Way]:
        """Return every way to `count` filters of a layer."""
        falls = self._falls(layer, count)
        yield self._from_above(layer, count, falls[-1])
        for boundary in range(1, layer):
            above = self.layers[boundary + 1]
            if not isinstance(above, Conv | Pool):
                continue  # the same as one layer lower
            fall = falls[layer - 1 - boundary]
            if self._are_atoms(boundary, fall.met):
                yield self._by_atoms(layer, count, boundary, fall)
            if isinstance(above, Conv) and boundary >= self.first_pool:
                yield self._by_pixels(layer, count, boundary, fall)

    def from_above(self, layer: int, count: int) -> Way:
        """Return the paper's way."""
        return self._from_above(layer, count, self._falls(layer, count)[-1])

    def _from_above(self, layer: int, count: int, fall: Fall) -> Way:
        return self._way(layer, count, "from above", 0, fall.cost.times(count), 0, fall)

    def _by_atoms(self, layer: int, count: int, boundary: int, fall: Fall) -> Way:
        shape = fall.met
        field = self.fields[boundary].size
        bank = self.banks[boundary]
        cost = fall.cost + _substitution(shape, self.net.channels[0], field)
        held = shape[0] * self.net.channels[0] * prod(field)
        if boundary > bank:
            held += self.net.channels[bank] * self.net.channels[0] * prod(self._size(bank))
        raising, scratch = self._raise_atoms(bank, boundary)
        total = cost.times(count) + raising
        fall = fall.contracted((shape[0], self.net.channels[0], *field), count, scratch)
        return self._way(layer, count, "atoms", boundary, total, held, fall, bank)

    def _raise_atoms(self, bank: int, boundary: int) -> tuple[Cost, int]:
        """Count what turns a bank into the atoms of a boundary above it, and a thread's numbers."""
        if boundary in self._raised:
            return self._raised[boundary]
        cost, scratch = Cost(), 0
        for number in range(bank + 1, boundary + 1):
            layer = self.layers[number]
            if isinstance(layer, Pool):
                pictures = self.net.channels[number] * self.net.channels[0]
                numbers = pictures * prod(self._size(number - 1)) * prod(layer.window)
                cost += Cost(numbers, short=numbers, calls=2)
                size, copies = self._size(number - 1), (1, 1, *layer.window)
                scratch = max(scratch, *substitution_scratch(pictures, size, copies, 1))
        self._raised[boundary] = cost, scratch
        return cost, scratch

    def _by_pixels(self, layer: int, count: int, boundary: int, fall: Fall) -> Way:
        channels, *size = fall.met
        pixels = (channels * prod(size), 1, 1)
        cost = fall.cost + _substitution(pixels, self.net.channels[0], self._size(layer))
        found, held, scratch = self._every_pixel(boundary, (size[0], size[1]))
        held += 2 * pixels[0] * self.net.channels[0] * prod(self._size(layer))
        total = cost.times(count) + found
        every = (pixels[0], self.net.channels[0], *self._size(layer))
        fall = fall._replace(met=pixels).contracted(every, count, scratch)
        return self._way(layer, count, "pixels", boundary, total, held, fall)

    def _way(
        self,
        layer: int,
        count: int,
        kind: Kind,
        boundary: int,
        cost: Cost,
        held: int,
        fall: Fall,
        bank: int = 0,
    ) -> Way:
        seconds = cost.seconds(self.itemsize) + ONCE
        result = self.net.channels[0] * prod(self._size(layer))
        numbers = 4 * fall.largest  # a picture, the next one, and that in double or its products
        if boundary and prod(fall.met[1:]) > products.LONG:
            numbers += 2 * result  # summed in double
        return Way(
            layer,
            count,
            kind,
            boundary,
            bank,
            cost,
            seconds,
            held * self.itemsize,
            numbers * self.itemsize,
            (
                fall.scratch[0] * self.threads * self.itemsize,
                fall.scratch[1] * self.threads * self.itemsize,
            ),
            fall.largest,
            result,
            self.itemsize,
        )

    def _are_atoms(self, boundary: int, met: tuple[int, int, int]) -> bool:
        """Tell whether the pixels of a picture over a boundary are the atoms of a bank below.

        Either atoms are the same wherever they are, or there is but one, which is all of a filter.
        """
        bank = self.banks[boundary]
        if bank == boundary:
            return boundary < self.first_bordered or met[1:] == (1, 1)
        between = [self.layers[n] for n in range(bank + 1, boundary + 1)]
        alone = met[1:] == (1, 1) and not any(isinstance(layer, Pool) for layer in between)
        return bank > 0 and (boundary < self.first_bordered or alone)

    def _size(self, layer: int) -> Pair:
        return self.fields[layer].size

    def _falls(self, layer: int, count: int) -> list[Fall]:
        """Count, for one filter, the way down to the map below it, to the next one, and so on."""
        shapes = picture_shapes(self.net, layer)
        falls = [Fall(Cost(), prod(shapes[0]), shapes[0], (0, 0))]
        for number, maps, below in zip(range(layer - 1, 0, -1), shapes, shapes[1:], strict=False):
            last = falls[-1]
            cost = last.cost + self._one_layer_down(number, maps, below)
            one, most = self._scratch(number, count, maps, below)
            scratch = max(last.scratch[0], one), max(last.scratch[1], most)
            falls.append(Fall(cost, max(last.largest, prod(below)), below, scratch))
        return falls

    def _scratch(
        self, number: int, count: int, maps: tuple[int, int, int], below: tuple[int, int, int]
    ) -> Pair:
        """Return how many numbers a thread keeps for a picture, and for all, one layer down."""
        match self.layers[number]:
            case Conv(filters=filters):
                size, groups = (maps[1], maps[2]), self.net.groups(number)
                one, most = substitution_scratch(count, size, filters.shape, groups)
                cast = filters.size if filters.dtype.itemsize != self.itemsize else 0
                return one + cast, most + cast
            case Pool():
                bands = BAND * (below[1] + below[2]) // self.itemsize
                return bands, bands
            case _:
                return 0, 0

    def _one_layer_down(
        self, number: int, maps: tuple[int, int, int], below: tuple[int, int, int]
    ) -> Cost:
        match self.layers[number]:
            case Conv(filters=filters):
                taps = (filters.shape[2], filters.shape[3])
                return _substitution(maps, below[0], taps, self.net.groups(number))
            case Pool():
                return Cost(short=prod(below), calls=1)
            case _:
                return Cost()

    def _every_pixel(self, boundary: int, size: Pair) -> tuple[Cost, int, int]:
        """Count what `every_pixel` does, the numbers it holds beside the result, and a thread's."""
        if boundary not in self._grown:
            self._grown[boundary] = self._paths(boundary)
        cost, held, scratch, paths = self._grown[boundary]
        pictures = self.net.channels[boundary] * self.net.channels[0]
        field = self.fields[boundary]
        rows, columns = (
            n * ((n - 1) * jump + whole)
            for n, jump, whole in zip(size, field.stride, field.size, strict=True)
        )
        products = pictures * columns * paths[0] * (paths[1] + rows)
        numbers = pictures * rows * columns
        held += pictures * columns * paths[0] + 3 * (rows * paths[0] + columns * paths[1])
        cost += Cost(products, short=3 * numbers, calls=10)  # made, and put in order
        return cost, held, scratch

    def _paths(self, boundary: int) -> Paths:
        """Count what finds the weights of all paths, and how many paths an axis has."""
        channels, cost, peak, scratch = self.net.channels[boundary], Cost(), 0, 0
        top, filters, paths = boundary, (1, 1), (1, 1)
        for number in range(boundary, -1, -1):
            layer = self.layers.get(number)
            if isinstance(layer, Conv):
                grown = substituted_size(filters, layer.stride, layer.window)
                maps = (self.net.channels[number], *filters)
                below = (self.net.channels[number - 1], *grown)
                cost += self._one_layer_down(number, maps, below).times(self.net.channels[top])
                scratch = max(scratch, *self._scratch(number, self.net.channels[top], maps, below))
                filters = grown
                peak = max(peak, self.net.channels[top] * prod(below))
            elif isinstance(layer, Pool) or layer is None:
                maps = (self.net.channels[top], *paths)
                cost += _substitution(maps, self.net.channels[number], filters).times(channels)
                bank = (maps[0], self.net.channels[number], *filters)
                scratch = max(scratch, *substitution_scratch(channels, paths, bank, 1))
                paths = (paths[0] * filters[0], paths[1] * filters[1])
                peak = max(peak, channels * self.net.channels[number] * prod(paths))
                top, filters = number - 1, (1, 1)
        return cost, 3 * peak, scratch, paths  # those above, those below, the filters between


def _substitution(maps: tuple[int, int, int], channels: int, taps: Pair, groups: int = 1) -> Cost:
    """Count the substitution of filters for the pixels of one picture (K, h, w)."""
    numbers = maps[1] * maps[2] * channels * prod(taps)
    products = numbers * maps[0] // groups
    if taps[1] > maps[2]:
        return Cost(products, long=numbers, calls=1)
    return Cost(products, short=numbers, calls=1)

"""What each way to decoded filters takes, counted beforehand: multiply-adds, numbers moved, memory.

A filter is taken down from above to some map and meets there what the map's pixels amount to,
which was found from below. All the way down is the paper's order; not at all is composition.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

from fdref.fields import receptive_field
from fdref.from_above import picture_shapes
from fdref.from_below import commutes_with_shifts
from fdref.geometry import substituted_size
from fdref.layers import Conv, Pool

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
    """``from above``, down to the input; ``atoms``, to where a pixel's atom is known from the bank
    of the layer below; ``pixels``, to a map each of whose pixels is decoded by itself"""
    boundary: int
    """the layer whose output is where they meet; 0: the input"""
    bank: int
    """the layer whose bank is needed; 0: none"""
    cost: Cost
    seconds: float
    """estimated"""
    memory: int
    """bytes beside the result, if filters are decoded one by one"""
    largest: int
    """numbers of the largest picture of a filter on its way down"""
    result: int
    """numbers of a decoded filter"""


class Ways:
    """All ways through one network."""

    def __init__(self, net: Network, unpool: Method, itemsize: int) -> None:
        self.net, self.itemsize = net, itemsize
        self.shapes = {number: picture_shapes(net, number) for number in net.decodable}
        self.fields = {n: receptive_field(net, n) for n in range(1, len(net) + 1)}
        pools = {n: layer for n, layer in enumerate(net, 1) if isinstance(layer, Pool)}
        bordered = [n for n, pool in pools.items() if not commutes_with_shifts(pool, unpool)]
        self.first_pool = min(pools, default=len(net))
        self.first_bordered = min(bordered, default=len(net) + 1)

    def all_to(self, layer: int, count: int) -> Iterator[Way]:
        """Return every way to `count` filters of a layer."""
        yield self.from_above(layer, count)
        shapes = self.shapes[layer]
        for boundary in range(1, layer):
            above = self.net[boundary + 1]
            if not isinstance(above, Conv | Pool):
                continue  # the same as one layer lower
            met = shapes[layer - 1 - boundary]
            if self._are_atoms(boundary, met):
                yield self._by_atoms(layer, count, boundary)
            if isinstance(above, Conv) and boundary >= self.first_pool:
                yield self._by_pixels(layer, count, boundary)

    def from_above(self, layer: int, count: int) -> Way:
        """Return the paper's way."""
        cost, largest = self._down(layer, 0)
        return self._way(layer, count, "from above", 0, cost.times(count), 0, largest)

    def _by_atoms(self, layer: int, count: int, boundary: int) -> Way:
        cost, largest = self._down(layer, boundary)
        shape = self.shapes[layer][layer - 1 - boundary]
        field = self.fields[boundary].size
        bank = self._bank_below(boundary)
        cost += _substitution(shape, self.net.channels[0], field)
        held = shape[0] * self.net.channels[0] * prod(field)
        if boundary > bank:
            held += self.net.channels[bank] * self.net.channels[0] * prod(self._size(bank))
        total = cost.times(count) + self._raise_atoms(bank, boundary)
        return self._way(layer, count, "atoms", boundary, total, held, largest, bank)

    def _raise_atoms(self, bank: int, boundary: int) -> Cost:
        """Count what turns a bank into the atoms of a boundary above it."""
        cost = Cost()
        for number in range(bank + 1, boundary + 1):
            layer = self.net[number]
            if isinstance(layer, Pool):
                pictures = self.net.channels[number] * self.net.channels[0]
                numbers = pictures * prod(self._size(number - 1)) * prod(layer.window)
                cost += Cost(numbers, short=numbers, calls=2)
        return cost

    def _by_pixels(self, layer: int, count: int, boundary: int) -> Way:
        cost, largest = self._down(layer, boundary)
        channels, *size = self.shapes[layer][layer - 1 - boundary]
        pixels = (channels * prod(size), 1, 1)
        cost += _substitution(pixels, self.net.channels[0], self._size(layer))
        found, held = self._every_pixel(boundary, (size[0], size[1]))
        held += 2 * pixels[0] * self.net.channels[0] * prod(self._size(layer))
        total = cost.times(count) + found
        return self._way(layer, count, "pixels", boundary, total, held, largest)

    def _way(
        self,
        layer: int,
        count: int,
        kind: Kind,
        boundary: int,
        cost: Cost,
        held: int,
        largest: int,
        bank: int = 0,
    ) -> Way:
        memory = (held + 4 * largest) * self.itemsize  # a picture, the next one, the products
        seconds = cost.seconds(self.itemsize) + ONCE
        result = self.net.channels[0] * prod(self._size(layer))
        return Way(layer, count, kind, boundary, bank, cost, seconds, memory, largest, result)

    def _are_atoms(self, boundary: int, met: tuple[int, int, int]) -> bool:
        """Tell whether the pixels of a picture over a boundary are the atoms of a bank below.

        Either atoms are the same wherever they are, or there is but one, which is all of a filter.
        """
        bank = self._bank_below(boundary)
        between = [self.net[n] for n in range(bank + 1, boundary + 1)]
        alone = met[1:] == (1, 1) and not any(isinstance(layer, Pool) for layer in between)
        return bank > 0 and (boundary < self.first_bordered or alone)

    def _bank_below(self, boundary: int) -> int:
        return max((n for n in self.net.decodable if n <= boundary), default=0)

    def _size(self, layer: int) -> Pair:
        return self.fields[layer].size

    def _down(self, layer: int, boundary: int) -> tuple[Cost, int]:
        """Count, for one filter, the way down to a boundary, and its largest picture's numbers."""
        shapes = self.shapes[layer][: layer - boundary]
        cost = Cost()
        for number, maps, below in zip(
            range(layer - 1, boundary, -1), shapes, shapes[1:], strict=False
        ):
            cost += self._one_layer_down(number, maps, below)
        return cost, max(map(prod, shapes))

    def _one_layer_down(
        self, number: int, maps: tuple[int, int, int], below: tuple[int, int, int]
    ) -> Cost:
        match self.net[number]:
            case Conv(filters=filters):
                taps = (filters.shape[2], filters.shape[3])
                return _substitution(maps, below[0], taps, self.net.groups(number))
            case Pool():
                return Cost(short=prod(below), calls=1)
            case _:
                return Cost()

    def _every_pixel(self, boundary: int, size: Pair) -> tuple[Cost, int]:
        """Count what `every_pixel` does, and the numbers of its largest array beside the result."""
        channels, cost, peak = self.net.channels[boundary], Cost(), 0
        top, filters, paths = boundary, (1, 1), (1, 1)
        for number in range(boundary, -1, -1):
            layer = self.net[number] if number else None
            if isinstance(layer, Conv):
                grown = substituted_size(filters, layer.stride, layer.window)
                maps = (self.net.channels[number], *filters)
                below = (self.net.channels[number - 1], *grown)
                cost += self._one_layer_down(number, maps, below).times(self.net.channels[top])
                filters = grown
            elif isinstance(layer, Pool) or layer is None:
                maps = (self.net.channels[top], *paths)
                cost += _substitution(maps, self.net.channels[number], filters).times(channels)
                paths = (paths[0] * filters[0], paths[1] * filters[1])
                peak = max(peak, channels * self.net.channels[number] * prod(paths))
                top, filters = number - 1, (1, 1)
        pictures = channels * self.net.channels[0]
        field = self.fields[boundary]
        rows, columns = (
            n * ((n - 1) * jump + whole)
            for n, jump, whole in zip(size, field.stride, field.size, strict=True)
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

"""What each way to decoded filters takes, counted beforehand: multiply-adds, numbers moved, memory.

A filter is taken down from above to some map and meets there what the map's pixels amount to,
which was found from below. All the way down is the paper's order; not at all is composition. Ways
through a graph that run side by side are cut together: what is met lies on the maps up to a
boundary.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Literal

from fdref.engines import tiling

if TYPE_CHECKING:
    from fdref.geometry import Pair

Kind = Literal["from above", "atoms", "pixels"]

# Seconds, for the compiled engine in float32 with two threads, from benchmarks/fit_costs.py. What
# counts is which way is shorter: of 232 choices the worst took 1.21 times as long as the best.
MULTIPLY_ADD = 1.5e-11
"""in a product"""
LONG = 3.5e-10
"""to write a number of a product and add it where it belongs, in the long rows of atoms"""
SHORT = 4e-10
"""the same in the short rows on the way down; also to enlarge a picture by a pixel"""
TILED = 4.2e-10
"""to move a number of what minimal filtering transforms"""
CALL = 4.5e-5
"""for an operation, however small"""
ONCE = 3e-5
"""to set out at all"""


@dataclass(slots=True, unsafe_hash=True)  # frozen ones take three times as long to make
class Cost:
    """What a computation takes: how many multiply-adds, elements moved, and operations."""

    multiplied: float = 0
    """multiply-adds"""
    long: float = 0
    """elements moved in long rows"""
    short: float = 0
    """elements moved in short rows"""
    calls: float = 0
    """operations"""
    tiled: float = 0
    """elements moved in tiles"""

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.multiplied + other.multiplied,
            self.long + other.long,
            self.short + other.short,
            self.calls + other.calls,
            self.tiled + other.tiled,
        )

    def times(self, count: int) -> Cost:
        """Return the cost for `count` pictures, which go through the operations together."""
        return Cost(
            self.multiplied * count,
            self.long * count,
            self.short * count,
            self.calls,
            self.tiled * count,
        )

    def seconds(self, itemsize: int) -> float:
        """Estimate the time; elements of double the size take double the time, calls do not."""
        single = self.multiplied * MULTIPLY_ADD + self.long * LONG + self.short * SHORT
        single += self.tiled * TILED
        return single * itemsize / 4 + self.calls * CALL


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
    held: int
    """bytes of what is known from below"""
    each: int
    """bytes of a filter's largest pictures on its way down"""
    scratch: tuple[int, int]
    """bytes that threads keep for themselves, for one filter and for all of them together"""
    largest: int
    """numbers of a filter's pictures on its way down, where they are most"""
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

    def at_once(self, memory: int, kept: int) -> int:
        """Return how many filters may go down together, at least one.

        Parameters
        ----------
        memory : int
            Bytes beside the result.
        kept : int
            Bytes of them that threads may go on keeping for themselves.
        """
        most = self.filters
        if self.taken(most) > memory:
            one, free = self.each + self.result * self.itemsize, memory - self.held
            # Scratch memory grows with the filters until it is all; either bound may be looser.
            most = max(free // (one + self.scratch[0]), (free - self.scratch[1]) // one)
        if self.kept_by_threads(most) > kept:
            most = min(most, kept // max(1, self.scratch[0]))
        return max(1, most)


def substitution(maps: tuple[int, int, int], channels: int, taps: Pair, groups: int = 1) -> Cost:
    """Count the substitution of filters for the pixels of one picture (K, h, w)."""
    added = maps[1] * maps[2] * channels * prod(taps)  # elements of the col2im matrix
    multiplied = added * maps[0] // groups
    # The compiled engine's innermost loop runs along the filters, if these are wider than the maps.
    if taps[1] > maps[2]:
        return Cost(multiplied, long=added, calls=1)
    return Cost(multiplied, short=added, calls=1)


def composition(count: int, size: Pair, atoms: tuple[int, int, int, int], jump: Pair) -> Cost:
    """Count how pictures of a size, of so many filters, are expressed by atoms (K, C, H, W)."""
    maps = (atoms[0], *size)
    if tiling.pays((count, *maps), atoms, jump):
        multiplied, moved = tiling.work(count, atoms, jump)
        return Cost(multiplied, tiled=moved, calls=1)
    return substitution(maps, atoms[1], atoms[2:]).times(count)

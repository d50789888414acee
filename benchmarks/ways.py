"""How long each way to decoded filters takes, gone by itself on a bank that is there already."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import partial
from statistics import median
from time import perf_counter
from typing import TYPE_CHECKING, TypeVar

import numpy as np

import fdref
from fdref.decoding.blocks import Plan
from fdref.decoding.ways import Ways

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from fdref import Network
    from fdref.arrays import Array
    from fdref.decoding.blocks import Block, Found, Wanted
    from fdref.decoding.costs import Way
    from fdref.engines.resize import Method

Key = TypeVar("Key")

MEMORY = 2**29
"""Bytes beside the result, for the planner and for the ways measured."""
EQUAL = 1e-4
"""What is timed leads to the same filters: in float32, relative to the largest pixel."""


@dataclass(frozen=True)
class Pace:
    """How often and how long something is measured."""

    rounds: int = 9
    least: int = 2
    """rounds after the first, even of what takes longer than the budget"""
    budget: float = 0.7
    """seconds for all rounds of all ways to the same filters"""
    patience: float = 2.0
    """seconds after which a run is given up; the rest is taken to go on as it went"""
    hopeless: float = 4.0
    """times as long as the fastest: not measured again, unless it takes no time at all"""

    def all_alike(self) -> Pace:
        """Measure the slower as often as the fastest."""
        return replace(self, hopeless=np.inf)


@dataclass(frozen=True)
class Timed:
    """A way, and the median time of going it."""

    way: Way
    seconds: float


@dataclass
class Stopwatch:
    """Times ways through one network."""

    net: Network
    unpool: Method
    pace: Pace = Pace()
    banks: dict[int, Array] = field(default_factory=dict)
    """What ways stand on."""
    checked: set[tuple[int, str, int]] = field(default_factory=set)
    """Layer, kind and boundary of the ways that were seen to lead to the right filter."""

    def time(self, ways: Sequence[Way]) -> list[Timed]:
        """Time ways to the same filters, one after the other in every round."""
        for way in ways:
            if (way.layer, way.kind, way.boundary) not in self.checked:
                self._check(way)
        runs = {way: partial(self._seconds, way) for way in ways}
        return [Timed(way, taken) for way, taken in in_turn(runs, self.pace).items()]

    def _check(self, way: Way) -> None:
        """Decode one filter, which also compiles and warms what is to be timed."""
        expected = fdref.decode(self.net, way.layer, [0], self.unpool)
        found = next(self._decoder(way, range(1))).pictures
        assert abs(found - expected).max() <= EQUAL * abs(expected).max(), way
        self.checked.add((way.layer, way.kind, way.boundary))

    def _seconds(self, way: Way) -> float:
        return seconds(self._decoder(way, range(way.filters)), way.filters, self.pace.patience)

    def _decoder(self, way: Way, filters: range) -> Iterator[Block]:
        counts = {bank: self.net.channels[bank] for bank in sorted(way.banks)}
        for bank in counts.keys() - self.banks.keys():
            self.banks[bank] = fdref.decode(self.net, bank, unpool=self.unpool)
        ways = Ways(self.net, self.unpool, self.net.dtype.itemsize)
        below = [ways.from_above(bank, count) for bank, count in counts.items()]
        wanted = {bank: range(count) for bank, count in counts.items()} | {way.layer: filters}
        found = {
            bank: (count, partial(np.copyto, src=self.banks[bank]))
            for bank, count in counts.items()
        }
        return decoder(self.net, wanted, (*below, way), self.unpool, found)


def decoder(
    net: Network, wanted: Wanted, ways: Iterable[Way], unpool: Method, found: Found | None = None
) -> Iterator[Block]:
    """Return what goes these ways and no others."""
    by_boundary = tuple(sorted(ways, key=lambda way: (way.boundary, way.layer)))
    plan = Plan(net, wanted, unpool, "compiled", MEMORY, ways=by_boundary)
    return plan.blocks(found=found)


def seconds(blocks: Iterator[Block], count: int, patience: float = np.inf) -> float:
    """Run, or give up after a while and extrapolate from the filters decoded until then."""
    done, first, started = 0, (0, 0.0), perf_counter()
    for block in blocks:
        done += len(block.pictures)
        taken = perf_counter() - started
        first = first if first[0] else (done, taken)
        if taken > patience and done < count:
            per_filter = (taken - first[1]) / (done - first[0]) if done > first[0] else taken / done
            return taken + per_filter * (count - done)
    return perf_counter() - started


def in_turn(runs: dict[Key, Callable[[], float]], pace: Pace) -> dict[Key, float]:
    """Take the median of several rounds, in each of which every run has its turn."""
    times = {key: [run()] for key, run in runs.items()}
    fastest = min(found[0] for found in times.values())
    started = perf_counter()
    for number in range(pace.rounds - 1):
        if number >= pace.least and perf_counter() > started + pace.budget:
            break
        for key, run in runs.items():
            if times[key][0] < max(pace.hopeless * fastest, pace.budget / 100):
                times[key].append(run())
    return {key: median(found) for key, found in times.items()}

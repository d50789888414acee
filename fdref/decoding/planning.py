"""Which ways to decoded filters are the shortest, within the memory that may be taken."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate
from math import inf
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from fdref.decoding.ways import Ways
from fdref.engines.blas import threads
from fdref.errors import ArgumentError
from fdref.imports import imported
from fdref.network.fields import check_has_filters, jumps
from fdref.network.units import FIRST, Unit

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fdref.decoding.costs import Way
    from fdref.engines.resize import Method
    from fdref.network.graph import Network

LARGEST = 2**31
"""Elements that one filter's picture may hold: 8 GB in float32."""

# 256 MB, which any machine that computes has; asking takes importing psutil first.
UNASKED = 2**28
"""Bytes that are taken without looking how many are free, where all filters go down together."""

REMEMBERED_WAYS, REMEMBERED_PLANS = 2**8, 2**4
"""How many ways a choice may have to be kept, and how many choices are kept of a network: 2 MB."""

_PLANS: WeakKeyDictionary[Network, dict[object, Choice]] = WeakKeyDictionary()
"""Plans made before; making one takes longer than decoding a filter of a small network."""


@dataclass(frozen=True)
class Choice:
    """Ways to all filters asked for."""

    ways: tuple[Way, ...]
    """those to be gone, by boundary: what is met rises with them"""
    memory: int
    """bytes that may be taken beside the result"""

    @property
    def kept(self) -> frozenset[int]:
        """Layers whose whole bank is kept for the layers above."""
        return frozenset().union(*(way.banks for way in self.ways))

    @property
    def seconds(self) -> float:
        """The estimated time."""
        return sum(way.seconds for way in self.ways)

    def spare(self, way: Way) -> int:
        """Return the bytes left for a way while banks wait to be met by later ways."""
        return self._shares[self.ways.index(way)][0]

    def at_once(self, way: Way) -> int:
        """Return how many filters of a way may go down together."""
        return self._shares[self.ways.index(way)][1]

    @cached_property
    def _shares(self) -> list[tuple[int, int]]:
        """For each way, the bytes left for it, and how many filters go down together.

        What threads have kept for themselves for one way, they still have in the next: no more than
        leaves each of the later ones room for one filter.
        """
        free = [self.memory - self._waiting(place) for place in range(len(self.ways))]
        room = [
            left - way.memory + way.scratch[0] for left, way in zip(free, self.ways, strict=True)
        ]
        shares, kept = [], 0
        for place, way in enumerate(self.ways):
            spare = free[place] - max(0, kept - way.scratch[0])
            count = way.at_once(spare, min(room[place + 1 :], default=self.memory))
            shares.append((spare, count))
            kept = max(kept, way.kept_by_threads(count))
        return shares

    def _waiting(self, place: int) -> int:
        """Return the bytes of banks that are found, and needed, but not now."""
        found = {way.layer for way in self.ways[: place + 1]}
        needed = frozenset().union(*(way.banks for way in self.ways[place:]))
        banks = found & needed - self.ways[place].banks
        return sum(max(way.held for way in self.ways if bank in way.banks) for bank in banks)


def cheapest(
    net: Network,
    wanted: Mapping[int, int],
    unpool: Method,
    itemsize: int,
    max_memory: int | None = None,
    unit: Unit = FIRST,
) -> Choice:
    """Choose the shortest ways to so many filters of each layer.

    Parameters
    ----------
    net : Network
    wanted : mapping
        ``{layer: how many of its filters}``
    unpool : "bicubic", "nearest", "bilinear" or "window"
    itemsize : int
        Bytes of a number.
    max_memory : int, optional
        Bytes that may be taken beside the result; half of what is free by default.
    unit : Unit
        Which of each channel's units is decoded.

    Raises
    ------
    ArgumentError
        If no way is so narrow, or pictures would be larger than any memory.
    """
    if not wanted:
        return Choice((), UNASKED)
    plans = _PLANS.setdefault(net, {})
    key = tuple(sorted(wanted.items())), unpool, itemsize, max_memory, unit
    if key in plans:
        return plans[key]
    ways = Ways(net, unpool, itemsize, 1 if max_memory is None else threads(), unit)
    _check_single(net, wanted, unit)
    plan = _within(ways, wanted, max_memory)
    _check_sizes(net, plan.ways)
    if max_memory is None and any(plan.at_once(way) < way.filters for way in plan.ways):
        plan = replace(plan, memory=max(UNASKED, free_memory() // 2))
        return plan if _fits(plan) else _within(ways, wanted, plan.memory)
    if len(plan.ways) <= REMEMBERED_WAYS:
        while len(plans) >= REMEMBERED_PLANS:
            plans.pop(next(iter(plans)), None)
        plans[key] = plan
    return plan


def from_above(
    net: Network,
    wanted: Mapping[int, int],
    unpool: Method,
    itemsize: int,
    max_memory: int | None = None,
    unit: Unit = FIRST,
) -> Choice:
    """Choose the paper's way to all filters; parameters and errors are those of `cheapest`."""
    ways = Ways(net, unpool, itemsize, unit=unit)
    _check_single(net, wanted, unit)
    taken = tuple(ways.from_above(layer, count) for layer, count in sorted(wanted.items()))
    _check_sizes(net, taken)
    if max_memory is not None and any(way.memory > max_memory for way in taken):
        raise _too_little(max_memory, (way.memory for way in taken))
    return Choice(taken, UNASKED if max_memory is None else max_memory)


def free_memory() -> int:
    """Return how many bytes can be had without swapping."""
    psutil = imported("psutil", "how much memory is free is asked with psutil")
    return int(psutil.virtual_memory().available)


def _check_single(net: Network, wanted: Iterable[int], unit: Unit) -> None:
    """Refuse layers that have no filter, or none that all units of a channel share."""
    for number in wanted:
        if net.fields.get(number) is None:  # else it is known that neighbours see the same
            check_has_filters(net, number)
            if not unit.clip:
                jumps(net, number)


def _check_sizes(net: Network, ways: Iterable[Way]) -> None:
    """Refuse ways that fit into no memory."""
    for way in sorted(ways, key=lambda way: -way.layer):  # first what was asked for
        most = max(way.largest, way.result)
        if most > LARGEST:
            raise ArgumentError(
                f"{net.describe(way.layer)} cannot be decoded: on the way down the pictures of a "
                f"filter grow to {most:,} numbers; expected at most {LARGEST:,}"
            )


def _within(ways: Ways, wanted: Mapping[int, int], limit: int | None) -> Choice:
    """Take the shortest ways that there is memory for.

    Tried are: each bank that nobody asked for is paid for by the first who needs it; such banks
    cost nothing until all ways are chosen, since several may share one; no banks at all; and, if
    there is no memory for any of these, the ways that take the least.
    """
    whole = all(
        wanted.get(n) == ways.net.channels[n] for n in ways.net.decodable if n <= max(wanted)
    )
    several = (False,) if whole else (False, True)  # with all banks wanted, none is to be paid for
    tried = [
        _taken(ways, wanted, limit, shared=shared)
        for shared in (several if limit is None else (*several, None))
    ]
    memory = UNASKED if limit is None else limit
    choices = [
        _in_order(taken.values(), memory) for taken in tried if taken.keys() >= wanted.keys()
    ]
    for choice in sorted(choices, key=lambda choice: choice.seconds):
        # A plan that fits way by way may still not fit while banks wait: then the next in time.
        if limit is None or _fits(choice):
            return choice
    narrow = _in_order(
        (
            min(
                (way for way in ways.all_to(layer, count) if not way.banks),
                key=lambda way: way.memory,
            )
            for layer, count in wanted.items()
        ),
        memory,
    )
    if _fits(narrow):
        return narrow
    kept = [0, *accumulate((way.kept_by_threads(1) for way in narrow.ways), max)]
    raise _too_little(
        limit,
        (
            way.memory + max(0, before - way.scratch[0])
            for way, before in zip(narrow.ways, kept, strict=False)
        ),
    )


def _in_order(ways: Iterable[Way], memory: int) -> Choice:
    return Choice(tuple(sorted(ways, key=lambda way: (way.boundary, way.layer))), memory)


def _taken(
    ways: Ways, wanted: Mapping[int, int], limit: int | None, *, shared: bool | None
) -> dict[int, Way]:
    """Take the shortest way to each layer, and to the banks that it needs.

    Banks that are wanted anyway cost nothing more. Of the others, each is found by its own shortest
    way, from the lowest up; a way may stand on as many as pay. Layers that no way is left to are
    missing.
    """
    net = ways.net
    free = {layer for layer, count in wanted.items() if count == net.channels[layer]}
    banks: dict[int, tuple[Way, float]] = {}  # the shortest way to each whole bank, and its time

    def price(way: Way) -> float:
        """Return the seconds that a way takes with the banks that it needs."""
        fits = limit is None or way.memory <= limit
        known = all(bank in banks or bank in free for bank in way.banks)
        if not fits or not known or (way.banks and shared is None):
            return inf
        return way.seconds + sum(banks[bank][1] for bank in way.banks if bank not in free)

    below = [] if shared is None else _possible_banks(ways, max(wanted))
    for layer in (layer for layer in below if layer not in free):
        best = ways.shortest(layer, net.channels[layer], price)
        if best is not None:
            banks[layer] = best, 0.0 if shared else price(best)
    taken: dict[int, Way] = {}
    for layer, count in sorted(wanted.items()):
        best = ways.shortest(layer, count, price)
        waiting = [] if best is None else [best]
        for way in waiting:  # and what it stands on
            taken[way.layer] = way
            extra = sorted(way.banks - free)
            waiting += [banks[bank][0] for bank in extra]
            free.update(extra)
    return taken


def _possible_banks(ways: Ways, top: int) -> list[int]:
    """Return the layers below another whose pixels all have the same filters in the image.

    At the border of a map none have.
    """
    if ways.unit.clip:
        return []
    return [n for n in ways.net.decodable if n < top and ways.lattices.get(n) is not None]


def _fits(choice: Choice) -> bool:
    """Tell whether there is memory for every way while banks wait."""
    return all(way.memory <= choice.spare(way) for way in choice.ways)


def _too_little(limit: int | None, enough: Iterable[int]) -> ArgumentError:
    return ArgumentError(f"max_memory is {limit} bytes; expected at least {max(enough)}")

"""Which ways to decoded filters are the shortest, within the memory that may be taken."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from fdref.costs import Way, Ways
from fdref.errors import ArgumentError
from fdref.fields import check_has_filters, jumps

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fdref.network import Network
    from fdref.resize import Method

LARGEST = 2**31
"""Numbers that one filter's picture may hold: 8 GB in float32."""

UNASKED = 2**28
"""Bytes that are taken without looking how many are free."""

_PLANS: WeakKeyDictionary[Network, dict[object, Plan]] = WeakKeyDictionary()
"""Plans made before; making one takes longer than decoding a filter of a small network."""


@dataclass(frozen=True)
class Plan:
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


def cheapest(
    net: Network,
    wanted: Mapping[int, int],
    unpool: Method,
    itemsize: int,
    max_memory: int | None = None,
) -> Plan:
    """Plan the shortest ways to so many filters of each layer.

    Parameters
    ----------
    net : Network
    wanted : mapping
        ``{layer: how many of its filters}``
    unpool : "bicubic", "nearest" or "bilinear"
    itemsize : int
        Bytes of a number.
    max_memory : int, optional
        Bytes that may be taken beside the result; half of what is free by default.

    Raises
    ------
    ArgumentError
        If no way is so narrow, or pictures would be larger than any memory.
    """
    if not wanted:
        return Plan((), UNASKED)
    plans = _PLANS.setdefault(net, {})
    key = tuple(sorted(wanted.items())), unpool, itemsize, max_memory
    if key not in plans:
        ways = Ways(net, unpool, itemsize)
        _check(ways, wanted)
        plan = _within(ways, wanted, max_memory)
        if max_memory is None and any(way.memory > UNASKED for way in plan.ways):
            return _within(ways, wanted, max(UNASKED, free_memory() // 2))
        plans[key] = plan
    return plans[key]


def from_above(net: Network, wanted: Mapping[int, int], unpool: Method, itemsize: int) -> Plan:
    """Plan the paper's way to all filters."""
    ways = Ways(net, unpool, itemsize)
    _check(ways, wanted)
    taken = tuple(ways.from_above(layer, count) for layer, count in sorted(wanted.items()))
    return Plan(taken, UNASKED)


def _check(ways: Ways, wanted: Mapping[int, int]) -> None:
    """Refuse layers that have no single filter, or one that fits into no memory."""
    net = ways.net
    for number in wanted:
        check_has_filters(net, number)
        jumps(net, number)
        *_, last = ways.stages(number)
        if last.largest > LARGEST:
            raise ArgumentError(
                f"{net.describe(number)} cannot be decoded: on the way down the pictures of a "
                f"filter grow to {last.largest:,} numbers; expected at most {LARGEST:,}"
            )


def free_memory() -> int:
    """Return how many bytes can be had without swapping."""
    import psutil  # noqa: PLC0415 - seldom needed

    return int(psutil.virtual_memory().available)


def _within(ways: Ways, wanted: Mapping[int, int], limit: int | None) -> Plan:
    """Take the shortest way to each layer, the banks that it needs included.

    Banks that are wanted anyway cost nothing more. Of the others, each is found by its own shortest
    way, from the lowest up; a way may stand on as many as pay.
    """
    net = ways.net
    free = {layer for layer, count in wanted.items() if count == net.channels[layer]}
    banks: dict[int, tuple[Way, float]] = {}  # the shortest way to each whole bank, and its time

    def price(way: Way) -> float:
        """Return the seconds that a way takes with the banks that it needs."""
        fits = limit is None or way.memory <= limit
        if not fits or not all(bank in banks or bank in free for bank in way.banks):
            return inf
        return way.seconds + sum(banks[bank][1] for bank in way.banks if bank not in free)

    for layer in net.decodable:
        if layer < max(wanted) and layer not in free:
            best = ways.shortest(layer, net.channels[layer], price)
            if best is not None:
                banks[layer] = best, price(best)
    taken = {}
    for layer, count in sorted(wanted.items()):
        best = ways.shortest(layer, count, price)
        if best is None:
            least = min(way.memory for way in ways.all_to(layer, count))
            raise ArgumentError(f"max_memory is {limit} bytes; expected at least {least}")
        waiting = [best]
        for way in waiting:  # and what it stands on
            taken[way.layer] = way
            extra = sorted(way.banks - free)
            waiting += [banks[bank][0] for bank in extra]
            free.update(extra)
    return Plan(
        tuple(sorted(taken.values(), key=lambda way: (way.boundary, way.layer))),
        UNASKED if limit is None else limit,
    )

"""Which ways to decoded filters are the shortest, within the memory that may be taken."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from fdref.costs import Way, Ways
from fdref.errors import ArgumentError
from fdref.fields import check_has_filters, jumps

if TYPE_CHECKING:
    from collections.abc import Container, Mapping

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
    considered: tuple[Way, ...]
    """all that there are to the filters asked for, layer by layer"""
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
        return Plan((), (), UNASKED)
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
    return Plan(taken, taken, UNASKED)


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
    net, considered = ways.net, {}

    def open_ways(layer: int, count: int) -> list[Way]:
        if (layer, count) not in considered:
            considered[layer, count] = tuple(ways.all_to(layer, count))
        own = considered[layer, count]
        return [way for way in own if limit is None or way.memory <= limit]

    free = {layer for layer, count in wanted.items() if count == net.channels[layer]}
    banks: dict[int, tuple[Way, float]] = {}  # the shortest way to each whole bank, and its time

    def seconds(way: Way) -> float:
        missing = [banks[bank][1] for bank in way.banks if bank not in free]
        return way.seconds + sum(missing)

    highest = max(wanted)
    for layer in net.decodable:
        if layer < highest and layer not in free:
            found = [way for way in open_ways(layer, net.channels[layer]) if _known(way, banks, free)]
            if found:
                best = min(found, key=seconds)
                banks[layer] = best, seconds(best)
    taken = {}
    for layer, count in sorted(wanted.items()):
        found = [way for way in open_ways(layer, count) if _known(way, banks, free)]
        if not found:
            least = min(way.memory for way in considered[layer, count])
            raise ArgumentError(f"max_memory is {limit} bytes; expected at least {least}")
        waiting = [min(found, key=seconds)]
        for way in waiting:  # and what it stands on
            taken[way.layer] = way
            extra = sorted(way.banks - free)
            waiting += [banks[bank][0] for bank in extra]
            free.update(extra)
    return Plan(
        tuple(sorted(taken.values(), key=lambda way: (way.boundary, way.layer))),
        tuple(way for layer, count in sorted(wanted.items()) for way in considered[layer, count]),
        UNASKED if limit is None else limit,
    )


def _known(way: Way, banks: Container[int], free: Container[int]) -> bool:
    """Tell whether there is a way to each bank that a way needs."""
    return all(bank in banks or bank in free for bank in way.banks)

"""Which ways to decoded filters are the shortest, within the memory that may be taken."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from fdref.costs import Way, Ways
from fdref.errors import ArgumentError
from fdref.from_above import picture_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

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
        return frozenset(way.bank for way in self.ways if way.bank)

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
        _check_sizes(net, wanted)
        ways = Ways(net, unpool, itemsize)
        plan = _within(ways, wanted, max_memory)
        if max_memory is None and any(way.memory > UNASKED for way in plan.ways):
            return _within(ways, wanted, max(UNASKED, free_memory() // 2))
        plans[key] = plan
    return plans[key]


def from_above(net: Network, wanted: Mapping[int, int], unpool: Method, itemsize: int) -> Plan:
    """Plan the paper's way to all filters."""
    _check_sizes(net, wanted)
    ways = Ways(net, unpool, itemsize)
    taken = tuple(ways.from_above(layer, count) for layer, count in sorted(wanted.items()))
    return Plan(taken, taken, UNASKED)


def _check_sizes(net: Network, wanted: Mapping[int, int]) -> None:
    for number in wanted:
        shapes = picture_shapes(net, number)
        if max(map(prod, shapes)) > LARGEST:
            channels, height, width = max(shapes, key=prod)
            raise ArgumentError(
                f"{net.describe(number)} cannot be decoded: on the way down its filters grow to "
                f"{channels} x {height}x{width} pixels; expected at most {LARGEST}"
            )


def free_memory() -> int:
    """Return how many bytes can be had without swapping."""
    import psutil  # noqa: PLC0415 - seldom needed

    return int(psutil.virtual_memory().available)


def _within(ways: Ways, wanted: Mapping[int, int], limit: int | None) -> Plan:
    """Try which banks to find as a whole; given them, take each layer's cheapest way."""
    considered = {
        (layer, count): tuple(ways.all_to(layer, count))
        for layer in ways.net.decodable
        if layer <= max(wanted)
        for count in {wanted.get(layer, 0), ways.net.channels[layer]} - {0}
    }
    choices = [
        choice
        for choice in _choices(ways.net, wanted, _Shortest(considered, limit))
        if choice.keys() >= wanted.keys()
    ]
    if not choices:
        least = min(way.memory for way in considered[max(considered)])
        raise ArgumentError(f"max_memory is {limit} bytes; expected at least {least}")
    best = min(choices, key=lambda taken: sum(taken[layer].seconds for layer in sorted(taken)))
    return Plan(
        tuple(sorted(best.values(), key=lambda way: (way.boundary, way.layer))),
        tuple(way for layer, count in sorted(wanted.items()) for way in considered[layer, count]),
        UNASKED if limit is None else limit,
    )


class _Shortest:
    """The shortest way to a layer on each bank, of those that are narrow enough."""

    def __init__(
        self, considered: Mapping[tuple[int, int], tuple[Way, ...]], limit: int | None
    ) -> None:
        self.on: dict[tuple[int, int], dict[int, Way]] = {}
        for task, ways in considered.items():
            found = self.on.setdefault(task, {})
            for way in ways:
                narrow = limit is None or way.memory <= limit
                if narrow and (way.bank not in found or way.seconds < found[way.bank].seconds):
                    found[way.bank] = way

    def given(self, layer: int, count: int, banks: Iterable[int]) -> list[Way]:
        """Return it for given banks, or nothing."""
        found = self.on[layer, count]
        open_ways = [found[bank] for bank in (0, *banks) if bank in found]
        return sorted(open_ways, key=lambda way: (way.seconds, way.boundary))[:1]


def _choices(
    net: Network, wanted: Mapping[int, int], shortest: _Shortest
) -> Iterator[dict[int, Way]]:
    """Propose which whole banks to find: those wanted, and others for them to stand on.

    One other bank, or all up to some layer; each is found in the way that the ones below it leave.
    Layers that no way is left to are missing.
    """
    whole = {layer for layer, count in wanted.items() if count == net.channels[layer]}
    first = {
        layer: way
        for layer, count in sorted(wanted.items())
        for way in shortest.given(layer, count, whole)
    }
    yield first
    banks, rising = set(whole), first
    for layer in net.decodable:
        if layer < max(wanted) and layer not in whole:
            yield _with_bank(net, layer, whole, first, wanted, shortest)
            rising = _with_bank(net, layer, banks, rising, wanted, shortest)
            banks = whole.union(rising)
            yield rising


def _with_bank(
    net: Network,
    bank: int,
    banks: set[int],
    taken: Mapping[int, Way],
    wanted: Mapping[int, int],
    shortest: _Shortest,
) -> dict[int, Way]:
    """Find a bank, too, and whatever is shorter by it; nothing new where no way is left to it."""
    changed = {bank: way for way in shortest.given(bank, net.channels[bank], banks)}
    if not changed:
        return dict(taken)
    for layer in {*wanted, *banks} - {bank}:
        count = net.channels[layer] if layer in banks else wanted[layer]
        on_bank = shortest.on[layer, count].get(bank)
        options = [way for way in (taken.get(layer), on_bank) if way is not None]
        if options:
            changed[layer] = min(options, key=lambda way: (way.seconds, way.boundary))
    return changed

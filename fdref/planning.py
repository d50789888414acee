"""Which ways to decoded filters are the shortest, within the memory that may be taken."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from fdref.blas import threads
from fdref.costs import Way, Ways
from fdref.errors import ArgumentError
from fdref.from_above import picture_shapes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from fdref.network import Network
    from fdref.resize import Method

    Considered = Mapping[tuple[int, int], Sequence[Way]]
    """{(layer, how many filters): every way to them}"""

LARGEST = 2**31
"""Numbers that one filter's picture may hold: 8 GB in float32."""

UNASKED = 2**28
"""Bytes that are taken without looking how many are free."""

REMEMBERED_WAYS, REMEMBERED_PLANS = 2**8, 2**4
"""How many ways a plan may have considered to be kept, and how many are kept of a network: 2 MB."""

_PLANS: WeakKeyDictionary[Network, dict[object, Choice]] = WeakKeyDictionary()
"""Plans made before; making one takes longer than decoding a filter of a small network."""


@dataclass(frozen=True)
class Choice:
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

    def spare(self, way: Way) -> int:
        """Return the bytes left for a way while banks wait to be met by later ways."""
        return self._spare[self.ways.index(way)]

    @cached_property
    def _spare(self) -> list[int]:
        """What threads have kept for themselves for one way, they still have in the next."""
        left, kept = [], 0
        for place, way in enumerate(self.ways):
            left.append(self.memory - self._waiting(place) - max(0, kept - way.scratch[0]))
            kept = max(kept, way.kept_by_threads(way.at_once(left[-1])))
        return left

    def _waiting(self, place: int) -> int:
        """Return the bytes of banks that are found, and needed, but not now."""
        found = {way.layer for way in self.ways[: place + 1]}
        needed = {way.bank for way in self.ways[place:]} - {self.ways[place].bank}
        banks = found & needed
        return sum(max(way.held for way in self.ways if way.bank == bank) for bank in banks)


def cheapest(
    net: Network,
    wanted: Mapping[int, int],
    unpool: Method,
    itemsize: int,
    max_memory: int | None = None,
) -> Choice:
    """Choice the shortest ways to so many filters of each layer.

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
        return Choice((), (), UNASKED)
    plans = _PLANS.setdefault(net, {})
    key = tuple(sorted(wanted.items())), unpool, itemsize, max_memory
    if key in plans:
        return plans[key]
    _check_sizes(net, wanted)
    ways = Ways(net, unpool, itemsize, 1 if max_memory is None else threads())
    plan = _within(ways, wanted, max_memory)
    if max_memory is None and any(way.memory > UNASKED for way in plan.ways):
        return _within(ways, wanted, max(UNASKED, free_memory() // 2))
    if len(plan.considered) <= REMEMBERED_WAYS:
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
) -> Choice:
    """Choice the paper's way to all filters; parameters and errors are those of `cheapest`."""
    _check_sizes(net, wanted)
    ways = Ways(net, unpool, itemsize)
    taken = tuple(ways.from_above(layer, count) for layer, count in sorted(wanted.items()))
    if max_memory is not None and any(way.memory > max_memory for way in taken):
        raise _too_little(max_memory, [[way] for way in taken])
    return Choice(taken, taken, UNASKED if max_memory is None else max_memory)


def free_memory() -> int:
    """Return how many bytes can be had without swapping."""
    import psutil  # noqa: PLC0415 - seldom needed

    return int(psutil.virtual_memory().available)


def _check_sizes(net: Network, wanted: Mapping[int, int]) -> None:
    for number in wanted:
        shapes = picture_shapes(net, number)
        if max(map(prod, shapes)) > LARGEST:
            channels, height, width = max(shapes, key=prod)
            raise ArgumentError(
                f"{net.describe(number)} cannot be decoded: on the way down its filters grow to "
                f"{channels} x {height}x{width} pixels; expected at most {LARGEST}"
            )


def _within(ways: Ways, wanted: Mapping[int, int], limit: int | None) -> Choice:
    """Try which banks to find as a whole; given them, take each layer's cheapest way."""
    considered = {
        (layer, count): tuple(ways.all_to(layer, count))
        for layer in ways.net.decodable
        if layer <= max(wanted)
        for count in {wanted.get(layer, 0), ways.net.channels[layer]} - {0}
    }
    asked = [considered[task] for task in sorted(wanted.items())]
    choices = [
        taken
        for taken in _choices(ways.net, wanted, _Shortest(considered, limit))
        if taken.keys() >= wanted.keys()
    ]
    choices.sort(key=lambda taken: sum(taken[layer].seconds for layer in sorted(taken)))
    for taken in choices:
        plan = Choice(
            tuple(sorted(taken.values(), key=lambda way: (way.boundary, way.layer))),
            tuple(way for open_ways in asked for way in open_ways),
            UNASKED if limit is None else limit,
        )
        if limit is None or all(way.memory <= plan.spare(way) for way in plan.ways):
            return plan
    raise _too_little(limit, asked)


def _too_little(limit: int | None, asked: Iterable[Sequence[Way]]) -> ArgumentError:
    least = max(min(way.memory for way in ways if not way.bank) for ways in asked)
    return ArgumentError(f"max_memory is {limit} bytes; expected at least {least}")


class _Shortest:
    """The shortest way to filters on each bank, of those that are narrow enough."""

    def __init__(self, considered: Considered, limit: int | None) -> None:
        self.on: dict[tuple[int, int], dict[int, Way]] = {}
        for task, ways in considered.items():
            found = self.on.setdefault(task, {})
            for way in ways:
                narrow = limit is None or way.memory <= limit
                if narrow and (way.bank not in found or way.seconds < found[way.bank].seconds):
                    found[way.bank] = way

    def given(self, layer: int, count: int, banks: Iterable[int]) -> Way | None:
        """Return it for given banks, if there is one."""
        found = self.on[layer, count]
        return _shorter(*(found.get(bank) for bank in (0, *banks)))


def _shorter(*ways: Way | None) -> Way | None:
    open_ways = (way for way in ways if way is not None)
    return min(open_ways, key=lambda way: (way.seconds, way.boundary), default=None)


def _choices(
    net: Network, wanted: Mapping[int, int], shortest: _Shortest
) -> Iterator[dict[int, Way]]:
    """Propose which whole banks to find: those wanted, and others for them to stand on.

    One other bank, or all up to some layer; each is found in the way that the ones below it leave.
    In the end none, which leaves the most memory. Layers that no way is left to are missing.
    """
    whole = {layer for layer, count in wanted.items() if count == net.channels[layer]}

    def standing_on(banks: Iterable[int]) -> dict[int, Way]:
        ways = {n: shortest.given(n, count, banks) for n, count in sorted(wanted.items())}
        return {n: way for n, way in ways.items() if way is not None}

    first = standing_on(whole)
    yield first
    banks, rising = set(whole), first
    for layer in net.decodable:
        if layer >= max(wanted) or layer in whole:
            continue
        alone = shortest.given(layer, net.channels[layer], whole)
        if alone is not None:
            yield _with_bank(net, alone, whole, first, wanted, shortest)
        next_one = shortest.given(layer, net.channels[layer], banks)
        if next_one is not None:
            rising = _with_bank(net, next_one, banks, rising, wanted, shortest)
            banks.add(layer)
            yield rising
    yield standing_on(())


def _with_bank(
    net: Network,
    added: Way,
    banks: set[int],
    taken: Mapping[int, Way],
    wanted: Mapping[int, int],
    shortest: _Shortest,
) -> dict[int, Way]:
    """Find a bank, too, and change to whatever is shorter by it."""
    changed = {added.layer: added}
    for layer in {*wanted, *banks} - {added.layer}:
        count = net.channels[layer] if layer in banks else wanted[layer]
        way = _shorter(taken.get(layer), shortest.on[layer, count].get(added.layer))
        if way is not None:
            changed[layer] = way
    return changed

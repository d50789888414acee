"""Which units are projected together: those that see parts of maps of the same form.

Units at one position see the same part of every map. Where no border cuts what they see, units at
others do, too, but moved: by as many pixels of each map as neighbouring units lie apart there. One
walk takes them all, each over its own part.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.network.fields import Box, around, descend, seen
from fdref.walk.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.network.fields import Jump
    from fdref.walk.kept import Kept

    Moves = NDArray[np.intp]

AT_ONCE = 2**25
"""Bytes that the maps of units that go down together take, at most, unless one takes more."""


class Block(NamedTuple):
    """Pictures that go down together."""

    numbers: NDArray[np.intp]
    """which of all pictures"""
    images: NDArray[np.intp]
    """the image of each"""
    start: Picture
    """the activations that are kept, over the layer's map"""
    moves: Mapping[int, Moves]
    """for each map: how many rows and columns each picture lies off where the `Picture` says"""

    def lay(self, onto: Array, number: int, picture: Picture) -> None:
        """Write pictures over a map to where they lie among all."""
        box = picture.box
        if number not in self.moves:
            onto[self.numbers, :, box.rows, box.columns] = picture.values
            return
        for n, values, move in zip(self.numbers, picture.values, self.moves[number], strict=True):
            own = box.moved(move)
            onto[n, :, own.rows, own.columns] = values


def blocks(units: Kept) -> Iterator[Block]:
    """Put together units whose parts of all maps have one form. Of a mask, whole maps go down."""
    top = units.maps[units.number]
    if units.kept.ndim == 4:
        whole = Box(0, 0, top.shape[2] - 1, top.shape[3] - 1)
        for numbers in _cut(units, np.arange(len(units.kept)), whole):
            kept = np.where(units.kept[numbers], top[numbers], top.dtype.type(0))
            yield Block(numbers, numbers, Picture(kept, whole.origin), {})
        return
    places = units.kept[:, 2:].astype(np.intp)
    steps = _steps(units)
    for own in _alike(units, places, steps):
        row, column = first = places[own[0]]
        for numbers in _cut(units, own, Box(row, column, row, column)):
            off = places[numbers] - first
            moves = {n: off * step for n, step in steps.items()} if off.any() else {}
            images, channels, rows, columns = units.kept[numbers].T
            kept = np.zeros((len(numbers), top.shape[1], 1, 1), top.dtype)
            kept[np.arange(len(numbers)), channels, 0, 0] = top[images, channels, rows, columns]
            yield Block(numbers, images, Picture(kept, (int(row), int(column))), moves)


def _alike(
    units: Kept, places: NDArray[np.intp], steps: Mapping[int, NDArray[np.intp]]
) -> list[NDArray[np.intp]]:
    """Group units: all that no border cuts, the others by position."""
    positions, group = np.unique(places, axis=0, return_inverse=True)
    group = group.ravel()
    by_position = [np.flatnonzero(group == number) for number in range(len(positions))]
    if len(positions) < 2 or not steps:
        return by_position
    inside = np.ones(len(positions), bool)
    row, column = positions[0].tolist()
    for number, box in _boxes(units, Box(row, column, row, column), clip=False).items():
        moves = (positions - positions[0]) * steps[number]
        size = np.array(units.maps[number].shape[2:])
        first, last = np.array(box.origin), np.array(box.origin) + box.size - 1
        inside &= ((first + moves >= 0) & (last + moves < size)).all(axis=1)
    within = [own for own, all_inside in zip(by_position, inside, strict=True) if all_inside]
    cut = [own for own, all_inside in zip(by_position, inside, strict=True) if not all_inside]
    return [np.concatenate(within), *cut] if within else cut


def _steps(units: Kept) -> dict[int, NDArray[np.intp]]:
    """Return how far units' parts of each map move from one unit to the next.

    Empty where that is no whole number of pixels, or differs from way to way.
    """
    even = True
    steps: dict[int, NDArray[np.intp]] = {}

    def unite(number: int, several: Sequence[Jump]) -> Jump:
        nonlocal even
        jump = several[0]
        even = even and all(other == jump for other in several)
        even = even and all(part.denominator == 1 for part in jump)
        steps[number] = np.array([int(part) for part in jump])
        return jump

    def step(number: int, jump: Jump) -> list[Jump]:
        own = units.net[number].jump
        return [(jump[0] * own[0], jump[1] * own[1])] * len(units.net.takes[number])

    one = Fraction(1)
    unite(units.number, [(one, one)])
    descend(units.net, {units.number: (one, one)}, unite, step)
    return steps if even else {}


def _boxes(units: Kept, box: Box, *, clip: bool) -> dict[int, Box]:
    """Return what units in a box see of each map, clipped to it or not."""
    found: dict[int, Box] = {}

    def unite(number: int, several: Sequence[Box]) -> Box:
        height, width = units.maps[number].shape[2:]
        whole = around(several)
        found[number] = whole.within((height, width)) if clip else whole
        return found[number]

    def step(number: int, whole: Box) -> list[Box]:
        return [seen(units.net[number], whole)] * len(units.net.takes[number])

    descend(units.net, {units.number: box}, unite, step)
    return found


def _cut(units: Kept, numbers: NDArray[np.intp], box: Box) -> Iterator[NDArray[np.intp]]:
    """Cut pictures that begin in a box into as many as may go down together."""
    maps = units.maps
    parts = _boxes(units, box, clip=True)
    largest = max(maps[n].shape[1] * own.size[0] * own.size[1] for n, own in parts.items())
    count = max(1, AT_ONCE // (largest * maps[0].dtype.itemsize))
    for first in range(0, len(numbers), count):
        yield numbers[first : first + count]

"""Which part of every map depends on a square of the image, and how copies are grouped by it.

Layers say what of their input some of their output *see*; here that is asked the other way round,
for many places of the square at once and along one axis at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.layers import Conv, ConvTranspose, Pool
from fdref.network.fields import ancestors

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.network.graph import Network

    Places = NDArray[np.intp]

MOVED = 8
"""Operations that moving a number costs: it is read and written, and is rarely in a cache."""

CALL = 2**23
"""Operations that beginning with a layer costs, of however few numbers: some 0.3 ms."""

ROOM = 2**22
"""Numbers of one map of all copies that are computed at a time: 16 MB in float32."""


@dataclass(frozen=True, eq=False)
class Spans:
    """Rows or columns of a map that depend on the square, for each of its places.

    Where none do, `last` is less than `first`.
    """

    first: Places
    last: Places

    @property
    def lengths(self) -> Places:
        """How many they are."""
        lengths: Places = np.maximum(self.last - self.first + 1, 0)
        return lengths

    def united(self, other: Spans) -> Spans:
        """Return what holds both."""
        mine, its = self.lengths > 0, other.lengths > 0
        first = np.where(mine & its, np.minimum(self.first, other.first), 0)
        last = np.where(mine & its, np.maximum(self.last, other.last), -1)
        for one, only in ((self, mine & ~its), (other, its & ~mine)):
            first, last = np.where(only, one.first, first), np.where(only, one.last, last)
        return Spans(first, last)


@lru_cache(maxsize=4096)
def sights(layer: Layer, length: int, axis: int) -> Spans:
    """Return what each row or column of a layer's output sees."""
    seen = [layer.sees((n, n), axis) for n in range(length)]
    return Spans(*np.array(seen, np.intp).reshape(-1, 2).T)


def above(layer: Layer, below: Spans, length: int, axis: int) -> Spans:
    """Return which of a layer's output see some of its input. What is seen moves on with them."""
    seen = sights(layer, length, axis)
    first = np.searchsorted(seen.last, below.first, side="left")
    last = np.searchsorted(seen.first, below.last, side="right") - 1
    none = (below.lengths == 0) | (last < first)
    return Spans(np.where(none, 0, first), np.where(none, -1, last))


def reached(net: Network, sizes: Mapping[int, Pair], start: Spans, axis: int) -> dict[int, Spans]:
    """Return what of every map along an axis depends on some rows or columns of the image."""
    spans = {0: start}
    for number, layer in enumerate(net, 1):
        if number in sizes:
            length = sizes[number][axis]
            for n in net.takes[number]:
                if n in spans:
                    own = above(layer, spans[n], length, axis)
                    spans[number] = spans[number].united(own) if number in spans else own
    return {n: own for n, own in spans.items() if own.lengths.any()}


class Copies(NamedTuple):
    """Occluded copies of images: the number of each one's image, and of the square's place."""

    images: Places
    rows: Places
    columns: Places

    def __getitem__(self, some: slice) -> Copies:  # type: ignore[override]
        """Return some of them."""
        return Copies(self.images[some], self.rows[some], self.columns[some])


@dataclass(frozen=True, eq=False)
class Group:
    """Places of the square for which a box of one size on every map is computed.

    Attributes
    ----------
    rows, columns : arrays of int
        The numbers of the vertical places and of the horizontal ones; each row with each column.
    boxes : dict
        Height and width of the box on each map that changes.
    """

    rows: Places
    columns: Places
    boxes: Mapping[int, Pair]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)

    def batches(self, images: int, most: int) -> Iterator[Copies]:
        """Yield copies of so many images, each with the square at every place, some at a time."""
        shape = images, len(self.rows), len(self.columns)
        for first in range(0, prod(shape), most):
            numbers = np.arange(first, min(first + most, prod(shape)))
            image, row, column = np.unravel_index(numbers, shape)
            yield Copies(image, self.rows[row], self.columns[column])


class Reach:
    """What a square that moves over an image reaches on every map of a network.

    Parameters
    ----------
    net : Network
    sizes : mapping
        Height and width of every map that is needed.
    window : (height, width)
        Of the square.
    stride : (vertical, horizontal)
    wanted : collection of int
        Maps that are to be known of every occluded copy.
    images : int
        How many are occluded together.
    whole : bool
        Compute all maps whole, as for any images.
    """

    def __init__(
        self,
        net: Network,
        sizes: Mapping[int, Pair],
        window: Pair,
        stride: Pair,
        wanted: Collection[int],
        images: int = 1,
        *,
        whole: bool = False,
    ) -> None:
        self.net, self.window, self.images = net, window, images
        needed = set().union(*(ancestors(net, number) for number in wanted))
        self.sizes = {number: size for number, size in sizes.items() if number in needed}
        self.starts = tuple(
            np.arange(0, sizes[0][a] - window[a] + 1, stride[a], dtype=np.intp) for a in (0, 1)
        )
        by_axis = [
            reached(net, self.sizes, Spans(starts, starts + window[a] - 1), a)
            for a, starts in enumerate(self.starts)
        ]
        self.numbers = sorted(set(by_axis[0]) & set(by_axis[1]))
        self.spans = {n: (by_axis[0][n], by_axis[1][n]) for n in self.numbers}
        self.whole = whole

    @cached_property
    def groups(self) -> list[Group]:
        """All places, grouped such that the fewest operations are to be done."""
        if self.whole:
            boxes = {number: self.sizes[number] for number in self.numbers}
            rows, columns = (np.arange(len(starts)) for starts in self.starts)
            return [Group(rows, columns, boxes)]
        most = max(map(len, self.starts))
        widths = [2**n for n in range(most.bit_length() + 1)]
        return min(map(self._grouped, widths), key=lambda groups: sum(map(self.cost, groups)))

    def _grouped(self, width: int) -> list[Group]:
        """Group places of which so many, side by side, have boxes as large as the largest's."""
        axes = [self._alike(axis, width) for axis in (0, 1)]
        return [
            Group(rows, columns, self._boxes(zip(heights, widths, strict=True)))
            for heights, rows in axes[0].items()
            for widths, columns in axes[1].items()
        ]

    def _alike(self, axis: int, width: int) -> dict[tuple[int, ...], Places]:
        """Return places along an axis by the lengths of their boxes on all maps."""
        lengths = np.stack([self.spans[n][axis].lengths for n in self.numbers], axis=1)
        places: dict[tuple[int, ...], list[int]] = {}
        for first in range(0, len(lengths), width):
            some = range(first, min(first + width, len(lengths)))
            key = tuple(map(int, lengths[first : first + width].max(axis=0)))
            places.setdefault(key, []).extend(some)
        return {key: np.array(own, np.intp) for key, own in places.items()}

    def _boxes(self, lengths: Iterable[Pair]) -> dict[int, Pair]:
        """Return what is computed of each map: the box that changes, or the map if cheaper."""
        changed = dict(zip(self.numbers, lengths, strict=True))
        boxes = {0: changed[0]}
        for number in self.numbers[1:]:
            if 0 in changed[number]:  # nothing does
                continue
            options = [self.sizes[number], changed[number]]
            boxes[number] = min(options, key=lambda box: self._operations(number, box, boxes))
        return boxes

    def _operations(self, number: int, box: Pair, boxes: Mapping[int, Pair]) -> int:
        """Count what a box costs, with the bringing of what it sees from below."""
        layer, takes = self.net[number], self.net.takes[number]
        seen = [max(1, round(box[a] * layer.jump[a])) for a in (0, 1)]
        moved = 0
        for n in takes:
            there = boxes.get(n)
            straight = there == box and seen == list(box) and not isinstance(layer, Conv | Pool)
            if not straight and (there, box) != (self.sizes[n], self.sizes[number]):
                moved += self.net.channels_of(n) * prod(seen)
        return _computed(self.net, number, box, seen) + MOVED * moved

    def cost(self, group: Group) -> int:
        """Count the operations for all places of a group on all images."""
        own = sum(
            self._operations(number, box, group.boxes)
            for number, box in group.boxes.items()
            if number > 0
        )
        copies = self.images * len(group)
        return copies * own + -(-copies // self.at_once(group)) * CALL * len(group.boxes)

    def at_once(self, group: Group) -> int:
        """Return of how many copies a group's maps are computed at a time."""
        largest = max(self.net.channels_of(n) * prod(box) for n, box in group.boxes.items())
        return max(1, ROOM // largest)


def _computed(net: Network, number: int, box: Pair, seen: Sequence[int]) -> int:
    """Count the multiplications of a layer for some of its output, or what takes as long."""
    layer, area = net[number], prod(box)
    match layer:
        case Conv():
            return int(layer.filters.size) * area
        case ConvTranspose():
            return int(layer.filters.size) * prod(seen)
        case Pool():
            return net.channels[number] * area * sum(layer.window)
        case _:
            return net.channels[number] * area * len(net.takes[number])

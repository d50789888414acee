"""What units see: boxes on every map below a layer, jumps, receptive fields."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, TypeVar

from fdref.errors import ArgumentError
from fdref.geometry import ReceptiveField
from fdref.layers import OPAQUE, Unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.network.graph import Network

    Jump = tuple[Fraction, Fraction]

Handed = TypeVar("Handed")


@dataclass(frozen=True)
class Box:
    """Some rows and columns of a map, which may lie in its padding."""

    top: int
    left: int
    bottom: int
    """the last row"""
    right: int
    """the last column"""

    @property
    def origin(self) -> Pair:
        """The first row and column."""
        return self.top, self.left

    @property
    def size(self) -> Pair:
        """How many there are."""
        return self.bottom - self.top + 1, self.right - self.left + 1

    @property
    def rows(self) -> slice:
        """The rows, to index a map with."""
        return slice(self.top, self.bottom + 1)

    @property
    def columns(self) -> slice:
        """The columns, to index a map with."""
        return slice(self.left, self.right + 1)

    def moved(self, by: Sequence[int]) -> Box:
        """Return the box some rows and columns further."""
        down, across = by
        return Box(self.top + down, self.left + across, self.bottom + down, self.right + across)

    def within(self, size: Pair) -> Box:
        """Return the part that lies on a map; where none does, the pixel that is nearest."""
        top, left = min(max(self.top, 0), size[0] - 1), min(max(self.left, 0), size[1] - 1)
        bottom, right = min(self.bottom, size[0] - 1), min(self.right, size[1] - 1)
        return Box(top, left, max(top, bottom), max(left, right))


def seen(layer: Layer, box: Box) -> Box:
    """Return what some of a layer's output see of each map that it takes."""
    top, bottom = layer.sees((box.top, box.bottom), 0)
    left, right = layer.sees((box.left, box.right), 1)
    return Box(top, left, bottom, right)


def around(boxes: Iterable[Box]) -> Box:
    """Return the smallest box that holds all."""
    first, *others = boxes
    top, left, bottom, right = first.top, first.left, first.bottom, first.right
    for box in others:
        top, left = min(top, box.top), min(left, box.left)
        bottom, right = max(bottom, box.bottom), max(right, box.right)
    return Box(top, left, bottom, right) if others else first


def descend(
    net: Network,
    start: Mapping[int, Handed],
    unite: Callable[[int, Sequence[Handed]], Handed],
    step: Callable[[int, Handed], Sequence[Handed]],
    boundary: int = 0,
    ends: Collection[int] = (),
) -> dict[int, Handed]:
    """Walk down from some maps to those up to `boundary`: the order of every computation here.

    At each map, first what all its users handed down is united; then the layer that makes it takes
    one step, to each of the maps that it takes.

    Parameters
    ----------
    net : Network
    start : mapping
        What stands at some maps at the beginning.
    unite : callable
        From a map's number and what was handed down to it, in the order of the walk.
    step : callable
        From a layer's number and what stands at its map, to one value for each map that it takes.
    boundary : int
        Layers up to this one are not stepped through; 0: down to the inputs.
    ends : collection of int, optional
        Nor are these.

    Returns
    -------
    dict
        What stands at the maps reached that no step leads on from.
    """
    handed = {number: [value] for number, value in start.items()}
    for number in range(max(start), boundary, -1):
        if number in handed and number not in ends:
            values = step(number, unite(number, handed.pop(number)))
            for below, value in zip(net.takes[number], values, strict=True):
                handed.setdefault(below, []).append(value)
    return {number: unite(number, values) for number, values in handed.items()}


def ancestors(net: Network, number: int) -> list[int]:
    """Return the numbers of a layer and of all below it that lead to it, from the top."""
    found = {number}
    for above in range(number, 0, -1):
        if above in found:
            found.update(net.takes[above])
    return sorted(found, reverse=True)


def filters_in_the_image(net: Network) -> list[int]:
    """Return the layers that see the image, and all below which is linear or taken for linear."""
    reached, beyond = {0}, set[int]()
    for number, layer in enumerate(net, 1):
        taken = net.takes[number]
        if isinstance(layer, OPAQUE) or not beyond.isdisjoint(taken):
            beyond.add(number)
        elif not reached.isdisjoint(taken):
            reached.add(number)
    return sorted(reached - {0})


def check_has_filters(net: Network, number: int) -> None:
    """Raise ArgumentError where a layer has no filter in the image."""
    below = ancestors(net, number)
    for n in below:
        if n > 0 and isinstance(net[n], OPAQUE):
            why = (
                "is of a type that fdref does not know"
                if isinstance(net[n], Unknown)
                else "is not linear in its maps, and no single picture stands for it"
            )
            raise ArgumentError(f"{net.describe(number)} has no filter: {net.describe(n)} {why}")
    if 0 not in below:
        raise ArgumentError(f"{net.describe(number)} does not see the image, only further inputs")


def jumps(net: Network, number: int) -> dict[int, Jump]:
    """Return, for each map below a layer, by how much it moves when the layer's unit moves by one.

    Raises
    ------
    ArgumentError
        Where two ways down move a map differently: then the layer has no single filter.
    """
    found: dict[int, Jump] = {number: (Fraction(1), Fraction(1))}
    user = {number: number}
    known = None if net.input_size is None else net.sizes[number]
    for above in ancestors(net, number):
        if above < 1:
            continue
        own = net.decoded_as[above].jump
        moved = (found[above][0] * own[0], found[above][1] * own[1])
        for below in net.takes[above]:
            before = found.setdefault(below, moved)
            user.setdefault(below, above)
            differs = [a for a in (0, 1) if before[a] != moved[a]]
            if any(known is None or known[a] > 1 for a in differs):
                raise ArgumentError(
                    f"{net.describe(number)} has no single filter: its unit's neighbour sees "
                    f"{_map(net, below)} moved by {_by(before)} through "
                    f"{net.describe(user[below])} and by {_by(moved)} through "
                    f"{net.describe(above)}; decode one unit with position="
                )
    return found


def periods(net: Network, number: int) -> Pair:
    """Return after how many pixels a layer's decoded filters repeat: 1 unless maps are enlarged."""
    found = jumps(net, number).values()
    return lcm(*(jump[0].denominator for jump in found)), lcm(
        *(jump[1].denominator for jump in found)
    )


def fields_from_below(net: Network) -> dict[int, ReceptiveField | None]:
    """Return what every map's pixels see, from the input up, as far as neighbours see the same.

    That ends above layers that enlarge maps or have no filter, and where ways of different jumps
    join. None where no way leads down to the image.
    """
    found: dict[int, ReceptiveField | None] = dict.fromkeys(range(0, -net.inputs, -1))
    found[0] = ReceptiveField((1, 1), (1, 1), (0, 0))
    for number, layer in net.decoded_as.items():
        linear = not isinstance(layer, OPAQUE)
        if linear and all(below in found for below in net.takes[number]):
            known = [field for field in map(found.get, net.takes[number]) if field is not None]
            if not known:
                found[number] = None
            elif len({field.stride for field in known}) == 1 and all(
                jump.denominator == 1 for jump in layer.jump
            ):
                found[number] = _field_above(layer, known)
    return found


def enlarges(layer: Layer) -> bool:
    """Tell whether neighbours of a layer's output see less than a pixel apart."""
    return any(jump.denominator > 1 for jump in layer.jump)


def _field_above(layer: Layer, below: Sequence[ReceptiveField]) -> ReceptiveField | None:
    size, stride, offset = [], [], []
    for axis, jump in enumerate(layer.jump):
        moved = below[0].stride[axis]
        first, last = layer.sees((0, 0), axis)
        starts = [field.offset[axis] for field in below]
        ends = [field.offset[axis] + field.size[axis] for field in below]
        offset.append(min(starts) + first * moved)
        size.append(max(ends) + last * moved - offset[axis])
        stride.append(moved * int(jump))
    return ReceptiveField((size[0], size[1]), (stride[0], stride[1]), (offset[0], offset[1]))


def _map(net: Network, number: int) -> str:
    return f"the map of {net.describe(number)}" if number > 0 else f"input {number}"


def _by(jump: Jump) -> str:
    return f"{jump[0]}x{jump[1]}"

"""What units see: boxes on every map below a layer, jumps, receptive fields."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import TYPE_CHECKING, TypeVar

from fdref.errors import ArgumentError
from fdref.geometry import ReceptiveField, whole_numbers
from fdref.layers import Maximum, Product

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.network import Network

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

    Returns
    -------
    dict
        What stands at the maps reached that no step leads on from.
    """
    handed = {number: [value] for number, value in start.items()}
    for number in range(max(start), boundary, -1):
        if number in handed:
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


def check_has_filters(net: Network, number: int) -> None:
    """Raise ArgumentError where a layer has no filter in the image."""
    below = ancestors(net, number)
    for n in below:
        if n > 0 and isinstance(net[n], Product | Maximum):
            raise ArgumentError(
                f"{net.describe(number)} has no filter: {net.describe(n)} is not linear in its "
                "maps, and no single picture stands for it"
            )
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


@dataclass(frozen=True)
class Unit:
    """Which of the units of a channel is decoded."""

    at: Pair
    """its row and column"""
    clip: bool = False
    """whether only what lies on the maps of a network of known input size is taken"""


FIRST = Unit((0, 0))


def unit_at(
    net: Network, number: int, phase: Sequence[int] | None, position: Sequence[int] | None
) -> Unit:
    """Return the unit that a phase or a position means; see `fdref.decode`.

    Raises
    ------
    ArgumentError
        For a phase beyond the layer's period, or a position that is not on its map.
    """
    if position is None:
        if net.fields.get(number) is not None and phase is None:
            return FIRST
        rows, columns = periods(net, number)
        row, column = whole_numbers(phase or (0, 0), "phase", (2,), least=0)
        if row >= rows or column >= columns:
            raise ArgumentError(
                f"phase is {(row, column)}; expected at most {(rows - 1, columns - 1)}: "
                f"{net.describe(number)} has {rows} x {columns} filters a channel"
            )
        return Unit((row, column))
    if phase is not None:
        raise ArgumentError("both phase and position are given; expected one of them")
    if net.input_size is None:
        raise ArgumentError("position needs the size of the images; give the network input_size")
    row, column = whole_numbers(position, "position", (2,), least=0)
    height, width = net.sizes[number]
    if row >= height or column >= width:
        raise ArgumentError(
            f"position is {(row, column)}; expected at most {(height - 1, width - 1)}: the map of "
            f"{net.describe(number)} is {height}x{width}"
        )
    return Unit((row, column), clip=True)


def boxes(net: Network, number: int, unit: Unit = FIRST) -> dict[int, Box]:
    """Return what a unit of a layer sees of each map below it."""
    found: dict[int, Box] = {}

    def unite(map_number: int, several: Sequence[Box]) -> Box:
        box = around(several)
        found[map_number] = box.within(net.sizes[map_number]) if unit.clip else box
        return found[map_number]

    def step(above: int, box: Box) -> list[Box]:
        return [seen(net.decoded_as[above], box)] * len(net.takes[above])

    descend(net, {number: Box(*unit.at, *unit.at)}, unite, step)
    return found


def field_of(
    net: Network, number: int, phase: Sequence[int] | None, position: Sequence[int] | None
) -> ReceptiveField:
    """Return what a layer's pixels see of the image: see `fdref.receptive_field`."""
    known = net.fields.get(number)
    if known is not None and phase is None and position is None:
        return known
    check_has_filters(net, number)
    unit = unit_at(net, number, phase, position)
    box = boxes(net, number, unit)[0]
    jump = (Fraction(1), Fraction(1)) if unit.clip else jumps(net, number)[0]
    return ReceptiveField(box.size, (_whole(jump[0]), _whole(jump[1])), box.origin)


def fields_from_below(net: Network) -> dict[int, ReceptiveField | None]:
    """Return what every map's pixels see, from the input up, as far as neighbours see the same.

    That ends above layers that enlarge maps or have no filter, and where ways of different jumps
    join. None where no way leads down to the image.
    """
    found: dict[int, ReceptiveField | None] = dict.fromkeys(range(0, -net.inputs, -1))
    found[0] = ReceptiveField((1, 1), (1, 1), (0, 0))
    for number, layer in net.decoded_as.items():
        linear = not isinstance(layer, Product | Maximum)
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


def _whole(number: Fraction) -> int:
    return number if number.denominator > 1 else int(number)  # type: ignore[return-value]


def _map(net: Network, number: int) -> str:
    return f"the map of {net.describe(number)}" if number > 0 else f"input {number}"


def _by(jump: Jump) -> str:
    return f"{jump[0]}x{jump[1]}"

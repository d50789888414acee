"""One unit of a layer: which one is decoded, and what it sees."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from fdref.arguments import instance
from fdref.errors import ArgumentError
from fdref.geometry import ReceptiveField, whole_numbers
from fdref.network.fields import Box, around, check_has_filters, descend, jumps, periods, seen
from fdref.network.graph import Network

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.geometry import Pair


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
        check_has_filters(net, number)
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
    check_has_filters(net, number)
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


def receptive_field(
    net: Network,
    layer: int | str,
    phase: Sequence[int] | None = None,
    position: Sequence[int] | None = None,
) -> ReceptiveField:
    """Return what a layer's pixels see of the image: size, stride (the jump) and offset.

    Parameters
    ----------
    net : Network
    layer : int or str
        Number from 1, or name.
    phase : (vertical, horizontal), optional
        Above layers that enlarge maps: which of the filters that repeat; `offset` is that of the
        pixel at this position.
    position : (vertical, horizontal), optional
        One unit of a network of known input size: what it sees of the image itself.

    Raises
    ------
    ArgumentError
        If there is no such layer, phase or position; if neighbours do not see the same, moved.

    Examples
    --------
    >>> import fdref
    >>> fdref.receptive_field(fdref.load(), layer=3)
    ReceptiveField(size=(14, 14), stride=(2, 2), offset=(0, 0))
    """
    number = instance(net, Network, "net").number(layer)
    known = net.fields.get(number)
    if known is not None and phase is None and position is None:
        return known
    check_has_filters(net, number)
    unit = unit_at(net, number, phase, position)
    box = boxes(net, number, unit)[0]
    jump = (Fraction(1), Fraction(1)) if unit.clip else jumps(net, number)[0]
    return ReceptiveField(box.size, (_whole(jump[0]), _whole(jump[1])), box.origin)


def _whole(number: Fraction) -> int:
    return number if number.denominator > 1 else int(number)  # type: ignore[return-value]

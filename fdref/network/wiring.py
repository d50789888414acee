"""Which maps each layer takes, read from what a user writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from fdref.arguments import elements, shown, whole
from fdref.errors import NetworkError, one_line

if TYPE_CHECKING:
    from fdref.layers import Layer

Source = int | str
"""a layer's number or name; 0 or "input": the input; -1, -2, ...: further inputs"""
Wiring = Mapping[Source, Source | Sequence[Source]]

MOST_INPUTS = 64


def connect(layers: Sequence[Layer], wiring: Wiring) -> list[tuple[int, ...]]:
    """Return the numbers of the maps that each layer takes, in the layers' order.

    Raises
    ------
    NetworkError
        For names that no layer or more than one has, maps that are not made yet, a number of maps
        that a layer does not take.
    """
    if not isinstance(wiring, Mapping):
        raise NetworkError(f"wiring is {shown(wiring)}; expected {{layer: what it takes}}")
    taken = {_number(layers, layer, "wiring of"): maps for layer, maps in wiring.items()}
    if min(taken, default=1) < 1:
        raise NetworkError("wiring of an input; expected a layer: inputs take nothing")
    return [
        _maps(layers, number, taken.get(number, number - 1)) for number in range(1, len(layers) + 1)
    ]


def _maps(layers: Sequence[Layer], number: int, maps: Source | Sequence[Source]) -> tuple[int, ...]:
    layer = layers[number - 1]
    label = f"layer {number} ({layer.kind}{f' {one_line(layer.name)!r}' if layer.name else ''})"
    several = elements(maps)
    sources = [maps] if several is None else several
    numbers = tuple(_number(layers, source, f"{label} takes") for source in sources)
    late = [n for n in numbers if n >= number]
    if late:
        raise NetworkError(
            f"{label} takes the map of layer {late[0]}, which comes no earlier; put it before"
        )
    least, most = layer.takes
    if not least <= len(numbers) <= most:
        expected = str(least) if least == most else f"at least {least}"
        raise NetworkError(f"{label} takes {len(numbers)} maps; expected {expected}")
    return numbers


def _number(layers: Sequence[Layer], source: object, role: str) -> int:
    """Return the number of a map."""
    if isinstance(source, str):
        found = [n for n, layer in enumerate(layers, 1) if layer.name == source != ""]
        if not found and source == "input":
            return 0
        if len(found) != 1:
            names = ", ".join(repr(one_line(one.name)) for one in layers if one.name) or "none"
            problem = f"layers {found} have" if found else "no layer has"
            raise NetworkError(f"{role} {source!r}: {problem} that name; the names are {names}")
        return found[0]
    number = whole(source)
    if number is None:
        raise NetworkError(f"{role} {shown(source)}; expected a layer's number or name")
    if not -MOST_INPUTS < number <= len(layers):
        raise NetworkError(f"{role} {shown(number)}; expected a number up to {len(layers)}")
    return number

"""A file's layers as they stand there: their order, and what whoever loads them says of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, TypeAlias

from fdref.arguments import elements, shown, whole
from fdref.errors import ArgumentError, NetworkError, one_line

if TYPE_CHECKING:
    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.weights.structs import Struct

Hook: TypeAlias = "Callable[[dict[str, Any]], Layer | Sequence[Layer]]"
"""from a layer's fields to one of ours, or several in a row"""
Drop: TypeAlias = "Sequence[int | str] | int | str"
"""one or several layers, by number or name"""


@dataclass(frozen=True, eq=False)
class Stored:
    """One of a file's layers, as it stands there."""

    kind: str
    """its type, as the file calls it"""
    name: str
    fields: Struct
    takes: tuple[str, ...]
    """names of the maps that it takes"""
    gives: str
    """and of its own"""
    shares: tuple[str, ...] = ()
    """names of weights that others may use, too"""


@dataclass(frozen=True)
class Given:
    """What whoever loads a file knows of its images."""

    size: Pair | None = None
    channels: int | None = None


@dataclass(frozen=True)
class Edit:
    """What whoever loads a file has to say of its layers.

    Parameters
    ----------
    hooks : mapping
        By a file's type of layer, functions that translate it.
    drop : sequence of int or str
        Layers to leave out, by number or name.
    """

    hooks: Mapping[str, Hook]
    drop: tuple[int | str, ...]

    @classmethod
    def of(cls, hooks: object, drop: object) -> Edit:
        """Read what `fdref.load` was given."""
        known = {} if hooks is None else hooks
        if not isinstance(known, Mapping) or not all(
            isinstance(kind, str) and callable(hook) for kind, hook in known.items()
        ):
            raise ArgumentError(f"layers is {shown(hooks)}; expected {{type: function}}")
        several = elements(drop)
        found: list[int | str] = []
        for one in [drop] if several is None else several:
            number = one if isinstance(one, str) else whole(one)
            if number is None:
                raise ArgumentError(f"drop is {shown(drop)}; expected numbers or names of layers")
            found.append(number)
        own = {kind.removeprefix("dagnn."): hook for kind, hook in known.items()}
        return cls(own, tuple(found))

    def dropped(self, layers: Sequence[Stored]) -> set[int]:
        """Return the numbers of the layers that are left out."""
        return {number_of(one, [layer.name for layer in layers], "drop") for one in self.drop}


def number_of(wanted: int | str, names: Sequence[str], what: str) -> int:
    """Find a layer by its number, from 1, or its name."""
    if isinstance(wanted, int):
        if not 1 <= wanted <= len(names):
            raise ArgumentError(
                f"{what}: there is no layer {wanted}; the layers are 1 to {len(names)}"
            )
        return wanted
    found = [number for number, name in enumerate(names, 1) if name == wanted]
    if len(found) != 1:
        known = ", ".join(repr(one_line(name)) for name in names if name) or "none"
        problem = f"layers {found} are" if found else "no layer is"
        raise ArgumentError(f"{what}: {problem} named {one_line(wanted)!r}; the names are {known}")
    return found[0]


def in_order(layers: Sequence[Stored], inputs: Sequence[str]) -> list[Stored]:
    """Put layers behind those whose maps they take, else as they stand.

    Raises
    ------
    NetworkError
        If a map is made twice or by nobody, or layers take each other's maps in a circle.
    """
    makers = dict.fromkeys(inputs, -1)
    for i, layer in enumerate(layers):
        if layer.gives in makers:
            raise NetworkError(f"two layers make the map {one_line(layer.gives)!r}; expected one")
        makers[layer.gives] = i
    users: dict[int, list[int]] = {}
    missing = [0] * len(layers)
    for i, layer in enumerate(layers):
        for name in layer.takes:
            if makers[name] >= 0:
                users.setdefault(makers[name], []).append(i)
                missing[i] += 1
    ready = [i for i, count in enumerate(missing) if not count]
    heapify(ready)
    found: list[Stored] = []
    while ready:
        i = heappop(ready)
        found.append(layers[i])
        for user in users.get(i, []):
            missing[user] -= 1
            if not missing[user]:
                heappush(ready, user)
    if len(found) < len(layers):
        stuck = next(layers[i] for i, count in enumerate(missing) if count)
        raise NetworkError(
            f"layer {one_line(stuck.name or stuck.gives)!r} stands on a map that stands on its "
            "own; expected no circle"
        )
    return found


def label_of(number: int, stored: Stored) -> str:
    """Return how messages call one of a file's layers, such as ``layer 3 (SubP 'up')``."""
    name = f" {one_line(stored.name)!r}" if stored.name else ""
    return f"layer {number} ({one_line(stored.kind)}{name})"

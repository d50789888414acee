"""How the layers of a Keras model say what they take, in the ways of Keras 1, 2 and 3."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from fdref.arguments import shown, whole
from fdref.errors import NetworkError, one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.weights.bounded import Budget
    from fdref.weights.keras.graph import Spec


class Ref(NamedTuple):
    """One of the tensors that a call makes."""

    layer: int
    """its position in the model"""
    call: int
    output: int


@dataclass(frozen=True)
class Call:
    """What a layer is called with: tensors, and numbers, of which some functions take some."""

    operands: tuple[Ref | float | list[Any], ...]
    trains: bool = False
    """whether it is called as in training, whatever the model does"""

    @property
    def refs(self) -> list[Ref]:
        """The tensors alone."""
        return [one for one in self.operands if isinstance(one, Ref)]


@dataclass(frozen=True)
class Wires:
    """Reads how layers are called: in lists by Keras 1 and 2, in objects by 3."""

    specs: list[Spec]
    positions: dict[str, int]
    counts: list[int]
    """how often each layer is called"""
    budget: Budget

    def call(self, node: object) -> Call:
        """Read one call."""
        if isinstance(node, dict):
            named = node.get("kwargs")
            named = named if isinstance(named, dict) else {}
            found = list(self.operands(node.get("args")))
            found += [one for one in self.operands(list(named.values())) if isinstance(one, Ref)]
            return Call(tuple(found), named.get("training") is True)
        if not isinstance(node, list):
            raise NetworkError(f"a call is {shown(node)}; expected a list or an object")
        operands: list[Ref | float | list[Any]] = []
        trains = False
        for one in [node] if _is_history(node) else node:  # a single one stands by itself
            operands.extend(self.operands(one))
            named = one[3] if isinstance(one, list) and len(one) > 3 else None
            if isinstance(named, dict):
                trains |= named.get("training") is True
                second = [named[key] for key in ("y", "x2") if named.get(key) is not None]
                operands.extend(self.operands(second))
        return Call(tuple(operands), trains)

    def operands(self, found: object) -> Iterator[Ref | float | list[Any]]:
        """Yield tensors and numbers, in lists of lists in their order."""
        left = [found]
        while left:
            one = left.pop()
            self.budget.take(("what a layer takes",), values=1)
            if isinstance(one, dict):
                inside = one.get("config")
                inside = inside if isinstance(inside, dict) else {}
                if one.get("class_name") == "__keras_tensor__":
                    yield self.ref(inside.get("keras_history"))
                elif isinstance(inside.get("value"), int | float | list):  # of NumPy's
                    yield inside["value"]
            elif _is_history(one):
                yield one[2] if one[0] == "_CONSTANT_VALUE" else self.ref(one)
            elif isinstance(one, list):
                left.extend(reversed(one))
            elif isinstance(one, int | float) and not isinstance(one, bool):
                yield one

    def history(self, found: object) -> list[Ref]:
        """Read which tensors a model takes, or gives: one, or some in lists or objects."""
        refs, left = [], [found]
        while left:
            one = left.pop()
            if _is_history(one):
                refs.append(self.ref(one))
            elif isinstance(one, list | dict):
                left.extend(reversed(list(one.values() if isinstance(one, dict) else one)))
            elif one is not None:
                raise NetworkError(f"a tensor is {shown(one)}; expected [layer, call, number]")
        return refs

    def ref(self, found: object) -> Ref:
        """Read [layer, call, number]."""
        name, *numbers = found if isinstance(found, list) and len(found) >= 3 else (None, 0, 0)
        position = self.positions.get(name) if isinstance(name, str) else None
        call, output = map(whole, numbers[:2])
        if position is None or call is None or output is None:
            raise NetworkError(
                f"a layer takes {shown(found)}; expected [layer, call, number] of one of its "
                f"{len(self.specs)} layers"
            )
        return Ref(position, call, output)

    def shifts(self, refs: list[Ref]) -> dict[int, int]:
        """Return from which number the calls of models are counted: from 1 in some versions.

        Every call is used by somebody, so the highest number tells.
        """
        highest: dict[int, int] = {}
        for ref in refs:
            if self.specs[ref.layer].model is not None:
                highest[ref.layer] = max(ref.call, highest.get(ref.layer, 0))
        return {layer: 1 if call == self.counts[layer] else 0 for layer, call in highest.items()}

    def moved(self, spec: Spec, call: Call, shifts: dict[int, int]) -> Call:
        """Return a call whose tensors' calls are counted from 0."""
        operands = [
            self.checked(one, shifts, spec.label) if isinstance(one, Ref) else one
            for one in call.operands
        ]
        return Call(tuple(operands), call.trains)

    def checked(self, ref: Ref, shifts: dict[int, int], label: str) -> Ref:
        """Return a tensor whose call is counted from 0, if there is such a call."""
        call = ref.call - shifts.get(ref.layer, 0)
        if not 0 <= call < self.counts[ref.layer] or ref.output < 0:
            raise NetworkError(
                f"{one_line(label)} takes call {shown(ref.call)} of {self.specs[ref.layer].label}; "
                f"expected one of {self.counts[ref.layer]}"
            )
        return Ref(ref.layer, call, ref.output)


def _is_history(found: object) -> TypeGuard[list[Any]]:
    """Tell [layer, call, number], with arguments after it or not, from a list of such."""
    return isinstance(found, list) and len(found) >= 3 and isinstance(found[0], str)

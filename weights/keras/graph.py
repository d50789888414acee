"""Keras's models as graphs: which layer is called with which tensors, in which order.

A model of layers in a row (Sequential) is a graph, too, and so is a model within a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeGuard

from fdref.arguments import shown, whole
from fdref.errors import NetworkError, one_line
from fdref.weights.keras.config import CLASSES, Fields, fields_of, input_shape

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.weights.bounded import Budget

OPERATIONS = ("keras.src.ops", "keras.ops")
"""Modules of what is no layer: it has no arrays, and none is counted for it."""


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


@dataclass(frozen=True, eq=False)
class Spec:
    """A layer as it stands in the file."""

    position: int
    kind: str
    """its class, under the name that it has in Keras 3"""
    written: str
    """its class as written, after which its arrays may be named"""
    name: str
    fields: Fields
    is_layer: bool
    model: Model | None = None
    calls: list[Call] = field(default_factory=list)

    @property
    def label(self) -> str:
        """How messages call it."""
        return f"Keras layer {self.position + 1} ({one_line(self.kind)} {one_line(self.name)!r})"


@dataclass(frozen=True, eq=False)
class Model:
    """Layers, and how they are wired."""

    name: str
    layers: list[Spec]
    inputs: list[Ref]
    outputs: list[Ref]
    order: list[tuple[int, int]] = field(default_factory=list)
    """layers and calls, each after those whose tensors it takes"""

    def leaves(self, within: tuple[Spec, ...] = ()) -> Iterator[tuple[Spec, ...]]:
        """Yield each layer that is no model, after the models that it is in."""
        for spec in self.layers:
            if spec.model is None:
                yield (*within, spec)
            else:
                yield from spec.model.leaves((*within, spec))


def model_of(config: object, budget: Budget) -> Model:
    """Read the model that a file's JSON describes.

    Parameters
    ----------
    config : object
        `{"class_name": ..., "config": ...}`, as `json` gives it.
    budget : Budget

    Raises
    ------
    NetworkError
        If it is none, or a layer takes what no layer makes, or what is made of its own output.
    FileError
        If there are more layers than may be looked at.
    """
    if not isinstance(config, dict) or not isinstance(config.get("class_name"), str):
        raise NetworkError(f"its graph is {shown(config)}; expected `class_name` and `config`")
    spec = _spec(0, config, budget)
    if spec.model is None:
        raise NetworkError(
            f"its graph is a {one_line(spec.kind)!r} without layers; expected a Sequential or "
            "Functional model: a model that is code of its own keeps no graph, export it to ONNX"
        )
    return spec.model


def _spec(position: int, found: object, budget: Budget) -> Spec:
    """Read one layer, or a model within a model."""
    budget.take(("a layer",), values=1)
    if not isinstance(found, dict) or not isinstance(found.get("class_name"), str):
        raise NetworkError(f"Keras layer {position + 1} is {shown(found)}; expected `class_name`")
    written: str = found["class_name"]
    config = found.get("config")
    names = [found.get("name"), config.get("name") if isinstance(config, dict) else None]
    name = next((one for one in names if isinstance(one, str)), "")
    module = found.get("module")
    is_layer = not (isinstance(module, str) and module.startswith(OPERATIONS))
    try:
        model = _nested(written, name, config, budget)
        # Keras 1 and 2.2 keep a list of layers; a Lambda's config may hold anything
        fields = Fields({}) if model and not isinstance(config, dict) else fields_of(config)
    except NetworkError as error:
        label = f"Keras layer {position + 1} ({one_line(written)} {one_line(name)!r})"
        raise NetworkError(f"{label}: {error}") from None
    return Spec(position, CLASSES.get(written, written), written, name, fields, is_layer, model)


def _nested(written: str, name: str, config: object, budget: Budget) -> Model | None:
    layers = config.get("layers") if isinstance(config, dict) else config
    if not isinstance(layers, list):
        return None
    if written == "Sequential":
        return _row(name, layers, config, budget)
    if isinstance(config, dict) and "output_layers" in config:
        return _functional(name, layers, config, budget)
    return None


def _row(name: str, layers: list[Any], config: object, budget: Budget) -> Model:
    """Read layers of which each takes what the one before makes."""
    first = layers[0].get("class_name") if layers and isinstance(layers[0], dict) else None
    start = 0 if first == "InputLayer" else 1
    specs = [_spec(position, found, budget) for position, found in enumerate(layers, start)]
    if start:  # older models tell the shape in the first layer, or in the model
        told = Fields(config if isinstance(config, dict) else {})
        if specs and input_shape(specs[0].fields) is not None:
            told = specs[0].fields
        specs.insert(0, Spec(0, "InputLayer", "InputLayer", f"{name}_input", told, is_layer=False))
    for spec in specs[1:]:
        spec.calls.append(Call((Ref(spec.position - 1, 0, 0),)))
    specs[0].calls.append(Call(()))
    order = [(spec.position, 0) for spec in specs]
    return Model(name, specs, [Ref(0, 0, 0)], [Ref(len(specs) - 1, 0, 0)], order)


def _functional(name: str, layers: list[Any], config: dict[str, Any], budget: Budget) -> Model:
    """Read layers that name what they take."""
    specs = [_spec(position, found, budget) for position, found in enumerate(layers)]
    positions = {spec.name: spec.position for spec in specs}
    if len(positions) < len(specs):
        twice = next(spec for spec in specs if positions[spec.name] != spec.position)
        raise NetworkError(f"{twice.label} has another one's name; expected names that tell apart")
    nodes = [_nodes(spec, found) for spec, found in zip(specs, layers, strict=True)]
    wires = _Wires(specs, positions, [max(1, len(found)) for found in nodes], budget)
    outputs = wires.history(config["output_layers"])
    takes = [[wires.call(node) for node in found] for found in nodes]
    listed = any(isinstance(node, list) for found in nodes for node in found)
    every = [ref for calls in takes for call in calls for ref in call.refs]
    told = wires.shifts(every + outputs if listed else every)
    for spec, calls in zip(specs, takes, strict=True):
        spec.calls.extend(wires.moved(spec, call, told) for call in calls or [Call(())])
    # Keras 3 counts a Functional model's own graph as its first call, but here only
    graphs = {i: int(s.model is not None and s.kind != "Sequential") for i, s in enumerate(specs)}
    model = Model(
        name,
        specs,
        [wires.checked(ref, {}, name) for ref in wires.history(config.get("input_layers"))],
        [wires.checked(ref, told if listed else graphs, name) for ref in outputs],
    )
    model.order.extend(_order(model))
    return model


def _nodes(spec: Spec, found: dict[str, Any]) -> list[Any]:
    nodes = found.get("inbound_nodes", [])
    if not isinstance(nodes, list):
        raise NetworkError(f"{spec.label} has `inbound_nodes` {shown(nodes)}; expected a list")
    return nodes


@dataclass(frozen=True)
class _Wires:
    """Reads how layers are called, in the ways of Keras 1 and 2 (lists) and 3 (objects)."""

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


def _order(model: Model) -> list[tuple[int, int]]:
    """Return what the outputs need, as it stands in the file as far as that is possible."""
    done: set[tuple[int, int]] = set()
    order: list[tuple[int, int]] = []
    needed = _ancestors(model)
    entering: set[tuple[int, int]] = set()
    for start in sorted(needed):
        stack = [start]
        while stack:
            at = stack[-1]
            if at in done:
                stack.pop()
                continue
            below = [
                (r.layer, r.call)
                for r in model.layers[at[0]].calls[at[1]].refs
                if (r.layer, r.call) not in done
            ]
            if not below:
                stack.pop()
                done.add(at)
                order.append(at)
            elif at in entering:
                raise NetworkError(
                    f"{model.layers[at[0]].label} takes what is made of its own output; expected "
                    "a graph without circles"
                )
            else:
                entering.add(at)
                stack.extend(reversed(below))
    return order


def _ancestors(model: Model) -> set[tuple[int, int]]:
    """Return the calls that the outputs are made of."""
    needed: set[tuple[int, int]] = set()
    left = [(ref.layer, ref.call) for ref in model.outputs]
    while left:
        at = left.pop()
        if at not in needed:
            needed.add(at)
            left.extend((r.layer, r.call) for r in model.layers[at[0]].calls[at[1]].refs)
    return needed

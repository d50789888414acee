"""Keras's models as graphs: which layer is called with which tensors, in which order.

A model of layers in a row (Sequential) is a graph, too, and so is a model within a model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fdref.arguments import shown
from fdref.errors import NetworkError, one_line
from fdref.weights.keras.config import CLASSES, Fields, fields_of, input_shape
from fdref.weights.keras.wires import Call, Ref, Wires

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.weights.bounded import Budget

OPERATIONS = ("keras.src.ops", "keras.ops")
"""Modules of what is no layer: it has no arrays, and none is counted for it."""


@dataclass(frozen=True, eq=False)
class Spec:
    """A layer as it stands in the file."""

    position: int
    """in the model"""
    number: int
    """in the file, from 1, for messages; 0 is the model itself"""
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
        return f"Keras layer {self.number} ({one_line(self.kind)} {one_line(self.name)!r})"


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
    spec = _spec(0, 0, config, budget)
    if spec.model is None:
        raise NetworkError(
            f"its graph is a {one_line(spec.kind)!r} without layers; expected a Sequential or "
            "Functional model: a model that is code of its own keeps no graph, export it to ONNX"
        )
    return spec.model


def _spec(position: int, number: int, found: object, budget: Budget) -> Spec:
    """Read one layer, or a model within a model."""
    budget.take(("a layer",), values=1)
    if not isinstance(found, dict) or not isinstance(found.get("class_name"), str):
        raise NetworkError(f"Keras layer {number} is {shown(found)}; expected `class_name`")
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
        if number == 0:  # the model itself
            raise
        label = f"Keras layer {number} ({one_line(written)} {one_line(name)!r})"
        raise NetworkError(f"{label}: {error}") from None
    return Spec(
        position, number, CLASSES.get(written, written), written, name, fields, is_layer, model
    )


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
    specs = [_spec(n + start, n + 1, found, budget) for n, found in enumerate(layers)]
    if start:  # older models tell the shape in the first layer, or in the model
        told = Fields(config if isinstance(config, dict) else {})
        if specs and input_shape(specs[0].fields) is not None:
            told = specs[0].fields
        kind = "InputLayer"
        specs.insert(0, Spec(0, 0, kind, kind, f"{name}_input", told, is_layer=False))
    for spec in specs[1:]:
        spec.calls.append(Call((Ref(spec.position - 1, 0, 0),)))
    specs[0].calls.append(Call(()))
    order = [(spec.position, 0) for spec in specs]
    return Model(name, specs, [Ref(0, 0, 0)], [Ref(len(specs) - 1, 0, 0)], order)


def _functional(name: str, layers: list[Any], config: dict[str, Any], budget: Budget) -> Model:
    """Read layers that name what they take."""
    specs = [_spec(n, n + 1, found, budget) for n, found in enumerate(layers)]
    positions = {spec.name: spec.position for spec in specs}
    if len(positions) < len(specs):
        twice = next(spec for spec in specs if positions[spec.name] != spec.position)
        raise NetworkError(f"{twice.label} has another one's name; expected names that tell apart")
    nodes = [_nodes(spec, found) for spec, found in zip(specs, layers, strict=True)]
    wires = Wires(specs, positions, [max(1, len(found)) for found in nodes], budget)
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

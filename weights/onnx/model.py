"""An ONNX file's graph as plain values, each of its claims checked.

Nothing here knows what operators compute, and no code of the `onnx` package but the parser runs:
its checker and its shape inference are not made for files of strangers.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fdref.errors import NetworkError, one_line
from fdref.imports import imported
from fdref.weights.files import refusal
from fdref.weights.onnx.tensors import Tensors, text_of
from fdref.weights.onnx.wire import count_messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from fdref.weights.bounded import Budget

Shape = tuple[int | None, ...]
"""Lengths; None where the file leaves them open."""
Attribute: TypeAlias = "int | float | str | tuple[int, ...] | tuple[float, ...] | tuple[str, ...] | NDArray[Any] | Nested"  # noqa: E501
STANDARD = ("", "ai.onnx")
"""Names of the domain of ONNX's own operators."""


@dataclass(frozen=True)
class Nested:
    """Stands for a graph, or for what else an attribute may be, so that it hurts who needs it."""

    kind: str
    takes: str = ""
    """of a graph: what it takes first"""


@dataclass(frozen=True)
class Node:
    """One operator, with its attributes."""

    number: int
    """from 1, in the file"""
    op: str
    domain: str
    name: str
    inputs: tuple[str, ...]
    """names of values; empty for those left out"""
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute]

    @property
    def label(self) -> str:
        """How messages call it: ``node 3 (Conv 'conv1')``."""
        name = self.name or next(filter(None, self.outputs), "")
        return f"node {self.number} ({one_line(self.op)}{f' {one_line(name)!r}' if name else ''})"

    def _attribute(self, name: str, kinds: type | tuple[type, ...], expected: str) -> Any:
        value = self.attributes.get(name)
        if value is not None and not isinstance(value, kinds):
            found = value.kind if isinstance(value, Nested) else one_line(repr(value))
            raise NetworkError(f"`{name}` is {found}; expected {expected}")
        return value

    def integer(self, name: str, default: int = 0) -> int:
        """Return an attribute that is a whole number."""
        value = self._attribute(name, int, "a whole number")
        return default if value is None else int(value)

    def number_of(self, name: str, default: float) -> float:
        """Return an attribute that is a number.

        The shortest that is the same in float32, as which files hold it: 0.1 for
        0.10000000149.
        """
        value = self._attribute(name, float, "a number")
        return default if value is None else shortest(value)

    def integers(self, name: str) -> list[int] | None:
        """Return an attribute that is a list of whole numbers, or None."""
        value = self._attribute(name, tuple, "whole numbers")
        if value is None:
            return None
        if not all(isinstance(n, int) for n in value):
            raise NetworkError(f"`{name}` is {one_line(repr(value))}; expected whole numbers")
        return list(value)

    def word(self, name: str, default: str) -> str:
        """Return an attribute that is a word."""
        value = self._attribute(name, str, "a word")
        return default if value is None else str(value)

    def whether(self, name: str) -> bool:
        """Return an attribute that is 1 or 0."""
        return self.integer(name) != 0


@dataclass(frozen=True)
class Model:
    """A graph: nodes in an order in which each comes after those that it needs."""

    nodes: Sequence[Node]
    arrays: Mapping[str, Any]
    """protocol buffers of what is stored, by name"""
    inputs: Mapping[str, Shape | None]
    outputs: Sequence[str]
    opset: int
    """version of the standard operators"""
    metadata: Mapping[str, str]
    tensors: Tensors


def shortest(value: float) -> float:
    """Return the shortest number that is the same in float32.

    >>> shortest(0.10000000149011612)
    0.1
    """
    return float(str(np.float32(value)))


def import_onnx() -> Any:
    """Import the `onnx` package.

    Raises
    ------
    DependencyError
        If it is not installed, or is broken.
    """
    return imported("onnx", "ONNX files are read and written with onnx", extra="onnx")


def read_model(data: bytes, name: str, folder: Path | None, budget: Budget) -> Model:
    """Read the graph in a model's bytes.

    Parameters
    ----------
    data : bytes
    name : str
        The file's, for messages.
    folder : Path, optional
        Where files beside it are, whose arrays it may name.
    budget : Budget

    Raises
    ------
    FileError
        If they are damaged, or too much.
    NetworkError
        If there is no graph in them, or names in it contradict each other.
    DependencyError
        If `onnx` is not installed.
    """
    onnx = import_onnx()
    damage = imported("google.protobuf.message", "ONNX files are read with protobuf").DecodeError
    budget.file(len(data))
    count_messages(data, name, budget)
    budget.take((name,), len(data))  # the parser's copy
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
        return _model(proto, Tensors(name, folder, budget))
    except UnicodeDecodeError as error:
        raise refusal(name, f"is damaged, fetch it again ({error.reason})") from None
    except damage as error:
        raise refusal(name, f"is damaged or cut off, fetch it again ({error})") from None


def _model(proto: Any, tensors: Tensors) -> Model:
    graph = proto.graph
    versions = [entry.version for entry in proto.opset_import if entry.domain in STANDARD]
    if len(versions) != 1 or versions[0] < 1:
        raise NetworkError(
            f"the versions of the standard operators are {versions[:8]}; expected one"
        )
    if graph.sparse_initializer:
        raise NetworkError("the graph has sparse arrays; expected plain ones")
    arrays = _by_name(((text_of(own.name), own) for own in graph.initializer), "two arrays")
    inputs = _by_name(
        ((text_of(own.name), _shape(own)) for own in graph.input if own.name not in arrays),
        "two inputs",
    )
    nodes = [_node(number, own, tensors) for number, own in enumerate(graph.node, 1)]
    outputs = [text_of(own.name) for own in graph.output]
    made = {*arrays, *inputs, *(name for node in nodes for name in node.outputs)} - {""}
    missing = next((name for name in outputs if name not in made), None)
    if missing is not None or not outputs:
        raise NetworkError(f"its output {one_line(missing or '')!r} is made by nothing")
    return Model(
        sort(nodes, {*arrays, *inputs}),
        arrays,
        inputs,
        outputs,
        versions[0],
        {text_of(entry.key): text_of(entry.value) for entry in proto.metadata_props},
        tensors,
    )


def _by_name(pairs: Iterable[tuple[str, Any]], what: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise NetworkError(f"{what} are named {one_line(name)!r}; expected different names")
        found[name] = value
    return found


def _shape(value: Any) -> Shape | None:
    """Return the lengths of an input, as far as they are told; None for no array at all."""
    kind = value.type
    if not kind.HasField("tensor_type"):
        what = f"input {one_line(value.name)!r} is no array of numbers"
        raise NetworkError(f"{what}; expected (N, C, H, W)")
    if not kind.tensor_type.HasField("shape"):
        return None
    return tuple(
        int(one.dim_value) if one.HasField("dim_value") and one.dim_value > 0 else None
        for one in kind.tensor_type.shape.dim
    )


def _node(number: int, proto: Any, tensors: Tensors) -> Node:
    attributes = {text_of(one.name): _attribute(one, tensors) for one in proto.attribute}
    return Node(
        number,
        text_of(proto.op_type),
        "" if proto.domain in STANDARD else text_of(proto.domain),
        text_of(proto.name),
        tuple(map(text_of, proto.input)),
        tuple(map(text_of, proto.output)),
        attributes,
    )


def _attribute(proto: Any, tensors: Tensors) -> Attribute:  # a row for each type
    match proto.type:
        case 1:
            return float(proto.f)
        case 2:
            return int(proto.i)
        case 3:
            return bytes(proto.s).decode("utf-8", "replace")
        case 4:
            return tensors.array(proto.t)
        case 6:
            return tuple(map(float, proto.floats))
        case 7:
            return tuple(map(int, proto.ints))
        case 8:
            return tuple(bytes(one).decode("utf-8", "replace") for one in proto.strings)
        case 5:
            names = (text_of(name) for node in proto.g.node for name in node.input if name)
            return Nested("a graph", next(names, ""))
        case kind:
            return Nested({10: "graphs", 11: "a sparse array"}.get(kind, f"of type {kind}"))


def _makers(nodes: Sequence[Node], given: set[str]) -> dict[str, Node]:
    """Return the node that makes each value."""
    maker: dict[str, Node] = {}
    for node in nodes:
        for output in filter(None, node.outputs):
            if output in maker or output in given:
                raise NetworkError(
                    f"{node.label} makes {one_line(output)!r}, which is made before; expected "
                    "different names"
                )
            maker[output] = node
    return maker


def sort(nodes: Sequence[Node], given: set[str]) -> list[Node]:
    """Return the nodes such that each comes after those whose outputs it takes.

    Raises
    ------
    NetworkError
        For two values of one name, values that nobody makes, and circles.
    """
    maker = _makers(nodes, given)
    needs: dict[int, set[int]] = {}
    users: dict[int, list[Node]] = {}
    for node in nodes:
        taken = [name for name in node.inputs if name and name not in given]
        unknown = next((name for name in taken if name not in maker), None)
        if unknown is not None:
            raise NetworkError(f"{node.label} takes {one_line(unknown)!r}, which nothing makes")
        needs[node.number] = {maker[name].number for name in taken}
        for below in needs[node.number]:
            users.setdefault(below, []).append(node)
    ready = [node.number for node in nodes if not needs[node.number]]
    heapify(ready)  # the file's order, where it is one
    ordered: list[Node] = []
    while ready:
        node = nodes[heappop(ready) - 1]
        ordered.append(node)
        for user in users.get(node.number, ()):
            needs[user.number].discard(node.number)
            if not needs[user.number]:
                heappush(ready, user.number)
    if len(ordered) < len(nodes):
        stuck = next(node for node in nodes if needs[node.number])
        raise NetworkError(f"{stuck.label} needs what comes after it: a circle")
    return ordered

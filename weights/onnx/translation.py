"""An ONNX graph, node by node, as layers of a network.

Every value of the graph is a constant, a view of a map (`fdref.weights.onnx.views`), or what could
not be translated: that hurts only who takes it, as patterns and nodes that nobody needs do not.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fdref.errors import ArgumentError, NetworkError, one_line
from fdref.network.graph import Network
from fdref.weights.onnx.calls import Call, shape_of
from fdref.weights.onnx.folding import fold, is_foldable
from fdref.weights.onnx.inputs import input_views
from fdref.weights.onnx.names import Names
from fdref.weights.onnx.operators import OPERATORS, PATTERNS
from fdref.weights.onnx.particulars import particulars
from fdref.weights.onnx.views import UNKNOWN, H, Lengths, View, plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.weights.onnx.model import Model, Node


@dataclass(frozen=True)
class Untranslated:
    """Stands for a value that no layer makes, and why."""

    reason: str


class UntranslatedError(NetworkError):
    """A node takes what could not be translated; the message says of that one why."""


KEPT = 2**20
"""Bytes of an array that is kept for who may ask again; larger ones have one user, as a rule."""
Value: TypeAlias = "NDArray[Any] | View | Untranslated"


@dataclass
class Translation:
    """A network that grows as nodes are translated."""

    model: Model
    layers: list[Layer] = field(default_factory=list)
    takes: list[tuple[int, ...]] = field(default_factory=list)
    shapes: dict[int, Lengths] = field(default_factory=dict)
    """of the maps, by their number"""
    values: dict[str, Value] = field(default_factory=dict)
    average: NDArray[Any] | None = None
    makers: dict[int, str] = field(default_factory=dict)
    """by the number of a layer: the value for which it was made"""

    def __post_init__(self) -> None:
        self.names = Names(self.model)
        self.uses = Counter(self.model.outputs)
        self.producers: dict[str, Node] = {}
        for node in self.model.nodes:
            self.uses.update(node.inputs)
            self.producers |= dict.fromkeys(node.outputs, node)

    def value(self, node: Node, number: int) -> Value | None:
        """Return an input of a node, or None where it is left out."""
        name = node.inputs[number] if number < len(node.inputs) else ""
        return self.named(name) if name else None

    def named(self, name: str) -> Value:
        """Return a value; what is stored is read when it is asked for first, and kept if small."""
        if name in self.values:
            return self.values[name]
        array = self.model.tensors.array(self.model.arrays[name])
        if array.nbytes <= KEPT or self.uses[name] > 1:
            self.values[name] = array
        return array

    def view(self, node: Node, number: int = 0) -> View:
        """Return an input that is made of a map."""
        value = self.value(node, number)
        if isinstance(value, View):
            return value
        if isinstance(value, Untranslated):
            raise UntranslatedError(value.reason)
        found = "left out" if value is None else "constant"
        raise NetworkError(f"its input {number} is {found}; expected one that the images change")

    def constant(self, node: Node, number: int, what: str) -> NDArray[Any] | None:
        """Return an input that is constant, or None where it is left out."""
        value = self.value(node, number)
        if isinstance(value, Untranslated):
            raise UntranslatedError(value.reason)
        if isinstance(value, View):
            raise NetworkError(f"its {what} depend on the images; expected constants")
        return value

    def weights(self, node: Node, number: int, what: str, ndim: int) -> NDArray[Any]:
        """Return an input that is a layer's weights, counted for the copies that are made."""
        found = self.constant(node, number, what)
        if found is None:
            raise NetworkError(f"its {what} are left out")
        return self.counted(found, what, ndim)

    def counted(self, array: NDArray[Any], what: str, ndim: int) -> NDArray[Any]:
        """Return an array of real numbers whose copies are counted before they are made."""
        if array.ndim != ndim or array.dtype.kind not in "fiu":
            raise NetworkError(
                f"its {what} are of shape {array.shape} and type {array.dtype}; expected {ndim} "
                "axes of real numbers"
            )
        place, size = (self.model.tensors.place, f": {one_line(what)}"), array.size
        self.model.tensors.budget.take(place, size * max(4, array.itemsize))
        self.model.tensors.budget.spare(place, size * max(4, array.itemsize))
        return array.astype(np.float32) if array.dtype.kind in "iu" else array

    def size_of(self, view: View) -> Pair:
        """Return the size of a map, which an operator needs."""
        height, width = view.shape[H:]
        if height is None or width is None:
            raise NetworkError(UNKNOWN)
        return height, width

    def add(self, node: Node, layer: Layer, *maps: View, output: int = 0) -> View:
        """Add a layer over whole maps, in the map's own arrangement."""
        channels = layer.channels_after(*(own.channels for own in maps))
        sizes = [(own.shape.rows, own.shape.columns) for own in maps]
        known = [(rows, columns) for rows, columns in sizes if rows and columns]
        height, width = None, None
        if len(known) == len(maps):
            height, width = layer.size_after(*known)
            if 0 in (height, width):
                raise NetworkError(f"it leaves nothing of maps of {sizes}; expected larger images")
        self.layers.append(layer)
        self.takes.append(tuple(own.map for own in maps))
        number = len(self.layers)
        self.makers[number] = node.outputs[output] if output < len(node.outputs) else ""
        self.shapes[number] = Lengths(maps[0].shape.batch, channels, height, width)
        return plain(number, self.shapes[number])

    def add_pointwise(self, node: Node, layer: Layer, view: View) -> View:
        """Add a layer that treats pixels alike: the arrangement stays."""
        return replace(self.add(node, layer, view), axes=view.axes)

    def renumber(self, new: Mapping[int, int]) -> None:
        """Give the views the numbers of a network's maps; those of other maps are lost."""
        for name, value in list(self.values.items()):
            if isinstance(value, View):
                if value.map in new:
                    self.values[name] = replace(value, map=new[value.map])
                else:
                    del self.values[name]

    def name(self, node: Node, weights: int | None = None, output: int = 0, part: str = "") -> str:
        """Return a name for a layer, which no other has; `part` is what it does for its node."""
        return self.names.of(node, weights, output, part)


def translated(model: Model, input_size: Pair | None = None) -> tuple[Network, Translation]:
    """Put a network together from a model.

    Returns
    -------
    Network, Translation
        The latter's views are of the network's maps.

    Raises
    ------
    NetworkError
        Naming the node that could not be translated, and why.
    FileError
        If its arrays are damaged or too much.
    """
    nodes = needed(model)
    work = Translation(model)
    views = input_views(model, nodes, input_size)
    for name, view in views.items():
        work.values[name] = view
        work.shapes[view.map] = view.shape
    for node in nodes:
        made: list[Value] = list(outputs_of(work, node))
        reason = f"{node.label} has {len(node.outputs)} outputs; expected {len(made)}"
        made += [Untranslated(reason)] * (len(node.outputs) - len(made))
        work.values |= zip(node.outputs, made, strict=False)
    return finished(work, list(views.values())), work


def needed(model: Model) -> list[Node]:
    """Return the nodes that the outputs need."""
    wanted, kept = set(model.outputs), []
    for node in reversed(model.nodes):
        if wanted & set(filter(None, node.outputs)):
            kept.append(node)
            wanted.update(node.inputs)
    return kept[::-1]


def outputs_of(t: Translation, node: Node) -> Sequence[Value]:
    """Return what a node makes: constants, views, or why it could not be translated.

    This is the one place where operators that nobody knows end.
    """
    try:
        return _outputs_of(t, node)
    except UntranslatedError as error:
        reason = str(error)
    except (NetworkError, ArgumentError) as error:
        reason = f"{node.label}: {error}"
    return [Untranslated(reason)] * len(node.outputs)


def _outputs_of(t: Translation, node: Node) -> Sequence[Value]:
    for pattern in PATTERNS.get(node.op, ()) if not node.domain else ():
        found = pattern(t, node)
        if found is not None:
            return [found]
    values = [t.value(node, number) for number in range(len(node.inputs))]
    constants = [value for value in values if value is None or isinstance(value, np.ndarray)]
    if is_foldable(node) and len(constants) == len(values):
        tensors = t.model.tensors
        return fold(Call(node, constants, t.model.opset), tensors.budget, tensors.place)
    if node.op == "Shape" and isinstance(values[0], View):
        return [shape_of(node, values[0].lengths)]
    operator = OPERATORS.get(node.op) if not node.domain else None
    if operator is None:
        where = f" of the domain {one_line(node.domain)!r}" if node.domain else ""
        raise NetworkError(f"fdref has no layer for the operator {one_line(node.op)}{where}")
    return operator(t, node)


def finished(t: Translation, inputs: Sequence[View]) -> Network:
    """Return the network of the layers that the outputs need."""
    wanted: set[int] = set()
    unused = set(t.model.inputs) - set(t.values)
    for name in (name for name in t.model.outputs if name not in unused):
        value = t.named(name)
        if isinstance(value, Untranslated):
            raise NetworkError(value.reason)
        if isinstance(value, View):
            wanted.add(value.map)
    if not any(number > 0 for number in wanted):
        raise NetworkError("no output is made of the images by a layer; there is nothing to decode")
    for number in range(len(t.layers), 0, -1):
        if number in wanted:
            wanted.update(t.takes[number - 1])
    kept = [number for number in range(1, len(t.layers) + 1) if number in wanted]
    new = {old: number for number, old in enumerate(kept, 1)}
    new |= {-n: -n for n in range(len(inputs))}
    t.renumber(new)
    takes = [tuple(new[below] for below in t.takes[number - 1]) for number in kept]
    sizes = {view.shape[H:] for view in inputs}
    height, width = sizes.pop() if len(sizes) == 1 else (None, None)
    return Network(
        [t.layers[number - 1] for number in kept],
        wiring=dict(enumerate(takes, 1)),
        average=t.average,
        input_size=None if height is None or width is None else (height, width),
        input_channels=[view.channels for view in inputs],
        **particulars(t.model.metadata),
    )

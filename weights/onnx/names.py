"""Names for layers, as readable as a file's own allow."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fdref.weights.onnx.model import Model, Node

NAMES = "fdref.names"
"""Where we keep the names of layers that ONNX's would not tell: JSON, {value: name}."""


GENERIC = re.compile(r"(n|node)?_?\d+")
"""Names that say nothing: n12."""


class Names:
    """Gives every layer a name that no other has."""

    def __init__(self, model: Model) -> None:
        self.taken: set[str] = set()
        self.own = texts_in(model.metadata.get(NAMES, ""))

    def of(self, node: Node, weights: int | None = None, output: int = 0, part: str = "") -> str:
        """Return a name for a layer that is made of a node.

        What its weights are called comes first, as PyTorch's exporters name these alone as the
        module does; then the node's name, then the value's. Where several layers are made of a
        node, all but one have a `part` after that.
        """
        value = node.outputs[output] if output < len(node.outputs) else ""
        if value in self.own and not part:
            return self.own[value]
        candidates = [readable(node.name, node.op), node.name, value]
        if GENERIC.fullmatch(node.name) and not GENERIC.fullmatch(value):
            candidates.insert(0, value)
        if weights is not None and weights < len(node.inputs):
            module, _, what = node.inputs[weights].rpartition(".")
            candidates.insert(0, module if what == "weight" else "")
        if output and value:
            candidates.insert(0, value)
        if part:
            candidates = [f"{name}: {part}" for name in candidates if name]
        free = [name for name in candidates if name and name not in self.taken]
        name = free[0] if free else self._numbered(next(filter(None, candidates), node.op))
        self.taken.add(name)
        return name

    def _numbered(self, name: str) -> str:
        number = 2
        while f"{name} ({number})" in self.taken:
            number += 1
        return f"{name} ({number})"


def readable(name: str, op: str) -> str:
    """Shorten what exporters call nodes.

    >>> readable("/layer1/layer1.0/conv1/Conv", "Conv"), readable("node_relu_3", "Relu")
    ('layer1.0.conv1', 'relu_3')
    """
    if not name.startswith("/"):
        return name.removeprefix("node_")
    parts = name.strip("/").split("/")
    if len(parts) > 1 and re.fullmatch(rf"{re.escape(op)}(_\d+)?", parts[-1]):
        parts.pop()
    found: list[str] = []
    for part in parts:
        if found and part.startswith(f"{found[-1]}."):
            found[-1] = part
        else:
            found.append(part)
    return ".".join(found)


def texts_in(written: str) -> dict[str, str]:
    """Return texts by name from JSON, or none from what is not that."""
    try:
        found = json.loads(written) if written else {}
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, str)}

"""The table of operators: which function translates which."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.weights.onnx.arithmetic import ARITHMETIC
from fdref.weights.onnx.dense import DENSE
from fdref.weights.onnx.elementwise import ELEMENTWISE
from fdref.weights.onnx.joins import JOINS
from fdref.weights.onnx.patterns import PATTERNS
from fdref.weights.onnx.pools import POOLS
from fdref.weights.onnx.rearrangements import REARRANGEMENTS
from fdref.weights.onnx.resizing import RESIZING
from fdref.weights.onnx.scales import SCALES
from fdref.weights.onnx.windows import WINDOWS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.translation import Translation, Value

    Operator = Callable[[Translation, Node], Sequence[Value]]

OPERATORS: dict[str, Operator] = {
    **WINDOWS,
    **POOLS,
    **DENSE,
    **SCALES,
    **ARITHMETIC,
    **ELEMENTWISE,
    **JOINS,
    **REARRANGEMENTS,
    **RESIZING,
}

__all__ = ["OPERATORS", "PATTERNS"]

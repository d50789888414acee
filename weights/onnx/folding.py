"""What of an ONNX graph does not depend on the images is computed, with NumPy.

Every operator is counted before it computes: the numbers that it takes and those that it makes.
What only repeats numbers (ConstantOfShape, Expand) takes no memory, however large it claims to be.

Lengths of maps that are not known are NaN, in arrays of Python's numbers: they may be selected and
joined, and whoever needs one is told to give the size of the images.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fdref.errors import NetworkError
from fdref.weights.onnx.calls import Call, collapsed, whole_numbers
from fdref.weights.onnx.constants import BY_NUMBER, COUNTED, FREE, SELECTING
from fdref.weights.onnx.tensors import LONGEST
from fdref.weights.onnx.views import UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.weights.bounded import Budget
    from fdref.weights.onnx.calls import Numbers
    from fdref.weights.onnx.model import Node

FAULTS = (ValueError, IndexError, TypeError, ArithmeticError)
"""What NumPy raises over arrays that do not fit."""


def is_foldable(node: Node) -> bool:
    """Tell whether a node can be computed from constants."""
    return not node.domain and (node.op in FREE or node.op in COUNTED)


def fold(call: Call, budget: Budget, place: str) -> Sequence[Numbers]:
    """Compute a node whose inputs are all constant.

    Raises
    ------
    NetworkError
        If they do not fit, or the result depends on what is not known.
    FileError
        If it would take too much.
    """
    node = call.node
    unknown = any(values.dtype == object for values in call.given)
    if unknown and node.op not in SELECTING:
        raise NetworkError(UNKNOWN)
    kept = object if unknown else None  # of a single such number NumPy makes a plain float
    try:
        with np.errstate(all="ignore"):
            if node.op in FREE:
                made = FREE[node.op](call)
            else:
                size = sum(collapsed(values).nbytes for values in call.given) + 8 * _size(call)
                budget.take((place, f": {node.label}"), size)
                made = COUNTED[node.op](call)
            return [_settled(np.asarray(values, kept)) for values in made]
    except NetworkError:
        raise
    except FAULTS as error:
        shapes = [None if one is None else one.shape for one in call.inputs]
        raise NetworkError(f"its constants, of shapes {shapes[:8]}, do not fit ({error})") from None


def _settled(array: Numbers) -> Numbers:
    """Return whole numbers as such again, once all of them are known."""
    if array.dtype == object and not any(n != n for n in array.ravel()):  # noqa: PLR0124 - NaN
        return array.astype(np.int64)
    return array


def _size(call: Call) -> int:
    """Count the numbers that an operator will make, or go through."""
    match call.node.op:
        case "Range":
            start, stop, step = (float(call.array(n).ravel()[0]) for n in range(3))
            size = int((stop - start) / step) + 1 if step else LONGEST + 1
        case "Tile":
            size = call.array().size * prod(map(abs, whole_numbers(call.array(1), "repeats")))
        case "Gather":
            x = call.array()
            size = x.size // max(1, x.shape[call.axis(x.ndim)]) * call.array(1).size
        case op if op in BY_NUMBER or op in ("Cast", "CastLike"):
            size = prod(np.broadcast_shapes(*(collapsed(values).shape for values in call.given)))
        case "Reshape" if collapsed(call.array()).size == 1:
            size = 1
        case _:
            size = sum(values.size for values in call.given)
    if size > LONGEST:
        raise NetworkError(f"it makes or reads {size} numbers; expected at most {LONGEST}")
    return max(0, size)

"""An operator with constant inputs, and helpers for reading what it is told."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError
from fdref.weights.onnx.views import DEEPEST, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.weights.onnx.model import Node

    Numbers = NDArray[Any]


@dataclass(frozen=True)
class Call:
    """A node, and its inputs where they are constant; None where they are not, or left out."""

    node: Node
    inputs: Sequence[Numbers | None]
    opset: int

    @property
    def given(self) -> list[Numbers]:
        """The inputs that are there."""
        return [values for values in self.inputs if values is not None]

    def array(self, number: int = 0) -> Numbers:
        """Return an input that must be there."""
        found = self.inputs[number] if number < len(self.inputs) else None
        if found is None:
            raise NetworkError(f"its input {number} is missing")
        return found

    def whole(self, number: int, name: str) -> list[int] | None:
        """Return whole numbers that are an input, or in older versions an attribute."""
        found = self.inputs[number] if number < len(self.inputs) else None
        return self.node.integers(name) if found is None else whole_numbers(found, f"`{name}`")

    def axis(self, rank: int, default: int = 0) -> int:
        """Return the attribute `axis`."""
        return axis_of(self.node.integer("axis", default), rank)


def axis_of(number: int, rank: int) -> int:
    """Return the number of an axis, which may be counted from the end."""
    if not -rank <= number < max(rank, 1):
        raise NetworkError(f"axis {number} is none of a constant of {rank} axes")
    return number % max(rank, 1)


def whole_numbers(array: Numbers, what: str) -> list[int]:
    """Return a constant that is a few whole numbers as such.

    Raises
    ------
    NetworkError
        If it is something else, or depends on what is not known.
    """
    if array.ndim > 1 or array.size > 2**20:
        raise NetworkError(f"{what} is an array of shape {array.shape}; expected whole numbers")
    if array.dtype == object:
        raise NetworkError(UNKNOWN)
    if array.dtype.kind not in "iu":
        raise NetworkError(f"{what} are of type {array.dtype}; expected whole numbers")
    return [int(n) for n in array.ravel()]


def collapsed(array: Numbers) -> Numbers:
    """Return an array with length 1 along axes on which the same numbers are repeated."""
    return array[tuple(slice(0, 1) if step == 0 else slice(None) for step in array.strides)]


def repeated(value: Any, shape: Sequence[int]) -> Numbers:
    """Return an array of one number, or of one array's, repeated; it takes no memory."""
    if len(shape) > DEEPEST or min(shape, default=0) < 0 or prod(shape) > 2**62:
        raise NetworkError(f"a constant is of shape {list(shape)[:DEEPEST]}; expected lengths")
    return np.broadcast_to(value, tuple(shape))


def slices(call: Call, rank: int) -> dict[int, tuple[int, int, int]]:
    """Return begin, end and step for the axes that a Slice cuts."""
    starts, ends = call.whole(1, "starts"), call.whole(2, "ends")
    if starts is None or ends is None:
        raise NetworkError("`starts` or `ends` are missing")
    axes = call.whole(3, "axes")
    numbers = list(range(len(starts))) if axes is None else axes
    steps = call.whole(4, "steps") or [1] * len(starts)
    if not len(starts) == len(ends) == len(numbers) == len(steps) or 0 in steps:
        raise NetworkError(f"starts {starts[:8]}, ends {ends[:8]}, steps {steps[:8]} do not fit")
    return {
        axis_of(axis, rank): (start, end, step)
        for axis, start, end, step in zip(numbers, starts, ends, steps, strict=True)
    }


def python_slice(start: int, end: int, step: int, length: int) -> slice:
    """Return what ONNX's numbers mean in Python, where -1 is never before the first."""
    if step < 0 and end < -length:
        return slice(start, None, step)
    return slice(start, end, step)


def split_lengths(call: Call, length: int) -> list[int]:
    """Return the lengths that a Split makes of one."""
    given = call.whole(1, "split")
    outputs = len(call.node.outputs)
    if given is None:
        count = call.node.integer("num_outputs", outputs)
        if not 1 <= count <= length:
            raise NetworkError(f"{length} are split in {count}")
        size = -(-length // count)
        given = [min(size, length - n * size) for n in range(count)]
    if sum(given) != length or min(given, default=0) < 1 or len(given) != outputs:
        raise NetworkError(f"{length} are split in {given[:8]}, for {outputs} outputs")
    return given


def shape_of(node: Node, lengths: Sequence[int | None]) -> Numbers:
    """Return a shape as an array, from `start` to `end`; lengths that are not known are NaN."""
    own = lengths[slice(node.integer("start"), node.integer("end", len(lengths)))]
    if None in own:
        return np.array([float("nan") if n is None else n for n in own], object)
    return np.array(own, np.int64)


def aligned(node: Node, array: Numbers, rank: int) -> Numbers:
    """Give a second operand the axes that it has by `axis`, before version 7 of the operators."""
    if "axis" not in node.attributes or not array.ndim:
        return array
    first = axis_of(node.integer("axis"), rank)
    return array.reshape(array.shape + (1,) * max(0, rank - first - array.ndim))

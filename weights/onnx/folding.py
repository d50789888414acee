"""What of an ONNX graph does not depend on the images is computed, with NumPy.

Every operator is counted before it computes: the numbers that it takes and those that it makes.
What only repeats numbers (ConstantOfShape, Expand) takes no memory, however large it claims to be.

Lengths of maps that are not known are NaN, in arrays of Python's numbers: they may be selected and
joined, and whoever needs one is told to give the size of the images.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError
from fdref.weights.onnx.tensors import LONGEST, dtype_of
from fdref.weights.onnx.views import DEEPEST, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fdref.weights.bounded import Budget
    from fdref.weights.onnx.model import Node

    Numbers = NDArray[Any]
    Fold = Callable[[Node, Sequence[Numbers | None], int], Sequence[Numbers]]


def fold(
    node: Node, inputs: Sequence[Numbers | None], opset: int, budget: Budget, place: str
) -> Sequence[Numbers]:
    """Compute a node whose inputs are all constant.

    Raises
    ------
    NetworkError
        If they do not fit, or the result depends on what is not known.
    FileError
        If it would take too much.
    """
    operator = FREE.get(node.op)
    given = [values for values in inputs if values is not None]
    if any(values.dtype == object for values in given) and node.op not in SELECTING:
        raise NetworkError(UNKNOWN)
    if operator is None:
        size = _result_size(node, inputs)
        if size > LONGEST:
            raise NetworkError(f"it makes an array of {size} numbers out of nothing; damaged")
        held = sum(collapsed(values).nbytes for values in given)
        budget.take((place, f": {node.label}"), held + 8 * size)
        operator = COUNTED[node.op]
    try:
        with np.errstate(all="ignore"):
            return [settled(np.asarray(made)) for made in operator(node, inputs, opset)]
    except NetworkError:
        raise
    except (ValueError, IndexError, TypeError, ArithmeticError, AttributeError) as error:
        shapes = [None if one is None else one.shape for one in inputs]
        problem = f"its constants of shapes {shapes[:8]} do not fit ({error})"
        raise NetworkError(problem) from None


def is_foldable(node: Node) -> bool:
    """Tell whether a node can be computed from constants."""
    return not node.domain and (node.op in FREE or node.op in COUNTED)


def settled(array: Numbers) -> Numbers:
    """Return whole numbers as such again, once all of them are known."""
    if array.dtype == object and not any(n != n for n in array.ravel()):  # noqa: PLR0124 - NaN
        return array.astype(np.int64)
    return array


def collapsed(array: Numbers) -> Numbers:
    """Return an array with length 1 along axes on which the same numbers are repeated."""
    return array[tuple(slice(0, 1) if step == 0 else slice(None) for step in array.strides)]


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


def _axis(number: int, rank: int) -> int:
    if not -rank <= number < max(rank, 1):
        raise NetworkError(f"axis {number} is none of a constant of {rank} axes")
    return number % max(rank, 1)


def _list(node: Node, inputs: Sequence[Numbers | None], number: int, name: str) -> list[int] | None:
    """Return whole numbers that are an input, or in older versions an attribute."""
    given = inputs[number] if number < len(inputs) else None
    return node.integers(name) if given is None else whole_numbers(given, f"`{name}`")


def _first(inputs: Sequence[Numbers | None]) -> Numbers:
    if not inputs or inputs[0] is None:
        raise NetworkError("its first input is missing")
    return inputs[0]


def _result_size(node: Node, inputs: Sequence[Numbers | None]) -> int:
    """Count the numbers that an operator will make."""
    given = [values for values in inputs if values is not None]
    sizes = [values.size for values in given]
    if node.op == "Range" and len(given) == 3:
        start, stop, step = (float(values.ravel()[0]) for values in given if values.size)
        return max(0, int((stop - start) / step) + 1) if step else LONGEST + 1
    if node.op == "Tile" and len(given) == 2:
        return sizes[0] * prod(max(0, n) for n in whole_numbers(given[1], "repeats"))
    if node.op == "Gather" and len(given) == 2:
        axis = _axis(node.integer("axis"), given[0].ndim)
        return sizes[0] // max(1, given[0].shape[axis]) * sizes[1]
    if node.op in ELEMENTWISE:
        try:
            shapes = [collapsed(values).shape for values in given]
            return prod(np.broadcast_shapes(*shapes))
        except ValueError as error:
            raise NetworkError(f"its constants do not fit: {error}") from None
    if node.op in ("MatMul", "Gemm"):
        raise NetworkError("a product of constant matrices; expected one of a map")
    return sum(sizes)


def _constant(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    for name in ("value", "value_int", "value_float", "value_ints", "value_floats"):
        value = node.attributes.get(name)
        if isinstance(value, np.ndarray):
            return [value]
        if isinstance(value, int | float | tuple) and not any(
            isinstance(one, str) for one in (value if isinstance(value, tuple) else ())
        ):
            whole = name.startswith("value_int")
            return [np.array(value, np.int64 if whole else np.float32)]
    raise NetworkError(f"it holds {', '.join(node.attributes) or 'nothing'}; expected numbers")


def _constant_of_shape(
    node: Node, inputs: Sequence[Numbers | None], opset: int
) -> Sequence[Numbers]:
    value = node.attributes.get("value", np.zeros(1, np.float32))
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise NetworkError("`value` is no single number")
    return [repeated(value.ravel()[0], whole_numbers(_first(inputs), "its shape"))]


def repeated(value: Any, shape: Sequence[int]) -> Numbers:
    """Return an array of one number, or of one array's, repeated; it takes no memory."""
    if len(shape) > DEEPEST or min(shape, default=0) < 0 or prod(shape) > 2**62:
        raise NetworkError(f"a constant is of shape {list(shape)[:DEEPEST]}; expected lengths")
    return np.broadcast_to(value, tuple(shape))


def _expand(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    x, shape = _first(inputs), whole_numbers(inputs[1], "its shape")  # type: ignore[arg-type]
    wanted = np.broadcast_shapes(x.shape, tuple(shape))
    return [repeated(x, wanted)]


def _gather(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    x, indices = inputs
    assert x is not None and indices is not None  # noqa: PT018
    return [np.take(x, indices.astype(np.int64), _axis(node.integer("axis"), x.ndim))]


def slices(
    node: Node, inputs: Sequence[Numbers | None], rank: int
) -> dict[int, tuple[int, int, int]]:
    """Return begin, end and step for the axes that a Slice cuts."""
    starts, ends = (_list(node, inputs, 1, "starts"), _list(node, inputs, 2, "ends"))
    if starts is None or ends is None:
        raise NetworkError("`starts` or `ends` are missing")
    axes = _list(node, inputs, 3, "axes")
    numbers = list(range(len(starts))) if axes is None else axes
    steps = _list(node, inputs, 4, "steps") or [1] * len(starts)
    if not len(starts) == len(ends) == len(numbers) == len(steps) or 0 in steps:
        raise NetworkError(f"starts {starts[:8]}, ends {ends[:8]}, steps {steps[:8]} do not fit")
    return {
        _axis(axis, rank): (start, end, step)
        for axis, start, end, step in zip(numbers, starts, ends, steps, strict=True)
    }


def _slice(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    x = _first(inputs)
    cut = [slice(None)] * x.ndim
    for axis, (start, end, step) in slices(node, inputs, x.ndim).items():
        cut[axis] = python_slice(start, end, step, x.shape[axis])
    return [x[tuple(cut)]]


def python_slice(start: int, end: int, step: int, length: int) -> slice:
    """Return what ONNX's numbers mean in Python, where -1 backwards is the last element, too."""
    if step < 0 and end < -length:
        return slice(start, None, step)
    return slice(start, end, step)


def split_lengths(
    node: Node, inputs: Sequence[Numbers | None], length: int
) -> list[int]:
    """Return the lengths that a Split makes of one."""
    given = _list(node, inputs, 1, "split")
    if given is None:
        count = node.integer("num_outputs", len(node.outputs))
        if not 1 <= count <= length:
            raise NetworkError(f"{length} are split in {count}")
        size = -(-length // count)
        given = [min(size, length - n * size) for n in range(count)]
    if sum(given) != length or min(given, default=0) < 1 or len(given) != len(node.outputs):
        raise NetworkError(f"{length} are split in {given[:8]}, for {len(node.outputs)} outputs")
    return given


def _split(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    x = _first(inputs)
    axis = _axis(node.integer("axis"), x.ndim)
    ends = np.cumsum(split_lengths(node, inputs, x.shape[axis]))[:-1]
    return np.split(x, ends, axis)


def _unsqueeze(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    x, axes = _first(inputs), _list(node, inputs, 1, "axes") or []
    if x.ndim + len(axes) > DEEPEST:
        raise NetworkError(f"a constant of {x.ndim + len(axes)} axes; expected at most {DEEPEST}")
    return [np.expand_dims(x, tuple(axes))]


def _squeeze(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    axes = _list(node, inputs, 1, "axes")
    return [np.squeeze(_first(inputs), None if axes is None else tuple(axes))]


def _reshape(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    x, shape = _first(inputs), _list(node, inputs, 1, "shape") or []
    if not node.whether("allowzero"):
        shape = [x.shape[n] if length == 0 else length for n, length in enumerate(shape)]
    same = all(step == 0 for step, length in zip(x.strides, x.shape, strict=True) if length > 1)
    if same and x.size:  # one number, repeated: nothing is laid out
        rest = prod(n for n in shape if n != -1)
        filled = [x.size // max(1, rest) if n == -1 else n for n in shape]
        if prod(filled) != x.size or min(filled, default=1) < 0:
            raise NetworkError(f"a constant of shape {x.shape} is reshaped to {shape[:DEEPEST]}")
        return [repeated(x.ravel()[:1].reshape(()) if x.ndim == 0 else x[(0,) * x.ndim], filled)]
    return [np.reshape(x, tuple(shape))]


def _flatten(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    x = _first(inputs)
    axis = node.integer("axis", 1)
    before = prod(x.shape[: axis + x.ndim if axis < 0 else axis])
    return [x.reshape(before, -1)]


def _cast(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    x = _first(inputs)
    if x.dtype == object:  # whole numbers of which some are not known
        return [x]
    like = inputs[1] if node.op == "CastLike" else None
    kept = dtype_of(node.integer("to")) if like is None else like.dtype
    return [_lazily(lambda own: own.astype(kept), x)]


def _lazily(function: Callable[..., Numbers], *arrays: Numbers) -> Numbers:
    """Compute number by number what is not repeated, and repeat the result."""
    made = function(*map(collapsed, arrays))
    return np.broadcast_to(made, np.broadcast_shapes(*(array.shape for array in arrays)))


def _by_number(function: Callable[..., Numbers]) -> Fold:
    def run(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
        arrays = [values for values in inputs if values is not None]
        if opset < 7 and len(arrays) == 2 and node.integers is not None:
            arrays[1] = aligned(node, arrays[1], arrays[0].ndim)
        return [_lazily(function, *arrays)]

    return run


def aligned(node: Node, array: Numbers, rank: int) -> Numbers:
    """Give a second operand the axes that it has by `axis`, before version 7 of the operators."""
    if "axis" not in node.attributes or not array.ndim:
        return array
    first = _axis(node.integer("axis"), rank)
    return array.reshape(array.shape + (1,) * max(0, rank - first - array.ndim))


def _divide(a: Numbers, b: Numbers) -> Numbers:
    if a.dtype.kind in "iu":
        if not b.all():
            raise NetworkError("a whole number is divided by 0")
        quotient: Numbers = np.trunc(a / b).astype(a.dtype) if (a < 0).any() else a // b
        return quotient
    return a / b


def _power(a: Numbers, b: Numbers) -> Numbers:
    return np.power(a, b.astype(a.dtype) if b.dtype.kind in "iuf" else b).astype(a.dtype)


def _minimum(*arrays: Numbers) -> Numbers:
    return np.minimum.reduce(np.broadcast_arrays(*arrays))


def _maximum(*arrays: Numbers) -> Numbers:
    return np.maximum.reduce(np.broadcast_arrays(*arrays))


def _sum(*arrays: Numbers) -> Numbers:
    total = arrays[0]
    for own in arrays[1:]:
        total = total + own
    return total


def _reduced(function: Callable[..., Any]) -> Fold:
    def run(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
        axes = _list(node, inputs, 1, "axes")
        keep = node.integer("keepdims", 1) != 0
        x = _first(inputs)
        return [np.asarray(function(x, tuple(axes) if axes else None, keepdims=keep), x.dtype)]

    return run


def _dequantized(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    x, scale, *zero = inputs
    assert x is not None and scale is not None  # noqa: PT018
    if node.integer("block_size") or scale.ndim > 1:
        raise NetworkError("it is quantized in blocks; expected one scale, or one for each channel")
    around = [1] * x.ndim
    if scale.ndim and scale.size > 1:
        around[_axis(node.integer("axis", 1), x.ndim)] = scale.size
    shift = zero[0] if zero and zero[0] is not None else np.zeros(1, x.dtype)
    if shift.ndim > 1 or shift.size not in (1, scale.size):
        raise NetworkError(f"{shift.size} zero points for {scale.size} scales")
    moved = x.astype(np.float64) - shift.astype(np.float64).reshape(around if shift.size > 1 else 1)
    result: Numbers = moved * scale.astype(np.float64).reshape(around if scale.size > 1 else 1)
    return [result.astype(scale.dtype)]


def _concat(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    arrays = [values for values in inputs if values is not None]
    return [np.concatenate(arrays, _axis(node.integer("axis", 1), arrays[0].ndim))]


def _transpose(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    return [_first(inputs).transpose(node.integers("perm"))]


def _range(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    start, stop, step = (values.ravel()[0] for values in inputs if values is not None)
    return [np.arange(start, stop, step)]


def _tile(node: Node, inputs: Sequence[Numbers | None], opset: int) -> Sequence[Numbers]:
    x, counts = inputs
    assert x is not None and counts is not None  # noqa: PT018
    return [np.tile(x, whole_numbers(counts, "repeats"))]


FREE: dict[str, Fold] = {
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Expand": _expand,
    "Identity": lambda node, inputs, opset: [_first(inputs)],
    "Shape": lambda node, inputs, opset: [shape_of(node, _first(inputs).shape)],
    "Size": lambda node, inputs, opset: [np.array(_first(inputs).size, np.int64)],
    "Slice": _slice,
    "Split": _split,
    "Squeeze": _squeeze,
    "Transpose": _transpose,
    "Unsqueeze": _unsqueeze,
}
"""Those that move or repeat numbers, and take no memory."""


def shape_of(node: Node, lengths: Sequence[int | None]) -> Numbers:
    """Return a shape as an array, from `start` to `end`."""
    rank = len(lengths)
    start, end = node.integer("start"), node.integer("end", rank)
    own = lengths[slice(start, end)]
    if None in own:
        return np.array([float("nan") if n is None else n for n in own], object)
    return np.array(own, np.int64)


ELEMENTWISE: dict[str, Callable[..., Any]] = {
    "Abs": np.abs,
    "Add": np.add,
    "And": np.logical_and,
    "Ceil": np.ceil,
    "Div": _divide,
    "Equal": np.equal,
    "Exp": np.exp,
    "Floor": np.floor,
    "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal,
    "Less": np.less,
    "LessOrEqual": np.less_equal,
    "Log": np.log,
    "Max": _maximum,
    "Min": _minimum,
    "Mod": np.mod,
    "Mul": np.multiply,
    "Neg": np.negative,
    "Not": np.logical_not,
    "Or": np.logical_or,
    "Pow": _power,
    "Reciprocal": np.reciprocal,
    "Round": np.rint,
    "Sqrt": np.sqrt,
    "Sub": np.subtract,
    "Sum": _sum,
    "Where": np.where,
}

COUNTED: dict[str, Fold] = {
    "Cast": _cast,
    "CastLike": _cast,
    "Concat": _concat,
    "DequantizeLinear": _dequantized,
    "Flatten": _flatten,
    "Gather": _gather,
    "Range": _range,
    "ReduceMax": _reduced(np.max),
    "ReduceMean": _reduced(np.mean),
    "ReduceMin": _reduced(np.min),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "Reshape": _reshape,
    "Tile": _tile,
} | {name: _by_number(function) for name, function in ELEMENTWISE.items()}
"""Those that compute or copy."""

SELECTING = {
    "Add",
    "Cast",
    "Concat",
    "Gather",
    "Identity",
    "Mul",
    "Reshape",
    "Slice",
    "Split",
    "Squeeze",
    "Sub",
    "Unsqueeze",
}
"""Those that know what to do with lengths that are not known."""

"""The table of operators over constants, in NumPy."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError
from fdref.weights.onnx.calls import (
    aligned,
    collapsed,
    python_slice,
    repeated,
    shape_of,
    slices,
    split_lengths,
    whole_numbers,
)
from fdref.weights.onnx.tensors import dtype_of
from fdref.weights.onnx.views import DEEPEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.weights.onnx.calls import Call, Numbers

    Fold = Callable[[Call], Sequence[Numbers]]


def constant(call: Call) -> Sequence[Numbers]:
    """Return what a Constant holds: an array, or numbers as attributes."""
    attributes = call.node.attributes
    for name in ("value", "value_int", "value_float", "value_ints", "value_floats"):
        value = attributes.get(name)
        if isinstance(value, np.ndarray):
            return [value]
        numbers = value if isinstance(value, tuple) else (value,)
        if value is not None and all(isinstance(one, int | float) for one in numbers):
            dtype = np.int64 if name.startswith("value_int") else np.float32
            return [np.array(value, dtype)]
    raise NetworkError(f"it holds {', '.join(attributes) or 'nothing'}; expected numbers")


def constant_of_shape(call: Call) -> Sequence[Numbers]:
    """Return one number, repeated."""
    value = call.node.attributes.get("value", np.zeros(1, np.float32))
    if not isinstance(value, np.ndarray) or value.size != 1:
        raise NetworkError("`value` is no single number")
    return [repeated(value.ravel()[0], whole_numbers(call.array(), "its shape"))]


def expand(call: Call) -> Sequence[Numbers]:
    """Return an array, repeated."""
    shape = tuple(whole_numbers(call.array(1), "its shape"))
    return [repeated(call.array(), np.broadcast_shapes(call.array().shape, shape))]


def cut(call: Call) -> Sequence[Numbers]:
    """Slice."""
    x = call.array()
    parts = [slice(None)] * x.ndim
    for axis, (start, end, step) in slices(call, x.ndim).items():
        parts[axis] = python_slice(start, end, step, x.shape[axis])
    return [x[tuple(parts)]]


def split(call: Call) -> Sequence[Numbers]:
    """Split."""
    x = call.array()
    axis = call.axis(x.ndim)
    return np.split(x, np.cumsum(split_lengths(call, x.shape[axis]))[:-1], axis)


def unsqueeze(call: Call) -> Sequence[Numbers]:
    """Unsqueeze."""
    x, axes = call.array(), call.whole(1, "axes") or []
    if x.ndim + len(axes) > DEEPEST:
        raise NetworkError(f"a constant of {x.ndim + len(axes)} axes; expected at most {DEEPEST}")
    return [np.expand_dims(x, tuple(axes))]


def squeeze(call: Call) -> Sequence[Numbers]:
    """Squeeze."""
    axes = call.whole(1, "axes")
    return [np.squeeze(call.array(), None if axes is None else tuple(axes))]


def reshape(call: Call) -> Sequence[Numbers]:
    """Reshape; one number that is repeated stays so."""
    x, shape = call.array(), call.whole(1, "shape") or []
    if not call.node.whether("allowzero"):
        shape = [x.shape[n] if length == 0 else length for n, length in enumerate(shape)]
    if x.size != 1 and collapsed(x).size == 1:
        rest = prod(n for n in shape if n != -1)
        filled = [x.size // max(1, rest) if n == -1 else n for n in shape]
        if prod(filled) != x.size:
            raise NetworkError(f"a constant of shape {x.shape} is reshaped to {shape[:DEEPEST]}")
        return [repeated(collapsed(x).reshape(()), filled)]
    return [np.reshape(x, tuple(shape))]


def flatten(call: Call) -> Sequence[Numbers]:
    """Flatten."""
    x, axis = call.array(), call.node.integer("axis", 1)
    return [x.reshape(prod(x.shape[: axis + x.ndim if axis < 0 else axis]), -1)]


def cast(call: Call) -> Sequence[Numbers]:
    """Cast and CastLike; whole numbers of which some are not known stay what they are."""
    x = call.array()
    if x.dtype == object:
        return [x]
    like = call.array(1).dtype if call.node.op == "CastLike" else None
    kept = dtype_of(call.node.integer("to")) if like is None else like
    return [_lazily(lambda own: own.astype(kept), x)]


def gather(call: Call) -> Sequence[Numbers]:
    """Gather."""
    x = call.array()
    return [np.asarray(np.take(x, call.array(1).astype(np.int64), call.axis(x.ndim)))]


def concat(call: Call) -> Sequence[Numbers]:
    """Concat."""
    return [np.concatenate(call.given, call.axis(call.array().ndim, 1))]


def span(call: Call) -> Sequence[Numbers]:
    """Range."""
    start, stop, step = (call.array(n).ravel()[0] for n in range(3))
    return [np.arange(start, stop, step)]


def tile(call: Call) -> Sequence[Numbers]:
    """Tile."""
    return [np.tile(call.array(), whole_numbers(call.array(1), "repeats"))]


def dequantized(call: Call) -> Sequence[Numbers]:
    """DequantizeLinear: ``(x - zero) * scale``, one for all or one for each index of an axis."""
    x, scale = call.array(), call.array(1)
    zero = call.array(2) if len(call.given) > 2 else np.zeros(scale.shape, x.dtype)
    if call.node.integer("block_size") or scale.ndim > 1 or zero.shape != scale.shape:
        raise NetworkError(
            f"its scales are of shape {scale.shape}, its zero points of {zero.shape}; expected one "
            "of each for all, or for each channel"
        )
    shape = [1] * x.ndim
    if scale.size > 1:
        shape[call.axis(x.ndim, 1)] = scale.size
    moved = x.astype(np.float64) - zero.astype(np.float64).reshape(shape)
    return [(moved * scale.astype(np.float64).reshape(shape)).astype(scale.dtype)]


def _lazily(function: Callable[..., Any], *arrays: Numbers) -> Numbers:
    """Compute number by number what is not repeated, and repeat the result."""
    made = function(*map(collapsed, arrays))
    return np.broadcast_to(made, np.broadcast_shapes(*(array.shape for array in arrays)))


def _by_number(function: Callable[..., Any]) -> Fold:
    def run(call: Call) -> Sequence[Numbers]:
        arrays = call.given
        if call.opset < 7 and len(arrays) == 2:
            arrays[1] = aligned(call.node, arrays[1], arrays[0].ndim)
        return [_lazily(function, *arrays)]

    return run


def _reduced(function: Callable[..., Any]) -> Fold:
    def run(call: Call) -> Sequence[Numbers]:
        x, axes = call.array(), call.whole(1, "axes")
        if not axes and call.node.whether("noop_with_empty_axes"):
            return [x]
        keep = call.node.integer("keepdims", 1) != 0
        return [np.asarray(function(x, tuple(axes) if axes else None, keepdims=keep), x.dtype)]

    return run


def _divide(a: Numbers, b: Numbers) -> Any:
    if a.dtype.kind not in "iu":
        return a / b
    if not b.all():
        raise NetworkError("a whole number is divided by 0")
    return np.trunc(a / b).astype(a.dtype) if (a < 0).any() or (b < 0).any() else a // b


def _power(a: Numbers, b: Numbers) -> Any:
    return np.power(a, b.astype(a.dtype)).astype(a.dtype)


def _minimum(*arrays: Numbers) -> Any:
    return np.minimum.reduce(np.broadcast_arrays(*arrays))


def _maximum(*arrays: Numbers) -> Any:
    return np.maximum.reduce(np.broadcast_arrays(*arrays))


def _sum(*arrays: Numbers) -> Any:
    return np.add.reduce(np.broadcast_arrays(*arrays))


FREE: dict[str, Fold] = {
    "Constant": constant,
    "ConstantOfShape": constant_of_shape,
    "Expand": expand,
    "Identity": lambda call: [call.array()],
    "Shape": lambda call: [shape_of(call.node, call.array().shape)],
    "Size": lambda call: [np.array(call.array().size, np.int64)],
    "Slice": cut,
    "Split": split,
    "Squeeze": squeeze,
    "Transpose": lambda call: [call.array().transpose(call.node.integers("perm"))],
    "Unsqueeze": unsqueeze,
}
"""Those that select or repeat numbers, and take no memory."""

BY_NUMBER: dict[str, Callable[..., Any]] = {
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
    "Cast": cast,
    "CastLike": cast,
    "Concat": concat,
    "DequantizeLinear": dequantized,
    "Flatten": flatten,
    "Gather": gather,
    "Range": span,
    "ReduceMax": _reduced(np.max),
    "ReduceMean": _reduced(np.mean),
    "ReduceMin": _reduced(np.min),
    "ReduceProd": _reduced(np.prod),
    "ReduceSum": _reduced(np.sum),
    "Reshape": reshape,
    "Tile": tile,
} | {name: _by_number(function) for name, function in BY_NUMBER.items()}
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

"""Gemm and MatMul: a fully connected layer is a convolution of the map's size."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError
from fdref.layers import Conv
from fdref.weights.onnx.calls import collapsed
from fdref.weights.onnx.views import UNKNOWN, C, Digit, N, View, only, plain, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.translation import Translation


def gemm(t: Translation, node: Node) -> Sequence[View]:
    """Translate ``alpha * A @ B + beta * C``, of which A, and it alone, is made of maps."""
    view = t.view(node)
    matrix = t.weights(node, 1, "weights", 2)
    if node.whether("transA"):
        view = view.transposed(range(len(view.axes))[::-1])
    if not node.whether("transB"):
        matrix = matrix.T
    alpha, beta = node.number_of("alpha", 1.0), node.number_of("beta", 1.0)
    if alpha != 1:
        matrix = (matrix * alpha).astype(matrix.dtype)
    offsets = t.constant(node, 2, "offsets")
    bias = None if offsets is None else _biases(t, offsets, len(matrix), beta)
    return [dense(t, node, view, matrix, bias)]


def matmul(t: Translation, node: Node) -> Sequence[View]:
    """Translate a product with a matrix, whose offsets an Add may bring."""
    view = t.view(node)
    return [dense(t, node, view, t.weights(node, 1, "weights", 2).T, None)]


def _biases(t: Translation, offsets: NDArray[Any], count: int, beta: float) -> NDArray[Any]:
    """Return one offset for each output, of what fits a row of them."""
    row = collapsed(offsets)
    if row.ndim > 2 or (row.ndim == 2 and len(row) != 1) or row.size not in (1, count):
        raise NetworkError(f"its offsets are of shape {offsets.shape}; expected ({count},)")
    t.counted(row.reshape(-1), "offsets", 1)
    bias = np.broadcast_to(row.reshape(-1), (count,))
    return bias if beta == 1 else (bias * beta).astype(bias.dtype)


def dense(
    t: Translation, node: Node, view: View, matrix: NDArray[Any], bias: NDArray[Any] | None
) -> View:
    """Add a matrix (outputs, inputs) over the last axis of a view as a convolution.

    Over the channels alone it is one of 1x1; over channels, rows and columns, in whichever order
    they were flattened, one of the map's size.
    """
    *before, last = view.axes
    others = [digit for axis in before for digit in axis]
    if any(digit.size is None for digit in last):
        raise NetworkError(UNKNOWN)
    if view.lengths[-1] != matrix.shape[1]:
        raise NetworkError(
            f"its weights are for {matrix.shape[1]} numbers; it gets {shown(view.lengths)}"
        )
    if only(last, C) and not any(digit.axis == C for digit in others):
        height, width, axes = 1, 1, tuple(before)
    elif only(tuple(others), N) and not any(digit.axis == N for digit in last):
        (height, width), axes = t.size_of(view), tuple(before)
    else:
        raise NetworkError(
            f"a value of shape {shown(view.lengths)} has parts of a map's channels, rows or "
            "columns in its last axis; expected all channels, or the whole map"
        )
    # columns of the matrix in the order in which the value has its numbers, turned into the map's
    split = matrix.reshape(-1, *(digit.size or 1 for digit in last))
    order = sorted(range(len(last)), key=lambda n: (last[n].axis, -last[n].step))
    turned = split.transpose(0, *(n + 1 for n in order))
    filters = turned.reshape(len(matrix), view.channels, height, width)
    own = t.add(node, Conv(filters, bias, name=t.name(node, 1)), plain(view.map, view.shape))
    made = (Digit(C, own.channels),) if own.channels > 1 else ()
    return replace(own, axes=(*axes, made))


DENSE = {"Gemm": gemm, "MatMul": matmul}

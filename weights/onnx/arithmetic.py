"""Add, Sub, Mul, Div: with a constant a scale or an offset, of maps a sum or a product."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError
from fdref.layers import Conv, ConvTranspose, Product, Scale, Sum
from fdref.weights.onnx.arranging import along, per_channel
from fdref.weights.onnx.calls import aligned
from fdref.weights.onnx.joins import joined, views_of
from fdref.weights.onnx.particulars import AVERAGE
from fdref.weights.onnx.views import C, H, View, W, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.translation import Translation

    Numbers = NDArray[Any]


def operands(t: Translation, node: Node) -> tuple[View | None, Numbers | None, bool]:
    """Return the map and the constant of two inputs, and whether the constant comes first.

    Of two maps, neither.
    """
    if len(node.inputs) != 2:
        raise NetworkError(f"it has {len(node.inputs)} inputs; expected 2")
    first, second = t.value(node, 0), t.value(node, 1)
    if isinstance(first, np.ndarray) and not isinstance(second, np.ndarray):
        return t.view(node, 1), first, True
    view = t.view(node, 0)
    if isinstance(second, np.ndarray):
        if t.model.opset < 7:
            second = aligned(node, second, len(view.axes))
        return view, second, False
    t.view(node, 1)
    return None, None, False


def total(t: Translation, node: Node) -> Sequence[View]:
    """Translate Add and Sum."""
    if len(node.inputs) == 1:
        return views_of(t, node)
    if len(node.inputs) == 2:
        view, offset, _ = operands(t, node)
        if view is not None and offset is not None:
            return [shifted(t, node, view, per_channel(t, view, offset, "numbers"))]
    return [joined(t, node, views_of(t, node), lambda name: Sum(name=name))]


def difference(t: Translation, node: Node) -> Sequence[View]:
    """Translate Sub; what is subtracted from the images alone, pixel by pixel, is the average."""
    view, offset, first = operands(t, node)
    if view is None or offset is None:
        return [joined(t, node, views_of(t, node), lambda name: Sum((1, -1), name))]
    if not first and _is_average(t, node, view, offset):
        image = along(t, view, offset, "numbers", (C, H, W))
        t.average = (
            image
            if image.min((1, 2)).tobytes() != image.max((1, 2)).tobytes()
            else (image[:, :1, :1])
        )
        return [view]
    own = per_channel(t, view, offset, "numbers")
    if first:
        layer = Scale(np.full(len(own), -1, own.dtype), own, t.name(node))
        return [t.add_pointwise(node, layer, view)]
    return [shifted(t, node, view, -own)]


def _is_average(t: Translation, node: Node, view: View, offset: Numbers) -> bool:
    """Tell whether a constant is the average: we say so, or it differs from pixel to pixel."""
    if view.map != 0 or t.uses[node.inputs[0]] != 1 or t.average is not None:
        return False
    if t.model.metadata.get(AVERAGE) == node.inputs[1]:
        return True
    size = view.shape[H:]
    return (
        None not in size
        and view.axes == plain(0, view.shape).axes
        and (offset.shape[-2:] == size and size != (1, 1))
    )


def shifted(t: Translation, node: Node, view: View, offset: Numbers) -> View:
    """Add an offset: to the layer below, if nobody else sees its map and it has none."""
    below = t.layers[view.map - 1] if view.map > 0 else None
    alone = t.uses[t.makers.get(view.map, "")] == 1 and t.makers[view.map] in node.inputs
    if alone and isinstance(below, Conv | ConvTranspose) and below.bias is None:
        t.layers[view.map - 1] = replace(below, bias=offset)
    elif alone and isinstance(below, Scale) and below.offset is None:
        t.layers[view.map - 1] = replace(below, offset=offset, name=t.name(node))
    else:
        layer = Scale(np.ones(len(offset), offset.dtype), offset, t.name(node))
        return t.add_pointwise(node, layer, view)
    del t.values[t.makers[view.map]]  # nobody makes it any more
    t.makers[view.map] = node.outputs[0]
    return view


def product(t: Translation, node: Node) -> Sequence[View]:
    """Translate Mul."""
    view, factor, _ = operands(t, node)
    if view is None or factor is None:
        return [joined(t, node, views_of(t, node), Product)]
    own = per_channel(t, view, factor, "factors")
    return [t.add_pointwise(node, Scale(own, None, t.name(node)), view)]


def quotient(t: Translation, node: Node) -> Sequence[View]:
    """Translate Div, by a constant."""
    view, divisor, first = operands(t, node)
    if view is None or divisor is None or first:
        raise NetworkError("it divides by what depends on the images; expected constants")
    own = per_channel(t, view, divisor, "divisors")
    if not own.all():
        raise NetworkError("it divides by 0")
    factor = (1 / own.astype(np.float64)).astype(own.dtype)
    return [t.add_pointwise(node, Scale(factor, None, t.name(node)), view)]


def negative(t: Translation, node: Node) -> Sequence[View]:
    """Translate Neg."""
    view = t.view(node)
    layer = Scale(np.full(view.channels, -1, np.float32), None, t.name(node))
    return [t.add_pointwise(node, layer, view)]


ARITHMETIC = {
    "Add": total,
    "Div": quotient,
    "Mul": product,
    "Neg": negative,
    "Sub": difference,
    "Sum": total,
}

"""Pools, over windows and over whole maps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from fdref.errors import NetworkError
from fdref.layers import Pad, Pool, Scale
from fdref.weights.onnx.arranging import as_map
from fdref.weights.onnx.calls import whole_numbers
from fdref.weights.onnx.views import C, H, N, View, W, plain
from fdref.weights.onnx.windows import two, window_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.geometry import Pair
    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.operators import Operator
    from fdref.weights.onnx.translation import Translation
    from fdref.weights.onnx.windows import Window

    Method = Literal["max", "avg"]


def max_pool(t: Translation, node: Node) -> Sequence[View]:
    """Translate MaxPool; its second output, the places of the maxima, is nobody's."""
    return [_pool(t, node, "max")]


def average_pool(t: Translation, node: Node) -> Sequence[View]:
    """Translate AveragePool."""
    return [_pool(t, node, "avg")]


def _pool(t: Translation, node: Node, method: Method) -> View:
    if two(node, "dilations") != (1, 1):
        raise NetworkError(f"its dilations are {two(node, 'dilations')}; expected none: [1, 1]")
    if node.integers("kernel_shape") is None:
        raise NetworkError("`kernel_shape` is missing; expected the size of its window")
    below = as_map(t, node, t.view(node))
    window = window_of(t, node, below, two(node, "kernel_shape"))
    more = _rounded_up(t, window, below) if node.whether("ceil_mode") else (0, 0)
    top, bottom, left, right = window.pad
    if method == "avg" and node.whether("count_include_pad") and any(window.pad):
        # Zeros that count are a map's; ours divides by what a window has of its map.
        zeros = (top, bottom + min(0, more[0]), left, right + min(0, more[1]))
        below = t.add(node, Pad(zeros, t.name(node, part="border")), below)
        pad = (0, max(0, more[0]), 0, max(0, more[1]))
    else:
        pad = (top, bottom + more[0], left, right + more[1])
    return t.add(node, Pool(window.size, window.stride, pad, method, t.name(node)), below)


def _rounded_up(t: Translation, window: Window, view: View) -> Pair:
    """Return how much larger borders below and on the right let a last window count.

    That is one that is cut off, unless it begins in the border. One pixel less than the stride
    does it for maps of any size, where no window can begin there.
    """
    found = []
    for a in (0, 1):
        before, after = window.pad[2 * a : 2 * a + 2]
        size, stride, more = window.size[a], window.stride[a], window.stride[a] - 1
        if after + more >= size:
            length = t.size_of(view)[a]
            count = -(-(length + before + after - size) // stride) + 1
            if (count - 1) * stride >= length + before:
                count -= 1
            more = max(-after, (count - 1) * stride + size - length - before - after)
        found.append(more)
    return found[0], found[1]


def over_map(
    t: Translation,
    node: Node,
    view: View,
    axes: Sequence[int],
    method: Method,
    *,
    keep: bool,
    part: str = "",
) -> View:
    """Pool whole rows or columns, or both: some axes of a view, which are kept with length 1."""
    taken = [digit for axis in axes for digit in view.axes[axis]]
    if any(digit.axis in (N, C) for digit in taken):
        raise NetworkError(f"it is over axes {list(axes)}; expected those of rows and columns")
    window = [1, 1]
    for axis in (H, W):
        if any(digit.axis == axis for digit in taken):
            window[axis - H] = t.size_of(view)[axis - H]
            if any(d.axis == axis for n, a in enumerate(view.axes) if n not in axes for d in a):
                raise NetworkError("it is over a part of the rows or columns; expected all")
    if window != [1, 1]:
        below = plain(view.map, view.shape)
        own = t.add(node, Pool(window, window, 0, method, t.name(node, part=part)), below)
        view = replace(own, axes=view.axes)
    left = [() if n in axes else axis for n, axis in enumerate(view.axes)]
    return replace(view, axes=tuple(a for n, a in enumerate(left) if keep or n not in axes))


def _global(method: Method) -> Operator:
    def pool(t: Translation, node: Node) -> Sequence[View]:
        view = as_map(t, node, t.view(node))
        return [over_map(t, node, view, (H, W), method, keep=True)]

    return pool


def _reduced_axes(t: Translation, node: Node, view: View) -> list[int]:
    """Return the axes that a reduction is over; all, if it names none."""
    given = t.constant(node, 1, "axes")
    axes = node.integers("axes") if given is None else whole_numbers(given, "axes")
    if not axes:
        return [] if node.whether("noop_with_empty_axes") else list(range(len(view.axes)))
    return [view.axis(axis) for axis in axes]


def reduce_mean(t: Translation, node: Node) -> Sequence[View]:
    """Translate a mean over rows and columns."""
    view = t.view(node)
    keep = node.integer("keepdims", 1) != 0
    return [over_map(t, node, view, _reduced_axes(t, node, view), "avg", keep=keep)]


def reduce_max(t: Translation, node: Node) -> Sequence[View]:
    """Translate the largest of rows and columns."""
    view = t.view(node)
    keep = node.integer("keepdims", 1) != 0
    return [over_map(t, node, view, _reduced_axes(t, node, view), "max", keep=keep)]


def reduce_sum(t: Translation, node: Node) -> Sequence[View]:
    """Translate a sum over rows and columns: as many times the mean."""
    view = t.view(node)
    axes = _reduced_axes(t, node, view)
    keep = node.integer("keepdims", 1) != 0
    pooled = over_map(t, node, view, axes, "avg", keep=keep, part="mean")
    counts = [view.lengths[axis] or 1 for axis in axes]
    factor = np.full(pooled.channels, np.prod(counts), np.float32)
    return [t.add_pointwise(node, Scale(factor, None, t.name(node)), pooled)]


POOLS: dict[str, Operator] = {
    "AveragePool": average_pool,
    "GlobalAveragePool": _global("avg"),
    "GlobalMaxPool": _global("max"),
    "MaxPool": max_pool,
    "ReduceMax": reduce_max,
    "ReduceMean": reduce_mean,
    "ReduceSum": reduce_sum,
}

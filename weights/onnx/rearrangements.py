"""Operators that move numbers and compute none."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fdref.errors import NetworkError
from fdref.layers import Pad, Shuffle
from fdref.weights.onnx.arranging import as_map, channels_layer, settled
from fdref.weights.onnx.calls import Call, python_slice, slices, split_lengths, whole_numbers
from fdref.weights.onnx.views import UNKNOWN, C, Digit, View, numbers_along, only, plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.translation import Translation


def _axes(t: Translation, node: Node) -> list[int] | None:
    given = t.constant(node, 1, "axes")
    return node.integers("axes") if given is None else whole_numbers(given, "axes")


def reshape(t: Translation, node: Node) -> Sequence[View]:
    """Follow Reshape."""
    view, given = t.view(node), t.constant(node, 1, "shape")
    target = node.integers("shape") if given is None else whole_numbers(given, "its shape")
    if target is None:
        raise NetworkError("its shape is missing")
    copies = not node.whether("allowzero")
    flat = len(target) == 2 and target[1] == -1
    if flat and (target[0] == view.lengths[0] or (target[0] == 0 and copies)):
        return [view.flattened(1)]  # whatever the size of the map
    return [settled(t, node, view.reshaped(view.complete(target, zero_copies=copies)))]


def flatten(t: Translation, node: Node) -> Sequence[View]:
    """Follow Flatten."""
    view = t.view(node)
    axis = node.integer("axis", 1)
    return [view.flattened(view.axis(axis) if axis < len(view.axes) else axis)]


def transpose(t: Translation, node: Node) -> Sequence[View]:
    """Follow Transpose."""
    view = t.view(node)
    order = node.integers("perm")
    reverse = list(range(len(view.axes)))[::-1]
    return [settled(t, node, view.transposed(reverse if order is None else order))]


def squeeze(t: Translation, node: Node) -> Sequence[View]:
    """Follow Squeeze; without axes, all of length 1."""
    view, axes = t.view(node), _axes(t, node)
    if axes is None:
        axes = [n for n, length in enumerate(view.lengths) if length == 1]
    return [view.without([view.axis(axis) for axis in axes])]


def unsqueeze(t: Translation, node: Node) -> Sequence[View]:
    """Follow Unsqueeze."""
    view, axes = t.view(node), _axes(t, node) or []
    places = [view.axis(axis, more=len(axes)) for axis in axes]
    if len(set(places)) < len(places):
        raise NetworkError(f"axes {axes[:8]} are the same twice")
    return [view.with_new(places)]


def expand(t: Translation, node: Node) -> Sequence[View]:
    """Follow Expand, where it expands nothing."""
    view, given = t.view(node), t.constant(node, 1, "shape")
    target = [] if given is None else whole_numbers(given, "its shape")
    lengths = view.lengths[len(view.lengths) - len(target) :]
    if len(target) > len(view.axes) or any(
        n not in (1, own) for n, own in zip(target, lengths, strict=True)
    ):
        raise NetworkError("it repeats a map's numbers; expected the shape that they have")
    return [view]


def selected(
    t: Translation, node: Node, view: View, axis: int, chosen: NDArray[np.int64], output: int = 0
) -> View:
    """Select along an axis of the channels, all of which lie in axes of their own."""
    channels = [n for n, digits in enumerate(view.axes) if any(d.axis == C for d in digits)]
    if axis not in channels and not (view.channels == 1 and axis == 1):
        what = "expected channels, axis 1" if None not in view.lengths else UNKNOWN
        raise NetworkError(f"it is along axis {axis}; {what}")
    if not all(only(view.axes[n], C) for n in channels):
        raise NetworkError("channels, rows and columns are in one axis; expected them apart")
    channels = channels or [axis]
    lengths = [view.lengths[n] or 1 for n in channels]
    digits = tuple(digit for n in channels for digit in view.axes[n])
    numbers = numbers_along(digits).reshape(lengths).take(chosen, channels.index(axis))
    layer = channels_layer(numbers.reshape(-1), t.name(node, output=output))
    own = t.add(node, layer, plain(view.map, view.shape), output=output)
    axes, step = list(view.axes), own.channels
    for n, length in zip(channels, numbers.shape, strict=True):
        step //= length
        axes[n] = (Digit(C, length, step),) if length > 1 else ()
    return replace(own, axes=tuple(axes))


def _length(t: Translation, view: View, axis: int) -> int:
    """Return how long an axis is, whose numbers may be listed: a file may say anything."""
    length = view.lengths[axis]
    if length is None:
        raise NetworkError(UNKNOWN)
    t.model.tensors.budget.spare((t.model.tensors.place, ": the channels"), 16 * length)
    return length


def split(t: Translation, node: Node) -> Sequence[View]:
    """Translate Split of channels."""
    view = t.view(node)
    axis = view.axis(node.integer("axis"))
    call = Call(node, [None, t.constant(node, 1, "lengths")], t.model.opset)
    parts = split_lengths(call, _length(t, view, axis))
    ends = np.cumsum(parts)
    return [
        selected(t, node, view, axis, np.arange(end - length, end), output)
        for output, (end, length) in enumerate(zip(ends, parts, strict=True))
    ]


def cut(t: Translation, node: Node) -> Sequence[View]:
    """Translate Slice of channels."""
    view = t.view(node)
    inputs = [None, *(t.constant(node, n, "numbers") for n in range(1, len(node.inputs)))]
    for axis, (start, end, step) in slices(
        Call(node, inputs, t.model.opset), len(view.axes)
    ).items():
        if (start, step) == (0, 1) and end >= 2**31 - 1:
            continue  # all of it, however long
        length = _length(t, view, axis)
        chosen = np.arange(length)[python_slice(start, end, step, length)]
        if len(chosen) < length or step != 1:
            view = selected(t, node, view, axis, chosen)
    return [view]


def gather(t: Translation, node: Node) -> Sequence[View]:
    """Translate Gather of channels."""
    view, indices = t.view(node), t.constant(node, 1, "indices")
    if indices is None or indices.ndim > 1:
        raise NetworkError("its indices are no list; expected numbers of channels")
    axis = view.axis(node.integer("axis"))
    chosen = _chosen(t, node, view, axis, whole_numbers(indices, "its indices"))
    return [chosen if indices.ndim else chosen.without([axis])]


def gather_nd(t: Translation, node: Node) -> Sequence[View]:
    """Translate GatherND of a list of parts: a Gather along the first axis."""
    view, indices = t.view(node), t.constant(node, 1, "indices")
    if node.integer("batch_dims") or indices is None or indices.shape[1:] != (1,):
        raise NetworkError("its indices are no list of parts of its first axis; expected one")
    return [_chosen(t, node, view, 0, whole_numbers(indices.ravel(), "its indices"))]


def _chosen(t: Translation, node: Node, view: View, axis: int, numbers: Sequence[int]) -> View:
    """Select parts along an axis, which may be counted from its end."""
    length, indices = _length(t, view, axis), np.array(numbers, np.int64)
    if not ((indices >= -length) & (indices < length)).all():
        raise NetworkError(f"its indices are not all from {-length} to {length - 1}")
    return selected(t, node, view, axis, indices % length)


def depth_to_space(t: Translation, node: Node) -> Sequence[View]:
    """Translate DepthToSpace, of either order."""
    order = node.word("mode", "DCR")
    if order not in ("DCR", "CRD"):
        raise NetworkError(f"`mode` is {order!r}; expected 'DCR' or 'CRD'")
    below = as_map(t, node, t.view(node))
    layer = Shuffle(node.integer("blocksize"), "DCR" if order == "DCR" else "CRD")
    return [t.add(node, replace(layer, name=t.name(node)), below)]


def space_to_depth(t: Translation, node: Node) -> Sequence[View]:
    """Translate SpaceToDepth."""
    below = as_map(t, node, t.view(node))
    layer = Shuffle(node.integer("blocksize"), "DCR", reverse=True, name=t.name(node))
    return [t.add(node, layer, below)]


def pad(t: Translation, node: Node) -> Sequence[View]:
    """Translate Pad with zeros, around rows and columns; all begins come before all ends."""
    mode = node.word("mode", "constant")
    if mode != "constant":
        raise NetworkError(f"`mode` is {mode!r}; expected 'constant', with zeros")
    value = t.constant(node, 2, "value")
    number = node.number_of("value", 0.0) if value is None or not value.size else value.ravel()[0]
    if number != 0:
        raise NetworkError(f"it pads with {number}; expected zeros")
    below = as_map(t, node, t.view(node))
    given = t.constant(node, 1, "pads")
    pads = whole_numbers(given, "pads") if given is not None else None
    pads = pads or node.integers("pads") or node.integers("paddings") or []
    axes = _pad_axes(t, node, below)
    if len(pads) != 2 * len(axes):
        raise NetworkError(f"pads are {pads[:16]}; expected {2 * len(axes)} numbers")
    sides = dict.fromkeys(range(4), (0, 0))
    sides |= {axis: (pads[n], pads[n + len(axes)]) for n, axis in enumerate(axes)}
    (*others, rows, columns) = (sides[axis] for axis in range(4))
    if any(side != (0, 0) for side in others):
        raise NetworkError(f"it pads channels or images: {pads}; expected rows and columns alone")
    if rows == columns == (0, 0):
        return [below]
    return [t.add(node, Pad((*rows, *columns), t.name(node)), below)]


def _pad_axes(t: Translation, node: Node, view: View) -> list[int]:
    given = t.constant(node, 3, "axes")
    if given is None:
        return [0, 1, 2, 3]
    return [view.axis(axis) for axis in whole_numbers(given, "axes")]


REARRANGEMENTS = {
    "DepthToSpace": depth_to_space,
    "Expand": expand,
    "Flatten": flatten,
    "Gather": gather,
    "GatherND": gather_nd,
    "Pad": pad,
    "Reshape": reshape,
    "Slice": cut,
    "SpaceToDepth": space_to_depth,
    "Split": split,
    "Squeeze": squeeze,
    "Transpose": transpose,
    "Unsqueeze": unsqueeze,
}

"""Operators over several maps: sums, products, maxima, concatenations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fdref.errors import NetworkError
from fdref.layers import Concat, Elementwise, Maximum, ReLU, Sum, Upsample
from fdref.weights.onnx.arranging import as_map, channels_layer
from fdref.weights.onnx.views import UNKNOWN, C, H, View, W, plain, shown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.layers import Layer
    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.translation import Translation


def joined(t: Translation, node: Node, views: Sequence[View], make: Callable[[str], Layer]) -> View:
    """Add a layer of several maps of one arrangement, or made so; smaller ones are repeated."""
    first = views[0]
    if all(view.axes == first.axes and view.shape == first.shape for view in views):
        maps = [plain(view.map, view.shape) for view in views]
        return replace(t.add(node, make(t.name(node)), *maps), axes=first.axes)
    maps = [as_map(t, node, view) for view in views]
    maps = repeated(t, node, maps)
    return t.add(node, make(t.name(node)), *maps)


def repeated(t: Translation, node: Node, maps: Sequence[View]) -> list[View]:
    """Return maps of one size and number of channels: single ones are repeated."""
    channels = max(view.channels for view in maps)
    sizes = [(view.shape[H], view.shape[W]) for view in maps]
    if len(set(sizes)) > 1 and any(None in size for size in sizes):
        raise NetworkError(UNKNOWN)
    height, width = (max(size[a] or 1 for size in sizes) for a in (0, 1))
    found = []
    for own, (rows, columns) in zip(maps, sizes, strict=True):
        view = own
        if view.channels not in (1, channels):
            shapes = ", ".join(shown(one.lengths) for one in maps)
            raise NetworkError(f"its maps of shapes {shapes[:200]} do not fit each other")
        if view.channels < channels:
            view = t.add(
                node,
                channels_layer(np.zeros(channels, int), t.name(node, part="all channels")),
                view,
            )
        factor = (height if rows == 1 else 1, width if columns == 1 else 1)
        if factor != (1, 1):
            view = t.add(node, Upsample(factor, t.name(node, part="all pixels")), view)
        found.append(view)
    return found


def views_of(t: Translation, node: Node) -> list[View]:
    """Return all inputs of a node, which are made of maps."""
    return [t.view(node, number) for number in range(len(node.inputs))]


def mean(t: Translation, node: Node) -> Sequence[View]:
    """Translate the mean of maps."""
    views = views_of(t, node)
    if len(views) == 1:
        return views
    return [joined(t, node, views, lambda name: Sum([1 / len(views)] * len(views), name))]


def concat(t: Translation, node: Node) -> Sequence[View]:
    """Translate a concatenation of channels; flattened maps of one size are such, too."""
    views = views_of(t, node)
    axis = views[0].axis(node.integer("axis", 1))
    if all(_is_flat(view) for view in views) and axis == 1:
        sizes = {view.shape[H:] for view in views}
        if len(sizes) > 1:
            raise NetworkError("it joins flattened maps of several sizes; expected one size")
        flat = [plain(view.map, view.shape) for view in views]
        return [t.add(node, Concat(t.name(node)), *flat).flattened(1)]
    maps = [as_map(t, node, view) for view in views]
    if axis != C:
        raise NetworkError(f"it is along axis {axis}; expected channels, axis 1")
    sizes = {view.shape[H:] for view in maps}
    if len(sizes) > 1 and not any(None in size for size in sizes):
        raise NetworkError(f"its maps are of sizes {sorted(sizes)}; expected one size")
    return [t.add(node, Concat(t.name(node)), *maps)]


def _is_flat(view: View) -> bool:
    return view.axes == plain(view.map, view.shape).flattened(1).axes


def largest(t: Translation, node: Node) -> Sequence[View]:
    """Translate a maximum: of maps, or of a map and a number."""
    return [_extreme(t, node, upper=False)]


def smallest(t: Translation, node: Node) -> Sequence[View]:
    """Translate the smaller of a map and a number."""
    return [_extreme(t, node, upper=True)]


def _extreme(t: Translation, node: Node, *, upper: bool) -> View:
    """Bound a map by a number: from above, or from below."""
    values = [t.value(node, number) for number in range(len(node.inputs))]
    bounds = [value for value in values if isinstance(value, np.ndarray)]
    if not bounds and not upper:
        views = views_of(t, node)
        return views[0] if len(views) == 1 else joined(t, node, views, Maximum)
    if len(bounds) != 1 or len(values) != 2 or bounds[0].size != 1:
        raise NetworkError("it is of several maps or numbers; expected a map and a number")
    view = t.view(node, 0 if isinstance(values[0], View) else 1)
    return bounded(t, node, view, None if upper else bounds[0], bounds[0] if upper else None)


def bounded(
    t: Translation,
    node: Node,
    view: View,
    low: np.ndarray | None,
    high: np.ndarray | None,
) -> View:
    """Add what keeps numbers between two bounds, each of which may be missing."""
    limit = float(np.finfo(np.float32).max)
    ends = []
    for bound, missing in ((low, -limit), (high, limit)):
        if bound is not None and bound.size != 1:
            raise NetworkError(f"a bound is of shape {bound.shape}; expected one number")
        number = missing if bound is None else float(str(bound.ravel()[0]))
        ends.append(min(max(number, -limit), limit))
    if ends == [0.0, limit]:
        return t.add_pointwise(node, ReLU(0.0, t.name(node)), view)
    return t.add_pointwise(node, Elementwise("clip", ends, t.name(node)), view)


JOINS = {"Concat": concat, "Max": largest, "Mean": mean, "Min": smallest}

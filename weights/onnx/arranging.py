"""Views made into maps, and constants laid along the channels of views."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError
from fdref.geometry import LARGEST_NUMBER
from fdref.layers import Channels, Shuffle
from fdref.weights.onnx.calls import collapsed
from fdref.weights.onnx.views import C, Digit, H, N, View, W, numbers_along, only, plain, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.layers.rearrangements import Order
    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.translation import Translation
    from fdref.weights.onnx.views import Axis

DIMENSIONS = {3: "1-d", 5: "3-d"}


def as_map(t: Translation, node: Node, view: View, *, final: bool = False) -> View:
    """Return a view (N, C, H, W) as a map, by layers that move its numbers there.

    They are the node's own where they are all that it does (`final`).

    Raises
    ------
    NetworkError
        If it is none, or no layer makes it one.
    """
    rank = len(view.axes)
    if rank != 4:
        what = f", it is {DIMENSIONS[rank]}" if rank in DIMENSIONS else ""
        raise NetworkError(f"a value has shape {shown(view.lengths)}{what}; expected (N, C, H, W)")
    found = layers_for(view)
    if found is None:
        raise NetworkError(
            f"a value of shape {shown(view.lengths)} mixes batch, channels, rows and columns of "
            "its map otherwise than by shuffling channels or pixels; no layer does that"
        )
    for layer in found:
        below = plain(view.map, view.shape)
        part = "" if final and layer is found[-1] else "arranged"
        view = t.add(node, replace(layer, name=t.name(node, part=part)), below)
    return view


def settled(t: Translation, node: Node, view: View) -> View:
    """Return a view as a map where layers make it one, and as it is where they do not."""
    return as_map(t, node, view, final=True) if len(view.axes) == 4 and layers_for(view) else view


def layers_for(view: View) -> list[Channels | Shuffle] | None:
    """Return the layers that make a view of four axes a map, or None."""
    batch, channels, rows, columns = view.axes
    whole = plain(view.map, view.shape).axes
    if batch != whole[N]:
        return None
    if (rows, columns) == whole[H:] and only(channels, C):
        return [] if channels == whole[C] else _chosen(numbers_along(channels))
    if only(channels, C):
        return _spread(channels, rows, columns, whole)
    return _gathered(view, whole)


def _spread(
    channels: Axis, rows: Axis, columns: Axis, whole: Sequence[Axis]
) -> list[Channels | Shuffle] | None:
    """Depth to space: rows and columns have a digit of the channels each, the fastest."""
    if rows[:-1] != whole[H] or columns[:-1] != whole[W] or not rows or not columns:
        return None
    down, right = rows[-1], columns[-1]
    if (down.axis, right.axis, down.size) != (C, C, right.size) or down.size is None:
        return None
    return _shuffled(numbers_along((*channels, down, right)), down.size, reverse=False)


def _gathered(view: View, whole: Sequence[Axis]) -> list[Channels | Shuffle] | None:
    """Space to depth: the channels have the fastest digit of the rows, and of the columns."""
    own = [digit for digit in view.axes[C] if digit.axis in (H, W)]
    if sorted((d.axis, d.step, d.size) for d in own) != [(H, 1, own[0].size), (W, 1, own[0].size)]:
        return None
    block = own[0].size
    if block is None or view.axes[H] != _upper(whole[H], block):
        return None
    if view.axes[W] != _upper(whole[W], block) or not only(view.axes[C], C, H, W):
        return None
    places = {C: block * block, H: block, W: 1}  # what a step along an axis moves after a CRD
    moved = [Digit(C, digit.size, digit.step * places[digit.axis]) for digit in view.axes[C]]
    return _shuffled(numbers_along(tuple(moved)), block, reverse=True)


def _upper(whole: Axis, block: int) -> Axis:
    """Return an axis without its fastest digit of a size."""
    size = whole[0].size if whole else None
    if size is None or size % block:
        return (Digit(N, -1),)  # no axis is like that
    return (Digit(whole[0].axis, size // block, block),) if size > block else ()


def _shuffled(order: NDArray[np.int64], block: int, *, reverse: bool) -> list[Channels | Shuffle]:
    """Return a shuffle for an order of the deep channels, as CRD numbers them; and its channels."""
    shallow = len(order) // block**2
    names: tuple[Order, ...] = ("CRD", "DCR", "MATLAB")
    for name in names:
        sources = Shuffle(block, name).sources(shallow).ravel()
        same = order if not reverse else np.argsort(order)
        if np.array_equal(same, sources):
            return [Shuffle(block, name, reverse=reverse)]
    shuffle = Shuffle(block, "CRD", reverse=reverse)
    return [shuffle, *_chosen(order)] if reverse else [*_chosen(order), shuffle]


def _chosen(indices: NDArray[np.int64]) -> list[Channels | Shuffle]:
    return [channels_layer(indices)]


def channels_layer(indices: NDArray[np.int64], name: str = "") -> Channels:
    """Return a selection of channels, not more than there can be."""
    if not 0 < len(indices) <= LARGEST_NUMBER:
        raise NetworkError(f"it selects {len(indices)} channels; expected 1 to {LARGEST_NUMBER}")
    return Channels([int(n) for n in indices], name)


def per_channel(t: Translation, view: View, array: NDArray[Any], what: str) -> NDArray[Any]:
    """Return one number for each channel of a map (C,), of a constant that fits a view.

    Raises
    ------
    NetworkError
        If it differs along rows or columns, or does not fit.
    """
    return along(t, view, array, what, (C,))


def along(
    t: Translation, view: View, array: NDArray[Any], what: str, axes: Sequence[int]
) -> NDArray[Any]:
    """Return a constant that fits a view as an array over some axes of its map."""
    rank = len(view.axes)
    ends = zip(array.shape[::-1], view.lengths[::-1], strict=False)  # a constant that is repeated
    small = collapsed(array) if all(own in (1, length) for own, length in ends) else array
    if small.ndim > rank and set(small.shape[: small.ndim - rank]) == {1}:
        small = small.reshape(small.shape[small.ndim - rank :])
    expected = "one for each channel" if axes == (C,) else "one for each pixel of a map"
    problem = f"its {what} are of shape {array.shape[:8]}; expected {expected}, or one for all"
    if small.ndim > rank:
        raise NetworkError(problem)
    full = small.reshape((1,) * (rank - small.ndim) + small.shape)
    lengths: list[int] = []
    for axis, length, own in zip(view.axes, view.lengths, full.shape, strict=True):
        if own != 1 and (own != length or not only(axis, *axes)):
            raise NetworkError(problem)
        lengths += [digit.size or 1 if own != 1 else 1 for digit in axis]
    digits = [digit for axis in view.axes for digit in axis]
    kept = [n for n, digit in enumerate(digits) if digit.axis in axes]
    laid = full.reshape(lengths).reshape([lengths[n] for n in kept])
    laid = np.broadcast_to(laid, [digits[n].size or 1 for n in kept])
    kept_digits = [digits[n] for n in kept]
    order = sorted(range(len(kept)), key=lambda n: (kept_digits[n].axis, -kept_digits[n].step))
    ordered = t.counted(laid.transpose(order), what, len(kept))
    return np.ascontiguousarray(ordered).reshape([view.shape[axis] or 1 for axis in axes])

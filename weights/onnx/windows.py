"""Conv and ConvTranspose, and the borders that ONNX lets be chosen for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.errors import NetworkError
from fdref.geometry import extent
from fdref.layers import Conv, ConvTranspose
from fdref.weights.onnx.arranging import DIMENSIONS, as_map

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.geometry import Margins, Pair
    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.translation import Translation
    from fdref.weights.onnx.views import View

AUTOMATIC = ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")


class Window(NamedTuple):
    """How a window slides, as a node says it."""

    size: Pair
    """dilation included"""
    stride: Pair
    dilate: Pair
    pad: Margins


def two(node: Node, name: str, default: int = 1) -> Pair:
    """Return an attribute that has a number for each of two axes."""
    values = node.integers(name)
    if values is None:
        return default, default
    if len(values) != 2:
        what = DIMENSIONS.get(len(values) + 2, f"{len(values)} numbers")
        raise NetworkError(f"`{name}` is {values[:8]}: {what}; expected 2, for rows and columns")
    return values[0], values[1]


def margins_of(node: Node, name: str = "pads") -> Margins:
    """Return pads, which ONNX orders [top, left, bottom, right], in our order."""
    values = node.integers(name)
    if values is None:
        return 0, 0, 0, 0
    if len(values) != 4:
        what = DIMENSIONS.get(len(values) // 2 + 2, f"{len(values)} numbers")
        raise NetworkError(f"`{name}` is {values[:8]}: {what}; expected [top, left, bottom, right]")
    top, left, bottom, right = values
    return top, bottom, left, right


def automatic(node: Node) -> str:
    """Return how borders are chosen."""
    word = node.word("auto_pad", "NOTSET")
    if word not in AUTOMATIC:
        raise NetworkError(f"`auto_pad` is {word!r}; expected one of {', '.join(AUTOMATIC)}")
    return word


def window_of(t: Translation, node: Node, view: View, taps: Pair) -> Window:
    """Return how a window slides over a map, borders that depend on its size worked out."""
    stride, dilate = two(node, "strides"), two(node, "dilations")
    if min(*taps, *stride, *dilate) < 1:
        raise NetworkError(f"its window {taps}, stride {stride} or dilation {dilate} is below 1")
    size = extent(taps, dilate)
    chosen = automatic(node)
    if chosen == "NOTSET":
        return Window(size, stride, dilate, margins_of(node))
    if chosen == "VALID":
        return Window(size, stride, dilate, (0, 0, 0, 0))
    # So that a map divided by the stride comes out. By 1, that is the same for every size.
    maps = (stride[0], stride[1]) if stride == (1, 1) else t.size_of(view)
    wanted = [-(-maps[a] // stride[a]) for a in (0, 1)]
    sums = [max(0, (wanted[a] - 1) * stride[a] + size[a] - maps[a]) for a in (0, 1)]
    return Window(size, stride, dilate, shared(sums, chosen))


def shared(sums: Sequence[int], chosen: str) -> Margins:
    """Share borders among both sides; an odd one goes where the word says."""
    less, more = [n // 2 for n in sums], [n - n // 2 for n in sums]
    if chosen == "SAME_LOWER":
        return more[0], less[0], more[1], less[1]
    return less[0], more[0], less[1], more[1]


def bank(t: Translation, node: Node) -> NDArray[np.floating]:
    """Return the filters of a convolution, of two axes."""
    stored = t.constant(node, 1, "filters")
    if stored is not None and stored.ndim in DIMENSIONS:
        raise NetworkError(
            f"its filters are of shape {stored.shape}: {DIMENSIONS[stored.ndim]}; expected 4 axes"
        )
    return t.weights(node, 1, "filters", 4)


def conv(t: Translation, node: Node) -> Sequence[View]:
    """Translate a correlation."""
    filters = bank(t, node)
    below = as_map(t, node, t.view(node))
    window = window_of(t, node, below, filters.shape[2:])
    groups = node.integer("group", 1)
    if filters.shape[1] * groups != below.channels or groups < 1:
        raise NetworkError(
            f"its filters are of {filters.shape[1]} channels in {groups} groups, for maps of "
            f"{below.channels}"
        )
    bias = t.weights(node, 2, "biases", 1) if t.value(node, 2) is not None else None
    name = t.name(node, 1)
    return [t.add(node, Conv(filters, bias, window.stride, window.pad, window.dilate, name), below)]


def conv_transpose(t: Translation, node: Node) -> Sequence[View]:
    """Translate a transposed convolution; dilated ones have zeros between their filters' taps."""
    filters = bank(t, node)
    below = as_map(t, node, t.view(node))
    stride, dilate = two(node, "strides"), two(node, "dilations")
    if min(*stride, *dilate) < 1:
        raise NetworkError(f"its stride {stride} or dilation {dilate} is below 1")
    size = extent(filters.shape[2:], dilate)
    if dilate != (1, 1):
        t.model.tensors.budget.take(
            (t.model.tensors.place, ": filters with zeros between their taps"),
            filters.shape[0] * filters.shape[1] * size[0] * size[1] * filters.itemsize,
        )
        spread = np.zeros((*filters.shape[:2], *size), filters.dtype)
        spread[:, :, :: dilate[0], :: dilate[1]] = filters
        filters = spread
    bias = t.weights(node, 2, "biases", 1) if t.value(node, 2) is not None else None
    crop, groups = _crop(t, node, below, size, stride), node.integer("group", 1)
    name = t.name(node, 1)
    return [t.add(node, ConvTranspose(filters, bias, stride, crop, groups, name), below)]


def _crop(t: Translation, node: Node, view: View, size: Pair, stride: Pair) -> Margins:
    """Return what is cut off, less what output padding adds below and on the right."""
    more, chosen = two(node, "output_padding", 0), automatic(node)
    if min(more) < 0:
        raise NetworkError(f"`output_padding` is {more}; expected numbers from 0")
    wanted = node.integers("output_shape")
    if wanted is None and chosen in ("NOTSET", "VALID"):
        top, bottom, left, right = margins_of(node) if chosen == "NOTSET" else (0, 0, 0, 0)
        return top, bottom - more[0], left, right - more[1]
    maps = t.size_of(view)
    lengths = [maps[a] * stride[a] for a in (0, 1)] if wanted is None else wanted[-2:]
    if len(lengths) != 2:
        raise NetworkError(f"`output_shape` is {lengths}; expected rows and columns")
    whole = [stride[a] * (maps[a] - 1) + more[a] + size[a] for a in (0, 1)]
    sums = [whole[a] - lengths[a] for a in (0, 1)]
    top, bottom, left, right = shared([max(0, n) for n in sums], _other(chosen))
    short = [max(0, -n) for n in sums]
    return top, bottom - more[0] - short[0], left, right - more[1] - short[1]


def _other(chosen: str) -> str:
    """Return where an odd pixel is cut off: below for SAME_UPPER, and above otherwise."""
    return chosen if chosen == "SAME_UPPER" else "SAME_LOWER"


WINDOWS = {"Conv": conv, "ConvTranspose": conv_transpose}

"""Decoding from above, the paper's way: a filter, taken down layer by layer to the input."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from fdref.geometry import substituted_size
from fdref.layers import BatchNorm, Conv, Pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.arrays import Array
    from fdref.engine import Engine
    from fdref.network import Network
    from fdref.resize import Method


def top(net: Network, number: int, indices: Sequence[int], dtype: np.dtype[Any]) -> Array:
    """Return filters as pictures over the map below them: (K, C, h, w), an array of its own.

    A dilated filter has its zeros in between; a grouped one lies on its own channels, the others
    are zero.
    """
    layer = cast("Conv", net[number])
    count, own = layer.filters.shape[:2]
    per_group = count // net.groups(number)
    if per_group == count and layer.dilate == (1, 1):
        if isinstance(indices, range) and indices.step == 1:
            return layer.filters[indices.start : indices.stop].astype(dtype)
        return layer.filters[list(indices)].astype(dtype, copy=False)
    pictures = np.zeros((len(indices), net.channels[number - 1], *layer.window), dtype)
    for picture, k in zip(pictures, indices, strict=True):
        first = k // per_group * own
        picture[first : first + own, :: layer.dilate[0], :: layer.dilate[1]] = layer.filters[k]
    return pictures


def one_layer_down(
    net: Network, number: int, pictures: Array, unpool: Method, engine: Engine
) -> Array:
    """Express pictures over the output of a layer as pictures over its input."""
    match net[number]:
        case Conv(filters=filters, stride=stride, dilate=dilate):
            bank = np.ascontiguousarray(filters, pictures.dtype)
            return engine.substitute(pictures, bank, stride, dilate, net.groups(number))
        case Pool(window=window, stride=stride):
            return engine.unpool(pictures, stride, window, unpool)
        case BatchNorm() as norm:
            return pictures * norm.scale(pictures.dtype)
        case _:
            return pictures


def picture_shapes(net: Network, number: int) -> list[tuple[int, int, int]]:
    """Return the shape (C, h, w) of a layer's filter at each step on its way down to the input."""
    size = cast("Conv", net[number]).window
    shapes = [(net.channels[number - 1], *size)]
    for below in range(number - 1, 0, -1):
        match net.layers[below - 1]:
            case Conv(window=window, stride=stride) | Pool(window=window, stride=stride):
                size = substituted_size(size, stride, window)
        shapes.append((net.channels[below - 1], *size))
    return shapes

"""Pixel shuffles (depth to space and back), repeated pixels and selected channels, with adjoints.

A reshape splits an axis of pixels in two, that of the blocks and that of the places in a block; a
transposition brings the places beside the channels, or back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.geometry import Pair


def depth_to_space(maps: Array, sources: NDArray[np.intp]) -> Array:
    """Lay channels (N, C*r*r, h, w) out in blocks of pixels (N, C, h*r, w*r).

    ``sources[c, i, j]`` is the channel that pixel (i, j) of the blocks of channel c comes from.
    """
    channels, r, _ = sources.shape
    count, _, height, width = maps.shape
    blocks = maps[:, sources.ravel()].reshape(count, channels, r, r, height, width)
    # (n, c, i, j, y, x) to (n, c, y, i, x, j): then rows are y * r + i, columns x * r + j
    laid = blocks.transpose(0, 1, 4, 2, 5, 3)
    return np.ascontiguousarray(laid).reshape(count, channels, height * r, width * r)


def space_to_depth(maps: Array, sources: NDArray[np.intp]) -> Array:
    """Undo `depth_to_space`, which is its adjoint, too; the maps are whole blocks."""
    channels, r, _ = sources.shape
    count, _, height, width = maps.shape
    blocks = maps.reshape(count, channels, height // r, r, width // r, r)
    # (n, c, y, i, x, j) to (n, c, i, j, y, x): one small map for each place in a block
    by_place = blocks.transpose(0, 1, 3, 5, 2, 4).reshape(count, -1, height // r, width // r)
    deep = np.empty_like(by_place)
    deep[:, sources.ravel()] = by_place
    return deep


def block_sums(maps: Array, factor: Pair) -> Array:
    """Sum whole blocks of pixels: the adjoint of `repeat_pixels`."""
    count, channels, height, width = maps.shape
    rows, columns = height // factor[0], width // factor[1]
    blocks = maps.reshape(count, channels, rows, factor[0], columns, factor[1])  # n, c, y, i, x, j
    sums: Array = blocks.sum(axis=(3, 5))
    return sums


def spread_channels(maps: Array, indices: tuple[int, ...], channels: int) -> Array:
    """Put each channel where a selection took it from, the adjoint; those taken twice add up."""
    spread = np.zeros((len(maps), channels, *maps.shape[2:]), maps.dtype)
    for own, source in enumerate(indices):
        spread[:, source] += maps[:, own]
    return spread


def repeat_pixels(maps: Array, factor: Pair) -> Array:
    """Repeat every pixel so many times, vertically and horizontally."""
    repeated: NDArray[Any] = maps.repeat(factor[0], axis=2).repeat(factor[1], axis=3)
    return repeated

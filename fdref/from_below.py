"""Decoding from below: what a pixel of a map amounts to in the input, found once for all.

Substitution commutes with shifts, and so does `nearest` unpooling. So what a pixel of channel j
amounts to, its *atom*, is the same picture wherever the pixel is, moved by the map's jump; and
filters decode to sums of moved atoms: a substitution again, of atoms for filters, at the jump.

The other unpoolings mirror at the borders, where pixels are unlike their neighbours; but they work
on rows and columns apart. So do the positions of the taps, and what each pixel of a small map
amounts to is a product of three: rows, the taps' weights, columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.from_above import one_layer_down
from fdref.layers import BatchNorm, Conv, Pool

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.arrays import Array
    from fdref.engine import Engine
    from fdref.geometry import Pair
    from fdref.network import Network
    from fdref.resize import Method


def commutes_with_shifts(pool: Pool, unpool: Method) -> bool:
    """Tell whether unpooling treats all pixels alike, those at the borders, too.

    Where the window is smaller than the stride, the border of the enlarged picture is cropped.
    """
    return unpool == "nearest" and all(np.greater_equal(pool.window, pool.stride))


def atoms_above(net: Network, number: int, atoms: Array, jump: Pair, engine: Engine) -> Array:
    """Return the atoms (C, C0, H, W) of a layer's output from those of its input, at its jump.

    The layer is one without filters: those of a layer with filters are its decoded filters.
    """
    match net[number]:
        case Pool(window=window, stride=stride):
            pixel = np.ones((1, 1, 1, 1), atoms.dtype)
            copies = engine.unpool(pixel, stride, window, "nearest")
            maps = atoms.reshape(-1, 1, *atoms.shape[2:])
            pictures = engine.substitute(maps, copies, (1, 1), jump, 1)
            return pictures.reshape(*atoms.shape[:2], *pictures.shape[2:])
        case BatchNorm() as norm:
            return atoms * norm.scale(atoms.dtype)[..., None]
        case _:
            return atoms


def contract(pictures: Array, atoms: Array, jump: Pair, engine: Engine) -> Array:
    """Express pictures (K, C, h, w) over a map in the input, given the atoms of its pixels."""
    return engine.substitute(pictures, atoms, jump, (1, 1), 1)


def contract_each(pictures: Array, atoms: Array, engine: Engine) -> Array:
    """Express pictures (K, C, h, w) in the input, given what `every_pixel` found."""
    return engine.substitute(pictures.reshape(len(pictures), -1, 1, 1), atoms, (1, 1), (1, 1), 1)


def every_pixel(
    net: Network, number: int, size: Pair, unpool: Method, dtype: np.dtype[Any], engine: Engine
) -> Array:
    """Decode each single pixel of pictures of `size` over a layer's output: (C*h*w, C0, H, W).

    A path down through the taps of the filters is a vertical and a horizontal path. Where each
    ends depends on nothing else; only its weight belongs to the two.
    """
    weights = None  # (C, channels below, vertical paths, horizontal paths)
    ends = [np.eye(n, dtype=dtype)[:, None] for n in size]  # of each axis: (pixel, path, place)
    for filters, step, pool in _blocks(net, number, dtype, engine):
        taps = (filters.shape[2], filters.shape[3])
        weights = (
            filters if weights is None else engine.substitute(weights, filters, taps, (1, 1), 1)
        )
        ends = [_each_tap(*axis) for axis in zip(ends, taps, step, strict=True)]
        if pool is not None:
            ends = [
                _unpool_axis(places, stride, window, unpool, engine)
                for places, stride, window in zip(ends, pool.stride, pool.window, strict=True)
            ]
    assert weights is not None  # noqa: S101 - there is at least one block
    rows, columns = (places.swapaxes(1, 2) for places in ends)  # (pixel, place, path)
    (height, below, _), (width, right, _) = rows.shape, columns.shape
    across = weights @ columns.reshape(-1, columns.shape[2]).T
    down = rows.reshape(-1, rows.shape[2]) @ across
    every = down.reshape(*weights.shape[:2], height, below, width, right)
    pictures: Array = every.transpose(0, 2, 4, 1, 3, 5).reshape(-1, weights.shape[1], below, right)
    return pictures


def _blocks(
    net: Network, number: int, dtype: np.dtype[Any], engine: Engine
) -> Iterator[tuple[Array, Pair, Pool | None]]:
    """For all layers between two pools: one bank of filters, its stride, and the pool below."""
    filters, step = _pixels(net, number, dtype), (1, 1)
    for below in range(number, 0, -1):
        match net[below]:
            case Pool() as pool:
                yield filters, step, pool
                filters, step = _pixels(net, below - 1, dtype), (1, 1)
                continue
            case Conv(stride=stride):
                step = (step[0] * stride[0], step[1] * stride[1])
        filters = one_layer_down(net, below, filters, "nearest", engine)
    yield filters, step, None


def _pixels(net: Network, number: int, dtype: np.dtype[Any]) -> Array:
    """One pixel on each channel of a layer's output."""
    return np.eye(net.channels[number], dtype=dtype)[:, :, None, None]


def _each_tap(ends: Array, taps: int, stride: int) -> Array:
    """Continue each path (pixel, path, place) along each tap of a filter."""
    pixels, paths, places = ends.shape
    longer = np.zeros((pixels, paths, taps, (places - 1) * stride + taps), ends.dtype)
    for tap in range(taps):
        longer[:, :, tap, tap : tap + (places - 1) * stride + 1 : stride] = ends
    return longer.reshape(pixels, paths * taps, -1)


def _unpool_axis(ends: Array, stride: int, window: int, unpool: Method, engine: Engine) -> Array:
    """Unpool along the axis of places."""
    maps = ends.reshape(1, -1, ends.shape[2], 1)
    return engine.unpool(maps, (stride, 1), (window, 1), unpool).reshape(*ends.shape[:2], -1)

"""What each pixel of a small map amounts to, where those at the borders are unlike the others.

Bilinear and bicubic unpooling mirror at the borders, but they work on rows and columns apart. So do
the positions of the taps, and what each pixel of a map amounts to is a product of three: rows, the
taps' weights, columns. That takes far fewer operations than decoding each pixel by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.engines.cuts import in_slices
from fdref.engines.parallel import each
from fdref.layers import POINTWISE, Conv, Pool
from fdref.walk.down import Decoding
from fdref.walk.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.geometry import Pair
    from fdref.network.graph import Network


def path_down(net: Network, number: int) -> list[int]:
    """Return the layers on the only way from a map to the input; none if there are more, or others.

    A way leads through convolutions, pools and what is pointwise.
    """
    path = []
    while number > 0:
        if not isinstance(net[number], Conv | Pool | POINTWISE):
            return []
        path.append(number)
        (number,) = net.takes[number]
    return path if number == 0 else []


def with_pools(net: Network) -> frozenset[int]:
    """Return the maps whose only way down to the input leads through a pool."""
    found = {0: False}
    for number, layer in enumerate(net, 1):
        if isinstance(layer, Conv | Pool | POINTWISE) and net.takes[number][0] in found:
            found[number] = isinstance(layer, Pool) or found[net.takes[number][0]]
    return frozenset(number for number, pooled in found.items() if pooled)


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
    for filters, step, pool in _between_pools(net, path_down(net, number), dtype, engine):
        taps = (filters.shape[2], filters.shape[3])
        # A stride of the size of the taps keeps paths apart where substitution would add them.
        weights = (
            filters if weights is None else engine.substitute(weights, filters, taps, (1, 1), 1)
        )
        ends = [_each_tap(*axis) for axis in zip(ends, taps, step, strict=True)]
        if pool is not None:
            ends = [
                _unpool_axis(places, stride, window, unpool, engine)
                for places, stride, window in zip(ends, pool.stride, pool.window, strict=True)
            ]
    assert weights is not None  # noqa: S101 - there is at least one bank, if of single pixels
    rows, columns = (places.swapaxes(1, 2) for places in ends)  # (pixel, place, path)
    return _multiplied(weights, rows, columns)


def _multiplied(weights: Array, rows: Array, columns: Array) -> Array:
    """Sum out all paths, and return a picture (C0, H, W) for each pixel of each channel.

    Parameters
    ----------
    weights : (C, C0, vertical paths, horizontal paths) array
    rows, columns : (pixels, places, paths) arrays
    """
    (height, below, _), (width, right, _) = rows.shape, columns.shape
    count, inputs = weights.shape[:2]
    pictures = np.empty((count, height, width, inputs, below, right), weights.dtype)
    across = np.ascontiguousarray(columns.reshape(width * right, -1).T)
    down = rows.reshape(height * below, -1)

    def fill(channels: slice) -> None:
        # Columns first, then rows: paths are summed out one axis at a time.
        own = weights[channels]
        blended = np.matmul(own.reshape(-1, len(across)), across).reshape(*own.shape[:3], -1)
        every = np.matmul(down, blended).reshape(*own.shape[:2], height, below, width, right)
        # (c, c0, y, row, x, column) to (c, y, x, c0, row, column)
        pictures[channels] = every.transpose(0, 2, 4, 1, 3, 5)

    each(fill, in_slices(count, (inputs, height * below, width * right)))
    return pictures.reshape(-1, inputs, below, right)


def _between_pools(
    net: Network, path: list[int], dtype: np.dtype[Any], engine: Engine
) -> Iterator[tuple[Array, Pair, Pool | None]]:
    """Compose the layers between pools: one bank of filters, its stride, and the pool below."""
    filters, step = _pixels(net, path[0], dtype), (1, 1)
    rules = Decoding(net, path[0], "nearest", engine)
    for number in path:
        match net.decoded_as[number]:
            case Pool() as pool:
                yield filters, step, pool
                filters, step = _pixels(net, net.takes[number][0], dtype), (1, 1)
                continue
            case Conv(stride=stride):
                step = (step[0] * stride[0], step[1] * stride[1])
        (below,) = rules.below(number, Picture(filters, (0, 0)))
        filters = below.values
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

"""Filter decoding with substitution, the paper's method, over the operations of an engine."""

from __future__ import annotations

from math import prod
from operator import index
from typing import TYPE_CHECKING, Literal, cast, overload

import numpy as np

from fdref.engine import engine_named
from fdref.errors import ArgumentError
from fdref.geometry import substituted_size
from fdref.layers import BatchNorm, Conv, Pool
from fdref.resize import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.arrays import Array
    from fdref.engine import Engine
    from fdref.network import Network
    from fdref.resize import Method

LARGEST = 2**31
"""Numbers that one filter's picture may hold: 8 GB in float32."""

BLOCK = 2**24
"""Numbers that the pictures of the filters decoded at once may hold on their way down."""


@overload
def decode(
    net: Network,
    layer: int | str,
    filters: int | Sequence[int] | None = ...,
    unpool: Method = ...,
    engine: str = ...,
    progress: Callable[[int], object] | None = ...,
    *,
    steps: Literal[False] = ...,
) -> Array: ...


@overload
def decode(
    net: Network,
    layer: int | str,
    filters: int | Sequence[int] | None = ...,
    unpool: Method = ...,
    engine: str = ...,
    progress: Callable[[int], object] | None = ...,
    *,
    steps: Literal[True],
) -> list[Array]: ...


def decode(
    net: Network,
    layer: int | str,
    filters: int | Sequence[int] | None = None,
    unpool: Method = "bicubic",
    engine: str = "compiled",
    progress: Callable[[int], object] | None = None,
    *,
    steps: bool = False,
) -> Array | list[Array]:
    """Decode filters of a convolutional layer to image space.

    Parameters
    ----------
    net : Network
    layer : int or str
        Number from 1, or name.
    filters : int or sequence of int, optional
        Which filters, counted from 0; all of them by default.
    unpool : "bicubic", "nearest" or "bilinear"
        How a pooling layer is undone.
    engine : "compiled" or "reference"
        Numba in the weights' own precision, or plain NumPy in float64.
    progress : callable, optional
        Called after each block of filters with their number.
    steps : bool
        Return every stage of the way down.

    Returns
    -------
    (K, C0, Rh, Rw) array
        One picture for each filter asked for: the channels of the input, the size of the layer's
        receptive field. With `steps`, a list of arrays: first the filters themselves, pictures over
        the output of layer - 1, then over that of layer - 2, and so on; the last is the result.

    Raises
    ------
    ArgumentError
        If the layer or a filter does not exist or the layer has no filters; for unknown names; if
        the decoded filters would be larger than any memory.

    Examples
    --------
    >>> import fdref
    >>> fdref.decode(fdref.load(), layer=3, filters=[0, 7]).shape
    (2, 1, 14, 14)
    >>> [stage.shape for stage in fdref.decode(fdref.load(), 3, filters=[0, 7], steps=True)]
    [(2, 20, 5, 5), (2, 20, 10, 10), (2, 1, 14, 14)]
    """
    number = decodable_number(net, layer)
    operations = engine_named(engine)
    if unpool not in METHODS:
        raise ArgumentError(f"unpool is {unpool!r}; expected one of {', '.join(METHODS)}")
    indices = filter_indices(net, number, filters)
    shapes = picture_shapes(net, number)
    if max(map(prod, shapes)) > LARGEST:
        channels, height, width = max(shapes, key=prod)
        raise ArgumentError(
            f"{net.describe(number)} cannot be decoded: on the way down its filters grow to "
            f"{channels} x {height}x{width} pixels; expected at most {LARGEST}"
        )
    dtype = operations.precision(net.dtype)
    stages = [np.empty((len(indices), *s), dtype) for s in (shapes if steps else shapes[-1:])]
    count = max(1, BLOCK // max(map(prod, shapes)))
    for start in range(0, len(indices), count):
        block = indices[start : start + count]
        pictures = top(net, number, block).astype(dtype)
        for depth in range(number):
            if depth > 0:
                pictures = one_layer_down(net, number - depth, pictures, unpool, operations)
            if steps or depth == number - 1:
                stages[depth if steps else 0][start : start + count] = pictures
        if progress is not None:
            progress(len(block))
    return stages if steps else stages[0]


def decode_all(
    net: Network, unpool: Method = "bicubic", engine: str = "compiled"
) -> dict[int, Array]:
    """Decode every filter of every convolutional layer.

    Parameters and errors are those of `decode`.

    Returns
    -------
    dict
        ``{layer: bank}``, the banks as `decode` returns them.

    Examples
    --------
    >>> import fdref
    >>> {layer: bank.shape for layer, bank in fdref.decode_all(fdref.load()).items()}
    {1: (20, 1, 5, 5), 3: (50, 1, 14, 14), 5: (500, 1, 28, 28), 7: (10, 1, 28, 28)}
    """
    return {layer: decode(net, layer, None, unpool, engine) for layer in net.decodable}


def top(net: Network, number: int, indices: Sequence[int]) -> Array:
    """Return filters as pictures over the map below them: (K, C, h, w).

    A dilated filter has its zeros in between; a grouped one lies on its own channels, the others
    are zero.
    """
    layer = cast("Conv", net[number])
    count, own = layer.filters.shape[:2]
    per_group = count // net.groups(number)
    pictures = np.zeros((len(indices), net.channels[number - 1], *layer.window))
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
        match net[below]:
            case Conv(window=window, stride=stride) | Pool(window=window, stride=stride):
                size = substituted_size(size, stride, window)
        shapes.append((net.channels[below - 1], *size))
    return shapes


def decodable_number(net: Network, layer: int | str) -> int:
    """Return the number of a layer that has filters."""
    number = net.number(layer)
    if number not in net.decodable:
        raise ArgumentError(
            f"{net.describe(number)} has no filters; layers that can be decoded are "
            f"{', '.join(map(str, net.decodable))}"
        )
    return number


def filter_indices(net: Network, number: int, filters: int | Sequence[int] | None) -> Sequence[int]:
    """Return which filters of a layer are meant, counted from 0."""
    count = net.channels[number]
    if filters is None:
        return range(count)
    try:
        indices = tuple(map(index, np.atleast_1d(np.asarray(filters, object))))
    except (TypeError, ValueError):
        raise ArgumentError(f"filters are {filters!r}; expected whole numbers from 0") from None
    for k in indices:
        if not 0 <= k < count:
            raise ArgumentError(
                f"{net.describe(number)} has no filter {k}; its filters are 0 to {count - 1}"
            )
    return indices

"""Filter decoding with substitution: from any layer to image space."""

from __future__ import annotations

from operator import index
from typing import TYPE_CHECKING, Literal, overload

import numpy as np

from fdref.blocks import Decoder
from fdref.engine import engine_named
from fdref.errors import ArgumentError
from fdref.down import Decoding
from fdref.fields import check_has_filters, jumps, receptive_field
from fdref.planning import cheapest, from_above
from fdref.resize import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.arrays import Array
    from fdref.blocks import Wanted
    from fdref.engine import Engine
    from fdref.network import Network
    from fdref.planning import Plan
    from fdref.resize import Method


@overload
def decode(
    net: Network,
    layer: int | str,
    filters: int | Sequence[int] | None = ...,
    unpool: Method = ...,
    engine: str = ...,
    progress: Callable[[int], object] | None = ...,
    max_memory: int | None = ...,
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
    max_memory: int | None = ...,
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
    max_memory: int | None = None,
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
        Numba in the weights' own precision, by the way that takes the fewest operations; or plain
        NumPy in float64, the paper's way.
    progress : callable, optional
        Called after each block of filters with their number.
    max_memory : int, optional
        Bytes that may be taken beside the result; half of what is free by default.
    steps : bool
        Go the paper's way, from above, and return every stage.

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
    check_method(unpool)
    indices = filter_indices(net, number, filters)
    if steps:
        return _stages(net, number, indices, unpool, engine_named(engine))
    wanted = {number: indices}
    plan = plan_for(net, wanted, unpool, engine, max_memory)
    return _collect(net, wanted, plan, unpool, engine, progress)[number]


def decode_all(
    net: Network,
    unpool: Method = "bicubic",
    engine: str = "compiled",
    progress: Callable[[int], object] | None = None,
    max_memory: int | None = None,
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
    check_method(unpool)
    wanted: Wanted = {layer: range(net.channels[layer]) for layer in net.decodable}
    plan = plan_for(net, wanted, unpool, engine, max_memory)
    return _collect(net, wanted, plan, unpool, engine, progress)


def plan_for(
    net: Network, wanted: Wanted, unpool: Method, engine: str, max_memory: int | None = None
) -> Plan:
    """Choose the ways: the shortest, but for the reference the paper's.

    Raises
    ------
    ArgumentError
        If pictures would be larger than any memory, or no way fits into the memory allowed.
    """
    counts = {number: len(indices) for number, indices in wanted.items() if len(indices)}
    itemsize = engine_named(engine).precision(net.dtype).itemsize
    if engine == "compiled":
        return cheapest(net, counts, unpool, itemsize, max_memory)
    return from_above(net, counts, unpool, itemsize)


def _collect(
    net: Network,
    wanted: Wanted,
    plan: Plan,
    unpool: Method,
    engine: str,
    progress: Callable[[int], object] | None,
) -> dict[int, Array]:
    """Decode into memory."""
    operations = engine_named(engine)
    dtype = operations.precision(net.dtype)
    banks: dict[int, Array] = {}
    for block in Decoder(net, wanted, plan, unpool, operations):
        count = len(wanted[block.layer])
        if len(block.pictures) == count:
            banks[block.layer] = block.pictures
        else:
            shape = count, *block.pictures.shape[1:]
            bank = banks.setdefault(block.layer, np.empty(shape, dtype))
            bank[block.first : block.first + len(block.pictures)] = block.pictures
        if progress is not None:
            progress(len(block.pictures))
    for number in set(wanted) - set(banks):
        size = receptive_field(net, number).size
        banks[number] = np.empty((0, net.channels[0], *size), dtype)
    return {number: banks[number] for number in wanted}


def _stages(
    net: Network, number: int, indices: Sequence[int], unpool: Method, engine: Engine
) -> list[Array]:
    """Decode from above and keep every picture on the way."""
    check_has_filters(net, number)
    jumps(net, number)
    return Decoding(net, number, unpool, engine).stages(indices, (0, 0))


def check_method(unpool: str) -> None:
    """Raise ArgumentError unless there is such an unpooling."""
    if unpool not in METHODS:
        raise ArgumentError(f"unpool is {unpool!r}; expected one of {', '.join(METHODS)}")


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

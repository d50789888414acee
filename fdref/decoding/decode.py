"""Filter decoding with substitution: from any layer to image space."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import callback, instance
from fdref.decoding.blocks import Plan
from fdref.network.graph import Network
from fdref.network.units import boxes, unit_at
from fdref.selection import filter_indices
from fdref.walk.down import Decoding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.resize import Method


def decode(
    net: Network,
    layer: int | str,
    filters: ArrayLike | None = None,
    unpool: Method = "bicubic",
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
    max_memory: int | None = None,
    *,
    phase: Sequence[int] | None = None,
    position: Sequence[int] | None = None,
) -> Array:
    """Decode filters of a layer to image space.

    Any layer's: what a unit of a sum or of a pool amounts to is decoded like a convolution's.

    Parameters
    ----------
    net : Network
    layer : int or str
        Number from 1, or name.
    filters : int, sequence or array of int, or mask, optional
        Which filters, counted from 0, or a truth value for each filter that there is; all of them
        by default, none where it is empty.
    unpool : "bicubic", "nearest", "bilinear" or "window"
        How a pooling layer is undone.
    engine : "compiled", "reference" or Engine
        Numba in the weights' own precision, by the way that takes the fewest operations; plain
        NumPy in float64, the paper's way; or an object with the operations of `fdref.Engine`.
    progress : callable, optional
        Called after each block of filters with their number.
    max_memory : int, optional
        Bytes that may be taken beside the result, at least 1; half of what is free by default.
        Counted is every array, those that threads keep for themselves, too.
    phase : (vertical, horizontal), optional
        Above layers that enlarge maps, the units of a channel have several filters, which repeat:
        the filter of those at this position; by default (0, 0).
    position : (vertical, horizontal), optional
        Of a network of known input size: what the unit at this position sees of the image itself,
        clipped at the borders of all maps. `receptive_field` tells where that is.

    Returns
    -------
    (K, C0, Rh, Rw) array
        One picture for each filter asked for: the channels of the image, the size of the layer's
        receptive field.

    Raises
    ------
    ArgumentError
        If the layer or a filter does not exist; if the layer has no single filter, because units
        see what others do not, or a product lies below; for unknown names; if
        the decoded filters would be larger than any memory, or `max_memory` is no whole number or
        too little.

    Examples
    --------
    >>> import fdref
    >>> fdref.decode(fdref.load(), layer=3, filters=[0, 7]).shape
    (2, 1, 14, 14)
    """
    number = instance(net, Network, "net").number(layer)
    callback(progress, "progress")
    wanted = {number: filter_indices(net, number, filters)}
    unit = unit_at(net, number, phase, position)
    plan = Plan(net, wanted, unpool, engine, max_memory, unit)
    return collect(plan, progress)[number]


def stages(
    net: Network,
    layer: int | str,
    filters: ArrayLike | None = None,
    unpool: Method = "bicubic",
    engine: Engine | str = "compiled",
    *,
    phase: Sequence[int] | None = None,
    position: Sequence[int] | None = None,
) -> list[Array]:
    """Decode filters of a layer the paper's way, from above, and keep every picture on the way.

    Parameters and errors are those of `decode`.

    Returns
    -------
    list of (K, C, h, w) arrays
        First the filters themselves, pictures over the output of layer - 1, then over that of
        layer - 2, and so on; the last is what `decode` returns. In a graph, pictures over the maps
        below the layer, in reverse order.

    Examples
    --------
    >>> import fdref
    >>> [stage.shape for stage in fdref.stages(fdref.load(), 3, filters=[0, 7])]
    [(2, 20, 5, 5), (2, 20, 10, 10), (2, 1, 14, 14)]
    """
    number = instance(net, Network, "net").number(layer)
    wanted = {number: filter_indices(net, number, filters)}
    plan = Plan(net, wanted, unpool, engine, None, unit_at(net, number, phase, position))
    rules = Decoding(plan.net, number, plan.unpool, plan.operations, plan.unit)
    return rules.stages(plan.wanted[number])


def decode_all(
    net: Network,
    unpool: Method = "bicubic",
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
    max_memory: int | None = None,
) -> dict[int, Array]:
    """Decode every filter of every layer that has filters in the image.

    Parameters and errors are those of `decode`. Left out are convolutions that see only further
    inputs, and those above products and maxima.

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
    wanted = {
        layer: range(net.channels[layer]) for layer in instance(net, Network, "net").decodable
    }
    callback(progress, "progress")
    return collect(Plan(net, wanted, unpool, engine, max_memory), progress)


def collect(plan: Plan, progress: Callable[[int], object] | None) -> dict[int, Array]:
    """Decode what a plan holds into memory: ``{layer: (K, C0, H, W) array}``."""
    banks: dict[int, Array] = {}
    for block in plan:
        count = len(plan.wanted[block.layer])
        if len(block.pictures) == count:
            banks[block.layer] = block.pictures
        else:
            if block.layer not in banks:
                banks[block.layer] = np.empty((count, *block.pictures.shape[1:]), plan.dtype)
            bank = banks[block.layer]
            bank[block.first : block.first + len(block.pictures)] = block.pictures
        if progress is not None:
            progress(len(block.pictures))
        del block  # else it is kept for as long as the next one is being decoded
    for number in set(plan.wanted) - set(banks):
        banks[number] = np.empty(
            (0, plan.net.channels[0], *boxes(plan.net, number, plan.unit)[0].size), plan.dtype
        )
    return {number: banks[number] for number in plan.wanted}

"""What it takes to find what every pixel of a small map amounts to, path by path."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple

from fdref.decoding.costs import Cost, substitution
from fdref.engines.cuts import substitution_scratch
from fdref.geometry import substituted_size
from fdref.layers import Conv, Pool
from fdref.network.fields import Box

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.geometry import Pair, ReceptiveField
    from fdref.network.graph import Network

BAND = 400
"""Bytes that it takes to find which pixels one row or column of an enlarged map is made of."""


class Paths(NamedTuple):
    """The cost of the weights of all paths from a map's pixels down to the image."""

    cost: Cost
    held: int
    """elements that are held meanwhile"""
    scratch: int
    """elements that a thread keeps"""
    counts: Pair
    """how many paths there are along each axis"""


def paths_of(
    net: Network,
    path: list[int],
    step: Callable[[int, Box, Box], Cost],
    scratch_of: Callable[[int, int, Box, Box], Pair],
) -> Paths:
    """Count what it takes to find the weights of all paths down the only way.

    As `fdref.decoding.every_pixel` goes: banks between pools, then paths through their taps.
    """
    channels, cost, peak, scratch = net.channels[path[0]], Cost(), 0, 0
    top, filters, paths = path[0], (1, 1), (1, 1)
    for number, after in zip([*path, 0], [*path[1:], 0, 0], strict=True):
        layer = net.decoded_as.get(number)
        if isinstance(layer, Conv):
            grown = substituted_size(filters, layer.stride, layer.window)
            box, below = _box(filters), _box(grown)
            cost += step(number, box, below).times(net.channels[top])
            scratch = max(scratch, *scratch_of(number, net.channels[top], box, below))
            filters = grown
            peak = max(peak, net.channels[top] * net.channels[after] * prod(grown))
        elif isinstance(layer, Pool) or layer is None:
            cost += substitution((net.channels[top], *paths), net.channels[number], filters).times(
                channels
            )
            bank = (net.channels[top], net.channels[number], *filters)
            scratch = max(scratch, *substitution_scratch(channels, paths, bank, 1, (1, 1)))
            paths = (paths[0] * filters[0], paths[1] * filters[1])
            peak = max(peak, channels * net.channels[number] * prod(paths))
            top, filters = after, (1, 1)
    return Paths(cost, 3 * peak, scratch, paths)  # those above, those below, the filters between


def pixels_of(
    net: Network, number: int, size: Pair, field: ReceptiveField, paths: Paths
) -> tuple[Cost, int, int]:
    """Count what `every_pixel` does, the numbers it holds beside the result, and a thread's."""
    pictures = net.channels[number] * net.channels[0]
    rows, columns = (
        n * ((n - 1) * jump + whole)
        for n, jump, whole in zip(size, field.stride, field.size, strict=True)
    )
    down, across = paths.counts
    products = pictures * columns * down * (across + rows)
    elements = pictures * rows * columns
    # What lies between the two products; the ends of paths before and after a step, and turned.
    held = paths.held + pictures * columns * down + 3 * (rows * down + columns * across)
    cost = paths.cost + Cost(products, short=3 * elements, calls=10)  # made, and put in order
    return cost, held, paths.scratch


def _box(size: Pair) -> Box:
    return Box(0, 0, size[0] - 1, size[1] - 1)

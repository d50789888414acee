"""Which layers of somebody's own network are asked about, and on images of what size.

A kit shall be made, and judged, in seconds, whatever the network: what a case takes is counted
before anything is computed.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from fdref.engines.resize import METHODS
from fdref.errors import FdrefError, NetworkError
from fdref.layers import Concat, Conv, ConvTranspose, Pool, Sum
from fdref.network.fields import ancestors, filters_in_the_image
from fdref.network.units import boxes, unit_at

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.engines.resize import Method
    from fdref.geometry import Pair
    from fdref.network.graph import Network

Chosen = TypeVar("Chosen")

MOST_NUMBERS = 2**19
"""Numbers that the outputs of a case may have together: 2 MB."""
MOST_WORK = 2**29
"""Multiply-adds of a case that decodes, by the reference engine: about half a second's."""
MOST_FORWARD = 20 * 10**9
"""Multiply-adds of the forward pass: a VGG-16 takes 17 thousand million."""
MOST_BANK = 2**28
"""Multiply-adds of the filters of a layer that is evaluated: they are decoded several times."""
MOVED = 64
"""Multiply-adds that moving a number takes as long as."""

DECODED = 5
"""Layers that are decoded, if there are as many."""
FILTERS = 2
"""Filters of a layer that are decoded."""

STEP, LARGEST_FIELD, LARGEST_IMAGE = 4, 60, 1024
"""Pixels: in which sizes of images grow; beyond which fields are larger than images; at most."""


class Stage(NamedTuple):
    """A map on the way down."""

    number: int
    size: Pair
    """of the pictures over it"""


class Decoded(NamedTuple):
    """A layer to be decoded."""

    number: int
    filters: list[int]
    stages: list[int]
    """those that are asked for, from 1"""
    of: int
    """how many there are"""
    work: int


def candidates(net: Network) -> list[int]:
    """Return the layers to choose from: those with filters, and joins that lie above them all."""
    below = {n for number in net.decodable for n in ancestors(net, number)}
    joins = [
        n for n in filters_in_the_image(net) if isinstance(net[n], Sum | Concat) and n not in below
    ]
    return sorted({*net.decodable, *joins})


def stages_of(net: Network, number: int) -> list[Stage]:
    """Return the maps on the way down from a layer, in the order of the stages.

    Raises
    ------
    FdrefError
        If the layer has no single filter.
    """
    found = boxes(net, number, unit_at(net, number, None, None))
    own = {number} if isinstance(net[number], Conv) else set()  # it begins with its filters, below
    return [Stage(n, found[n].size) for n in sorted(found.keys() - own, reverse=True)]


def work_down(net: Network, stages: Sequence[Stage]) -> int:
    """Count the multiply-adds of a filter's way down."""
    sizes = dict(stages)
    total = 0
    for number, size in stages:
        total += MOVED * net.channels[number] * prod(size)
        if number > 0 and isinstance(layer := net[number], Conv | ConvTranspose):
            place = size if isinstance(layer, Conv) else sizes[net.takes[number][0]]
            total += prod(place) * layer.filters.size
    return total


def work_up(net: Network, sizes: Sequence[Pair]) -> list[int]:
    """Count the multiply-adds for each map of an image, and all that is below in the file."""
    total, found = 0, []
    for number in range(len(net) + 1):
        total += MOVED * net.channels[number] * prod(sizes[number])
        if number > 0 and isinstance(layer := net[number], Conv | ConvTranspose):
            place = sizes[number if isinstance(layer, Conv) else net.takes[number][0]]
            total += prod(place) * layer.filters.size
        found.append(total)
    return found


def decoded(net: Network, number: int) -> Decoded | None:
    """Choose filters and stages of a layer; None if it has no filter, or they take too much."""
    try:
        stages = stages_of(net, number)
    except FdrefError:
        return None
    work, channels = work_down(net, stages), net.channels[number]
    count = min(FILTERS, channels, MOST_WORK // max(work, 1))
    numbers = [count * net.channels[n] * prod(size) for n, size in stages]
    if not count or numbers[-1] > MOST_NUMBERS:
        return None
    fewest, most = net.copies[number]
    # Where pools share, only what reaches the image is the same whatever divides first.
    asked = [len(stages) - 1] if fewest != most else fitting(numbers)
    filters = [channels // 3, channels - 1][:count] if channels > 1 else [0]
    return Decoded(number, filters, [place + 1 for place in asked], len(stages), count * work)


def fitting(numbers: Sequence[int], most: int = MOST_NUMBERS) -> list[int]:
    """Return the places of outputs that fit together: the last, and the smallest of the others.

    Of those of one size some are left out everywhere.

    >>> fitting([9, 2, 4, 5], most=12), fitting([1] * 9, most=5)
    ([1, 2, 3], [0, 2, 4, 6, 8])
    """
    chosen, left = [len(numbers) - 1], most - numbers[-1]
    # With their bits reversed, numbers in a row lie far apart.
    spread_out = [int(f"{place:032b}"[::-1], 2) for place in range(len(numbers))]
    for place in sorted(range(len(numbers) - 1), key=lambda n: (numbers[n], spread_out[n])):
        left -= numbers[place]
        if left >= 0:
            chosen.append(place)
    return sorted(chosen)


def spread(found: Sequence[Chosen], count: int) -> list[Chosen]:
    """Choose so many of a sequence, the first and the last among them, evenly.

    >>> spread(range(10), 4), spread([3, 5], 4)
    ([0, 3, 6, 9], [3, 5])
    """
    if len(found) <= count:
        return [*found]
    return [found[place * (len(found) - 1) // (count - 1)] for place in range(count)]


def methods(net: Network, number: int) -> tuple[Method, ...]:
    """Return the unpoolings that differ below a layer: one if there is no pool."""
    pools = any(n > 0 and isinstance(net[n], Pool) for n in ancestors(net, number)[1:])
    return METHODS if pools else ("nearest",)


def image_size(net: Network, chosen: Sequence[int]) -> Pair:
    """Return the size of the images: the network's own, or a little more than fields of layers.

    Raises
    ------
    NetworkError
        If none fits.
    """
    if net.input_size is not None:
        return net.input_size
    fields = (max(stages_of(net, number)[-1].size) for number in chosen)
    first = min(max(fields, default=1), LARGEST_FIELD) // STEP * STEP + STEP
    problem = ""
    for side in range(first, LARGEST_IMAGE, STEP):
        for size in ((side, side + STEP), (side, side)):  # who exchanges axes shall see it
            try:
                net.map_sizes(size)
            except NetworkError as error:
                problem = str(error)
            else:
                return size
    raise NetworkError(
        f"no image of up to {LARGEST_IMAGE} pixels fits: {problem}; give the file an input size"
    )


def evaluated(net: Network, number: int, sizes: Sequence[Pair], images: int) -> int:
    """Count the multiply-adds of predicting a layer's responses; 0 if it is not to be done."""
    field = net.fields.get(number)
    if field is None or not isinstance(net[number], Conv):
        return 0
    responses = images * net.channels[number] * prod(sizes[number])
    work = work_down(net, stages_of(net, number)) * net.channels[number]
    work += responses * net.channels[0] * prod(field.size)
    fits = work <= MOST_BANK and 2 * responses <= MOST_NUMBERS
    return work + images * work_up(net, sizes)[number] if fits else 0

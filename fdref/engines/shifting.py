"""Shift-and-add, counted: when it is shorter than a matrix of patches, and what memory it takes.

The matrix of patches (im2col) has a copy of each pixel for every tap. With many filters that is
little beside the product; with one, or one for each channel (depthwise), the copies are nearly all
that is done. So it is with the sums of their adjoint (col2im). Then maps are moved by each tap, and
added up, times its weight, where they are: see `shifts`.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fdref.engines.products import LONG
from fdref.geometry import extent, substituted_size

if TYPE_CHECKING:
    from fdref.geometry import Pair

# With one, three and twenty channels and windows of 3x3 to 11x11 the two took as long with 18 to 36
# filters; with 6 of them the matrix took 1.5 to 4 times as long.
FEW = 20
"""Filters that see a channel, each with what it adds in vain, up to which shift-and-add pays."""

SETTING_OUT = 64
"""Pixels that could be added up while a tap's row is set out on."""

MAPS, SUMS = 2**18, 3
"""Pixels of the maps that are moved in one part, and of the sums that they are added to, of three
filters at a time: 1 MB in float32."""

Filters = tuple[int, ...]
"""(K, C/groups, kh, kw), the shape of the filters"""


def pays(filters: Filters, channels: int, size: Pair, stride: Pair, dilate: Pair) -> bool:
    """Tell whether filters correlate faster so, with so many channels, to responses of a size."""
    return _pays(filters, channels, size, stride, dilate, prod(size))


def pays_to_substitute(
    maps: tuple[int, ...], filters: Filters, groups: int, stride: Pair, dilate: Pair
) -> bool:
    """Tell whether filters are added up faster so, for the pixels of maps (N, K, h, w)."""
    if stride != (1, 1):
        return False
    size = substituted_size((maps[2], maps[3]), stride, extent(filters[2:], dilate))
    return _pays(_turned(filters, groups), filters[0], size, stride, dilate, prod(maps[2:]))


def _turned(filters: Filters, groups: int) -> Filters:
    """Return the shape of filters that correlate maps to what substitution adds up."""
    return filters[1] * groups, filters[0] // groups, *filters[2:]


def _pays(
    filters: Filters, channels: int, size: Pair, stride: Pair, dilate: Pair, copied: int
) -> bool:
    """Tell it, where the other way copies, or adds, so many pixels for each tap."""
    count, own, *taps = filters
    row = size[0] * pitch(taps[1], size[1], stride[1], dilate[1]) + SETTING_OUT
    # Sums are added one by one, in the arrays' own precision.
    return own * prod(taps) <= LONG and count * own // channels * row <= FEW * copied


def pitch(taps: int, width: int, stride: int, dilate: int) -> int:
    """Return from where to where a line of a map is followed by the next, when taps are moved."""
    return width + (taps - 1) * dilate // stride


def scratch_size(
    maps: tuple[int, ...], filters: Filters, groups: int, stride: Pair, dilate: Pair
) -> int:
    """Return how many numbers a thread keeps at most where filters are substituted so, or 0."""
    if not pays_to_substitute(maps, filters, groups, stride, dilate):
        return 0
    own = filters[0] // groups
    height, width = substituted_size((maps[2], maps[3]), stride, extent(filters[2:], dilate))
    beyond = (filters[3] - 1) * dilate[1]
    lines = min(height, max(1, MAPS // ((width + beyond) * (own + SUMS))))
    # The maps of a group with zeros around them, and the sums.
    return (own * (lines + (filters[2] - 1) * dilate[0]) + SUMS * lines) * (width + beyond)

"""Correlation with few filters by shift-and-add, where no matrix of patches pays.

The matrix of patches (im2col) has a copy of each pixel for every tap. With many filters that is
little beside the product; with one, or one for each channel (depthwise), the copies are nearly all
that is done. Then maps are moved by each tap and added up, times its weight, where they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref import kernels
from fdref.engines.cuts import by_strips, seconds
from fdref.engines.parallel import each
from fdref.engines.products import LONG

if TYPE_CHECKING:
    from fdref.arrays import Array
    from fdref.engines.cuts import Part
    from fdref.geometry import Margins, Pair

# With one channel and with twenty, windows of 1x1 to 15x15: with so many filters the two took as
# long, to within a tenth; with one filter im2col took 2 to 9 times as long.
FEW = 14
"""Filters that see a channel, each with what it adds in vain, up to which shift-and-add pays."""

SETTING_OUT = 64
"""Pixels that could be added up while a tap's row is set out on."""


def pays(filters: Array, channels: int, size: Pair, stride: Pair, dilate: Pair) -> bool:
    """Tell whether filters (K, C/groups, kh, kw) correlate faster so, to responses of a size."""
    share = len(filters) * filters.shape[1] // channels
    row = size[0] * _pitch(filters, size, stride, dilate) + SETTING_OUT
    # Its sums are added one by one, in the arrays' own precision.
    return bool(filters[0].size <= LONG and share * row <= FEW * size[0] * size[1])


def correlate(
    images: Array,
    filters: Array,
    bias: Array | None,
    response: Array,
    stride: Pair,
    pad: Margins,
    dilate: Pair,
) -> None:
    """Fill a response (N, K, oh, ow)."""
    size = (response.shape[2], response.shape[3])
    offsets = np.zeros(len(filters), images.dtype) if bias is None else bias

    def fill(part: Part) -> None:
        batch, rows = part
        kernels.correlate(
            images[batch],
            filters,
            offsets,
            response[batch, :, rows],
            stride,
            (pad[0], pad[2]),
            dilate,
            rows.start,
        )

    pitch = _pitch(filters, size, stride, dilate)
    # A multiply-add by a loop takes twice as long as one of a product.
    added = len(images) * filters.size * size[0] * pitch
    each(fill, by_strips(len(images), filters, size[0], pitch), seconds(2 * added))


def _pitch(filters: Array, size: Pair, stride: Pair, dilate: Pair) -> int:
    """Return from where to where a line of a map is followed by the next, when taps are moved."""
    return size[1] + int(filters.shape[3] - 1) * dilate[1] // stride[1]

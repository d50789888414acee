"""Correlation and substitution by shift-and-add, where `shifting` says that it pays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref import kernels
from fdref.engines.cuts import by_strips, seconds
from fdref.engines.parallel import each
from fdref.engines.shifting import pitch

if TYPE_CHECKING:
    from fdref.arrays import Array
    from fdref.engines.cuts import Part
    from fdref.geometry import Margins, Pair


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

    line = pitch(filters.shape[3], size[1], stride[1], dilate[1])
    # A multiply-add by a loop takes twice as long as one of a product.
    added = len(images) * filters.size * size[0] * line
    each(fill, by_strips(len(images), filters, size[0], line), seconds(2 * added))


def substitute(maps: Array, filters: Array, pictures: Array, dilate: Pair) -> None:
    """Fill pictures (N, C, H, W): correlate maps, zero beside them, with the filters turned round.

    Those zeros are multiplied by all weights, which must be finite.
    """
    count, own, *taps = filters.shape
    groups = pictures.shape[1] // own
    by_group = filters[:, :, ::-1, ::-1].reshape(groups, count // groups, own, *taps)
    turned = by_group.swapaxes(1, 2).reshape(pictures.shape[1], -1, *taps)
    down, right = ((tap - 1) * gap for tap, gap in zip(taps, dilate, strict=True))
    pad = down, down, right, right
    correlate(maps, np.ascontiguousarray(turned), None, pictures, (1, 1), pad, dilate)

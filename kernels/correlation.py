"""Correlation by shift-and-add: for few filters, to which a matrix of patches is not worth making.

A map is a row, its lines one behind the other. So is what a tap of a filter sees of the image:
the same row, moved. Taps are added up along the whole row, and what lies between two lines, where a
filter would begin in one line and end in the next, is left out at the end. Where the stride is not
1, an image is dealt out to as many phases as there are places within a stride, and taps that see a
phase see a row of its.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numba.extending import register_jitable

from fdref.kernels.jit import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.arrays import Array


@compiled
def correlate(
    images: Array,
    filters: Array,
    bias: Array,
    response: Array,
    stride: tuple[int, int],
    pad: tuple[int, int],
    dilate: tuple[int, int],
    top: int,
) -> None:
    """Correlate images (N, C, H, W), zero beside them, with filters (K, C/groups, kh, kw).

    Response (N, K, rows, ow): the rows of positions from `top` on. Pad: (top, left).
    """
    count, own, high, wide = filters.shape
    share = count * own // images.shape[1]
    rows, columns = response.shape[2:]
    # How far taps are moved within a phase, at most.
    down, right = (high - 1) * dilate[0] // stride[0], (wide - 1) * dilate[1] // stride[1]
    pitch = columns + right
    # Images of which each line is one of the phase's, and as long, are read where they are.
    below = top + rows + down - images.shape[2]  # lines that positions reach beyond the image
    whole = stride == (1, 1) and pad == (0, 0) and pitch == images.shape[3] and below <= 0
    lines = images.shape[2] if whole else rows + down
    phases = np.zeros((own, stride[0], stride[1], 0 if whole else lines, pitch), images.dtype)
    starts = _starts(own, (high, wide), stride, dilate, (lines, pitch))
    if whole:
        starts += top * pitch
    total = np.empty((rows, pitch), images.dtype)
    row = total.reshape(-1)[: rows * pitch - right]  # no tap is moved beyond the last phase's end
    for n in range(len(images)):
        for group in range(images.shape[1] // own):
            first = group * own
            if whole:
                seen = images[n, first : first + own].reshape(-1)
            else:
                seen = phases.reshape(-1)
                for c in range(own):
                    _deal_out(images[n, first + c], phases[c], stride, pad, top)
            for k in range(group * share, (group + 1) * share):
                _add_taps(seen, starts, filters[k].reshape(-1), row)
                for y in range(rows):
                    for x in range(columns):
                        response[n, k, y, x] = total[y, x] + bias[k]


@register_jitable
def _starts(
    channels: int,
    taps: tuple[int, int],
    stride: tuple[int, int],
    dilate: tuple[int, int],
    size: tuple[int, int],
) -> NDArray[np.int64]:
    """Return where each weight of a filter begins to see, in all phases of a size as one row."""
    high, wide = taps
    rows, pitch = size
    starts = np.empty(channels * high * wide, np.int64)
    i = 0
    for c in range(channels):
        for u in range(high):
            y, phase_y = divmod(u * dilate[0], stride[0])
            for v in range(wide):
                x, phase_x = divmod(v * dilate[1], stride[1])
                phase = (c * stride[0] + phase_y) * stride[1] + phase_x
                starts[i] = (phase * rows + y) * pitch + x
                i += 1
    return starts


@register_jitable
def _deal_out(
    image: Array, phases: Array, stride: tuple[int, int], pad: tuple[int, int], top: int
) -> None:
    """Copy an image (H, W) to the phases (sy, sx, rows, pitch); beside it they stay as they are."""
    rows, pitch = phases.shape[2:]
    for a in range(stride[0]):
        for b in range(stride[1]):
            first = b - pad[1]
            left = max(0, -(first // stride[1]))
            right = min(pitch, (image.shape[1] - 1 - first) // stride[1] + 1)
            for y in range(rows):
                line = (top + y) * stride[0] + a - pad[0]
                if 0 <= line < image.shape[0]:
                    target, pixels = phases[a, b, y], image[line]
                    if stride[1] == 1:
                        for x in range(left, right):
                            target[x] = pixels[first + x]
                    else:
                        for x in range(left, right):
                            target[x] = pixels[first + x * stride[1]]


@register_jitable(fastmath={"contract"})
def _add_taps(phases: Array, starts: NDArray[np.int64], weights: Array, total: Array) -> None:
    """Add up what all weights of a filter see, four at a time, so that sums are written less."""
    size = total.size
    total[:] = 0
    fours = weights.size // 4 * 4
    for i in range(0, fours, 4):
        one, two = phases[starts[i] :], phases[starts[i + 1] :]
        three, four = phases[starts[i + 2] :], phases[starts[i + 3] :]
        a, b, c, d = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        for x in range(size):
            total[x] = (((total[x] + a * one[x]) + b * two[x]) + c * three[x]) + d * four[x]
    for i in range(fours, weights.size):
        pixels, weight = phases[starts[i] :], weights[i]
        for x in range(size):
            total[x] += weight * pixels[x]

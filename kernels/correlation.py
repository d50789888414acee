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


TOGETHER = 3
"""Filters that are moved at once: of two, and of four, pixels were read too often."""


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
    total = np.empty((TOGETHER, rows, pitch), images.dtype)
    sums = total.reshape(TOGETHER, -1)
    size = max(0, rows * pitch - right)  # no tap is moved beyond the last phase's end
    weights = filters.reshape(count, -1)
    for n in range(len(images)):
        for group in range(images.shape[1] // own):
            first = group * own
            if whole:
                seen = images[n, first : first + own].reshape(-1)
            else:
                seen = phases.reshape(-1)
                for c in range(own):
                    _deal_out(images[n, first + c], phases[c], stride, pad, top)
            threes = share // TOGETHER * TOGETHER
            for k in range(group * share, group * share + threes, TOGETHER):
                _add_taps_of_three(seen, starts, weights[k : k + TOGETHER], sums, size)
                _copy(total, bias[k : k + TOGETHER], response[n, k : k + TOGETHER])
            for k in range(group * share + threes, (group + 1) * share):
                _add_taps(seen, starts, weights[k], sums[0], size)
                _copy(total[:1], bias[k : k + 1], response[n, k : k + 1])


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
        above, below, line = _meeting(top * stride[0] + a - pad[0], stride[0], image.shape[0], rows)
        for b in range(stride[1]):
            left, right, first = _meeting(b - pad[1], stride[1], image.shape[1], pitch)
            for y in range(below - above):
                for x in range(right - left):
                    phases[a, b, above + y, left + x] = image[
                        line + y * stride[0], first + x * stride[1]
                    ]


@register_jitable
def _meeting(first: int, step: int, size: int, count: int) -> tuple[int, int, int]:
    """Return which of `count` pixels, each a step further, are within a size, and the first's."""
    start = max(0, -(first // step))
    return start, min(count, (size - 1 - first) // step + 1), max(0, first + start * step)


@register_jitable
def _copy(sums: Array, bias: Array, response: Array) -> None:
    """Copy sums (K, rows, pitch), and what is added to each, to responses (K, rows, columns)."""
    for k in range(len(sums)):
        for y in range(response.shape[1]):
            for x in range(response.shape[2]):
                response[k, y, x] = sums[k, y, x] + bias[k]


# Several taps at a time, so that sums are read and written less, and several filters, so that
# pixels are. What is not a multiple comes first: odd squares are one more than a multiple of eight.
# Where an index cannot be seen to be no less than 0, Numba asks of each whether it counts from the
# end, and nothing is vectorized: hence max(0, ...).


@register_jitable(fastmath={"contract"})
def _add_taps(
    seen: Array, starts: NDArray[np.int64], weights: Array, sums: Array, size: int
) -> None:
    """Add up what a filter's weights see, eight at a time."""
    alone = weights.size % 8
    for i in range(alone):
        start, weight = max(0, starts[i]), weights[i]
        if i == 0:
            for x in range(size):
                sums[x] = weight * seen[start + x]
        else:
            for x in range(size):
                sums[x] += weight * seen[start + x]
    if not alone:
        for x in range(size):
            sums[x] = 0
    for i in range(alone, weights.size, 8):
        a, b, c, d = weights[i], weights[i + 1], weights[i + 2], weights[i + 3]
        e, f, g, h = weights[i + 4], weights[i + 5], weights[i + 6], weights[i + 7]
        at_a, at_b, at_c, at_d = _four(starts, i)
        at_e, at_f, at_g, at_h = _four(starts, i + 4)
        for x in range(size):
            some = sums[x] + a * seen[at_a + x] + b * seen[at_b + x]
            some = some + c * seen[at_c + x] + d * seen[at_d + x]
            some = some + e * seen[at_e + x] + f * seen[at_f + x]
            sums[x] = some + g * seen[at_g + x] + h * seen[at_h + x]


@register_jitable(fastmath={"contract"})
def _add_taps_of_three(
    seen: Array, starts: NDArray[np.int64], weights: Array, sums: Array, size: int
) -> None:
    """Add up what the weights of three filters see, four at a time, each in the same order."""
    one, two, three = sums[0], sums[1], sums[2]
    alone = weights.shape[1] % 4
    for x in range(size):
        one[x] = two[x] = three[x] = 0
    for i in range(alone):
        start = max(0, starts[i])
        a, e, m = weights[0, i], weights[1, i], weights[2, i]
        for x in range(size):
            pixel = seen[start + x]
            one[x] += a * pixel
            two[x] += e * pixel
            three[x] += m * pixel
    for i in range(alone, weights.shape[1], 4):
        a, b, c, d = weights[0, i], weights[0, i + 1], weights[0, i + 2], weights[0, i + 3]
        e, f, g, h = weights[1, i], weights[1, i + 1], weights[1, i + 2], weights[1, i + 3]
        m, n, o, p = weights[2, i], weights[2, i + 1], weights[2, i + 2], weights[2, i + 3]
        at, at_b, at_c, at_d = _four(starts, i)
        for x in range(size):
            q, r, s, t = seen[at + x], seen[at_b + x], seen[at_c + x], seen[at_d + x]
            one[x] = one[x] + a * q + b * r + c * s + d * t
            two[x] = two[x] + e * q + f * r + g * s + h * t
            three[x] = three[x] + m * q + n * r + o * s + p * t


@register_jitable
def _four(starts: NDArray[np.int64], i: int) -> tuple[int, int, int, int]:
    return max(0, starts[i]), max(0, starts[i + 1]), max(0, starts[i + 2]), max(0, starts[i + 3])

"""Sections 1 and 2: shapes, types, and the forward pass."""

from __future__ import annotations

from math import ceil

import numpy as np

from fdref.layers import Conv, Normalize
from mutants.making import asked, each, engine, given, named, part, swapped, told


def infinite_times_zero(right, x, filters, *more):
    """Leave out what weighs 0."""
    clean = right(np.where(np.isfinite(x), x, 0), filters, *more)
    seen = right((~np.isfinite(x)).astype(float), (filters != 0).astype(float), None, *more[1:]) > 0
    return np.where(seen, right(x, filters, *more), clean)


def edges_repeated(right, x, filters, bias, stride, pad, dilate):
    """Pad with the border's pixels."""
    padded = np.pad(x, ((0, 0), (0, 0), pad[:2], pad[2:]), "edge")
    return right(padded, filters, bias, stride, (0, 0, 0, 0), dilate)


def read_on_below(right, x, filters, bias, stride, pad, dilate):
    """Go on in memory below the image, where the next one begins, instead of seeing zeros."""
    following = np.concatenate([x[1:], np.zeros_like(x[:1])])
    under = following[:, :, : pad[1]]
    return right(np.concatenate([x, under], axis=2), filters, bias, stride,
                 (pad[0], pad[1] - under.shape[2], *pad[2:]), dilate)  # fmt: skip


def correlation_rounded_up(right, x, filters, bias, stride, pad, dilate):
    """Go on to where the last window begins on the map."""
    pad = list(pad)
    for axis in range(2):
        reach = (filters.shape[2 + axis] - 1) * dilate[axis] + 1
        spare = x.shape[2 + axis] + sum(pad[2 * axis : 2 * axis + 2]) - reach
        pad[2 * axis + 1] += ceil(spare / stride[axis]) * stride[axis] - spare
    return right(x, filters, bias, stride, tuple(pad), dilate)


def without_bias_in_padding(right, x, filters, bias, stride, pad, dilate):
    """Give 0 where a window sees no pixel."""
    found = right(x, filters, bias, stride, pad, dilate)
    seen = right(np.ones_like(x), np.ones_like(filters), None, stride, pad, dilate)
    return np.where(seen > 0, found, 0)


def first_group_for_all(right, x, filters, *more):
    """Give every filter the channels of the first group."""
    own = filters.shape[1]
    return right(np.tile(x[:, :own], (1, x.shape[1] // own, 1, 1)), filters, *more)


def without_nan(right, x, *more):
    """Leave NaN out of averages."""
    if more[-1] != "avg":
        return right(x, *more)
    total, count = (
        right(np.nan_to_num(x, posinf=np.inf, neginf=-np.inf), *more),
        right((~np.isnan(x)).astype(float), *more),
    )
    return total / count


def running_sums(right, x, window, stride, pad, method):
    """Take averages as differences of running sums along rows."""
    if method != "avg":
        return right(x, window, stride, pad, method)
    found = right(x, window, stride, pad, method)
    dirty = np.isnan(np.cumsum(found, axis=3))
    return np.where(dirty, np.nan, found)


def nan_loses(right, x, *more):
    return right(np.where(np.isnan(x), -np.inf, x) if more[-1] == "max" else x, *more)


def from_the_least_number(right, x, *more):
    found = right(x, *more)
    return np.maximum(found, np.finfo(np.float32).min) if more[-1] == "max" else found


def maximum_of_both(right, x, leak):
    return np.maximum(x, leak * x)


def wrapped(right, x, size, kappa, alpha, beta):
    """Let the window over channels go round."""
    below, above = (size - 1) // 2, size // 2
    squares = sum(np.roll(x, -shift, axis=1) ** 2 for shift in range(-below, above + 1))
    return x / (kappa + alpha * squares) ** beta


def without_square(right, x, size, kappa, alpha, beta):
    """Sum absolute values."""
    root = np.sqrt(np.abs(x))
    return right(root, size, kappa, alpha, beta) / np.where(root == 0, 1, root) * x


def overflowing(right, x):
    powers = np.exp(x.astype(np.float32))
    return powers / powers.sum(axis=1, keepdims=True)


def overflowing_late(right, x):
    powers = np.exp(x.astype(np.float64))
    return powers / powers.sum(axis=1, keepdims=True)


def first_maps(found, case):
    """Give the first maps under the names that are asked for."""
    whole = asked(layers=lambda _: None)(case)
    return dict(zip(found, whole.values(), strict=False))


def normalized_anew(power):
    return lambda layer: (
        Normalize(layer.size, layer.kappa, layer.alpha, layer.beta * power)
        if isinstance(layer, Normalize)
        else layer
    )


def without_bias(layer):
    if not isinstance(layer, Conv):
        return layer
    return Conv(layer.filters, None, layer.stride, layer.pad, layer.dilate)


def bias_subtracted(layer):
    if not isinstance(layer, Conv) or layer.bias is None:
        return layer
    return Conv(layer.filters, -layer.bias, layer.stride, layer.pad, layer.dilate)


def renormed(images, gain, bias, moments, epsilon=0.0, centre=True, scale=True):
    mean, deviation = moments.T[:, :, None, None].astype(float)
    x = (images - mean * centre) / np.sqrt(deviation**2 + epsilon)
    return {"normalized": x * (gain[:, None, None] if scale else 1) + bias[:, None, None]}


def bnorm(**wrong):
    return lambda case: {
        name: values.astype(case.dtype) for name, values in renormed(**case.inputs, **wrong).items()
    }


SENTENCES = {
    "| images, maps, responses |": [
        (each(lambda a: a.transpose(0, 2, 3, 1)), "pool-max"),
        (each(lambda a: a.swapaxes(2, 3)), "correlate-basic"),
        (given(images=lambda a: a[::-1]), "pool-max"),
    ],
    "| filters | (K, C/groups": [
        (named("filters-transposed"), "correlate-basic"),
        (given(filters=lambda a: a[:, ::-1]), "correlate-basic correlate-groups"),
        (given(filters=lambda a: a[::-1]), "correlate-basic"),
    ],
    "| decoded filters, pictures |": [
        (each(lambda a: a.sum(axis=1, keepdims=True)), "decode-real-bilinear"),
        (each(lambda a: a.transpose(0, 2, 3, 1)), "decode-handmade"),
    ],
    "Pairs are `[vertical": [
        (asked(stride=swapped), "correlate-stride substitute-stride pool-avg-gaps"),
        (asked(dilate=swapped), "correlate-dilate substitute-dilate"),
        (asked(window=swapped), "pool-max-rectangle unpool-nearest-wide"),
        (named("pad-left-right-top-bottom"), "correlate-pad"),
        (named("pool-pad-left-right-top-bottom"), "pool-max-pad"),
        (named("pad-top-left-bottom-right"), "correlate-pad"),
        (named("pool-pad-top-left-bottom-right"), "pool-max-pad"),
        (asked(pad=lambda p: [0, *p[1:]]), "correlate-pad-top pool-max-pad-top pool-avg-pad-top"),
        (asked(pad=lambda p: [p[0], 0, *p[2:]]),
         "correlate-pad-bottom pool-max-pad-bottom pool-avg-pad-bottom"),
        (asked(pad=lambda p: [*p[:2], 0, p[3]]),
         "correlate-pad-left pool-max-pad-left pool-avg-pad-left"),
        (asked(pad=lambda p: [*p[:3], 0]),
         "correlate-pad-right pool-max-pad-right pool-avg-pad-right"),
        (asked(pad=lambda p: [p[1], p[0], p[2], p[3]]), "correlate-pad pool-max-pad"),
        (asked(pad=lambda p: [p[0], p[1], p[3], p[2]]), "correlate-pad pool-max-pad"),
    ],
    "Rows, columns, channels and filters are counted": [
        (asked(filters=lambda f: [k - 1 if k else k for k in f]), "decode-group decode-first"),
        (asked(layer=lambda number: number + 1), "decode-first"),
        (asked(layer=lambda number: number - 1 or 1), "project-pool"),
        (asked(kept=lambda kept: [[n, c, max(y - 1, 0), max(x - 1, 0)] for n, c, y, x in kept]),
         "project-ties project-pool"),
        (asked(kept=lambda kept: [[n, max(c - 1, 0), y, x] for n, c, y, x in kept]),
         "project-ties"),
        (asked(labels=lambda labels: [max(one - 1, 0) for one in labels]), "occlude-square"),
    ],
    "Numbers keep their type": [
        (
            named("float32"),
            ("correlate-double pool-avg-double relu-double substitute-double unpool-nearest-double "
            "forward-double decode-double project-double"),
        )
    ],
    "NaN and infinities are calculated": [
        (engine(correlate=infinite_times_zero), "correlate-nan correlate-infinity"),
        (given(images=np.nan_to_num), "correlate-nan pool-avg-nan bnorm-nan"),
    ],
    "response[n,k,y,x] = bias[k] +": [
        (named("filters-flipped"), "correlate-impulse correlate-basic"),
        (part(read=without_bias), "correlate-basic"),
        (part(read=bias_subtracted), "correlate-basic"),
        (engine(correlate=edges_repeated), "correlate-pad"),
        (named("stride-ignored"), "correlate-stride"),
        (named("dilation-ignored"), "correlate-dilate"),
        (asked(pad=lambda p: [0, p[1], p[2], p[3]]), "correlate-stride-pad correlate-small"),
        (asked(pad=lambda p: [p[0], p[1], 0, p[3]]), "correlate-pad correlate-small"),
        (engine(correlate=read_on_below), "correlate-pad-bottom"),
        (engine(correlate=first_group_for_all), "correlate-groups correlate-depthwise"),
        (given(filters=np.abs), "correlate-basic"),
    ],
    "* floor(k / (K/groups))": [
        (named("groups-interleaved"), "correlate-groups correlate-depthwise")
    ],
    "Its height is floor(": [
        (engine(correlate=correlation_rounded_up), "correlate-stride"),
        (each(lambda a: a[:, :, :-1]), "correlate-basic correlate-one-place correlate-large"),
    ],
    "A padding may be wider": [
        (engine(correlate=without_bias_in_padding), "correlate-wide-pad"),
    ],
    "A window is clipped to the map": [
        (named("padding-wins"), "pool-max-negative pool-max-small pool-max-most-pad"),
        (named("average-counts-padding"), "pool-avg-pad pool-avg-small"),
    ],
    "Size as in 2.1.": [
        (named("pool-rounds-up"), "pool-max-rectangle pool-max-one"),
        (each(lambda a: a[:, :, :-1]), "pool-max-large"),
    ],
    "A NaN in the window makes": [
        (engine(pool=nan_loses), "pool-max-nan"),
        (engine(pool=without_nan), "pool-avg-nan"),
        (engine(pool=running_sums), "pool-avg-nan"),
    ],
    "The maximum of minus infinities": [(engine(pool=from_the_least_number), "pool-max-infinity")],
    "Output `rectified`:": [
        (engine(relu=lambda right, x, leak: np.where(x > 0, x, leak * x)), "relu-infinity"),
        (engine(relu=lambda right, x, leak: right(np.nan_to_num(x), leak)), "relu-special"),
        (named("leak-ignored"), "relu-leak relu-leak-special"),
        (engine(relu=maximum_of_both), "relu-leak-large"),
        (engine(relu=lambda right, x, leak: x), "relu relu-large"),
        (engine(relu=lambda right, x, leak: np.abs(x)), "relu"),
    ],
    "Output `normalized`: x[k] /": [
        (named("alpha-divided"), "normalize-odd normalize-even normalize-alexnet"),
        (named("odd-channel-before"), "normalize-even"),
        (part(read=normalized_anew(2)), "normalize-odd"),
        (engine(normalize=wrapped), "normalize-odd normalize-even normalize-many"),
        (engine(normalize=without_square), "normalize-odd"),
        (engine(normalize=lambda right, x, n, k, a, b: right(x, n, 1, a, b)), "normalize-odd"),
        (engine(normalize=lambda right, x, n, k, a, b: right(x, n, k, 1, b)), "normalize-odd"),
        (engine(normalize=lambda right, x, n, *more: right(x, n + 2, *more)), "normalize-one"),
        (engine(normalize=lambda right, x, *more: right(x, *more) * x), "normalize-odd"),
    ],
    "Inputs `images`, `gain` (C)": [
        (given(moments=lambda a: a[:, ::-1] ** 2 + 1), "bnorm bnorm-exact"),
        (named("deviation-as-variance"), "bnorm bnorm-exact"),
    ],
    "Output `normalized`: gain": [
        (bnorm(centre=False), "bnorm bnorm-exact"),
        (bnorm(scale=False), "bnorm bnorm-exact"),
        (given(bias=np.zeros_like), "bnorm bnorm-exact"),
        (given(bias=lambda a: -a), "bnorm bnorm-exact"),
    ],
    "No epsilon is added.": [
        (named("epsilon-added"), "bnorm-narrow"),
        (bnorm(epsilon=1e-3), "bnorm bnorm-narrow"),
    ],
    "Outputs `layer1`, `layer2`, ...: what": [
        (named("layers-shifted"), "forward-integers"),
        (told(first_maps), "forward-layers"),
        (named("softmax-over-pixels"), "forward-softmax forward-real"),
        (engine(softmax=overflowing), "forward-softmax forward-softmax-equal"),
        (engine(softmax=overflowing_late), "forward-softmax-large"),
        (engine(softmax=lambda right, x: x), "forward-softmax"),
        (engine(softmax=lambda right, x: right(x / 2)), "forward-softmax forward-real"),
    ],
}  # fmt: skip

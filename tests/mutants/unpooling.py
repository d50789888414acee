"""Section 4: unpooling."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np

from fdref.conformance.mistakes.resizing import by as unpooled_by
from fdref.conformance.mistakes.resizing import keys, matrix, resized
from fdref.engines.resize import METHODS
from mutants.making import by, each, given, named


def wrongly(wrong, methods=METHODS):
    return by(unpooled_by(wrong, methods))


def asymmetric(size, enlarged):
    """Let outputs stand where their first pixel does."""
    return np.arange(enlarged) * size / enlarged


def reflected(taps, size):
    """Mirror at the middle of the border pixel: -1 is 1."""
    period = max(2 * size - 2, 1)
    around = np.abs(taps) % period
    return np.where(around < size, around, period - around)


def cropped_after(right, maps, stride, window, method):
    """Crop all after."""
    whole = right(maps, stride, tuple(map(max, stride, window)), method)
    sizes = ((n - 1) * s + w for n, s, w in zip(maps.shape[2:], stride, window, strict=True))
    height, width = sizes
    return whole[:, :, :height, :width]


def cropped_before_more(right, maps, stride, window, method):
    """Crop the odd pixel before, and nothing else otherwise."""
    if min(w - s for w, s in zip(window, stride, strict=True)) >= 0:
        return right(maps, stride, window, method)
    turned = np.ascontiguousarray(maps[:, :, ::-1, ::-1])
    return right(turned, stride, window, method)[:, :, ::-1, ::-1]


def one_zero_less(right, maps, stride, window, method):
    """Put one zero less before than after, where there are as many on both sides."""
    found = right(maps, stride, window, method)
    for axis in (0, 1):
        if window[axis] > stride[axis] and (window[axis] - stride[axis]) % 2 == 0:
            found = np.roll(found, -1, axis=2 + axis)
    return found


def one_cropped_less(right, maps, stride, window, method):
    """Crop one pixel less before than after, where as many are cropped on both sides."""
    (height, width), whole = maps.shape[2:], right(maps, stride, stride, method)
    slices = []
    for n, s, w in zip((height, width), stride, window, strict=True):
        if w >= s or (s - w) % 2:
            return right(maps, stride, window, method)
        before = (s - w) // 2 - 1
        slices.append(slice(before, before + (n - 1) * s + w))
    return whole[:, :, slices[0], slices[1]]


def nearest_rounded(right, maps, stride, window, method):
    """Take the input that is nearest to o / stride."""
    if method != "nearest" or stride != window:
        return right(maps, stride, window, method)
    for axis in (2, 3):
        size, step = maps.shape[axis], stride[axis - 2]
        places = np.minimum(np.floor(np.arange(size * step) / step + 0.5).astype(int), size - 1)
        maps = maps.take(places, axis)
    return maps


def another(method):
    return lambda right, maps, stride, window, _: right(maps, stride, window, method)


def radial(right, maps, stride, window, method):
    """Weigh by the smaller of the weights of row and column."""
    if method != "bilinear" or stride != window:
        return right(maps, stride, window, method)
    rows, columns = (matrix(n, n * s, method) for n, s in zip(maps.shape[2:], stride, strict=True))
    weights = np.minimum(rows[:, None, :, None], columns[None, :, None, :])
    weights /= weights.sum(axis=(2, 3), keepdims=True)
    return np.einsum("HWhw,nchw->ncHW", weights, maps)


def only_rows(right, maps, stride, window, method):
    """Enlarge along columns by copying."""
    high = right(maps, (stride[0], 1), (window[0], 1), method)
    return right(high, (1, stride[1]), (1, window[1]), "nearest")


def by_matrices(right, maps, stride, window, method):
    """Multiply with zeros, too."""
    return resized(right, maps, stride, window, method)


def spread_before_and_after(right, maps, stride, window, method):
    """Centre the shares of `window`."""
    share = right(maps, stride, stride, "nearest") / prod(window)
    return right(
        share, (1, 1), tuple(1 + w - s for w, s in zip(window, stride, strict=True)), "nearest"
    )


def copied_between(right, maps, stride, window, method):
    """Fill what lies between windows."""
    found = right(maps, stride, window, method)
    filled = right(maps, stride, window, "nearest") / prod(window)
    small = [w < s for w, s in zip(window, stride, strict=True)]
    return np.where(found == 0, filled, found) if any(small) else found


def unevenly(right, maps, stride, window, method):
    """Give more to the first pixel of a window."""
    found = right(maps * 0.5, stride, window, method)
    (height, width), (down, across) = maps.shape[2:], stride
    rows, columns = np.arange(height) * down, np.arange(width) * across
    found[:, :, rows[:, None], columns] += maps * 0.5
    return found


def maxima_by_nearest(right, maps, stride, window, method):
    return right(maps, stride, window, "nearest")


def one_less(values):
    return values[:, :, :-1]


SENTENCES = {
    "Output `pictures` (N, C, H, W), H =": [
        (named("window-ignored"), "unpool-nearest-overlap unpool-bicubic-wide unpool-window-still"),
        (each(one_less), "unpool-nearest-even unpool-window-point"),
    ],
    "The paper's methods, `nearest`": [
        (named("stretched-to-the-field"), "unpool-bilinear-overlap unpool-bilinear-wide"),
        (named("odd-pixel-before"), "unpool-nearest-overlap unpool-bicubic-wide"),
        (named("not-centred"), "unpool-nearest-wide unpool-nearest-still unpool-bicubic-border"),
        (wrongly(cropped_after), "unpool-nearest-point unpool-bicubic-point"),
        (wrongly(one_zero_less), "unpool-nearest-still unpool-bilinear-border"),
        (wrongly(one_cropped_less), "unpool-nearest-point unpool-bicubic-point"),
        (named("unpooled-with-zeros"), "unpool-nearest-even unpool-bilinear-even"),
    ],
    "(Window 1 at stride 4 crops": [
        (wrongly(cropped_before_more), "unpool-nearest-narrow unpool-bicubic-narrow")
    ],
    "Enlarging: output o stands at": [
        (named("aligned-corners"), "unpool-bilinear-imresize unpool-bicubic-large"),
        (wrongly(partial(resized, places=asymmetric), ["bilinear", "bicubic"]),
         "unpool-bilinear-imresize unpool-bicubic-large"),
    ],
    "Input i weighs k(u - i)": [
        (wrongly(nearest_rounded), "unpool-nearest-imresize unpool-nearest-even"),
        (wrongly(another("nearest"), ["bilinear"]), "unpool-bilinear-even"),
        (wrongly(another("bilinear"), ["bicubic"]), "unpool-bicubic-even"),
        (named("bicubic-three-quarters"), "unpool-bicubic-imresize unpool-bicubic-tall"),
        (wrongly(partial(resized, cubic=keys(-1.0)), ["bicubic"]), "unpool-bicubic-imresize"),
    ],
    "Indices beyond the border are mirrored": [
        (named("border-clamped"), "unpool-bicubic-large unpool-bicubic-line"),
        (wrongly(partial(resized, border=reflected), ["bilinear", "bicubic"]),
         "unpool-bilinear-large unpool-bicubic-large"),
    ],
    "Rows and columns are independent.": [
        (wrongly(radial), "unpool-bilinear-even unpool-bilinear-tall"),
        (wrongly(only_rows, ["bilinear", "bicubic"]), "unpool-bilinear-even unpool-bicubic-line"),
    ],
    "Here an input whose weight is 0": [
        (wrongly(by_matrices, ["bilinear", "bicubic"]), "unpool-bilinear-nan unpool-bicubic-nan"),
    ],
    "`imresize([1 2;3 4], 2": [
        (named("aligned-corners"), "unpool-bilinear-imresize unpool-bicubic-imresize"),
        (named("pytorch-bicubic"), "unpool-bicubic-imresize"),
    ],
    "`window`, the adjoint of": [
        (wrongly(spread_before_and_after, ["window"]), "unpool-window-still unpool-window-wide"),
    ],
    "Every pixel is shared equally": [
        (named("window-overlaps-overwritten"), "unpool-window-example unpool-window-still"),
        (wrongly(unevenly, ["window"]), "unpool-window-even unpool-window-wide"),
    ],
    "pictures[n, c, y*sy + i": [
        (named("window-not-divided"), "unpool-window-example decode-window"),
        (named("window-divided-by-stride"), "unpool-window-example unpool-window-border"),
    ],
    "Where windows are smaller than strides": [
        (wrongly(copied_between, ["window"]), "unpool-window-narrow unpool-window-point"),
    ],
    "It is always the whole window": [
        (wrongly(maxima_by_nearest, ["window"]), "decode-window decode-real-window"),
        (each(lambda a: a[:, :, 1:]), "decode-real-window"),
    ],
    "With stride 1 and window 2": [(given(maps=lambda a: a[:, :, ::-1]), "unpool-window-example")],
}  # fmt: skip

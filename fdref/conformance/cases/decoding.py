"""Cases of sections 3.1 and 4: substitution and unpooling."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.cases.layers import BEYOND, impulse, with_values
from fdref.conformance.cases.making import exact, rounded
from fdref.conformance.cases.numbers import integers, reals

if TYPE_CHECKING:
    from fdref.conformance.case import Case

SIZES = (
    ("even", "twice the size", (2, 2), (2, 2)),
    ("overlap", "a window of 3 at stride 2: one row and column of zeros, after", (2, 2), (3, 3)),
    ("wide", "windows of 5x7 at strides 2 and 3: zeros around, the odd one after", (2, 3), (5, 7)),
    ("narrow", "windows of 1x2 at strides 4 and 3: cropped, the odd one after", (4, 3), (1, 2)),
    ("still", "windows of 3 at stride 1, as in Inception: a zero on each side", (1, 1), (3, 3)),
    ("point", "windows of 1 at strides 3 and 5: 1 and 2 pixels are cropped on each side", (3, 5),
        (1, 1)),
    ("border", "windows of 4x7 at strides 2 and 3: 1 and 2 zeros on each side", (2, 3), (4, 7)),
    ("mixed", "windows of 2x5 at strides 4 and 2: cropped vertically, zeros around horizontally",
        (4, 2), (2, 5)),
)  # fmt: skip

SHARES = (
    "a quarter for each of 2x2 pixels",
    "windows of 3x3 at stride 2: where they overlap the shares add",
    "windows of 5x7 at strides 2 and 3: up to nine shares add",
    "windows of 1x2 at strides 4 and 3: zeros between them",
    "windows of 3x3 at stride 1: up to nine shares add",
    "windows of one pixel at strides 3 and 5: zeros between them",
    "windows of 4x7 at strides 2 and 3: up to six shares add",
    "windows of 2x5 at strides 4 and 2: zeros between them, and up to three shares add",
)
"""What `window` makes of each of `SIZES`."""

SHAPES = (
    ("line", "a map of one row: its neighbours are itself, mirrored", (1, 1, 1, 5), (2, 2)),
    ("pixel", "a map of one pixel stays flat", (2, 1, 1, 1), (3, 2)),
    ("large", "strides 3 and 2 on 6x7 pixels", (1, 2, 6, 7), (3, 2)),
    ("tall", "a map larger than any tile, enlarged to 45 x 66 pixels", (1, 1, 15, 33), (3, 2)),
    ("one", "stride 1 changes nothing", (1, 1, 4, 3), (1, 1)),
)


def cases() -> list[Case]:
    """Return them all."""
    return [*substitutions(), *unpoolings(), *sharings()]


def substitutions() -> list[Case]:
    """Cases of 3.1."""
    lopsided = np.array([[[[1, 2, 3], [4, 5, 6]]]], np.float32)
    maps, filters = integers(101, (2, 3, 4, 6)), integers(102, (3, 2, 3, 2))
    return [
        exact("substitute-impulse", "one bright pixel becomes the filter, as it stands",
            {"maps": impulse(3, 4, 1, 2), "filters": lopsided}),
        exact("substitute-overlap", "neighbours' filters overlap and add",
            {"maps": np.array([[[[1, 10], [100, 1000]]]], np.float32), "filters": lopsided}),
        exact("substitute-basic", "3 channels become 2; the map is not square, nor are the filters",
            {"maps": maps, "filters": filters}),
        exact("substitute-stride", "strides 2 and 3: one overlaps, the other leaves gaps",
            {"maps": maps, "filters": filters}, stride=(2, 3)),
        exact("substitute-dilate", "2 rows and 3 columns between the filter's taps",
            {"maps": maps, "filters": filters}, dilate=(2, 3)),
        exact("substitute-stride-dilate", "strides and dilation together",
            {"maps": maps, "filters": filters}, stride=(3, 2), dilate=(2, 1)),
        exact("substitute-groups",
            "2 groups: channels 0 and 1 become channels 0 to 2, channels 2 and 3 the rest",
            {"maps": integers(103, (1, 4, 3, 5)), "filters": integers(104, (4, 3, 2, 3))},
            groups=2),
        exact("substitute-depthwise",
            "as many groups as channels of the picture, two channels of the map for each",
            {"maps": integers(105, (2, 6, 3, 4)), "filters": integers(106, (6, 1, 3, 2))},
            groups=3),
        exact("substitute-one-pixel", "a map of one pixel is the weighted sum of the filters",
            {"maps": integers(107, (1, 5, 1, 1)), "filters": integers(108, (5, 3, 2, 4))}),
        exact("substitute-one-by-one", "filters of one pixel, one channel above and below",
            {"maps": integers(109, (1, 1, 3, 4)), "filters": integers(110, (1, 1, 1, 1), 2, 4)},
            stride=(1, 2)),
        exact("substitute-double", "float64 inputs: 2^24 + 1 is a number, as it is not in float32",
            {"maps": np.array([[[[BEYOND, 3.0], [5.0, BEYOND]]]]),
             "filters": np.array([[[[1.0, 1.0]]]])}),
        exact("substitute-nan",
            "NaN times 0 is NaN: a NaN reaches all of its filter's pixels, in all channels",
            {"maps": with_values(integers(113, (1, 2, 3, 4)), {(0, 1, 1, 2): np.nan}),
             "filters": with_values(integers(114, (2, 2, 2, 2)), {(1, 0, 0, 1): 0})}),
        exact("substitute-nan-filter", "a NaN in a filter reaches where it is put for a 0, too",
            {"maps": integers(115, (1, 2, 3, 3), -1, 1),
             "filters": with_values(integers(116, (2, 1, 2, 3)), {(0, 0, 1, 2): np.nan})}),
        exact("substitute-nan-group", "a NaN stays within its group",
            {"maps": with_values(integers(117, (1, 4, 2, 3)), {(0, 0, 0, 0): np.nan}),
             "filters": integers(118, (4, 1, 2, 2))}, groups=2),
        exact("substitute-infinity", "infinity times 0 is NaN, and infinities of two signs meet",
            {"maps": with_values(integers(119, (1, 1, 2, 4), 1, 4),
                {(0, 0, 0, 0): np.inf, (0, 0, 0, 2): -np.inf}),
             "filters": np.array([[[[1, 2, 3], [0, -4, 5]]]], np.float32)}),
        exact("substitute-sparse",
            "a map larger than any tile, 129 x 131 pixels, where almost all are 0, and a NaN",
            {"maps": with_values(np.zeros((1, 1, 129, 131), np.float32),
                {(0, 0, 2, 3): 5, (0, 0, 128, 130): -3, (0, 0, 60, 7): np.nan}),
             "filters": integers(120, (1, 1, 1, 2))}),
        exact("substitute-large", "a map larger than any tile, 41 x 50 pixels",
            {"maps": integers(127, (1, 1, 41, 50)), "filters": integers(128, (1, 1, 2, 3))}),
        rounded("substitute-real", "real numbers, everything at once",
            {"maps": reals(111, (2, 6, 5, 4)), "filters": reals(112, (6, 2, 3, 2))}, stride=(2, 1),
            dilate=(1, 2), groups=3),
    ]  # fmt: skip


def unpoolings() -> list[Case]:
    """Cases of 4: the paper's methods."""
    documented = {"maps": np.array([[[[1, 2], [3, 4]]]], np.float32)}
    found = [
        exact("unpool-nearest-imresize", "imresize([1 2; 3 4], 2, 'nearest')", documented,
            stride=[2, 2], window=[2, 2], method="nearest"),
        exact("unpool-nearest-double",
            "float64 inputs: 2^24 + 1 is a number, as it is not in float32",
            {"maps": integers(121, (1, 2, 2, 3), 0, 9, np.float64) * 2 + BEYOND + 1}, stride=[2, 1],
            window=[2, 1], method="nearest"),
    ]  # fmt: skip
    holed = with_values(np.ones((1, 1, 1, 9), np.float32), {(0, 0, 0, 4): np.nan})
    found += [
        rounded(f"unpool-{method}-nan",
            f"{method}, a NaN reaches the pixels in which it has a weight, and no others",
            {"maps": holed}, stride=(1, 3), window=(1, 3), method=method)
        for method in ("nearest", "bilinear", "bicubic")
    ]  # fmt: skip
    small, large = integers(122, (2, 2, 3, 4), -9, 9), reals(124, (2, 2, 3, 4), -3, 3)
    for name, about, stride, window in SIZES:
        sizes: Any = {"stride": stride, "window": window, "method": "nearest"}
        found.append(exact(f"unpool-nearest-{name}", f"nearest, {about}", {"maps": small}, **sizes))
    for method in ("bilinear", "bicubic"):
        text = f"imresize([1 2; 3 4], 2, '{method}')"
        sizes = {"stride": (2, 2), "window": (2, 2), "method": method}
        found.append(rounded(f"unpool-{method}-imresize", text, documented, **sizes))
        shapes = [(*row[:2], reals(123, row[2], -3, 3), row[3], row[3]) for row in SHAPES]
        shapes += [(*row[:2], large, *row[2:]) for row in SIZES]
        for name, about, maps, stride, window in shapes:
            sizes = {"stride": stride, "window": window, "method": method}
            text = f"{method}, {about}"
            found.append(rounded(f"unpool-{method}-{name}", text, {"maps": maps}, **sizes))
    return found


def sharings() -> list[Case]:
    """Cases of 4: `window`.

    A power of two for each pixel of the window: whoever divides, or multiplies by reciprocals, at
    once or along each axis, gets the same bits; and nothing cancels where these add.
    """
    powers = np.ldexp(np.float32(1), integers(125, (2, 2, 3, 4), 0, 4, np.int32))
    found = [
        exact("unpool-window-example", "window, the example of section 4",
            {"maps": np.array([[[[4, 8], [12, 16]]]], np.float32)}, stride=[1, 1], window=[2, 2],
            method="window"),
        rounded("unpool-window-real", "window, real numbers, windows of 5x7 at strides 2 and 3",
            {"maps": reals(126, (2, 2, 3, 4), -3, 3)}, stride=[2, 3], window=[5, 7],
            method="window"),
    ]  # fmt: skip
    holed = with_values(integers(129, (1, 1, 3, 3)) * 4, {(0, 0, 1, 1): np.nan})
    found.append(
        exact("unpool-window-nan", "window, a NaN reaches its window's pixels", {"maps": holed},
            stride=(2, 1), window=(2, 2), method="window"))  # fmt: skip
    for (name, _, stride, window), about in zip(SIZES, SHARES, strict=True):
        sizes: Any = {"stride": stride, "window": window, "method": "window"}
        maps = {"maps": powers * prod(window)}
        found.append(exact(f"unpool-window-{name}", f"window, {about}", maps, **sizes))
    return found

"""Cases of section 2: the operations of the forward pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.conformance.cases.making import exact, rounded
from fdref.conformance.cases.numbers import integers, reals

if TYPE_CHECKING:
    from fdref.conformance.case import Case

BEYOND = 2**24
"""From here on float32 has no odd numbers."""


def cases() -> list[Case]:
    """Return them all."""
    return [*correlations(), *pools(), *rectifiers(), *normalizations()]


def correlations() -> list[Case]:
    """Cases of 2.1."""
    images, filters = integers(1, (2, 3, 7, 9)), integers(2, (4, 3, 2, 3))
    basic = {"images": images, "filters": filters, "bias": integers(3, (4,))}
    lopsided = np.array([[[[1, 2, 3], [4, 5, 6]]]], np.float32)
    return [
        exact("correlate-impulse",
            "one bright pixel shows the filter rotated by 180 degrees: it is correlated, not "
            "convolved", {"images": impulse(5, 7, 2, 3), "filters": lopsided}),
        exact("correlate-basic", "H != W, filters 2x3, a bias", basic),
        exact("correlate-no-bias", "there is no input `bias`",
            {"images": images, "filters": filters}),
        exact("correlate-pad", "four different paddings: top 0, bottom 1, left 2, right 3", basic,
            pad=(0, 1, 2, 3)),
        exact("correlate-stride",
            "strides 2 and 3 that do not divide the map: the rest is left out",
            {**basic, "images": integers(4, (1, 3, 8, 10))}, stride=(2, 3)),
        exact("correlate-stride-pad", "strides and paddings together", basic, stride=(3, 2),
            pad=(2, 0, 1, 0)),
        exact("correlate-dilate", "2 rows and 3 columns between the filter's taps",
            {"images": integers(5, (1, 2, 8, 11)), "filters": integers(6, (3, 2, 3, 2))},
            dilate=(2, 3), pad=(1, 0, 0, 2)),
        exact("correlate-groups",
            "2 groups: filters 0 to 2 see channels 0 and 1, filters 3 to 5 channels 2 and 3",
            {"images": integers(7, (1, 4, 5, 6)), "filters": integers(8, (6, 2, 2, 3))}, groups=2),
        exact("correlate-depthwise", "as many groups as channels, two filters for each",
            {"images": integers(9, (2, 3, 4, 5)), "filters": integers(10, (6, 1, 3, 2))}, groups=3,
            stride=(1, 2)),
        exact("correlate-one-by-one", "filters of one pixel",
            {"images": integers(11, (2, 3, 4, 5)), "filters": integers(12, (2, 3, 1, 1))}),
        exact("correlate-single",
            "one image of one channel, one filter of the image's size, one number",
            {"images": integers(13, (1, 1, 4, 3)), "filters": integers(14, (1, 1, 4, 3))}),
        exact("correlate-nan",
            "a NaN reaches exactly the windows that see it, even where the weight is 0",
            {"images": with_values(integers(15, (1, 2, 5, 6)), {(0, 1, 2, 3): np.nan}),
             "filters": with_values(integers(16, (2, 2, 2, 2)), {(0, 1, 0, 1): 0})}),
        exact("correlate-double", "float64 inputs: 2^24 + 1 is a number, as it is not in float32",
            {"images": integers(17, (1, 1, 3, 5), 0, 9, np.float64) * 2 + BEYOND,
             "filters": np.array([[[[1.0, 0.0]]], [[[0.0, 3.0]]]]), "bias": np.array([1.0, -1.0])}),
        exact("correlate-small", "a legal 3x3 window on an unpadded 2x2 map",
            {"images": integers(21, (1, 2, 2, 2)), "filters": integers(22, (2, 2, 3, 3))},
            pad=(1, 1, 1, 1)),
        exact("correlate-one-place", "a dilated filter exactly as large as the padded map",
            {"images": integers(23, (1, 1, 3, 4)), "filters": integers(24, (2, 1, 3, 2))},
            dilate=(2, 3), pad=(2, 0, 0, 0), stride=(3, 2)),
        exact("correlate-wide-pad", "windows that lie wholly in the padding see zeros, or the bias",
            {"images": integers(25, (1, 1, 2, 3)), "filters": integers(26, (2, 1, 2, 2)),
             "bias": np.array([3, -2], np.float32)}, pad=(3, 2, 0, 4)),
        exact("correlate-gaps", "filters of one pixel at stride 3: some pixels are never seen",
            {"images": integers(27, (1, 2, 7, 8)), "filters": integers(28, (2, 2, 1, 1))},
            stride=(3, 3)),
        exact("correlate-large", "a map larger than any tile, 67 x 53 pixels",
            {"images": integers(29, (1, 1, 67, 53)), "filters": integers(30, (1, 1, 3, 2))}),
        exact("correlate-infinity", "infinity times 0 is NaN, infinity less infinity, too",
            {"images": with_values(integers(71, (1, 1, 5, 6)),
                {(0, 0, 1, 2): np.inf, (0, 0, 3, 4): np.inf}),
             "filters": np.array([[[[1, 2], [0, -1]]], [[[2, 0], [1, 3]]]], np.float32)}),
        rounded("correlate-real", "real numbers, everything at once",
            {"images": reals(18, (2, 4, 9, 8)), "filters": reals(19, (6, 2, 3, 2)),
             "bias": reals(20, (6,))}, stride=(2, 1), pad=(1, 2, 0, 3), dilate=(1, 2), groups=2),
    ]  # fmt: skip


def pools() -> list[Case]:
    """Cases of 2.2."""
    images = integers(31, (2, 2, 6, 8), -9, 9)
    negative = integers(32, (1, 2, 5, 6), -9, -1)
    twelfths = integers(33, (1, 2, 5, 7), -9, 9) * 12
    return [
        exact("pool-max", "2x2 maxima", {"images": images}, stride=(2, 2)),
        exact("pool-max-rectangle", "a window of 3x2 at strides 2 and 3 that do not divide the map",
            {"images": integers(34, (1, 2, 8, 10), -9, 9)}, window=(3, 2), stride=(2, 3)),
        exact("pool-max-overlap", "windows that overlap, with ties",
            {"images": integers(35, (1, 2, 6, 7), 0, 2)}, window=(3, 3), stride=(1, 2)),
        exact("pool-max-negative", "all pixels are negative: padding never wins",
            {"images": negative}, window=(3, 2), stride=(2, 2), pad=(1, 2, 0, 1)),
        exact("pool-max-pad", "four different paddings",
            {"images": integers(36, (1, 2, 6, 7), -9, 9)}, window=(4, 4), stride=(2, 3),
            pad=(0, 1, 3, 2)),
        exact("pool-max-gaps", "a window smaller than the stride: some pixels are never seen",
            {"images": images}, window=(1, 2), stride=(3, 3)),
        exact("pool-max-nan",
            "NaN wins wherever it is seen; minus infinity is a number like others",
            {"images": with_values(
                integers(37, (1, 1, 4, 6)), {(0, 0, 1, 1): np.nan, (0, 0, 2, 4): -np.inf}
            )}, stride=(1, 1)),
        exact("pool-max-minus-zero", "0 and -0 tie",
            {"images": np.array([[[[0.0, -0.0, -0.0, -0.0], [-0.0, -1, -2, -0.0]]]], np.float32)},
            stride=(1, 1)),
        exact("pool-max-infinity", "windows of minus infinity alone have it for their maximum",
            {"images": with_values(np.full((1, 2, 4, 4), -np.inf, np.float32),
                {(0, 1, 0, 0): np.inf, (0, 1, 2, 3): -7})}, stride=(2, 2), pad=(1, 1, 1, 1)),
        exact("pool-max-small", "a legal 3x3 window on an unpadded 2x2 map",
            {"images": integers(41, (1, 2, 2, 2), -9, -1)}, window=(3, 3), stride=(1, 1),
            pad=(1, 1, 1, 1)),
        exact("pool-max-most-pad", "pads one less than the window, on every side",
            {"images": integers(42, (1, 1, 4, 5), -9, 9)}, window=(3, 2), stride=(1, 1),
            pad=(2, 2, 1, 1)),
        exact("pool-max-one", "windows of one pixel at stride 3", {"images": images},
            window=(1, 1), stride=(3, 3)),
        exact("pool-max-large", "a map larger than any tile, 53 x 67 pixels",
            {"images": integers(43, (1, 1, 53, 67), -99, 99)}, window=(3, 3), stride=(2, 2)),
        exact("pool-avg-nan",
            "a NaN reaches exactly the windows that see it; infinities of both signs make one",
            {"images": with_values(integers(44, (1, 1, 5, 8)) * 4, {
                (0, 0, 1, 1): np.nan, (0, 0, 1, 5): np.inf, (0, 0, 4, 6): -np.inf,
                (0, 0, 3, 6): np.inf})}, stride=(1, 1), method="avg"),
        exact("pool-avg-small", "a legal 3x3 window on an unpadded 2x2 map: four pixels are seen",
            {"images": integers(45, (1, 2, 2, 2)) * 4}, window=(3, 3), stride=(1, 1),
            pad=(1, 1, 1, 1), method="avg"),
        exact("pool-avg-gaps", "a window smaller than the stride", {"images": images * 2},
            window=(2, 1), stride=(3, 4), method="avg"),
        exact("pool-avg-large", "a map larger than any tile, 41 x 70 pixels",
            {"images": integers(46, (1, 1, 41, 70), -99, 99) * 4}, window=(2, 2), stride=(2, 2),
            pad=(1, 0, 0, 0), method="avg"),
        exact("pool-avg", "2x2 averages of multiples of 4",
            {"images": integers(38, (2, 2, 4, 6), -9, 9) * 4}, stride=(2, 2), method="avg"),
        exact("pool-avg-pad", "averages divide by the pixels on the map, not by the window",
            {"images": twelfths}, window=(2, 3), stride=(2, 2), pad=(1, 0, 0, 2), method="avg"),
        exact("pool-avg-double", "float64 inputs: 2^24 + 1 is a number, as it is not in float32",
            {"images": integers(39, (1, 1, 4, 4), 0, 9, np.float64) * 4 + BEYOND + 1},
            window=(1, 2), stride=(1, 2), method="avg"),
        rounded("pool-avg-real", "real numbers, windows that overlap, four different paddings",
            {"images": reals(40, (2, 3, 7, 9))}, window=(3, 4), stride=(2, 3), pad=(2, 1, 0, 3),
            method="avg"),
    ]  # fmt: skip


def rectifiers() -> list[Case]:
    """Cases of 2.3."""
    special = np.array([[[[-2, -0.0, 0, 3], [np.nan, -5, 7, -8]]]], np.float32)
    return [
        exact("relu", "integers", {"images": integers(51, (2, 3, 4, 5))}, leak=0),
        exact("relu-special", "minus zero; NaN stays NaN", {"images": special}, leak=0),
        exact("relu-infinity", "minus infinity becomes 0, infinity stays",
            {"images": np.array([[[[-np.inf, np.inf], [-1, 1]]]], np.float32)}, leak=0),
        exact("relu-leak-special", "with a leak minus infinity stays, and NaN",
            {"images": np.array([[[[-np.inf, np.inf, np.nan], [-0.0, -4, 3]]]], np.float32)},
            leak=0.25),
        exact("relu-leak-large", "a leak of 2, by which what is negative grows; no maximum of both",
            {"images": integers(55, (1, 2, 3, 4))}, leak=2),
        exact("relu-large", "a map larger than any tile, 40 x 53 pixels",
            {"images": integers(56, (1, 1, 40, 53))}, leak=0),
        exact("relu-leak", "a leak of 1/4 on multiples of 4",
            {"images": integers(52, (2, 3, 4, 5)) * 4}, leak=0.25),
        exact("relu-double", "float64 inputs: 2^24 + 1 is a number, as it is not in float32",
            {"images": integers(53, (1, 2, 3, 4), -9, 9, np.float64) * (BEYOND + 1)}, leak=0),
        rounded("relu-leak-real", "a leak of 0.1", {"images": reals(54, (1, 2, 4, 6))}, leak=0.1),
    ]  # fmt: skip


def normalizations() -> list[Case]:
    """Cases of 2.4 and 2.5."""
    maps = {"images": reals(61, (2, 7, 3, 4), -3, 3)}
    lrn = {"kappa": 2, "alpha": 0.5, "beta": 0.75}
    moments = np.stack([reals(62, (4,), -2, 2), reals(63, (4,), 0.5, 3)], axis=1)
    narrow = np.stack([reals(64, (4,), -2, 2), reals(65, (4,), 0.01, 0.1)], axis=1)
    batch = {"images": reals(66, (2, 4, 3, 5), -3, 3), "gain": reals(67, (4,), -2, 2)}
    batch["bias"] = reals(68, (4,), -2, 2)
    return [
        exact("normalize-exact", "one channel, beta = 1 and divisors that are powers of two",
            {"images": np.array([[[[1, -1, 3], [-3, 1, 3]]]], np.float32)}, size=1, kappa=7,
            alpha=1, beta=1),
        rounded("normalize-odd", "5 of 7 channels", maps, size=5, **lrn),
        rounded("normalize-even", "4 of 7 channels: one below, two above", maps, size=4, **lrn),
        rounded("normalize-one", "each channel by itself", maps, size=1, **lrn),
        rounded("normalize-wide", "a window that is wider than there are channels",
            {"images": maps["images"][:, :2]}, size=6, **lrn),
        rounded("normalize-alexnet", "the constants of many nets, on responses of their size",
            {"images": reals(69, (1, 6, 4, 3), -100, 100)}, size=5, kappa=1, alpha=2e-5, beta=0.75),
        exact("normalize-nan", "a NaN reaches the channels in whose sums it is, at its pixel alone",
            {"images": with_values(np.ones((1, 5, 1, 2), np.float32), {(0, 2, 0, 0): np.nan})},
            size=4, kappa=4, alpha=0, beta=1),
        rounded("normalize-many", "5 of 40 channels",
            {"images": reals(75, (1, 40, 1, 2), -3, 3)}, size=5, **lrn),
        exact("bnorm-nan", "NaN and infinity stay at their pixels",
            {"images": with_values(integers(76, (1, 2, 2, 3)),
                {(0, 0, 1, 1): np.nan, (0, 1, 0, 2): -np.inf}),
             "gain": np.array([2, -1], np.float32), "bias": np.array([1, 3], np.float32),
             "moments": np.array([[1, 2], [-2, 0.5]], np.float32)}),
        rounded("bnorm", "the second moment is the standard deviation",
            {**batch, "moments": moments}),
        rounded("bnorm-narrow", "standard deviations of 0.01 to 0.1: no epsilon is added",
            {**batch, "moments": narrow}),
        exact("bnorm-exact", "standard deviations 1/2, 2 and 4",
            {"images": integers(70, (2, 3, 3, 4)) * 4, "gain": np.array([1, -2, 3], np.float32),
             "bias": np.array([0, 5, -1], np.float32),
             "moments": np.array([[1, 0.5], [-2, 2], [4, 4]], np.float32)}),
    ]  # fmt: skip


def impulse(height: int, width: int, y: int, x: int) -> np.ndarray:
    """Return an image of one bright pixel."""
    return with_values(np.zeros((1, 1, height, width), np.float32), {(0, 0, y, x): 1})


def with_values(array: np.ndarray, values: dict[tuple[int, ...], float]) -> np.ndarray:
    """Put values into an array."""
    for place, value in values.items():
        array[place] = value
    return array

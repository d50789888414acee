"""Cases with small networks: forward, decode, receptive_field, respond, evaluate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.cases.layers import BEYOND, with_values
from fdref.conformance.cases.making import (
    SIZES,
    bnorm,
    conv,
    exact,
    lists,
    normalize,
    pool,
    relu,
    rounded,
)
from fdref.conformance.cases.numbers import integers, reals
from fdref.layers import Conv
from fdref.weights.handmade import handmade

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.conformance.case import Case

    Named = dict[str, NDArray[Any]]


def cases() -> list[Case]:
    """Return them all."""
    return [*fields(), *responses(), *forwards(), *decodings(), *evaluations()]


def fields() -> list[Case]:
    """Cases of 5.1."""
    one, none = (1, 1), (0, 0, 0, 0)
    about = {
        "one": ("one window", [((3, 4), (2, 3), (1, 0, 2, 3))]),
        "lenet": (
            "LeNet's third layer sees 14x14 pixels",
            [((5, 5), one, none), ((2, 2), (2, 2), none), ((5, 5), one, none)],
        ),
        "pad": (
            "strides and paddings that differ by axis and side",
            [
                ((7, 5), (2, 1), (3, 2, 2, 1)),
                ((3, 3), (2, 3), (0, 1, 1, 2)),
                ((3, 5), (1, 2), (1, 1, 0, 2)),
                ((2, 1), (3, 1), none),
            ],
        ),
        "gaps": (
            "windows smaller than the stride",
            [((1, 2), (3, 3), none), ((3, 1), (1, 2), none)],
        ),
    }
    names = "window", "stride", "pad"
    return [
        exact(
            f"receptive-field-{name}", text, {}, SIZES,
            network=[lists(dict(zip(names, row, strict=True))) for row in rows],
        )
        for name, (text, rows) in about.items()
    ]  # fmt: skip


def responses() -> list[Case]:
    """Cases of 5.2."""
    images, bank = integers(201, (2, 2, 9, 11)), integers(202, (3, 2, 4, 3))
    small = {"images": images, "bank": bank}
    return [
        exact("respond-inside", "jumps of 2 and 3, every field inside the images", small,
            stride=[2, 3], offset=[0, 0], output=[3, 3]),
        exact("respond-padded", "fields reach beyond the images on all sides", small, stride=[2, 3],
            offset=[-2, -1], output=[5, 4]),
        exact("respond-part", "the layer's map ends before the images do", small, stride=[1, 2],
            offset=[-1, 0], output=[2, 3]),
        exact("respond-beyond", "offsets that are positive: the first rows are not seen", small,
            stride=[1, 3], offset=[2, 1], output=[4, 3]),
        exact("respond-outside", "fields that lie wholly outside the images see zeros", small,
            stride=[4, 3], offset=[-5, -4], output=[4, 6]),
        exact("respond-large", "a map larger than any tile, 41 x 53 pixels",
            {"images": integers(205, (1, 1, 42, 54)), "bank": integers(206, (1, 1, 2, 2))},
            stride=[1, 1], offset=[0, 0], output=[41, 53]),
        rounded("respond-real", "real numbers",
            {"images": reals(203, (1, 3, 10, 8)), "bank": reals(204, (2, 3, 5, 4))}, stride=[2, 2],
            offset=[-3, -2], output=[6, 5]),
    ]  # fmt: skip


def small_net() -> tuple[Named, list[dict[str, Any]]]:
    """Return a net of integers whose layers are as unlike LeNet's as they can be."""
    arrays = {
        "filters1": integers(211, (4, 2, 3, 2), -2, 2),
        "bias1": integers(212, (4,), 1, 4),
        "filters3": integers(213, (6, 2, 2, 3), -2, 2),
        "bias3": integers(214, (6,), 1, 4),
        "filters5": integers(215, (3, 6, 2, 1), -2, 2),
        "bias5": integers(216, (3,), -4, 4),
    }
    layers = [
        conv("filters1", "bias1", stride=(1, 2), pad=(1, 0, 2, 1)),
        pool((3, 2), (2, 2)),
        conv("filters3", "bias3", groups=2, pad=(0, 2, 1, 0)),
        relu(),
        conv("filters5", "bias5", dilate=(2, 1)),
    ]
    return arrays, layers


def normalized_net() -> tuple[Named, list[dict[str, Any]]]:
    """Return a net of real numbers with the layers that have some."""
    arrays = {
        "filters1": reals(221, (4, 3, 3, 2)),
        "gain": reals(222, (4,), 0.5, 2),
        "shift": reals(223, (4,)),
        "moments": np.stack([reals(224, (4,)), reals(225, (4,), 0.02, 0.4)], axis=1),
        "filters6": reals(226, (5, 4, 2, 3)),
        "bias6": reals(227, (5,)),
    }
    layers = [
        conv("filters1", pad=(1, 0, 0, 2)),
        bnorm("gain", "shift", "moments"),
        relu(0.125),
        normalize(4, 1, 0.5, 0.75),
        pool((4, 3), (2, 2), (1, 0, 0, 1), method="avg"),
        conv("filters6", "bias6"),
        {"type": "softmax"},
    ]
    return arrays, layers


def negative_net() -> tuple[Named, list[dict[str, Any]]]:
    """Return a net whose maps are negative where it pads."""
    arrays = {
        "filters1": -integers(228, (2, 1, 2, 2), 1, 4),
        "bias1": np.array([-1, -2], np.float32),
        "filters4": integers(229, (2, 2, 1, 2)),
    }
    layers = [
        conv("filters1", "bias1"),
        pool((2, 2), (2, 2), (1, 1, 1, 0)),
        pool((2, 3), (2, 2)),
        conv("filters4"),
    ]
    return arrays, layers


def double_net() -> tuple[Named, list[dict[str, Any]]]:
    """Return a net whose weights need float64."""
    arrays = {
        "filters1": np.array([[[[1.0, 0.0]]], [[[0.0, 2.0]]]]),
        "filters2": np.array([[[[BEYOND + 1.0]], [[1.0]]], [[[3.0]], [[BEYOND + 5.0]]]]),
    }
    return arrays, [conv("filters1"), conv("filters2")]


def forwards() -> list[Case]:
    """Cases of 2.6."""
    arrays, network = small_net()
    images = {"images": integers(231, (2, 2, 9, 12))}
    real, layers = normalized_net()
    deep, double = double_net()
    negative, pools = negative_net()
    eye = np.eye(3, dtype=np.float32)[:, :, None, None]
    logits = np.array([[100, 88, -200], [89, 300, 0], [-500, -499, 300]], np.float32)
    pixels = {"images": logits.T[None, :, :, None], "filters1": eye}
    return [
        rounded("forward-softmax", "logits of up to 300, whose exponentials no float32 holds",
            pixels, network=[conv("filters1"), {"type": "softmax"}]),
        rounded("forward-softmax-large",
            "logits of up to 1000 and down to -1000, whose exponentials no float64 holds",
            {"images": np.array([[[[1000, 711, -1000]], [[999, 800, -999]], [[0, -800, -1000]]]],
                np.float32), "filters1": eye}, network=[conv("filters1"), {"type": "softmax"}]),
        exact("forward-softmax-equal", "of channels that are equal, each has its share",
            {"images": np.full((1, 4, 1, 2), 150, np.float32),
             "filters1": np.eye(4, dtype=np.float32)[:, :, None, None]},
            network=[conv("filters1"), {"type": "softmax"}]),
        exact("forward-infinity",
            "minus infinity through a ReLU, NaN and infinity through maxima and averages",
            {"images": with_values(integers(236, (1, 1, 4, 8)) * 4, {(0, 0, 0, 0): -np.inf,
                (0, 0, 1, 3): np.inf, (0, 0, 3, 6): np.nan}),
             "filters1": np.ones((1, 1, 1, 1), np.float32)},
            network=[conv("filters1"), relu(), pool((2, 2), (2, 2)),
                pool((1, 2), (1, 2), method="avg")]),
        exact("forward-inception", "pools of 3x3 at stride 1 under padding, as in Inception",
            {"images": integers(237, (1, 1, 5, 6), -9, -1),
             "filters1": integers(238, (2, 1, 1, 1), 1, 3)},
            network=[conv("filters1"), pool((3, 3), (1, 1), (1, 1, 1, 1)),
                pool((1, 1), (3, 2))]),
        exact("forward-layers", "two layers alone are asked for", {**images, **arrays},
            network=network, layers=[2, 4]),
        exact("forward-integers",
            "strides, paddings, groups and dilation, a pool that overlaps, a ReLU",
            {**images, **arrays}, network=network),
        exact("forward-pools", "all maps are negative under padding; strides that do not divide",
            {"images": integers(232, (1, 1, 8, 12), 1, 4), **negative}, network=pools),
        exact("forward-double", "float64: 2^24 + 1 is a number",
            {"images": integers(234, (1, 1, 2, 3), 1, 4, np.float64), **deep}, network=double),
        rounded("forward-real",
            "bnorm, a leaky ReLU, normalize, averages under padding, softmax over channels",
            {"images": reals(235, (2, 3, 8, 9)), **real}, network=layers),
    ]  # fmt: skip


def decodings() -> list[Case]:
    """Cases of 3.2."""
    arrays, network = small_net()
    real, layers = normalized_net()
    deep, double = double_net()
    drawn = handmade()
    ink = {
        f"filters{number}": layer.filters
        for number, layer in enumerate(drawn, 1)
        if isinstance(layer, Conv)
    }
    characters = [conv("filters1"), conv("filters2"), pool((2, 2), (2, 2)), conv("filters4")]
    gaps = {"filters1": integers(241, (2, 1, 2, 3)), "filters3": integers(242, (2, 2, 3, 2))}
    narrow = [conv("filters1", dilate=(1, 2)), pool((1, 2), (2, 3)), conv("filters3")]
    found = [
        exact("decode-first", "the first layer's filters are decoded as they are", gaps,
            network=narrow, layer=1, filters=[1, 0], unpool="nearest"),
        exact("decode-narrow-pool", "a pool whose window is smaller than its stride", gaps,
            network=narrow, layer=3, filters=[0, 1], unpool="nearest"),
        exact("decode-group", "the top's filters lie on the channels of their groups", arrays,
            network=network, layer=3, filters=[1, 4], unpool="nearest"),
        exact("decode-integers",
            "a dilated top, then a ReLU, groups, a pool that overlaps, a stride; biases and "
            "paddings play no part", arrays, network=network, layer=5, filters=[0, 1, 2],
            unpool="nearest"),
        exact("decode-window",
            "the same, an overlapping pool's pixels being shared over its windows of 4x2",
            {**arrays, "filters5": arrays["filters5"] * 8},
            network=[network[0], pool((4, 2), (2, 2)), *network[2:]], layer=5, filters=[0, 1, 2],
            unpool="window"),
        exact("decode-double", "float64: 2^24 + 1 is a number", deep, network=double, layer=2,
            filters=[0, 1], unpool="nearest"),
        exact("decode-duplicates", "the same filter twice, and in no order", arrays,
            network=network, layer=3, filters=[5, 0, 5], unpool="nearest"),
        exact("decode-none", "no filters are asked for: pictures of none", arrays,
            network=network, layer=3, filters=[], unpool="nearest"),
        exact("decode-stages", "two stages alone are asked for", arrays, network=network, layer=5,
            filters=[2], unpool="nearest", stages=[2, 5]),
        exact("decode-inception", "pools of 3x3 at stride 1: a zero on each side", gaps,
            network=[conv("filters1"), pool((3, 3), (1, 1), (1, 1, 1, 1)), conv("filters3")],
            layer=3, filters=[0, 1], unpool="nearest"),
        exact("decode-point", "pools of one pixel at strides 3 and 4: cropped on both sides", gaps,
            network=[conv("filters1", stride=(2, 1)), pool((1, 1), (3, 4)), conv("filters3")],
            layer=3, filters=[1, 0], unpool="nearest"),
        exact("decode-handmade", "a net drawn by hand, whose 8 top filters are C D H K T X Y Z",
            ink, network=characters, layer=4, filters=[*range(8)], unpool="nearest"),
        rounded("decode-handmade-bicubic", "the X of the hand-made net", ink, network=characters,
            layer=4, filters=[5], unpool="bicubic"),
        rounded("decode-real-window",
            "down through averages (window, which their padding does not clip), normalize, a ReLU "
            "and bnorm", real, network=layers, layer=6, filters=[0, 4], unpool="window"),
    ]  # fmt: skip
    for method in ("bilinear", "bicubic"):
        found += [
            rounded(f"decode-{method}",
                f"down through groups, an overlapping pool ({method}) and a stride", arrays,
                network=network, layer=5, filters=[1], unpool=method),
            rounded(f"decode-real-{method}",
                f"down through averages ({method}), normalize, a ReLU and bnorm", real,
                network=layers, layer=6, filters=[0, 4], unpool=method),
        ]  # fmt: skip
    return found


def constants() -> NDArray[np.float32]:
    """Return images of four 2x2 windows: of all, of none, or of one kind all values are equal.

    Their maxima are what a pool gives, their sums are what is predicted of it.
    """
    windows = [
        [[1, 2, 3, 4], [5, 0, 0, 0], [2, 2, 1, 1], [9, 0, 7, 0]],
        [[0, 4, 0, 0], [1, 1, 1, 1], [2, 2, 0, 0], [3, 1, 0, 0]],
        [[3, 0, 0, 0], [3, 3, 1, 1], [3, 2, 1, 0], [0, 0, 0, 3]],
        [[2, 2, 2, 2], [2, 2, 2, 2], [2, 2, 2, 2], [2, 2, 2, 2]],
    ]
    pixels = np.array(windows, np.float32).reshape(4, 1, 2, 2, 2, 2)
    return np.ascontiguousarray(pixels.swapaxes(3, 4).reshape(4, 1, 4, 4))


def evaluations() -> list[Case]:
    """Cases of section 6."""
    arrays, network = small_net()
    real, layers = normalized_net()
    negative, pools = negative_net()
    linear = {"filters1": integers(251, (2, 1, 3, 2)), "filters2": integers(252, (3, 2, 2, 2))}
    correlations = [conv("filters1", stride=(1, 2)), conv("filters2")]
    averages = [*correlations[:1], pool((4, 2), (2, 1), method="avg"), *correlations[1:]]
    images = {"images": integers(253, (3, 2, 9, 12))}
    ones = {name: np.ones((1, 1, 1, 1), np.float32) for name in ("filters1", "filters3")}
    return [
        rounded("evaluate-linear", "correlations alone: the decoded filters predict the responses",
            {"images": integers(254, (2, 1, 7, 9)), **linear}, network=correlations, layer=2,
            unpool="nearest"),
        rounded("evaluate-window",
            "correlations and averages that overlap: under `window` these are predicted, too",
            {"images": integers(257, (2, 1, 11, 13)), **linear}, network=averages, layer=3,
            unpool="window"),
        rounded("evaluate-constant",
            "of one image the response is the same everywhere, of another the prediction, of a "
            "third both: there is nothing to compare", {"images": constants(), **ones},
            network=[conv("filters1"), pool((2, 2), (2, 2)), conv("filters3")], layer=3,
            unpool="nearest"),
        rounded("evaluate-nothing", "of no image there is anything to compare",
            {"images": constants()[2:4], **ones},
            network=[conv("filters1"), pool((2, 2), (2, 2)), conv("filters3")], layer=3,
            unpool="nearest"),
        rounded("evaluate-integers", "a layer that a ReLU follows: its response is before",
            {**images, **arrays}, network=network, layer=3, unpool="nearest"),
        rounded("evaluate-top", "a dilated layer above a ReLU, groups and a pool",
            {**images, **arrays}, network=network, layer=5, unpool="bicubic"),
        rounded("evaluate-negative", "maxima of negative maps under padding",
            {"images": integers(256, (2, 1, 9, 12), 1, 4), **negative}, network=pools, layer=4,
            unpool="nearest"),
        rounded("evaluate-real", "real numbers, layers of every type",
            {"images": reals(255, (3, 3, 8, 9)), **real}, network=layers, layer=6,
            unpool="bilinear"),
    ]  # fmt: skip

"""Cases of sections 9.1 to 9.3: networks that are no chain, and units at a position."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.cases.making import (
    bnorm,
    conv,
    convt,
    exact,
    pool,
    refused,
    relu,
    rounded,
    taking,
)
from fdref.conformance.cases.numbers import integers, reals

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.conformance.case import Case

    Named = dict[str, NDArray[Any]]
    Layers = list[dict[str, Any]]


def cases() -> list[Case]:
    """Return them all."""
    return [*forwards(), *decodings(), *enlarging(), *pooled(), *positions(), *evaluations(),
            *refusals()]  # fmt: skip


def residual() -> tuple[Named, Layers]:
    """Return a net with two sums, whose ways down begin at different places."""
    arrays = {
        "filters1": integers(601, (3, 2, 2, 3), -2, 2),
        "bias1": integers(602, (3,), -3, 3),
        "filters3": integers(603, (3, 3, 3, 2), -2, 2),
        "filters4": integers(604, (3, 2, 1, 1), -3, 3),
        "filters6": integers(605, (2, 3, 2, 2), -2, 2),
    }
    layers = [
        conv("filters1", "bias1", pad=(1, 0, 0, 2)),
        relu(),
        conv("filters3", pad=(0, 2, 1, 0)),
        taking(conv("filters4"), 0),
        taking("sum", 3, 1, 4),
        conv("filters6", stride=(2, 1), pad=(1, 0, 1, 1)),
    ]
    return arrays, layers


def inception() -> tuple[Named, Layers]:
    """Return a net of branches that are joined channel by channel, and of a pool of stride 1."""
    arrays = {
        "filters1": integers(611, (2, 1, 2, 2), -2, 2),
        "filters2": integers(612, (1, 2, 1, 1), 1, 3),
        "filters3": integers(613, (2, 2, 3, 2), -2, 2),
        "filters4": integers(614, (2, 2, 1, 3), -2, 2),
        "filters7": integers(615, (3, 5, 2, 2), -2, 2),
    }
    layers = [
        conv("filters1"),
        taking(conv("filters2"), 1),
        taking(conv("filters3", pad=(1, 1, 0, 1)), 1),
        taking(pool((3, 3), (1, 1), (1, 1, 1, 1)), 1),
        conv("filters4", pad=(0, 0, 2, 0)),
        taking("concat", 2, 5, 3),
        conv("filters7"),
    ]
    return arrays, layers


def enlarged(groups: int = 1) -> tuple[Named, Layers]:
    """Return a net with a transposed convolution between two others."""
    arrays = {
        "filters1": integers(621, (4, 1, 2, 2), -2, 2),
        "filters2": integers(622, (4, 2 // groups, 4, 3), -2, 2),
        "bias2": np.array([5, -7], np.float32),
        "filters3": integers(623, (3, 2, 3, 2), -2, 2),
    }
    layers = [
        conv("filters1", stride=(2, 1), pad=(1, 0, 0, 1)),
        convt("filters2", "bias2", upsample=(2, 1), crop=(1, 2, 0, 1), groups=groups),
        conv("filters3", pad=(0, 1, 1, 0)),
    ]
    return arrays, layers


def forwards() -> list[Case]:
    """Cases of 9.1."""
    images = {"images": integers(631, (2, 2, 6, 7))}
    one = {"images": integers(632, (1, 1, 6, 7))}
    arrays, network = residual()
    branches, joined = inception()
    up, upwards = enlarged()
    grouped, groups = enlarged(2)
    scaled = {
        "filters1": integers(641, (3, 2, 2, 2), -2, 2),
        "factor2": np.array([2, -1, 3], np.float32),
        "offset2": np.array([1, 0, -4], np.float32),
        "factor4": np.array([-1, 4, 0.5], np.float32),
        "filters5": integers(642, (2, 3, 1, 2), -2, 2),
    }
    scales = [
        conv("filters1"),
        {"type": "scale", "factor": "factor2", "offset": "offset2"},
        {"type": "dropout"},
        {"type": "scale", "factor": "factor4", "offset": None},
        taking("product", 3, 4),
        conv("filters5"),
    ]
    gated = [
        conv("filters1"),
        {"type": "sigmoid"},
        taking("product", 1, 2),
        {"type": "softmax"},
    ]
    real = {"images": reals(643, (1, 2, 4, 5), -3, 3), "filters1": reals(644, (3, 2, 2, 2))}
    return [
        exact("forward-graph-sum", "layers that take maps 0, 1, 3 and 4, and a sum of three",
            {**images, **arrays}, network=network),
        exact("forward-graph-concat",
            "branches whose channels are joined in the order that is said, 2, 5, 3",
            {**one, **branches}, network=joined),
        exact("forward-graph-convt",
            "a transposed convolution: four different crops, and a bias where it is cropped, too",
            {**one, **up}, network=upwards),
        exact("forward-graph-convt-groups", "the same in two groups", {**one, **grouped},
            network=groups),
        exact("forward-graph-scale",
            "a factor and an offset for each channel, dropout, a product of two maps",
            {**images, **scaled, "filters5": scaled["filters5"] * 2}, network=scales),
        rounded("forward-graph-real", "sigmoid, a product of two maps, softmax", real,
            network=gated),
    ]  # fmt: skip


def decodings() -> list[Case]:
    """Cases of 9.2: sums, concatenations, and where pictures begin."""
    arrays, network = residual()
    branches, joined = inception()
    norm = {
        "filters1": integers(651, (2, 1, 2, 3), -2, 2),
        "gain": np.array([3, -2], np.float32),
        "shift": np.array([5, 7], np.float32),
        "moments": np.array([[4, 0.5], [-1, 0.25]], np.float32),
        "factor3": np.array([-1, 3], np.float32),
        "offset3": np.array([9, -9], np.float32),
        "filters6": integers(652, (2, 2, 2, 1), -2, 2),
    }
    scales = [
        conv("filters1"),
        bnorm("gain", "shift", "moments"),
        {"type": "scale", "factor": "factor3", "offset": "offset3"},
        taking("dropout", 1),
        taking("sum", 3, 4),
        conv("filters6"),
    ]
    twice = [conv("filters1"), taking("sum", 1, 1), conv("filters6")]
    apart = {
        "filters1": integers(653, (2, 1, 2, 2), -2, 2),
        "filters3": integers(654, (2, 2, 2, 3), -2, 2),
        "filters4": integers(655, (2, 2, 1, 1), -2, 2),
    }
    united = [
        conv("filters1"),
        pool((2, 2), (2, 2)),
        conv("filters3", pad=(1, 0, 0, 2)),
        taking(conv("filters4"), 2),
        taking("sum", 3, 4),
    ]
    return [
        exact("decode-graph-sum",
            "what three ways hand down is united at its origins, in the box that holds them all",
            arrays, network=network, layer=6, filters=[0, 1], unpool="nearest", origin=True),
        exact("decode-graph-pixel",
            "a sum by itself: one pixel of value 1 in the channels 2 and 0 of its map", arrays,
            network=network, layer=5, filters=[2, 0], unpool="nearest", origin=True),
        exact("decode-graph-below", "a layer that takes the image, beside others", arrays,
            network=network, layer=4, filters=[1], unpool="nearest", origin=True),
        exact("decode-graph-concat", "each map of a concatenation gets its own channels", branches,
            network=joined, layer=7, filters=[0, 2], unpool="nearest", origin=True),
        rounded("decode-graph-concat-window", "the same, the pool's pixels being shared",
            branches, network=joined, layer=7,
            filters=[1], unpool="window", origin=True),
        exact("decode-graph-scale",
            "bnorm and scale multiply, their offsets take no part; a map of two users", norm,
            network=scales, layer=6, filters=[0, 1], unpool="nearest", origin=True),
        rounded("decode-graph-united",
            "bicubic: what two ways hand down is united before it is enlarged, not after", apart,
            network=united, layer=5, filters=[0, 1], unpool="bicubic", origin=True),
        exact("decode-graph-twice", "a map that a sum takes twice counts twice",
            {name: norm[name] for name in ("filters1", "filters6")}, network=twice, layer=3,
            filters=[1], unpool="nearest", origin=True),
    ]  # fmt: skip


def enlarging() -> list[Case]:
    """Cases of 9.2: transposed convolutions."""
    up, upwards = enlarged()
    grouped, groups = enlarged(2)
    wide = {**up, "filters2": integers(661, (4, 2, 2, 2), -2, 2),
            "filters3": integers(662, (2, 2, 5, 4), -2, 2)}  # fmt: skip
    apart = [upwards[0], convt("filters2", upsample=(3, 2), crop=(0, 1, 1, 0)), upwards[2]]
    return [
        exact("decode-graph-convt",
            "a transposed convolution is correlated with, from the first pixel that is reached",
            up, network=upwards, layer=3, filters=[0, 2],
            unpool="nearest", origin=True),
        exact("decode-graph-convt-groups", "the same in two groups", grouped,
            network=groups, layer=3, filters=[1], unpool="nearest",
            origin=True),
        exact("decode-graph-convt-apart",
            "upsampling by 3 and 2, more than the filter is high: some pixels are never reached",
            {name: wide[name] for name in ("filters1", "filters2", "filters3")}, network=apart,
            layer=3, filters=[0, 1], unpool="nearest", origin=True),
        exact("decode-graph-convt-pixel", "a transposed convolution by itself: one pixel", up,
            network=upwards, layer=2, filters=[1], unpool="nearest",
            origin=True),
    ]  # fmt: skip


def pooled() -> list[Case]:
    """Cases of 9.2 and 9.3: pools."""
    arrays = {
        "filters1": integers(671, (2, 1, 2, 2), -2, 2),
        "filters3": integers(672, (2, 2, 2, 1), -2, 2) * 4,
        "filters6": integers(673, (2, 2, 2, 2), -2, 2) * 4,
    }
    shifted = [
        conv("filters1"),
        taking(pool((3, 2), (2, 2), (1, 0, 1, 0)), 1),
        taking(conv("filters3", stride=(2, 2), pad=(0, 1, 0, 0)), 1),
        taking("sum", 2, 3),
        conv("filters6"),
    ]
    uneven = [
        conv("filters1"),
        taking(pool((2, 2), (2, 2)), 1),
        taking(conv("filters3", stride=(2, 2)), 1),
        taking("sum", 2, 3),
        pool((2, 2), (2, 2)),
        conv("filters6"),
    ]
    last = [conv("filters1"), pool((5, 3), (2, 2), (0, 0, 1, 0)), conv("filters4")]
    single = {"filters1": arrays["filters1"], "filters4": integers(674, (2, 2, 1, 3), -2, 2)}
    return [
        exact("decode-graph-pool", "a pool's pictures move by its stride and padding",
            {**arrays, "filters1": arrays["filters1"] * 4}, network=shifted, layer=2,
            filters=[0, 1], unpool="nearest", origin=True),
        exact("decode-graph-copies",
            "one way leads through a pool more than the other: every pool divides by its copies",
            arrays, network=uneven, layer=6, filters=[0, 1], unpool="nearest", stages=[6],
            origin=True),
        exact("decode-graph-copies-window", "under `window`, which shares anyway, none divides",
            arrays, network=uneven, layer=6, filters=[1], unpool="window", stages=[6],
            origin=True),
        exact("decode-graph-single",
            "a pool whose map has a single row is spread over its window, vertically", single,
            network=last, layer=3, filters=[1, 0], unpool="nearest", input_size=[6, 9],
            origin=True),
    ]  # fmt: skip


def positions() -> list[Case]:
    """Cases of 9.2: what one unit sees of images of a size."""
    arrays, network = residual()
    chain = {
        "filters1": integers(681, (2, 1, 3, 2), -2, 2),
        "filters4": integers(682, (2, 2, 3, 3), -2, 2),
    }
    padded = [
        conv("filters1", pad=(2, 1, 1, 1)),
        relu(),
        pool((3, 2), (2, 2), (1, 1, 1, 0), method="avg"),
        conv("filters4", pad=(1, 1, 1, 1)),
    ]
    known: dict[str, Any] = {"network": padded, "layer": 4, "input_size": [9, 10], "origin": True}
    return [
        exact("decode-position", "a unit in the middle of its map sees what all do", chain,
            filters=[0, 1], unpool="nearest", position=[2, 2], **known),
        exact("decode-position-corner",
            "what the unit in the first corner sees is clipped on every map", chain, filters=[0],
            unpool="nearest", position=[0, 0], **known),
        exact("decode-position-end", "the unit in the last corner", chain, filters=[1],
            unpool="nearest", position=[4, 4], **known),
        rounded("decode-position-window",
            "shares are those of the windows that the border cuts: of as many pixels as are on "
            "the map", chain, filters=[0, 1], unpool="window", position=[0, 4], **known),
        rounded("decode-position-bicubic", "bicubic, clipped before it is enlarged", chain,
            filters=[1], unpool="bicubic", position=[4, 0], **known),
        exact("decode-graph-position", "a unit of a graph at the border", arrays, network=network,
            layer=6, filters=[0, 1], unpool="nearest", position=[0, 6], input_size=[6, 7],
            origin=True),
    ]  # fmt: skip


def evaluations() -> list[Case]:
    """Cases of section 6 in graphs."""
    arrays, network = residual()
    branches, joined = inception()
    return [
        rounded("evaluate-graph-sum", "5.2 at the origin over map 0, the strides of any way down",
            {"images": integers(691, (2, 2, 6, 7)), **arrays}, network=network, layer=6,
            unpool="nearest"),
        rounded("evaluate-graph-concat", "branches that are joined, bicubic",
            {"images": integers(692, (2, 1, 6, 7)), **branches}, network=joined, layer=7,
            unpool="bicubic"),
    ]  # fmt: skip


def refusals() -> list[Case]:
    """Cases of section 7: what graphs refuse."""
    arrays, network = residual()
    images = integers(695, (1, 2, 6, 7))

    def given(*names: str) -> Named:
        return {"images": images, **{name: arrays[name] for name in names}}

    later = given("filters1", "filters3", "filters4", "filters6")
    scaled = {**given("filters4"), "factor2": np.ones(3, np.float32)}
    scale = {"type": "scale", "factor": "factor2", "offset": None}
    two = {"filters1": arrays["filters1"], "filters2": arrays["filters6"]}
    known: dict[str, Any] = {"filters": [0], "unpool": "nearest"}
    apart = [conv("filters1"), taking(conv("filters1", stride=(2, 1)), 0), taking("sum", 1, 2)]
    return [
        refused("refuse-forward-graph-sum", "a sum of maps of different sizes",
            given("filters1", "filters4"),
            network=[conv("filters1"), taking(conv("filters4"), 0), taking("sum", 1, 2)]),
        refused("refuse-forward-graph-channels", "a sum of maps of 3 and of 2 channels",
            given("filters1"), network=[conv("filters1"), taking("sum", 1, 0)]),
        refused("refuse-forward-graph-concat", "a concatenation of maps of different sizes",
            given("filters1"), network=[conv("filters1"), taking("concat", 1, 0)]),
        refused("refuse-forward-graph-later", "a layer takes a map that is made later", later,
            network=[taking(conv("filters1"), 0), taking(conv("filters4"), 3), *network[2:]]),
        refused("refuse-forward-graph-scale", "2 factors for maps of 3 channels",
            scaled | {"factor2": np.ones(2, np.float32)}, network=[conv("filters4"), scale]),
        refused("refuse-forward-graph-offset", "1 offset for maps of 3 channels",
            scaled | {"offset2": np.ones(1, np.float32)},
            network=[conv("filters4"), scale | {"offset": "offset2"}]),
        refused("refuse-decode-graph-jumps",
            "the neighbour of a unit sees the image moved by 1 one way, by 2 the other", two,
            network=[*apart, conv("filters2")], layer=4, **known),
        refused("refuse-decode-graph-product", "a product of two maps has no filter", two,
            network=[conv("filters1"), taking("product", 1, 1), conv("filters2")], layer=3,
            **known),
        refused("refuse-decode-position", "a map of 4 rows has no row 4", arrays, network=network,
            layer=6, position=[4, 0], input_size=[6, 7], **known),
    ]  # fmt: skip

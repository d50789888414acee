"""Cases of section 3.3: projections, by four rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.cases.layers import BEYOND
from fdref.conformance.cases.making import bnorm, conv, exact, normalize, pool, relu, rounded
from fdref.conformance.cases.networks import negative_net, normalized_net, small_net
from fdref.conformance.cases.numbers import integers, reals
from fdref.walk.projection import RULES

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.conformance.case import Case

    Named = dict[str, NDArray[Any]]


def cases() -> list[Case]:
    """Return them all."""
    return [*switches(), *rectifiers(), *others(), *real()]


def switches() -> list[Case]:
    """Cases of what a pool hands down."""
    few = {"images": integers(401, (2, 1, 6, 7), 0, 2), "filters2": integers(402, (2, 1, 2, 2))}
    signed = {
        "images": integers(403, (2, 2, 9, 10)),
        "filters1": integers(404, (3, 2, 2, 3), -2, 2),
        "bias1": integers(405, (3,), -6, 2),
        "filters4": integers(406, (2, 3, 2, 2), -2, 2),
    }
    below, top = conv("filters1", "bias1"), conv("filters4")
    negative, pools = negative_net()
    # Averages are over 2, 4 and 8 pixels: divided or times reciprocals, the bits are the same.
    eights = {name: signed[name] * 8 for name in ("images", "bias1", "filters4")}
    return [
        exact("project-ties", "2x2 maxima of 0, 1 and 2: of equal ones the first by rows has all",
            few, network=[pool((2, 2), (2, 2)), conv("filters2")], layer=2,
            kept=[[0, 0, 0, 0], [0, 1, 1, 1], [1, 0, 0, 1], [1, 1, 1, 0]], rule="deconvnet"),
        exact("project-pool", "units of a pool, whose own switches tell where they go",
            few, network=[conv("filters2"), pool((2, 3), (1, 2))], layer=2,
            kept=[[0, 0, 0, 0], [0, 1, 3, 1], [1, 0, 1, 0], [1, 1, 2, 1]], rule="deconvnet"),
        exact("project-overlap",
            "3x3 maxima at stride 2: what several windows hand to one pixel adds", signed,
            network=[below, relu(), pool((3, 3), (2, 2)), top], layer=4,
            kept=[[0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 1]], rule="deconvnet"),
        exact("project-pad", "maxima under four different paddings, which never win; some negative",
            signed, network=[below, pool((3, 4), (2, 3), (1, 2, 2, 1)), relu(), top], layer=4,
            kept=[[0, 0, 0, 0], [0, 1, 2, 1], [1, 1, 3, 1], [1, 0, 1, 0]], rule="guided"),
        exact("project-negative", "maxima of negative maps under padding",
            {"images": integers(407, (1, 1, 9, 12), 1, 4), **negative}, network=pools, layer=4,
            kept=[[0, 0, 0, 0], [0, 1, 1, 0]], rule="linear"),
        exact("project-gaps", "a window smaller than the stride: some pixels are never reached",
            signed, network=[below, relu(), pool((1, 2), (3, 3)), top], layer=4,
            kept=[[0, 1, 0, 0], [1, 0, 1, 1]], rule="gradient"),
        exact("project-pool-relu",
            "maxima before the ReLU: where all are negative the largest is the switch", signed,
            network=[below, pool((2, 2), (2, 2)), relu(), top], layer=4,
            kept=[[0, 0, 0, 0], [1, 1, 2, 1], [1, 0, 0, 2]], rule="deconvnet"),
        exact("project-relu-pool",
            "maxima behind the ReLU: where all were negative the first by rows is the switch",
            signed, network=[below, relu(), pool((2, 2), (2, 2)), top], layer=4,
            kept=[[0, 0, 0, 0], [1, 1, 2, 1], [1, 0, 0, 2]], rule="deconvnet"),
        exact("project-average",
            "averages of 2x4 under padding: equal shares of the pixels that are on the map",
            signed | eights, network=[below, pool((2, 4), (1, 2), (1, 0, 0, 2), "avg"), top],
            layer=3, kept=[[0, 0, 0, 0], [1, 1, 2, 2], [0, 1, 3, 1]], rule="deconvnet"),
    ]  # fmt: skip


def rectified_net() -> tuple[Named, list[dict[str, Any]]]:
    """Return a net of integers with two ReLUs, of whose values many are 0."""
    arrays = {
        "filters1": integers(411, (3, 2, 3, 2), -2, 2),
        "bias1": integers(412, (3,), -3, 3),
        "filters4": integers(413, (4, 3, 2, 3), -2, 2),
        "bias4": integers(414, (4,), -3, 3),
        "filters6": integers(415, (2, 4, 2, 2), -2, 2),
        "bias6": integers(416, (2,), 1, 4),
    }
    layers = [
        conv("filters1", "bias1", pad=(1, 0, 2, 1)),
        relu(),
        pool((2, 2), (2, 2)),
        conv("filters4", "bias4"),
        relu(),
        conv("filters6", "bias6"),
    ]
    return arrays, layers


RECTIFIED = {
    "gradient": "what was positive on the way up passes",
    "deconvnet": "what is positive on the way down passes",
    "guided": "what is positive on both ways passes",
    "linear": "all passes",
}
"""What a ReLU does under each rule."""


def rectifiers() -> list[Case]:
    """Cases of what a ReLU hands down."""
    arrays, network = rectified_net()
    images = {"images": integers(417, (2, 2, 9, 11))}
    kept = [[0, 0, 0, 0], [0, 1, 1, 1], [1, 0, 1, 0], [1, 1, 0, 2]]
    leaky = [conv("filters1", "bias1"), relu(0.25), conv("filters4", "bias4"), relu(0.5)]
    # 64 times as much is left whole by all leaks on the ways up and down.
    scaled = {name: arrays[name] for name in ("filters1", "filters4")}
    scaled |= {name: arrays[name] * 64 for name in ("bias1", "bias4")}
    scaled["images"] = images["images"] * 64
    found = [
        exact(f"project-{rule}", f"under {rule}: {about}", {**images, **arrays}, network=network,
            layer=6, kept=kept, rule=rule)
        for rule, about in RECTIFIED.items()
    ]  # fmt: skip
    found += [
        exact(f"project-leak-{rule}", f"under {rule}: leaks multiply what does not pass", scaled,
            network=leaky, layer=4, kept=[[0, 0, 0, 0], [0, 3, 2, 1], [1, 2, 1, 3], [1, 1, 4, 2]],
            rule=rule)
        for rule in RULES
    ]  # fmt: skip
    return found


def others() -> list[Case]:
    """Cases of the other layers, in integers."""
    arrays, network = small_net()
    images = {"images": integers(421, (2, 2, 11, 14))}
    # Divisors are 8 and 16: 16 times the filters above make whole numbers of the quotients.
    lrn = {
        "images": np.array([[[[1, -1, 3, 1], [-3, 1, 3, -1], [1, 3, -1, -3]]]], np.float32),
        "filters1": np.ones((1, 1, 1, 1), np.float32),
        "filters3": integers(422, (2, 1, 2, 2)) * 16,
    }
    scale = {
        "images": integers(423, (1, 2, 4, 5)),
        "gain": np.array([-2, 3], np.float32),
        "shift": np.array([4, -1], np.float32),
        "moments": np.array([[1, 0.5], [-2, 0.25]], np.float32),
        "filters2": integers(424, (2, 2, 2, 3)),
    }
    double = {
        "images": integers(425, (1, 1, 3, 4), 1, 4, np.float64),
        "filters1": np.array([[[[BEYOND + 1.0, 1.0]]]]),
    }
    return [
        exact("project-integers",
            "strides, paddings, groups and dilation, a pool that overlaps, a ReLU; biases take no "
            "part on the way down", {**images, **arrays}, network=network, layer=5,
            kept=[[0, 0, 0, 0], [1, 2, 1, 1], [1, 0, 2, 2]], rule="deconvnet"),
        exact("project-unreached", "a stride that leaves gaps, and rows at the end: there is 0",
            {"images": integers(426, (1, 1, 6, 8)), "filters1": integers(427, (2, 1, 2, 2), 1, 4)},
            network=[conv("filters1", stride=(3, 3))], layer=1,
            kept=[[0, 0, 1, 1], [0, 1, 0, 2]], rule="gradient"),
        exact("project-own-relu", "units of a ReLU: its own leak counts on the way down, too",
            {"images": np.array([[[[64, -64, 128], [-128, 64, -192]]]], np.float32),
             "filters1": np.array([[[[1, 2]]]], np.float32)},
            network=[conv("filters1"), relu(0.25)], layer=2,
            kept=[[0, 0, 0, 0], [0, 0, 0, 1], [0, 0, 1, 1]], rule="guided"),
        exact("project-group", "units of a layer with groups, each on the channels of its own",
            {**images, **arrays}, network=network, layer=3,
            kept=[[0, 1, 0, 0], [1, 4, 3, 2], [0, 2, 2, 1]], rule="gradient"),
        exact("project-normalize", "normalisation over channels is passed by", lrn,
            network=[conv("filters1"), normalize(1, 7, 1, 1), conv("filters3")], layer=3,
            kept=[[0, 0, 0, 0], [0, 1, 1, 2]], rule="deconvnet"),
        exact("project-bnorm", "bnorm is gain / deviation, the offset takes no part", scale,
            network=[bnorm("gain", "shift", "moments"), conv("filters2")], layer=2,
            kept=[[0, 0, 0, 0], [0, 1, 2, 2]], rule="linear"),
        exact("project-double", "float64: 2^24 + 1 is a number", double,
            network=[conv("filters1")], layer=1, kept=[[0, 0, 1, 1]], rule="deconvnet"),
    ]  # fmt: skip


def real() -> list[Case]:
    """Cases of real numbers, with layers of every type."""
    arrays, network = normalized_net()
    given = {"images": reals(431, (2, 3, 9, 10)), **arrays}
    kept = [[0, 0, 1, 0], [0, 3, 1, 1], [1, 4, 0, 2]]
    found = [
        rounded(f"project-real-{rule}",
            "bnorm, a leaky ReLU, normalize "
            f"({'through its derivative' if rule == 'gradient' else 'passed by'}), averages under "
            f"padding; {rule}", given, network=network, layer=6, kept=kept, rule=rule)
        for rule in RULES
    ]  # fmt: skip
    odd = {"images": reals(432, (1, 7, 2, 3), -2, 2), "filters2": reals(433, (2, 7, 1, 2))}
    return [
        *found,
        rounded("project-normalize-odd",
            "the derivative of a normalisation over 5 of 7 channels, two on each side", odd,
            network=[normalize(5, 1, 0.5, 0.75), conv("filters2")], layer=2,
            kept=[[0, 0, 0, 0], [0, 1, 1, 1]], rule="gradient"),
        rounded("project-real-softmax", "the gradient of probabilities, through softmax", given,
            network=network, layer=7, kept=kept, rule="gradient"),
    ]  # fmt: skip

"""Cases of section 10: occlusion."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

import fdref
from fdref.conformance.cases.lenet import DIGITS, NETWORK
from fdref.conformance.cases.making import conv, pool, relu, rounded
from fdref.conformance.cases.networks import normalized_net, small_net
from fdref.conformance.cases.numbers import integers, reals

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from fdref.conformance.case import Case


def cases() -> list[Case]:
    """Return them all."""
    net = {
        "filters1": integers(501, (3, 2, 2, 3), -2, 2),
        "bias1": integers(502, (3,), -3, 3),
        # Quarters of quarters: scores of some units, whose exponentials are no 0 and no 1.
        "filters4": integers(503, (4, 3, 3, 3), -2, 2) / 32,
    }
    layers = [conv("filters1", "bias1"), relu(), pool((2, 2), (2, 2)), conv("filters4")]
    images = {"images": integers(504, (2, 2, 7, 8), 0, 9), **net}
    small, deep = small_net()
    normal, real = normalized_net()
    digits = fdref.load().prepare(fdref.mnist().test.images[DIGITS[1:]])
    return [
        whole("occlude-square", "squares of 2x3 that go on by 1 and 2, of a number for each "
            "channel; the network gets a softmax", images, network=layers, layer=1, size=(2, 3),
            stride=(1, 2), value=[5, -3], labels=[1, 2]),
        whole("occlude-background", "a square of the median of the outermost pixels, by channel",
            images, network=layers, layer=3, size=(3, 2), stride=(2, 2), value="background",
            labels=[3, 0]),
        whole("occlude-one-place", "a square as large as the images", images, network=layers,
            layer=3, size=(7, 8), stride=(3, 1), value=[-2, 9], labels=[0, 1]),
        whole("occlude-integers",
            "strides, paddings, groups and dilation; probabilities are averages over the output's "
            "pixels", {"images": integers(505, (1, 2, 11, 14), 0, 4), **small,
            "filters5": small["filters5"] / 64}, network=deep, layer=3, size=(4, 3), stride=(3, 4),
            value=[1, 2], labels=[1]),
        whole("occlude-ties", "two maps have the largest sum, and two classes are the most "
            "probable: the first counts", {"images": integers(507, (1, 1, 4, 5), 1, 9),
            "filters1": np.array([-1, 1, 1, 0], np.float32).reshape(4, 1, 1, 1) / 8},
            network=[conv("filters1")], layer=1, size=(2, 2), stride=(1, 2), value=[3],
            labels=[2]),
        whole("occlude-large", "scores of up to 900, whose exponentials no float64 holds",
            {"images": np.array([[[[9, 4, 3, -6], [7, 2, 6, -8], [8, 3, 5, -4]]]], np.float32),
            "filters1": np.array([99, 100, -100], np.float32).reshape(3, 1, 1, 1)},
            network=[conv("filters1")], layer=1, size=(2, 2), stride=(1, 1), value=[-1],
            labels=[0]),
        rounded("occlude-real",
            "a network that ends in softmax; layers of every type", {
            "images": reals(506, (2, 3, 9, 10)), **normal}, network=real, layer=4, size=(3, 3),
            stride=(3, 3), value=[0.5, -0.25, 0.125], labels=[0, 4]),
        rounded("occlude-lenet", "two digits behind squares of 14x14 of the average image",
            {"images": digits}, network=NETWORK, layer=3, size=(14, 14), stride=(7, 7), value=[0],
            labels=[4, 9]),
    ]  # fmt: skip


def whole(id: str, about: str, inputs: Mapping[str, NDArray[Any]], **given: Any) -> Case:  # noqa: A002
    """Make a case whose activities are sums of integers, and must match bit for bit.

    Where two of them are equal, they are so whatever computes them, and so are classes.
    """
    case = rounded(id, about, inputs, **given)
    bounds = {**case.tolerance.outputs, "activity": 0.0, "map": 0.0, "label": 0.0}
    return replace(case, tolerance=replace(case.tolerance, outputs=bounds))

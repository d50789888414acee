"""Cases of LeNet, end to end; its weights are the file in the kit's folder."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

import fdref
from fdref.conformance.cases.making import rounded

if TYPE_CHECKING:
    from fdref.arrays import Array
    from fdref.conformance.case import Case

NETWORK = {"file": "lenet"}
CHOSEN = {3: [0, 31], 5: [250], 7: [5]}
"""Filters of each layer that are decoded: one where stages are large, as kits are to be small."""
DECODED = [*product(CHOSEN, ("nearest", "bilinear", "bicubic")), (5, "window")]
"""By which methods."""
STAGES = {5: [1, 3, 5], 7: [3, 5, 7]}
"""What is asked of a layer's stages but for bicubic: less, for the same reason."""
DIGITS = [5, 6, 9]
"""A 1, a 4 and a 9, no maxima of which are so close to others that roundings decide."""
PROJECTED = (
    (3, [0, 7, 31], ("deconvnet",)),
    (5, [175, 225, 375], ("deconvnet",)),
    (7, [1, 4, 9], ("gradient", "deconvnet", "guided")),
)
"""Layers, channels whose strongest activations are projected, and by which rules."""


def cases() -> list[Case]:
    """Return them all."""
    digits = fdref.load().prepare(fdref.mnist().test.images[:2])
    found = [
        rounded(
            "forward-lenet",
            "a digit, less the average image, through every layer of LeNet",
            {"images": digits[:1]},
            network=NETWORK,
        )
    ]
    found += [
        rounded(
            f"decode-lenet{layer}-{method}",
            f"filter{'s' * (len(CHOSEN[layer]) > 1)} {' and '.join(map(str, CHOSEN[layer]))} of "
            f"LeNet's layer {layer}, {method}",
            {},
            network=NETWORK,
            layer=layer,
            filters=CHOSEN[layer],
            unpool=method,
            **({} if method == "bicubic" or layer not in STAGES else {"stages": STAGES[layer]}),
        )
        for layer, method in DECODED
    ]
    found += [
        rounded(
            f"evaluate-lenet{layer}-{method}",
            f"LeNet's layer {layer} on two digits, {method}: what the paper's table 1 averages",
            {"images": digits[:2]},
            network=NETWORK,
            layer=layer,
            unpool=method,
        )
        for layer, method in ((3, "nearest"), (3, "bicubic"), (7, "bicubic"))
    ]
    return [*found, *projections()]


def projections() -> list[Case]:
    """Cases of 3.3: the strongest activations of some channels."""
    net = fdref.load()
    digits = net.prepare(fdref.mnist().test.images[DIGITS])
    acts = fdref.forward(net, digits, "reference")
    return [
        rounded(
            f"project-lenet{layer}-{rule}",
            f"of LeNet's layer {layer} the strongest activations that three digits bring about in "
            f"channels {', '.join(map(str, channels))}; {rule}",
            {"images": digits},
            network=NETWORK,
            layer=layer,
            kept=[strongest(acts[layer], channel) for channel in channels],
            rule=rule,
        )
        for layer, channels, rules in PROJECTED
        for rule in rules
    ]


def strongest(acts: Array, channel: int) -> list[int]:
    """Return the image, channel, row and column where a channel is strongest."""
    own = acts[:, channel]
    image, row, column = np.unravel_index(own.argmax(), own.shape)
    return [int(image), channel, int(row), int(column)]

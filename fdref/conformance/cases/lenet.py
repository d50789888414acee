"""Cases of LeNet, end to end; its weights are the file in the kit's folder."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import fdref
from fdref.conformance.cases.making import rounded

if TYPE_CHECKING:
    from fdref.conformance.case import Case

NETWORK = {"file": "lenet.mat"}
CHOSEN = {3: [0, 31], 5: [7, 250], 7: [0, 5]}
"""Filters of each layer that are decoded."""
DECODED = [*product(CHOSEN, ("nearest", "bilinear", "bicubic")), (5, "window")]
"""By which methods."""


def cases() -> list[Case]:
    """Return them all."""
    digits = fdref.load().prepare(fdref.mnist().test.images[:3])
    found = [
        rounded(
            "forward-lenet",
            "two digits, less the average image, through every layer of LeNet",
            {"images": digits[:2]},
            network=NETWORK,
        )
    ]
    found += [
        rounded(
            f"decode-lenet{layer}-{method}",
            f"filters {CHOSEN[layer][0]} and {CHOSEN[layer][1]} of LeNet's layer {layer}, {method}",
            {},
            network=NETWORK,
            layer=layer,
            filters=CHOSEN[layer],
            unpool=method,
        )
        for layer, method in DECODED
    ]
    found += [
        rounded(
            f"evaluate-lenet{layer}-{method}",
            f"LeNet's layer {layer} on three digits, {method}: what the paper's table 1 averages",
            {"images": digits},
            network=NETWORK,
            layer=layer,
            unpool=method,
        )
        for layer, method in ((3, "nearest"), (3, "bicubic"), (7, "bicubic"))
    ]
    return found

"""Networks to be decoded, with random weights: how long decoding takes does not depend on them."""

from __future__ import annotations

from functools import cache
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref import BatchNorm, Conv, Network, Pool, ReLU

if TYPE_CHECKING:
    from fdref.layers import Layer

VGG_16 = ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3)


class Weights:
    """Draws filters, of He's scale: numbers neither vanish nor explode on the way down."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(0)

    def conv(self, *shape: int, **parameters: Any) -> Conv:
        drawn = self.random.standard_normal(shape, np.float32)
        return Conv(drawn * np.float32(sqrt(2 / prod(shape[1:]))), **parameters)

    def norm(self, channels: int) -> BatchNorm:
        drawn = (self.random.uniform(0.5, 2, channels).astype(np.float32) for _ in range(4))
        return BatchNorm(*drawn)


@cache
def vgg(width: int = 64) -> Network:
    """VGG-16's thirteen convolutions and five pools, with `width` filters in the first."""
    weights, channels = Weights(), 3
    layers: list[Layer] = []
    for number, block in enumerate(VGG_16, 1):
        for position, full in enumerate(block, 1):
            count = full * width // 64
            name = f"conv{number}_{position}"
            layers += [weights.conv(count, channels, 3, 3, pad=1, name=name), ReLU()]
            channels = count
        layers.append(Pool(2, 2))
    return Network(layers)


@cache
def varied() -> Network:
    """Strides, dilation, groups, average pools and batch normalisation."""
    weights = Weights()
    return Network(
        [
            weights.conv(32, 3, 5, 5, stride=2),
            weights.norm(32),
            ReLU(),
            weights.conv(64, 16, 3, 3, dilate=2),  # 2 groups
            ReLU(),
            Pool(2, 2, method="avg"),
            weights.conv(96, 64, 3, 3, stride=(2, 1)),
            weights.norm(96),
            ReLU(),
            weights.conv(96, 24, 3, 3),  # 4 groups
            Pool((2, 3), (2, 3), method="avg"),
            weights.conv(128, 96, 1, 1),
            ReLU(),
            weights.conv(64, 128, 3, 2),
        ]
    )


@cache
def overlapping() -> Network:
    """AlexNet's convolutions with an eighth of the filters: overlapping pools, groups."""
    weights = Weights()
    return Network(
        [
            weights.conv(12, 3, 11, 11, stride=4),
            ReLU(),
            Pool(3, 2),
            weights.conv(32, 6, 5, 5, pad=2),
            ReLU(),
            Pool(3, 2),
            weights.conv(48, 32, 3, 3, pad=1),
            ReLU(),
            weights.conv(48, 24, 3, 3, pad=1),
            ReLU(),
            weights.conv(32, 24, 3, 3, pad=1),
            ReLU(),
            Pool(3, 2),
            weights.conv(64, 32, 6, 6),
        ]
    )


@cache
def chain(taps: int, width: int = 32) -> Network:
    """Five convolutions with a pool after the first and the third: the taps make the field."""
    weights = Weights()
    return Network(
        [
            weights.conv(width, 3, 3, 3),
            Pool(2, 2),
            weights.conv(width, width, taps, taps),
            weights.conv(width, width, taps, taps),
            Pool(2, 2),
            weights.conv(width, width, taps, taps),
            weights.conv(width, width, taps, taps),
        ]
    )

"""Networks to be decoded, with random weights: how long decoding takes does not depend on them."""

from __future__ import annotations

from functools import cache
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref import BatchNorm, Concat, Conv, ConvTranspose, Network, Pool, ReLU, Sum

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


@cache
def pooled(pools: int, width: int = 32) -> Network:
    """Five convolutions, with a pool after each of the first so many: the pools make the field."""
    weights, channels = Weights(), 3
    layers: list[Layer] = []
    for number in range(5):
        layers.append(weights.conv(width, channels, 3, 3))
        channels = width
        if number < pools:
            layers.append(Pool(2, 2))
    return Network(layers)


class Draft:
    """Layers and what they take, written down one after the other."""

    def __init__(self) -> None:
        self.weights = Weights()
        self.layers: list[Layer] = []
        self.wiring: dict[int, list[int]] = {}

    def add(self, layer: Layer, *takes: int) -> int:
        """Put a layer on top of some maps, or of the last one; return the number of its map."""
        self.layers.append(layer)
        if takes:
            self.wiring[len(self.layers)] = list(takes)
        return len(self.layers)

    def conv(self, count: int, channels: int, size: int, *takes: int, **parameters: Any) -> int:
        """Add a convolution, batch normalisation and a ReLU."""
        self.add(self.weights.conv(count, channels, size, size, **parameters), *takes)
        self.add(self.weights.norm(count))
        return self.add(ReLU())

    def network(self, **parameters: Any) -> Network:
        """Put it together."""
        return Network(self.layers, wiring=self.wiring, **parameters)


@cache
def resnet18(width: int = 64, input_size: int | None = 224) -> Network:
    """ResNet-18: eight blocks of two convolutions, whose sum takes what the block was given."""
    draft, channels = Draft(), width
    draft.conv(width, 3, 7, stride=2, pad=3)
    below = draft.add(Pool(3, 2, pad=1))
    for stage in range(4):
        count = width << stage
        for block in range(2):
            stride = 2 if stage and not block else 1
            draft.conv(count, channels, 3, below, stride=stride, pad=1)
            draft.add(
                draft.weights.conv(count, count, 3, 3, pad=1, name=f"layer{stage + 1}.{block}")
            )
            branch = draft.add(draft.weights.norm(count))
            if channels != count:
                draft.add(draft.weights.conv(count, channels, 1, 1, stride=stride), below)
                below = draft.add(draft.weights.norm(count))
            draft.add(Sum(), branch, below)
            below, channels = draft.add(ReLU()), count
    return draft.network(input_size=input_size)


@cache
def resnet50(width: int = 64) -> Network:
    """ResNet-50: sixteen blocks of three convolutions, of which the outer two are of one pixel."""
    draft, channels = Draft(), width
    draft.conv(width, 3, 7, stride=2, pad=3)
    below = draft.add(Pool(3, 2, pad=1))
    for stage, blocks in enumerate((3, 4, 6, 3)):
        count = width << stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            draft.conv(count, channels, 1, below)
            draft.conv(count, count, 3, stride=stride, pad=1)
            draft.add(draft.weights.conv(4 * count, count, 1, 1))
            branch = draft.add(draft.weights.norm(4 * count))
            if not block:
                draft.add(draft.weights.conv(4 * count, channels, 1, 1, stride=stride), below)
                below = draft.add(draft.weights.norm(4 * count))
            draft.add(Sum(), branch, below)
            below, channels = draft.add(ReLU()), 4 * count
    return draft.network(input_size=224)


@cache
def squeezenet(classes: int = 1000) -> Network:
    """SqueezeNet 1.1: fire modules squeeze, expand in two branches, and concatenate them."""
    draft = Draft()
    weights = draft.weights
    draft.add(weights.conv(64, 3, 3, 3, stride=2))
    draft.add(ReLU())
    draft.add(Pool(3, 2))
    channels = 64
    for number, (squeezed, expanded) in enumerate(
        ((16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)), 2
    ):
        draft.add(weights.conv(squeezed, channels, 1, 1, name=f"fire{number}/squeeze"))
        below = draft.add(ReLU())
        draft.add(weights.conv(expanded, squeezed, 1, 1, name=f"fire{number}/expand1x1"), below)
        first = draft.add(ReLU())
        wide = weights.conv(expanded, squeezed, 3, 3, pad=1, name=f"fire{number}/expand3x3")
        draft.add(wide, below)
        second = draft.add(ReLU())
        draft.add(Concat(name=f"fire{number}"), first, second)
        channels = 2 * expanded
        if number in (3, 5):
            draft.add(Pool(3, 2))
    draft.add(weights.conv(classes, channels, 1, 1, name="conv10"))
    draft.add(ReLU())
    return draft.network()


@cache
def inception_reduction() -> Network:
    """Inception v3's first reduction under a stem: two branches of convolutions, one of a pool."""
    draft = Draft()
    draft.conv(32, 3, 3, stride=2)
    below = draft.conv(48, 32, 3)
    one = draft.conv(64, 48, 3, below, stride=2)
    draft.conv(32, 48, 1, below)
    draft.conv(48, 32, 3, pad=1)
    two = draft.conv(48, 48, 3, stride=2)
    three = draft.add(Pool(3, 2), below)
    draft.add(Concat(name="mixed"), one, two, three)
    draft.conv(64, 64 + 48 + 48, 1)
    return draft.network()


@cache
def unet(width: int = 8) -> Network:
    """A U-Net of two levels: down by pools, up by transposed convolutions, joined at each level."""
    draft = Draft()
    draft.conv(width, 1, 3, pad=1)
    high = draft.conv(width, width, 3, pad=1)
    draft.add(Pool(2, 2), high)
    draft.conv(2 * width, width, 3, pad=1)
    middle = draft.conv(2 * width, 2 * width, 3, pad=1)
    draft.add(Pool(2, 2), middle)
    draft.conv(4 * width, 2 * width, 3, pad=1)
    top, under = 4 * width, draft.conv(4 * width, 4 * width, 3, pad=1)
    for side, kept in ((2 * width, middle), (width, high)):
        filters = draft.weights.conv(top, side, 2, 2).filters
        raised = draft.add(ConvTranspose(filters, upsample=2), under)
        draft.add(Concat(), kept, raised)
        draft.conv(side, 2 * side, 3, pad=1)
        top, under = side, draft.conv(side, side, 3, pad=1)
    draft.add(draft.weights.conv(1, width, 1, 1, name="logits"))
    return draft.network(input_size=64)


def dncnn(width: int, depth: int = 20) -> Network:
    """DnCNN, which removes noise: 3x3 filters that keep the size, all the way."""
    random = np.random.default_rng(0)
    channels, layers = 1, []
    for number in range(depth):
        count = width if number < depth - 1 else 1
        scale = np.sqrt(2 / (9 * channels))
        bank = scale * random.standard_normal((count, channels, 3, 3))
        layers += [Conv(bank.astype(np.float32), pad=1), ReLU()]
        channels = count
    return Network(layers[:-1])

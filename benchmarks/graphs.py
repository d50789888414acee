"""Networks that are no chains, with random weights, as one would write them by hand."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from networks import Weights

from fdref import Concat, ConvTranspose, Network, Pool, ReLU, Sum

if TYPE_CHECKING:
    from fdref.layers import Layer
    from fdref.wiring import Wiring


class Draft:
    """Layers and what they take, written down one after the other."""

    def __init__(self) -> None:
        self.weights = Weights()
        self.layers: list[Layer] = []
        self.wiring: dict[int | str, int | list[int]] = {}

    def add(self, layer: Layer, *takes: int) -> int:
        """Put a layer on top of some maps, or of the last one; return the number of its map."""
        self.layers.append(layer)
        if takes:
            self.wiring[len(self.layers)] = list(takes)
        return len(self.layers)

    def conv(self, count: int, channels: int, size: int, *takes: int, **parameters: object) -> int:
        """Add a convolution, batch normalisation and a ReLU."""
        self.add(self.weights.conv(count, channels, size, size, **parameters), *takes)
        self.add(self.weights.norm(count))
        return self.add(ReLU())

    def network(self, **parameters: object) -> Network:
        """Put it together."""
        wiring: Wiring = self.wiring
        return Network(self.layers, wiring=wiring, **parameters)


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

"""Wrong rules of decoding: how a picture goes down through a layer, or begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.layers import BatchNorm, Conv, ReLU
from fdref.walk.down import Decoding
from fdref.walk.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray


class BiasAdded(Decoding):
    """Adds a layer's biases to the pixels that it replaces."""

    def below(self, number: int, picture: Picture) -> list[Picture]:
        """Go down through a layer."""
        layer = self.net[number]
        if isinstance(layer, Conv) and layer.bias is not None:
            picture = Picture(picture.values + layer.bias[:, None, None], picture.origin)
        return super().below(number, picture)


class PaddingCropped(Decoding):
    """Crops what a convolution pads."""

    def below(self, number: int, picture: Picture) -> list[Picture]:
        """Go down through a layer."""
        found, layer = super().below(number, picture), self.net[number]
        if not isinstance(layer, Conv):
            return found
        (top, bottom, left, right), values = layer.pad, found[0].values
        cropped = values[:, :, top : values.shape[2] - bottom, left : values.shape[3] - right]
        origin = found[0].origin[0] + top, found[0].origin[1] + left
        return [Picture(np.ascontiguousarray(cropped), origin)]


class Rectified(Decoding):
    """Drops negative values at a ReLU."""

    def below(self, number: int, picture: Picture) -> list[Picture]:
        """Go down through a layer."""
        found = super().below(number, picture)
        if not isinstance(self.net[number], ReLU):
            return found
        return [Picture(np.maximum(own.values, 0), own.origin) for own in found]


class Leaking(Decoding):
    """Multiplies negative values by the leak of a ReLU."""

    def below(self, number: int, picture: Picture) -> list[Picture]:
        """Go down through a layer."""
        found, layer = super().below(number, picture), self.net[number]
        if not isinstance(layer, ReLU):
            return found
        leak = np.reshape(layer.leak, (-1, 1, 1))
        return [
            Picture(np.where(own.values < 0, own.values * leak, own.values), own.origin)
            for own in found
        ]


class OffsetAdded(Decoding):
    """Does on the way down all that bnorm does on the way up."""

    def below(self, number: int, picture: Picture) -> list[Picture]:
        """Go down through a layer."""
        found, layer = super().below(number, picture), self.net[number]
        if not isinstance(layer, BatchNorm):
            return found
        offset = layer.bias - layer.gain * layer.mean / layer.deviation
        return [Picture(own.values + offset[:, None, None], own.origin) for own in found]


class TopNotDilated(Decoding):
    """Begins with filters that have no zeros between their taps."""

    def _start(self, indices: Sequence[int]) -> dict[int, Picture]:
        start, layer = super()._start(indices), self.net[self.number]
        if not isinstance(layer, Conv):  # it begins with pixels
            return start
        ((taken, picture),) = start.items()
        rows, columns = layer.dilate
        dense = np.ascontiguousarray(picture.values[:, :, ::rows, ::columns])
        return {taken: Picture(dense, picture.origin)}


class OnFirstChannels(Decoding):
    """Takes every filter for one of the first group."""

    def _start(self, indices: Sequence[int]) -> dict[int, Picture]:
        start, layer = super()._start(indices), self.net[self.number]
        if not isinstance(layer, Conv):  # it begins with pixels
            return start
        ((taken, picture),) = start.items()
        count, own = layer.filters.shape[:2]
        groups = self.net.groups(self.number)
        moved = [
            np.roll(values, (self.group(k, groups) - k // (count // groups)) * own, axis=0)
            for k, values in zip(indices, picture.values, strict=True)
        ]
        return {taken: Picture(np.stack(moved), picture.origin)}

    def group(self, k: int, groups: int) -> int:  # noqa: ARG002 - others need both
        """Return the wrong group of a filter: the first."""
        return 0


class OnInterleaved(OnFirstChannels):
    """Takes neighbouring filters for those of different groups."""

    def group(self, k: int, groups: int) -> int:
        """Return the remainder."""
        return k % groups


def interleaved(filters: int, groups: int) -> NDArray[np.intp]:
    """Return which filter each of the groups' places would get."""
    return np.argsort(np.arange(filters) % groups, kind="stable")

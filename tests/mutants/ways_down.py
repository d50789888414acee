"""Decoding in graphs, each time with one rule wrong."""

from __future__ import annotations

import numpy as np

from fdref.layers import Conv, ConvTranspose, Dropout, Pool, Scale, Sum
from fdref.network.units import Unit
from fdref.walk.adjoint import moved
from fdref.walk.down import Decoding
from fdref.walk.pictures import Picture, unite


class Moved(Decoding):
    """Puts pictures elsewhere: `kinds` of layers hand down to another origin."""

    kinds: tuple = ()

    def place(self, layer, above, below):
        raise NotImplementedError

    def below(self, number, picture):
        found, layer = super().below(number, picture), self.net[number]
        if not isinstance(layer, self.kinds):
            return found
        return [Picture(p.values, self.place(layer, picture.origin, p.origin)) for p in found]


class PadIgnored(Moved):
    kinds = (Conv,)

    def place(self, layer, above, below):
        return below[0] + layer.pad[0], below[1] + layer.pad[2]


class PoolPadIgnored(PadIgnored):
    kinds = (Pool,)


class OtherSides(Moved):
    """Takes the bottom and the right for the top and the left."""

    kinds = (Conv, Pool)

    def place(self, layer, above, below):
        (top, bottom, left, right) = layer.pad
        return below[0] + top - bottom, below[1] + left - right


class StrideIgnored(Moved):
    kinds = (Conv, Pool)

    def place(self, layer, above, below):
        return above[0] - layer.pad[0], above[1] - layer.pad[2]


class FirstIsZero(Moved):
    """Begins at pixel 0 below a transposed convolution."""

    kinds = (ConvTranspose,)

    def place(self, layer, above, below):
        return (0, 0)


class CropIgnored(Decoding):
    """Forgets what a transposed convolution crops."""

    def below(self, number, picture):
        layer = self.net[number]
        if isinstance(layer, ConvTranspose):
            top, left = layer.crop[0], layer.crop[2]
            picture = Picture(picture.values, (picture.origin[0] - top, picture.origin[1] - left))
        return super().below(number, picture)


class StartAtZero(Decoding):
    """Begins at (0, 0) of the map below, whatever is padded."""

    def _start(self, indices):
        return {n: Picture(p.values, (0, 0)) for n, p in super()._start(indices).items()}


class StartOfTwo(Decoding):
    """Begins with a pixel of 2."""

    def _start(self, indices):
        return {n: Picture(p.values * 2, p.origin) for n, p in super()._start(indices).items()}


class StartOnFirst(Decoding):
    """Begins in the channels 0, 1, ... whichever are asked for."""

    def _start(self, indices):
        return super()._start(range(len(indices)))


class Centred(Decoding):
    """Adds pictures with their centres above each other."""

    def united(self, number, pictures):
        first = max(pictures, key=lambda picture: picture.values.size)
        middle = [a + n / 2 for a, n in zip(first.origin, first.values.shape[2:], strict=True)]
        placed = [
            Picture(
                p.values,
                tuple(int(m - n / 2) for m, n in zip(middle, p.values.shape[2:], strict=True)),
            )
            for p in pictures
        ]
        return super().united(number, placed)


class InTheFirstBox(Decoding):
    """Cuts off what lies beyond the first picture."""

    def united(self, number, pictures):
        return super().united(number, pictures).over(pictures[0].box)


class LastAlone(Decoding):
    """Lets the last picture stay."""

    def united(self, number, pictures):
        right = super().united(number, pictures)
        return Picture(Picture(pictures[-1].values, pictures[-1].origin).over(right.box).values,
                       right.origin)  # fmt: skip


class UnitedAfterwards(Decoding):
    """Unpools each picture by itself, and adds then."""

    def united(self, number, pictures):
        self.apart = pictures
        return super().united(number, pictures)

    def below(self, number, picture):
        if isinstance(self.net[number], Pool):
            return [unite([super(UnitedAfterwards, self).below(number, p)[0] for p in self.apart])]
        return super().below(number, picture)


class SumHalved(Decoding):
    """Hands a share to each of the maps that a sum takes."""

    def below(self, number, picture):
        found = super().below(number, picture)
        if not isinstance(self.net[number], Sum):
            return found
        return [Picture(p.values / len(found), p.origin) for p in found]


class SumToFirst(Decoding):
    """Hands down to the first map alone."""

    def below(self, number, picture):
        found = super().below(number, picture)
        if not isinstance(self.net[number], Sum):
            return found
        return [found[0], *(Picture(p.values * 0, p.origin) for p in found[1:])]


class ConcatReversed(Decoding):
    """Gives channels to maps from the last."""

    def below(self, number, picture):
        if self.net[number].kind != "concat":
            return super().below(number, picture)
        turned = Picture(np.ascontiguousarray(picture.values[:, ::-1]), picture.origin)
        return super().below(number, turned)


class ScaleIgnored(Decoding):
    """Passes a scale by."""

    def below(self, number, picture):
        return [picture] if isinstance(self.net[number], Scale) else super().below(number, picture)


class OffsetAdded(Decoding):
    """Adds the offset of a scale."""

    def below(self, number, picture):
        found, layer = super().below(number, picture), self.net[number]
        if not isinstance(layer, Scale):
            return found
        return [Picture(p.values + layer.offset[:, None, None], p.origin) for p in found]


class Halved(Decoding):
    """Halves at a dropout, as in training."""

    def below(self, number, picture):
        found = super().below(number, picture)
        if not isinstance(self.net[number], Dropout):
            return found
        return [Picture(p.values / 2, p.origin) for p in found]


class PhaseMirrored(Decoding):
    """Correlates with filters rotated by 180 degrees."""

    def below(self, number, picture):
        layer = self.net[number]
        if not isinstance(layer, ConvTranspose):
            return super().below(number, picture)
        own = {name: getattr(layer, name) for name in ("upsample", "crop", "groups")}
        turned = ConvTranspose(layer.filters[:, :, ::-1, ::-1], layer.bias, **own)
        parts = [turned if n == number else one for n, one in enumerate(self.net, 1)]
        net, self.net = self.net, type(self.net)(**self.net.parts() | {"layers": parts})
        found = super().below(number, picture)
        self.net = net
        return found


class Unclipped(Decoding):
    """Clips nothing but what the unit sees of the image."""

    def united(self, number, pictures):
        picture = unite(pictures)
        return super().united(number, pictures) if number == 0 else picture


class NothingClipped(Decoding):
    """Clips nothing at all."""

    def __init__(self, net, number, unpool, engine, unit):
        super().__init__(net, number, unpool, engine, Unit(unit.at))


def one_more(picture):
    """A row and a column of zeros more."""
    values = np.pad(picture.values, ((0, 0), (0, 0), (0, 1), (0, 1)))
    return Picture(values, (picture.origin[0] - 1, picture.origin[1] - 1))


class NothingLeft(Decoding):
    """Keeps two rows and columns where nothing is on the map."""

    def united(self, number, pictures):
        found = super().united(number, pictures)
        return found if found.values.any() else one_more(found)


class NothingReached(Decoding):
    """Keeps two rows and columns where no filter reaches."""

    def below(self, number, picture):
        found = super().below(number, picture)
        if not isinstance(self.net[number], ConvTranspose):
            return found
        return [one if one.values.any() else one_more(one) for one in found]


class OwnStridesOrigin(Decoding):
    """Moves pictures by a pool's own stride where its pixels are spread further."""

    def below(self, number, picture):
        found, layer = super().below(number, picture), self.net[number]
        if not isinstance(layer, Pool):
            return found
        return [Picture(p.values, moved(picture.origin, layer.stride, layer.pad)) for p in found]


class MixedGroups(Decoding):
    """Exchanges the channels of a transposed convolution's groups."""

    def below(self, number, picture):
        layer = self.net[number]
        if isinstance(layer, ConvTranspose):
            mixed = picture.values.reshape(len(picture.values), layer.groups, -1,
                *picture.values.shape[2:]).swapaxes(1, 2)  # fmt: skip
            picture = Picture(np.ascontiguousarray(mixed).reshape(picture.values.shape),
                              picture.origin)  # fmt: skip
        return super().below(number, picture)


class WholeShares(Decoding):
    """Shares over whole windows."""

    def _clipped_shares(self, pool, number, picture):
        return np.ones(picture.values.shape[2:])


class CopiesNotDivided(Decoding):
    """Lets ways through pools copy as often as they do."""

    def __init__(self, *more):
        super().__init__(*more)
        self.shared = False


class NotMultiplied(Decoding):
    """Divides by copies, and leaves it at that."""

    def weight(self, below):
        return 1.0

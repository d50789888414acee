"""Section 9: graphs, and units at a position."""

from __future__ import annotations

import numpy as np
from mutants.making import asked, engine, given, layers, named, part, swapped, told

from fdref.layers import Conv, ConvTranspose, Dropout, Elementwise, Pool, ReLU, Scale, Sum
from fdref.network.units import Unit
from fdref.walk.down import Decoding
from fdref.walk.pictures import Picture, unite


def entries(kind, **changes):
    """Entries of a type, changed."""

    def change(entry):
        if entry["type"] == kind:
            entry |= {name: one(entry.get(name)) for name, one in changes.items()}
        return entry

    return layers(change)


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

    def weight(self, below):  # noqa: ARG002
        return 1.0


def scaled(kind, factor):
    """Read layers of a type as a scale of as many channels."""

    def read(layer):
        return Elementwise(factor) if layer.kind == kind else layer

    return part(read=read)


def halving_dropout(layer):
    return ReLU() if isinstance(layer, Dropout) else layer


def transposed_flipped(right, maps, filters, *more):
    return right(maps, np.ascontiguousarray(filters[:, :, ::-1, ::-1]), *more)


def origin(change):
    return told(
        lambda found, case: found | {"origin": np.array(change(found["origin"]))}  # noqa: ARG005
    )


SENTENCES = {
    "Layer l makes map l; map 0 is the input.": [
        (named("layers-shifted"), "forward-graph-sum"),
        (told(lambda found, case: dict(zip(found, [*found.values()][::-1], strict=True))),
         "forward-graph-sum forward-graph-concat"),
    ],
    "In a list of layers one may say": [
        (entries("concat", inputs=swapped), "forward-graph-concat"),
        (entries("sum", inputs=lambda maps: [*maps[:-1], 1]), "forward-graph-sum"),
        (entries("product", inputs=lambda maps: [maps[0]] * 2), "forward-graph-scale"),
        (entries("dropout", inputs=lambda _: [2]), "decode-graph-scale"),
    ],
    "A map may be taken by several": [
        (part(rules=SumHalved), "decode-graph-twice"),
        (part(rules=LastAlone), "decode-graph-twice decode-graph-scale"),
    ],
    "- `{\"type\": \"convt\"": [
        (given(filters2=lambda a: a[::-1]), "forward-graph-convt forward-graph-convt-groups"),
        (given(filters2=lambda a: a.swapaxes(2, 3)[:, :, :3, :].repeat(2, axis=3)[:, :, :, :3]),
         "forward-graph-convt"),
    ],
    "3.1 with these, stride `upsample`": [
        (engine(substitute=transposed_flipped), "forward-graph-convt"),
        (named("groups-interleaved"), "decode-group"),
        (entries("convt", crop=lambda c: [c[1], c[0], c[2], c[3]]), "forward-graph-convt"),
        (entries("convt", crop=lambda c: [c[0], c[1], c[3], c[2]]), "forward-graph-convt"),
        (entries("convt", crop=lambda c: [c[2], c[3], c[0], c[1]]), "forward-graph-convt"),
        (entries("convt", bias=lambda _: None), "forward-graph-convt"),
        (given(bias2=lambda a: -a), "forward-graph-convt"),
        (given(filters2=lambda a: a[[0, 2, 1, 3]]), "forward-graph-convt-groups"),
    ],
    "- `sum` (Sum) adds its maps": [
        (part(read=lambda one: Sum((1,) * 2 + (-1,)) if one.kind == "sum" else one),
         "forward-graph-sum"),
        (entries("concat", inputs=swapped), "forward-graph-concat"),
        (entries("scale", offset=lambda _: None), "forward-graph-scale"),
        (given(factor2=np.ones_like), "forward-graph-scale"),
        (entries("product", type=lambda _: "sum"), "forward-graph-scale"),
    ],
    "`sigmoid` (Sigmoid) is": [
        (part(read=lambda one: Elementwise("tanh") if one.kind == "elementwise" else one),
         "forward-graph-real"),
        (part(read=lambda one: ReLU() if one.kind == "elementwise" else one),
         "forward-graph-real"),
    ],
    "`dropout` (DropOut) changes nothing.": [
        (part(read=halving_dropout), "forward-graph-scale"),
        (part(rules=Halved), "decode-graph-scale"),
    ],
    "Here pictures over a map have an origin": [
        (origin(np.abs), "decode-graph-sum decode-graph-convt"),
        (origin(lambda o: [0, 0]), "decode-graph-sum decode-graph-pool"),
        (origin(swapped), "decode-graph-concat decode-graph-single"),
    ],
    "A conv starts with its filters over": [
        (part(rules=StartAtZero), "decode-graph-sum"),
        (part(rules=StartOfTwo), "decode-graph-sum decode-graph-below"),
    ],
    "Any other layer starts with one pixel": [
        (part(rules=StartOfTwo), "decode-graph-pixel decode-graph-convt-pixel"),
        (part(rules=StartOnFirst), "decode-graph-pixel decode-graph-convt-pixel"),
    ],
    "Then, from the highest number down to 0": [
        (part(rules=Centred), "decode-graph-sum decode-graph-concat"),
        (part(rules=LastAlone), "decode-graph-sum decode-graph-scale"),
        (part(rules=InTheFirstBox), "decode-graph-sum"),
        (part(rules=UnitedAfterwards), "decode-graph-united"),
    ],
    "That is a stage; map 0's is the last.": [(named("stages-reversed"), "decode-graph-sum")],
    "Where the parameter `origin` is true": [(origin(lambda o: o + 1), "decode-graph-sum")],
    "| conv | 3.1 | o * stride": [
        (part(rules=PadIgnored), "decode-graph-sum decode-graph-convt"),
        (part(rules=OtherSides), "decode-graph-sum"),
        (part(rules=StrideIgnored), "decode-graph-convt"),
        (named("substitution-flipped"), "decode-graph-sum decode-graph-concat"),
    ],
    "| pool | section 4 | o * stride": [
        (part(rules=PoolPadIgnored), "decode-graph-pool decode-graph-concat"),
        (part(rules=OtherSides), "decode-graph-pool"),
        (part(rules=StrideIgnored), "decode-position"),
    ],
    "| convt | P'[c, i] = sum": [
        (part(rules=PhaseMirrored), "decode-graph-convt decode-graph-convt-groups"),
        (part(rules=FirstIsZero), "decode-graph-convt decode-graph-convt-pixel"),
        (part(rules=CropIgnored), "decode-graph-convt decode-graph-convt-apart"),
    ],
    "| sum | the same": [
        (part(rules=SumHalved), "decode-graph-sum"),
        (part(rules=SumToFirst), "decode-graph-sum decode-graph-twice"),
    ],
    "| concat | to each of its maps": [(part(rules=ConcatReversed), "decode-graph-concat")],
    "| bnorm, scale | each channel": [
        (named("bnorm-ignored-while-decoding"), "decode-graph-scale"),
        (part(rules=ScaleIgnored), "decode-graph-scale"),
        (part(rules=OffsetAdded), "decode-graph-scale"),
    ],
    "| others | the same | o |": [(named("rectified-while-decoding"), "decode-graph-sum")],
    "A chain is decoded as 3.2 says": [
        (part(rules=StartOfTwo), "decode-handmade"),
        (named("substitution-flipped"), "decode-handmade"),
    ],
    "For 5.2, and so for 6": [
        (named("offset-ignored"), "evaluate-graph-sum evaluate-graph-concat"),
        (named("filters-flipped"), "evaluate-graph-sum"),
    ],
    "Where there is a parameter `position`": [
        (asked(position=lambda _: [0, 0]), "decode-position decode-position-end"),
        (asked(position=swapped), "decode-position-window"),
        (asked(input_size=lambda size: [size[0] + 2, size[1]]), "decode-position-end"),
    ],
    "A conv then starts at position": [
        (part(rules=StartAtZero), "decode-position decode-graph-position"),
        (asked(position=lambda p: [max(p[0] - 1, 0), p[1]]), "decode-position"),
    ],
    "Each union is clipped to its map": [
        (part(rules=Unclipped), "decode-position-corner decode-position-end"),
        (part(rules=NothingClipped), "decode-position-corner decode-graph-position"),
    ],
    "Under `window` a pixel is shared over": [(part(rules=WholeShares), "decode-position-window")],
    "Where the size of the images is known": [
        (asked(input_size=lambda _: None), "decode-graph-single"),
        (asked(input_size=lambda size: [size[0] + 3, size[1]]), "decode-graph-single"),
    ],
    "Where ways from L to the input lead": [
        (part(rules=CopiesNotDivided), "decode-graph-copies"),
        (part(rules=NotMultiplied), "decode-graph-copies"),
    ],
    "Only the last stage is asked for there.": "what the kit asks for: test_kit_model_cases.py",
}  # fmt: skip

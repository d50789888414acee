"""Section 9: graphs, and units at a position."""

from __future__ import annotations

import numpy as np

from fdref.layers import Dropout, Elementwise, ReLU, Sum
from mutants.making import asked, engine, given, layers, named, part, swapped, told, unrefused
from mutants.ways_down import (
    Centred,
    ConcatReversed,
    CopiesNotDivided,
    CropIgnored,
    FirstIsZero,
    Halved,
    InTheFirstBox,
    LastAlone,
    MixedGroups,
    NothingClipped,
    NothingLeft,
    NothingReached,
    NotMultiplied,
    OffsetAdded,
    OtherSides,
    OwnStridesOrigin,
    PadIgnored,
    PhaseMirrored,
    PoolPadIgnored,
    ScaleIgnored,
    StartAtZero,
    StartOfTwo,
    StartOnFirst,
    StrideIgnored,
    SumHalved,
    SumToFirst,
    Unclipped,
    UnitedAfterwards,
    WholeShares,
)


def entries(kind, **changes):
    """Entries of a type, changed."""

    def change(entry):
        if entry["type"] == kind:
            entry |= {name: one(entry.get(name)) for name, one in changes.items()}
        return entry

    return layers(change)


def halving_dropout(layer):
    return ReLU() if isinstance(layer, Dropout) else layer


def transposed_flipped(right, maps, filters, *more):
    return right(maps, np.ascontiguousarray(filters[:, :, ::-1, ::-1]), *more)


def origin(change):
    return told(lambda found, case: found | {"origin": np.array(change(found["origin"]))})


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
    '- `{"type": "convt"': [
        (given(filters2=lambda a: a[::-1]), "forward-graph-convt forward-graph-convt-groups"),
        (given(filters2=lambda a: a.swapaxes(2, 3)[:, :, :3, :].repeat(2, axis=3)[:, :, :, :3]),
         "forward-graph-convt"),
    ],
    "3.1 with these, stride `upsample`": [
        (engine(substitute=transposed_flipped), "forward-graph-convt"),
        (named("group-on-interleaved-channels"), "decode-group"),
        (entries("convt", crop=lambda c: [c[1], c[0], c[2], c[3]]), "forward-graph-convt"),
        (entries("convt", crop=lambda c: [c[0], c[1], c[3], c[2]]), "forward-graph-convt"),
        (entries("convt", crop=lambda c: [c[2], c[3], c[0], c[1]]), "forward-graph-convt"),
        (entries("convt", bias=lambda _: None), "forward-graph-convt"),
        (given(bias2=lambda a: -a), "forward-graph-convt"),
        (given(filters2=lambda a: a[[0, 2, 1, 3]]), "forward-graph-convt-groups"),
        (given(filters2=lambda a: a[:, ::-1]), "forward-graph-convt-groups-two"),
        (entries("convt", crop=lambda c: [c[0], c[1], -c[2], c[3] + 2 * c[2]]),
         "forward-graph-convt-crop"),
        *((entries("convt", crop=lambda c, side=side: [*c[:side], 0, *c[side + 1 :]]),
           "forward-graph-convt-crop") for side in range(4)),
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
        (part(rules=CropIgnored), "decode-graph-convt-position decode-graph-convt-position-end"),
        (part(rules=MixedGroups), "decode-graph-convt-groups-two"),
        (part(rules=NothingReached), "decode-graph-convt-nothing"),
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
    "Where that leaves nothing, along either": [
        (part(rules=NothingLeft), "decode-position-nothing decode-position-nothing-end"),
        (part(rules=Unclipped), "decode-position-nothing decode-position-nothing-end"),
    ],
    "Under `window` a pixel is shared over": [(part(rules=WholeShares), "decode-position-window")],
    "Where the size of the images is known": [
        (asked(input_size=lambda _: None), "decode-graph-single"),
        (asked(input_size=lambda size: [size[0] + 3, size[1]]), "decode-graph-single"),
    ],
    "That stride counts in origins, too": [
        (part(rules=OwnStridesOrigin), "decode-graph-single-pad"),
        (unrefused, "refuse-decode-graph-single"),
        (part(rules=CopiesNotDivided), "decode-graph-single-joined"),
    ],
    "Where ways from L to the input lead": [
        (part(rules=CopiesNotDivided), "decode-graph-copies"),
        (part(rules=NotMultiplied), "decode-graph-copies"),
    ],
    "Only the last stage is asked for there.": "what the kit asks for: test_kit_model_cases.py",
}  # fmt: skip

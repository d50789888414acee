"""Sections 3.1 and 3.2: substitution and decoding."""

from __future__ import annotations

import numpy as np

from fdref.layers import Conv, Normalize, Pool
from fdref.walk.down import Decoding
from fdref.walk.pictures import Picture
from mutants.making import asked, engine, named, part, told


def zeros_skipped(right, maps, filters, *more):
    """Leave out pixels of 0, whose filters might hold a NaN."""
    clean = right(maps, np.nan_to_num(filters), *more)
    return np.where(np.isnan(right(maps, filters, *more)) & np.isnan(clean), np.nan, clean)


def zero_weights_skipped(right, maps, filters, *more):
    """Leave out weights of 0."""
    clean = right(np.where(np.isfinite(maps), maps, 0), filters, *more)
    seen = right((~np.isfinite(maps)).astype(float), (filters != 0).astype(float), *more) > 0
    return np.where(seen, right(maps, filters, *more), clean)


def all_groups_at_once(right, maps, filters, stride, dilate, groups):
    """Multiply with a matrix of all channels, most of which is 0."""
    count, own = len(filters) // groups, filters.shape[1]
    wide = np.zeros((len(filters), own * groups, *filters.shape[2:]))
    for k, one in enumerate(filters):
        wide[k, k // count * own : k // count * own + own] = one
    return right(maps, wide, stride, dilate, 1)


def sized(change):
    """Get the picture of another size."""
    return engine(substitute=lambda right, *more: change(right(*more)))


class TopNotDilated(Decoding):
    """Starts with filters without their zeros."""

    def _start(self, indices):
        ((taken, picture),) = super()._start(indices).items()
        down, across = self.net[self.number].dilate
        return {taken: Picture(picture.values[:, :, ::down, ::across], picture.origin)}


class TopOnAllGroups(Decoding):
    """Repeats a filter on the channels of every group."""

    def _start(self, indices):
        ((taken, picture),) = super()._start(indices).items()
        groups, values = self.net.groups(self.number), picture.values
        own = values.reshape(len(values), groups, -1, *values.shape[2:]).sum(axis=1)
        return {taken: Picture(np.tile(own, (1, groups, 1, 1)), picture.origin)}


class Through(Decoding):
    """Does something to what is handed down by layers of a type."""

    kind: type = Conv

    def changed(self, values, layer):
        raise NotImplementedError

    def below(self, number, picture):
        found = super().below(number, picture)
        if not isinstance(self.net[number], self.kind):
            return found
        return [Picture(self.changed(p.values, self.net[number]), p.origin) for p in found]


class NormalizeMultiplies(Through):
    """Divides by kappa to the beta at a normalisation."""

    kind = Normalize

    def changed(self, values, layer):
        return values / (layer.kappa + 1) ** layer.beta


class PoolsAverage(Through):
    """Divides by the pixels of a window at a pool."""

    kind = Pool

    def changed(self, values, layer):
        return values / (layer.window[0] * layer.window[1])


def first_stages(found, case):
    """Give the first stages under the names that are asked for."""
    whole = asked(stages=lambda _: None)(case)
    return dict(zip(found, whole.values(), strict=False))


def one_stage_more(found, case):
    """Begin with a pixel over the layer's own map."""
    first = np.ones((len(case.parameters["filters"]), 1, 1, 1), case.dtype)
    return dict(zip(found, [first, *found.values()], strict=False))


SENTENCES = {
    "Output `pictures` (N, C, H, W): every": [
        (named("overlaps-overwritten"), "substitute-overlap substitute-basic"),
        (named("channels-summed-too-early"), "substitute-basic"),
        (named("correlation-for-substitution"), "substitute-impulse"),
    ],
    "pictures[n, c', y*sy + u*dy": [
        (named("substitution-flipped"), "substitute-impulse substitute-basic"),
        (asked(stride=lambda _: [1, 1]), "substitute-stride"),
        (asked(dilate=lambda _: [1, 1]), "substitute-dilate"),
        (named("substitution-groups-interleaved"), "substitute-groups substitute-depthwise"),
        (named("substitution-flipped"), "substitute-large"),
    ],
    "H = (h-1)*sy + (kh-1)*dy + 1.": [
        (sized(lambda a: a[:, :, :-1]), "substitute-one-by-one substitute-stride"),
        (sized(lambda a: np.pad(a, ((0, 0), (0, 0), (0, 1), (0, 0)))), "substitute-stride"),
    ],
    "All products are added, those with 0": [
        (engine(substitute=zeros_skipped), "substitute-nan-filter"),
        (engine(substitute=zero_weights_skipped), "substitute-nan substitute-infinity"),
        (engine(substitute=all_groups_at_once), "substitute-nan-group"),
    ],
    "Parameters `network`, `layer` (L, a conv)": [
        (asked(filters=sorted), "decode-first decode-duplicates"),
        (asked(filters=lambda f: [*dict.fromkeys(f)]), "decode-duplicates"),
        (asked(filters=lambda f: [0] * len(f)), "decode-integers decode-handmade"),
        (asked(filters=lambda f: f or [0]), "decode-none"),
        (asked(unpool=lambda _: "nearest"), "decode-bilinear decode-bicubic decode-window"),
        (asked(layer=lambda _: 3), "decode-integers"),
    ],
    "Outputs `stage1`, `stage2`, ...: `stage1` are": [
        (part(rules=TopNotDilated), "decode-integers"),
        (named("group-on-first-channels"), "decode-group"),
        (part(rules=TopOnAllGroups), "decode-group"),
        (told(one_stage_more), "decode-handmade"),
    ],
    "Each further stage is one layer down": [
        (named("substitution-flipped"), "decode-integers decode-handmade"),
        (named("bias-added-while-decoding"), "decode-integers"),
        (named("padding-cropped"), "decode-integers"),
        (named("unpooled-with-zeros"), "decode-handmade"),
        (named("bnorm-ignored-while-decoding"), "decode-real-bilinear"),
        (named("rectified-while-decoding"), "decode-integers"),
        (part(rules=NormalizeMultiplies), "decode-real-bicubic decode-real-window"),
        (part(rules=PoolsAverage), "decode-handmade decode-inception"),
        (named("substitution-stride-ignored"), "decode-integers decode-point"),
        (named("substitution-dilation-ignored"), "decode-narrow-pool"),
        (named("substitution-groups-interleaved"), "decode-integers"),
    ],
    "The last stage is the decoded filter.": [(named("stages-reversed"), "decode-handmade")],
    "Where there is a parameter `stages`": [(told(first_stages), "decode-stages")],
}  # fmt: skip

"""Section 3.3: projections."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fdref.conformance.mistakes.mistake import over
from fdref.conformance.mistakes.projections import Whole, going, ruled
from fdref.layers import Conv, Normalize, ReLU, Softmax
from fdref.walk.pictures import Picture
from mutants.making import asked, by, each, named, part


class Misplaced(Whole):
    """Hands a convolution's pictures down without its padding."""

    def below(self, number, picture):
        found = super().below(number, picture)
        if not isinstance(self.net[number], Conv):
            return found
        top, left = self.net[number].pad[0], self.net[number].pad[2]
        return [Picture(p.values, (p.origin[0] + top, p.origin[1] + left)) for p in found]


class RepeatedBelow(Whole):
    """Fills what no filter reaches with the border."""

    def below(self, number, picture):
        found = super().below(number, picture)
        if not isinstance(self.net[number], Conv):
            return found
        filled = []
        for own, below in zip(found, self.net.takes[number], strict=True):
            height, width = self.maps[below].shape[2:]
            values = own.values[:, :, : height - own.origin[0], : width - own.origin[1]]
            spare = [
                height - own.origin[0] - values.shape[2],
                width - own.origin[1] - values.shape[3],
            ]
            padding = ((0, 0), (0, 0), (0, max(spare[0], 0)), (0, max(spare[1], 0)))
            filled.append(Picture(np.pad(values, padding, "edge"), own.origin))
        return filled


class SoftmaxAlone(Whole):
    """Takes the derivative of softmax without what channels do to each other."""

    def derived(self, layer, number, picture):
        if not isinstance(layer, Softmax):
            return super().derived(layer, number, picture)
        (y,) = [self.maps[number][self.images]]
        return [picture.values * y * (1 - y)]


class WindowOneLess(Whole):
    """Takes a derivative over as many channels above as below, of odd sizes one less."""

    def derived(self, layer, number, picture):
        if isinstance(layer, Normalize) and layer.size % 2:
            layer = Normalize(layer.size - 1, layer.kappa, layer.alpha, layer.beta)
        return super().derived(layer, number, picture)


class OwnTypePassed(Whole):
    """Begins below layer L where that is a ReLU."""

    def below(self, number, picture):
        top = max(self.maps)
        if number == top and isinstance(self.net[number], ReLU):
            return [picture] * len(self.net.takes[number])
        return super().below(number, picture)


class ReluAfterEachConv(Whole):
    """Rectifies above every convolution, whether the network does or not."""

    def below(self, number, picture):
        found = super().below(number, picture)
        if isinstance(self.net[number], Conv) and self.rule == "deconvnet":
            return [Picture(np.maximum(p.values, 0), p.origin) for p in found]
        return found


def of_the_first_image(units):
    return [[0, *rest] for _, *rest in units]


def unevenly(right, x, delta, window, stride, pad, method):
    """Hand averages to the first pixel of a window that is on the map."""
    found = right(x, delta, window, stride, pad, method)
    return right(x, delta, window, stride, pad, "max") if method == "avg" else found


def overwritten(right, x, delta, window, stride, pad, method):
    """Let the last of overlapping shares stay."""
    if method != "avg":
        return right(x, delta, window, stride, pad, method)
    found = np.zeros_like(x)
    for y, column in np.ndindex(delta.shape[2:]):
        rows = slice(max(y * stride[0] - pad[0], 0), y * stride[0] - pad[0] + window[0])
        columns = slice(
            max(column * stride[1] - pad[2], 0), column * stride[1] - pad[2] + window[1]
        )
        seen = found[:, :, rows, columns]
        value = delta[:, :, y, column, None, None] / max(seen[0, 0].size, 1)
        found[:, :, rows, columns] = np.where(value != 0, value, seen)
    return found


SENTENCES = {
    "Input `images`, and those that the network names; parameters `network`, `layer`": [
        (asked(kept=of_the_first_image), "project-ties project-deconvnet"),
        (asked(kept=lambda units: units[::-1]), "project-ties"),
        (asked(kept=lambda units: [[n, c, x, y] for n, c, y, x in units]), "project-ties"),
        (asked(rule=lambda _: "gradient"), "project-deconvnet project-guided project-linear"),
        (asked(layer=lambda number: number - 1), "project-pool"),
    ],
    "Output `pictures` (K, C0, H, W), each as large": [
        (each(lambda a: a[:, :, :-1]), "project-ties project-gaps"),
    ],
    "The images go up through the network": [
        (named("switches-after-relu"), "project-pool-relu"),
        (named("switches-before-relu"), "project-relu-pool"),
        (named("filters-flipped"), "project-overlap project-deconvnet"),
    ],
    "Then each activation goes down by itself": [
        (named("all-kept"), "project-ties project-deconvnet"),
        (named("map-kept"), "project-ties"),
        (named("one-for-the-activation"), "project-ties project-deconvnet"),
    ],
    "Every layer turns d over its output": [
        (asked(kept=of_the_first_image), "project-ties"),
        (part(way=Misplaced), "project-integers"),
    ],
    "| conv | 3.1 with its filters": [
        (part(way=Misplaced), "project-integers project-deconvnet"),
        (part(way=RepeatedBelow), "project-unreached"),
        (named("bias-subtracted"), "project-integers project-deconvnet"),
        (named("substitution-flipped"), "project-integers"),
    ],
    "| pool, `max` |": [
        (named("unpooled-to-the-centre"), "project-ties project-overlap"),
        (named("last-switch-stays"), "project-overlap"),
        (named("ties-by-columns"), "project-ties"),
        (named("ties-all"), "project-ties project-relu-pool"),
        (named("padding-wins"), "project-negative"),
    ],
    "| pool, `avg` |": [
        (named("average-counts-padding"), "project-average"),
        (by(replace(over(pool_gradient=unevenly), parts={"way": Whole})), "project-average"),
        (by(replace(over(pool_gradient=overwritten), parts={"way": Whole})), "project-average"),
    ],
    "| relu | `gradient`: d where": [
        (named("mask-of-the-way-up"), "project-deconvnet"),
        (named("both-masks"), "project-deconvnet"),
        (named("guided-without-the-way-up"), "project-guided"),
        (named("not-rectified-on-the-way-down"), "project-gradient project-deconvnet"),
        (named("gradient-rectified"), "project-gradient"),
        (by(going(ruled(ReLU, linear="gradient"))), "project-linear"),
        (named("leak-dropped-on-the-way-down"), "project-leak-gradient project-leak-deconvnet"),
        (named("leak-once"), "project-leak-guided"),
    ],
    "| bnorm | d * gain": [
        (named("bnorm-ignored-while-decoding"), "project-bnorm project-real-linear")
    ],
    "| normalize | d; under": [
        (named("normalize-differentiated"), "project-normalize project-real-guided"),
        (named("normalize-passed-by-the-gradient"), "project-real-gradient project-normalize-odd"),
        (part(way=WindowOneLess), "project-normalize-odd"),
    ],
    "| softmax | under `gradient`": [(part(way=SoftmaxAlone), "project-real-softmax")],
    "The order is the network's: d is rectified": [
        (part(way=ReluAfterEachConv), "project-deconvnet project-integers"),
        (part(way=OwnTypePassed), "project-own-relu"),
    ],
}  # fmt: skip

"""Section 10: occlusion."""

from __future__ import annotations

import numpy as np

from fdref.conformance.mistakes.occlusions import NoSoftmax, OneColour
from fdref.conformance.occlusion import BruteForce
from mutants.forward import overflowing_late
from mutants.making import asked, named, part, swapped, told


class WholeColumns(BruteForce):
    """Hides whole columns."""

    def occluded(self, image):
        copies, places = super().occluded(image)
        hidden = (copies != image).any(axis=2, keepdims=True)
        return np.where(hidden, self.shown(image), copies), places


class Added(BruteForce):
    """Adds the value to what is there."""

    def occluded(self, image):
        copies, places = super().occluded(image)
        return np.where(copies != image, image + copies, copies), places


class CornersTwice(BruteForce):
    """Counts the corners in their rows and in their columns."""

    def shown(self, image):
        if self.known["value"] != "background":
            return super().shown(image)
        sides = [image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]]
        return np.median(np.concatenate(sides, axis=1), axis=1)[:, None, None]


class AllPixels(BruteForce):
    """Takes the median of the whole image."""

    def shown(self, image):
        if self.known["value"] != "background":
            return super().shown(image)
        return np.median(image, axis=(1, 2), keepdims=True)


class LowerMedian(BruteForce):
    """Takes the lower of the two pixels in the middle."""

    def shown(self, image):
        if self.known["value"] != "background":
            return super().shown(image)
        inside = np.zeros(image.shape[1:], bool)
        inside[1:-1, 1:-1] = True
        ring = np.sort(image[:, ~inside], axis=1)
        return ring[:, (ring.shape[1] - 1) // 2, None, None]


class Overflowing(BruteForce):
    """Takes exponentials of scores as they are."""

    def scores(self, maps):
        return overflowing_late(None, maps).mean(axis=(2, 3))


class LastStrongest(BruteForce):
    """Of equal sums takes the last."""

    def strongest(self, maps):
        sums = maps.sum(axis=(2, 3))
        return sums.shape[1] - 1 - sums[:, ::-1].argmax(axis=1)


class LeastProbable(BruteForce):
    """Of equal probabilities takes the last class."""

    def of_image(self, image, label):
        found = super().of_image(image, label)
        copies, places = self.occluded(image)
        scores = self.scores(self.forward(copies)[self.last])
        last = scores.shape[1] - 1 - scores[:, ::-1].argmax(axis=1)
        return found | {"label": last.reshape(places)}


def number_of_the_image(found, case):
    return found | {"label": np.broadcast_to(found["map"][:, None, None], found["label"].shape)}


SENTENCES = {
    "Input `images` (N, C0, H, W), and those": [
        (named("square-transposed"), "occlude-square occlude-background occlude-integers"),
        (asked(stride=swapped), "occlude-square occlude-integers"),
        (asked(labels=lambda labels: [0] * len(labels)), "occlude-square"),
    ],
    "The square's upper left corner": [
        (named("squares-beyond-the-border"), "occlude-square occlude-one-place"),
        (asked(stride=lambda _: [1, 1]), "occlude-square"),
    ],
    "The image is changed under the square alone": [
        (part(sight=WholeColumns), "occlude-square"),
        (part(sight=Added), "occlude-square"),
        (named("square-black"), "occlude-square occlude-background"),
        (part(sight=OneColour), "occlude-square occlude-one-place"),
        (named("background-by-the-mean"), "occlude-background"),
        (part(sight=CornersTwice), "occlude-background"),
        (part(sight=AllPixels), "occlude-background"),
        (part(sight=LowerMedian), "occlude-background"),
    ],
    "Outputs: `map` (N), whole numbers": [
        (named("strongest-by-maximum"), "occlude-square"),
        (named("strongest-anew"), "occlude-one-place"),
        (named("maximum-watched"), "occlude-square"),
        (named("drop-for-activity"), "occlude-square"),
        (named("places-transposed"), "occlude-square"),
        (named("probability-of-the-most-probable"), "occlude-square"),
        (told(number_of_the_image), "occlude-square"),
    ],
    "Probabilities are what a network gives": [
        (part(sight=NoSoftmax), "occlude-square"),
        (named("softmax-twice"), "occlude-real"),
        (part(sight=Overflowing), "occlude-large"),
        (named("averaged-before-softmax"), "occlude-integers"),
    ],
    "Of equal maxima the first counts.": [
        (part(sight=LastStrongest), "occlude-ties"),
        (part(sight=LeastProbable), "occlude-ties"),
    ],
}  # fmt: skip

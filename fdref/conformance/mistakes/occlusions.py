"""Mistakes in occlusion: where squares are, what they show, and what is said of what is left."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.mistakes.mistake import Mistake, other
from fdref.conformance.occlusion import BruteForce
from fdref.engines.pointwise import softmax
from fdref.layers import Softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.arrays import Array

OCCLUDE = ("occlude",)


class BeyondTheBorder(BruteForce):
    """Lets squares begin wherever the stride leads to a pixel."""

    def occluded(self, image: Array) -> tuple[Array, tuple[int, int]]:
        """Return an image with the square at every place, and how many there are."""
        height, width = self.known["size"]
        around = ((0, 0), (0, height - 1), (0, width - 1))
        copies, places = super().occluded(np.pad(image, around, "edge"))
        return copies[:, :, : image.shape[1], : image.shape[2]], places


class Transposed(BruteForce):
    """Takes the square's width for its height."""

    def __init__(self, net: Any, known: Any, forward: Any) -> None:
        super().__init__(net, {**known, "size": known["size"][::-1]}, forward)


class StrideTransposed(BruteForce):
    """Takes the horizontal stride for the vertical one."""

    def __init__(self, net: Any, known: Any, forward: Any) -> None:
        super().__init__(net, {**known, "stride": known["stride"][::-1]}, forward)


class EveryPlace(BruteForce):
    """Goes on by one pixel."""

    def __init__(self, net: Any, known: Any, forward: Any) -> None:
        super().__init__(net, {**known, "stride": [1, 1]}, forward)


class LastMissing(BruteForce):
    """Leaves out places at the end: those whose square touches the border."""

    def occluded(self, image: Array) -> tuple[Array, tuple[int, int]]:
        """Return an image with the square at every place, and how many there are."""
        copies, places = super().occluded(image)
        (height, width), (down, across) = self.known["size"], self.known["stride"]
        rows = len(range(0, image.shape[1] - height, down))
        columns = len(range(0, image.shape[2] - width, across))
        kept = copies.reshape(*places, *image.shape)[:rows, :columns]
        return kept.reshape(-1, *image.shape), (rows, columns)


class BackgroundOfAll(BruteForce):
    """Takes the median of all pixels."""

    def shown(self, image: Array) -> Array:
        """Return what the square shows."""
        if self.known["value"] != "background":
            return super().shown(image)
        return np.asarray(np.median(image, axis=(1, 2)))[:, None, None]


class OneBackground(BruteForce):
    """Takes one median for all channels."""

    def shown(self, image: Array) -> Array:
        """Return what the square shows."""
        if self.known["value"] != "background":
            return super().shown(image)
        inside = np.zeros(image.shape[1:], bool)
        inside[1:-1, 1:-1] = True
        return np.full((len(image), 1, 1), np.median(image[:, ~inside]))


class CornersTwice(BruteForce):
    """Counts the corners twice."""

    def shown(self, image: Array) -> Array:
        """Return what the square shows."""
        if self.known["value"] != "background":
            return super().shown(image)
        around = [image[:, 0], image[:, -1], image[:, :, 0], image[:, :, -1]]
        return np.asarray(np.median(np.concatenate(around, axis=1), axis=1))[:, None, None]


class MeanActivity(BruteForce):
    """Averages the map."""

    def activity(self, maps: Array, strongest: int, clean: Array) -> Array:  # noqa: ARG002
        """Return how active the map is in each copy."""
        return np.asarray(maps[:, strongest].mean(axis=(1, 2)))


class Weakest(BruteForce):
    """Watches the map whose sum has the largest magnitude."""

    def strongest(self, maps: Array) -> NDArray[np.intp]:
        """Return which map of each image is the strongest."""
        found: NDArray[np.intp] = np.abs(maps).sum(axis=(2, 3)).argmax(axis=1)
        return found


class PlacesTransposed(BruteForce):
    """Has columns before rows in what is returned."""

    def outputs(self, images: Array) -> dict[str, NDArray[Any]]:
        """Return the outputs of a case."""
        found = super().outputs(images)
        return {name: a.swapaxes(1, 2) if a.ndim == 3 else a for name, a in found.items()}


class Black(BruteForce):
    """Shows 0."""

    def shown(self, image: Array) -> Array:
        """Return what the square shows."""
        return np.zeros((len(image), 1, 1))


class OneColour(BruteForce):
    """Shows what is meant for the first channel in all of them."""

    def shown(self, image: Array) -> Array:
        """Return what the square shows."""
        right = super().shown(image)
        return np.repeat(right[:1], len(right), axis=0)


class MeanBackground(BruteForce):
    """Takes the mean of the outermost pixels."""

    def shown(self, image: Array) -> Array:
        """Return what the square shows."""
        if self.known["value"] != "background":
            return super().shown(image)
        inside = np.zeros(image.shape[1:], bool)
        inside[1:-1, 1:-1] = True
        return np.asarray(image[:, ~inside].mean(axis=1))[:, None, None]


class StrongestByMaximum(BruteForce):
    """Watches the map that has the largest activation."""

    def strongest(self, maps: Array) -> NDArray[np.intp]:
        """Return which map of each image is the strongest."""
        found: NDArray[np.intp] = maps.max(axis=(2, 3)).argmax(axis=1)
        return found


class StrongestAnew(BruteForce):
    """Looks for the strongest map in each occluded image."""

    def activity(self, maps: Array, strongest: int, clean: Array) -> Array:  # noqa: ARG002
        """Return how active the map is in each copy."""
        return np.asarray(maps.sum(axis=(2, 3)).max(axis=1))


class MaximumWatched(BruteForce):
    """Takes the map's largest activation."""

    def activity(self, maps: Array, strongest: int, clean: Array) -> Array:  # noqa: ARG002
        """Return how active the map is in each copy."""
        return np.asarray(maps[:, strongest].max(axis=(1, 2)))


class Drop(BruteForce):
    """Takes the activity from that of the clean image."""

    def activity(self, maps: Array, strongest: int, clean: Array) -> Array:
        """Return how active the map is in each copy."""
        before = super().activity(clean, strongest, clean)
        return np.asarray(before - super().activity(maps, strongest, clean))


class NoSoftmax(BruteForce):
    """Gives what the network does, where it has no softmax."""

    def scores(self, maps: Array) -> Array:
        """Return the scores of classes."""
        return np.asarray(maps.mean(axis=(2, 3)))


class SoftmaxTwice(BruteForce):
    """Takes the softmax whatever the last layer is."""

    def scores(self, maps: Array) -> Array:
        """Return the scores of classes."""
        return np.asarray(softmax(maps).mean(axis=(2, 3)))


class AveragedBefore(BruteForce):
    """Averages scores over the output's pixels, then takes the softmax."""

    def scores(self, maps: Array) -> Array:
        """Return the scores of classes."""
        if isinstance(self.net[self.last], Softmax):
            return super().scores(maps)
        return super().scores(maps.mean(axis=(2, 3), keepdims=True))


class OfTheMostProbable(BruteForce):
    """Gives the largest probability."""

    def probability(self, scores: Array, label: int) -> Array:  # noqa: ARG002
        """Return that of the most probable class."""
        return np.asarray(scores.max(axis=1))


ALL = (
    Mistake("squares-beyond-the-border",
        "squares begin at every pixel of the stride, and the border cuts them; expected: whole "
        "squares only", OCCLUDE, other(sight=BeyondTheBorder)),
    Mistake("square-transposed",
        "the size of the square is taken as [width, height]; expected: it is [height, width]",
        OCCLUDE, other(sight=Transposed)),
    Mistake("square-stride-transposed",
        "strides of the square are taken as [horizontal, vertical]; expected: [vertical, "
        "horizontal]", OCCLUDE, other(sight=StrideTransposed)),
    Mistake("square-at-every-pixel",
        "the square goes on by one pixel whatever the stride; expected: by the stride", OCCLUDE,
        other(sight=EveryPlace)),
    Mistake("last-place-missing",
        "a square that touches the image's end is left out; expected: whole squares all count",
        OCCLUDE, other(sight=LastMissing)),
    Mistake("background-of-all-pixels",
        "the background is the median of all pixels; expected: of the outermost", OCCLUDE,
        other(sight=BackgroundOfAll)),
    Mistake("background-of-all-channels",
        "the background is one median of all channels; expected: each has its own", OCCLUDE,
        other(sight=OneBackground)),
    Mistake("background-counts-corners-twice",
        "the background counts the corners twice; expected: each pixel once", OCCLUDE,
        other(sight=CornersTwice)),
    Mistake("activity-averaged",
        "activity is the map's mean; expected: its sum", OCCLUDE, other(sight=MeanActivity)),
    Mistake("strongest-by-magnitude",
        "the map with the largest sum of absolute values is watched; expected: with the largest "
        "sum", OCCLUDE, other(sight=Weakest)),
    Mistake("places-transposed",
        "columns of places come before rows; expected: outputs are (N, rows, columns)", OCCLUDE,
        other(sight=PlacesTransposed)),
    Mistake("square-black", "the square shows 0 whatever its value; expected: it shows the value",
        OCCLUDE, other(sight=Black)),
    Mistake("square-of-one-colour",
        "the square shows in all channels what the first one should; expected: there is a number "
        "for each", OCCLUDE, other(sight=OneColour)),
    Mistake("background-by-the-mean",
        "the background is the mean of the outermost pixels; expected: it is their median",
        OCCLUDE, other(sight=MeanBackground)),
    Mistake("strongest-by-maximum",
        "the map with the largest activation is watched; expected: that with the largest sum",
        OCCLUDE, other(sight=StrongestByMaximum)),
    Mistake("strongest-anew",
        "in every occluded image its own strongest map is watched; expected: that of the clean "
        "image", OCCLUDE, other(sight=StrongestAnew)),
    Mistake("maximum-watched",
        "activity is the map's largest activation; expected: it is the sum over positions",
        OCCLUDE, other(sight=MaximumWatched)),
    Mistake("drop-for-activity",
        "activity is how much is missing from the clean image's; expected: it is what is left",
        OCCLUDE, other(sight=Drop)),
    Mistake("scores-for-probabilities",
        "probabilities are what the network gives, without a softmax; expected: a network that "
        "does not end in one gets one", OCCLUDE, other(sight=NoSoftmax)),
    Mistake("softmax-twice",
        "a network that ends in softmax gets another; expected: its outputs are the probabilities",
        OCCLUDE, other(sight=SoftmaxTwice)),
    Mistake("averaged-before-softmax",
        "scores are averaged over the output's pixels before the softmax; expected: probabilities "
        "are averaged", OCCLUDE, other(sight=AveragedBefore)),
    Mistake("probability-of-the-most-probable",
        "probability is that of the most probable class; expected: it is that of the image's own",
        OCCLUDE, other(sight=OfTheMostProbable)),
)  # fmt: skip

"""What networks answer where parts of images are hidden: occlusion and correspondence."""

from __future__ import annotations

from math import isnan, nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.layers import PReLU, ReLU
from fdref.measure.correspondence import correspondence
from fdref.measure.occlusion import occlude
from fdref.measure.ranks import rank_correlation
from fdref.paper.inversions import texture_layers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.measure.occlusion import Occlusion
    from fdref.measure.square import Value
    from fdref.paper.subject import Subject

BACKGROUND, AVERAGE, GREY, WHITE = "background", "average", "grey", "white"
VALUES: dict[str, Value] = {
    BACKGROUND: "background", AVERAGE: "average", GREY: 127.5, WHITE: 255.0
}  # fmt: skip
"""What the square shows."""

PARTS, TOGETHER, PLACES, STEP = 4, 5, 2, 2
"""The square's part of a side; images of a class; places tried of each; pixels between squares."""

ALIKE, MOSTLY = 8, 0.5
"""How far a pixel of the background may be from its shade, over channels; its share of an image."""


class Hidden(NamedTuple):
    """What happens where a part of an image is hidden.

    Attributes
    ----------
    size : int
        Of the square.
    follows : {what the square shows: float}
        The rank correlation, over places, of the drop of the true class's probability with how
        much is hidden that is not background; the mean over images.
    watched : float
        That of the drop of the strongest map's activity with how much is hidden where its
        projection is, the square showing the background.
    plain : bool
        Whether the images are of something on a plain background, which is what is not hidden.
    same, random : array
        Mean distances of the changes of images of a class, the same part of each hidden, or any;
        of such images alone, since elsewhere the same place shows other parts.
    every : {what the square shows: Occlusion}
        Of n images, the map being one of the last hidden layer.
    images : (n, C, H, W) array
        These, as pixels.
    """

    size: int
    follows: Mapping[str, float]
    watched: float
    plain: bool
    same: NDArray[np.float64]
    random: NDArray[np.float64]
    every: Mapping[str, Occlusion]
    images: Array


def hide(subject: Subject, progress: Callable[[int], object] | None = None) -> Hidden | None:
    """Hide parts of images; None where the outputs are not the labels' classes."""
    net, size = subject.net, side(subject)
    if not subject.classes or size < 2:
        return None
    which = subject.some(len(subject.images), subject.effort.occluded)
    pixels, labels = several(subject, which), subject.labels[which]
    x = net.prepare(pixels)
    inks = [ink(image) for image in pixels]
    every = {
        name: occlude(
            net, x, size, STEP, VALUES[name], watched_layer(subject), labels, progress=progress
        )
        for name in shown(subject)
    }
    follows = {
        name: following(one.probability, [hidden(own, size, STEP) for own in inks])
        for name, one in every.items()
    }
    behind = every[BACKGROUND]
    watched = nan
    if behind.projection is not None:
        both = zip(behind.projection, inks, strict=True)
        parts = [hidden(np.abs(one).sum(axis=0) * own, size, STEP) for one, own in both]
        watched = following(behind.activity, parts)
    plain = float(np.mean([(own <= ALIKE).mean() for own in inks])) >= MOSTLY
    compared = corresponding(subject, size) if plain else (np.zeros(0), np.zeros(0))
    return Hidden(size, follows, watched, plain, *compared, every, pixels)


def following(values: NDArray[np.float64], parts: Sequence[NDArray[np.float64]]) -> float:
    """Return the rank correlation of drops of values with parts that are hidden: a mean."""
    return mean_of([rank_correlation(-one, part) for one, part in zip(values, parts, strict=True)])


def watched_layer(subject: Subject) -> int:
    """Return the layer whose strongest map is watched.

    Zeiler & Fergus's is rectified and has several positions: the last such one, or else the last
    hidden layer.
    """
    rectified = (ReLU, PReLU)
    several = [n for n in texture_layers(subject) if isinstance(subject.net[n], rectified)]
    return max(several, default=last_hidden(subject))


def last_hidden(subject: Subject) -> int:
    """Return the last layer with filters below the last one, if there is one."""
    number: int = subject.net.decodable[-2:][0]
    return number


def steps(subject: Subject) -> int:
    """Return how much `hide` tells of its progress."""
    size = side(subject)
    if not subject.classes or size < 2:
        return 0
    count = min(subject.effort.occluded, len(subject.images))
    rows, columns = ((own - size) // STEP + 1 for own in subject.images.shape[-2:])
    places: int = rows * columns
    return len(shown(subject)) * count * places


def side(subject: Subject) -> int:
    """Return how large the square is."""
    shortest: int = min(subject.images.shape[-2:])
    return shortest // PARTS


def shown(subject: Subject) -> list[str]:
    """Return what the square may show."""
    return [name for name in VALUES if name != AVERAGE or subject.net.average is not None]


def several(subject: Subject, which: NDArray[np.intp]) -> Array:
    """Return some images as (n, C, H, W)."""
    some = subject.images[which]
    return some[:, None] if some.ndim == 3 else some


def ink(image: Array) -> NDArray[np.float64]:
    """Return how far each pixel (H, W) of an image is from its background, over channels.

    >>> ink(np.array([[[9, 9, 9], [9, 30, 9], [9, 9, 9]]]))[1].tolist()
    [0.0, 21.0, 0.0]
    """
    raw = image.astype(np.float64)
    edges = np.concatenate([raw[:, 0], raw[:, -1], raw[:, 1:-1, 0], raw[:, 1:-1, -1]], axis=1)
    off: NDArray[np.float64] = np.abs(raw - np.median(edges, axis=1)[:, None, None])
    total: NDArray[np.float64] = off.sum(axis=0)
    return total


def hidden(values: NDArray[np.floating], size: int, step: int) -> NDArray[np.float64]:
    """Return the sum of values (H, W) that a square hides at each of its places.

    >>> hidden(np.eye(4), 2, 2).tolist()
    [[2.0, 0.0], [0.0, 2.0]]
    """
    windows = np.lib.stride_tricks.sliding_window_view(values, (size, size))[::step, ::step]
    sums: NDArray[np.float64] = windows.sum(axis=(2, 3), dtype=np.float64)
    return sums


def corresponding(subject: Subject, size: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Hide the same part of images of a class, and any part of each, and compare the changes."""
    net = subject.net
    layer = last_hidden(subject)
    random = np.random.default_rng(0)
    most = np.array(subject.images.shape[-2:]) - size
    same: list[float] = []
    other: list[float] = []
    for label in np.unique(subject.labels):
        which = np.flatnonzero(subject.labels == label)[:TOGETHER]
        if len(which) < 2:
            continue
        x = net.prepare(several(subject, which))
        for _ in range(PLACES):
            place = random.integers(most // PARTS, most - most // PARTS + 1)  # not in a corner
            anywhere = random.integers(0, most + 1, (len(x), 2))
            for found, places in ((same, np.tile(place, (len(x), 1))), (other, anywhere)):
                found.append(correspondence(net, x, places, size, layer, "background").mean)
    return np.array(same), np.array(other)


def mean_of(values: Sequence[float]) -> float:
    """Return the mean of what is known; NaN if nothing is."""
    known = [value for value in values if not isnan(value)]
    return float(np.mean(known)) if known else nan

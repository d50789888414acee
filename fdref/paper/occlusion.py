"""Zeiler & Fergus's occlusion and correspondence: what it does to hide a part of an image."""

from __future__ import annotations

from functools import partial
from math import isnan, nan
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from matplotlib import colormaps

from fdref.measure.correspondence import correspondence
from fdref.measure.occlusion import occlude
from fdref.measure.ranks import rank_correlation
from fdref.paper.canvas import about, coloured
from fdref.paper.exhibit import Claim, Exhibit, Table, judged
from fdref.paper.picture_rows import Group, draw
from fdref.paper.table1 import short
from fdref.paper.top_nine import photo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.measure.occlusion import Occlusion
    from fdref.measure.square import Value
    from fdref.paper.canvas import Shades
    from fdref.paper.subject import Subject

BACKGROUND, AVERAGE, GREY, WHITE = "background", "average", "grey", "white"
VALUES: dict[str, Value] = {
    BACKGROUND: "background", AVERAGE: "average", GREY: 127.5, WHITE: 255.0
}  # fmt: skip
"""What the square shows."""

FOLLOWS, STROKE, ALIKE = 0.5, 0.25, 0.75
"""Rank correlations: where a drop follows what is hidden, and by how much less it does for grey;
the distance of changes as a share of the usual one."""

PARTS, TOGETHER, PLACES, STEP = 4, 5, 2, 2
"""The square's part of a side; images of a class; places tried of each; pixels between squares."""

SIDE, DRAWN, AROUND = 84, 6, 228
"""Pixels of a picture, images that are drawn, and the shade where no square has its centre."""


class Found(NamedTuple):
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
    same, random : array
        Mean distances of the changes of images of a class, the same part of each hidden, or any.
    every : {what the square shows: Occlusion}
        Of n images, the map being one of the last hidden layer.
    images : (n, C, H, W) array
        These, as pixels.
    """

    size: int
    follows: Mapping[str, float]
    watched: float
    same: NDArray[np.float64]
    random: NDArray[np.float64]
    every: Mapping[str, Occlusion]
    images: Array


def find(subject: Subject, progress: Callable[[int], object] | None = None) -> Found | None:
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
            net, x, size, STEP, VALUES[name], last_hidden(subject), labels, progress=progress
        )
        for name in shown(subject)
    }
    follows = {
        name: following(one.probability, [hidden(own, size, STEP) for own in inks])
        for name, one in every.items()
    }
    plain = every[BACKGROUND]
    watched = nan
    if plain.projection is not None:
        both = zip(plain.projection, inks, strict=True)
        parts = [hidden(np.abs(one).sum(axis=0) * own, size, STEP) for one, own in both]
        watched = following(plain.activity, parts)
    return Found(size, follows, watched, *corresponding(subject, size), every, pixels)


def following(values: NDArray[np.float64], parts: Sequence[NDArray[np.float64]]) -> float:
    """Return the rank correlation of drops of values with parts that are hidden: a mean."""
    return mean([rank_correlation(-one, part) for one, part in zip(values, parts, strict=True)])


def last_hidden(subject: Subject) -> int:
    """Return the last layer with filters below the last one, if there is one."""
    number: int = subject.net.decodable[-2:][0]
    return number


def steps(subject: Subject) -> int:
    """Return how much `find` tells of its progress."""
    size = side(subject)
    if not subject.classes or size < 2:
        return 0
    rows, columns = (own - size for own in subject.images.shape[-2:])
    count = min(subject.effort.occluded, len(subject.images))
    return len(shown(subject)) * count * (rows // STEP + 1) * (columns // STEP + 1)


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


def mean(values: Sequence[float]) -> float:
    """Return the mean of what is known; NaN if nothing is."""
    known = [value for value in values if not isnan(value)]
    return float(np.mean(known)) if known else nan


def exhibit(subject: Subject, found: Found | None) -> Exhibit:
    """Show what a square does to some images."""
    title = "Zeiler & Fergus: occlusion"
    if found is None:
        why = "the outputs of the last convolution are not the classes of the images"
        text = "Where a part of the image is hidden that matters, the class becomes less probable."
        return Exhibit("occlusion", title, "", (Claim(text, why, None),))
    return Exhibit(
        "occlusion",
        title,
        f"A square of {found.size}×{found.size} pixels moves over images; each place is that of "
        "its centre. Activity: summed over the map of the last hidden layer that the clean "
        "image excites most. Probability: of the true class, white where it is 1. M. D. Zeiler "
        "and R. Fergus, arXiv 1311.2901, figure 7.",
        claims(found),
        (table(found),),
        numbers_of(found),
        partial(
            draw,
            "Zeiler & Fergus: what becomes of a class where a part is hidden",
            "Projection: own contrast, grey is zero. Maps: black is 0 or less, white the largest.",
            groups(subject, found),
        ),
        "Images with maps of the probability of their class while a square hides a part of them",
    )


def claims(found: Found) -> tuple[Claim, ...]:
    """Say what Zeiler & Fergus see, and hold it against the numbers."""
    told = ", ".join(f"{name} {short(value, 2)}" for name, value in found.follows.items())
    plain, grey = found.follows[BACKGROUND], found.follows[GREY]
    alike, any_place = (mean(list(own)) for own in (found.same, found.random))
    return (
        judged(
            "Where a part of the image is hidden that matters, the class becomes less probable: "
            "behind a square of the background's colour the drop follows what is hidden.",
            f"rank correlation with how much is hidden that is not background: {told}",
            "that of a square that shows the background",
            plain,
            ">=",
            FOLLOWS,
        ),
        judged(
            "A grey square is an object itself: what becomes of the class follows what it hides "
            "less than behind the background.",
            f"background {short(plain, 2)}, grey {short(grey, 2)}",
            "the correlation behind the background less that behind grey",
            plain - grey,
            ">",
            STROKE,
        ),
        judged(
            "Where the square hides what the strongest map's projection shows, its activity drops.",
            "rank correlation with how much is hidden, pixels weighted by the projection's "
            f"magnitude: {short(found.watched, 2)}",
            "that correlation",
            found.watched,
            ">=",
            FOLLOWS,
        ),
        judged(
            "Images of a class change more alike where the same part of each is hidden than where "
            "any part is.",
            f"mean distance of the signs of changes: same part {short(alike, 2)} ± "
            f"{short(spread(found.same), 2)}, any part {short(any_place, 2)} ± "
            f"{short(spread(found.random), 2)}",
            "the distance for the same part, as a share of that for any part",
            alike / any_place if any_place > 0 else nan,
            "<=",
            ALIKE,
        ),
    )


def spread(values: NDArray[np.float64]) -> float:
    """Return a standard deviation; NaN of nothing."""
    return float(values.std()) if values.size else nan


def table(found: Found) -> Table:
    """Write how the class follows what is hidden, by what the square shows."""
    return Table(
        "The drop of the true class's probability",
        ("the square shows", "rank correlation with what is hidden"),
        tuple((name, short(value, 2)) for name, value in found.follows.items()),
        "Hidden: the differences of pixels from the background, the median of the image's "
        "outermost pixels. Mean over images of the correlation over places.",
    )


def numbers_of(found: Found) -> dict[str, NDArray[Any]]:
    """Return maps, and what is said of them."""
    numbers: dict[str, NDArray[Any]] = {"same": found.same, "random": found.random}
    for name, one in found.every.items():
        numbers[f"{name}/probability"] = one.probability
        numbers[f"{name}/label"] = one.label
        numbers[f"{name}/activity"] = one.activity
    return numbers


def groups(subject: Subject, found: Found) -> list[Group]:
    """Choose what is drawn: maps of some images, and the classes' colours."""
    some = subject.some(len(found.images), DRAWN)
    plain, grey = found.every[BACKGROUND], found.every[GREY]
    size = found.images.shape[2:]

    def maps(shades: Sequence[NDArray[Any]]) -> list[Shades]:
        return [about(framed(one, size), SIDE) for one in shades]

    rows = {"image": [about(photo(one), SIDE) for one in found.images[some]]}
    if plain.projection is not None:
        title = f"projection of the strongest\nmap of layer {plain.layer}"
        rows[title] = [about(coloured(one), SIDE) for one in plain.projection[some]]
    rows["its activity"] = maps([scaled(one) for one in plain.activity[some]])
    for name, one in ((BACKGROUND, plain), (GREY, grey)):
        shades = [scaled(values, 1) for values in one.probability[some]]
        rows[f"probability,\nsquare shows {name}"] = maps(shades)
    palette = colours(len(subject.classes))
    for name, one in ((BACKGROUND, plain), (GREY, grey)):
        shades = [palette[values] for values in one.label[some]]
        rows[f"most probable class,\nsquare shows {name}"] = maps(shades)
    labels = np.unique(np.stack([plain.label[some], grey.label[some]]))
    swatches = [np.broadcast_to(palette[k], (16, SIDE, 3)) for k in labels]
    names = [subject.classes[k] for k in labels]
    return [Group("", (), rows), Group("Classes", names, {"": swatches})]


def scaled(values: NDArray[np.float64], peak: float | None = None) -> Shades:
    """Turn numbers from 0 to the largest into shades (h, w, 3) from black to white."""
    largest = float(values.max()) if peak is None else peak
    return photo(255 * (values / largest if largest > 0 else 0 * values)[None])


def framed(shades: Shades, size: tuple[int, ...]) -> Shades:
    """Lay a map of every second place where the square's centres are, as large as the image."""
    large = shades.repeat(STEP, axis=0).repeat(STEP, axis=1)
    whole = np.full((*size, 3), AROUND, np.uint8)
    top, left = (max(0, own - part) // 2 for own, part in zip(size, large.shape[:2], strict=True))
    part = whole[top : top + large.shape[0], left : left + large.shape[1]]
    part[:] = large[: part.shape[0], : part.shape[1]]
    return whole


def colours(count: int) -> Shades:
    """Return a colour for each class (count, 3), told apart as well as may be."""
    several = colormaps["tab10" if count <= 10 else "hsv"]
    points = np.arange(count) if count <= 10 else np.linspace(0, 1, count, endpoint=False)
    found: Shades = np.rint(255 * several(points)[:, :3]).astype(np.uint8)
    return found

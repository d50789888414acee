"""Zeiler & Fergus's occlusion and correspondence: what it does to hide a part of an image."""

from __future__ import annotations

from functools import partial
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib import colormaps

from fdref.drawing.canvas import about, coloured
from fdref.paper.exhibit import Claim, Exhibit, Table, judged
from fdref.paper.hidden_parts import BACKGROUND, GREY, STEP, mean_of
from fdref.paper.picture_rows import Group, draw
from fdref.paper.table1 import short
from fdref.paper.top_nine import photo

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.drawing.canvas import Shades
    from fdref.paper.hidden_parts import Hidden
    from fdref.paper.subject import Subject

FOLLOWS, STROKE, ALIKE, LEFT = 0.5, 0.25, 0.75, 0.75
"""Rank correlations: where a drop follows what is hidden, and by how much less it does for grey;
the distance of changes as a share of the usual one; what is left of a probability, as a share."""

SIDE, DRAWN, AROUND = 84, 6, 228
"""Pixels of a picture, images that are drawn, and the shade where no square has its centre."""


def exhibit(subject: Subject, found: Hidden | None) -> Exhibit:
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
        "its centre. Activity: summed over the map of "
        f"{subject.net.describe(found.every[BACKGROUND].layer)} that the clean image excites most. "
        "Probability: of the true class, white where it is 1. M. D. Zeiler and R. Fergus, arXiv "
        "1311.2901, figure 7.",
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


def claims(found: Hidden) -> tuple[Claim, ...]:
    """Say what Zeiler & Fergus see, and hold it against the numbers."""
    if found.plain:
        return (*ink_claims(found.follows), watched_claim(found), parts_claim(found))
    return (place_claim(found.every[BACKGROUND].probability), watched_claim(found))


def ink_claims(follows: Mapping[str, float]) -> tuple[Claim, Claim]:
    """Judge what becomes of the class where something is hidden that is not background."""
    told = ", ".join(f"{name} {short(value, 2)}" for name, value in follows.items())
    plain, grey = follows[BACKGROUND], follows[GREY]
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
    )


def place_claim(probability: NDArray[np.float64]) -> Claim:
    """Judge whether it matters where photographs are hidden, of which nobody knows what matters."""
    places = probability.reshape(len(probability), -1)
    worst, middle = places.min(axis=1).mean(), float(np.median(places, axis=1).mean())
    return judged(
        "Where a part of the image is hidden that matters, the class becomes less probable: behind "
        "a square at the worst place, not at most places.",
        f"probability of the true class at the worst place {short(worst, 2)}, at the median one "
        f"{short(middle, 2)}",
        "what is left at the worst place, as a share of the other",
        worst / middle if middle > 0 else nan,
        "<=",
        LEFT,
    )


def watched_claim(found: Hidden) -> Claim:
    """Judge what becomes of a map's activity where its projection is hidden."""
    return judged(
        "Where the square hides what the strongest map's projection shows, its activity drops.",
        "rank correlation with how much is hidden, pixels weighted by the projection's magnitude: "
        f"{short(found.watched, 2)}",
        "that correlation",
        found.watched,
        ">=",
        FOLLOWS,
    )


def parts_claim(found: Hidden) -> Claim:
    """Judge how alike images of a class change where the same part of each is hidden."""
    alike, any_place = (mean_of(list(own)) for own in (found.same, found.random))
    return judged(
        "Images of a class change more alike where the same part of each is hidden than where any "
        "part is.",
        f"mean distance of the signs of changes: same part {short(alike, 2)} ± "
        f"{short(spread(found.same), 2)}, any part {short(any_place, 2)} ± "
        f"{short(spread(found.random), 2)}",
        "the distance for the same part, as a share of that for any part",
        alike / any_place if any_place > 0 else nan,
        "<=",
        ALIKE,
    )


def spread(values: NDArray[np.float64]) -> float:
    """Return a standard deviation; NaN of nothing."""
    return float(values.std()) if values.size else nan


def table(found: Hidden) -> Table:
    """Write how the class follows what is hidden, by what the square shows."""
    return Table(
        "The drop of the true class's probability",
        ("the square shows", "rank correlation with what is hidden"),
        tuple((name, short(value, 2)) for name, value in found.follows.items()),
        "Hidden: the differences of pixels from the background, the median of the image's "
        "outermost pixels. Mean over images of the correlation over places.",
    )


def numbers_of(found: Hidden) -> dict[str, NDArray[Any]]:
    """Return maps, and what is said of them."""
    numbers: dict[str, NDArray[Any]] = {"same": found.same, "random": found.random}
    for name, one in found.every.items():
        numbers[f"{name}/probability"] = one.probability
        numbers[f"{name}/label"] = one.label
        numbers[f"{name}/activity"] = one.activity
    return numbers


def groups(subject: Subject, found: Hidden) -> list[Group]:
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

"""Inversion, and Xia et al.: every filter extracts a specific texture."""

from __future__ import annotations

from functools import partial
from math import nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.drawing.canvas import about, coloured
from fdref.errors import DependencyError
from fdref.paper.exhibit import Claim, Exhibit, Table, judged
from fdref.paper.inversions import inverted, texture_layers, textured
from fdref.paper.nonlinearities import least
from fdref.paper.picture_rows import Group, draw
from fdref.paper.table1 import short
from fdref.paper.top_nine import photo

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fdref.arrays import Array
    from fdref.drawing.canvas import Shades
    from fdref.paper.inversions import Inverted, Textured
    from fdref.paper.subject import Subject

ACCURATE, LOST, TOLD, MORE = 0.01, 0.25, 0.5, 2
"""Relative squared error; correlation; share of pictures; multiple of a share of energy."""

SHOWN, SIDE, SOURCES = 10, 84, 2
"""Columns of pictures, pixels of one, images whose codes' energy is moved that are drawn."""


class Found(NamedTuple):
    """What layers know of images, and what textures filters make.

    Attributes
    ----------
    inverted : {layer: Inverted}
    textured : {layer: Textured}
    missing : str
        What there should be to search for images, if that is not installed.
    """

    inverted: Mapping[int, Inverted]
    textured: Mapping[int, Textured]
    missing: str = ""


def find(subject: Subject, progress: Callable[[int], object] | None = None) -> Found:
    """Search for images and for textures."""
    try:
        images = {n: inverted(subject, n, progress) for n in inverted_layers(subject)}
        textures = {n: textured(subject, n, progress) for n in texture_layers(subject)}
    except DependencyError as error:
        return Found({}, {}, str(error))
    return Found(
        {n: one for n, one in images.items() if one is not None},
        {n: one for n, one in textures.items() if one is not None},
    )


def inverted_layers(subject: Subject) -> tuple[int, ...]:
    """Return the layers whose codes are inverted: all but the first, if there are others."""
    layers = subject.net.decodable
    return layers[1:] or layers


def steps(subject: Subject) -> int:
    """Return how much `find` tells of its progress, at most."""
    effort, layers = subject.effort, texture_layers(subject)
    maps = sum(min(subject.net.channels[n], effort.maps) for n in layers)
    return (
        len(inverted_layers(subject)) * effort.inverted * effort.iterations
        + maps * effort.textured * effort.texture_iterations
    )


def exhibits(subject: Subject, found: Found) -> tuple[Exhibit, Exhibit]:
    """Show inversions, and textures."""
    return inversion(subject, found), textures(subject, found)


def inversion(subject: Subject, found: Found) -> Exhibit:
    """Show images beside others that layers answer alike."""
    title = "Xia et al.: inversion, and what a layer knows of an image"
    if not found.inverted:
        why = f"Left out: {found.missing}." if found.missing else "No layer answers the images."
        return Exhibit("inversion", title, why)
    first = next(iter(found.inverted.values()))
    rows = {"image": photos(first.originals)}
    for n, one in found.inverted.items():
        told = f"error {one.errors.max():.0e}, pixels {short(known(one), 3)}"
        rows[f"from {subject.net.describe(n)}\n{told}"] = photos(one.images)
    return Exhibit(
        "inversion",
        title,
        "Mahendran & Vedaldi's inversion, on which Xia et al. build: for an image, another is "
        "searched for, from noise around the average, that a layer answers alike. Beside each "
        "row: the largest relative squared error of the answers, and the correlation of pixels. "
        "A. Mahendran and A. Vedaldi, arXiv 1412.0035.",
        (
            accuracy_claim({n: float(one.errors.max()) for n, one in found.inverted.items()}),
            loss_claim({n: known(one) for n, one in found.inverted.items()}),
        ),
        numbers={
            f"layer{n}/{name}": values
            for n, one in found.inverted.items()
            for name, values in (("images", one.images), ("errors", one.errors))
        },
        draw=partial(
            draw,
            "Xia et al.: inversion, images that a layer answers alike",
            "First row: the images. Below: what was found from their codes, starting from noise.",
            [Group("", (), rows)],
        ),
        alt="Images, and below each those found from its codes at several layers",
    )


def known(one: Inverted) -> float:
    """Return the mean correlation of pixels; NaN if there is none."""
    values = one.correlations[~np.isnan(one.correlations)]
    return float(values.mean()) if values.size else nan


def accuracy_claim(errors: Mapping[int, float]) -> Claim:
    """Judge how alike a layer answers what was found."""
    told = ", ".join(f"layer {n} {error:.1e}" for n, error in errors.items())
    return judged(
        "Images can be found that a layer answers alike.",
        f"largest relative squared error: {told}",
        "the largest of them",
        max(errors.values()),
        "<=",
        ACCURATE,
    )


def loss_claim(alike: Mapping[int, float]) -> Claim:
    """Judge how much less of the image the last layer knows than the first of them."""
    text = "Deeper layers know less of the image: what they answer alike looks less like it."
    if len(alike) == 1:
        return Claim(text, "there is one layer only", None)
    told = ", ".join(f"layer {n} {short(value, 3)}" for n, value in alike.items())
    return judged(
        text,
        f"correlation of pixels: {told}",
        "the first layer's less the last's",
        alike[min(alike)] - alike[max(alike)],
        ">",
        LOST,
    )


def textures(subject: Subject, found: Found) -> Exhibit:
    """Show the textures that filters make of images."""
    title = "Xia et al.: the texture of a filter"
    if not found.textured:
        why = (
            f"Left out: {found.missing}."
            if found.missing
            else "No layer has maps larger than a pixel above what is not linear."
        )
        return Exhibit("textures", title, why)
    return Exhibit(
        "textures",
        title,
        "Before it is inverted, a code's energy is moved: one map becomes, at each position, the "
        "sum of all, and all others become 0. What is found is what the filter makes of the "
        "image: a texture that is laid over all of it. Xia et al., arXiv 1608.04170.",
        texture_claims(found.textured),
        (table(found.textured),),
        {
            f"layer{n}/{name}": values
            for n, one in found.textured.items()
            for name, values in (("filters", one.filters), ("images", one.images))
        },
        partial(
            draw,
            "Xia et al.: textures, images found when one filter's map has all the energy",
            "Decoded filters: each has its own contrast, grey is zero. Below: images, as found.",
            [group(subject, n, one) for n, one in found.textured.items()],
        ),
        "For filters of several layers the decoded filter and the textures made of two images",
    )


def texture_claims(found: Mapping[int, Textured]) -> tuple[Claim, ...]:
    """Say what Xia et al. see, and hold it against the numbers."""
    maps = {n: one.map_told for n, one in found.items()}
    images = {n: one.image_told for n, one in found.items()}
    growth = {n: one.after / one.before for n, one in found.items()}
    decoded = {n: one.decoded_told for n, one in found.items()}
    return (
        judged(
            "Every filter extracts a specific texture: from the spectrum of what is found the "
            "filter can be told, whatever the image.",
            f"filter told: {shares(maps, chances(found, 0))}",
            "the share of pictures, where that is least",
            least(maps.values()),
            ">",
            TOLD,
        ),
        judged(
            "The texture is the filter's and not the image's: from the spectrum the image cannot "
            "be told.",
            f"image told: {shares(images, chances(found, 1))}",
            "the share of pictures, where that is most",
            max(images.values()),
            "<=",
            TOLD,
        ),
        judged(
            "What is found excites the filter more than the images did: its map has more of the "
            "layer's energy.",
            "share of the energy: "
            + ", ".join(
                f"layer {n} {short(one.before, 3)}, then {short(one.after, 3)}"
                for n, one in found.items()
            ),
            "the multiple, where that is least",
            least(growth.values()),
            ">",
            MORE,
        ),
        judged(
            "The texture is the decoded filter's: their spectra are nearest.",
            f"own decoded filter nearest: {shares(decoded, chances(found, 0))}",
            "the share of filters, where that is least",
            least(decoded.values()),
            ">",
            TOLD,
        ),
    )


def chances(found: Mapping[int, Textured], axis: int) -> dict[int, float]:
    """Return what guessing would tell: of filters (0), or of images (1)."""
    return {n: 1 / one.images.shape[axis] for n, one in found.items()}


def shares(values: Mapping[int, float], guessed: Mapping[int, float]) -> str:
    """Write a share for each layer beside that of guessing."""
    return ", ".join(
        f"layer {n} {value:.1%} (chance {guessed[n]:.1%})" for n, value in values.items()
    )


def table(found: Mapping[int, Textured]) -> Table:
    """Write what can be told of textures, layer by layer."""
    rows = []
    for n, one in found.items():
        filters, images = one.images.shape[:2]
        rows.append(
            (
                str(n),
                f"{one.map_told:.1%} ({1 / filters:.1%})",
                f"{one.image_told:.1%} ({1 / images:.1%})",
                f"{one.decoded_told:.1%} ({1 / filters:.1%})",
                short(one.before, 3),
                short(one.after, 3),
            )
        )
    return Table(
        "What can be told of textures",
        (
            *("layer", "filter told", "image told", "own decoded filter nearest"),
            *("share of energy before", "after"),
        ),
        tuple(rows),
        "In brackets: by guessing. The amplitude spectrum of a picture, its average image "
        "subtracted, is compared with the mean of the pictures that other images (or filters) gave "
        "of each filter (or image). Energy: the sum of what is positive in a map, as a share of "
        "the layer's.",
    )


def group(subject: Subject, number: int, one: Textured) -> Group:
    """Choose what is drawn of a layer."""
    rows = {"decoded filter": [about(coloured(own), SIDE) for own in one.decoded[:SHOWN]]}
    for n in range(min(SOURCES, one.images.shape[1])):
        rows[f"texture from the code\nof image {n + 1}"] = photos(one.images[:SHOWN, n])
    filters = [f"filter {k}" for k in one.filters[:SHOWN]]
    return Group(subject.net.describe(number), filters, rows)


def photos(images: Array) -> list[Shades]:
    """Turn images into pictures as they are."""
    return [about(photo(one), SIDE) for one in images[:SHOWN]]

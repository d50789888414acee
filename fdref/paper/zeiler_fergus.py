"""Zeiler & Fergus's figure 2: what excites neurons most, and what of it does."""

from __future__ import annotations

from collections import Counter
from functools import partial
from math import isnan, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.network.fields import around
from fdref.network.units import Unit, boxes
from fdref.paper.excited import visible
from fdref.paper.exhibit import Claim, Exhibit, Table, judged
from fdref.paper.nonlinearities import least, listed
from fdref.paper.table1 import short
from fdref.paper.top_nine import Block, Strip, draw
from fdref.walk.forward import forward
from fdref.walk.projection import project

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.paper.excited import Excited
    from fdref.paper.subject import Subject
    from fdref.walk.projection import Rule

    Found = Mapping[int, Excited]

RULE: Rule = "deconvnet"
GROWTH = 1.5
"""By what the share of the commonest class grows from the first to the last layer, at least."""

SHOWN = 4
"""Neurons of a layer at most that are drawn, where there is room."""


def exhibit(subject: Subject, found: Found) -> Exhibit:
    """Show the strongest images of some neurons of each layer beside their projections."""
    title = "Zeiler & Fergus: what excites a neuron"
    if not found:
        return Exhibit("zeiler_fergus", title, "No image excites any neuron.")
    return Exhibit(
        "zeiler_fergus",
        title,
        "For some neurons of each layer the nine images with the largest activations, at most one "
        "place in each. Left: the activation projected down to the image by a deconvnet, in which "
        "the image's own maxima say where pools lead and what is negative is dropped wherever the "
        "network rectifies. Right: the part of the image that the neuron saw. Below: the "
        "commonest classes among the nine. M. D. Zeiler and R. Fergus, arXiv 1311.2901, figure 2.",
        claims(subject, found),
        (table(subject, found),),
        numbers_of(found),
        partial(draw, [strip(subject, n, one) for n, one in found.items()]),
        "For neurons of each layer nine projections beside nine patches of images",
    )


def claims(subject: Subject, found: Found) -> tuple[Claim, ...]:
    """Say what Zeiler & Fergus see, and hold it against the numbers."""
    return (
        classes_claim({n: commonest(subject.labels[one.images]) for n, one in found.items()},
                      len(np.unique(subject.labels))),
        variation_claim({n: agreements(one) for n, one in found.items()}),
        field_claim({n: outside(subject, one) for n, one in found.items()}),
    )  # fmt: skip


def classes_claim(share: Mapping[int, float], classes: int) -> Claim:
    """Compare the classes of strongest images between the first and the last layer."""
    text = "The deeper a layer, the fewer are the classes that excite one of its neurons most."
    if classes == 1 or len(share) == 1:
        return Claim(text, "there is one class only" if classes == 1 else "one layer only", None)
    first, last = share[min(share)], share[max(share)]
    return judged(
        text,
        f"share of the commonest class among a neuron's strongest images: {listed(share)}",
        "the last layer's share, as a multiple of the first's",
        last / first,
        ">",
        GROWTH,
    )


def variation_claim(alike: Mapping[int, tuple[float, float]]) -> Claim:
    """Compare how much projections vary with how much patches do."""
    told = {n: one for n, one in alike.items() if not np.isnan(one).any()}
    pairs = (f"layer {n} {short(p, 3)} and {short(q, 3)}" for n, (p, q) in told.items())
    return judged(
        "Patches vary more than projections do, which show what they have in common for the "
        "neuron.",
        "correlation between a neuron's projections, and between its patches: "
        f"{', '.join(pairs) or 'nothing to compare'}",
        "by how much projections correlate more, where that is least",
        least(p - q for p, q in told.values()),
        ">",
        0,
    )


def field_claim(beyond: Mapping[int, float]) -> Claim:
    """Tell whether projections stay within receptive fields."""
    told = {n: share for n, share in beyond.items() if not isnan(share)}
    whole = "every neuron sees the whole image"
    return judged(
        "A projection lies within the neuron's receptive field.",
        f"layers {', '.join(map(str, told))}" if told else whole,
        "the largest value outside, as a share of the largest value",
        max(told.values(), default=nan),
        "<=",
        0,
    )


def commonest(labels: NDArray[np.integer]) -> float:
    """Return the mean share of the commonest class in rows of labels.

    >>> commonest(np.array([[3, 3, 3, 5], [1, 1, 2, 2]]))
    0.625
    """
    return float(np.mean([np.bincount(row).max() / len(row) for row in labels]))


def agreements(one: Excited) -> tuple[float, float]:
    """Return how alike a neuron's projections are, and its patches; NaN of a single image."""
    return pairwise(one.projections[RULE]), pairwise(one.prepared)


def pairwise(pictures: Array) -> float:
    """Return the mean correlation between different pictures (k, n, C, h, w) of a neuron."""
    rows = pictures.reshape(*pictures.shape[:2], -1).astype(np.float64)
    rows = rows - rows.mean(axis=2, keepdims=True)
    norms = np.linalg.norm(rows, axis=2, keepdims=True)
    rows = np.divide(rows, norms, out=np.full_like(rows, nan), where=norms > 0)
    products = rows @ rows.swapaxes(1, 2)
    others = ~np.eye(products.shape[1], dtype=bool)
    values = products[:, others]
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else nan


def outside(subject: Subject, one: Excited) -> float:
    """Return the largest value of projections beyond receptive fields, as a share of all values.

    Of the strongest image of the neurons that are drawn; NaN where they see the whole image.
    """
    net, top = subject.net, one.top
    rows = subject.some(len(top.filters), SHOWN)
    images, units = np.unique(top.images[rows, 0], return_inverse=True)
    pixels = np.asarray(top.pixels)[images]
    acts = forward(net, net.prepare(pixels), last=top.layer)
    kept = np.column_stack([units.ravel(), top.filters[rows], top.places[rows, 0]])
    size = pixels.shape[-2], pixels.shape[-1]
    pictures = np.abs(project(net, acts, top.layer, kept, RULE))
    shares = []
    for picture, (row, column) in zip(pictures, top.places[rows, 0].tolist(), strict=True):
        beyond = np.ones(picture.shape[1:], bool)
        within = boxes(net, top.layer, Unit((row, column)))[0].within(size)
        beyond[within.rows, within.columns] = False
        if beyond.any() and picture.any():
            shares.append(float(picture[:, beyond].max() / picture.max()))
    return max(shares, default=nan)


def table(subject: Subject, found: Found) -> Table:
    """Write what was seen, layer by layer."""
    rows = []
    for n, one in found.items():
        labels = subject.labels[one.images]
        projected, patches = agreements(one)
        rows.append(
            (
                str(n),
                f"{len(one.top.filters):,} of {subject.net.channels[n]:,}",
                f"{commonest(labels):.1%}",
                short(float(np.mean([len(set(row)) for row in labels.tolist()])), 1),
                short(projected, 3),
                short(patches, 3),
            )
        )
    return Table(
        "The strongest images of neurons",
        (
            *("layer", "neurons", "commonest class", "classes"),
            *("correlation of projections", "of patches"),
        ),
        tuple(rows),
        "Means over the neurons that some image excites, of those spread evenly over the layer. "
        "Correlations: between the pictures of a neuron, two by two.",
    )


def numbers_of(found: Found) -> dict[str, NDArray[Any]]:
    """Return which images excite which neurons, where, and by how much."""
    numbers: dict[str, NDArray[Any]] = {}
    for n, one in found.items():
        numbers[f"layer{n}/filters"] = one.top.filters
        numbers[f"layer{n}/images"] = one.images
        numbers[f"layer{n}/places"] = one.top.places
        numbers[f"layer{n}/values"] = one.top.values
    return numbers


def strip(subject: Subject, number: int, one: Excited) -> Strip:
    """Choose what is drawn of a layer; margins that are beyond all images are cut off."""
    names, rows = subject.class_names, subject.some(len(one.top.filters), SHOWN)
    inside = np.s_[:, :, *on_images(subject, one.top.layer, one.top.places[rows])]
    blocks = []
    for k in rows:
        several = Counter(subject.labels[one.images[k]].tolist()).most_common(3)
        told = ", ".join(f"{names[label]} ×{count}" for label, count in several)
        text = f"filter {one.top.filters[k]}: {told}"
        blocks.append(Block(text, one.projections[RULE][k][inside], one.pixels[k][inside]))
    return Strip(subject.net.describe(number), blocks)


def on_images(subject: Subject, number: int, places: NDArray[np.intp]) -> tuple[slice, slice]:
    """Return which part of their fields units at some places see of images, any of them."""
    size = subject.images.shape[-2], subject.images.shape[-1]
    rows, columns = np.unique(places.reshape(-1, 2), axis=0).T.tolist()
    whole = around(visible(subject.net, number, at, size) for at in zip(rows, columns, strict=True))
    return whole.rows, whole.columns

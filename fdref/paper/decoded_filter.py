"""What the decoded filter is: the deconvnet without an image, and the best filter for noise."""

from __future__ import annotations

from functools import partial
from math import inf, log2, nan
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.drawing.canvas import about, coloured
from fdref.measure.theorem import inner_unit
from fdref.paper.comparisons import (
    DEVIATION,
    SHOWN,
    corrected,
    mean_of,
    rectifiers,
    together,
)
from fdref.paper.excited import visible
from fdref.paper.exhibit import Claim, Exhibit, Table, judged
from fdref.paper.nonlinearities import least, listed
from fdref.paper.picture_rows import Group, draw
from fdref.paper.table1 import NOTHING, short
from fdref.paper.zeiler_fergus import RULE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.drawing.canvas import Shades
    from fdref.measure.specificity import Specificity
    from fdref.network.graph import Network
    from fdref.paper.comparisons import Compared
    from fdref.paper.subject import Subject
    from fdref.walk.projection import Rule

    Specific = Mapping[int, Mapping[Rule, Specificity]]

BY_CHANCE, ALIKE, NEAR_ONE, MOST = 1.1, 0.9, 0.25, 0.5
"""Root mean square in standard errors (pixels of a picture vary together: on the LeNet's layers
other seeds give 0.97 to 1.05); correlation; powers of two; share of neurons."""

GRADIENT: Rule = "gradient"

SIDE, DIFFERENCE = 56, 10
"""Pixels of a picture, and how differences are magnified."""


def exhibit(subject: Subject, found: Compared) -> Exhibit:
    """Show decoded filters beside what they are compared with."""
    title = "What the decoded filter is"
    if not found.noise:
        text = "No layer with filters is above a pool or what is not linear."
        return Exhibit("decoded_filter", title, text)
    groups = [group(subject, found, n) for n in found.noise]
    note = (
        "Each picture has its own contrast, grey is zero; differences are magnified "
        f"{DIFFERENCE} times, at the decoded filter's contrast."
    )
    return Exhibit(
        "decoded_filter",
        title,
        "Three statements tie decoded filters to other methods' pictures. Averaged over all "
        "settings of the switches of max pools, a deconvnet's projection without rectification is "
        "the decoded filter: it is the deconvnet without an image. It is the linear filter that "
        "predicts responses to white noise best, once the units of each ReLU are weighted by "
        "the part of the noise that they let through; where these parts are alike, up to a gain "
        "without weights, too. And the pictures that a deconvnet makes of a neuron's strongest "
        "images know it, where they are about the neuron: in deep layers above many ReLUs they are "
        "about the image, and alike for different neurons.",
        claims(subject.net, found),
        (agreement_table(subject.net, found), specificity_table(specific(found))),
        numbers_of(found),
        partial(draw, title, note, groups),
        "Decoded filters beside means over switches, filters for noise and mean projections",
    )


def claims(net: Network, found: Compared) -> tuple[Claim, ...]:
    """Say what the decoded filter is, and hold it against the numbers."""
    return (
        switches_claim({n: one.surprise for n, one in found.switched.items()}),
        noise_claim({n: together(one) for n, one in found.noise.items()}),
        gain_claim(
            {n: mean_of(one.gains) for n, one in found.noise.items()},
            {n: mean_of(one.gains) for n, one in found.plain.items() if rectifiers(net, n)},
        ),
        *specificity_claims(specific(found)),
    )


def specific(found: Compared) -> Specific:
    """Return what pictures know, layer by layer; of those above something that is not linear."""
    return {n: one.specific for n, one in found.excited.items() if n in found.noise}


def switches_claim(surprise: Mapping[int, float]) -> Claim:
    """Judge the differences to means over switches by what chance makes."""
    told = {n: value for n, value in surprise.items() if value > 0}  # else nothing varies
    return judged(
        "The decoded filter is the mean over all switch settings of a deconvnet's projections "
        "that nothing rectifies.",
        f"differences in standard errors, root mean square: {listed(told)}"
        if told
        else "no switches are set at random",
        "the largest of them",
        max(told.values(), default=nan),
        "<=",
        BY_CHANCE,
    )


def noise_claim(alike: Mapping[int, float]) -> Claim:
    """Judge the correlations with the best filters for noise."""
    return judged(
        "The decoded filter is the best linear filter for white noise, once the units of ReLUs are "
        "weighted by the part of the noise that they let through.",
        f"correlation, corrected for the noise of the estimate: {listed(alike)}",
        "the smallest correlation",
        least(alike.values()),
        ">=",
        ALIKE,
    )


def gain_claim(gains: Mapping[int, float], plain: Mapping[int, float]) -> Claim:
    """Compare gains with 1; without weights ReLUs leave less."""
    told = f"gains: {listed(gains)}"
    if plain:
        told += f"; without weights: {listed(plain)}"
    return judged(
        "With these weights its gain is 1, however many ReLUs are on the way.",
        told,
        "the power of two by which a gain is off, where that is most",
        -least(-off_by(gain) for gain in gains.values()),
        "<=",
        NEAR_ONE,
    )


def off_by(gain: float) -> float:
    """Return by which power of two a gain is off 1.

    >>> off_by(0.5), off_by(2.0), off_by(-1.0)
    (1.0, 1.0, inf)
    """
    return inf if gain <= 0 else abs(log2(gain))


def specificity_claims(found: Specific) -> tuple[Claim, Claim]:
    """Judge what pictures know of their neurons."""
    known = {n: one[RULE].found for n, one in found.items()}
    chance = {n: one[RULE].chance for n, one in found.items()}
    last = max(found, default=0)
    own: dict[Rule, float] = (
        {rule: mean_of(one.own) for rule, one in found[last].items()} if found else {}
    )
    told = ", ".join(f"layer {n} {known[n]:.1%} (chance {chance[n]:.1%})" for n in known)
    images, backwards = (own.get(rule, nan) for rule in (GRADIENT, RULE))
    return (
        judged(
            "The mean of a neuron's top nine projections is nearest to its own decoded filter, "
            "among all of its layer.",
            f"own filter found: {told or NOTHING}",
            "the share of neurons, where that is least",
            least(known.values()),
            ">",
            MOST,
        ),
        judged(
            "Rectifying on the way down, where the network rectifies on the way up, takes "
            "projections away from the neuron: gradients are nearer to its decoded filter.",
            f"layer {last}, mean correlation with the own decoded filter: gradient "
            f"{short(images, 3)}, deconvnet {short(backwards, 3)}"
            if found
            else NOTHING,
            "the gradient's correlation less the deconvnet's",
            images - backwards,
            ">",
            0,
        ),
    )


def agreement_table(net: Network, found: Compared) -> Table:
    """Write how decoded filters compare with means over switches and with filters for noise."""
    rows = []
    for n, own in found.noise.items():
        switched, plain = found.switched.get(n), found.plain[n]
        moved = switched is not None and switched.surprise > 0
        rows.append(
            (
                str(n),
                short(switched.surprise, 3) if switched and moved else "no switches",
                short(mean_of(switched.correlations), 4) if switched and moved else "",
                str(rectifiers(net, n)),
                short(together(own), 3),
                short(mean_of(own.gains), 3),
                short(together(plain), 3),
                short(mean_of(plain.gains), 3),
            )
        )
    settings = {one.samples for one in found.switched.values()}
    images = {one.samples for one in found.noise.values()}
    note = (
        f"Mean over {', '.join(f'{count:,}' for count in settings) or 'no'} random settings of "
        "each filter's switches: differences to the decoded filter in standard errors (root mean "
        "square; 1 is chance), and the correlation. Best linear filter for "
        f"{', '.join(f'{count:,}' for count in images)} images of white noise of deviation "
        f"{DEVIATION:g} around the average image: how many ReLUs are on the way; the correlation, "
        "corrected for the estimate's own noise (so that it may come out above 1), and the gain, "
        "of filters decoded with the units of ReLUs weighted by the part of the noise that they "
        "let through, and without. "
        "Filters are decoded by 'window' unpooling, which is 'nearest' divided by the pools' areas "
        "where windows do not overlap."
    )
    header = (
        *("layer", "switches: differences", "correlation"),
        *("ReLUs", "noise: correlation", "gain", "without weights: correlation", "gain"),
    )
    return Table("Means over switches, and filters for noise", header, tuple(rows), note)


def specificity_table(found: Specific) -> Table:
    """Write what each rule's pictures know of their neurons."""
    rows = [
        (
            str(n),
            rule,
            f"{one.found:.1%}",
            f"{one.chance:.1%}",
            short(mean_of(one.own), 3),
            short(one.alike, 3),
        )
        for n, rules in found.items()
        for rule, one in rules.items()
    ]
    return Table(
        "What pictures know of their neurons",
        ("layer", "rule", "own filter found", "chance", "correlation with it", "alike"),
        tuple(rows),
        "The mean of the projections of a neuron's nine strongest images, under each rule of what "
        "a ReLU hands down, compared with the decoded filters (nearest) of all neurons of its "
        "layer. Gradient: where the image let something through; deconvnet: what is positive; "
        "guided: both; linear: all. Alike: the mean correlation between pictures of different "
        "neurons.",
    )


def numbers_of(found: Compared) -> dict[str, NDArray[Any]]:
    """Return what is compared with decoded filters."""
    numbers: dict[str, NDArray[Any]] = {}
    for n, one in found.switched.items():
        numbers[f"layer{n}/switches"] = one.estimated
    for n, one in found.noise.items():
        numbers[f"layer{n}/filters"] = one.filters
        numbers[f"layer{n}/gains"] = one.gains
        numbers[f"layer{n}/corrected"] = corrected(one)
        numbers[f"layer{n}/without_weights/gains"] = found.plain[n].gains
        numbers[f"layer{n}/without_weights/corrected"] = corrected(found.plain[n])
    for n, rules in specific(found).items():
        for rule, own in rules.items():
            numbers[f"layer{n}/own/{rule}"] = own.own
    return {name: values for name, values in numbers.items() if np.isfinite(values).all()}


def group(subject: Subject, found: Compared, number: int) -> Group:
    """Choose what is drawn of a layer: the same neurons in several ways."""
    noise, switched = found.noise[number], found.switched.get(number)
    excited = found.excited.get(number)
    every = [one.filters.tolist() for one in (noise, switched) if one is not None]
    if excited is not None:
        every.append(excited.top.filters.tolist())
    both = sorted(set(every[0]).intersection(*every[1:])) or every[0]
    chosen = [both[k] for k in subject.some(len(both), SHOWN)]

    unit, size = inner_unit(subject.net, number)
    part = visible(subject.net, number, unit.at, size)

    def of(bank: Array, filters: NDArray[np.intp]) -> Array:
        pictures = bank[np.isin(filters, chosen)]
        same = pictures.shape[2:] == noise.decoded.shape[2:]  # of these, else of whole fields
        return pictures if same else pictures[:, :, part.rows, part.columns]

    rows = {"decoded": drawn(of(found.plain[number].decoded, noise.filters))}
    if switched is not None:
        own = of(switched.decoded, switched.filters)
        estimated = of(switched.estimated, switched.filters)
        rows[f"mean over {switched.samples:,} settings\nof the switches"] = drawn(estimated)
        rows[f"difference ×{DIFFERENCE}"] = drawn(DIFFERENCE * (estimated - own), own)
    if rectifiers(subject.net, number):
        rows["decoded, as ReLUs\nlet noise through"] = drawn(of(noise.decoded, noise.filters))
    rows["best linear filter\nfor noise"] = drawn(of(noise.estimated, noise.filters))
    if excited is not None:
        pictures = excited.projections[RULE].mean(axis=1)
        rows["mean projection of\nthe top nine"] = drawn(of(pictures, excited.top.filters))
    kept = {name: row for name, row in rows.items() if row}
    return Group(subject.net.describe(number), [f"filter {k}" for k in chosen], kept)


def drawn(bank: Array, contrast: Array | None = None) -> list[Shades]:
    """Turn filters into pictures, each at its own contrast, or at that of another's."""
    if contrast is None:
        return [about(coloured(one), SIDE) for one in bank]
    peaks = np.abs(contrast).max(axis=(1, 2, 3), keepdims=True)
    scaled = np.clip(np.divide(bank, peaks, out=np.zeros_like(bank), where=peaks > 0), -1, 1)
    return [about(on_scale(one), SIDE) for one in scaled]


def on_scale(picture: Array) -> Shades:
    """Turn a picture (C, h, w) from -1 to 1 into shades."""
    marked = np.concatenate([picture, np.ones((len(picture), 1, picture.shape[2]))], axis=1)
    return coloured(marked)[:-1]

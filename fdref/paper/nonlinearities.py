"""The role of the non-linearities: the future work of the paper, as a table and a figure."""

from __future__ import annotations

from functools import partial
from math import isnan, nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.layers import Pool
from fdref.measure.nonlinearities import AFFINE, LINEAR, MEAN_GRADIENT
from fdref.measure.replacing import nonlinear_below
from fdref.network.units import receptive_field
from fdref.paper.canvas import (
    ACCENT,
    GREY,
    HEAD,
    MARGIN,
    OWN_CONTRAST,
    PALE,
    Page,
    coloured,
    fitted,
    plain_style,
)
from fdref.paper.exhibit import Claim, Exhibit, Table, judged
from fdref.paper.table1 import NOTHING, short

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.engines.resize import Method
    from fdref.measure.evaluation import Evaluation
    from fdref.measure.nonlinearities import Nonlinearities
    from fdref.measure.replacing import Replaced
    from fdref.network.graph import Network
    from fdref.paper.subject import Subject

    Found = Mapping[int, Nonlinearities]

LINEAR_ENOUGH, MOST_OF_IT = 0.99, 0.75
"""Correlation of what is linear but for its biases; share of the best linear filter's."""

LAYERS, FILTERS, ROOM = 3, 8, 500
"""Drawn at most: the last layers, filters of each, and pixels in a row of them."""

SIDE, ROW, LINE, BAR, LABEL = 56, 6, 24, 120, 170
"""Pixels: of a picture, between rows, of a row without pictures, of a bar, and of its label."""


class Strip(NamedTuple):
    """What is drawn of one layer.

    Attributes
    ----------
    title : str
    filters : {name: (k, C, h, w) array}
    predicted : {name: float}
        The correlation of what each predicts.
    replaced : {what is replaced: float}
        The correlation of what the decoded filter predicts.
    """

    title: str
    filters: Mapping[str, Array]
    predicted: Mapping[str, float]
    replaced: Mapping[str, float]


def unpooling(net: Network) -> Method:
    """Return how pools are undone: so that nothing is lost where they are averages."""
    pools = [layer for layer in net if isinstance(layer, Pool)]
    return "nearest" if all(pool.window == pool.stride for pool in pools) else "window"


def exhibit(subject: Subject, every: Found) -> Exhibit:
    """Show what the non-linearities do to decoded filters, of the layers above some."""
    net = subject.net
    found = {n: one for n, one in every.items() if nonlinear_below(net, n)}
    title = "The role of the non-linearities"
    if not found:
        return Exhibit(
            "nonlinearities", title, "No layer with filters is above one that is not linear."
        )
    return Exhibit(
        "nonlinearities",
        title,
        "Decoding takes max pools for averages and lets ReLUs pass; it sees no image. Left: "
        "decoded filters beside others that are made from images: gradients, which know which "
        "inputs were let through, and the best linear and affine filters. Right: networks in which "
        "max pools are replaced by averages and all else that is not linear is passed. Bars: the "
        "correlation of the layer's responses with what the filters predict of them.",
        claims(net, found),
        (filters_table(subject, found), replaced_table(net, found)),
        numbers_of(found),
        partial(draw, [strip(net, n, found[n]) for n in list(found)[-LAYERS:]]),
        "Filters of several kinds with the correlation that each reaches",
    )


def claims(net: Network, found: Found) -> tuple[Claim, ...]:
    """Say what the non-linearities do, and hold it against the numbers."""
    last = max(found)
    linear = {n: correlation(one, nonlinear_below(net, n)) for n, one in found.items()}
    decoded = {n: next(iter(one.predicted.values())).correlation for n, one in found.items()}
    gradient = {n: one.predicted[MEAN_GRADIENT].correlation for n, one in found.items()}
    best = {
        n: one.predicted[LINEAR].correlation for n, one in found.items() if LINEAR in one.predicted
    }
    return (
        judged(
            "What is not linear is all that keeps a decoded filter from predicting its neuron.",
            f"correlation where the network is made linear, biases kept: {listed(linear)}",
            "the smallest correlation",
            least(linear.values()),
            ">=",
            LINEAR_ENOUGH,
        ),
        pools_claim(net, last, found[last]),
        judged(
            "Knowing how often inputs are let through makes filters no better: the mean gradient "
            "predicts no more than the decoded filter.",
            f"decoded: {listed(decoded)}; mean gradient: {listed(gradient)}",
            "the correlation of decoded filters less that of mean gradients, where that is least",
            least(decoded[n] - gradient[n] for n in found),
            ">=",
            0,
        ),
        judged(
            "The decoded filter, which has seen no image, predicts most of what the best linear "
            "filter does.",
            f"best linear filter: {listed(best) or 'not fitted'}",
            "the decoded filter's share of its correlation, where that is least",
            least(decoded[n] / best[n] for n in best),
            ">=",
            MOST_OF_IT,
        ),
    )


def pools_claim(net: Network, last: int, one: Nonlinearities) -> Claim:
    """Compare what replacing all max pools does with what replacing all else does."""
    text = "Max pools do more to the last layer's filters than ReLUs do."
    below = nonlinear_below(net, last)
    pools = tuple(n for n in below if isinstance(net[n], Pool))
    others = tuple(n for n in below if net[n].kind == "relu")
    if not pools or not others:
        return Claim(text, "there are not both", None)
    averaging, passing = (correlation(one, several) for several in (pools, others))
    return judged(
        text,
        f"correlation as it is {short(correlation(one, ()), 3)}, where max pools average "
        f"{short(averaging, 3)}, without ReLUs {short(passing, 3)}",
        "the correlation where max pools average less that without ReLUs",
        averaging - passing,
        ">",
        0,
    )


def correlation(one: Nonlinearities, replaced: Replaced) -> float:
    """Return how well the decoded filter predicts where some layers are replaced."""
    return one.replaced[replaced].correlation


def least(values: object) -> float:
    """Return the smallest of some numbers; NaN where there are none, or one is not."""
    several = list(values)  # type: ignore[call-overload]
    return float(np.min(several)) if several else nan


def listed(values: Mapping[int, float]) -> str:
    """Write a number for each layer."""
    return ", ".join(f"layer {n} {short(value, 3)}" for n, value in values.items())


def filters_table(subject: Subject, found: Found) -> Table:
    """Write how well each filter predicts each layer."""
    names = dict.fromkeys(name for one in found.values() for name in one.predicted)
    rows = [
        (
            name,
            *(
                eq3(one.predicted[name]) if name in one.predicted else "not fitted"
                for one in found.values()
            ),
        )
        for name in names
    ]
    fitted_on = sum(len(subject.images[fit]) for fit, _ in subject.folds) // len(subject.folds)
    weights = [
        subject.net.channels[0] * int(np.prod(receptive_field(subject.net, n).size)) for n in found
    ]
    note = (
        "Eq. 3 / correlation. Mean gradient: of each filter's response in its receptive field, "
        "averaged over images and positions. Best linear and affine filter: without and with a "
        f"constant, fitted to {fitted_on:,} images by least squares with a ridge, which is chosen "
        "among these. All are evaluated on other images. A filter of these layers has "
        f"{', '.join(f'{count:,}' for count in weights)} weights: fitted to more images the best "
        "filters come out better, so that from few images they are no ceiling of what a filter "
        "can explain. Least squares is not quite eq. 3 either."
    )
    return Table(
        "Filters that see images", ("filter", *(f"layer {n}" for n in found)), tuple(rows), note
    )


def replaced_table(net: Network, found: Found) -> Table:
    """Write how well decoded filters predict networks that are made linear."""
    rows = [
        (str(n), named(net, n, replaced), *cells(evaluation))
        for n, one in found.items()
        for replaced, evaluation in one.replaced.items()
    ]
    note = (
        "How well the decoded filter, which is the same for all, predicts the layer's responses. "
        "Biases are kept, and no filter makes them."
    )
    return Table(
        "Networks made linear", ("layer", "network", "eq. 3", "correlation"), tuple(rows), note
    )


def named(net: Network, number: int, replaced: Replaced) -> str:
    """Say what is replaced below a layer.

    >>> import fdref
    >>> net = fdref.load()
    >>> named(net, 7, (4, 6)), named(net, 7, (2, 4)), named(net, 5, (2, 4)), named(net, 7, ())
    ('pool 4 averages, no relu 6', 'all pools average', 'linear', 'as it is')
    """
    below = nonlinear_below(net, number)
    if replaced in ((), below):
        return "linear" if replaced else "as it is"
    words = []
    for kind in dict.fromkeys(net[n].kind for n in replaced):
        own = [n for n in replaced if net[n].kind == kind]
        every = [n for n in below if net[n].kind == kind]
        if own == every and len(own) > 1:
            words.append("all pools average" if kind == "pool" else f"no {kind}")
        else:
            numbers = ", ".join(map(str, own))
            some = f"pool{'s' * (len(own) > 1)} {numbers} average{'s' * (len(own) == 1)}"
            words.append(some if kind == "pool" else f"no {kind} {numbers}")
    return ", ".join(words)


def cells(one: Evaluation) -> tuple[str, str]:
    """Write eq. 3 and the correlation."""
    return (short(one.mean), short(one.correlation, 3)) if one.compared else (NOTHING, "")


def eq3(one: Evaluation) -> str:
    """Write both in one cell."""
    return " / ".join(filter(None, cells(one)))


def numbers_of(found: Found) -> dict[str, Array]:
    """Return errors and correlations, image by image, and the filters that are drawn."""
    numbers: dict[str, Array] = {}
    for n, one in found.items():
        for name, own in one.predicted.items():
            numbers[f"layer{n}/predicted/{name}"] = np.stack([own.errors, own.correlations])
            numbers[f"layer{n}/filters/{name}"] = one.filters[name][:FILTERS]
        for replaced, own in one.replaced.items():
            key = ",".join(map(str, replaced)) or "none"
            numbers[f"layer{n}/replaced/{key}"] = np.stack([own.errors, own.correlations])
    return numbers


def strip(net: Network, number: int, one: Nonlinearities) -> Strip:
    """Choose what is drawn of a layer."""
    drawn = [name for name in one.filters if name != AFFINE]  # which looks like the linear one
    return Strip(
        net.describe(number),
        {name: one.filters[name][:FILTERS] for name in drawn},
        {name: own.correlation for name, own in one.predicted.items()},
        {named(net, number, key): own.correlation for key, own in one.replaced.items()},
    )


@plain_style()
def draw(strips: Sequence[Strip]) -> Figure:
    """Draw filters of several kinds, and how well each predicts.

    Parameters
    ----------
    strips : sequence of Strip
    """
    page = Page(
        "The role of the non-linearities",
        f"Bars: correlation of responses with what a filter predicts, from 0 to 1. {OWN_CONTRAST}",
    )
    shown = [
        {name: [fitted(coloured(f), SIDE) for f in bank] for name, bank in one.filters.items()}
        for one in strips
    ]
    widest = max(p.shape[1] for one in shown for row in one.values() for p in row)
    count = max(1, min(FILTERS, ROOM // (widest + ROW)))
    bars = MARGIN + LABEL + count * (widest + ROW) + 16
    names = bars + BAR + 100
    top = HEAD
    for one, pictures in zip(strips, shown, strict=True):
        page.write(one.title, MARGIN, top, size=14, weight="bold")
        page.write("the decoded filter in networks made linear", names, top, size=14, weight="bold")
        y = top + 28
        for name, value in one.predicted.items():
            row = pictures.get(name, [])[:count]
            height = max((p.shape[0] + ROW for p in row), default=LINE)
            middle = y + (height - ROW) / 2 if row else y + LINE / 2
            page.write(name.replace(" at ", "\nat "), MARGIN, middle, va="center", color=GREY)
            for k, picture in enumerate(row):
                page.show(picture, MARGIN + LABEL + k * (widest + ROW), y)
            _bar(page, bars, middle, value, decoded=name.startswith("decoded"))
            y += height
        low = top + 28
        for name, value in one.replaced.items():
            page.write(name, names, low + LINE / 2, va="center", color=GREY)
            _bar(page, names + LABEL + 40, low + LINE / 2, value, decoded=name == "as it is")
            low += LINE
        top = max(y, low) + 24
    return page.finished(names + LABEL + 40 + BAR + 60 + MARGIN, top - 24)


def _bar(page: Page, left: float, middle: float, value: float, *, decoded: bool) -> None:
    """Draw a correlation as a bar on its scale from 0 to 1, with its number."""
    if isnan(value):
        page.write(NOTHING, left, middle, va="center", color=GREY)
        return
    page.bar(left, middle, BAR, PALE)
    page.bar(left, middle, BAR * max(value, 0), ACCENT if decoded else GREY)
    page.write(f"{value:.3f}", left + BAR + 8, middle, va="center", color="black")

"""The role of the non-linearities: the future work of the paper, as a table and a figure."""

from __future__ import annotations

from functools import partial
from math import nan, prod
from typing import TYPE_CHECKING

import numpy as np

from fdref.layers import Pool, ReLU
from fdref.measure.nonlinearities import AFFINE, FITTED, LINEAR, MEAN_GRADIENT
from fdref.measure.replacing import nonlinear_below
from fdref.network.units import receptive_field
from fdref.paper.compared_filters import FILTERS, Strip, draw
from fdref.paper.exhibit import Claim, Exhibit, Table, judged
from fdref.paper.figure1 import on_images
from fdref.paper.table1 import NOTHING, is_lenet, short

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from fdref.arrays import Array
    from fdref.engines.resize import Method
    from fdref.measure.evaluation import Evaluation
    from fdref.measure.nonlinearities import Nonlinearities
    from fdref.measure.replacing import Replaced
    from fdref.network.graph import Network
    from fdref.paper.subject import Subject

    Found = Mapping[int, Nonlinearities]

NEARLY_ALL, MOST_OF_IT = 0.9, 0.75
"""Share of what a filter does not predict; of the best linear filter's correlation."""

LAYERS = 3
"""The last so many are drawn."""


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
        partial(draw, [strip(subject, n, found[n]) for n in list(found)[-LAYERS:]]),
        "Filters of several kinds with the correlation that each reaches",
    )


def claims(net: Network, found: Found) -> tuple[Claim, ...]:
    """Say what the non-linearities do, and hold it against the numbers."""
    last = max(found)
    linear = {n: correlation(one, nonlinear_below(net, n)) for n, one in found.items()}
    lost = {n: part_of_loss(correlation(one, ()), linear[n]) for n, one in found.items()}
    decoded = {n: next(iter(one.predicted.values())).correlation for n, one in found.items()}
    gradient = {n: one.predicted[MEAN_GRADIENT].correlation for n, one in found.items()}
    best = {
        n: one.predicted[LINEAR].correlation for n, one in found.items() if LINEAR in one.predicted
    }
    return (
        judged(
            "What is not linear is nearly all that keeps a decoded filter from predicting its "
            "neuron.",
            f"correlation where the network is made linear, biases and borders kept: "
            f"{listed(linear)}; as it is: {listed(decoded)}",
            "the share that this is of what the correlation lacks, where that is least",
            least(lost.values()),
            ">=",
            NEARLY_ALL,
        ),
        *([pools_claim(net, last, found[last])] if is_lenet(net) else []),
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
            least(decoded[n] / best[n] if best[n] > 0 else nan for n in best),
            ">=",
            MOST_OF_IT,
        ),
    )


def part_of_loss(as_it_is: float, linear: float) -> float:
    """Return which part of what a correlation lacks of 1 a linear network has; NaN of nothing.

    >>> part_of_loss(0.5, 0.9), part_of_loss(1, 1)
    (0.8, nan)
    """
    return (linear - as_it_is) / (1 - as_it_is) if as_it_is < 1 else nan


def pools_claim(net: Network, last: int, one: Nonlinearities) -> Claim:
    """Compare what replacing all max pools does with what replacing all ReLUs does.

    Of a LeNet, which has two of the former and one of the latter: elsewhere it is no question.
    """
    text = "Max pools do more to the last layer's filters than ReLUs do."
    below = nonlinear_below(net, last)
    pools = tuple(n for n in below if isinstance(net[n], Pool))
    relus = tuple(n for n in below if isinstance(net[n], ReLU))
    if not pools or not relus:
        return Claim(text, "there are not both", None)
    averaging, passing = (correlation(one, several) for several in (pools, relus))
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


def least(values: Iterable[float]) -> float:
    """Return the smallest of some numbers; NaN where there are none, or one is not."""
    several = list(values)
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
    weights = [subject.net.channels[0] * prod(receptive_field(subject.net, n).size) for n in found]
    note = (
        "Eq. 3 / correlation. Mean gradient: of each filter's response in its receptive field, "
        "averaged over images and positions. Best linear and affine filter: without and with a "
        f"constant, fitted to {fitted_on:,} images by least squares with a ridge, which is chosen "
        "among these. All are evaluated on other images. A filter of these layers has "
        f"{', '.join(f'{count:,}' for count in weights)} weights: fitted to more images the best "
        "filters come out better, so that from few images they are no ceiling of what a filter "
        "can explain. Least squares is not quite eq. 3 either."
    )
    if max(weights) > FITTED:
        note += f" Not fitted: filters of more than {FITTED:,} weights."
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
        "Biases are kept, and no filter makes them; at borders averages are over fewer pixels, of "
        "which filters know nothing."
    )
    return Table(
        "Networks made linear", ("layer", "network", "eq. 3", "correlation"), tuple(rows), note
    )


def named(net: Network, number: int, replaced: Replaced) -> str:
    """Say which of `replacing.variants` of the network below a layer it is.

    >>> import fdref
    >>> net = fdref.load()
    >>> named(net, 7, ()), named(net, 7, (4,)), named(net, 7, (6,)), named(net, 7, (2, 4))
    ('as it is', 'pool 4 averages', 'no relu 6', 'all max pools average')
    >>> named(net, 7, (4, 6)), named(net, 7, (2, 4, 6)), named(net, 5, (2, 4))
    ('linear from layer 4 up', 'all linear', 'all linear')
    """
    below = nonlinear_below(net, number)
    if replaced in ((), below):
        return "all linear" if replaced else "as it is"
    kind = net[replaced[0]].kind
    if len(replaced) == 1:
        return f"pool {replaced[0]} averages" if kind == "pool" else f"no {kind} {replaced[0]}"
    if replaced == tuple(n for n in below if net[n].kind == kind):
        return "all max pools average" if kind == "pool" else f"no {kind} at all"
    return f"linear from layer {replaced[0]} up"


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


def strip(subject: Subject, number: int, one: Nonlinearities) -> Strip:
    """Choose what is drawn of a layer; of fields larger than the images, what lies on these."""
    net = subject.net
    wide = max(receptive_field(net, number).size) > max(subject.images.shape[-2:])

    def drawable(bank: Array) -> Array:
        some = bank[:FILTERS]
        return on_images(subject, number, some)[1] if wide else some

    drawn = [name for name in one.filters if name != AFFINE]  # which looks like the linear one
    return Strip(
        net.describe(number),
        {name: drawable(one.filters[name]) for name in drawn},
        {name: own.correlation for name, own in one.predicted.items()},
        {named(net, number, key): own.correlation for key, own in one.replaced.items()},
    )

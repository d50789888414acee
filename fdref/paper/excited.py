"""What excites neurons of each layer most: images, what of them was seen, and projections."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from fdref.layers import Softmax
from fdref.measure.specificity import specificity
from fdref.measure.strongest import strongest
from fdref.network.fields import Box, ancestors
from fdref.network.units import Unit, boxes
from fdref.walk.projection import RULES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.geometry import Pair
    from fdref.measure.chunks import Executor
    from fdref.measure.specificity import Specificity
    from fdref.measure.strongest import Strongest
    from fdref.network.graph import Network
    from fdref.paper.subject import Subject
    from fdref.walk.projection import Rule

COUNT = 9
"""Images of each neuron, as Zeiler & Fergus have it."""


@dataclass(frozen=True, eq=False)
class Excited:
    """Neurons of a layer that some image excites, and what excites them most.

    Attributes
    ----------
    top : Strongest
        Of k neurons; it has the pixels of its images alone, and counts them as they stand there.
    images : (k, n) array of int
        The same images as they stand among all.
    pixels, prepared : (k, n, C, h, w) arrays
        What the neurons saw: as pixels, and with the average subtracted, as the network takes it.
    projections : {rule: (k, n, C, h, w) array}
    specific : {rule: Specificity}
        Of the mean projection of each neuron.
    """

    top: Strongest
    images: NDArray[np.intp]
    pixels: Array
    prepared: Array
    projections: Mapping[Rule, Array]
    specific: Mapping[Rule, Specificity]


def excited(
    subject: Subject,
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> dict[int, Excited]:
    """Find what excites neurons most, for each layer with filters in which some are excited."""
    net, found = subject.net, {}
    for n in projected(net):
        which = subject.some(net.channels[n], subject.effort.neurons)
        top = strongest(net, subject.images, n, which, COUNT, "compiled", progress, executor)
        alive = top.values[:, 0] > 0
        if alive.any():
            found[n] = _looked(subject, _only(top, alive), progress)
        if progress is not None:
            progress(len(RULES) * int((~alive).sum()) * top.images.shape[1])
    return found


def steps(subject: Subject) -> int:
    """Return how much `excited` tells of its progress."""
    shown = min(COUNT, len(subject.images))
    layers = projected(subject.net)
    neurons = sum(min(subject.net.channels[n], subject.effort.neurons) for n in layers)
    return len(layers) * len(subject.images) + len(RULES) * shown * neurons


def projected(net: Network) -> list[int]:
    """Return the layers with filters from which every rule leads down: those above no softmax."""
    softmaxes = {n for n in range(1, len(net) + 1) if isinstance(net[n], Softmax)}
    return [n for n in net.decodable if softmaxes.isdisjoint(ancestors(net, n))]


def visible(net: Network, number: int, at: Pair, size: Pair) -> Box:
    """Return which part of its field a unit sees of an image of some size."""
    field = boxes(net, number, Unit(at))[0]
    part, (row, column) = field.within(size), field.origin
    return Box(part.top - row, part.left - column, part.bottom - row, part.right - column)


def _only(top: Strongest, rows: NDArray[np.bool_]) -> Strongest:
    return replace(
        top,
        filters=top.filters[rows],
        values=top.values[rows],
        images=top.images[rows],
        places=top.places[rows],
    )


def _looked(subject: Subject, top: Strongest, progress: Callable[[int], object] | None) -> Excited:
    """Take patches and projections, of the images that matter alone."""
    wanted = np.unique(top.images)
    pixels = subject.images[wanted]
    mine = replace(top, images=np.searchsorted(wanted, top.images), pixels=pixels)
    projections = {rule: mine.projections(rule, progress=progress) for rule in RULES}
    return Excited(
        mine,
        top.images,
        mine.patches(),
        mine.patches(subject.net.prepare(pixels)),
        projections,
        {
            rule: specificity(subject.net, own.mean(axis=1), top.layer, top.filters)
            for rule, own in projections.items()
        },
    )

"""What a page tells of a network: everything that is computed for it, layer by layer."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from fdref.decoding.decode import decode, decode_all
from fdref.explorer.connections import connections
from fdref.explorer.excited import excited
from fdref.explorer.pictures import files, largest, overview
from fdref.explorer.steps import steps_of
from fdref.measure.banks import check_finite
from fdref.measure.finite import QUIET
from fdref.measure.likeness import likeness, most_alike
from fdref.measure.matching import Match, assign, counterparts
from fdref.measure.traits import traits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.explorer.connections import Link, Parts
    from fdref.explorer.excited import Excited
    from fdref.explorer.pictures import Atlas, Files
    from fdref.explorer.steps import Step
    from fdref.measure.traits import Traits
    from fdref.network.graph import Network
    from fdref.weights.pixels import ImageSet

EXACT = 2**22
"""Numbers in all decoded filters together up to which a page keeps every one."""
ALIKE = 8
"""Neurons that are most like one."""
STEPS = 3
"""What there is to do for each neuron: decode it, find what it is made of, describe it."""


@dataclass(frozen=True)
class Asked:
    """What a page is to tell, and how it is computed.

    Attributes
    ----------
    net : Network
    layers : tuple of int
        In the order in which they are shown.
    unpool, engine
        As `fdref.decode` takes them.
    images : ImageSet, optional
        Which excite neurons.
    against : Network, optional
        Whose neurons are matched with these.
    bgr : bool
        Whether the network takes blue first.
    exact : bool
        Whether the page keeps every number to 8 bits.
    """

    net: Network
    layers: tuple[int, ...]
    unpool: Method
    engine: Engine | str
    images: ImageSet | None
    against: Network | None
    bgr: bool
    exact: bool

    def swap(self, pictures: Array) -> Array:
        """Put red first: pictures (..., C, h, w)."""
        return pictures[..., ::-1, :, :] if self.bgr and pictures.shape[-3] == 3 else pictures


class Layer(NamedTuple):
    """What there is to tell of a layer's neurons."""

    number: int
    shape: tuple[int, ...]
    """of the decoded filters (K, C, h, w)"""
    largest: Array
    """of each picture the number that is farthest from 0"""
    overview: Atlas
    large: Files | None
    traits: Traits
    made: list[Parts]
    used: list[list[Link]]
    alike: tuple[NDArray[np.intp], NDArray[np.float32]]
    steps: list[Step]
    excited: Excited | None
    matched: Match | None


class Others(NamedTuple):
    """The neurons of the other network's layers that are matched."""

    number: int
    shape: tuple[int, ...]
    largest: Array
    """of each picture the number that is farthest from 0"""
    overview: Atlas


def work(net: Network, layers: Sequence[int], *, images: bool) -> int:
    """Return how often `gather` will have called its `progress`, in neurons."""
    return (STEPS + images) * sum(net.channels[layer] for layer in layers)


@QUIET
def gather(
    asked: Asked, progress: Callable[[int], object] | None = None
) -> tuple[list[Layer], list[Others]]:
    """Compute what a page tells."""
    net, told = asked.net, progress or _nobody
    banks = _decoded(net, asked.layers, asked, told)
    linked = connections(net, asked.layers, asked.unpool, asked.engine, banks, told)
    matches, others = _matched(asked, banks)
    layers = []
    for number in asked.layers:
        bank = asked.swap(banks.pop(number))
        seen = None
        if asked.images is not None:
            seen = excited(
                net, number, asked.images, asked.engine, asked.swap, told, exact=asked.exact
            )
        layers.append(
            Layer(
                number,
                bank.shape,
                largest(bank),
                overview(bank, exact=asked.exact),
                None if asked.exact else files(bank),
                traits(bank),
                linked.made[number],
                linked.used[number],
                most_alike(bank, ALIKE),
                steps_of(net, number, asked.unpool, asked.engine) if asked.exact else [],
                seen,
                matches.get(number),
            )
        )
        told(len(bank))
    return layers, others


def _matched(asked: Asked, banks: Mapping[int, Array]) -> tuple[dict[int, Match], list[Others]]:
    """Pair the neurons of the layers that are shown with those of another network."""
    if asked.against is None:
        return {}, []
    pairs = {
        number: theirs
        for number, theirs in counterparts(asked.net, asked.against)
        if number in banks
    }
    found = _decoded(asked.against, tuple(pairs.values()), asked, _nobody)
    matches = {
        number: Match(number, theirs, *assign(likeness(banks[number], found[theirs])))
        for number, theirs in pairs.items()
    }
    return matches, [_other(number, asked.swap(bank), asked) for number, bank in found.items()]


def _decoded(
    net: Network, layers: Sequence[int], asked: Asked, told: Callable[[int], object]
) -> dict[int, Array]:
    """Decode layers, all at once where these are all; none at all where there are none."""
    if set(layers) == set(net.decodable):
        banks = decode_all(net, asked.unpool, asked.engine, told)
    else:
        one = partial(decode, net, unpool=asked.unpool, engine=asked.engine, progress=told)
        banks = {layer: one(layer) for layer in layers}
    check_finite(net, banks)
    return banks


def _other(number: int, bank: Array, asked: Asked) -> Others:
    return Others(number, bank.shape, largest(bank), overview(bank, exact=asked.exact))


def _nobody(done: int) -> None:
    """Tell nobody how much is done."""

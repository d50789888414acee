"""Does a method's picture know its neuron? Pictures told apart by the decoded filters.

A picture of a neuron, by whatever method, is compared with the decoded filters of all neurons of
its layer. If the method shows the neuron, its own decoded filter is the nearest; if it shows the
image, or what all neurons have in common, another is as near.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import instance
from fdref.arrays import real_array
from fdref.decoding.decode import decode
from fdref.errors import ArgumentError
from fdref.network.graph import Network
from fdref.network.units import receptive_field
from fdref.selection import filter_indices

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from fdref.engines import Engine
    from fdref.engines.resize import Method


@dataclass(frozen=True, eq=False)
class Specificity:
    """How well pictures are told to be of their neurons.

    Attributes
    ----------
    filters : (K,) array of int
        The neuron of each picture.
    correlations : (K, M) array of float64
        Of each picture with the decoded filter of each of the layer's M neurons; NaN where one of
        the two is the same everywhere.
    between : (K, K) array of float64
        Of each picture with each other: near 1 where pictures do not depend on the neuron.
    """

    filters: NDArray[np.intp]
    correlations: NDArray[np.float64] = field(repr=False)
    between: NDArray[np.float64] = field(repr=False)

    @property
    def own(self) -> NDArray[np.float64]:
        """The correlation of each picture with its own neuron's decoded filter: (K,)."""
        values: NDArray[np.float64] = self.correlations[np.arange(len(self.filters)), self.filters]
        return values

    @property
    def ranks(self) -> NDArray[np.intp]:
        """How many decoded filters are at least as near as the own, itself included: 1 is best.

        Of a picture that compares with nothing, all are.
        """
        others = np.nan_to_num(self.correlations, nan=-np.inf)
        own = np.nan_to_num(self.own, nan=-np.inf)
        return np.asarray((others >= own[:, None]).sum(axis=1))

    @property
    def found(self) -> float:
        """The fraction of the pictures whose own decoded filter is the nearest; NaN of none."""
        return float((self.ranks == 1).mean()) if len(self.filters) else np.nan

    @property
    def chance(self) -> float:
        """The fraction that guessing would find."""
        return float(1 / self.correlations.shape[1])

    @property
    def alike(self) -> float:
        """The mean correlation between pictures of different neurons; NaN if there are none."""
        different = self.filters[:, None] != self.filters
        values = self.between[different]
        values = values[~np.isnan(values)]
        return float(values.mean()) if len(values) else np.nan


def specificity(
    net: Network,
    pictures: ArrayLike,
    layer: int | str,
    filters: ArrayLike | None = None,
    unpool: Method = "nearest",
    engine: Engine | str = "compiled",
) -> Specificity:
    """Tell how well a method's pictures of neurons are about their neurons.

    Parameters
    ----------
    net : Network
    pictures : (K, C, Rh, Rw) array
        One for each neuron, over its receptive field, made by any method: such as the mean of
        `Strongest.projections` over a neuron's images.
    layer : int or str
        Number from 1, or name.
    filters : int, sequence or array of int, or mask, optional
        The neuron of each picture, counted from 0; by default all, in order.
    unpool : "nearest", "bicubic", "bilinear" or "window"
        How the filters are decoded that pictures are compared with.
    engine : "compiled", "reference" or Engine

    Returns
    -------
    Specificity
        ``.found``, the fraction of pictures that are nearest to their own neuron's decoded filter,
        beside ``.chance``; ``.own`` correlations, ``.ranks``, and how much pictures are ``.alike``.

    Raises
    ------
    ArgumentError
        If there are not as many pictures as neurons, they are of another size than the receptive
        field, or not finite; for a layer that has no filters.

    Examples
    --------
    >>> import fdref
    >>> net, digits = fdref.load(), fdref.mnist().test
    >>> top = fdref.strongest(net, digits.images, layer=3)
    >>> deconvnet = fdref.specificity(net, top.projections().mean(axis=1), layer=3)
    >>> deconvnet.found > 0.9, deconvnet.chance
    (True, 0.02)
    """
    number = instance(net, Network, "net").number(layer)
    which = filter_indices(net, number, filters)
    own = real_array(pictures, "pictures")
    expected = (len(which), net.channels[0], *receptive_field(net, number).size)
    if own.shape != expected:
        raise ArgumentError(
            f"pictures have shape {own.shape}; expected {expected}, one for each neuron over the "
            f"receptive field of {net.describe(number)}"
        )
    if not np.isfinite(own).all():
        raise ArgumentError("pictures hold NaN or infinity; expected finite numbers")
    mine = _standardised(own)
    decoded = _standardised(decode(net, number, None, unpool, engine))
    numbers = np.array(which, np.intp)
    return Specificity(numbers, mine @ decoded.T, mine @ mine.T)


def _standardised(pictures: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return each picture as a row of mean 0 and length 1: their products are correlations."""
    rows = pictures.reshape(len(pictures), -1).astype(np.float64)
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    with np.errstate(invalid="ignore", divide="ignore"):  # a picture that is the same everywhere
        rows = rows / largest
        rows = rows - rows.mean(axis=1, keepdims=True)
        same = np.ptp(rows, axis=1, keepdims=True) == 0
        scaled: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return np.where(same, np.nan, scaled)

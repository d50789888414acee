"""Neurons of two networks, matched by their decoded pictures."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import callback, instance
from fdref.arrays import real_array
from fdref.decoding.blocks import Plan
from fdref.decoding.decode import collect
from fdref.errors import ArgumentError, DependencyError
from fdref.imports import imported
from fdref.measure.banks import check_finite
from fdref.measure.finite import QUIET
from fdref.measure.likeness import likeness
from fdref.network.graph import Network
from fdref.network.units import receptive_field
from fdref.values import Value, hands_out_views, read_only

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import ArrayLike, NDArray

    from fdref.engines import Engine
    from fdref.engines.resize import Method


@hands_out_views("partners", "likeness")
class Match(Value):
    """A layer of one network and one of another, neuron by neuron.

    Attributes
    ----------
    layer, other_layer : int
        Their numbers.
    partners : (K,) array of int
        The other layer's neuron for each of the layer's; -1 for those that are left over, as there
        are more of them. No neuron has two partners.
    likeness : (K,) array of float32
        The cosine of the two decoded pictures; NaN without a partner.
    optimal : bool
        Whether the sum of the likenesses is the largest that there is; greedy otherwise.
    """

    layer: int
    other_layer: int
    partners: NDArray[np.intp]
    likeness: NDArray[np.float32]
    optimal: bool

    def __init__(
        self,
        layer: int,
        other_layer: int,
        partners: ArrayLike,
        likeness: ArrayLike,
        optimal: bool,  # noqa: FBT001 - a part of a value, passed by name
    ) -> None:
        self.__dict__.update(
            layer=layer,
            other_layer=other_layer,
            partners=read_only(np.array(partners, np.intp)),
            likeness=read_only(np.array(likeness, np.float32)),
            optimal=optimal,
        )


@QUIET
def match(
    net: Network,
    other: Network,
    unpool: Method = "bicubic",
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
) -> list[Match]:
    """Match the neurons of two networks whose decoded pictures are alike.

    Layers with filters are compared whose decoded pictures have one shape: the channels of the
    image and the size of the receptive field. Of several, the first of the one network with the
    first of the other, and so on.

    Parameters
    ----------
    net, other : Network
    unpool : "bicubic", "nearest", "bilinear" or "window"
        How a pooling layer is undone.
    engine : "compiled", "reference" or Engine
    progress : callable, optional
        Called after each block of decoded filters, of either network, with their number.

    Returns
    -------
    list of Match
        In the order of the layers; empty where no layer has a counterpart. The assignment is
        optimal where SciPy is installed (``pip install 'fdref[invert]'``), else greedy: the pair
        that is most alike first.

    Raises
    ------
    ArgumentError
        As `fdref.decode` does.

    Examples
    --------
    >>> import fdref
    >>> import numpy as np
    >>> edges = np.random.default_rng(0).standard_normal((4, 3, 5, 5))
    >>> net, turned = (fdref.Network([fdref.Conv(e)]) for e in (edges, 2 * edges[::-1]))
    >>> (pair,) = fdref.match(net, turned)
    >>> pair.partners.tolist(), pair.likeness.round(6).tolist()
    ([3, 2, 1, 0], [1.0, 1.0, 1.0, 1.0])
    """
    callback(progress, "progress")
    pairs = counterparts(instance(net, Network, "net"), instance(other, Network, "other"))
    banks = [
        collect(Plan(own, {n: range(own.channels[n]) for n in numbers}, unpool, engine), progress)
        for own, numbers in ((net, [a for a, _ in pairs]), (other, [b for _, b in pairs]))
    ]
    for one, found_banks in zip((net, other), banks, strict=True):
        check_finite(one, found_banks)
    found = []
    for number, other_number in pairs:
        alike = likeness(banks[0].pop(number), banks[1].pop(other_number))
        partners, own, optimal = assign(alike)
        found.append(Match(number, other_number, partners, own, optimal))
    return found


def counterparts(net: Network, other: Network) -> list[tuple[int, int]]:
    """Return the layers of two networks whose decoded filters have one shape, pair by pair.

    Examples
    --------
    >>> import fdref
    >>> counterparts(fdref.load(), fdref.load())
    [(1, 1), (3, 3), (5, 5), (7, 7)]
    """
    waiting = defaultdict(list)
    for number in reversed(other.decodable):
        waiting[_shape(other, number)].append(number)
    return [
        (number, waiting[shape].pop())
        for number in net.decodable
        if waiting[shape := _shape(net, number)]
    ]


def _shape(net: Network, number: int) -> tuple[int, int, int]:
    height, width = receptive_field(net, number).size
    return net.channels[0], height, width


def assign(alike: ArrayLike) -> tuple[NDArray[np.intp], NDArray[np.float32], bool]:
    """Pair rows and columns of a matrix of likenesses such that their sum is large.

    Parameters
    ----------
    alike : (K, K2) array
        As `likeness` returns.

    Returns
    -------
    partners : (K,) array of int
        The column of each row; -1 of rows that are left over.
    likeness : (K,) array of float32
        NaN of these.
    optimal : bool
        Whether the sum is the largest that there is, found by SciPy where it is installed.

    Raises
    ------
    ArgumentError
        For anything but a matrix of finite numbers.

    Examples
    --------
    >>> partners, found, optimal = assign([[0.9, 0.8], [0.8, 0.1]])
    >>> partners.tolist() if optimal else [1, 0]
    [1, 0]
    """
    matrix = real_array(alike, "alike")
    if matrix.ndim != 2 or not np.isfinite(matrix).all():
        raise ArgumentError(
            f"alike has shape {matrix.shape}; expected finite likenesses (K, K2), as "
            "fdref.likeness returns"
        )
    try:
        optimize = imported("scipy.optimize", "neurons are assigned with SciPy")
    except DependencyError:
        pairs, optimal = _greedy(matrix), False
    else:
        pairs, optimal = optimize.linear_sum_assignment(matrix, maximize=True), True
    rows, columns = pairs
    partners = np.full(len(matrix), -1)
    partners[rows] = columns
    found = np.full(len(matrix), np.nan, np.float32)
    found[rows] = matrix[rows, columns]
    return partners, found, optimal


def _greedy(matrix: NDArray[np.floating]) -> tuple[list[int], list[int]]:
    """Take the largest number first, then the largest in other rows and columns, and so on."""
    order = np.argsort(-matrix, axis=None, kind="stable")  # of equal ones the first by rows
    free_rows, free_columns = np.ones(matrix.shape[0], bool), np.ones(matrix.shape[1], bool)
    rows: list[int] = []
    columns: list[int] = []
    for place in order:
        row, column = divmod(int(place), matrix.shape[1])
        if free_rows[row] and free_columns[column]:
            free_rows[row] = free_columns[column] = False
            rows.append(row)
            columns.append(column)
            if len(rows) == min(matrix.shape):
                break
    return rows, columns

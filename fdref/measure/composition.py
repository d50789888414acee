"""What neurons are made of: the neurons below, and the signed share of each.

Decoding is linear, so a decoded filter is the sum of what comes through each channel of the maps
below. The share of a part is how much of the whole it makes: its scalar product with the whole,
over the whole's with itself. Shares add up to 1; one that works against the others is negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import callback, instance, one_of, shown
from fdref.arrays import in_precision
from fdref.decoding.accounting import Accounts
from fdref.decoding.blocks import Plan
from fdref.decoding.decode import collect
from fdref.engines import engine_named, goes_from_above
from fdref.engines.resize import METHODS
from fdref.errors import ArgumentError
from fdref.measure.banks import check_finite, norms, read_bank
from fdref.measure.finite import QUIET
from fdref.network.graph import Network
from fdref.network.units import boxes, unit_at
from fdref.selection import filter_indices
from fdref.values import Value, hands_out_views, read_only

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.decoding.atoms import Atoms
    from fdref.engines import Engine
    from fdref.engines.resize import Method

OFF = 1e-3
"""By how much the sum of the shares may differ from 1 for all that rounding does."""


@hands_out_views("filters", "layers", "channels", "shares")
class Composition(Value):
    """What neurons of a layer are made of.

    Attributes
    ----------
    filters : (K,) array of int
        The neurons, counted from 0.
    layers : (P,) array of int
        For each part, the number of the layer with filters whose channel it comes through; 0 where
        it comes straight from the image.
    channels : (P,) array of int
        The channel, which is the number of a neuron of that layer.
    shares : (K, P) array of float64
        The signed share of each part in each neuron. They add up to 1 for each neuron; all are 0
        for one whose decoded filter is 0 everywhere.
    """

    filters: NDArray[np.intp]
    layers: NDArray[np.intp]
    channels: NDArray[np.intp]
    shares: NDArray[np.float64]

    def __init__(
        self, filters: ArrayLike, layers: ArrayLike, channels: ArrayLike, shares: ArrayLike
    ) -> None:
        self.__dict__.update(
            filters=read_only(np.array(filters, np.intp)),
            layers=read_only(np.array(layers, np.intp)),
            channels=read_only(np.array(channels, np.intp)),
            shares=read_only(np.array(shares, np.float64)),
        )


@QUIET
def composition(
    net: Network,
    layer: int | str,
    filters: ArrayLike | None = None,
    unpool: Method = "bicubic",
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
    *,
    banks: Mapping[int, ArrayLike] | None = None,
) -> Composition:
    """Tell what neurons of a layer are made of.

    The parts of a neuron are the channels of the maps below it, those of the nearest layers with
    filters (`Conv`, `ConvTranspose`) on every way down. Layers that treat every channel by itself,
    such as pools, lie in between; sums, concatenations and selections hand on to the layers that
    they take from. Each way ends at the first such layer that it meets, so every way is counted
    once, also where one of these layers lies below another (DenseNets, residual blocks). What no
    such layer is met by comes from the image: the first convolution's parts are its colour
    channels, numbered as layer 0.

    The share of part j in neuron k is <P, D> / <D, D>: D the decoded filter, P what of it comes
    through channel j.

    Parameters
    ----------
    net : Network
    layer : int or str
        Number from 1, or name.
    filters : int, sequence or array of int, or mask, optional
        Which neurons, counted from 0; all by default.
    unpool : "bicubic", "nearest", "bilinear" or "window"
        How a pooling layer is undone.
    engine : "compiled", "reference" or Engine
    progress : callable, optional
        Called after each block of neurons with their number.
    banks : mapping, optional
        Decoded filters that there are already, which are not decoded again:
        ``{layer: (K, C0, h, w) array}`` of all of its filters, as `fdref.decode_all` returns with
        the same unpooling.

    Returns
    -------
    Composition
        ``.layers`` and ``.channels`` (P,) say what the parts are, ``.shares`` (K, P) how much they
        make.

    Raises
    ------
    ArgumentError
        As `fdref.decode` does; for banks of other shapes than decoded filters have, or that are
        not this network's, so that the shares do not add up to 1.
    NetworkError
        If decoded filters are too large for their precision.

    Examples
    --------
    >>> import fdref
    >>> made_of = fdref.composition(fdref.load(), layer=3)
    >>> made_of.shares.shape, set(made_of.layers.tolist())
    ((50, 20), {1})
    >>> bool(abs(made_of.shares.sum(axis=1) - 1).max() < 1e-5)
    True
    """
    number = instance(net, Network, "net").number(layer)
    callback(progress, "progress")
    indices = filter_indices(net, number, filters)
    one_of(unpool, "unpool", METHODS)
    unit_at(net, number, None, None)  # it has filters
    accounts = Accounts(net, number, unpool, engine_named(engine))
    known = _read(accounts, banks or {})
    decoded, atoms = _decoded(accounts, indices, engine, known)
    lengths = norms(decoded)
    lengths[lengths == 0] = 1  # all products are 0, too
    products = np.zeros((len(indices), sum(net.channels[n] for n in accounts.columns)))
    step = accounts.at_once(by_atoms=atoms is not None)
    for first in range(0, len(indices), step):
        some = slice(first, first + step)
        # Of unit length, so that no square is beyond what the precision holds.
        units = np.empty_like(decoded[some])
        np.divide(decoded[some], lengths[some, None, None, None], out=units, casting="same_kind")
        products[some] = accounts.products(indices[some], units, atoms)
        if progress is not None:
            progress(len(units))
    shares = products / lengths[:, None]
    if known:
        _check_sums(net, number, indices, shares)
    layers = [np.full(net.channels[n], n) for n in accounts.columns]
    channels = [np.arange(net.channels[n]) for n in accounts.columns]
    return Composition(indices, np.concatenate(layers), np.concatenate(channels), shares)


def _read(accounts: Accounts, banks: Mapping[int, ArrayLike]) -> dict[int, Array]:
    """Read those of the decoded banks that are of use."""
    net, used = accounts.net, {accounts.number, *(accounts.banks or ())}
    dtype = accounts.engine.precision(net.dtype)
    if not isinstance(banks, Mapping):
        raise ArgumentError(f"banks are {shown(banks)}; expected {{layer: decoded filters}}")
    found = {}
    for layer, bank in banks.items():
        number = net.number(layer)
        if number in used:
            what = f"the bank of {net.describe(number)}"
            array = read_bank(bank, what)
            expected = (net.channels[number], net.channels[0], *boxes(net, number)[0].size)
            if array.shape != expected:
                raise ArgumentError(f"{what} has shape {array.shape}; expected {expected}")
            found[number] = in_precision(array, dtype, what)
    return found


def _decoded(
    accounts: Accounts, indices: Sequence[int], engine: Engine | str, known: Mapping[int, Array]
) -> tuple[Array, dict[int, Atoms] | None]:
    """Return the decoded filters, and atoms where these are the shorter way to their parts."""
    net, number, count = accounts.net, accounts.number, len(indices)
    own: dict[int, Sequence[int]] = {} if number in known else {number: indices}
    alone = Plan(net, own, accounts.unpool, engine)
    needed = None if goes_from_above(accounts.engine) else accounts.banks
    plan, by_atoms = alone, False
    if needed is not None:
        every = {n: range(net.channels[n]) for n in needed if n not in known}
        both = Plan(net, own | every, accounts.unpool, engine)
        size = alone.dtype.itemsize
        with_atoms = accounts.cost_with_atoms().times(count).seconds(size) + both.choice.seconds
        walk = accounts.cost_of_walk().times(count).seconds(size) + alone.choice.seconds
        by_atoms = with_atoms < walk
        plan = both if by_atoms else alone
    banks = dict(known) | collect(plan, None)
    decoded = known[number][list(indices)] if number in known else banks.pop(number)
    check_finite(net, {**banks, number: decoded})
    return decoded, accounts.with_atoms(banks) if by_atoms else None


def _check_sums(
    net: Network, number: int, indices: Sequence[int], shares: NDArray[np.float64]
) -> None:
    """Raise ArgumentError unless the parts are those of the decoded filters that were given."""
    off = abs(shares.sum(axis=1) - 1)
    off[~shares.any(axis=1)] = 0
    if off.max(initial=0) > OFF:
        k = int(off.argmax())
        raise ArgumentError(
            f"the shares in filter {indices[k]} of {net.describe(number)} add up to "
            f"{shares[k].sum():.6g}, not 1: the banks passed are not those of this network and "
            "unpooling; decode them again"
        )

"""What the decoded filter is: three statements that hold for any network, to be checked on one.

1. It is the deconvnet without an image: the mean, over all switch settings of the max pools, of the
   projection of a unit that no rectifier touches. Each pixel of a pool's window is the switch
   equally often, so on average a pool hands down what average pooling does: "window" unpooling,
   which is "nearest" divided by the pools' areas where windows do not overlap.
2. It is the best linear filter for noise, up to a gain. For white noise x the filter that fits the
   responses y best is E[x y]; by Stein's lemma that is the mean gradient, and to noise all switches
   are nearly alike. A ReLU lets a part of the noise through, another part in each channel: with its
   units weighted by these parts (`gated`) the gain is about 1, however many ReLUs are on the way.
3. The pictures that a deconvnet makes of images know it: see `fdref.specificity`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

import numpy as np

from fdref import layers as kinds
from fdref.arguments import callback, instance, whole_number
from fdref.engines import engine_named
from fdref.errors import ArgumentError
from fdref.measure.chunks import SIZE
from fdref.measure.finite import QUIET
from fdref.network.fields import seen
from fdref.network.graph import Network
from fdref.network.units import Unit, receptive_field, unit_at
from fdref.selection import decodable_number, filter_indices
from fdref.walk.down import Decoding
from fdref.walk.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.geometry import Pair
    from fdref.walk.adjoint import NonLinear


@dataclass(frozen=True, eq=False)
class Agreement:
    """Decoded filters beside what they should be, estimated from random samples.

    Attributes
    ----------
    filters : (K,) array of int
    decoded : (K, C, Rh, Rw) array of float64
    estimated : (K, C, Rh, Rw) array of float64
        A mean over samples.
    deviations : (K, C, Rh, Rw) array of float64
        The standard errors of the estimates: how far off they are by chance.
    samples : int
    """

    filters: NDArray[np.intp]
    decoded: NDArray[np.float64] = field(repr=False)
    estimated: NDArray[np.float64] = field(repr=False)
    deviations: NDArray[np.float64] = field(repr=False)
    samples: int

    @property
    def correlations(self) -> NDArray[np.float64]:
        """Of each decoded filter with its estimate, over their pixels: (K,)."""
        one, other = (
            rows - rows.mean(axis=1, keepdims=True)
            for rows in (own.reshape(len(own), -1) for own in (self.decoded, self.estimated))
        )
        with np.errstate(invalid="ignore"):  # a picture that is the same everywhere
            norms = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
            found: NDArray[np.float64] = (one * other).sum(axis=1) / norms
        return found

    @property
    def gains(self) -> NDArray[np.float64]:
        """By what each decoded filter is multiplied to be nearest to its estimate: (K,)."""
        pixels = (1, 2, 3)
        with np.errstate(invalid="ignore"):
            found: NDArray[np.float64] = (self.decoded * self.estimated).sum(axis=pixels) / (
                self.decoded**2
            ).sum(axis=pixels)
        return found

    @property
    def surprise(self) -> float:
        """The root mean square of the differences in standard errors: about 1 if all is chance.

        Pixels that are the same in all samples are left out.
        """
        varies = self.deviations > 0
        if not varies.any():
            return 0.0
        off = (self.estimated - self.decoded)[varies] / self.deviations[varies]
        return float(np.sqrt((off**2).mean()))


class Switching(Decoding):
    """Decoding that undoes max pools by switches drawn at random."""

    def __init__(
        self, net: Network, number: int, engine: Engine, random: np.random.Generator, unit: Unit
    ) -> None:
        super().__init__(net, number, "window", engine, unit)
        self.random = random

    def through(self, layer: NonLinear, number: int, picture: Picture) -> list[Picture]:
        """Hand all of a max pool's pixel to one of its window's, each equally likely."""
        if not isinstance(layer, kinds.Pool) or layer.method != "max":
            return super().through(layer, number, picture)
        pool = cast("kinds.Pool", self.net.decoded_as[number])
        delta = np.ascontiguousarray(picture.values)
        windows = seen(pool, picture.box)
        # Where the largest of equally distributed numbers stands, any place is equally likely.
        maps = self.random.random((*delta.shape[:2], *windows.size)).astype(delta.dtype)
        below = self.engine.pool_gradient(
            maps, delta, pool.window, pool.stride, (0, 0, 0, 0), "max"
        )
        return [Picture(below, windows.origin)]


@QUIET
def mean_over_switches(
    net: Network,
    layer: int | str,
    filters: ArrayLike | None = None,
    samples: int = 1000,
    seed: int = 0,
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
) -> Agreement:
    """Compare decoded filters with the mean of their projections over random switch settings.

    Parameters
    ----------
    net : Network
    layer : int or str
        Number from 1, or name.
    filters : int, sequence or array of int, or mask, optional
        Which filters, counted from 0; all of them by default.
    samples : int
        Settings of each filter's switches, at least 2.
    seed : int
    engine : "compiled", "reference" or Engine
    progress : callable, optional
        Called after each filter with 1.

    Returns
    -------
    Agreement
        ``.surprise`` is about 1: the decoded filter, by unpool="window", is off the mean by no more
        than chance.

    Raises
    ------
    ArgumentError
        If the layer has no single filter, or a filter does not exist; if samples are less than 2.

    Notes
    -----
    The switches are those of Zeiler & Fergus's unpooling; no image sets them.

    Examples
    --------
    >>> import fdref
    >>> found = fdref.mean_over_switches(fdref.load(), layer=3, filters=[0, 7], samples=300)
    >>> 0.8 < found.surprise < 1.2, (found.correlations > 0.98).all()
    (True, np.True_)
    """
    number, which = which_of(net, layer, filters)
    count = whole_number(samples, "samples", 2)
    callback(progress, "progress")
    operations = engine_named(engine)
    unit = unit_at(net, number, None, None)
    random = np.random.default_rng(whole_number(seed, "seed", 0))
    decoded = Decoding(net, number, "window", operations, unit).decode(which)
    rules = Switching(net, number, operations, random, unit)
    sums = _Sums((len(which), *decoded.values.shape[1:]))
    for row, k in enumerate(which):
        for first in range(0, count, SIZE):
            several = [k] * min(SIZE, count - first)
            sums.add(row, rules.decode(several).over(decoded.box).values)
        if progress is not None:
            progress(1)
    return sums.against(which, decoded.values, count)


def which_of(
    net: Network, layer: int | str, filters: ArrayLike | None
) -> tuple[int, Sequence[int]]:
    """Read which filters of a layer of a network with one input are meant."""
    if instance(net, Network, "net").inputs > 1:
        raise ArgumentError(f"the network has {net.inputs} inputs; expected one")
    number = decodable_number(net, layer)
    return number, filter_indices(net, number, filters)


def inner_unit(net: Network, number: int) -> tuple[Unit, Pair]:
    """Return a unit of a layer, and images of a size of which it sees as much as it can."""
    if net.input_size is not None:
        rows, columns = net.sizes[number]
        return unit_at(net, number, None, (rows // 2, columns // 2)), net.input_size
    field = receptive_field(net, number)
    at = [-(offset // step) for offset, step in zip(field.offset, field.stride, strict=True)]
    first = [field.offset[a] + at[a] * field.stride[a] for a in (0, 1)]  # not in the padding
    size = first[0] + field.size[0], first[1] + field.size[1]
    return Unit((at[0], at[1])), size


class _Sums:
    """The mean of pictures, and its standard error, without keeping them."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.sum, self.squares = np.zeros(shape), np.zeros(shape)

    def add(self, row: int, pictures: Array) -> None:
        double = pictures.astype(np.float64)
        self.sum[row] += double.sum(axis=0)
        self.squares[row] += (double**2).sum(axis=0)

    def against(self, which: Sequence[int], decoded: Array, count: int) -> Agreement:
        mean = self.sum / count
        variance = np.maximum(self.squares / count - mean**2, 0) * count / (count - 1)
        errors = np.sqrt(variance / count)
        return Agreement(np.array(which, np.intp), decoded.astype(np.float64), mean, errors, count)

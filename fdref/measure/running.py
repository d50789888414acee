"""Eq. 3 over more images than anybody keeps the errors of: what is known of each layer so far."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import callback
from fdref.errors import ArgumentError
from fdref.measure.abreast import Abreast
from fdref.measure.chunks import Chunk, check_executor, over_chunks, read_images
from fdref.measure.evaluation import Judge
from fdref.measure.finite import QUIET, prepare

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.measure.chunks import Executor, Images
    from fdref.network.graph import Network


@dataclass(frozen=True)
class Running:
    """What `Evaluation` tells of a layer, of images so far; it takes the same room for any number.

    Attributes
    ----------
    n : int
        How many images.
    compared : int
        Of how many the responses could be compared.
    mean, correlation : float
        The mean error, and the mean correlation coefficient, over those; NaN if there are none.
    squares : float
        The sum of the errors' squared differences from their mean.
    """

    n: int = 0
    compared: int = 0
    mean: float = nan
    correlation: float = nan
    squares: float = 0.0

    @property
    def std(self) -> float:
        """The standard deviation of the error; NaN where none could be compared."""
        return sqrt(self.squares / self.compared) if self.compared else nan

    def and_of(self, later: Running) -> Running:
        """Put later images behind these: Chan, Golub & LeVeque's formula.

        The last bits depend on the order, and on where images are cut, as sums' always do: both are
        always the same here.

        Examples
        --------
        >>> low, high = Running(2, 2, 1.0, 0.5, 2.0), Running(2, 2, 3.0, 1.0, 2.0)
        >>> low.and_of(high)
        Running(n=4, compared=4, mean=2.0, correlation=0.75, squares=8.0)
        """
        count, total = later.compared, self.compared + later.compared
        if not self.compared or not count:
            known = self if self.compared else later
            return Running(self.n + later.n, total, known.mean, known.correlation, known.squares)
        share, step = count / total, later.mean - self.mean
        return Running(
            self.n + later.n,
            total,
            self.mean + step * share,
            self.correlation + (later.correlation - self.correlation) * share,
            self.squares + later.squares + step * step * self.compared * share,
        )


def of_rows(rows: NDArray[np.float64]) -> Running:
    """Sum up what `compare` says of some images: errors and correlations (2, n)."""
    errors, correlations = rows[:, ~np.isnan(rows[0])]
    if not len(errors):
        return Running(rows.shape[1])
    mean = float(errors.mean())
    squares = float(((errors - mean) ** 2).sum())
    return Running(rows.shape[1], len(errors), mean, float(correlations.mean()), squares)


@dataclass(frozen=True, eq=False)
class Watching:
    """Prepares images, and compares what layers respond with what banks predict."""

    net: Network
    banks: Mapping[int, Array]
    engine: Engine | str

    @QUIET
    def __call__(self, chunk: Chunk) -> dict[int, Running]:
        """Return what there is to say of each layer."""
        x = prepare(self.net, chunk.images, chunk.first)
        rows = Judge(self.net, self.banks, self.engine)(Chunk(chunk.first, x))
        return {number: of_rows(own) for number, own in rows.items()}


def evaluate_running(
    net: Network,
    images: Images,
    banks: Mapping[int, Array],
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
    so_far: Mapping[int, Running] | None = None,
    note: Callable[[Mapping[int, Running]], object] | None = None,
) -> dict[int, Running]:
    """Evaluate decoded filters on images that nobody has to hold, as `evaluate` does.

    Parameters
    ----------
    net : Network
        Of one input.
    images : (N, H, W) or (N, C, H, W) array, or iterable of such arrays
        Pixels as `Network.prepare` takes them.
    banks : mapping
        ``{layer: (K, C0, Rh, Rw) array}``, decoded filters.
    engine, progress, executor
        As `evaluate` takes them.
    so_far : mapping, optional
        ``{layer: Running}``, what is known of images before these, a multiple of a hundred.
    note : callable, optional
        Called after each chunk of images, in order, with what is known then.

    Returns
    -------
    dict
        ``{layer: Running}``; the same to the bit wherever it is computed.

    Raises
    ------
    ArgumentError, NetworkError, FdrefError
        As `evaluate` does.

    Examples
    --------
    >>> import fdref
    >>> net, digits = fdref.load(), fdref.mnist().test.images[:300]
    >>> found = evaluate_running(net, digits, {3: fdref.decode(net, 3)})[3]
    >>> wanted = fdref.evaluate(net, net.prepare(digits), 3)[3]
    >>> found.n, abs(found.mean - wanted.mean) < 1e-15, abs(found.std - wanted.std) < 1e-15
    (300, True, True)

    In two parts:

    >>> banks = {3: fdref.decode(net, 3)}
    >>> before = evaluate_running(net, digits[:200], banks)
    >>> evaluate_running(net, digits[200:], banks, so_far=before)[3] == found
    True
    """
    if net.inputs > 1:
        raise ArgumentError(f"the network has {net.inputs} inputs; expected one to be evaluated on")
    callback(progress, "progress")
    check_executor(executor)
    watching = Watching(net, banks, engine)
    found = dict.fromkeys(banks, Running()) if so_far is None else dict(so_far)
    first = max((own.n for own in found.values()), default=0)
    chunks = over_chunks(
        watching, read_images(images), progress, executor, first=first, abreast=Abreast(net, engine)
    )
    for some in chunks:
        found = {number: found[number].and_of(own) for number, own in some.items()}
        if note is not None:
            note(found)
    return found

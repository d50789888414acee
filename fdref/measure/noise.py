"""The linear filters that fit responses to white noise best, beside decoded filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import callback, real_number, truth, whole_number
from fdref.engines import engine_named
from fdref.errors import ArgumentError
from fdref.measure.chunks import SIZE
from fdref.measure.finite import QUIET, finite_forward
from fdref.measure.gating import SAMPLES, Gated, gates_for_noise, rectifying
from fdref.measure.theorem import Agreement, inner_unit, which_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.engines import Engine
    from fdref.measure.gating import Gates
    from fdref.network.graph import Network
    from fdref.walk.pictures import Picture


@QUIET
def best_for_noise(
    net: Network,
    layer: int | str,
    filters: ArrayLike | None = None,
    samples: int = 10_000,
    deviation: float = 1.0,
    seed: int = 0,
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
    *,
    gated: bool = False,
) -> Agreement:
    """Compare decoded filters with the linear filters that fit responses to white noise best.

    Parameters
    ----------
    net : Network
    layer : int or str
        A convolution, by number from 1 or name.
    filters : int, sequence or array of int, or mask, optional
        Which filters, counted from 0; all of them by default.
    samples : int
        Images of noise, each just as large as the layer's receptive field, at least 2.
    deviation : float
        The standard deviation of the noise, around the average image, in pixel values.
    seed : int
    engine : "compiled", "reference" or Engine
    progress : callable, optional
        Called after each chunk of images with their number.
    gated : bool
        Decode with the units of each ReLU multiplied by the part of noise that they let through,
        which up to 1,000 images more tell first. Without, the gain is what they leave together, and
        a deep filter of a network whose ReLUs are more open in some channels than in others is no
        longer the best one.

    Returns
    -------
    Agreement
        Of the filters decoded by unpool="window", over what a unit sees of the image, with
        E[x (y - E[y])] / deviation**2. What lies between them is a gain, and what of the filter the
        non-linearities change.

    Raises
    ------
    ArgumentError
        If the layer has no single filter, or a filter does not exist; if samples are less than 2 or
        the deviation is not positive.
    NetworkError
        If responses overflow.

    Notes
    -----
    C. Stein's lemma: E[x y(x)] = E[gradient of y] for standard normal x.

    Examples
    --------
    >>> import fdref
    >>> found = fdref.best_for_noise(fdref.load(), layer=3, samples=2000)
    >>> found.correlations.mean() > 0.97, 0.9 < found.gains.mean() < 1.1
    (np.True_, np.True_)
    >>> for gated in (False, True):
    ...     found = fdref.best_for_noise(fdref.load(), 7, None, 2000, 50, gated=gated)
    ...     print(round(found.gains.mean(), 1))
    0.5
    1.0
    """
    number, which = which_of(net, layer, filters)
    count = whole_number(samples, "samples", 2)
    scale = real_number(deviation, "deviation")
    if scale <= 0:
        raise ArgumentError(f"deviation is {deviation}; expected a positive number")
    callback(progress, "progress")
    operations = engine_named(engine)
    first_seed = whole_number(seed, "seed", 0)
    random = np.random.default_rng(first_seed)
    unit, size = inner_unit(net, number)
    gates: Gates = {}
    if truth(gated, "gated") and rectifying(net, number):
        own = np.random.default_rng([first_seed, 1])
        most = min(count, SAMPLES)
        gates = gates_for_noise(net, number, size, most, scale, own, operations, progress)
    decoded = filters_seen(net, number, which, operations, gates)
    box = decoded.box
    rows = decoded.values.reshape(len(which), -1).astype(np.float64)
    fit = _Fit(rows)
    for first in range(0, count, SIZE):
        shape = (min(SIZE, count - first), net.channels[0], *size)
        x = (scale * random.standard_normal(shape)).astype(operations.precision(net.dtype))
        maps = finite_forward(net, x, first, engine, number)[number]
        seen_pixels = x[:, :, box.rows, box.columns].reshape(len(x), -1)
        fit.add(seen_pixels.astype(np.float64), maps[:, list(which), *unit.at].astype(np.float64))
        if progress is not None:
            progress(len(x))
    estimated, errors = fit.filters(scale)
    form = decoded.values.shape
    return Agreement(
        np.array(which, np.intp),
        rows.reshape(form),
        estimated.reshape(form),
        np.broadcast_to(errors[:, None, None, None], form),
        count,
    )


def filters_seen(
    net: Network, number: int, which: Sequence[int], engine: Engine, gates: Gates | None = None
) -> Picture:
    """Decode filters by window unpooling over what a unit sees of the image."""
    unit, _ = inner_unit(net, number)
    return Gated(net, number, engine, unit, gates or {}).decode(which)


class _Fit:
    """E[x y] of white noise, of which decoded filters d are known to explain a part.

    For any gain g, E[x y] = g E[x <d, x>] + E[x (y - g <d, x>)], and the first is g d times the
    noise's variance: only what d does not explain is left to be estimated, as in least squares.
    """

    def __init__(self, decoded: NDArray[np.float64]) -> None:
        count, pixels = decoded.shape
        self.decoded, self.samples = decoded, 0
        self.with_responses, self.with_known = np.zeros((2, count, pixels))
        self.response, self.known = np.zeros((2, count))
        self.x_sum = np.zeros(pixels)
        self.both, self.known_squared, self.response_squared = np.zeros((3, count))

    def add(self, x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
        """Add samples (n, pixels) and responses to them (n, K)."""
        known = x @ self.decoded.T
        self.samples += len(x)
        self.x_sum += x.sum(axis=0)
        self.with_responses += y.T @ x
        self.with_known += known.T @ x
        self.response += y.sum(axis=0)
        self.known += known.sum(axis=0)
        self.both += (y * known).sum(axis=0)
        self.known_squared += (known**2).sum(axis=0)
        self.response_squared += (y**2).sum(axis=0)

    def filters(self, scale: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the best filters (K, pixels), and the standard error of each one's pixels (K,)."""
        n = self.samples
        covariance = self.both / n - self.response * self.known / n**2
        variance = self.known_squared / n - (self.known / n) ** 2
        with np.errstate(invalid="ignore", divide="ignore"):
            gain = np.where(variance > 0, covariance / variance, 0)
        rest = self.response_squared / n - (self.response / n) ** 2 - gain * covariance
        # Without their means, which x on average has none of, samples vary less.
        centre = (self.response - gain * self.known) / n
        sums = self.with_responses - gain[:, None] * self.with_known - centre[:, None] * self.x_sum
        estimated = gain[:, None] * self.decoded + sums / n / scale**2
        return estimated, np.sqrt(np.maximum(rest, 0) / n) / scale

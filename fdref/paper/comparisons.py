"""Decoded filters beside what they should be: means over switches, best filters for noise."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.engines import engine_named
from fdref.layers import Pool, PReLU, ReLU
from fdref.measure.gating import SAMPLES, rectifying
from fdref.measure.noise import best_for_noise, filters_seen
from fdref.measure.theorem import mean_over_switches
from fdref.network.fields import ancestors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fdref.arrays import Array
    from fdref.measure.theorem import Agreement
    from fdref.network.graph import Network
    from fdref.paper.excited import Excited
    from fdref.paper.subject import Subject

DEVIATION = 50.0
"""Of noise, in pixel values: about that of pictures."""

SHOWN = 8
"""Filters of a layer that are drawn, whose switches are drawn, too."""


class Compared(NamedTuple):
    """What a decoded filter is compared with.

    Attributes
    ----------
    switched : {layer: Agreement}
        With the mean over switch settings, of layers above max pools.
    noise : {layer: Agreement}
        With the best linear filter for noise, of layers above what is not linear; decoded with the
        units of each ReLU weighted by the part of the noise that they let through.
    plain : {layer: Agreement}
        The same, decoded as ever.
    excited : {layer: Excited}
    """

    switched: Mapping[int, Agreement]
    noise: Mapping[int, Agreement]
    plain: Mapping[int, Agreement]
    excited: Mapping[int, Excited]


def compare(
    subject: Subject,
    excited: Mapping[int, Excited],
    progress: Callable[[int], object] | None = None,
) -> Compared:
    """Compare decoded filters with what they should be."""
    net, effort = subject.net, subject.effort
    switched, noise, plain = {}, {}, {}
    for n in subject.explained:
        which = subject.some(net.channels[n], effort.neurons)
        if above_max_pools(net, n):
            shown = which[subject.some(len(which), SHOWN)]
            switched[n] = mean_over_switches(net, n, shown, effort.switches, progress=progress)
        noise[n] = best_for_noise(
            net, n, which, effort.noise, DEVIATION, progress=progress, gated=True
        )
        bank = filters_seen(net, n, which.tolist(), engine_named("compiled")).values
        plain[n] = replace(noise[n], decoded=bank.astype(np.float64))
    return Compared(switched, noise, plain, excited)


def steps(subject: Subject) -> int:
    """Return how much `compare` tells of its progress."""
    net = subject.net
    pooled = [n for n in subject.explained if above_max_pools(net, n)]
    filters = sum(min(net.channels[n], SHOWN) for n in pooled)
    noise, rectified = subject.effort.noise, [n for n in subject.explained if rectifying(net, n)]
    return filters + noise * len(subject.explained) + min(noise, SAMPLES) * len(rectified)


def above_max_pools(net: Network, number: int) -> bool:
    """Tell whether a max pool lies below a layer."""
    several = (net[n] for n in ancestors(net, number) if n > 0)
    return any(isinstance(layer, Pool) and layer.method == "max" for layer in several)


def rectifiers(net: Network, number: int) -> int:
    """Return how many ReLUs lie on the way to a layer that has the most of them."""
    counts = {0: 0}
    for n in sorted(set(ancestors(net, number)) - {0}):
        own = isinstance(net[n], ReLU | PReLU)
        counts[n] = own + max(counts[below] for below in net.takes[n])
    return counts[number]


def corrected(one: Agreement) -> Array:
    """Return correlations with what estimates would be without noise; NaN where noise is all.

    Noise of known variance lowers the correlation by the square root of the part of the estimate's
    variance that is not noise: C. Spearman's correction for attenuation (1904).
    """
    pixels = (1, 2, 3)
    noise = (one.deviations**2).mean(axis=pixels)
    with np.errstate(divide="ignore", invalid="ignore"):
        reliable = 1 - noise / one.estimated.var(axis=pixels)
        found: Array = one.correlations / np.sqrt(reliable)
    return np.where(reliable > 0, found, nan)


def together(one: Agreement) -> float:
    """Return the correlation of all filters with what estimates would be without noise.

    As `corrected`, but signal and noise of all filters are added up before they are divided, since
    a single filter's correlation goes through the roof where noise is nearly all of its estimate.
    """
    decoded, estimated = (
        own.reshape(len(own), -1) - own.mean(axis=(1, 2, 3))[:, None]
        for own in (one.decoded, one.estimated)
    )
    norms = np.linalg.norm(decoded, axis=1)
    alive = norms > 0
    along = (decoded * estimated).sum(axis=1)[alive] / norms[alive]
    noise = (one.deviations**2).reshape(len(decoded), -1)[alive]
    explained = (np.sign(along) * np.maximum(along**2 - noise.mean(axis=1), 0)).sum()
    signal = ((estimated[alive] ** 2).sum(axis=1) - noise.sum(axis=1)).sum()
    return float(np.sign(explained) * np.sqrt(abs(explained) / signal)) if signal > 0 else nan


def mean_of(values: Array) -> float:
    """Return the mean of what is known; NaN if nothing is."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else nan

"""Decoding in which ReLUs let through what they let through on average, unit by unit.

To decoding a ReLU is open. White noise opens it in a part of the cases, another part for each of
its units: by channel, and at borders by position, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.layers import PReLU, ReLU
from fdref.measure.chunks import SIZE
from fdref.measure.finite import finite_forward
from fdref.network.fields import ancestors
from fdref.walk.down import Decoding
from fdref.walk.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.network.graph import Network
    from fdref.network.units import Unit
    from fdref.walk.adjoint import NonLinear

    Gates = Mapping[int, Array]
    """for each ReLU the factor of each of its units, (C, h, w)"""

SAMPLES = 1000
"""Images of noise that tell how open ReLUs are, to a percent or two."""


def rectifying(net: Network, number: int) -> list[int]:
    """Return which ReLUs lie below a layer.

    >>> import fdref
    >>> rectifying(fdref.load(), 7), rectifying(fdref.load(), 5)
    ([6], [])
    """
    below = sorted(n for n in ancestors(net, number) if 0 < n < number)
    return [n for n in below if isinstance(net[n], ReLU | PReLU)]


def gates_for_noise(
    net: Network,
    number: int,
    size: Pair,
    samples: int,
    scale: float,
    random: np.random.Generator,
    engine: Engine,
    progress: Callable[[int], object] | None = None,
) -> Gates:
    """Measure the mean derivative of the ReLUs below a layer, over images of white noise.

    Parameters
    ----------
    net : Network
    number : int
    size : (int, int)
        Of the images.
    samples : int
    scale : float
        The noise's standard deviation.
    random : numpy.random.Generator
    engine : Engine
    progress : callable, optional
        Called after each chunk of images with their number.

    Returns
    -------
    mapping
        ``{number of a ReLU: (C, h, w) array}``: how often each unit lets something through, and its
        leak for the rest.
    """
    every = rectifying(net, number)
    passed: dict[int, NDArray[np.float64]] = {}
    for first in range(0, samples, SIZE):
        shape = (min(SIZE, samples - first), net.channels[0], *size)
        x = (scale * random.standard_normal(shape)).astype(engine.precision(net.dtype))
        acts = finite_forward(net, x, first, engine, max(every))
        for n in every:
            count = (acts[net.takes[n][0]] > 0).sum(axis=0)
            passed[n] = passed.get(n, 0) + count
        if progress is not None:
            progress(len(x))
    return {n: _mean_slope(net[n], count / samples) for n, count in passed.items()}


def _mean_slope(layer: Layer, share: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the mean derivative of a ReLU whose units (C, h, w) are open in parts of the cases."""
    match layer:
        case ReLU():
            return share + layer.leak * (1 - share)
        case PReLU():
            return share + layer.leak[:, None, None] * (1 - share)
        case _:
            raise AssertionError(layer)


class Gated(Decoding):
    """Decoding in which ReLUs multiply by what they let through.

    Parameters
    ----------
    net, number, engine, unit
        As `Decoding` takes them; pools are undone by "window" unpooling.
    gates : mapping
        ``{number of a ReLU: (C, h, w) array}``; others let everything through.
    """

    def __init__(self, net: Network, number: int, engine: Engine, unit: Unit, gates: Gates) -> None:
        super().__init__(net, number, "window", engine, unit)
        self.gates = gates

    def through(self, layer: NonLinear, number: int, picture: Picture) -> list[Picture]:
        """Multiply where there is a gate."""
        if number not in self.gates:
            return super().through(layer, number, picture)
        own = self.gates[number][None].astype(picture.values.dtype)
        within = Picture(own, (0, 0)).over(picture.box)
        return [Picture(picture.values * within.values, picture.origin)]

"""Images whose maps are what somebody wants: where a search starts, what it minimises, its bounds.

Pixels are as the user has them, before the average is subtracted; they are searched in float64,
maps are computed in the engine's precision.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import inf, isfinite, isnan, prod
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fdref.arguments import elements, real_number, shown
from fdref.arrays import Array, real_array
from fdref.errors import ArgumentError, NetworkError
from fdref.geometry import pair
from fdref.measure.finite import QUIET, first_bad
from fdref.measure.lockstep import Found, minimize_each
from fdref.network.fields import ancestors
from fdref.network.sizes import sizes_from
from fdref.walk.forward import check_known, run
from fdref.walk.gradient import Gradient

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from fdref.engines import Engine
    from fdref.geometry import Pair
    from fdref.network.graph import Network

Values: TypeAlias = "NDArray[np.float64]"

Term: TypeAlias = Callable[[Array, Sequence[int]], tuple[Values, Values]]
"""From a layer's maps of some images: each one's cost (n,), and its gradient in the maps."""

GREYS = 255
"""What the deviation of the noise is counted in, whatever the bounds are."""
NOISE = 20 / GREYS
"""Deviation of the noise that a search starts with, as a share of the pixels' range."""

# Of LeNet's layer 5 six images took 2.1 ms, one 0.65; from sixteen on little is gained.
TOGETHER = 16
"""Images computed at a time, at most."""
NUMBERS = 2**25
"""Numbers in their maps, at most, unless a single image has more: 128 MB in float32."""


@dataclass(frozen=True)
class Range:
    """What pixels may be."""

    low: float
    high: float

    @classmethod
    def read(cls, bounds: object) -> Range:
        """Read a pair of numbers, of which either may be infinite."""
        found = elements(bounds)
        if found is None or len(found) != 2:
            raise ArgumentError(f"bounds are {shown(bounds)}; expected (lowest, highest) pixel")
        low, high = (_bound(value) for value in found)
        if not low < high:
            raise ArgumentError(f"bounds are {shown(bounds)}; expected the lower one first")
        return cls(low, high)

    @property
    def span(self) -> float:
        """How far pixels can lie apart; that of greys from 0 to 255 where there is no bound."""
        return self.high - self.low if isfinite(self.high - self.low) else GREYS

    @property
    def middle(self) -> float:
        """The pixel half-way; where there is no bound, the one nearest to 0."""
        whole = isfinite(self.high - self.low)
        return (self.low + self.high) / 2 if whole else min(max(0.0, self.low), self.high)


def _bound(value: object) -> float:
    if isinstance(value, float | np.floating) and not isnan(value):
        return float(value)  # infinities, too
    return real_number(value, "one of the bounds")


class View:
    """Layers' maps of images whose average is not subtracted.

    Parameters
    ----------
    net : Network
    numbers : collection of int
        Layers that see the image, input 0, and nothing else.
    engine : Engine

    Raises
    ------
    ArgumentError
        If a layer does not see the image, or sees further inputs.
    NetworkError
        If a layer below is of unknown type.
    """

    def __init__(self, net: Network, numbers: Collection[int], engine: Engine) -> None:
        self.net, self.numbers, self.engine = net, numbers, engine
        self.needed = set().union(*(ancestors(net, number) for number in numbers))
        check_known(net, self.needed)
        for number in numbers:
            inputs = [below for below in ancestors(net, number) if below < 1]
            if inputs != [0]:
                raise ArgumentError(
                    f"{net.describe(number)} sees inputs {inputs}; expected a layer that sees the "
                    "image, input 0, and nothing else"
                )
        self.dtype = engine.precision(net.dtype)
        self.average = None if net.average is None else net.average.astype(np.float64)

    def maps(self, pixels: Array, wanted: Collection[int] | None = None) -> dict[int, Array]:
        """Return maps of images (N, C, H, W), by default all that gradients are made of."""
        prepared = pixels if self.average is None else pixels - self.average
        images = np.ascontiguousarray(prepared, self.dtype)
        return run(self.net, [images], self.engine, self.needed if wanted is None else wanted)

    def together(self, size: Sequence[int]) -> int:
        """Return how many images of a size are computed at a time."""
        sizes = sizes_from(self.net, [(size[0], size[1])] * self.net.inputs)
        held = sum(self.net.channels_of(number) * prod(sizes[number]) for number in self.needed)
        return min(max(1, NUMBERS // held), TOGETHER)


class Objective:
    """The sum of what terms say of layers' maps, and its gradient in pixels.

    Parameters
    ----------
    view : View
    terms : mapping
        For each of the view's layers, its term.
    smooth : float
        Times the total variation.
    """

    def __init__(self, view: View, terms: Mapping[int, Term], smooth: float = 0.0) -> None:
        self.view, self.terms, self.smooth = view, terms, smooth

    @QUIET
    def __call__(self, pixels: Values, which: Sequence[int]) -> tuple[Values, Values]:
        """Return the value of each of some images (n,), and its gradient (n, C, H, W): float64."""
        view = self.view
        maps = view.maps(pixels)
        values, start = np.zeros(len(pixels)), {}
        for number, term in self.terms.items():
            cost, delta = term(maps[number], which)
            values += cost
            start[number] = np.ascontiguousarray(delta, view.dtype)
        below = Gradient(view.net, maps, view.engine).down_to(start)[0]
        gradients = below.astype(np.float64)
        if self.smooth:
            roughness, pull = variation(pixels)
            values += self.smooth * roughness
            gradients += self.smooth * pull
        if first_bad(values) is not None or first_bad(gradients) is not None:
            last = view.net.describe(max(self.terms))
            raise NetworkError(
                f"{last} answers an image with numbers too large for {view.dtype}; expected "
                "smaller weights, or closer bounds"
            )
        return values, gradients

    def search(
        self,
        starts: Values,
        bounds: Range,
        iterations: int,
        progress: Callable[[int], object] | None,
        which: Sequence[int],
    ) -> Found:
        """Minimise for each of some images, as many at a time as memory allows."""
        step, found = self.view.together(starts.shape[2:]), []
        for first in range(0, len(starts), step):
            some = slice(first, first + step)
            function, limits = partial(self.of, which[some]), (bounds.low, bounds.high)
            found.append(minimize_each(function, starts[some], limits, iterations, progress))
        return Found(
            np.concatenate([some.points for some in found]),
            np.concatenate([some.evaluations for some in found]),
        )

    def of(
        self, which: Sequence[int], pixels: Values, asked: Sequence[int]
    ) -> tuple[Values, Values]:
        """Return values and gradients where those that are asked for are counted within some."""
        return self(pixels, [which[n] for n in asked])


def variation(pixels: Values) -> tuple[Values, Values]:
    """Return each image's total variation (n,), and its gradient.

    Mahendran & Vedaldi's with beta = 2: squared differences of neighbours, below and on the right;
    here the mean over pixels and channels, so that it does not depend on the image's size.
    """
    down, right = np.diff(pixels, axis=2), np.diff(pixels, axis=3)
    count = prod(pixels.shape[1:])
    values = ((down**2).sum(axis=(1, 2, 3)) + (right**2).sum(axis=(1, 2, 3))) / count
    gradient = np.zeros_like(pixels)
    gradient[:, :, 1:] += down
    gradient[:, :, :-1] -= down
    gradient[:, :, :, 1:] += right
    gradient[:, :, :, :-1] -= right
    gradient *= 2 / count
    return values, gradient


def starts_of(
    net: Network,
    count: int,
    start: ArrayLike | None,
    size: int | Sequence[int] | None,
    bounds: Range,
    seed: int,
) -> Values:
    """Return what the search starts from: images that were passed, or the average plus noise.

    Within the bounds. A network without an average is taken to have the middle of the bounds.
    """
    if start is not None:
        given = pixels_of(net, start, "start", count, bounds)
        if size is not None and pair(size, "size") != given.shape[2:]:
            raise ArgumentError(f"start has shape {given.shape}; expected the size {shown(size)}")
        return given
    height, width = _size(net, size)
    noise = np.random.default_rng(seed).standard_normal((count, net.channels[0], height, width))
    net.prepare(noise)  # or it says what does not fit
    average = bounds.middle if net.average is None else net.average.astype(np.float64)
    pixels = average + NOISE * bounds.span * noise
    clipped: Values = pixels.clip(bounds.low, bounds.high)
    return clipped


def pixels_of(
    net: Network,
    images: ArrayLike,
    what: str,
    count: int | None = None,
    bounds: Range | None = None,
) -> Values:
    """Read images (N, H, W) or (N, C, H, W), so many if that is said, clipped to the bounds."""
    array = real_array(images, what)
    pixels = array[:, None] if array.ndim == 3 else array
    place = first_bad(pixels)
    if place is not None:
        raise ArgumentError(f"{what} hold {pixels[place]} at {list(place)}; expected finite pixels")
    net.prepare(pixels)
    if not len(pixels) or count not in (None, len(pixels)):
        wanted = "at least one" if count is None else f"{count}, one for each image of the code"
        raise ArgumentError(f"{what} are {len(pixels)} images; expected {wanted}")
    low, high = (-inf, inf) if bounds is None else (bounds.low, bounds.high)
    clipped: Values = pixels.astype(np.float64).clip(low, high)
    return clipped


def _size(net: Network, size: int | Sequence[int] | None) -> Pair:
    if size is not None:
        return pair(size, "size")
    if net.input_size is None:
        raise ArgumentError(
            "the network does not say how large its images are; pass size=(height, width) or start="
        )
    return net.input_size

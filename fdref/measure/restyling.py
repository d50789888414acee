"""An image of one picture's content and another's textures: energies moved by optimisation."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from sys import float_info
from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import callback, instance, real_number, whole_number
from fdref.engines import engine_named
from fdref.errors import ArgumentError
from fdref.measure.image_search import Objective, Range, View, pixels_of, starts_of
from fdref.measure.inversion import ITERATIONS
from fdref.measure.reallocation import energies
from fdref.network.graph import Network
from fdref.selection import layer_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.measure.image_search import Term, Values
    from fdref.selection import Layers

CONTENT = 10.0
"""Weight of the content, Xia et al.'s."""


@dataclass(frozen=True, eq=False)
class Restyled:
    """Images of contents and styles.

    Attributes
    ----------
    images : (N, C, H, W) array
        Pixels, the average not subtracted, in the engine's precision.
    content : (N,) array of float64
        What is left of the content's part of the cost.
    style : (N,) array of float64
        What is left of the style's.
    evaluations : (N,) array of int
        How many times the network and its gradient were computed for each.
    """

    images: Array = field(repr=False)
    content: NDArray[np.float64]
    style: NDArray[np.float64]
    evaluations: NDArray[np.int64]


def restyle(
    net: Network,
    content: ArrayLike,
    style: ArrayLike,
    layer: int | str,
    layers: Layers = None,
    start: ArrayLike | None = None,
    bounds: Sequence[float] = (0, 255),
    smooth: float = 0.0,
    *,
    weight: float = CONTENT,
    iterations: int = ITERATIONS,
    seed: int = 0,
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
) -> Restyled:
    """Find images that show one picture's content in another's textures: Xia et al.

    Each is searched, as `invert` does, for the least of ``weight / (2 M) |F - F0|^2``, F the maps
    of one layer and F0 those of the content, plus, for some layers,
    ``1 / (2 C M) sum (s - t)^2``, s the energies of the layer's C maps and t those of the style. M
    is the number of a map's positions.

    Parameters
    ----------
    net : Network
    content : (N, H, W) or (N, C, H, W) array
        Pixels, the average not subtracted.
    style : (N, H', W') or (N, C, H', W') array
        Pixels of a style for each content, or of one for all. Where its size is another, energies
        are compared by position.
    layer : int or str
        Where the content is compared.
    layers : int, str, sequence or array of these, or mask, optional
        Where energies are compared; by default in the content's layer.
    start, bounds, smooth, iterations, seed, engine, progress
        As `invert` takes them.
    weight : float
        The content's.

    Returns
    -------
    Restyled
        With ``.images``, ``.content``, ``.style`` and ``.evaluations``.

    Raises
    ------
    ArgumentError
        If images, bounds or layers do not fit the network, or are not finite.
    NetworkError
        If a layer of unknown type lies below, or answers are too large for the precision.
    DependencyError
        If SciPy is not installed: ``pip install 'fdref[invert]'``.

    Notes
    -----
    Xia et al., "Every Filter Extracts A Specific Texture In Convolutional Neural Networks", arXiv
    1608.04170.

    Examples
    --------
    >>> import fdref
    >>> net, digits = fdref.load(), fdref.mnist().test.images
    >>> found = fdref.restyle(net, digits[:1], digits[1:2], layer=3, layers=[1, 3], iterations=20)
    >>> found.images.shape
    (1, 1, 28, 28)
    """
    callback(progress, "progress")
    number = instance(net, Network, "net").number(layer)
    wanted = (number,) if layers is None else layer_numbers(net, layers)
    if not wanted:
        raise ArgumentError(
            "there are no layers; expected at least one whose energies are compared"
        )
    limits = Range.read(bounds)
    rough = real_number(smooth, "smooth", 0, float_info.max)
    share = real_number(weight, "weight", 0, float_info.max)
    most = whole_number(iterations, "iterations", 1)
    random = whole_number(seed, "seed", 0)
    operations = engine_named(engine)
    pictures, models = pixels_of(net, content, "content"), pixels_of(net, style, "style")
    if len(models) not in (1, len(pictures)):
        raise ArgumentError(
            f"style is of {len(models)} images; expected {len(pictures)}, as content, or one"
        )
    compared = {number, *wanted}
    view = View(net, compared, operations)
    own, others = view.maps(pictures, compared), view.maps(models, compared)
    contents = {number: Content(own[number], share)}
    styles = {n: Style(others[n], own[n].shape, len(pictures)) for n in wanted}
    terms: dict[int, Term] = {**styles, **contents}
    if number in styles:
        terms[number] = Both(contents[number], styles[number])
    objective = Objective(view, terms, rough)
    size = (pictures.shape[2], pictures.shape[3])
    starts = starts_of(net, len(pictures), start, size, limits, random)
    if starts.shape != pictures.shape:
        raise ArgumentError(f"start has shape {starts.shape}; expected {pictures.shape}")
    every = range(len(pictures))
    found = objective.search(starts, limits, most, progress, every)
    images = found.points.astype(view.dtype)
    maps = view.maps(images, compared)
    left = [
        np.sum([term(maps[n], every)[0] for n, term in part.items()], axis=0)
        for part in (contents, styles)
    ]
    return Restyled(images, left[0], left[1], found.evaluations)


class Content:
    """How far maps are from those of the content."""

    def __init__(self, maps: Array, weight: float) -> None:
        self.maps, self.scale = maps, weight / prod(maps.shape[2:])

    def __call__(self, maps: Array, which: Sequence[int]) -> tuple[Values, Values]:
        """Return ``weight / (2 M) |F - F0|^2``, and its gradient."""
        off = maps.astype(np.float64) - self.maps[which]
        return self.scale / 2 * (off**2).sum(axis=(1, 2, 3)), self.scale * off


class Style:
    """How far the energies of maps are from those of the style."""

    def __init__(self, maps: Array, shape: Sequence[int], count: int) -> None:
        positions = prod(shape[2:])
        targets = energies(maps) * (positions / prod(maps.shape[2:]))
        self.targets = np.broadcast_to(targets, (count, shape[1]))
        self.scale = 1 / (shape[1] * positions)

    def __call__(self, maps: Array, which: Sequence[int]) -> tuple[Values, Values]:
        """Return ``1 / (2 C M) sum (s - t)^2``, and its gradient."""
        off = energies(maps) - self.targets[which]
        pull = self.scale * off[:, :, None, None] * (maps > 0)
        return self.scale / 2 * (off**2).sum(axis=1), pull


class Both:
    """The sum of two terms of one layer."""

    def __init__(self, one: Term, other: Term) -> None:
        self.terms = one, other

    def __call__(self, maps: Array, which: Sequence[int]) -> tuple[Values, Values]:
        """Return the sum of their values, and of their gradients."""
        (value, pull), (other, with_it) = (term(maps, which) for term in self.terms)
        return value + other, pull + with_it

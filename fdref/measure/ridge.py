"""Linear regression that keeps its weights small: ridge regression, from sums over observations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

STRENGTHS = (*(float(10.0**n) for n in np.arange(2, -8.5, -0.5)), 0.0)
"""Ridges to choose from, as multiples of the squares of a pixel, added up and averaged."""


Kind = Literal["linear", "slopes", "affine"]
"""Filters alone; filters with a constant each; and these filters without it: only what varies."""


class Moments(NamedTuple):
    """What a regression needs to know of n observations of D pixels and K answers: sums.

    Attributes
    ----------
    observations : int
    pixels : (D,) array
    answers : (K,) array
    squares : (D, D) array
        Pixels times pixels.
    products : (D, K) array
        Pixels times answers.
    """

    observations: int
    pixels: Numbers
    answers: Numbers
    squares: Numbers
    products: Numbers

    def and_of(self, other: Moments) -> Moments:
        """Return the sums over both's observations."""
        return Moments(
            self.observations + other.observations,
            self.pixels + other.pixels,
            self.answers + other.answers,
            self.squares + other.squares,
            self.products + other.products,
        )

    def means(self, kind: Kind) -> tuple[Numbers, Numbers]:
        """Return what is subtracted of pixels and answers: their means, or zeros."""
        count = np.inf if kind == "linear" else self.observations  # zeros: divided by infinity
        return self.pixels / count, self.answers / count


class Fit(NamedTuple):
    """Answers are about pixels @ filters + offset.

    Attributes
    ----------
    filters : (D, K) array
    offset : (K,) array
    """

    filters: Numbers
    offset: Numbers


def moments(pixels: Numbers, answers: Numbers) -> Moments:
    """Add up observations (n, D) with their answers (n, K)."""
    sums = pixels.sum(axis=0), answers.sum(axis=0)
    return Moments(len(pixels), *sums, pixels.T @ pixels, pixels.T @ answers)


def fit(sums: Moments, strength: float, kind: Kind) -> Fit:
    """Fit filters to observations: of least squared errors plus, times the ridge, squared weights.

    Parameters
    ----------
    sums : Moments
    strength : float
        Of the ridge, as in `STRENGTHS`. With 0 it is least squares; where that has several
        solutions, it is the smallest.
    kind : "linear", "slopes" or "affine"
        With a constant, which no ridge keeps small; "slopes" fits it and leaves it out.

    Examples
    --------
    >>> pixels = np.random.default_rng(0).standard_normal((40, 3))
    >>> seen = moments(pixels, pixels @ [[2.0], [0.0], [-1.0]] + 5)
    >>> found = fit(seen, 0, "affine")
    >>> found.filters.ravel().round(6).tolist(), found.offset.round(6).tolist()
    ([2.0, 0.0, -1.0], [5.0])
    """
    values, axes, slopes = decomposed(sums, kind)
    filters: Numbers = axes @ (shrinkage(values, strength)[:, None] * slopes)
    pixels, answers = sums.means(kind)
    return Fit(filters, (answers - pixels @ filters) * (kind == "affine"))


def predictions(sums: Moments, pixels: Numbers, kind: Kind) -> Iterator[Numbers]:
    """Predict answers (n, K) to pixels (n, D) by the fit with each ridge of `STRENGTHS`.

    In the basis where the fitted pixels are uncorrelated every ridge shrinks each axis by itself,
    so that one decomposition serves all of them.
    """
    values, axes, slopes = decomposed(sums, kind)
    average, answers = (mean * (kind == "affine") for mean in sums.means(kind))
    turned = (pixels - average) @ axes
    for strength in STRENGTHS:
        # The slopes are few, the pixels many: those are shrunk, not these.
        yield turned @ (shrinkage(values, strength)[:, None] * slopes) + answers


def decomposed(sums: Moments, kind: Kind) -> tuple[Numbers, Numbers, Numbers]:
    """Return the squares' eigenvalues and axes, and the products in their basis."""
    pixels, answers = sums.means(kind)
    squares = sums.squares - np.outer(sums.pixels, pixels)
    products = sums.products - np.outer(sums.pixels, answers)
    values, axes = np.linalg.eigh(squares)
    return values, axes, axes.T @ products


def shrinkage(values: Numbers, strength: float) -> Numbers:
    """Return by what each axis is multiplied; by 0 where nothing was seen along it."""
    ridged = values + strength * values.mean()  # the mean of eigenvalues is that of the diagonal
    least = max(ridged.max() * len(values) * np.finfo(np.float64).eps, 0)
    found: Numbers = np.divide(1, ridged, out=np.zeros_like(values), where=ridged > least)
    return found

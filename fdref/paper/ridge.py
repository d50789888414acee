"""Linear regression that keeps its weights small, and finds out by itself how small."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

STRENGTHS = (*(float(10.0**n) for n in np.arange(3, -12.5, -0.5)), 0.0)
"""Ridges to choose from, as multiples of the squares of a pixel, added up and averaged."""

INDISTINCT = 1e-12
"""Errors that differ by less, relative to what they are sums of, are equal but for rounding."""


class Moments(NamedTuple):
    """What a regression needs to know of n observations of D pixels and K answers: sums.

    Attributes
    ----------
    count : int
    pixels : (D,) array
    answers : (K,) array
    squares : (D, D) array
        Pixels times pixels.
    products : (D, K) array
        Pixels times answers.
    energy : (K,) array
        Answers squared.
    """

    count: int
    pixels: Numbers
    answers: Numbers
    squares: Numbers
    products: Numbers
    energy: Numbers

    def __add__(self, other: Moments) -> Moments:  # type: ignore[override]
        """Return the sums over the observations of both."""
        return Moments(*(one + two for one, two in zip(self, other, strict=True)))

    def of(self, answers: slice) -> Moments:
        """Leave out all but some answers."""
        return Moments(
            self.count,
            self.pixels,
            self.answers[answers],
            self.squares,
            self.products[:, answers],
            self.energy[answers],
        )

    def about(self, pixels: Numbers, answers: Numbers) -> Moments:
        """Return the sums for pixels and answers minus these, such as their means."""
        squares = self.squares - np.outer(self.pixels, pixels)
        squares += np.outer(pixels, self.count * pixels - self.pixels)
        products = self.products - np.outer(self.pixels, answers)
        products += np.outer(pixels, self.count * answers - self.answers)
        return Moments(
            self.count,
            self.pixels - self.count * pixels,
            self.answers - self.count * answers,
            squares,
            products,
            self.energy + answers * (self.count * answers - 2 * self.answers),
        )


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
    return Moments(
        len(pixels),
        pixels.sum(axis=0),
        answers.sum(axis=0),
        pixels.T @ pixels,
        pixels.T @ answers,
        (answers**2).sum(axis=0),
    )


def fits(one: Moments, other: Moments, parts: Sequence[slice], *, offset: bool) -> list[Fit]:
    """Fit linear filters to all observations, with the ridge that does best from half to half.

    Parameters
    ----------
    one, other : Moments
        Of the two halves of the observations. If one is empty, nothing is known of ridges, and the
        fit is that of least squares, with the smallest of all such filters.
    parts : sequence of slice
        Answers that share a ridge.
    offset : bool
        Whether a constant is fitted, too.

    Returns
    -------
    list of Fit
        One for each part.

    Examples
    --------
    >>> pixels = np.random.default_rng(0).standard_normal((40, 3))
    >>> halves = [moments(half, half @ [[2.0], [0.0], [-1.0]] + 5) for half in np.split(pixels, 2)]
    >>> (found,) = fits(*halves, [slice(0, 1)], offset=True)
    >>> found.filters.ravel().round(6).tolist(), found.offset.round(6).tolist()
    ([2.0, 0.0, -1.0], [5.0])
    """
    errors = held_out(one, other, parts, offset=offset) + held_out(other, one, parts, offset=offset)
    whole, pixels, answers = centred(one + other, offset=offset)
    found = []
    for part, row in zip(parts, errors, strict=True):
        own = whole.of(part)
        equal = row <= row.min() + INDISTINCT * own.energy.sum()
        filters = solve(own, STRENGTHS[int(np.flatnonzero(equal)[-1])])
        found.append(Fit(filters, answers[part] - pixels @ filters))
    return found


def centred(sums: Moments, *, offset: bool) -> tuple[Moments, Numbers, Numbers]:
    """Return sums about the means, and these; without an offset, about zero."""
    count = max(sums.count, 1)
    pixels, answers = (a / count if offset else 0 * a for a in (sums.pixels, sums.answers))
    return sums.about(pixels, answers), pixels, answers


def held_out(fitted: Moments, other: Moments, parts: Sequence[slice], *, offset: bool) -> Numbers:
    """Return how far filters fitted to some observations are off on others, squares added up.

    In the basis where the pixels are uncorrelated every ridge is a shrinkage of each axis, so that
    one decomposition serves all of them.

    Returns
    -------
    (parts, ridges) array
    """
    own, *means = centred(fitted, offset=offset)
    judge = other.about(*means)
    values, axes = np.linalg.eigh(own.squares)
    shrinkages = [inverse(values + ridge(own, strength)) for strength in STRENGTHS]
    slopes, wanted = axes.T @ own.products, axes.T @ judge.products
    squares = axes.T @ judge.squares @ axes
    rows = []
    for part in parts:
        agreement = (slopes[:, part] * wanted[:, part]).sum(axis=1)
        spread = squares * (slopes[:, part] @ slopes[:, part].T)
        energy = judge.energy[part].sum()
        rows.append([energy - 2 * d @ agreement + d @ spread @ d for d in shrinkages])
    return np.array(rows)


def ridge(sums: Moments, strength: float) -> float:
    """Return what is added to the diagonal."""
    return strength * float(np.trace(sums.squares)) / len(sums.squares)


def inverse(values: Numbers) -> Numbers:
    """Invert eigenvalues; of those that are 0 but for rounding, 0."""
    least = values.max() * len(values) * np.finfo(np.float64).eps
    return np.divide(1, values, out=np.zeros_like(values), where=values > max(least, 0))


def solve(sums: Moments, strength: float) -> Numbers:
    """Return the filters (D, K) of least squared error and weights; of several, the smallest."""
    values, axes = np.linalg.eigh(sums.squares)
    shrinkage = inverse(values + ridge(sums, strength))
    found: Numbers = axes @ (shrinkage[:, None] * (axes.T @ sums.products))
    return found

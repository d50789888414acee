"""Where the energy of a code lies among its maps, and how it is moved: Xia et al.

A map's energy is the sum of its values, of the positive ones where there are others. Inverted, a
code whose energy was moved shows what texture a filter makes: the first thing that Xia et al. do is
to give all of it to one map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from fdref.arguments import elements, one_of, shown, whole, whole_number
from fdref.errors import ArgumentError
from fdref.measure.codes import read_code

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array

Way = Literal["one", "random", "like"]
WAYS: tuple[Way, ...] = get_args(Way)
TAKES = {"filters": "one", "style": "like"}
"""Arguments that only one of the ways takes."""


def energies(code: ArrayLike) -> NDArray[np.float64]:
    """Return the energy of every map of a code: the sum of what is positive in it.

    Parameters
    ----------
    code : (N, C, H, W) array
        Activations of a layer, as `forward` returns them.

    Returns
    -------
    (N, C) array of float64

    Raises
    ------
    ArgumentError
        If the code has another shape, or is not finite.

    Notes
    -----
    Xia et al., "Every Filter Extracts A Specific Texture In Convolutional Neural Networks", arXiv
    1608.04170; of maps that are nowhere negative, as after a ReLU, the energy is the sum.

    Examples
    --------
    >>> energies([[[[1, 2]], [[5, -3]]]])
    array([[3., 5.]])
    """
    return _energies(read_code(code, "code"))


def _energies(maps: Array) -> NDArray[np.float64]:
    sums: NDArray[np.float64] = np.maximum(maps, 0).sum(axis=(2, 3), dtype=np.float64)
    return sums


def reallocate(
    code: ArrayLike,
    way: Way,
    filters: int | Sequence[int] | None = None,
    style: ArrayLike | None = None,
    seed: int = 0,
) -> Array:
    """Move the energy of a code among its maps.

    Parameters
    ----------
    code : (N, C, H, W) array
        Activations of a layer, as `forward` returns them.
    way : "one", "random" or "like"
        "one": one map becomes the sum, at each position, of what is positive in all maps; all
        others become 0.
        "random": the energy of each image is shared out among those of its maps that have any, in
        shares from a flat Dirichlet distribution; each is multiplied by what that takes.
        "like": by rank, the map with the r-th largest energy takes the place of the style's with
        the r-th largest, its mean shifted to the latter's; of equal ones the first comes first.
    filters : int, or sequence of int
        For "one", which map: for all images, or one for each; of a code of one image, any number of
        maps, and there are as many results.
    style : (N, C, H', W') or (1, C, H', W') array
        For "like", the code of another image for each, or for all.
    seed : int
        For "random".

    Returns
    -------
    (N, C, H, W) array
        float32 where the code is float32 or float16, else float64.

    Raises
    ------
    ArgumentError
        If codes have another shape or are not finite, there is no such map, or an argument belongs
        to another way.

    Notes
    -----
    Xia et al., arXiv 1608.04170. Their random shares may be negative; these are not.

    Examples
    --------
    >>> reallocate([[[[1, 2]], [[5, -3]]]], "one", 0)
    array([[[[6., 2.]],
    <BLANKLINE>
            [[0., 0.]]]])
    >>> reallocate([[[[1, 2]], [[4, 5]]]], "like", style=[[[[8, 8]], [[3, 3]]]])
    array([[[[7.5, 8.5]],
    <BLANKLINE>
            [[2.5, 3.5]]]])
    """
    one_of(way, "way", WAYS)
    maps = read_code(code, "code")
    for name, given in (("filters", filters), ("style", style)):
        if given is not None and way != TAKES[name]:
            raise ArgumentError(f"{name} belong to {TAKES[name]!r}; the way is {way!r}")
        if given is None and way == TAKES[name]:
            raise ArgumentError(f"{way!r} takes {name}, which there are none of; pass {name}=")
    if way == "one":
        return _one(maps, _filters(filters, *maps.shape[:2]))
    if way == "random":
        return _random(maps, whole_number(seed, "seed", 0))
    return _like(maps, read_code(style, "style"))  # type: ignore[arg-type]  # it is not None


def _one(maps: Array, chosen: Sequence[int]) -> Array:
    """Give each position's energy to one map."""
    given = np.maximum(maps, 0).sum(axis=1)
    count = max(len(maps), len(chosen))
    moved = np.zeros((count, *maps.shape[1:]), maps.dtype)
    moved[np.arange(count), list(chosen) * (count // len(chosen))] = given
    return moved


def _random(maps: Array, seed: int) -> Array:
    """Share the energy out: exponential numbers, divided by their sum, are Dirichlet's shares."""
    before = _energies(maps)
    drawn = np.random.default_rng(seed).standard_exponential(before.shape) * (before > 0)
    total = drawn.sum(axis=1, keepdims=True)
    shares = np.divide(drawn, total, out=np.zeros_like(drawn), where=total > 0)
    after = shares * before.sum(axis=1, keepdims=True)
    factors = np.divide(after, before, out=np.ones_like(after), where=before > 0)
    moved: Array = maps * factors.astype(maps.dtype)[:, :, None, None]
    return moved


def _like(maps: Array, style: Array) -> Array:
    """Put maps in the places of those of the same rank, at their means."""
    if style.shape[1] != maps.shape[1] or len(style) not in (1, len(maps)):
        raise ArgumentError(
            f"style has shape {style.shape}; expected ({len(maps)}, {maps.shape[1]}, H, W), or one "
            "for all: a code of the same layer"
        )
    from_ranks, to_ranks = (
        np.argsort(-_energies(own), axis=1, kind="stable") for own in (maps, style)
    )
    moved = np.empty_like(maps)
    for n, image in enumerate(maps):
        other = n if len(style) > 1 else 0
        places = to_ranks[other]
        ranked = image[from_ranks[n]]
        means = style[other][places].mean(axis=(1, 2), dtype=np.float64)
        shift = means - ranked.mean(axis=(1, 2), dtype=np.float64)
        moved[n, places] = ranked + shift[:, None, None].astype(maps.dtype)
    return moved


def _filters(filters: object, images: int, channels: int) -> Sequence[int]:
    """Return which map of each image, or the one of all."""
    one = whole(filters)
    several = [one] if one is not None else elements(filters)
    if several is None:
        raise ArgumentError(f"filters are {shown(filters)}; expected whole numbers")
    chosen = [whole_number(k, "one of filters", 0, channels - 1) for k in several]
    if len(chosen) != 1 and len(chosen) != images and (images != 1 or not chosen):
        raise ArgumentError(
            f"filters are {len(chosen)} for a code of {images} images; expected one, or one for "
            "each"
        )
    return chosen

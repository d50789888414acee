"""How alike pictures are: cosines of decoded filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import whole_number
from fdref.errors import ArgumentError
from fdref.measure.banks import norms, read_bank

if TYPE_CHECKING:
    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array

PIXELS = 2**13
"""Pixels of all pictures that are in one product: 16 MB for 512 in float32."""


def likeness(bank: ArrayLike, other: ArrayLike | None = None) -> NDArray[np.float32]:
    """Return the cosine of each picture with each of another bank, or of its own.

    1 where one is the other times a positive number, -1 where it is times a negative one.

    Parameters
    ----------
    bank : (K, C, h, w) array
        Such as decoded filters.
    other : (K2, C, h, w) array, optional
        The bank itself by default.

    Returns
    -------
    (K, K2) array of float32
        0 for pictures that are 0 everywhere.

    Raises
    ------
    ArgumentError
        For other shapes, or pictures of two sizes; for NaN and infinity.

    Examples
    --------
    >>> import fdref
    >>> bank = fdref.decode(fdref.load(), layer=3)
    >>> np.allclose(likeness(bank, -2 * bank).diagonal(), -1)
    True
    """
    ours = read_bank(bank)
    theirs = ours if other is None else read_bank(other, "other bank")
    if theirs.shape[1:] != ours.shape[1:]:
        raise ArgumentError(
            f"the other bank's pictures are {theirs.shape[1:]}, the bank's {ours.shape[1:]}; "
            "expected one shape (channels, height, width)"
        )
    lengths = norms(ours), norms(theirs)
    total = np.zeros((len(ours), len(theirs)))  # float64, as pictures may have many pixels
    size = int(np.prod(ours.shape[1:]))
    for first in range(0, size, PIXELS):
        piece = slice(first, first + PIXELS)
        left = _of_unit_length(ours, lengths[0], piece)
        right = left if other is None else _of_unit_length(theirs, lengths[1], piece)
        total += left @ right.T
    return np.clip(total, -1, 1).astype(np.float32)


def most_alike(bank: ArrayLike, count: int = 8) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Return for each picture those of its bank that are most alike, never itself.

    Parameters
    ----------
    bank : (K, C, h, w) array
    count : int
        How many at most.

    Returns
    -------
    numbers : (K, n) array of int
        The most alike first; of equally alike ones the lower number. n is `count`, or all others.
    cosines : (K, n) array of float32

    Raises
    ------
    ArgumentError
        As `likeness` does; for a count below 0.

    Examples
    --------
    >>> import fdref
    >>> numbers, cosines = most_alike(fdref.decode(fdref.load(), layer=5), count=3)
    >>> numbers.shape, bool((cosines[:, 0] >= cosines[:, 1]).all())
    ((500, 3), True)
    """
    most = whole_number(count, "count", 0)
    cosines = likeness(bank)
    np.fill_diagonal(cosines, -2)  # less than any: the last of all
    order = np.argsort(-cosines, axis=1, kind="stable")[:, : max(0, min(most, len(cosines) - 1))]
    return order, np.take_along_axis(cosines, order, axis=1)


def _of_unit_length(pictures: Array, lengths: NDArray[np.float64], piece: slice) -> Array:
    """Return some pixels of pictures as rows, as if each picture had the length 1."""
    rows = pictures.reshape(len(pictures), int(np.prod(pictures.shape[1:])))[:, piece]
    divided = np.divide(rows, np.where(lengths > 0, lengths, 1)[:, None])
    scaled: Array = divided.astype(pictures.dtype)
    return scaled

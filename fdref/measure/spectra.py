"""Spectra of pictures, which say what texture they are of, wherever it stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array


def spectra(pictures: Array, size: Sequence[int]) -> NDArray[np.float64]:
    """Return amplitude spectra, of no mean and of unit length, so that products are correlations.

    Parameters
    ----------
    pictures : (..., C, h, w) array
    size : (height, width)
        Of the pictures among zeros; of larger ones the middle is taken.

    Returns
    -------
    (..., C * height * width) array
        Of a picture that is the same everywhere zeros.

    Examples
    --------
    >>> picture = np.random.default_rng(0).random((1, 8, 8))
    >>> moved = np.roll(picture, 3, axis=2)
    >>> float(np.round(spectra(picture, (8, 8)) @ spectra(moved, (8, 8)), 12))
    1.0
    """
    height, width = pictures.shape[-2:]
    top, left = max(0, height - size[0]) // 2, max(0, width - size[1]) // 2
    double = pictures[..., top : top + size[0], left : left + size[1]].astype(np.float64)
    centred = double - double.mean(axis=(-2, -1), keepdims=True)
    amplitudes = np.abs(np.fft.fft2(centred, (size[0], size[1])))
    rows = amplitudes.reshape(*amplitudes.shape[:-3], -1)
    rows = rows - rows.mean(axis=-1, keepdims=True)
    norms = np.linalg.norm(rows, axis=-1, keepdims=True)
    found: NDArray[np.float64] = np.divide(rows, norms, out=np.zeros_like(rows), where=norms > 0)
    return found


def told(rows: NDArray[np.float64]) -> float:
    """Return for which share of pictures what is on their first axis can be told from the others.

    A picture (k, n) is compared with the mean of the pictures (j, m) of all other m, for each j: it
    is told if that of k is nearest, and no other as near.

    Parameters
    ----------
    rows : (K, N, D) array
        As `spectra` returns them, of two things or more on each axis.

    Examples
    --------
    >>> told(np.eye(3)[:, None].repeat(2, axis=1)), told(np.eye(3)[None].repeat(2, axis=0))
    (1.0, 0.0)
    """
    count = rows.shape[1]
    right = []
    for n in range(count):
        others = rows[:, np.arange(count) != n].mean(axis=1)
        norms = np.linalg.norm(others, axis=1, keepdims=True)
        means = np.divide(others, norms, out=np.zeros_like(others), where=norms > 0)
        right.append(nearest_is_own(rows[:, n] @ means.T))
    return float(np.mean(right))


def nearest_is_own(similar: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Tell for each row of (K, K) similarities whether the diagonal is larger than all others.

    >>> nearest_is_own(np.array([[2.0, 1.0], [3.0, 3.0]]))
    array([ True, False])
    """
    own = np.diagonal(similar)[:, None]
    found: NDArray[np.bool_] = (similar >= own).sum(axis=1) == 1
    return found

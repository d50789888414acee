"""Pictures in other sizes: enlarged, a pixel is a rectangle; made smaller, an average."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.arrays import Array


def enlarged(pictures: NDArray[Any], height: int, width: int) -> NDArray[Any]:
    """Enlarge pictures (P, h, w, ...): every pixel becomes a rectangle, all of about one size.

    >>> enlarged(np.array([[[1, 2]]]), 1, 5)
    array([[[1, 1, 1, 2, 2]]])
    """
    rows = np.arange(height) * pictures.shape[1] // height
    columns = np.arange(width) * pictures.shape[2] // width
    return pictures[:, rows[:, None], columns]


def reduced(filters: Array, height: int, width: int) -> Array:
    """Make pictures (C, h, w) smaller: each new pixel is the mean of the area that it covers.

    >>> reduced(np.array([[[1.0, 2, 6]]]), 1, 2)
    array([[[1.33333333, 4.66666667]]])
    """
    down, across = (
        _covering(*sizes) for sizes in zip(filters.shape[1:], (height, width), strict=True)
    )
    found: Array = down @ filters.astype(np.float64) @ across.T
    return found


def _covering(size: int, fewer: int) -> NDArray[np.float64]:
    """Return which share of each new pixel lies over which pixel, (fewer, size)."""
    edges = np.linspace(0, size, fewer + 1)
    pixels = np.arange(size)
    ends = np.minimum(edges[1:, None], pixels + 1)
    starts = np.maximum(edges[:-1, None], pixels)
    covered: NDArray[np.float64] = np.maximum(ends - starts, 0) * (fewer / size)
    return covered

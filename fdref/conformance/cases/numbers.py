"""Numbers for cases, the same on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import DTypeLike, NDArray


def integers(
    seed: int, shape: Sequence[int], least: int = -4, most: int = 4, dtype: DTypeLike = np.float32
) -> NDArray[Any]:
    """Return small integers; RandomState's numbers never change."""
    return np.random.RandomState(seed).randint(least, most + 1, tuple(shape)).astype(dtype)


def reals(
    seed: int,
    shape: Sequence[int],
    least: float = -1,
    most: float = 1,
    dtype: DTypeLike = np.float32,
) -> NDArray[Any]:
    """Return real numbers, evenly distributed."""
    numbers = np.random.RandomState(seed).random_sample(tuple(shape))
    return (least + (most - least) * numbers).astype(dtype)

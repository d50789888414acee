"""The plain products alone, timed: what whoever multiplies as formulas say cannot do without."""

from __future__ import annotations

from functools import partial
from timeit import timeit
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.arrays import Array

CACHED = 2**22
"""Numbers of a product made at a time: 16 MB, which stay in a large cache."""


def in_blocks(pairs: Sequence[tuple[Array, Array]]) -> tuple[Callable[[], list[float]], list[int]]:
    """Return what multiplies pairs of matrices and adds nothing up, and their multiply-adds.

    What is returned first returns the seconds that each pair took.
    """
    block = np.empty(CACHED, np.float32)

    def multiply(left: Array, right: Array) -> None:
        step = max(1, CACHED // len(left))
        for first in range(0, right.shape[1], step):
            columns = right[:, first : first + step]
            product = block[: len(left) * columns.shape[1]].reshape(len(left), -1)
            np.matmul(left, columns, out=product)

    def run() -> list[float]:
        return [timeit(partial(multiply, *pair), number=1) for pair in pairs]

    return run, [left.size * right.shape[1] for left, right in pairs]

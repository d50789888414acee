"""Matrix products whose long sums stay as exact as short ones.

A sum of n rounded terms, added one by one, is off by up to n roundings: of 700 equal float32
numbers by 1e-5 of their sum. BLAS adds large products block by block, which holds at any
length; but one by one where a product is small, or a matrix meets a vector. Those are cut here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.engines.parallel import scratch

if TYPE_CHECKING:
    from fdref.arrays import Array

LONG = 2**9
"""Terms up to which a sum may be added one by one in its own precision; more are added in float64.

Of 512 equal float32 terms up to 7e-6 of the sum is lost, of a thousand 1.4e-5, and twice as much
where such sums are the terms of another: the engine promises 1e-5."""

SMALL = 2**20
"""Multiply-adds up to which BLAS may add one by one (OpenBLAS: 10^6)."""

# NumPy multiplies a stack matrix by matrix. One GEMM over all, copies included, was up to 1.6 times
# as fast for matrices of 9 columns; from 32 on it never was by more than a tenth.
NARROW = 32
"""Maps of fewer pixels are multiplied together, not each by itself."""


def product(left: Array, right: Array, out: Array) -> None:
    """Multiply matrices, or stacks of them, as `numpy.matmul` does: one GEMM, or several pieces."""
    rows, terms = left.shape[-2:]
    columns = right.shape[-1]
    one_by_one = min(rows, columns) == 1 or rows * columns * terms <= SMALL
    if terms <= LONG or not one_by_one:
        np.matmul(left, right, out=out)
        return
    total = np.zeros(out.shape)  # float64: what is lost within a piece does not add up
    for first in range(0, terms, LONG):
        piece = slice(first, first + LONG)
        total += left[..., piece] @ right[..., piece, :]
    out[:] = total


def stacked_product(matrix: Array, stack: Array, products: Array) -> None:
    """Multiply a matrix (m, r) with each of a stack (n, r, p) into products (n, m, p)."""
    if stack.shape[2] >= NARROW:
        product(matrix, stack, products)
    else:
        together = stack.swapaxes(0, 1).reshape(matrix.shape[1], -1)
        wide = scratch("product", (len(matrix), together.shape[1]), matrix.dtype)
        product(matrix, together, wide)
        products[:] = wide.reshape(len(matrix), len(stack), -1).swapaxes(0, 1)


def sum_precision(terms: int, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the precision in which so many numbers are added up one by one."""
    return dtype if terms <= LONG else np.dtype(np.float64)

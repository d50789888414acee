"""Arithmetic that is too short."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.mistakes.mistake import Mistake, over
from fdref.engines import OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fdref.arrays import Array
    from fdref.conformance.case import Arrays, Case
    from fdref.conformance.compute import Outputs
    from fdref.conformance.mistakes.mistake import Wrong

    Operation = Callable[..., Array]

EVERY = (
    "correlate", "pool", "relu", "normalize", "bnorm", "substitute", "unpool", "respond",
    "forward", "decode", "project", "evaluate",
)  # fmt: skip
JUDGED = ("errors", "correlations", "mean", "std")
"""What evaluate makes of its responses, in whatever type."""
PRODUCTS = ("correlate", "substitute", "respond", "forward", "decode", "project", "evaluate",
            "occlude")  # fmt: skip
SEVERAL = 8
CLOSE = 4
"""So many of its own roundings a result of an arithmetic may be from what is expected."""


def bits_kept(bits: int) -> Callable[[Array], Array]:
    """Round float32 numbers to so many bits of the fraction, of two as near to the even one."""
    spare = 23 - bits

    def kept(values: Array) -> Array:
        single = np.ascontiguousarray(values, np.float32)
        number = single.view(np.uint32).astype(np.uint64)
        half = (1 << (spare - 1)) - 1 + ((number >> spare) & 1)
        short = ((number + half) >> spare << spare).astype(np.uint32).view(np.float32)
        return np.where(np.isnan(single), single, short).astype(values.dtype)

    return kept


def half(values: Array) -> Array:
    """Round numbers to float16."""
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(values.dtype)


def narrowed(short: Callable[[Array], Array], names: tuple[str, ...], *, after: bool) -> Wrong:
    """Round what operations take, and what they give."""

    def operation(right: Operation, *arguments: Any) -> Array:
        given = (short(a) if isinstance(a, np.ndarray) else a for a in arguments)
        found = right(*given)
        return short(found) if after else found

    return over(**dict.fromkeys(names, operation))


def single(right: Operation, *arguments: Any) -> Array:
    """Compute in float64, but round to float32 before and after."""
    wide = (a.astype(np.float64) if isinstance(a, np.ndarray) else a for a in arguments)
    return right(*wide).astype(np.float32)


SINGLE = over(
    **{name: single for name in OPERATIONS if name != "precision"},
    precision=lambda right, weights: np.dtype(np.float32),  # noqa: ARG005
)
COMPUTING = tuple(name for name in OPERATIONS if name != "precision")


def held(values: Array, short: Callable[[Array], Array]) -> bool:
    """Tell whether a type has these numbers."""
    with np.errstate(all="ignore"):
        wide = values.astype(np.float64)
        return np.array_equal(wide, short(wide), equal_nan=True)


class Short(Mistake):
    """An arithmetic whose results depend on the order of adding: its numbers' form tells it."""

    short: Callable[[Array], Array] = staticmethod(half)
    eps = 2.0**-10

    def compute(self, case: Case, folder: Path | None = None, **more: Any) -> Outputs | None:
        """Return the outputs of a case in the short type: also those that nothing computes."""
        found = super().compute(case, folder, **more)
        if not found:
            return found
        return {n: a if n in JUDGED or a.dtype.kind == "i" else self.short(a)
                for n, a in found.items()}  # fmt: skip

    def gives(self, case: Case, wrong: Arrays, got: Arrays) -> bool:
        """Tell whether results near what is expected are all numbers that the type has."""
        return (
            all(map(self._has, got.values()))
            and not self._shorter(got)
            and all(self._near(wrong[name], got[name]) for name in case.expected if name in got)
        )

    def _has(self, got: Array) -> bool:
        return held(got, self.short)

    def _shorter(self, got: Arrays) -> bool:
        """Tell whether a shorter type would have the numbers, too: there are enough to tell."""
        finite = (np.unique(values[np.isfinite(values)]) for values in got.values())
        several = [values for values in finite if values.size > SEVERAL]
        return bool(several) and all(held(values, bits_kept(7)) for values in several)

    def _near(self, wrong: Array, got: Array) -> bool:
        if wrong.shape != got.shape:
            return False
        with np.errstate(all="ignore"):
            finite = np.isfinite(wrong) & np.isfinite(got)
            error = np.abs(wrong[finite].astype(np.float64) - got[finite])
            largest = np.abs(wrong[finite]).max(initial=0)
            return bool(error.max(initial=0) <= CLOSE * self.eps * largest)


class Brain(Short):
    """bfloat16, the upper half of a float32."""

    short: Callable[[Array], Array] = staticmethod(bits_kept(7))
    eps = 2.0**-7

    def _shorter(self, got: Arrays) -> bool:  # noqa: ARG002 - the longer one needs it
        """Return False: there is none."""
        return False


ALL = (
    Mistake("float32",
        "results have the precision of float32; expected: float64 inputs ask for float64",
        ("correlate", "pool", "relu", "substitute", "unpool", "forward", "decode", "project"),
        SINGLE),
    Short("float16",
        "results are float16's numbers; expected: compute in the type of the inputs", EVERY,
        narrowed(half, COMPUTING, after=True)),
    Brain("bfloat16",
        "results are bfloat16's numbers; expected: compute in the type of the inputs", EVERY,
        narrowed(bits_kept(7), COMPUTING, after=True)),
    Mistake("tf32",
        "what is multiplied is rounded to 10 bits, TF32, as graphics cards do it unless told "
        "otherwise; expected: all bits of float32", PRODUCTS,
        narrowed(bits_kept(10), ("correlate", "substitute"), after=False)),
)  # fmt: skip

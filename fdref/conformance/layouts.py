"""Axis orders of whole results, recognised by their shapes before any number is judged."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.conformance.comparison import judge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from fdref.conformance.case import Arrays, Case
    from fdref.conformance.comparison import Outcome

    Restored = Callable[[NDArray[np.generic], tuple[int, ...]], NDArray[np.generic] | None]

ENOUGH = 2
"""So many shapes tell an order even where the numbers are wrong; by one it may be chance."""


class Attempt(NamedTuple):
    """A case that was answered with real numbers."""

    case: Case
    got: Arrays
    wrong: bool


@dataclass(frozen=True, eq=False)
class Layout:
    """An order of axes, or of numbers in memory, that is not (N, C, H, W)."""

    name: str
    sentence: str
    restored: Restored
    """Takes an output and the shape that is expected; gives the output in our order, or None where
    it cannot have this one."""

    def restore(self, case: Case, got: Arrays) -> Arrays | None:
        """Return outputs in our order; None where one does not fit, or all stay as they are."""
        found = {}
        for name, array in got.items():
            if name not in case.expected:
                return None
            shape = np.shape(case.expected[name])
            own = array if array.ndim == len(shape) < 2 else self.restored(array, shape)
            if own is None:
                return None
            found[name] = own
        same = (own.shape == got[n].shape and np.array_equal(own, got[n], equal_nan=True)
                for n, own in found.items())  # fmt: skip
        return None if all(same) else found

    def shows(self, case: Case) -> bool:
        """Tell whether the shape of an output would give it away."""
        shapes = (np.shape(array) for array in case.expected.values())
        return any(self.restored(np.empty(shape), shape) is None for shape in shapes)


def permuted(*axes: int) -> Restored:
    """Return axes to their places: `axes[i]` is where axis i of (N, C, H, W) was put."""

    def restored(array: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic] | None:
        if len(shape) != len(axes):
            return array if array.shape == shape else None
        if array.ndim != len(axes):
            return None
        own = array.transpose(axes)
        return own if own.shape == shape else None

    return restored


def squeezed(array: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic] | None:
    """Put axes of one element back, of which some or all were dropped."""
    if array.shape == shape:
        return None if 1 in shape else array
    longer = [n for n in shape if n != 1] == [n for n in array.shape if n != 1]
    return array.reshape(shape) if longer and array.ndim < len(shape) else None


def flat(array: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic] | None:
    """Give a row of numbers its shape."""
    return array.reshape(shape) if array.ndim == 1 and array.size == np.prod(shape) else None


def by_columns(array: NDArray[np.generic], shape: tuple[int, ...]) -> NDArray[np.generic] | None:
    """Read numbers that were written with the first index running fastest."""
    return array.ravel().reshape(shape, order="F") if array.shape == shape else None


LAYOUTS = (
    Layout("outputs-nhwc",
        "your outputs are (N, H, W, C), as in TensorFlow; expected: (N, C, H, W)",
        permuted(0, 3, 1, 2)),
    Layout("outputs-hwcn",
        "your outputs are (H, W, C, N), as in MATLAB; expected: (N, C, H, W)",
        permuted(3, 2, 0, 1)),
    Layout("outputs-reversed",
        "your outputs have their axes reversed, (W, H, C, N), as HDF5 shows MATLAB's; expected: "
        "(N, C, H, W)", permuted(3, 2, 1, 0)),
    Layout("outputs-chwn",
        "your outputs are (C, H, W, N); expected: (N, C, H, W)", permuted(3, 0, 1, 2)),
    Layout("outputs-transposed",
        "rows and columns of your outputs are exchanged, (N, C, W, H); expected: (N, C, H, W)",
        permuted(0, 1, 3, 2)),
    Layout("outputs-channels-first",
        "your outputs are (C, N, H, W); expected: (N, C, H, W)", permuted(1, 0, 2, 3)),
    Layout("outputs-squeezed",
        "axes of one element are dropped from your outputs; expected: all four axes, (N, C, H, W)",
        squeezed),
    Layout("outputs-flat",
        "your outputs are one row of numbers; expected: the shape (N, C, H, W)", flat),
    Layout("outputs-in-fortran-order",
        "the numbers of your outputs are in Fortran's order, the first index running fastest; "
        "expected: C order, the last index running fastest", by_columns),
)  # fmt: skip
"""Of two that fit as many cases the first is taken."""


class Recognised(NamedTuple):
    """An order, and the cases that have it."""

    layout: Layout
    cases: tuple[str, ...]


def recognise(attempts: Sequence[Attempt]) -> tuple[list[Attempt], list[Recognised]]:
    """Find out in which order the outputs of each operation are, and put them into ours.

    Returns
    -------
    attempts : list of Attempt
        The same, restored, and judged anew.
    found : list of Recognised
        The orders, first the one that most cases have.
    """
    by_operation: dict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        by_operation[attempt.case.operation].append(attempt)
    restored: dict[str, Attempt] = {}
    cases: dict[Layout, list[str]] = defaultdict(list)
    for own in by_operation.values():
        if not any(attempt.wrong for attempt in own):
            continue
        fitting = {layout: _fitting(layout, own) for layout in LAYOUTS}
        layout = max(LAYOUTS, key=lambda one: len(fitting[one]))
        restored |= fitting[layout]
        cases[layout] += fitting[layout]
    found = [Recognised(layout, tuple(names)) for layout, names in cases.items() if names]
    found.sort(key=lambda one: -len(one.cases))
    return [restored.get(attempt.case.id, attempt) for attempt in attempts], found


def _fitting(layout: Layout, attempts: Iterable[Attempt]) -> dict[str, Attempt]:
    """Return the wrong attempts at one operation, restored; none if that is but chance."""
    found: dict[str, Attempt] = {}
    by_shape = right = against = 0
    for case, got, wrong in attempts:
        own = layout.restore(case, got)
        if not wrong:
            against += own is not None and _wrong(case, own)
        elif own is not None:
            found[case.id] = Attempt(case, own, _wrong(case, own))
            right += not found[case.id].wrong
            by_shape += layout.shows(case)
        else:
            against += layout.shows(case)
    told = right or by_shape >= ENOUGH
    return found if told and len(found) > against else {}


def _wrong(case: Case, got: Arrays) -> bool:
    outcome: Outcome = judge(case, got).outcome
    return outcome.value != "pass"

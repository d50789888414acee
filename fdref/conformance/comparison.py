"""Is an answer right, and if not, where and by how much is it off."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fdref.conformance.case import Tolerance
from fdref.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from fdref.conformance.case import Arrays, Case

    Answer: TypeAlias = "Arrays | Problem | None"
    """Outputs by name, or why there are none to compare, or nothing: not attempted."""

REAL = "biuf"
"""The kinds of dtypes that are compared."""

ULPS = 4
"""How far a wrong result may be off a mistake's where the right one must match bit for bit."""


STAGED = ("decode",)
"""Operations whose outputs are steps on the way to the last: whoever has that alone has it all."""

LONGEST = 300
"""Characters of what a stranger says."""


class Outcome(StrEnum):
    """What became of a case."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    NOT_ATTEMPTED = "not attempted"
    EXPECTED_FAILURE = "expected failure"
    UNEXPECTEDLY_PASSED = "unexpectedly passed"


@dataclass(frozen=True)
class Problem:
    """Why there are no outputs to compare, in one sentence that starts with a verb or a name."""

    sentence: str


@dataclass(frozen=True)
class Numbers:
    """How the numbers of one output differ from what is expected.

    Attributes
    ----------
    index : tuple of int
        The place that is farthest beyond its tolerance.
    expected, got : float
        The two values there.
    off, count : int
        How many values are beyond their tolerance, of how many.
    absolute : float
        The largest error; infinite where one of the two is NaN or infinite and the other is not.
    of_largest : float or None
        The largest error divided by the largest finite absolute value that is expected anywhere in
        the output; None where that is 0, or the error is infinite.
    relative : float or None
        The largest error divided by what is expected; None where that is always 0.
    ulp : int or None
        The largest count of floating-point numbers from one to the other, in the type of what is
        expected; None where that is whole numbers, or none of the two are finite.
    """

    index: tuple[int, ...]
    expected: float
    got: float
    off: int
    count: int
    absolute: float
    of_largest: float | None
    relative: float | None
    ulp: int | None


@dataclass(frozen=True)
class Difference:
    """One output that is not as expected: a problem with it as a whole, or its numbers."""

    output: str
    problem: str = ""
    numbers: Numbers | None = None
    note: str = ""
    """What is remarkable about the numbers."""

    @property
    def unnamed(self) -> bool:
        """Whether this does not yet say what is wrong: it is not missing, nor of a wrong type."""
        return self.problem.startswith("has shape") or (self.numbers is not None and not self.note)


@dataclass(frozen=True)
class Verdict:
    """What became of a case, and why.

    Attributes
    ----------
    case : Case
    outcome : Outcome
    problem : str
        Why nothing could be compared, or what is wrong beside the outputs.
    differences : tuple of Difference
        In the order of the outputs: the first is the first stage that differs.
    excuse : str or None
        Why it may fail, in the implementer's words; None where it may not.
    got : dict
        The outputs, where there are any.
    warnings : tuple of str
        What is odd, and no failure.
    """

    case: Case
    outcome: Outcome
    problem: str = ""
    differences: tuple[Difference, ...] = ()
    excuse: str | None = None
    got: Arrays = field(default_factory=dict, repr=False)
    warnings: tuple[str, ...] = ()

    @property
    def good(self) -> bool:
        """Whether this stands in nobody's way."""
        excused = self.outcome is Outcome.NOT_ATTEMPTED and self.excuse is not None
        return excused or self.outcome in (Outcome.PASS, Outcome.EXPECTED_FAILURE)

    @property
    def failed(self) -> bool:
        """Whether the answer is wrong, excused or not."""
        return self.outcome in (Outcome.FAIL, Outcome.EXPECTED_FAILURE)

    @property
    def diagnosable(self) -> bool:
        """Whether there are wrong numbers that a mistake could explain."""
        real = bool(self.got) and all(array.dtype.kind in REAL for array in self.got.values())
        return self.failed and real and not self.case.refused

    @property
    def told(self) -> bool:
        """Whether what is wrong has a name without a diagnosis: an output's, or a note's."""
        return not any(one.unnamed for one in self.differences)


def judge(case: Case, got: Answer) -> Verdict:
    """Compare what an implementation gives with what a case expects.

    Outputs that nobody asked for are not looked at, and where outputs are stages the last alone
    will do; both are told as warnings.

    Examples
    --------
    >>> from fdref.conformance.case import Case
    >>> case = Case("one", "relu", "2.3", "One pixel.", {}, {}, {"rectified": np.float32([0, 2])})
    >>> judge(case, {"rectified": np.array([-0.0, 2.0])}).outcome.value
    'pass'
    >>> judge(case, {"rectified": np.array([0.0, 3.0])}).differences[0].numbers.index
    (1,)
    >>> judge(case, None).outcome.value
    'not attempted'
    """
    if got is None:
        return Verdict(case, Outcome.NOT_ATTEMPTED)
    if isinstance(got, Problem):
        return Verdict(case, Outcome.FAIL, readable(got.sentence))
    warnings = []
    extra = [name for name in got if name not in case.expected]
    if extra:
        warnings.append(f"has {_quoted(extra)}, which nobody asked for")
    asked = list(case.expected)
    if case.operation in STAGED and len(asked) > 1 and given(asked, got) == asked[-1:]:
        asked = asked[-1:]
        warnings.append("gives the last stage alone, of which the others are steps")
    found = (difference(name, case, got.get(name)) for name in asked)
    differences = tuple(one for one in found if one is not None)
    outcome = Outcome.FAIL if differences else Outcome.PASS
    return Verdict(case, outcome, "", differences, got=got, warnings=tuple(warnings))


def given(names: Iterable[str], got: Arrays) -> list[str]:
    """Return those of some outputs that there are."""
    return [name for name in names if name in got]


def readable(text: str) -> str:
    r"""Make what a stranger says one line that commands no terminal, and not too long.

    >>> readable("\x1b[31mred\nand more")
    '?[31mred and more'
    """
    return one_line(" ".join(text.split()), LONGEST)


def excused(verdict: Verdict, reason: str) -> Verdict:
    """Judge again, a failure being expected."""
    outcome = {
        Outcome.FAIL: Outcome.EXPECTED_FAILURE,
        Outcome.PASS: Outcome.UNEXPECTEDLY_PASSED,
    }.get(verdict.outcome, verdict.outcome)
    return replace(verdict, outcome=outcome, excuse=reason)


def difference(name: str, case: Case, got: NDArray[Any] | None) -> Difference | None:
    """Compare one output of a case; None where it is as expected."""
    expected = np.asarray(case.expected[name])
    if got is None:
        return Difference(name, "is missing")
    if got.dtype.kind not in REAL:
        return Difference(name, f"has dtype {got.dtype}; expected real numbers")
    if got.shape != expected.shape and not got.size == expected.size == 1:
        return Difference(name, f"has shape {got.shape}; expected {expected.shape}")
    if case.refused and not np.all(got):
        return Difference(name, "is 0: this was computed, and must be refused")
    got = got.reshape(expected.shape)
    numbers = compare(expected, got, case.tolerance.of(name))
    if numbers is None:
        return None
    return Difference(name, numbers=numbers, note=_precision(expected, got))


def compare(expected: NDArray[Any], got: NDArray[Any], tolerance: Tolerance) -> Numbers | None:
    """Compare two arrays of one shape in float64; None where all values are near enough.

    NaN equals NaN, 0 equals -0, and an infinity equals itself alone.
    """
    with np.errstate(all="ignore"):
        right, found = (values.astype(np.float64).ravel() for values in (expected, got))
        off = beyond(right, found, tolerance)
        if not off.any():
            return None
        error = np.abs(found - right)
        error[np.isnan(error)] = np.inf
        worst = np.argmax(np.where(off, error - tolerance.rtol * np.abs(right), -np.inf))
        divisible = off & np.isfinite(right) & (right != 0)
        relative = error[divisible] / np.abs(right[divisible])
        return Numbers(
            tuple(map(int, np.unravel_index(worst, expected.shape))),
            float(right[worst]),
            float(found[worst]),
            int(off.sum()),
            off.size,
            float(error[off].max()),
            _of_largest(float(error[off].max()), right),
            float(relative.max()) if relative.size else None,
            _ulps(expected.ravel()[off], got.ravel()[off]),
        )


def _of_largest(error: float, expected: NDArray[np.float64]) -> float | None:
    """Return an error in proportion to the largest of what is expected."""
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=0)
    return error / float(largest) if largest and np.isfinite(error) else None


def beyond(
    expected: NDArray[np.float64], got: NDArray[np.float64], tolerance: Tolerance
) -> NDArray[np.bool_]:
    """Tell for each value whether it is farther off than the tolerance allows."""
    with np.errstate(all="ignore"):
        same = (expected == got) | (np.isnan(expected) & np.isnan(got))
        near = np.abs(got - expected) <= tolerance.atol + tolerance.rtol * np.abs(expected)
        off: NDArray[np.bool_] = ~(same | (near & np.isfinite(expected)))
        return off


def equal(case: Case, wanted: Arrays, got: Arrays) -> bool:
    """Tell whether outputs equal others within the case's tolerance, shapes and NaN included.

    What is not among the case's outputs is not looked at, nor what was not given, if anything was.
    """
    names = given(case.expected, got)
    last = ULPS * float(np.finfo(case.dtype).eps)

    def near(name: str) -> bool:
        one, other = np.asarray(wanted[name]), np.asarray(got[name])
        if one.shape != other.shape:
            return False
        one, other = one.astype(np.float64), other.astype(np.float64)
        own = case.tolerance.of(name)
        least = last * float(np.abs(one[np.isfinite(one)]).max(initial=0))  # what cancels
        wide = Tolerance(max(own.rtol, last), max(own.atol, least), own.reason)
        return not beyond(one, other, wide).any()

    return bool(names) and all(name in wanted and near(name) for name in names)


def _ulps(expected: NDArray[Any], got: NDArray[Any]) -> int | None:
    """Return how many floating-point numbers two arrays are apart at most."""
    if expected.dtype not in (np.float32, np.float64):
        return None
    rounded = got.astype(expected.dtype)
    finite = np.isfinite(expected) & np.isfinite(rounded)
    if not finite.any():
        return None
    one, other = _ranks(expected[finite]), _ranks(rounded[finite])
    # Of numbers with different signs the difference needs the 64th bit.
    apart = np.maximum(one, other).view(np.uint64) - np.minimum(one, other).view(np.uint64)
    return int(apart.max())


def _ranks(values: NDArray[Any]) -> NDArray[np.int64]:
    """Give floating-point values whole numbers in their order, 0 and -0 being 0."""
    bits = values.view(f"i{values.itemsize}").astype(np.int64)
    lowest = np.int64(np.iinfo(f"i{values.itemsize}").min)
    return np.where(bits < 0, lowest - bits, bits)


def _precision(expected: NDArray[Any], got: NDArray[Any]) -> str:
    """Say where a type too short is to blame."""
    if expected.dtype != np.float64:
        return ""
    with np.errstate(all="ignore"):
        rounded = expected.astype(np.float32).astype(np.float64)
        if np.array_equal(got.astype(np.float64), rounded, equal_nan=True):
            return "these are the expected values rounded to float32: compute in float64"
    if got.dtype.kind == "f" and got.dtype.itemsize < expected.dtype.itemsize:
        return f"the result is {got.dtype}; expected float64, the type of the inputs"
    return ""


def _quoted(names: Any) -> str:
    return ", ".join(f"`{one_line(name)}`" for name in names)

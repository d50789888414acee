"""What is wrong, told so that it is found: failures of one mistake together, an example first."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from fdref.conformance.case import Case
    from fdref.conformance.comparison import Difference, Numbers, Verdict
    from fdref.conformance.examination import Report

FEW = 10_000
"""Floating-point numbers between two, above which their count says nothing."""

LONGEST = 240
"""Characters of a case's parameters, which may be a whole network."""


class Group(NamedTuple):
    """Failures with one reason: a mistake that gives them all, or the same problem."""

    reason: str
    verdicts: tuple[Verdict, ...]


def groups(report: Report, verdicts: Iterable[Verdict]) -> list[Group]:
    """Sort failures by their reason; what has none that is known stands alone.

    Groups are in the order of their first cases; in each, the case with the fewest numbers comes
    first, as the easiest to look into.
    """
    causes = report.causes()
    found: dict[tuple[str, ...], list[Verdict]] = {}
    for verdict in verdicts:
        name = verdict.case.id
        mistake = next((one.mistake.name for one in causes if name in one.explains), "")
        reason = mistake or verdict.problem
        found.setdefault((reason,) if reason else ("", name), []).append(verdict)
    return [
        Group(reason, tuple(sorted(members, key=lambda one: _size(one.case))))
        for (reason, *_), members in found.items()
    ]


def _size(case: Case) -> int:
    return sum(array.size for array in (*case.inputs.values(), *case.expected.values()))


def oddities(report: Report) -> dict[str, list[str]]:
    """Return the warnings about answers, with the IDs; what failed tells of its own."""
    found: dict[str, list[str]] = {}
    for verdict in report.verdicts:
        for warning in () if verdict.failed else verdict.warnings:
            found.setdefault(warning, []).append(verdict.case.id)
    return found


def failure(verdict: Verdict) -> Iterator[str]:
    """Say in a few lines how a case failed."""
    case = verdict.case
    yield f"{verdict.outcome}: {case.id} ({case.operation}, section {case.section}): {case.about}"
    if case.parameters:
        yield f"  with {parameters(case)}"
    if verdict.problem:
        yield f"  {verdict.problem}"
    if len(case.expected) > 1 and verdict.differences:
        yield f"  first to differ: {verdict.differences[0].output}, of {', '.join(case.expected)}"
    if verdict.differences:
        yield from (f"  {line}" for line in describe(verdict.differences[0]))
    others = [one.output for one in verdict.differences[1:]]
    if others:
        yield f"  as well: {', '.join(others)}"
    yield from (f"  {warning}" for warning in verdict.warnings)


def in_short(verdict: Verdict) -> str:
    """Say in one line how a case failed."""
    return verdict.problem or "; ".join(describe(verdict.differences[0]))


def parameters(case: Case, most: int | None = LONGEST) -> str:
    """Write a case's parameters as JSON has them, the network last: that may be cut off.

    >>> from fdref.conformance.case import Case
    >>> parameters(Case("a", "pool", "2.2", "", {}, {"window": [2, 2], "method": "max"}, {}))
    'window [2, 2], method "max"'
    """
    in_order = sorted(case.parameters.items(), key=lambda one: one[0] == "network")
    words = ", ".join(f"{name} {json.dumps(value)}" for name, value in in_order)
    return words if most is None or len(words) <= most else f"{words[:most].rstrip()} ..."


def describe(difference: Difference) -> Iterator[str]:
    """Say what is wrong with one output."""
    numbers = difference.numbers
    if numbers is None:
        yield f"{difference.output} {difference.problem}"
        return
    place = f"[{', '.join(map(str, numbers.index))}]" if numbers.index else ""
    got, expected = pair_of_numbers(numbers)
    yield f"{difference.output}{place} is {got}; expected {expected}"
    yield f"{numbers.off} of {numbers.count} values off, {errors(numbers)}"
    if difference.note:
        yield difference.note


def pair_of_numbers(numbers: Numbers) -> tuple[str, str]:
    """Write what was got and what was expected, with as many digits as it takes to differ."""
    got, expected = f"{numbers.got:.7g}", f"{numbers.expected:.7g}"
    return (got, expected) if got != expected else (repr(numbers.got), repr(numbers.expected))


def errors(numbers: Numbers) -> str:
    """Write the largest errors."""
    if not math.isfinite(numbers.absolute):
        return "NaN or infinite where the other is not"
    said = f"at most by {numbers.absolute:.3g}"
    if numbers.of_largest is not None:
        said += f", {numbers.of_largest:.3g} of the largest value"
    if numbers.ulp is not None and numbers.ulp < FEW:
        said += f", {numbers.ulp} ulp"
    return said


def shortened(names: Sequence[str], most: int = 8) -> str:
    """Join names, of many only the first."""
    rest = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *rest])

"""What was found, as text for people and as JSON for programs."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import fdref
from fdref.conformance.comparison import Outcome
from fdref.drawing.text_table import table

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from fdref.conformance.comparison import Difference, Numbers, Verdict
    from fdref.conformance.diagnosis import Explanation
    from fdref.conformance.examination import Report

SCHEMA = 1
ALWAYS = (Outcome.PASS, Outcome.FAIL, Outcome.NOT_ATTEMPTED)


def text(report: Report) -> str:
    """Set a report as lines for a terminal: coverage, failures, diagnosis."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.subject}, against the conformance kit of fdref {report.kit}"
    yield ""
    yield _coverage(report)
    for verdict in report.verdicts:
        if verdict.outcome is Outcome.FAIL:
            yield ""
            yield from failure(verdict)
    yield from _listed("expected failures", report, Outcome.EXPECTED_FAILURE)
    yield from _listed("unexpectedly passed", report, Outcome.UNEXPECTEDLY_PASSED)
    yield from _missing(report)
    if report.strays:
        yield "\nfiles that were not judged:"
        yield from (f"  {stray}" for stray in report.strays)
    if report.explanations or report.unexplained():
        yield "\ndiagnosis:"
        yield from (f"  {line}" for line in diagnosis(report))
    yield ""
    yield verdict_on(report)


def verdict_on(report: Report) -> str:
    """Say in one sentence how it went."""
    if report.conforms:
        allowed = len(report.verdicts) - report.count(Outcome.PASS)
        rest = f", {allowed} excused" if allowed else ""
        return f"conforms: {report.count(Outcome.PASS)} of {len(report.verdicts)} cases pass{rest}"
    counts = ", ".join(f"{report.count(one)} {one}" for one in Outcome if report.count(one))
    return f"does not conform: of {len(report.verdicts)} cases, {counts}"


def _coverage(report: Report) -> str:
    """Set the coverage, a row for each operation, without rare outcomes that there are not."""
    shown = [one for one in Outcome if one in ALWAYS or report.count(one)]
    rows = [
        (row.operation, ", ".join(row.sections), len(row.verdicts), *map(row.count, shown))
        for row in report.coverage()
    ]
    rows.append(("all", "", len(report.verdicts), *map(report.count, shown)))
    header = ("operation", "section", "cases", *shown)
    return table(header, [tuple(map(str, row)) for row in rows], texts=2)


def failure(verdict: Verdict) -> Iterator[str]:
    """Say in a few lines how a case failed."""
    case = verdict.case
    yield f"{verdict.outcome}: {case.id} ({case.operation}, section {case.section}): {case.about}"
    if verdict.problem:
        yield f"  {verdict.problem}"
    if len(case.expected) > 1 and verdict.differences:
        yield f"  first to differ: {verdict.differences[0].output}, of {', '.join(case.expected)}"
    if verdict.differences:
        yield from (f"  {line}" for line in describe(verdict.differences[0]))
    others = [one.output for one in verdict.differences[1:]]
    if others:
        yield f"  as well: {', '.join(others)}"


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
    parts = [f"{numbers.absolute:.3g} absolute"]
    if numbers.relative is not None:
        parts.append(f"{numbers.relative:.3g} relative")
    if numbers.ulp is not None:
        parts.append(f"{numbers.ulp:.3g} ulp" if numbers.ulp >= 10**6 else f"{numbers.ulp} ulp")
    return f"at most by {', '.join(parts)}"


def diagnosis(report: Report) -> Iterator[str]:
    """Name the mistakes whose results these are."""
    for found in report.causes():
        yield f"{found.mistake.name}: {found.mistake.sentence}"
        yield f"  {reach(found)}"
    if report.unexplained():
        known = "no mistake known to the kit gives the result of"
        yield f"{known} {shortened(report.unexplained())}"


def reach(found: Explanation) -> str:
    """Say which of the failed cases a mistake explains."""
    if not found.leaves:
        return f"gives the result of {shortened(found.explains)}"
    count = len(found.explains) + len(found.leaves)
    return (
        f"gives the result of {len(found.explains)} of {count}: "
        f"{shortened(found.explains)}; not of {shortened(found.leaves)}"
    )


def shortened(names: Sequence[str], most: int = 8) -> str:
    """Join names, of many only the first."""
    rest = [f"{len(names) - most} more"] if len(names) > most else []
    return ", ".join([*names[:most], *rest])


def _listed(title: str, report: Report, outcome: Outcome) -> Iterator[str]:
    """List cases by what excuses them."""
    by_excuse: dict[str | None, list[str]] = {}
    for verdict in report.verdicts:
        if verdict.outcome is outcome:
            by_excuse.setdefault(verdict.excuse, []).append(verdict.case.id)
    if by_excuse:
        yield f"\n{title}:"
    for excuse, names in by_excuse.items():
        yield f"  {', '.join(names)}" + (f" ({excuse})" if excuse else "")


def _missing(report: Report) -> Iterator[str]:
    """List what was not attempted by operation."""
    if report.count(Outcome.NOT_ATTEMPTED):
        yield "\nnot attempted:"
    for row in report.coverage():
        names = [one.case.id for one in row.verdicts if one.outcome is Outcome.NOT_ATTEMPTED]
        if len(names) == len(row.verdicts) > 1:
            yield f"  {row.operation}: all {len(names)}"
        elif names:
            yield f"  {row.operation}: {', '.join(names)}"


def as_json(report: Report) -> dict[str, Any]:
    """Set a report as what JSON can hold.

    ========================  ====================================================================
    ``schema``                1
    ``fdref``                 the version that judged
    ``kit``                   the version of fdref that wrote the kit
    ``subject``               what was examined
    ``conforms``              whether it does: true exactly where the exit status is 0
    ``counts``                {outcome: number of cases}, of all outcomes
    ``coverage``              a list with ``operation``, ``sections``, ``cases``, and ``counts``
    ``cases``                 a list, see below
    ``diagnosis``             a list with ``mistake``, ``sentence``, ``explains``, ``leaves``: the
                              IDs of failed cases
    ``strays``                sentences about files that belong to no case
    ========================  ====================================================================

    A case has ``id``, ``operation``, ``section``, ``about``, ``tolerance`` (as in manifest.json),
    ``outcome``, ``excuse`` (text, or null where it may not fail), ``problem`` (text, empty where
    the outputs could be compared), ``first_difference`` (the output, or null), ``differences`` and
    ``mistakes`` (names of those that give its result). A difference has ``output``, ``problem``,
    ``note`` and ``numbers``: null, or ``index``, ``expected``, ``got``, ``off``, ``count``,
    ``absolute``, ``relative``, ``ulp``. Numbers that JSON does not have are the texts "nan", "inf"
    and "-inf".
    """
    return {
        "schema": SCHEMA,
        "fdref": fdref.__version__,
        "kit": report.kit,
        "subject": report.subject,
        "conforms": report.conforms,
        "counts": {one.value: report.count(one) for one in Outcome},
        "coverage": [
            {
                "operation": row.operation,
                "sections": list(row.sections),
                "cases": len(row.verdicts),
                "counts": {one.value: row.count(one) for one in Outcome},
            }
            for row in report.coverage()
        ],
        "cases": [_case(report, verdict) for verdict in report.verdicts],
        "diagnosis": [
            {
                "mistake": found.mistake.name,
                "sentence": found.mistake.sentence,
                "explains": list(found.explains),
                "leaves": list(found.leaves),
            }
            for found in report.explanations
        ],
        "strays": list(report.strays),
    }


def _case(report: Report, verdict: Verdict) -> dict[str, Any]:
    case, differences = verdict.case, verdict.differences
    return {
        "id": case.id,
        "operation": case.operation,
        "section": case.section,
        "about": case.about,
        "tolerance": asdict(case.tolerance),
        "outcome": verdict.outcome.value,
        "excuse": verdict.excuse,
        "problem": verdict.problem,
        "first_difference": differences[0].output if differences else None,
        "differences": [
            {
                "output": one.output,
                "problem": one.problem,
                "note": one.note,
                "numbers": one.numbers and _numbers(one.numbers),
            }
            for one in differences
        ],
        "mistakes": [mistake.name for mistake in report.mistakes.get(case.id, ())],
    }


def _numbers(numbers: Numbers) -> dict[str, Any]:
    plain = {name: _finite(value) for name, value in asdict(numbers).items()}
    return plain | {"index": list(numbers.index)}


def _finite(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value

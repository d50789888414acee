"""What was found, as text for people and as JSON for programs."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import fdref
from fdref.conformance.comparison import Outcome
from fdref.conformance.failures import failure, groups, oddities, shortened
from fdref.drawing.text_table import table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.conformance.comparison import Numbers, Verdict
    from fdref.conformance.diagnosis import Explanation
    from fdref.conformance.examination import Report

SCHEMA = 2
"""Of what `as_json` returns and report.schema.json describes; one more whenever a reader of the old
would go wrong."""
ALWAYS = (Outcome.PASS, Outcome.FAIL, Outcome.NOT_ATTEMPTED)


def text(report: Report) -> str:
    """Set a report as lines for a terminal: coverage, failures, diagnosis."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"{report.subject}, against the conformance kit of fdref {report.kit}"
    yield from facts(report)
    yield ""
    yield _coverage(report)
    yield from _failures(report)
    yield from _listed("expected failures", report, Outcome.EXPECTED_FAILURE)
    yield from _listed("unexpectedly passed", report, Outcome.UNEXPECTEDLY_PASSED)
    yield from _missing(report)
    yield from _warnings(report)
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
        passed = f"{report.count(Outcome.PASS)} of {len(report.verdicts)} cases pass{rest}"
        return f"conforms{_for(report)}: {passed}"
    counts = ", ".join(f"{report.count(one)} {one}" for one in Outcome if report.count(one))
    nothing = "" if report.count(Outcome.PASS) else ", and nothing passes"
    return f"does not conform{_for(report)}: of {len(report.verdicts)} cases, {counts}{nothing}"


def _for(report: Report) -> str:
    return report.circumstances.part and f" for {report.circumstances.part}"


def facts(report: Report) -> Iterator[str]:
    """Say what was judged, and when, by what it can be told again."""
    about = report.circumstances
    if about.specification:
        digest = about.manifest and f", manifest sha256 {about.manifest}"
        yield f"specification {about.specification}{digest}"
    if about.judged:
        by = f"judged {about.judged} by fdref {fdref.__version__}"
        yield f"{by}, results of {' to '.join(about.answered)}" if about.answered else by


def _failures(report: Report) -> Iterator[str]:
    """Tell what failed: of failures with one reason the first, of the others the names."""
    failed = [one for one in report.verdicts if one.outcome is Outcome.FAIL]
    for reason, (first, *others) in groups(report, failed):
        yield ""
        yield from failure(first)
        if others:
            alike = ", ".join(one.case.id for one in others)
            yield f"  {len(others)} more, {reason}: {alike}"


def _warnings(report: Report) -> Iterator[str]:
    """Tell what is odd, and no failure; that of failed cases has been told with them."""
    by_warning = oddities(report)
    if by_warning or report.circumstances.warnings:
        yield "\nwarnings:"
    yield from (f"  {warning}" for warning in report.circumstances.warnings)
    for warning, names in by_warning.items():
        yield f"  {warning}: {shortened(names)}"


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


def diagnosis(report: Report) -> Iterator[str]:
    """Name the mistakes whose results these are."""
    for found in report.causes():
        yield f"{named(found)}: {found.mistake.sentence}"
        yield f"  {reach(found)}"
        yield from (f"  {line}" for line in objections(report, found))
    if report.unexplained():
        known = "no mistake known to the kit gives the result of"
        yield f"{known} {shortened(report.unexplained())}"


def named(found: Explanation) -> str:
    """Name a mistake, with a doubt where there is one."""
    return found.mistake.name if found.sure else f"perhaps {found.mistake.name}"


def reach(found: Explanation) -> str:
    """Say which of the failed cases a mistake explains."""
    if not found.leaves:
        return f"gives the result of {shortened(found.explains)}"
    count = len(found.explains) + len(found.leaves)
    return (
        f"gives the result of {len(found.explains)} of {count}: "
        f"{shortened(found.explains)}; not of {shortened(found.leaves)}"
    )


def objections(report: Report, found: Explanation) -> Iterator[str]:
    """Say what speaks against a mistake."""
    failed = {one.case.id for one in report.verdicts if one.failed}
    right = [name for name in found.refuted_by if name not in failed]
    wrong = [name for name in found.refuted_by if name in failed]
    if right:
        yield f"but it would make wrong what passes: {shortened(right)}"
    if wrong:
        yield f"but these fail in another way: {shortened(wrong)}"
    if found.rivals:
        yield f"but these give the same results: {shortened(found.rivals)}"
    if found.spares:
        yield f"not in {shortened(found.spares)}"


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
    """Set a report as what JSON can hold, as report.schema.json beside this file describes it.

    Numbers that JSON does not have are the texts "nan", "inf" and "-inf". What may be added without
    another number of the schema are keys: readers must expect some that they do not know.
    """
    about = report.circumstances
    return {
        "schema": SCHEMA,
        "fdref": fdref.__version__,
        "kit": report.kit,
        "specification": about.specification or None,
        "manifest_sha256": about.manifest or None,
        "subject": report.subject,
        "judged": about.judged or None,
        "answered": list(about.answered),
        "part": about.part,
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
                "sure": found.sure,
                "explains": list(found.explains),
                "leaves": list(found.leaves),
                "refuted_by": list(found.refuted_by),
                "spares": list(found.spares),
                "rivals": list(found.rivals),
            }
            for found in report.explanations
        ],
        "strays": list(report.strays),
        "warnings": list(about.warnings),
    }


def _case(report: Report, verdict: Verdict) -> dict[str, Any]:
    case, differences = verdict.case, verdict.differences
    return {
        "id": case.id,
        "operation": case.operation,
        "section": case.section,
        "about": case.about,
        "parameters": dict(case.parameters),
        "tolerance": asdict(case.tolerance),
        "outcome": verdict.outcome.value,
        "excuse": verdict.excuse,
        "problem": verdict.problem,
        "warnings": list(verdict.warnings),
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

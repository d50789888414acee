"""A report as one page that needs nothing else, to be read at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import fdref
from fdref.conformance.comparison import Outcome
from fdref.conformance.failures import describe, groups, oddities, parameters
from fdref.conformance.report import objections, verdict_on
from fdref.conformance.slices import pictures
from fdref.drawing.web_page import data_uri, render

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.conformance.case import Tolerance
    from fdref.conformance.comparison import Verdict
    from fdref.conformance.examination import Report


class Mark(NamedTuple):
    """The class of an outcome in the style, and a sign for whoever does not see the colour."""

    style: str
    sign: str


MARKS = {
    Outcome.PASS: Mark("pass", "✓"),
    Outcome.FAIL: Mark("fail", "✕"),
    Outcome.NOT_ATTEMPTED: Mark("open", "·"),
    Outcome.EXPECTED_FAILURE: Mark("known", "✕"),
    Outcome.UNEXPECTEDLY_PASSED: Mark("odd", "!"),
}

SIDE = 168
"""Pixels of the screen that a picture's longer side may have."""


class Figure(NamedTuple):
    """A picture in the page, enlarged by a whole number."""

    source: str
    width: int
    height: int
    alt: str
    size: str
    scale: str


def page(report: Report) -> str:
    """Set a report as one HTML document, the same for the same input."""
    return render(
        "check.html",
        title=f"Conformance of {report.subject}",
        facts=dict(_facts(report)),
        report=report,
        groups=groups(report, [one for one in report.verdicts if one.failed]),
        odd=oddities(report),
        parameters=parameters,
        verdict=verdict_on(report),
        Outcome=Outcome,
        marks=MARKS,
        describe=describe,
        objections=objections,
        allowed=_allowed,
        figures=_figures,
    )


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    """Say by what a report can be told again."""
    about = report.circumstances
    if about.part:
        yield "Part", about.part
    yield "Kit", f"written by fdref {report.kit}, {len(report.verdicts)} cases"
    if about.specification:
        yield "Specification", about.specification
    if about.manifest:
        yield "Manifest", f"SHA-256 {about.manifest}"
    if about.answered:
        yield "Results of", " to ".join(about.answered)
    yield "Judged", f"{about.judged} by fdref {fdref.__version__}".strip()


def _allowed(tolerance: Tolerance) -> str:
    if not tolerance.rtol and not tolerance.atol:
        return f"Must be the same bit for bit: {tolerance.reason}."
    parts = [f"{tolerance.atol:.3g}"] if tolerance.atol else []
    parts += [f"{tolerance.rtol:.3g} × |expected|"] if tolerance.rtol else []
    return f"Allowed is an error of {' + '.join(parts)}: {tolerance.reason}."


def _figures(verdict: Verdict) -> Iterator[Figure]:
    """Show the first output that differs."""
    for difference in verdict.differences[:1]:
        drawn = pictures(verdict, difference)
        index = () if difference.numbers is None else difference.numbers.index[:-2]
        place = "".join(f"[{i}]" for i in index)
        for picture in drawn:
            height, width = picture.colours.shape[:2]
            zoom = max(1, SIDE // max(height, width))
            yield Figure(
                data_uri(picture.png()),
                width * zoom,
                height * zoom,
                f"{picture.title}: {difference.output}{place}",
                f"{height}×{width}",
                picture.scale,
            )

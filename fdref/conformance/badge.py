"""A report as a badge: one small picture that says how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.conformance.comparison import Outcome
from fdref.conformance.report import verdict_on
from fdref.drawing.web_page import render

if TYPE_CHECKING:
    from fdref.conformance.examination import Report

GOOD, BAD = "#2a7d4a", "#b3261e"
NARROW, WIDE = "fijlrt .,:;'|!()[]I1", "mwMW%@"
MARGIN = 7
LONGEST = 40
"""Characters of the name of what was judged."""


def badge(report: Report) -> str:
    """Draw a report as SVG, 20 pixels high; the same for the same report."""
    part = report.circumstances.part or "filter decoding"
    label = f"{part[: LONGEST - 1]}…" if len(part) > LONGEST else part
    passed = f"{report.count(Outcome.PASS)} of {len(report.verdicts)}"
    said = f"conforms, {passed}" if report.conforms else f"{passed} pass"
    left, right = width(label), width(said)
    return render(
        "badge.svg",
        label=label,
        said=said,
        title=f"{report.subject} {verdict_on(report)}",
        left=left + 2 * MARGIN,
        right=right + 2 * MARGIN,
        widths=(left, right),
        margin=MARGIN,
        colour=GOOD if report.conforms else BAD,
    )


def width(text: str) -> int:
    """Return the pixels that text takes at a size of 11; the picture has letters keep to it."""
    return round(sum(3.8 if c in NARROW else 10 if c in WIDE else 6.7 for c in text))

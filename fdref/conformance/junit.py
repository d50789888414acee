"""A report as JUnit XML, which continuous integration shows: a suite for each operation."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

import fdref
from fdref.conformance.comparison import Outcome
from fdref.conformance.failures import failure, in_short
from fdref.conformance.report import verdict_on

if TYPE_CHECKING:
    from collections.abc import Sequence
    from xml.etree.ElementTree import Element

    from fdref.conformance.comparison import Verdict
    from fdref.conformance.examination import Report

FAILED = (Outcome.FAIL, Outcome.UNEXPECTEDLY_PASSED)
SKIPPED = (Outcome.NOT_ATTEMPTED, Outcome.EXPECTED_FAILURE)


def junit(report: Report) -> bytes:
    """Set a report as JUnit XML.

    A case that may not fail and does, or passes although it is listed as failing, is a failure;
    what was not attempted, and what failed as was expected, is skipped, with the reason.
    """
    root = ET.Element("testsuites", name=f"conformance of {report.subject}")
    root.attrib |= _counts(report.verdicts)
    for row in report.coverage():
        suite = ET.SubElement(root, "testsuite", name=row.operation)
        suite.attrib |= _counts(row.verdicts)
        properties = ET.SubElement(suite, "properties")
        for name, value in _properties(report).items():
            ET.SubElement(properties, "property", name=name, value=value)
        for verdict in row.verdicts:
            _add(suite, verdict)
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document + b"\n"


def _counts(verdicts: Sequence[Verdict]) -> dict[str, str]:
    outcomes = [one.outcome for one in verdicts]
    return {
        "tests": str(len(outcomes)),
        "errors": "0",
        "failures": str(sum(one in FAILED for one in outcomes)),
        "skipped": str(sum(one in SKIPPED for one in outcomes)),
    }


def _properties(report: Report) -> dict[str, str]:
    about = report.circumstances
    found = {
        "verdict": verdict_on(report),
        "subject": report.subject,
        "fdref": fdref.__version__,
        "kit": report.kit,
        "specification": about.specification,
        "manifest_sha256": about.manifest,
        "judged": about.judged,
        "answered": " to ".join(about.answered),
        "warnings": "; ".join(about.warnings),
    }
    return {name: value for name, value in found.items() if value}


def _add(suite: Element, verdict: Verdict) -> None:
    """Add a case."""
    case, outcome = verdict.case, verdict.outcome
    entry = ET.SubElement(
        suite, "testcase", classname=f"filter-decoding.{case.operation}", name=case.id
    )
    why = f"{outcome}: {verdict.excuse}" if verdict.excuse else str(outcome)
    if outcome is Outcome.FAIL:
        found = ET.SubElement(entry, "failure", type="differs", message=in_short(verdict))
        found.text = "\n".join(failure(verdict))
    elif outcome is Outcome.UNEXPECTEDLY_PASSED:
        ET.SubElement(entry, "failure", type="unexpected", message=why)
    elif outcome in SKIPPED:
        ET.SubElement(entry, "skipped", message=why)
    if verdict.warnings:
        ET.SubElement(entry, "system-out").text = "\n".join(verdict.warnings)

"""A report as commands to GitHub's runner, which shows them beside the change that is judged."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from fdref.conformance.comparison import Outcome
from fdref.conformance.failures import groups, in_short, shortened
from fdref.conformance.report import facts, verdict_on

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.conformance.examination import Report

MOST = 9
"""Errors that are told one by one: the runner shows ten of a step."""


def runner_commands(report: Report) -> Iterator[str]:
    """Say in a line each what is wrong: failures of one mistake together, and warnings.

    Examples
    --------
    >>> command("error", "relu, 1 of 2", "50% off")
    '::error title=relu%2C 1 of 2::50%25 off'
    """
    failed = [one for one in report.verdicts if one.outcome is Outcome.FAIL]
    found = groups(report, failed)
    for reason, verdicts in found[: MOST if len(found) > MOST + 1 else None]:
        (first, *others), name = verdicts, verdicts[0].case.id
        title = f"{reason}, {len(verdicts)} cases" if others else name
        alike = [f"as well: {shortened([one.case.id for one in others])}"] if others else []
        yield command("error", title, "; ".join([f"{name}: {in_short(first)}", *alike]))
    passed = [one.case.id for one in report.verdicts if one.outcome is Outcome.UNEXPECTEDLY_PASSED]
    if passed:
        yield command("error", "unexpectedly passed", shortened(passed))
    kind = "notice" if report.conforms else "error"
    said = "; ".join([verdict_on(report), *facts(report)])
    yield command(kind, f"conformance of {report.subject}", said)
    for warning in (*report.circumstances.warnings, *report.strays):
        yield command("warning", f"conformance of {report.subject}", warning)


def command(kind: str, title: str, text: str) -> str:
    """Write a command of the runner, in which nothing is taken for a part of the command."""
    return f"::{kind} title={_plain(title, '%:,')}::{_plain(text, '%')}"


def shielded(text: str) -> str:
    """Enclose text so that the runner takes no line of it for a command."""
    token = secrets.token_hex(16)
    return f"::stop-commands::{token}\n{text}\n::{token}::"


def _plain(text: str, reserved: str) -> str:
    return "".join(f"%{ord(c):02X}" if c in f"{reserved}\r\n" else c for c in text)

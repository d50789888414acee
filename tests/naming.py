"""How a diagnosis names a mutant."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING

from witness_mutants import answer, implementation

from fdref.conformance.cases import cases
from fdref.conformance.comparison import judge
from fdref.conformance.diagnosis import diagnose
from fdref.conformance.examination import Report, no_bar
from fdref.conformance.trial import Predictions

if TYPE_CHECKING:
    from witness_mutants import Mutant

PREDICTIONS = Predictions()
SMALL = [case for case in cases() if "lenet" not in case.id]


class Naming(StrEnum):
    """What a mutant's diagnosis is worth."""

    PASSED = "passed"
    RIGHTLY = "named rightly"
    NEARLY = "named with a doubt"
    WRONGLY = "named wrongly"
    DOUBTED = "named wrongly, with a doubt"
    SILENT = "found without a name"


@cache
def report_on(mutant: Mutant) -> Report:
    """Judge a mutant."""
    operations = implementation(mutant.sources())
    verdicts = tuple(judge(case, answer(operations, case)) for case in SMALL)
    found = diagnose(verdicts, no_bar, predictions=PREDICTIONS)
    return Report("a mutant", "", verdicts, found.mistakes, found.explanations)


def named(mutant: Mutant) -> tuple[Naming, str]:
    """Judge a mutant's diagnosis, and say what it was told."""
    report = report_on(mutant)
    if report.conforms:
        return Naming.PASSED, ""
    causes = report.causes()
    told = ", ".join(one.mistake.name if one.sure else f"perhaps {one.mistake.name}"
                     for one in causes)  # fmt: skip
    right = {name.replace("+", " and ") for name in mutant.names}
    sure = {one.mistake.name for one in causes if one.sure}
    if sure - right:
        return Naming.WRONGLY, told
    if sure or not (causes or report.unexplained()):  # or what failed says it by itself
        return Naming.RIGHTLY, told
    if {one.mistake.name for one in causes} & right:
        return Naming.NEARLY, told
    return (Naming.DOUBTED if causes else Naming.SILENT), told

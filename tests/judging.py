"""What tests of the judge share: questions, the kit's cases, the command, reports."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.commands import main
from fdref.commands.check import examination
from fdref.conformance.case import EXACT, Case, Tolerance
from fdref.conformance.cases import cases
from fdref.conformance.kit import read_kit

if TYPE_CHECKING:
    from pathlib import Path

    from fdref.conformance.examination import Report


def question(
    *, tolerance: Tolerance = EXACT, refused: bool = False, name: str = "one", **expected: Any
) -> Case:
    arrays = {key: np.asarray(value) for key, value in expected.items()}
    return Case(name, "unpool", "4", "A question.", {}, {}, arrays, tolerance, refused)


def some(operation: str, **what: Any) -> Case:
    """Return a case of the kit."""
    return next(
        case
        for case in cases()
        if case.operation == operation
        and not case.refused
        and all(case.parameters.get(key) == value for key, value in what.items())
    )


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def report_on(kit: Path, engine: Any) -> Report:
    """Judge an engine as `fdref check` does, by a kit's files."""
    unused = dict.fromkeys(("results", "xfail", "profile", "subject"))
    options = Namespace(engine=engine, kit=kit, only=[], quiet=True, **unused)
    return examination(read_kit(kit), options)

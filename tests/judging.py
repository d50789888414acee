"""What tests of the judge share: questions, the kit's cases, the command, engines with a bug."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from fdref.commands import main
from fdref.conformance.case import EXACT, Case, Tolerance
from fdref.conformance.cases import cases
from fdref.engine import Engine


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


def copy_with_a_bug(module: Any, operation: str, wrong: Any) -> SimpleNamespace:
    """Copy an engine, one of its operations replaced."""
    names = {name for name in vars(Engine) if not name.startswith("_")}
    copy = SimpleNamespace(**{name: getattr(module, name) for name in names})
    setattr(copy, operation, wrong(getattr(module, operation)))
    return copy

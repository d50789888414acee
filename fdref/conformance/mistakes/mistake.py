"""What a mistake is: fdref itself, wrong in one respect."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.comparison import equal
from fdref.conformance.compute import Library, rounded
from fdref.engines import patched
from fdref.errors import FdrefError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fdref.conformance.case import Case
    from fdref.conformance.compute import Outputs

NETWORKS = ("forward", "decode", "project", "evaluate", "occlude")
NO_PAD = (0, 0, 0, 0)


@dataclass(frozen=True, eq=False)
class Mistake:
    """A way to be wrong."""

    name: str
    """A short one, such as "filters-flipped"."""
    sentence: str
    """What the implementation does, and what it should do."""
    operations: tuple[str, ...]
    """Where it can show."""
    library: Library

    def compute(self, case: Case, folder: Path | None = None) -> Outputs | None:
        """Return the wrong outputs of a case, or None where the mistake makes no difference.

        Parameters
        ----------
        case : Case
        folder : path, optional
            The kit's, where the file of a network lies; by default the shipped one is taken.
        """
        if case.refused or case.operation not in self.operations:
            return None
        library = replace(self.library, folder=folder)
        try:
            with np.errstate(all="ignore"):
                found = library.outputs(case.operation, case.inputs, case.parameters)
        except (FdrefError, ValueError, IndexError):
            return None  # it goes so wrong that nothing comes out
        wrong = rounded(found, case.inputs)
        return None if equal(case, case.expected, wrong) else wrong


def over(**replaced: Callable[..., Any]) -> Library:
    """Return fdref over the reference engine, some of whose operations are replaced."""
    return Library(patched("reference", **replaced))


def other(**parts: Any) -> Library:
    """Return fdref over the reference engine, other parts of it exchanged."""
    return Library("reference", **parts)

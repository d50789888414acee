"""What a mistake is: fdref itself, wrong in one respect."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from warnings import catch_warnings

import numpy as np

from fdref.conformance.comparison import equal
from fdref.conformance.compute import Library, rounded
from fdref.engines import patched
from fdref.errors import FdrefError
from fdref.walk.down import Decoding

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from fdref.conformance.case import Arrays, Case
    from fdref.conformance.compute import Outputs

    Operation = Callable[..., Any]

NETWORKS = ("forward", "decode", "project", "evaluate", "occlude")
FAILURES = (FdrefError, ArithmeticError, LookupError, TypeError, ValueError)
"""What is raised where a mistake goes so wrong that nothing comes out."""
NO_PAD = (0, 0, 0, 0)


@dataclass(frozen=True)
class Wrong:
    """fdref with something else in some of its places.

    Attributes
    ----------
    operations : mapping
        What replaces operations of the reference engine, as `fdref.engines.patched` takes it.
    parts : mapping
        What replaces parts of `Library`.
    """

    operations: Mapping[str, Operation] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)

    def library(self, **more: Any) -> Library:
        """Return fdref so changed."""
        engine = patched("reference", **self.operations) if self.operations else "reference"
        # With rules, evaluate is put together from its parts, and not done once more.
        return Library(engine, **{"rules": Decoding, **self.parts, **more})


@dataclass(frozen=True, eq=False)
class Mistake:
    """A way to be wrong."""

    name: str
    """A short one, such as "filters-flipped"."""
    sentence: str
    """What the implementation does, and what it should do."""
    operations: tuple[str, ...]
    """Where it can show."""
    wrong: Wrong
    made_of: tuple[Mistake, ...] = ()
    """Where it is several at once, these."""

    def compute(self, case: Case, folder: Path | None = None, **more: Any) -> Outputs | None:
        """Return the wrong outputs of a case, or None where the mistake makes no difference.

        None at all, {}, where it goes so wrong that nothing comes out.

        Parameters
        ----------
        case : Case
        folder : path, optional
            The kit's, where the file of a network lies; by default the shipped one is taken.
        **more
            Other parts of `Library`, such as a `model` that lies in no folder.
        """
        if case.refused or case.operation not in self.operations:
            return None
        library = self.wrong.library(folder=folder, **more)
        try:
            with np.errstate(all="ignore"), catch_warnings(action="ignore"):
                found = library.outputs(case.operation, case.inputs, case.parameters)
        except FAILURES:
            return {}
        wrong = rounded(found, case.inputs)
        return None if equal(case, case.expected, wrong) else wrong

    def gives(self, case: Case, wrong: Arrays, got: Arrays) -> bool:
        """Tell whether a result is what `compute` said."""
        return equal(case, wrong, got)


def over(**replaced: Operation) -> Wrong:
    """Return fdref over the reference engine, some of whose operations are replaced."""
    return Wrong(replaced)


def other(**parts: Any) -> Wrong:
    """Return fdref over the reference engine, other parts of it exchanged."""
    return Wrong({}, parts)

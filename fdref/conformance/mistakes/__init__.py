"""The mistakes that people make, each as a small wrong implementation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.equality import equal
from fdref.conformance.mistakes import convolutions, decoding, judging, layers, unpooling
from fdref.errors import FdrefError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from fdref.conformance.case import Case
    from fdref.conformance.implementation import Implementation

    Outputs = dict[str, NDArray[Any]]


@dataclass(frozen=True)
class Mistake:
    """A way to be wrong."""

    name: str
    """A short one, such as "filters-flipped"."""
    sentence: str
    """What the implementation does, and what it should do."""
    operations: tuple[str, ...]
    """Where it can show."""
    implementation: Implementation

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
        try:
            with np.errstate(all="ignore"):
                wrong = self.implementation.outputs(case, folder)
        except (FdrefError, ValueError, IndexError):
            return None  # it goes so wrong that nothing comes out
        return None if equal(case, case.expected, wrong) else wrong


MISTAKES: tuple[Mistake, ...] = tuple(
    Mistake(wrong.name, wrong.sentence, wrong.operations, wrong())
    for kind in (convolutions, layers, decoding, unpooling, judging)
    for wrong in kind.ALL
)
"""All that the diagnosis knows."""

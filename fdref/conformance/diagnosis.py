"""Diagnosis: which mistake gives exactly this wrong result."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fdref.conformance.comparison import equal
from fdref.conformance.mistakes import MISTAKES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import Path

    from fdref.conformance.case import Arrays, Case
    from fdref.conformance.mistakes import Mistake


class Explanation(NamedTuple):
    """A mistake, the IDs of the failed cases that it explains, and of those that it does not."""

    mistake: Mistake
    explains: tuple[str, ...]
    leaves: tuple[str, ...]


def diagnose(
    case: Case,
    got: Arrays,
    folder: Path | None = None,
    progress: Callable[[int], object] | None = None,
) -> list[Mistake]:
    """Return the mistakes whose outputs equal a wrong result.

    Parameters
    ----------
    case : Case
    got : dict
        The outputs of an implementation that are not what is expected.
    folder : path, optional
        The kit's.
    progress : callable, optional
        Called after each mistake that was tried with 1.
    """
    found: list[Mistake] = []
    if equal(case, case.expected, got):
        return found
    for mistake in MISTAKES:
        wrong = mistake.compute(case, folder)
        if progress is not None:
            progress(1)
        if wrong is not None and equal(case, wrong, got):
            found.append(mistake)
    return found


def summary(findings: Iterable[tuple[Case, Sequence[Mistake]]]) -> list[Explanation]:
    """Say how much each mistake explains.

    Parameters
    ----------
    findings : iterable of (case, mistakes)
        The cases that failed, and what `diagnose` found in each.

    Returns
    -------
    list of Explanation
        Cases that a mistake leaves are those of the same operations. First the mistake that
        explains most and leaves least.
    """
    failed = [(case, tuple(mistakes)) for case, mistakes in findings]
    explanations: list[Explanation] = []
    for mistake in MISTAKES:
        explained = {case.id: case.operation for case, mistakes in failed if mistake in mistakes}
        left = tuple(
            case.id
            for case, mistakes in failed
            if case.operation in explained.values() and mistake not in mistakes
        )
        if explained:
            explanations.append(Explanation(mistake, tuple(explained), left))
    return sorted(explanations, key=lambda one: (-len(one.explains), len(one.leaves)))

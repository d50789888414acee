"""All answers judged, and the mistakes behind those that are wrong."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from fdref.conformance.case import OPERATIONS
from fdref.conformance.comparison import Outcome, excused, judge, readable
from fdref.conformance.diagnosis import diagnose

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from fdref.conformance.case import Case
    from fdref.conformance.comparison import Answer, Verdict
    from fdref.conformance.diagnosis import Explanation
    from fdref.conformance.layouts import Layout
    from fdref.conformance.mistakes import Mistake

    Bar = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]


class Coverage(NamedTuple):
    """What became of the cases of one operation."""

    operation: str
    sections: tuple[str, ...]
    verdicts: tuple[Verdict, ...]

    def count(self, outcome: Outcome) -> int:
        """Return how many cases had an outcome."""
        return sum(verdict.outcome is outcome for verdict in self.verdicts)


class Circumstances(NamedTuple):
    """What was judged, by what, and when; empty where that is not known."""

    part: str = ""
    """The profile and the patterns that chose the cases; empty where these are all of a kit."""
    specification: str = ""
    """The version of the kit's SPECIFICATION.md."""
    manifest: str = ""
    """The SHA-256 of the kit's manifest.json."""
    judged: str = ""
    """The day, in UTC, as ISO 8601 has it."""
    answered: tuple[str, ...] = ()
    """The days of the oldest and the newest file of the results, or the only one."""
    warnings: tuple[str, ...] = ()
    """What is odd about the kit: a sentence each."""


UNKNOWN = Circumstances()


@dataclass(frozen=True)
class Report:
    """What there is to say about an implementation.

    Attributes
    ----------
    subject : str
        What was examined.
    kit : str
        The version of fdref that wrote the cases.
    verdicts : tuple of Verdict
        On every case, in the order of the kit.
    mistakes : dict
        By the ID of a case that failed, the mistakes that give exactly its answer, if there are.
    explanations : tuple of Explanation
        The mistakes found; first the one that explains most.
    strays : tuple of str
        Sentences about files that belong to no case.
    circumstances : Circumstances
    """

    subject: str
    kit: str
    verdicts: tuple[Verdict, ...]
    mistakes: Mapping[str, tuple[Mistake | Layout, ...]]
    explanations: tuple[Explanation, ...]
    strays: tuple[str, ...] = ()
    circumstances: Circumstances = UNKNOWN

    @property
    def conforms(self) -> bool:
        """Whether something passed, and nothing failed, passed unexpectedly or is missing."""
        return self.count(Outcome.PASS) > 0 and all(verdict.good for verdict in self.verdicts)

    def count(self, outcome: Outcome) -> int:
        """Return how many cases had an outcome."""
        return sum(verdict.outcome is outcome for verdict in self.verdicts)

    def causes(self) -> list[Explanation]:
        """Return the mistakes worth telling: none that explains but a part of what another does.

        Cases that one does not explain are left to it only if no other explains them.
        """
        unexplained = set(self.unexplained())
        return [
            one._replace(leaves=tuple(name for name in one.leaves if name in unexplained))
            for one in self.explanations
            if not any(map(one.part_of, self.explanations))
        ]

    def unexplained(self) -> list[str]:
        """Return the IDs of cases whose outputs are wrong in a way that no mistake gives."""
        return [
            one.case.id
            for one in self.verdicts
            if one.diagnosable and not one.told and one.case.id not in self.mistakes
        ]

    def coverage(self) -> list[Coverage]:
        """Sort the verdicts by operation."""
        found = []
        for operation in OPERATIONS:
            own = tuple(one for one in self.verdicts if one.case.operation == operation)
            sections = tuple(dict.fromkeys(one.case.section for one in own))
            if own:
                found.append(Coverage(operation, sections, own))
        return found


@contextmanager
def no_bar(what: str, total: int) -> Iterator[Callable[[int], object]]:  # noqa: ARG001 - a bar's
    """Show nobody how much is done."""
    yield _ignore


def _ignore(done: int) -> None:
    """Count nothing."""


def examine(
    subject: str,
    kit: str,
    cases: Sequence[Case],
    answer: Callable[[Case], Answer],
    folder: Path | None = None,
    excuses: Mapping[str, str] | None = None,
    strays: Iterable[str] = (),
    bar: Bar = no_bar,
    circumstances: Circumstances = UNKNOWN,
) -> Report:
    """Judge the answer to every case, and look for the mistakes behind the wrong ones.

    Parameters
    ----------
    subject : str
        What is examined, for the report.
    kit : str
        The version of fdref that wrote the cases.
    cases : sequence of Case
    answer : callable
        Takes a case and gives its outputs, a `Problem`, or None where it was not attempted.
    folder : Path, optional
        Where the kit's LeNet lies.
    excuses : dict, optional
        Cases that may fail, and why: {id: reason}.
    strays : iterable of str
        Sentences about files that belong to no case.
    bar : callable, optional
        Takes what is to be done and how much of it there is; gives a context, in which it is told
        how much more has been done.
    circumstances : Circumstances, optional
        What else the report says of itself.
    """
    verdicts = []
    with bar("judging", len(cases)) as advance:
        for case in cases:
            verdict = judge(case, answer(case))
            if excuses is not None and case.id in excuses:
                verdict = excused(verdict, readable(excuses[case.id]))
            verdicts.append(verdict)
            advance(1)
    found = diagnose(verdicts, bar, folder)
    return Report(
        readable(subject),
        readable(kit),
        tuple(verdicts),
        found.mistakes,
        found.explanations,
        tuple(map(readable, strays)),
        circumstances,
    )

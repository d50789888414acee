"""Diagnosis: which mistakes give exactly these wrong results, and what speaks against it."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from fdref.conformance.comparison import REAL, Outcome
from fdref.conformance.layouts import Attempt, Layout, recognise
from fdref.conformance.mistakes import MISTAKES
from fdref.conformance.mistakes.mistake import NETWORKS
from fdref.conformance.search import pairs_for
from fdref.conformance.trial import Predictions, Trial, try_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from fdref.conformance.comparison import Verdict
    from fdref.conformance.mistakes import Mistake

    Bar = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]


class Explanation(NamedTuple):
    """A mistake, and what speaks for and against it.

    Attributes
    ----------
    mistake : Mistake or Layout
        It has a `name` and a `sentence`.
    explains : tuple of str
        The IDs of the failed cases whose results it gives.
    leaves : tuple of str
        Those of other failed cases of the same operations.
    refuted_by : tuple of str
        What speaks against it: cases that pass although it would make them wrong, or fail in
        another way than it says.
    spares : tuple of str
        Operations whose cases all pass although it would make some wrong: it is not there.
    rivals : tuple of str
        Names of others that explain the same cases as well.
    """

    mistake: Mistake | Layout
    explains: tuple[str, ...]
    leaves: tuple[str, ...]
    refuted_by: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()

    @property
    def sure(self) -> bool:
        """Whether nothing speaks against it, and nothing else is as likely."""
        return not self.refuted_by and not self.rivals

    def part_of(self, other: Explanation) -> bool:
        """Tell whether another explains more, and is no less sure, or as much, and alone is sure.

        A pair of mistakes that explains no more than a single one is a part, too. Orders of axes
        stand beside mistakes.
        """
        own, more = set(self.explains), set(other.explains)
        if isinstance(self.mistake, Layout) or isinstance(other.mistake, Layout):
            return False
        if self.mistake.made_of and not other.mistake.made_of and own <= more:
            return True
        if self.mistake in other.mistake.made_of and own < more:
            return len(other.refuted_by) <= len(self.refuted_by)
        return (own < more and other.sure >= self.sure) or (own <= more and other.sure > self.sure)


class Diagnosis(NamedTuple):
    """What lies behind wrong results.

    Attributes
    ----------
    mistakes : dict
        By the ID of a case that failed, the mistakes that give its result; likely ones first.
    explanations : tuple of Explanation
        The mistakes, first the sure ones, of these the one that explains most.
    """

    mistakes: Mapping[str, tuple[Mistake | Layout, ...]]
    explanations: tuple[Explanation, ...]


def diagnose(
    verdicts: Sequence[Verdict],
    bar: Bar,
    folder: Path | None = None,
    predictions: Predictions | None = None,
) -> Diagnosis:
    """Look for the mistakes behind all that is wrong.

    Parameters
    ----------
    verdicts : sequence of Verdict
        On all cases: what is right speaks, too.
    bar : callable
        Takes what is to be done and how much of it there is; gives a context, in which it is told
        how much more has been done.
    folder : path, optional
        The kit's.
    predictions : Predictions, optional
        What is known already of what mistakes give, for whoever diagnoses several.
    """
    attempts, layouts = recognise([
        Attempt(one.case, one.got, one.failed) for one in verdicts if _answered(one)
    ])  # fmt: skip
    attempts.sort(key=_order)
    wrong = [attempt for attempt in attempts if attempt.wrong]
    predictions = predictions or Predictions(folder)
    with bar("looking for mistakes", len(wrong) * len(MISTAKES)) as advance:
        trials = [try_on(mistake, attempts, predictions, advance) for mistake in MISTAKES]
    trials = [trial for trial in trials if trial.explains]
    trials += pairs_for(trials, attempts, predictions, bar)
    failed = {one.case.id: one.case.operation for one in verdicts if one.failed and _answered(one)}
    still = {attempt.case.id: attempt.case.operation for attempt in wrong}
    found = [
        *(_of_layout(own.layout, own.cases, failed) for own in layouts),
        *_explanations(trials, still),
    ]
    found.sort(key=lambda one: (not one.sure, len(one.refuted_by), -len(one.explains)))
    names = chain(*(((case, one.mistake) for case in one.explains) for one in found))
    mistakes: dict[str, tuple[Mistake | Layout, ...]] = {}
    for case, mistake in names:
        mistakes[case] = (*mistakes.get(case, ()), mistake)
    return Diagnosis(mistakes, tuple(found))


def _answered(verdict: Verdict) -> bool:
    """Tell whether there are numbers, right or wrong, that a mistake could give."""
    real = bool(verdict.got) and all(one.dtype.kind in REAL for one in verdict.got.values())
    attempted = verdict.outcome is not Outcome.NOT_ATTEMPTED
    return attempted and real and not verdict.case.refused


def _order(attempt: Attempt) -> tuple[bool, int]:
    """Order single operations before networks, and those by their size."""
    arrays = (*attempt.case.inputs.values(), *attempt.case.expected.values())
    from_file = not isinstance(attempt.case.parameters.get("network", []), list)
    size = sum(array.size for array in arrays) + from_file * 10**6
    return attempt.case.operation in NETWORKS, size


def _of_layout(layout: Layout, cases: Sequence[str], failed: Mapping[str, str]) -> Explanation:
    return Explanation(layout, tuple(cases), _leaves(cases, failed))


def _leaves(explained: Iterable[str], failed: Mapping[str, str]) -> tuple[str, ...]:
    own = {failed[name] for name in explained}
    return tuple(name for name in failed if failed[name] in own and name not in explained)


def _explanations(trials: Sequence[Trial], failed: Mapping[str, str]) -> list[Explanation]:
    """Weigh the evidence."""
    found = []
    for trial in trials:
        against = [name for name, own in trial.spared.items() if own in trial.scope]
        against += _failing_otherwise(trial, trials, failed)
        leaves = _leaves(trial.explains, failed)
        if len(against) >= len(trial.explains):
            continue
        elsewhere = {*trial.spared.values(), *trial.otherwise.values()} - trial.scope
        rivals = _rivals(trial, trials)
        found.append(
            Explanation(
                trial.mistake,
                tuple(trial.explains),
                leaves,
                tuple(dict.fromkeys(against)),
                tuple(sorted(elsewhere)),
                rivals,
            )
        )
    return found


def _failing_otherwise(
    trial: Trial, trials: Sequence[Trial], failed: Mapping[str, str]
) -> Iterator[str]:
    """Yield the failed cases that speak against a mistake.

    Not those that it explains together with another, nor, in operations in which it explains
    nothing or leaves a case right, those that another explains.
    """
    others, together = _others(trial, trials), _with(trial, trials)
    for name, operation in failed.items():
        if name in trial.explains or name in trial.broken or operation in trial.follow:
            continue
        if name in trial.otherwise:
            refuted = operation in trial.scope and name not in together
            if refuted or name not in others:
                yield name
        elif operation in trial.scope and name not in others:
            yield name


def _others(trial: Trial, trials: Sequence[Trial]) -> set[str]:
    """Return the cases that others explain against which nothing speaks."""
    own = (one for one in trials if one is not trial and one.borne_out)
    return set(chain(*(one.explains for one in own)))


def _with(trial: Trial, trials: Sequence[Trial]) -> set[str]:
    """Return the cases that a mistake explains together with another."""
    own = (one for one in trials if trial.mistake in one.mistake.made_of)
    return set(chain(*(one.explains for one in own)))


def _rivals(trial: Trial, trials: Sequence[Trial]) -> tuple[str, ...]:
    if not trial.borne_out:
        return ()
    return tuple(
        one.mistake.name
        for one in trials
        if one is not trial and one.borne_out and one.explains == trial.explains
    )

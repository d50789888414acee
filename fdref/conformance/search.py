"""The search for two mistakes at once, where neither gives the result alone."""

from __future__ import annotations

from itertools import chain, combinations, islice, product
from typing import TYPE_CHECKING

from fdref.conformance.mistakes import MISTAKES
from fdref.conformance.mistakes.mistake import NETWORKS
from fdref.conformance.mistakes.pairs import both
from fdref.conformance.trial import Trial, try_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from fdref.conformance.layouts import Attempt
    from fdref.conformance.mistakes import Mistake
    from fdref.conformance.trial import Predictions

    Bar = Callable[[str, int], AbstractContextManager[Callable[[int], object]]]
    Pair = tuple[Mistake, Mistake]

TRIED = 2
"""Cases of an operation by which pairs are looked for: the smallest that nothing explains."""
KNOWN = 6
"""Mistakes that explain most of all: each two are tried together whatever they explain."""
MOST = 120
"""Pairs that are tried on a case of a network, which takes milliseconds for each."""
MOST_UNKNOWN = 400
"""Where no mistake is known from other cases: there is no other hope then."""


def pairs_for(
    trials: Sequence[Trial], attempts: Sequence[Attempt], predictions: Predictions, bar: Bar
) -> list[Trial]:
    """Look for pairs of mistakes behind the wrong results that no single one gives.

    Of single operations all pairs are tried that make a difference there; of networks those of
    which one is known already, from other cases, or if none is, some.

    Parameters
    ----------
    trials : sequence of Trial
        Of single mistakes that explain something.
    attempts : sequence of Attempt
        Small cases first.
    predictions : Predictions
    bar : callable
        As for `diagnose`.
    """
    found = Found(attempts, predictions)
    explained = {name for trial in trials if trial.borne_out for name in trial.explains}
    left = [own for own in attempts if own.wrong and own.case.id not in explained]
    given = {name for trial in trials for name in trial.explains}
    chosen = list(_smallest(sorted(left, key=lambda own: own.case.id in given)))
    ranked = sorted(trials, key=lambda one: -len(one.explains))
    if left:
        for one, two in combinations(ranked[:KNOWN], 2):
            if set(one.explains) - set(two.explains) and set(two.explains) - set(one.explains):
                found.look_at((one.mistake, two.mistake))
    if not chosen:
        return _best(found.trials.values())
    known = [trial.mistake for trial in ranked]
    with bar("looking for two mistakes at once", len(chosen)) as advance:
        for attempt in chosen:
            advance(1)
            if not found.explain(attempt):
                for pair in _likely(attempt, known, predictions):
                    found.look_at(pair, attempt)
            known = list(dict.fromkeys((*known, *found.members())))
    return _best(found.trials.values())


class Found:
    """The pairs that explain something."""

    def __init__(self, attempts: Sequence[Attempt], predictions: Predictions) -> None:
        self.attempts, self.predictions = attempts, predictions
        self.trials: dict[frozenset[str], Trial] = {}

    def look_at(self, pair: Pair, attempt: Attempt | None = None) -> None:
        """Hold a pair against all results, if it gives that of one."""
        names = frozenset(mistake.name for mistake in pair)
        together = None if names in self.trials else both(*pair)
        if together is None:
            return
        if attempt is None or self.predictions.agrees(together, attempt):
            trial = try_on(together, self.attempts, self.predictions)
            if trial.explains:
                self.trials[names] = trial

    def explain(self, attempt: Attempt) -> bool:
        """Tell whether one of them explains a case, and nothing speaks against it."""
        own = (trial for trial in self.trials.values() if trial.borne_out)
        return any(attempt.case.id in trial.explains for trial in own)

    def members(self) -> Iterator[Mistake]:
        """Yield the mistakes that they are made of."""
        for trial in self.trials.values():
            yield from trial.mistake.made_of


def _smallest(left: Iterable[Attempt]) -> Iterator[Attempt]:
    """Yield some cases of each operation; single operations come first, and tell about networks."""
    by_operation: dict[str, list[Attempt]] = {}
    for attempt in left:
        by_operation.setdefault(attempt.case.operation, []).append(attempt)
    for operation in sorted(by_operation, key=lambda name: name in NETWORKS):
        yield from by_operation[operation][:TRIED]


def _likely(attempt: Attempt, known: Sequence[Mistake], predictions: Predictions) -> Iterator[Pair]:
    """Yield the pairs that are worth a try."""
    case = attempt.case
    matter = [one for one in MISTAKES if predictions.of(one, case)]
    own = [one for one in known if one in matter]
    rest = [one for one in matter if one not in own]
    if case.operation in NETWORKS and own:
        yield from islice(chain(_by_rank(own), product(own, rest)), MOST)
    elif case.operation in NETWORKS:
        # Those first that show here alone: others would be known.
        ranked = sorted(rest, key=lambda one: len(one.operations))
        yield from islice(combinations(ranked, 2), MOST_UNKNOWN)
    else:
        yield from combinations([*own, *rest], 2)


def _by_rank(known: Sequence[Mistake]) -> list[Pair]:
    """Return all pairs, first those of which both are likely."""
    places = sorted(combinations(range(len(known)), 2), key=sum)
    return [(known[one], known[other]) for one, other in places]


def _best(trials: Iterable[Trial]) -> list[Trial]:
    """Return the pairs against which least speaks, and of these those that explain most."""
    ranked = sorted(trials, key=lambda one: (not one.borne_out, -len(one.explains)))
    found: list[Trial] = []
    covered: set[str] = set()
    for trial in ranked:
        same = [one for one in found if one.explains == trial.explains]
        if not covered.issuperset(trial.explains) or (same and trial.borne_out):
            found.append(trial)
            covered |= trial.explains.keys()
    return found

"""What speaks for a mistake, and what against it, in the answers to all cases."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.comparison import equal, given
from fdref.conformance.compute import Library, judged
from fdref.conformance.mistakes.mistake import FAILURES, NETWORKS
from fdref.engines import OPERATIONS, patched

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from fdref.conformance.case import Arrays, Case
    from fdref.conformance.layouts import Attempt
    from fdref.conformance.mistakes import Mistake

PATIENCE = {True: 4, False: 2}
"""After so many cases of an operation that contradict a mistake, and none for it, it is given up
there, of single operations and of networks; and of networks at all, where as many cases of single
operations contradict it. Most are wrong at once, and cases become large."""


COMPOSED = ("respond", "project", "evaluate", "occlude")
"""Operations that are made of others: correlations at other places, networks gone through twice."""
ENOUGH = 2


class Predictions:
    """What mistakes give; each is computed once.

    Parameters
    ----------
    folder : path, optional
        The kit's.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder
        self._known: dict[tuple[Mistake, str], Arrays | None] = {}
        self._used: dict[str, set[str]] = {}

    def of(self, mistake: Mistake, case: Case) -> Arrays | None:
        """Return the outputs of a case; None where the mistake makes no difference.

        None at all, {}, where nothing comes out.
        """
        if case.operation not in mistake.operations:
            return None
        if mistake.made_of:  # there are too many to keep
            return mistake.compute(case, self.folder)
        place = mistake, case.id
        if place not in self._known:
            matters = mistake.wrong.parts or self.used(case) & mistake.wrong.operations.keys()
            self._known[place] = mistake.compute(case, self.folder) if matters else None
        return self._known[place]

    def used(self, case: Case) -> set[str]:
        """Return the operations of an engine that a case needs: no others can be behind it."""
        if case.id not in self._used:
            found: set[str] = set()
            engine = patched("reference", **{name: noting(name, found) for name in OPERATIONS})
            question = case.operation, case.inputs, case.parameters
            try:
                with np.errstate(all="ignore"):
                    Library(engine, self.folder).outputs(*question)
            except FAILURES:  # a case of another kit
                found = set(OPERATIONS)
            self._used[case.id] = found
        return self._used[case.id]

    def agrees(self, mistake: Mistake, attempt: Attempt) -> bool | None:
        """Tell whether a result is what a mistake gives; None where nothing can be told.

        Outputs that are missing tell nothing, nor do those that the mistake leaves right.
        """
        wrong = self.of(mistake, attempt.case)
        if not wrong:
            return None
        names = given(attempt.case.expected, attempt.got)
        if not wrong.keys() >= set(names):
            return False
        if len(names) == len(attempt.case.expected):
            got = {name: attempt.got[name] for name in names}
            return mistake.gives(attempt.case, wrong, got) or by_parts(attempt.case, wrong, got)
        own, right, got = (
            {name: arrays[name] for name in names}
            for arrays in (wrong, attempt.case.expected, attempt.got)
        )
        if not names or equal(attempt.case, own, right):
            return None
        return mistake.gives(attempt.case, own, got)


def noting(name: str, found: set[str]) -> Callable[..., Any]:
    """Note that an operation was used."""

    def operation(right: Callable[..., Any], *given: Any) -> Any:
        found.add(name)
        return right(*given)

    return operation


def by_parts(case: Case, wrong: Arrays, got: Arrays) -> bool:
    """Tell whether a mistake of the forward pass, or of the decoder, is behind an evaluation.

    Each of the two responses is what the mistake gives, or right, as an implementation may go two
    ways where fdref goes one; and all the rest follows from these two.
    """
    if case.operation != "evaluate":
        return False
    both = got["response"], got["predicted"]
    with np.errstate(all="ignore"):
        follows = both[0].shape == both[1].shape and equal(case, judged(*both), got)
    return follows and all(
        any(equal(case, {name: own[name]}, {name: got[name]}) for own in (wrong, case.expected))
        for name in ("response", "predicted")
    )


@dataclass
class Trial:
    """A mistake, and the IDs of the cases that speak for and against it.

    Attributes
    ----------
    mistake : Mistake
    explains : dict of str to str
        The cases whose wrong results it gives, and their operations.
    spared : dict
        Cases that it would make wrong, and that are right.
    otherwise : dict
        Cases that it would make wrong, and that are wrong in another way.
    broken : set of str
        Cases of which nothing comes out.
    """

    mistake: Mistake
    explains: dict[str, str] = field(default_factory=dict)
    spared: dict[str, str] = field(default_factory=dict)
    otherwise: dict[str, str] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)

    @property
    def scope(self) -> set[str]:
        """The operations in which it explains something."""
        return set(self.explains.values())

    @property
    def borne_out(self) -> bool:
        """Whether nothing speaks against it where it explains something."""
        against = {*self.spared.values(), *self.otherwise.values()}
        return bool(self.explains) and not against & self.scope - self.follow

    @property
    def follow(self) -> set[str]:
        """The operations whose failures follow from it, in whatever way.

        Where simple operations have a mistake, those that are composed of them fail; how depends
        on what else an implementation does there by the same code.
        """
        simple = sum(own not in COMPOSED for own in self.explains.values())
        return set(COMPOSED) if simple >= ENOUGH else set()


def try_on(
    mistake: Mistake,
    attempts: Sequence[Attempt],
    predictions: Predictions,
    progress: Callable[[int], object] | None = None,
) -> Trial:
    """Hold a mistake against all results: the wrong ones first, and if it gives one, the right.

    Parameters
    ----------
    mistake : Mistake
    attempts : sequence of Attempt
        Single operations before networks, and small cases first.
    predictions : Predictions
    progress : callable, optional
        Called with 1 for each wrong result.
    """
    trial = Trial(mistake)
    hopeless: Counter[str] = Counter()
    skipped: list[Attempt] = []
    for attempt in attempts:
        if not attempt.wrong:
            continue
        if progress is not None:
            progress(1)
        operation = attempt.case.operation
        alone = operation not in NETWORKS
        count = hopeless[operation]
        if not alone and not trial.explains:
            count = max(hopeless.values(), default=0)
        if count >= PATIENCE[alone]:
            skipped.append(attempt)
            continue
        _note(trial, attempt, predictions)
        if operation in trial.scope:
            del hopeless[operation]
        elif attempt.case.id in trial.otherwise:
            hopeless[operation] += 1
    if trial.explains:
        for attempt in (*skipped, *(one for one in attempts if not one.wrong)):
            _note(trial, attempt, predictions)
    return trial


def _note(trial: Trial, attempt: Attempt, predictions: Predictions) -> None:
    if predictions.of(trial.mistake, attempt.case) == {}:
        trial.broken.add(attempt.case.id)
        return
    agrees = predictions.agrees(trial.mistake, attempt)
    if agrees is not None and not (agrees and not attempt.wrong):
        kind = trial.explains if agrees else trial.otherwise if attempt.wrong else trial.spared
        kind[attempt.case.id] = attempt.case.operation

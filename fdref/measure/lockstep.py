"""Several searches with L-BFGS-B at a time, whose questions are answered together.

Every image has a search of its own: together, as one problem, they converge more slowly, and one
whose line search fails ends all. But an engine computes several images at once in much less time
than one after the other. SciPy's search calls its function and waits; so each stands in a thread of
its own, and all that they ask for is computed in one go, here.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from fdref.engines.blas import others_limited
from fdref.imports import imported

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    Values = NDArray[np.float64]

CORRECTIONS = 10
"""Pairs of steps and changes of the gradient that the search remembers: SciPy's own number."""


class Function(Protocol):
    """What is minimised, of several searches at once."""

    def __call__(self, points: Values, which: Sequence[int]) -> tuple[Values, Values]:
        """Return values (n,) and gradients like the points (n, ...), for some of the searches."""


@dataclass(frozen=True, eq=False)
class Found:
    """Where searches ended, in the order of their starts."""

    points: Values
    evaluations: NDArray[np.int64]


def minimize_each(
    function: Function,
    starts: Values,
    bounds: tuple[float, float],
    iterations: int,
    progress: Callable[[int], object] | None = None,
) -> Found:
    """Minimise from several starts, by L-BFGS-B, until no step makes a value smaller.

    Parameters
    ----------
    function : callable
        Called in this thread.
    starts : (n, ...) array of float64
    bounds : (low, high)
        Of every number, possibly infinite.
    iterations : int
        The most of one search.
    progress : callable, optional
        Called in this thread with how many iterations were made since; ``n * iterations`` in all.

    Raises
    ------
    DependencyError
        If SciPy is not installed.
    """
    optimize = imported("scipy.optimize", "images are searched with SciPy", extra="invert")
    searches = [Search(optimize, start, bounds, iterations) for start in starts]
    told = 0
    with others_limited(), ThreadPoolExecutor(len(searches)) as threads:
        running = {n: threads.submit(own.run) for n, own in enumerate(searches)}
        try:
            while running:
                asked = {n: points for n in running if (points := searches[n].asks()) is not None}
                for n in running.keys() - asked.keys():
                    running.pop(n).result()  # raises what ended it, if anything did
                if asked:
                    values, gradients = function(np.stack(list(asked.values())), list(asked))
                    for n, value, gradient in zip(asked, values, gradients, strict=True):
                        searches[n].answer(value, gradient)
                told = _tell(progress, searches, told)
        finally:
            for own in searches:
                own.stop()  # else it would wait for an answer for ever
    return Found(
        np.stack([own.point for own in searches]),
        np.array([own.evaluations for own in searches]),
    )


def _tell(progress: Callable[[int], object] | None, searches: Sequence[Search], told: int) -> int:
    """Tell of iterations since; of a search that ended early, all that it might have made."""
    made = sum(own.made for own in searches)
    if progress is not None and made > told:
        progress(made - told)
    return made


class Search:
    """One search, in a thread of its own that asks, and waits for answers."""

    def __init__(
        self, optimize: Any, start: Values, bounds: tuple[float, float], iterations: int
    ) -> None:
        self.optimize = optimize
        self.point, self.bounds, self.iterations = start, bounds, iterations
        self.made = self.evaluations = 0
        self._questions: SimpleQueue[Values | None] = SimpleQueue()
        self._answers: SimpleQueue[tuple[float, Values] | None] = SimpleQueue()

    def asks(self) -> Values | None:
        """Wait for the next point whose value is asked for; None when the search has ended."""
        return self._questions.get()

    def answer(self, value: float, gradient: Values) -> None:
        """Let the search go on."""
        self._answers.put((float(value), gradient.ravel()))

    def stop(self) -> None:
        """Let the search end, if it has not."""
        self._answers.put(None)

    def run(self) -> None:
        """Search."""
        try:
            found = self.optimize.minimize(
                self._ask,
                self.point.ravel(),
                jac=True,
                method="L-BFGS-B",
                bounds=self.optimize.Bounds(*self.bounds),
                callback=self._note,
                options={
                    "maxiter": self.iterations,
                    "maxfun": np.iinfo(np.int32).max,
                    "maxcor": CORRECTIONS,
                    "ftol": 0.0,  # until no step makes it smaller
                    "gtol": 0.0,
                },
            )
            self.point = found.x.reshape(self.point.shape)
            self.made = self.iterations
        except Stopped:
            pass
        finally:
            self._questions.put(None)

    def _ask(self, point: Values) -> tuple[float, Values]:
        self.evaluations += 1
        self._questions.put(point.reshape(self.point.shape).copy())
        answer = self._answers.get()
        if answer is None:
            raise Stopped
        return answer

    def _note(self, point: Any) -> None:  # noqa: ARG002 - SciPy's signature
        self.made += 1


class Stopped(Exception):  # noqa: N818 - no error: somebody else's is under way
    """The search is given up."""

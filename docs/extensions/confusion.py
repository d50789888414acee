"""The mistakes that the conformance kit knows, each against each: a picture beside `kit.html`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from fdref.conformance.case import OPERATIONS
from fdref.conformance.cases import cases
from fdref.conformance.layouts import Attempt
from fdref.conformance.mistakes import MISTAKES
from fdref.conformance.trial import Predictions

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from sphinx.application import Sphinx

    from fdref.conformance.case import Case
    from fdref.conformance.mistakes import Mistake


def matrix(order: list[Mistake], small: list[Case]) -> NDArray[np.float64]:
    """Return for each mistake, a row, which share of its results each of all gives.

    Looked at are the cases of the first operation in which it shows.
    """
    predictions, found = Predictions(), np.zeros((len(order), len(order)))
    for row, mistake in enumerate(order):
        wrong = {}
        for operation in mistake.operations:
            own = [case for case in small if case.operation == operation]
            made = [(case, predictions.of(mistake, case)) for case in own]
            wrong = {
                case.id: Attempt(case, got, wrong=True) for case, got in made if got is not None
            }
            if wrong:
                break
        for column, other in enumerate(order):
            given = [predictions.agrees(other, attempt) for attempt in wrong.values()]
            found[row, column] = np.mean([bool(one) for one in given])
    return found


def drawn(app: Sphinx, failure: Exception | None) -> None:
    """Draw the picture when the site stands."""
    if failure is not None or app.builder.format != "html":
        return
    order = sorted(MISTAKES, key=lambda one: min(map(OPERATIONS.index, one.operations)))
    small = [case for case in cases() if not case.refused and "lenet" not in case.id]
    firsts = [min(one.operations, key=OPERATIONS.index) for one in order]
    figure = Figure(figsize=(9, 9), layout="constrained")
    axes = figure.subplots()
    axes.imshow(matrix(order, small), cmap="Greys", vmin=0, vmax=1, interpolation="nearest")
    starts = [firsts.index(operation) for operation in dict.fromkeys(firsts)]
    for start in starts[1:]:
        axes.axhline(start - 0.5, color="tab:blue", linewidth=0.5)
        axes.axvline(start - 0.5, color="tab:blue", linewidth=0.5)
    ends = [*starts[1:], len(order)]
    middles = [(start + end - 1) / 2 for start, end in zip(starts, ends, strict=True)]
    names = list(dict.fromkeys(firsts))
    axes.set_yticks(middles, names, fontsize=8)
    axes.set_xticks(middles, names, fontsize=8, rotation=90)
    axes.set_ylabel("who makes this mistake")
    axes.set_xlabel("gives so many results of that one (black: all)")
    figure.savefig(Path(app.outdir, "confusion.png"), dpi=110)


def setup(app: Sphinx) -> dict[str, bool]:
    """Add the step."""
    app.connect("build-finished", drawn)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

"""The paper's table and figures for a network and images, one after the other.

No verdict is written down: each is computed from the numbers that stand beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.layers import Pool
from fdref.measure.ceiling import Ceiling, ceiling
from fdref.measure.evaluation import Evaluation
from fdref.measure.finite import QUIET
from fdref.measure.survey import survey
from fdref.paper import (
    figure1,
    figure2,
    figure3,
    figure4,
    figure5,
    figure6,
    figure7,
    table1,
)
from fdref.paper.supplement import supplement

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.measure.chunks import Executor
    from fdref.paper.exhibit import Exhibit
    from fdref.paper.subject import Subject


class Reproduction(NamedTuple):
    """What the paper and its supplement show, recomputed.

    Attributes
    ----------
    table : tuple of table1.Row
        Table 1 for programs.
    exhibits : tuple of Exhibit
        The table and the figures, in the paper's order.
    """

    table: tuple[table1.Row, ...]
    exhibits: tuple[Exhibit, ...]


@QUIET
def reproduce(
    subject: Subject,
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> Reproduction:
    """Recompute what the paper and its supplement show.

    Parameters
    ----------
    subject : Subject
    progress : callable, optional
        Called after each chunk of images with their number.
    executor : optional
        As `evaluate` takes it.

    Returns
    -------
    Reproduction

    Raises
    ------
    ArgumentError
        If the images do not fit the network or are not finite, or there are not as many labels.
    NetworkError
        If weights are so large that filters or responses overflow.
    """
    net = subject.net
    found = survey(net, subject.images, subject.labels, progress, executor)
    pooled = [
        layer for layer in net.decodable if any(isinstance(x, Pool) for x in net.layers[:layer])
    ]
    folds = [
        ceiling(net, subject.images[fit], subject.images[test], pooled, progress, executor)
        for fit, test in subject.folds
    ]
    best = {
        layer: Ceiling(
            *(joined(kind) for kind in zip(*(fold[layer] for fold in folds), strict=True))
        )
        for layer in pooled
    }
    table, own = table1.rows(net, found, best), supplement()
    exhibits = (
        table1.exhibit(subject, found, best, table),
        figure1.exhibit(subject, found),
        figure2.exhibit(subject),
        figure3.exhibit(subject, found),
        figure4.exhibit(subject, found),
        figure5.exhibit(subject, own),
        figure6.exhibit(own),
        figure7.exhibit(own),
    )
    return Reproduction(tuple(table), exhibits)


def joined(parts: Sequence[Evaluation]) -> Evaluation:
    """Put evaluations of different images together."""
    return Evaluation(
        np.concatenate([part.errors for part in parts]),
        np.concatenate([part.correlations for part in parts]),
    )

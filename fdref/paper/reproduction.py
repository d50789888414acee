"""The paper's table and figures for a network and images, one after the other.

No verdict is written down: each is computed from the numbers that stand beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fdref.measure.finite import QUIET
from fdref.measure.nonlinearities import joined, nonlinearities
from fdref.measure.survey import survey
from fdref.paper import (
    comparisons,
    decoded_filter,
    excited,
    figure1,
    figure2,
    figure3,
    figure4,
    figure5,
    figure6,
    figure7,
    hidden_parts,
    occlusion,
    table1,
    xia,
    zeiler_fergus,
)
from fdref.paper import (
    nonlinearities as chapter,
)
from fdref.paper.supplement import supplement

if TYPE_CHECKING:
    from collections.abc import Callable

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
        The table and the figures, in the paper's order, then what goes on from them.
    """

    table: tuple[table1.Row, ...]
    exhibits: tuple[Exhibit, ...]


def work(subject: Subject) -> int:
    """Return how much `reproduce` tells of its progress: images, projections, steps of searches."""
    return subject.work + excited.steps(subject) + comparisons.steps(subject) + xia.steps(subject)


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
        Called with how much was done since, of `work`.
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
    without = joined(
        [
            nonlinearities(
                net,
                subject.images[fit],
                subject.images[test],
                subject.explained,
                chapter.unpooling(net),
                progress=progress,
                executor=executor,
            )
            for fit, test in subject.folds
        ]
    )
    neurons = excited.excited(subject, progress, executor)
    compared = comparisons.compare(subject, neurons, progress)
    occluded = hidden_parts.hide(subject, progress)
    searched = xia.find(subject, progress)
    table, own = table1.rows(net, found, without), supplement()
    exhibits = (
        table1.exhibit(subject, found, table),
        figure1.exhibit(subject, found),
        figure2.exhibit(subject),
        figure3.exhibit(subject, found),
        figure4.exhibit(subject, found),
        figure5.exhibit(subject, own),
        figure6.exhibit(own),
        figure7.exhibit(own),
        chapter.exhibit(subject, without),
        decoded_filter.exhibit(subject, compared),
        zeiler_fergus.exhibit(subject, neurons),
        occlusion.exhibit(subject, occluded),
        *xia.exhibits(subject, searched),
    )
    return Reproduction(tuple(table), exhibits)

"""The chapters of a report beyond the paper's, of few digits and with little done for each."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import fdref
from fdref.paper import (
    comparisons,
    decoded_filter,
    excited,
    hidden_parts,
    occlusion,
    xia,
    zeiler_fergus,
)
from fdref.paper.subject import Effort, Subject

if TYPE_CHECKING:
    from fdref.paper.exhibit import Exhibit

LITTLE = Effort(
    neurons=12, switches=20, noise=60, iterations=5, texture_iterations=3,
    inverted=3, textured=2, maps=3, occluded=3,
)  # fmt: skip


class Small(Subject):
    """Little is done beside going through the images."""

    @property
    def effort(self) -> Effort:
        return LITTLE


class Chapters(NamedTuple):
    """What was found, the exhibits by their stems, and for each part what was told and promised."""

    subject: Subject
    excited: dict[int, excited.Excited]
    compared: comparisons.Compared
    exhibits: dict[str, Exhibit]
    progress: dict[str, tuple[int, int]]


@cache
def chapters() -> Chapters:
    """Make the chapters of 40 digits."""
    digits = fdref.mnist().test
    return chapters_of(Small(fdref.load(), digits.images[:40], digits.labels[:40], []))


def chapters_of(subject: Subject) -> Chapters:
    """Make all chapters of a subject."""
    told: dict[str, list[int]] = {name: [] for name in ("excited", "compared", "hidden", "found")}
    neurons = excited.excited(subject, told["excited"].append)
    compared = comparisons.compare(subject, neurons, told["compared"].append)
    hidden = hidden_parts.hide(subject, told["hidden"].append)
    found = xia.find(subject, told["found"].append)
    exhibits = (
        decoded_filter.exhibit(subject, compared),
        zeiler_fergus.exhibit(subject, neurons),
        occlusion.exhibit(subject, hidden),
        *xia.exhibits(subject, found),
    )
    parts = zip(told, (excited, comparisons, hidden_parts, xia), strict=True)
    progress = {name: (sum(told[name]), module.steps(subject)) for name, module in parts}
    return Chapters(subject, neurons, compared, {one.stem: one for one in exhibits}, progress)

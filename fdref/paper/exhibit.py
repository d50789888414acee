"""A table or figure of the paper, recomputed: what it claims, shows and holds, as values.

Nothing here knows of pages, pictures or files; those are made of this.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isnan
from operator import eq, ge, gt, le
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from matplotlib.figure import Figure
    from numpy.typing import NDArray

VERDICTS: dict[bool | None, str] = {True: "holds", False: "does not hold", None: "does not apply"}

Relation = Literal[">", ">=", "<=", "=="]

RELATIONS: dict[Relation, tuple[Callable[[float, float], bool], str]] = {
    ">": (gt, "more than"),
    ">=": (ge, "at least"),
    "<=": (le, "at most"),
    "==": (eq, "exactly"),
}
"""How a measured value must stand to a threshold, and the words for it."""


@dataclass(frozen=True)
class Claim:
    """One thing that the paper says, and whether it is so.

    Attributes
    ----------
    text : str
        What the paper claims.
    found : str
        What we see, with the numbers.
    holds : bool or None
        None: does not apply to this network or these images; `found` says why.
    quantity : str
        What was measured to tell, in words.
    measured : float or None
        Its value; None where the claim does not apply.
    relation : ">", ">=", "<=" or "=="
        How `measured` stands to `threshold` where the claim holds.
    threshold : float or None
    """

    text: str
    found: str
    holds: bool | None
    quantity: str = ""
    measured: float | None = None
    relation: Relation = ">"
    threshold: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the claim holds, in words."""
        return VERDICTS[self.holds]

    @property
    def criterion(self) -> str:
        """What was measured and what it is held against; nothing where that does not apply."""
        if self.measured is None or self.threshold is None:
            return ""
        words = RELATIONS[self.relation][1]
        return f"{self.quantity}: {self.measured:.4g}; holds for {words} {self.threshold:.4g}"


def judged(
    text: str, found: str, quantity: str, measured: float, relation: Relation, threshold: float
) -> Claim:
    """Judge a claim by a number and what it is held against; NaN is judged by nothing.

    Examples
    --------
    >>> judged("Strokes are thin.", "of 28 pixels", "pixels across a stroke", 2, "<=", 3).verdict
    'holds'
    >>> judged("Strokes are thin.", "there are none", "", float("nan"), "<=", 3).verdict
    'does not apply'
    """
    if isnan(measured):
        return Claim(text, found, None)
    holds = bool(RELATIONS[relation][0](measured, threshold))
    return Claim(text, found, holds, quantity, float(measured), relation, float(threshold))


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; the first cell of a row names it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Exhibit:
    """One table or figure of the paper, recomputed.

    Attributes
    ----------
    stem : str
        What its files and its numbers are called by, such as 'figure1'.
    title : str
        Such as 'Table 1' or 'Figure 1: what the last layer looks for'.
    text : str
        What is shown.
    claims : tuple of Claim
    tables : tuple of Table
    numbers : {name: array}
        The data behind it.
    draw : callable or None
        Draws the figure; None where there is none.
    alt : str
        What to read out in place of the figure.
    """

    stem: str
    title: str
    text: str
    claims: tuple[Claim, ...] = ()
    tables: tuple[Table, ...] = ()
    numbers: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    draw: Callable[[], Figure] | None = None
    alt: str = ""

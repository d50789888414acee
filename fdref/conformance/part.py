"""The part of a kit that is judged: a profile, an operation, a section, single cases."""

from __future__ import annotations

from difflib import get_close_matches
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, NamedTuple

from fdref.arguments import one_of
from fdref.conformance.case import OPERATIONS
from fdref.conformance.comparison import readable
from fdref.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fdref.conformance.case import Case

PROFILES = {
    "forward": ("correlate", "pool", "relu", "normalize", "bnorm", "forward"),
    "decode": ("substitute", "unpool", "decode"),
    "full": OPERATIONS,
}
"""Operations that make a whole: what somebody implements who implements a part."""


class Part(NamedTuple):
    """Some of a kit's cases, and what they are called; all of them have no name."""

    name: str
    cases: list[Case]


def part_of(cases: Sequence[Case], only: Iterable[str] = (), profile: str | None = None) -> Part:
    """Choose cases.

    Parameters
    ----------
    cases : sequence of Case
    only : iterable of str
        Operations, IDs, sections with those below them, or patterns of these with ``*``; a case is
        chosen if one matches. None choose all.
    profile : str, optional
        One of `PROFILES`; of its operations alone.

    Raises
    ------
    ArgumentError
        If there is no such profile, or one of `only` matches no case, or none of the profile.

    Examples
    --------
    >>> from fdref.conformance.cases import cases
    >>> name, chosen = part_of(cases(), ["2.3", "pool-max"])
    >>> name, {case.operation for case in chosen} == {"relu", "pool"}
    ('2.3, pool-max', True)
    >>> part_of(cases(), profile="forward").name
    'forward'
    """
    chosen, words = list(cases), []
    if profile is not None:
        one_of(profile, "profile", [*PROFILES])
        chosen = [case for case in cases if case.operation in PROFILES[profile]]
        words = [profile] * (profile != "full")
    patterns = list(only)
    for pattern in patterns:
        if not any(matches(case, pattern) for case in chosen):
            raise ArgumentError(_unmatched(pattern, cases, profile))
    if patterns:
        chosen = [case for case in chosen if any(matches(case, one) for one in patterns)]
    return Part(readable(", ".join(words + patterns)), chosen)


def matches(case: Case, pattern: str) -> bool:
    """Tell whether a pattern means a case."""
    chapter = case.section.partition(".")[0]
    names = (case.id, case.operation, case.section, chapter)
    return any(fnmatchcase(name, pattern) for name in names)


def _unmatched(pattern: str, cases: Sequence[Case], profile: str | None) -> str:
    names = {name for case in cases for name in (case.id, case.operation, case.section)}
    near = get_close_matches(pattern, sorted(names), n=1)
    of = "" if profile is None else f" of the profile {profile}"
    meant = f"; is {near[0]!r} meant?" if near and near[0] != pattern else ""
    return (
        f"{pattern!r} matches no case{of}; expected an operation, an ID, a section or a pattern "
        f"with *{meant}"
    )

"""What an implementer knows to fail: a list that the implementer owns."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fdref.errors import ArgumentError, FileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path


def read_excuses(path: Path, ids: Sequence[str]) -> dict[str, str]:
    """Read a list of cases that may fail: {id: reason}.

    Raises
    ------
    FileError
        If the file cannot be read, or a line matches no case.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise FileError(f"{path} cannot be read: {reason}; expected IDs, one a line") from None
    try:
        return excuses(lines, ids)
    except ArgumentError as error:
        raise FileError(f"{path}: {error}") from None


def excuses(lines: Iterable[str], ids: Sequence[str]) -> dict[str, str]:
    """Find the cases that may fail, and why: {id: reason}.

    Parameters
    ----------
    lines : iterable of str
        One ID or pattern (``*`` for any text) a line. What follows a ``#`` is the reason; without
        one, the comment in the lines above, down to a blank line.
    ids : sequence of str
        Of all cases.

    Raises
    ------
    ArgumentError
        If a line matches no case.

    Examples
    --------
    >>> excuses(["# a = -3/4", "unpool-*", "", "lrn  # not done"], ["unpool-1", "unpool-2", "lrn"])
    {'unpool-1': 'a = -3/4', 'unpool-2': 'a = -3/4', 'lrn': 'not done'}
    """
    found: dict[str, str] = {}
    above: list[str] = []
    inside = False  # a block of patterns, whose comment is complete
    for number, line in enumerate(lines, start=1):
        pattern, _, comment = (part.strip() for part in line.partition("#"))
        if not pattern:
            above = ([] if inside or not comment else above) + ([comment] if comment else [])
            inside = False
            continue
        inside = True
        matching = [one for one in ids if fnmatchcase(one, pattern)]
        if not matching:
            raise ArgumentError(
                f"line {number}, {pattern!r}, matches no case; expected an ID, or a pattern with *"
            )
        for one in matching:
            found.setdefault(one, comment or " ".join(above))
    return found

"""What an implementer knows to fail: a list that the implementer owns."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from fdref.errors import ArgumentError, FileError
from fdref.weights.bounded import contents
from fdref.weights.files import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

LARGEST = 2**20
"""Bytes of such a list."""


def read_excuses(path: Path, ids: Sequence[str]) -> dict[str, str]:
    """Read a list of cases that may fail: {id: reason}.

    Raises
    ------
    FileError
        If the file cannot be read, or a line matches no case.
    """
    expected = "a list of IDs, one a line"
    try:
        lines = contents(path, expected, LARGEST).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise refusal(f"{path}", f"is not UTF-8 text, expected {expected}") from None
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

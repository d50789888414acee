"""Text for a terminal."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_NAME = 60
"""Characters of a layer's name that are shown."""


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header, leaving out columns that are empty in every row."""
    columns = [column for column in zip(header, *rows, strict=True) if any(column[1:])]
    padded = [[cell.ljust(max(map(len, column))) for cell in column] for column in columns]
    for line in zip_longest(*padded):
        print("  ".join(line).rstrip())


def printable(text: str, most: int | None = None) -> str:
    r"""Make text from a stranger's file safe for any terminal, at most so many characters long.

    >>> printable("\x1b[31mKlasse Ä", most=10)
    '?[31mKl...'
    """
    if most is not None and len(text) > most:
        text = f"{text[: most - 3]}..."
    return "".join(char if char.isprintable() else "?" for char in text)

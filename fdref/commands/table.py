"""Text for a terminal."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING

from fdref.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_NAME = 60
"""Characters of a layer's name that are shown."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Set rows under a header, leaving out columns that are empty in every row.

    >>> print(table(("layer", "name"), [("1", "conv1"), ("10", "")]))
    layer  name
    1      conv1
    10
    """
    columns = [column for column in zip(header, *rows, strict=True) if any(column[1:])]
    widths = [max(map(len, column)) for column in columns]
    lines = zip_longest(*columns)
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under a header."""
    print(table(header, rows))


def printable(text: str, most: int | None = None) -> str:
    r"""Make text from a stranger's file safe for any terminal, at most so many characters long.

    >>> printable("\x1b[31mKlasse Ä", most=10)
    '?[31mKl...'
    """
    if most is not None and len(text) > most:
        text = f"{text[: most - 3]}..."
    return one_line(text, None)

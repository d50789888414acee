"""Tables of plain text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def table(header: Sequence[str], rows: Sequence[Sequence[str]], texts: int | None = None) -> str:
    """Set rows under a header, leaving out columns that are empty in every row.

    The first `texts` columns, or all, are set to the left, the others, of numbers, to the right.

    >>> print(table(("layer", "name"), [("1", "conv1"), ("10", "")]))
    layer  name
    1      conv1
    10
    >>> print(table(("name", "cases"), [("conv", "7"), ("pool", "12")], texts=1))
    name  cases
    conv      7
    pool     12
    """
    columns = []
    for place, (head, *cells) in enumerate(zip(header, *rows, strict=True)):
        if any(cells):
            width = max(map(len, (head, *cells)))
            adjust = str.ljust if texts is None or place < texts else str.rjust
            columns.append([adjust(cell, width) for cell in (head, *cells)])
    return "\n".join("  ".join(line).rstrip() for line in zip(*columns, strict=True))

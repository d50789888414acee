"""The sentences of SPECIFICATION.md, one by one."""

from __future__ import annotations

import re


def sentences(text):
    """Yield each sentence, row of a table, or entry of a list, without what is only emphasis."""
    for line in text.splitlines():
        if not line.strip() or line.startswith("#") or set(line) <= set("|-"):
            continue
        plain = line.replace("**", "")
        if plain.startswith("|"):
            yield plain
        else:
            yield from re.split(r"(?<=[.?!)])\s+(?=[A-Z0-9(`*-])", plain)

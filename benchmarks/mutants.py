"""How much `fdref check` finds of what is wrong, and how it names it: a table of mutants.

    python benchmarks/mutants.py

Each mutant of `tests/witness_mutants.py` answers the kit's small cases, and is diagnosed.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from naming import Naming, named
from witness_mutants import MUTANTS

from fdref.conformance.mistakes import MISTAKES
from fdref.drawing.text_table import table


def main() -> None:
    """Print what became of each, and how many of a kind there are."""
    found: dict[str, list[str]] = {}
    every = [int(number) for number in sys.argv[1:]]
    for mutant in [MUTANTS[number] for number in every] or MUTANTS:
        kind, told = named(mutant)
        found.setdefault(kind, []).append(told)
        if kind != Naming.RIGHTLY:
            what = f"{mutant.place!r} >> {mutant.change!r}"
            said = f"is {', '.join(mutant.names) or '-'}; told {told or '-'}"
            print(f"{MUTANTS.index(mutant)} {kind}: {what}\n    {said}", flush=True)
    counts = Counter({kind: len(names) for kind, names in found.items()})
    rows = [("mistakes with a name", str(len(MISTAKES))), ("mutants", str(len(MUTANTS)))]
    rows += [(kind.value, str(counts[kind])) for kind in Naming]
    print(table(("", ""), rows, texts=1))


if __name__ == "__main__":
    main()

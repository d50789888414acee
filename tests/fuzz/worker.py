"""The process in which mutants are read; `fuzz.harness` starts it."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:1] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from fuzz import offender  # noqa: E402 - the path must be known first
from fuzz.formats import FORMATS  # noqa: E402
from fuzz.harness import work  # noqa: E402

if __name__ == "__main__":
    name, *numbers = sys.argv[1:]
    work((FORMATS | {"offender": offender.FORMAT})[name], *map(int, numbers))

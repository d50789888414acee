"""Try mutants of files: `python tests/fuzz matlab5 --count 5000 --seed 1`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

sys.path[:1] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from fuzz.formats import FORMATS  # noqa: E402 - the path must be known first
from fuzz.harness import run  # noqa: E402


def main() -> int:
    """Print one line of figures for each format, then the violations."""
    parser = argparse.ArgumentParser(prog="python tests/fuzz", description=__doc__)
    parser.add_argument("formats", nargs="*", default=[*FORMATS], help=", ".join(FORMATS))
    parser.add_argument("--count", type=int, default=1000, help="mutants of each (1000)")
    parser.add_argument("--seed", type=int, default=0, help="others give other mutants (0)")
    parser.add_argument("--first", type=int, default=0, help="number of the first (0)")
    parser.add_argument("--keep", type=Path, help="folder for the mutants that violate something")
    options = parser.parse_args()
    violations = 0
    for name in options.formats:
        figures = run(FORMATS[name], options.count, options.seed, options.first)
        print(figures, flush=True)
        for number, problem in figures.violations.items():
            print(f"  {number}: {problem}", flush=True)
            if options.keep is not None:
                form = FORMATS[name]
                data = form.mutant(form.seeds(), options.seed, number)
                options.keep.mkdir(parents=True, exist_ok=True)
                place = options.keep / f"{name}-{options.seed}-{number}{form.suffix}"
                place.write_bytes(data)
        violations += len(figures.violations)
    return min(violations, 1)


if __name__ == "__main__":
    sys.exit(main())

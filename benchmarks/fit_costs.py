"""Which constants would make the planner's estimates fit what planner.py measured?

`python benchmarks/fit_costs.py planner.json` prints them beside those of `fdref.decoding.costs`,
where they are to be written by hand. What is minimised are differences of logarithms, robustly: a
way of a millisecond counts as much as one of a minute, and a few odd ones do not decide.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import machine  # noqa: F401 - before NumPy
import numpy as np
from scipy.optimize import least_squares

from fdref.decoding.costs import Cost

COUNTED = [field.name for field in fields(Cost)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measured", type=Path, help="what planner.py wrote")
    ways = json.loads(parser.parse_args().measured.read_text(encoding="utf-8"))["ways"]
    counts, once = counted(ways)
    measured = np.array([way["measured"] for way in ways])
    before = np.array([*constants(), once])
    after = fitted(counts, measured, before)
    for name, old, new in zip([*COUNTED, "once"], before, after, strict=True):
        print(f"{name:>12}: {old:.3g} now, {new:.3g} fitted")
    for label, values in (("now", before), ("fitted", after)):
        off = np.exp(np.abs(np.log(counts @ values / measured)))
        print(f"{label:>12}: half within a factor {np.quantile(off, 0.5):.2f}, ", end="")
        print(f"9 in 10 within {np.quantile(off, 0.9):.2f}, all within {off.max():.1f}")


def constants() -> list[float]:
    """Return the seconds that each thing counted is estimated at, in float32."""
    return [Cost(**{name: 1}).seconds(4) for name in COUNTED]


def counted(ways: list[dict[str, Any]]) -> tuple[np.ndarray, float]:
    """Return what was counted of each way, a column each, and what is added once a way."""
    counts = np.array([[way["cost"][name] for name in COUNTED] for way in ways])
    estimated = np.array([way["estimated"] for way in ways])
    rest = estimated - counts @ constants()
    once = float(np.median(rest))
    if not np.allclose(rest, once, rtol=1e-6, atol=1e-6 * estimated.max()):
        sys.exit("what was measured was estimated with other constants: measure again")
    return np.column_stack([counts, np.ones(len(ways))]), once


def fitted(counts: np.ndarray, measured: np.ndarray, start: np.ndarray) -> np.ndarray:
    """Find positive constants."""

    def off(logarithms: np.ndarray) -> np.ndarray:
        return np.log(counts @ np.exp(logarithms) / measured)

    start = np.log(np.maximum(start, 1e-15))
    return np.exp(least_squares(off, start, loss="soft_l1", f_scale=0.3).x)


if __name__ == "__main__":
    main()

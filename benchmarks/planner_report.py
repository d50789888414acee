"""What planner.py measured, as a table and a picture."""

from __future__ import annotations

from itertools import groupby
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
from colours import THREE
from matplotlib.figure import Figure

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.axes import Axes

TOLERATED = 1.3
"""Regret above this is said."""
COLOURS = dict(zip(("from above", "atoms", "pixels"), THREE, strict=True))
MARKERS = {"from above": "o", "atoms": "s", "pixels": "^"}
ALT = "Left: estimated against measured time of every way. Right: the regret of every case, sorted"
CURVES = "Time and memory against filters, depth and field: measured points and estimated lines"

Row = dict[str, Any]


def table(found: dict[str, Any]) -> str:
    """Write Markdown: for each network and unpooling, how good plans and estimates are."""
    rows = [
        ["", "cases", "ways", "regret, median", "worst", "estimated / measured", "9 in 10 within"],
        ["---"] + ["---:"] * 6,
    ]
    for key, cases in grouped(found["cases"]):
        ways = [row for row in found["ways"] if key == label(row)]
        rows.append([key, *figures(list(cases), ways)])
    rows.append(["together", *figures(found["cases"], found["ways"])])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def figures(cases: list[Row], ways: list[Row]) -> list[str]:
    """Sum up cases and ways."""
    regrets = [case["regret"] for case in cases]
    ratios = np.array([way["estimated"] / way["measured"] for way in ways])
    within = np.quantile(np.maximum(ratios, 1 / ratios), 0.9)
    worst = f"{max(regrets):.2f}{' (!)' if max(regrets) > TOLERATED else ''}"
    quality = [f"{median(regrets):.2f}", worst, f"{median(ratios):.2f}", f"a factor {within:.1f}"]
    return [str(len(cases)), str(len(ways)), *quality]


def concerns(cases: list[Row]) -> list[str]:
    """Name the cases in which another plan is clearly faster, the worst first."""
    slow = [case for case in cases if case["regret"] > TOLERATED]
    return [
        f"- Regret {case['regret']:.2f}: {label(case)}, {case['case']}: "
        f"{', '.join(case['chosen'])} ({case['measured'] * 1e3:.3g} ms) "
        f"instead of {', '.join(case['best'])}"
        for case in sorted(slow, key=lambda case: -case["regret"])
    ]


def label(row: Row) -> str:
    """Return in which row of the table something belongs."""
    return f"{row['network']}: {row['unpool']}"


def grouped(rows: list[Row]) -> list[tuple[str, list[Row]]]:
    """Return the rows of each network and unpooling, in the order of measurement."""
    return [(key, list(group)) for key, group in groupby(rows, key=label)]


def draw(found: dict[str, Any], path: Path) -> None:
    """Draw every way, and every case."""
    figure = Figure(figsize=(10, 4.8), dpi=100, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    draw_ways(left, found["ways"])
    draw_regrets(right, [case["regret"] for case in found["cases"]])
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params("both", which="both", labelsize=8)
    figure.savefig(path)


def draw_ways(axes: Axes, ways: list[Row]) -> None:
    """Draw a point for each way, those that were chosen with a ring; diagonal: as estimated."""
    for kind, colour in COLOURS.items():
        points = [(way["measured"], way["estimated"]) for way in ways if way["kind"] == kind]
        if points:
            axes.plot(
                *zip(*points, strict=True), MARKERS[kind],
                color=colour, ms=4, alpha=0.6, label=kind, mew=0,
            )  # fmt: skip
    taken = [(way["measured"], way["estimated"]) for way in ways if way["chosen"]]
    axes.plot(
        *zip(*taken, strict=True), "o", mfc="none", mec="black", mew=0.6, ms=7, label="chosen"
    )
    axes.set_xscale("log")
    axes.set_yscale("log")
    ends = [way[side] for way in ways for side in ("measured", "estimated")]
    line = np.array([min(ends) / 1.5, max(ends) * 1.5])
    axes.plot(line, line, color="black", lw=0.8, zorder=0)
    axes.fill_between(line, line / 2, line * 2, color="black", alpha=0.07, lw=0, zorder=0)
    axes.set_xlim(*line)
    axes.set_ylim(*line)
    axes.set_aspect("equal")
    axes.set_xlabel("measured, seconds", fontsize=9)
    axes.set_ylabel("estimated, seconds", fontsize=9)
    axes.set_title("every way (grey: within a factor 2)", loc="left", fontsize=10)
    axes.legend(fontsize=8, frameon=False, loc="lower right")


def points(ways: list[Row]) -> tuple[list[float], list[float]]:
    """Return measured and estimated times."""
    return [way["measured"] for way in ways], [way["estimated"] for way in ways]


def draw_regrets(axes: Axes, regrets: list[float]) -> None:
    """Draw the regret of each case, sorted."""
    axes.plot(
        np.linspace(0, 100, len(regrets)), sorted(regrets), ".-", color=COLOURS["atoms"], lw=1, ms=4
    )
    axes.axhline(TOLERATED, color="black", lw=0.8, ls="--")
    axes.text(0, TOLERATED, f" {TOLERATED}", fontsize=8, va="bottom")
    axes.set_ylim(0.95, max(TOLERATED, *regrets) + 0.15)
    axes.set_xlabel("% of the cases", fontsize=9)
    axes.set_ylabel("chosen plan / fastest plan, measured", fontsize=9)
    axes.set_title("regret of every case", loc="left", fontsize=10)

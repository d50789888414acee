"""Turn what `pytest benchmarks --benchmark-json=speed.json` measured into a table and a picture.

`python benchmarks/report.py speed.json` writes the table between the two markers in README.md, and
ratios.png beside this script. A ratio is the peer's median time over fdref's: how many times as
fast fdref is.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

HERE = Path(__file__).parent
BEGIN, END = "<!-- benchmarks -->", "<!-- /benchmarks -->"
OURS = "fdref"
COLOURS = {"PyTorch": "#c8553d", "ONNX Runtime": "#2f6690", "SciPy": "#588157"}
NAMES = {
    "numpy": "NumPy",
    "numba": "Numba",
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "scipy": "SciPy",
}

Medians = dict[str, dict[str, float]]
"""{task: {who: seconds}}, tasks in the order they were run in."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measured", type=Path, help="what --benchmark-json wrote")
    parser.add_argument("--readme", type=Path, default=HERE.parent / "README.md")
    options = parser.parse_args()
    measured = json.loads(options.measured.read_text(encoding="utf-8"))
    medians = medians_of(measured["benchmarks"])
    if not peers_of(medians):
        sys.exit(f"{options.measured} has no task with a peer: install '.[peers]', measure again")
    text = f"{table(medians)}\n\n{conditions(measured)}\n\n![{ALT}](benchmarks/ratios.png)"
    insert(text, options.readme)
    draw(medians, HERE / "ratios.png")


ALT = "Bars: how many times as fast as each peer fdref is, task by task, on a logarithmic axis"


def medians_of(benchmarks: list[dict[str, Any]]) -> Medians:
    """Collect the medians of the tasks that both we and a peer were timed at."""
    found: Medians = {}
    for one in benchmarks:
        sides = found.setdefault(one["group"], {})
        sides[one["extra_info"]["who"]] = one["stats"]["median"]
    return {task: sides for task, sides in found.items() if OURS in sides and len(sides) > 1}


def peers_of(medians: Medians) -> list[str]:
    """Return the peers that were there, in the table's order."""
    return [peer for peer in COLOURS if any(peer in sides for sides in medians.values())]


def ratios_to(peer: str, medians: Medians) -> dict[str, float]:
    """Return how many times as fast as a peer we are at each task."""
    return {task: sides[peer] / sides[OURS] for task, sides in medians.items() if peer in sides}


def table(medians: Medians) -> str:
    """Write Markdown: our time, and the ratio to each peer."""
    peers = peers_of(medians)
    ratios = {peer: ratios_to(peer, medians) for peer in peers}
    rows = [
        ["", OURS, *(f"against {peer}" for peer in peers)],
        ["---"] + ["---:"] * (1 + len(peers)),
    ]
    for task, sides in medians.items():
        against = (ratios[peer].get(task) for peer in peers)
        cells = ("" if ratio is None else times(ratio) for ratio in against)
        rows.append([task, duration(sides[OURS]), *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def times(ratio: float) -> str:
    """Write a ratio with two digits, or three before the point."""
    return f"{ratio:.2f}" if ratio < 1 else f"{ratio:.1f}" if ratio < 10 else f"{ratio:.0f}"


def duration(seconds: float) -> str:
    """Write a time with three digits."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def conditions(measured: dict[str, Any]) -> str:
    """Say what the figures depend on."""
    machine = measured["machine_info"]
    versions = [f"{NAMES[name]} {version}" for name, version in machine["versions"].items()]
    cpu = machine["cpu"].get("brand_raw", machine["machine"])
    return (
        "fdref: median time; against: how many times as fast as the peer that is, so below 1 the "
        f"peer is faster. {cpu}, {machine['threads']} threads on every side; "
        f"Python {machine['python_version']}, {', '.join(versions)}; {measured['datetime'][:10]}."
    )


def insert(text: str, readme: Path) -> None:
    """Put text between the markers."""
    page = readme.read_text(encoding="utf-8")
    marked = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not marked.search(page):
        sys.exit(f"{readme} has no lines {BEGIN} and {END} to write between")
    page = marked.sub(lambda _: f"{BEGIN}\n{text}\n{END}", page, count=1)
    readme.write_text(page, encoding="utf-8")


def draw(medians: Medians, path: Path) -> None:
    """Draw a panel for each peer, its bars sorted; they grow from 1, where both are equal."""
    panels = {
        peer: sorted(ratios_to(peer, medians).items(), key=lambda bar: bar[1])
        for peer in peers_of(medians)
    }
    counts = [len(bars) for bars in panels.values()]
    figure = Figure(figsize=(10, 0.9 + 0.27 * sum(counts) + 0.45 * len(counts)), dpi=100)
    figure.set_layout_engine("constrained")
    rows = figure.subplots(
        len(panels), sharex=True, squeeze=False, height_ratios=[n + 0.5 for n in counts]
    )
    for (peer, bars), axes in zip(panels.items(), rows[:, 0], strict=True):
        names, values = zip(*bars, strict=True)
        drawn = axes.barh(names, [v - 1 for v in values], left=1, color=COLOURS[peer], height=0.72)
        axes.bar_label(drawn, [times(v) for v in values], padding=3, fontsize=8)
        axes.axvline(1, color="black", linewidth=0.8)
        axes.set_title(f"against {peer}", loc="left", fontsize=10)
        axes.tick_params("y", length=0, labelsize=8)
        axes.tick_params("x", which="both", labelsize=8)
        axes.spines[["top", "right", "left"]].set_visible(False)
    limits = [v for bars in panels.values() for _, v in bars]
    axes.set_xscale("log")
    axes.set_xlim(min(*limits, 1) / 1.6, max(*limits, 1) * 1.6)
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlabel("times as fast (left of 1 the peer is faster)", fontsize=9)
    figure.savefig(path)


if __name__ == "__main__":
    main()

"""What `pytest benchmarks` measured, as tables and a picture.

A ratio is the peer's median time over fdref's: how many times as fast fdref is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import machine
import trust
from colours import THREE
from matplotlib.figure import Figure
from sides import OURS

if TYPE_CHECKING:
    from pathlib import Path

COLOURS = dict(zip(("PyTorch", "ONNX Runtime", "SciPy"), THREE, strict=True))
ALT = "Bars: how many times as fast as each peer fdref is, task by task, on a logarithmic axis"

Medians = dict[str, dict[str, float]]
"""{task: {who: seconds}}, tasks in the order they were run in."""


def medians_of(benchmarks: list[dict[str, Any]]) -> Medians:
    """Collect the medians of the tasks that both we and a peer were timed at."""
    found: Medians = {}
    for one in benchmarks:
        sides = found.setdefault(one["group"], {})
        scale = one["extra_info"].get("times", 1)  # timed on a part of the task
        sides[one["extra_info"]["who"]] = one["stats"]["median"] * scale
    return {task: sides for task, sides in found.items() if OURS in sides and len(sides) > 1}


def peers_of(medians: Medians) -> list[str]:
    """Return the peers that were there, in the table's order."""
    return [peer for peer in COLOURS if any(peer in sides for sides in medians.values())]


def ratios_to(peer: str, medians: Medians) -> dict[str, float]:
    """Return how many times as fast as a peer we are at each task."""
    return {task: sides[peer] / sides[OURS] for task, sides in medians.items() if peer in sides}


def unsure_of(benchmarks: list[dict[str, Any]]) -> set[tuple[str, str]]:
    """Return the tasks, and whose times of them are to be marked."""
    return {(one["group"], one["extra_info"]["who"]) for one in benchmarks if trust.unsure(one)}


def table(medians: Medians, unsure: set[tuple[str, str]]) -> str:
    """Write Markdown: our time, and the ratio to each peer, marked where either is unsure."""
    peers = peers_of(medians)
    ratios = {peer: ratios_to(peer, medians) for peer in peers}
    rows = [
        ["", OURS, *(f"against {peer}" for peer in peers)],
        ["---"] + ["---:"] * (1 + len(peers)),
    ]
    for task, sides in medians.items():
        cells = [duration(sides[OURS])]
        for peer in peers:
            doubtful = bool({(task, OURS), (task, peer)} & unsure)
            ratio = times(ratios[peer][task]) if task in ratios[peer] else ""
            cells.append(f"{ratio} {trust.MARK}" if ratio and doubtful else ratio)
        rows.append([task, *cells])
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
    info = measured["machine_info"]
    cpu, python = info["cpu"].get("brand_raw", info["machine"]), info["python_version"]
    day, libraries = measured["datetime"][:10], (info["versions"], info["blas"])
    found = machine.conditions(cpu, info["threads"], python, *libraries, day)
    return (
        "fdref: median time; against: how many times as fast as the peer that is, so below 1 the "
        f"peer is faster. {trust.LEGEND} {found}"
    )


def bounds(benchmarks: list[dict[str, Any]]) -> str:
    """Hold a decoded VGG-16 against what its plain products, and moving its result, take."""
    by_extra = {key: one for one in benchmarks for key in one["extra_info"]}
    if not {"products", "copied"} <= set(by_extra):
        return ""
    ours, copy = by_extra["products"], by_extra["copied"]
    extra, decoding = ours["extra_info"], ours["stats"]["median"]
    work = sum(multiply_adds for multiply_adds, _ in extra["products"])
    speeds = [2e-9 * multiply_adds / seconds for multiply_adds, seconds in extra["products"]]
    bandwidth = copy["extra_info"]["copied"] / copy["stats"]["median"]
    layers = f"{min(speeds):.0f} to {max(speeds):.0f} GFLOPS layer by layer"
    result, speed = f"{extra['result'] / 1e6:,.0f} MB", f"{bandwidth / 1e9:.1f} GB/s"
    mark = f" {trust.MARK}" * (trust.unsure(ours) or trust.unsure(copy))
    rows = [
        ["what bounds a whole VGG-16", ""],
        ["---", "---:"],
        [ours["group"], duration(decoding)],
        [f"its products alone: {work:.2g} multiply-adds, {layers}", duration(extra["alone"])],
        ["decoding, as a multiple of the products alone", times(decoding / extra["alone"]) + mark],
        ["farthest from float64, of a layer's largest value", f"{extra['error']:.1e}"],
        [f"its result, {result}, copied at {speed}", duration(extra["result"] / bandwidth)],
        ["peak memory of the process, its result included", f"{extra['peak'] / 1e6:,.0f} MB"],
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


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

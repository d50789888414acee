"""Time and memory against filters, width, depth, pools and field: measured and estimated.

`python benchmarks/cost_curves.py` draws cost_curves.png beside this script, in some minutes, and
prints by which power of what is varied each grows, or by which factor with one more. A kind of way
is represented by the one that is estimated to be the shortest, with all that it stands on.
"""

from __future__ import annotations

import argparse
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import machine  # noqa: F401 - before NumPy
import numpy as np
import trust
from matplotlib.figure import Figure
from networks import chain, pooled, vgg
from planner_report import COLOURS, MARKERS
from ways import MEMORY, Pace, decoder, in_turn, seconds

import fdref
from fdref.decoding.blocks import PICTURES
from fdref.decoding.planning import cheapest
from fdref.decoding.ways import Ways
from fdref.drawing.text_table import table
from fdref.engines import parallel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from matplotlib.axes import Axes

    from fdref import Network
    from fdref.decoding.costs import Way

UNPOOL, ITEMSIZE = "nearest", 4
CHOICE = "the planner's choice"
SERIES = COLOURS | {CHOICE: "black"}
FILTERS = 16
COLUMNS = ("varied", "way", "time", "estimated", "memory", "estimated")


@dataclass(frozen=True)
class Point:
    """Some filters of a layer, and where they stand on an axis."""

    x: int
    net: Network
    layer: int
    filters: int


@dataclass(frozen=True)
class Axis:
    """What is varied."""

    title: str
    label: str
    points: list[Point]
    scale: str = "log"


@dataclass(frozen=True)
class Value:
    """What one kind of way takes: seconds and bytes, estimated and measured."""

    estimated: tuple[float, float]
    measured: tuple[float, float]


Curves = dict[int, dict[str, Value]]
"""{place on the axis: {kind of way: what it takes}}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one round on tiny networks")
    parser.add_argument("--picture", type=Path, default=Path(__file__).with_suffix(".png"))
    options = parser.parse_args()
    pace = Pace(rounds=1) if options.quick else Pace()
    curves, begun = [], trust.Moment()
    for axis in axes_of(4 if options.quick else 16):
        curves.append((axis, {point.x: measure(point, pace.all_alike()) for point in axis.points}))
        print(f"{axis.label}: {len(axis.points)} points", flush=True)
    print(table(COLUMNS, list(growths(curves))))
    draw(curves, options.picture)
    trust.warn(begun)


def axes_of(width: int) -> list[Axis]:
    """Return what is varied, in VGG-16 of some width and in shorter networks."""
    net, deep, few = vgg(width), 22, min(FILTERS, width)
    counts = [2**n for n in range(11) if 2**n <= net.channels[deep]]
    chains = [chain(taps, 2 * width) for taps in ((2, 3) if width < FILTERS else (2, 3, 5, 7, 9))]
    layers = list(enumerate(net.decodable, 1))[2:]
    most = 3 if width < FILTERS else 5
    widths = [width // 2**n for n in (3, 2, 1, 0) if width >= 2**n]
    fields = [fdref.receptive_field(net, 7).size[0] for net in chains]
    return [
        Axis("ten convolutions deep", "filters", [Point(n, net, deep, n) for n in counts]),
        Axis(
            f"{min(widths)} filters, ten convolutions deep",
            "filters in the first convolution",
            [Point(n, vgg(n), deep, min(widths)) for n in widths],
        ),
        Axis(
            f"{few} filters",
            "convolutions",
            [Point(n, net, layer, few) for n, layer in layers],
            "linear",
        ),
        Axis(
            f"{few} filters of a fifth convolution",
            "pools",
            [Point(n, pooled(n, 2 * width), 5 + n, few) for n in range(most)],
            "linear",
        ),
        Axis(
            f"{few} filters of a fifth convolution",
            "pixels across the receptive field",
            [Point(size, net, 7, few) for size, net in zip(fields, chains, strict=True)],
        ),
    ]


def measure(point: Point, pace: Pace) -> dict[str, Value]:
    """Go each kind of way, in turn."""
    plans = dict(plans_to(point))
    wanted = {point.layer: range(point.filters)}
    runs = {
        name: partial(timed, point.net, wanted, ways, pace.patience) for name, ways in plans.items()
    }
    times = in_turn(runs, pace)
    return {
        name: Value(
            (sum(way.seconds for way in ways), max(map(memory, ways))),
            (times[name], peak(point.net, wanted, ways)),
        )
        for name, ways in plans.items()
    }


def plans_to(point: Point) -> Iterator[tuple[str, tuple[Way, ...]]]:
    """Return the shortest plan by each kind of way, and the shortest of all."""
    net = point.net

    def standing(way: Way) -> tuple[Way, ...]:
        """Add what a way stands on."""
        banks = {bank: net.channels[bank] for bank in way.banks}
        return (*cheapest(net, banks, UNPOOL, ITEMSIZE, MEMORY).ways, way)

    ways = list(Ways(net, UNPOOL, ITEMSIZE).all_to(point.layer, point.filters))
    for kind in COLOURS:
        plans = [standing(way) for way in ways if way.kind == kind and way.memory <= MEMORY]
        if plans:
            yield kind, min(plans, key=lambda plan: sum(way.seconds for way in plan))
    yield CHOICE, cheapest(net, {point.layer: point.filters}, UNPOOL, ITEMSIZE, MEMORY).ways


def timed(net: Network, wanted: dict[int, range], ways: tuple[Way, ...], patience: float) -> float:
    """Return the seconds of a plan."""
    (filters,) = wanted.values()
    return seconds(decoder(net, wanted, ways, UNPOOL), len(filters), patience)


def memory(way: Way) -> int:
    """Estimate the bytes beside the result, for as many filters as go down together."""
    return way.taken(min(PICTURES // way.largest, way.at_once(MEMORY, MEMORY), way.filters))


def peak(net: Network, wanted: dict[int, range], ways: tuple[Way, ...]) -> int:
    """Measure the bytes beside the result, which is forgotten block by block.

    Threads keep their scratch memory: it is counted by having it allocated anew, in new threads.
    """
    parallel.team.dismiss()
    with ThreadPoolExecutor(1) as fresh:
        return fresh.submit(peak_here, net, wanted, ways).result()


def peak_here(net: Network, wanted: dict[int, range], ways: tuple[Way, ...]) -> int:
    """Measure what is allocated from now on."""
    largest = 0
    tracemalloc.start()
    for block in decoder(net, wanted, ways, UNPOOL):
        largest = max(largest, block.pictures.nbytes)
        del block
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return max(found - largest, 0)


def growth(values: dict[int, float], scale: str) -> str:
    """Say how something grows: as a power of what is varied, or by a factor with one more of it.

    Fitted by least squares to logarithms; nothing where fewer than two values are positive.

    >>> growth({1: 3.0, 2: 12.0, 4: 48.0}, "log"), growth({3: 1.0, 4: 4.0, 5: 16.0}, "linear")
    ('n^2.00', '4.00^n')
    """
    known = {x: value for x, value in values.items() if value > 0}
    if len(known) < 2:
        return ""
    x = np.array(list(known), float)
    slope = np.polyfit(np.log(x) if scale == "log" else x, np.log(list(known.values())), 1)[0]
    return f"n^{slope:.2f}" if scale == "log" else f"{np.exp(slope):.2f}^n"


def growths(curves: list[tuple[Axis, Curves]]) -> Iterator[tuple[str, ...]]:
    """Say for every axis how the time and the memory grow of each kind of way."""
    for axis, values in curves:
        for name in SERIES:
            own = {x: found[name] for x, found in values.items() if name in found}
            yield (
                f"{axis.label} ({axis.title})",
                name,
                *(
                    growth({x: getattr(value, of)[n] for x, value in own.items()}, axis.scale)
                    for n in (0, 1)
                    for of in ("measured", "estimated")
                ),
            )


def draw(curves: list[tuple[Axis, Curves]], path: Path) -> None:
    """Draw a column for each axis: time above, memory below."""
    figure = Figure(figsize=(15, 6), dpi=100, layout="constrained")
    grid = figure.subplots(2, len(curves), sharex="col", sharey="row")
    for column, (axis, values) in zip(grid.T, curves, strict=True):
        column[1].set_xlabel(axis.label, fontsize=9)
        for row, axes in enumerate(column):
            axes.set_xscale(axis.scale)
            draw_curves(axes, values, row)
            chosen = {x: found[CHOICE].measured[row] for x, found in values.items()}
            said = f"{CHOICE}: {growth(chosen, axis.scale)}"
            title = f"{axis.title}\n{said}" if not row else said
            axes.set_title(title, loc="left", fontsize=9)
    grid[0, 0].set_ylabel("seconds", fontsize=9)
    grid[1, 0].set_ylabel("megabytes beside the result", fontsize=9)
    lines, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        lines,
        names,
        loc="outside upper left",
        ncols=len(names),
        fontsize=9,
        frameon=False,
        title="points: measured, lines: estimated",
        title_fontsize=9,
        alignment="left",
    )
    figure.savefig(path)


def draw_curves(axes: Axes, values: Curves, row: int) -> None:
    """Draw what is measured as points, what is estimated as lines."""
    unit = (1.0, 1e6)[row]
    for name, colour in SERIES.items():
        own = {x: found[name] for x, found in values.items() if name in found}
        estimated = [value.estimated[row] / unit for value in own.values()]
        measured = [value.measured[row] / unit for value in own.values()]
        if name == CHOICE:  # around the points of the way that it is
            axes.plot(list(own), measured, "o", color=colour, mfc="none", ms=8, mew=0.8, label=name)
        else:
            axes.plot(list(own), estimated, color=colour, lw=1.2)
            axes.plot(list(own), measured, MARKERS[name], color=colour, ms=5, label=name)
    axes.set_yscale("log")
    axes.set_xticks(list(values), map(str, values))
    axes.minorticks_off()
    axes.tick_params("both", which="both", labelsize=8)
    axes.spines[["top", "right"]].set_visible(False)


if __name__ == "__main__":
    main()

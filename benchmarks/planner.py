"""Does the planner choose well? Go every way that it considers, and hold its estimates against it.

`python benchmarks/planner.py planner.json` writes what it measured, draws planner.png beside this
script and prints a table. *Regret* is how many times as long the chosen plan takes as the fastest
that can be put together from all ways. Half an hour; `--quick` tries it out on small networks.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass
from functools import partial
from itertools import chain, combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import machine
import trust
from networks import overlapping, varied, vgg
from planner_report import concerns, draw, table
from ways import MEMORY, Pace, Stopwatch, Timed, decoder, in_turn, seconds

import fdref
from fdref.decoding.planning import cheapest, threads
from fdref.decoding.ways import Ways
from fdref.engines.resize import METHODS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fdref import Network
    from fdref.decoding.costs import Way
    from fdref.engines.resize import Method

HERE = Path(__file__).parent
LONG = 20.0
"""Seconds of a plan that is not gone as a whole any more, once its ways are measured."""


@dataclass(frozen=True)
class Subject:
    """A network, and which of its layers are decoded one by one."""

    label: str
    make: Callable[[], Network]
    layers: tuple[int, ...]


SUBJECTS = {
    "lenet": Subject("LeNet", fdref.load, (3, 5, 7)),
    "varied": Subject("strides, dilation, groups, average pools", varied, (4, 7, 10, 12, 14)),
    "overlapping": Subject("overlapping pools", overlapping, (4, 7, 9, 11, 14)),
    "narrow": Subject("VGG-16, an eighth as wide", partial(vgg, 8), (3, 8, 15, 22, 29)),
    "vgg": Subject("VGG-16", vgg, (15, 29)),
}

Measured = dict[tuple[int, int], list[Timed]]
"""{(layer, how many of its filters): all ways to them}"""


@dataclass(frozen=True)
class Case:
    """Filters to be decoded."""

    label: str
    wanted: dict[int, int]
    """{layer: how many filters}"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", type=Path, help="where the figures go, as JSON")
    parser.add_argument("--networks", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--quick", action="store_true", help="one round, the LeNet alone")
    parser.add_argument("--picture", type=Path, default=HERE / "planner.png")
    options = parser.parse_args()
    pace = Pace(rounds=1, patience=0.1) if options.quick else Pace()
    names = ["lenet"] if options.quick else options.networks
    begun = trust.Moment()
    found: dict[str, Any] = {"conditions": machine.these_conditions(), "ways": [], "cases": []}
    for name in names:
        for unpool in METHODS:
            subject = SUBJECTS[name]
            measured, cases = survey(subject.make(), subject.layers, unpool, pace)
            for kind, rows in (("ways", measured), ("cases", cases)):
                found[kind] += [{"network": subject.label, "unpool": unpool} | row for row in rows]
            print(
                f"{subject.label}, {unpool}: {len(measured)} ways, {len(cases)} cases", flush=True
            )
    found |= {"others": begun.others(), "processors": os.cpu_count()}
    options.output.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(table(found), *concerns(found["cases"]), sep="\n")
    draw(found, options.picture)
    trust.warn(begun)


def survey(
    net: Network, layers: tuple[int, ...], unpool: Method, pace: Pace
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Measure all ways to all cases, then compare plans."""
    watch = Stopwatch(net, unpool, pace)
    measured: Measured = {}
    chosen: set[Way] = set()
    rows = []
    for case in cases_of(net, layers):
        measure(watch, case, measured)
        row, plan = compare(watch, case, measured)
        rows.append(row)
        chosen |= plan
    timed = chain.from_iterable(measured.values())
    return [describe(one, one.way in chosen) for one in timed], rows


def cases_of(net: Network, layers: tuple[int, ...]) -> Iterator[Case]:
    """One filter, some, or all of a layer; all of all layers."""
    for layer in layers:
        every = net.channels[layer]
        for label, count in (("one", 1), ("some", max(2, every // 8)), ("all", every)):
            yield Case(f"{label} of layer {layer}", {layer: count})
    yield Case("all layers", {layer: net.channels[layer] for layer in net.decodable})


def measure(watch: Stopwatch, case: Case, measured: Measured) -> None:
    """Time every way that fits to the filters of a case, and to whatever banks these stand on."""
    ways = Ways(watch.net, watch.unpool, watch.net.dtype.itemsize, threads())
    open_ends = list(case.wanted.items())
    while open_ends:
        layer, count = open_ends.pop()
        if (layer, count) not in measured:
            fitting = [way for way in ways.all_to(layer, count) if way.memory <= MEMORY]
            measured[layer, count] = watch.time(fitting)
            banks = frozenset().union(*(way.banks for way in fitting))
            open_ends += [(bank, watch.net.channels[bank]) for bank in banks]


def compare(watch: Stopwatch, case: Case, measured: Measured) -> tuple[dict[str, Any], set[Way]]:
    """Go the chosen plan and the fastest in turn, unless they are the same or take too long."""
    net, itemsize = watch.net, watch.net.dtype.itemsize
    plan = cheapest(net, case.wanted, watch.unpool, itemsize, MEMORY)
    times = {one.way: one.seconds for one in chain.from_iterable(measured.values())}
    plans = {"chosen": plan.ways, "best": fastest(net, case, measured)}
    found = {name: sum(times[way] for way in ways) for name, ways in plans.items()}
    if found["chosen"] < LONG:
        wanted = {layer: range(count) for layer, count in case.wanted.items()}
        runs = {
            name: lambda ways=ways: seconds(decoder(net, wanted, ways, watch.unpool), 0)
            for name, ways in plans.items()
        }
        if set(plans["chosen"]) == set(plans["best"]):
            del runs["best"]
        found |= in_turn(runs, watch.pace.all_alike())
    best = min(found.values()) if set(plan.ways) != set(plans["best"]) else found["chosen"]
    row = {
        "case": case.label,
        "estimated": plan.seconds,
        "measured": found["chosen"],
        "regret": found["chosen"] / best,
        "chosen": [name_of(way) for way in sorted(plan.ways, key=lambda way: way.layer)],
        "best": [name_of(way) for way in sorted(plans["best"], key=lambda way: way.layer)],
    }
    return row, set(plan.ways)


def fastest(net: Network, case: Case, measured: Measured) -> tuple[Way, ...]:
    """Try all sets of banks to stand on; given them, take the fastest way to each layer."""
    ordered = {key: sorted(timed, key=lambda one: one.seconds) for key, timed in measured.items()}
    whole = {layer for layer, count in case.wanted.items() if count == net.channels[layer]}
    others = [n for n in net.decodable if n < max(case.wanted) and n not in whole]
    others = [layer for layer in others if (layer, net.channels[layer]) in measured]
    plans = []
    for extra in chain.from_iterable(combinations(others, n) for n in range(len(others) + 1)):
        banks = {*whole, *extra}
        layers = case.wanted | {layer: net.channels[layer] for layer in extra}
        plans.append(
            [next(one for one in ordered[key] if one.way.banks <= banks) for key in layers.items()]
        )
    best = min(plans, key=lambda plan: sum(one.seconds for one in plan))
    return tuple(one.way for one in best)


def describe(one: Timed, chosen: bool) -> dict[str, Any]:
    """Return what is written down of a way."""
    kept = {name: getattr(one.way, name) for name in ("layer", "filters", "kind", "boundary")}
    costs = {"cost": asdict(one.way.cost), "estimated": one.way.seconds, "measured": one.seconds}
    return kept | costs | {"chosen": chosen}


def name_of(way: Way) -> str:
    """Name a way as `fdref decode --plan` does."""
    return f"{way.layer} {way.kind}" + (f" {way.boundary}" if way.boundary else "")


if __name__ == "__main__":
    main()

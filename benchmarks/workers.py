"""What it costs to have images evaluated elsewhere: CPU seconds over those of one process.

`python benchmarks/workers.py` evaluates digits here, in a process of `fdref.Processes` and, where
Dask is installed, by a worker of a cluster on this machine, in turn, and prints the median of the
rounds' ratios, by how many images go at a time. CPU seconds are those of all processes that take
part (Dask's scheduler is a thread of this one): other work on the machine changes them little.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from operator import truediv
from statistics import median
from typing import TYPE_CHECKING

import machine
import numpy as np
import psutil
import trust

import fdref
from fdref.drawing.text_table import table
from fdref.measure import chunks
from fdref.measure.running import evaluate_running

if TYPE_CHECKING:
    from fdref.measure.chunks import Executor
    from fdref.measure.running import Running


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--together", type=int, nargs="+", default=[1, 5], help="hundreds at once")
    options = parser.parse_args(arguments)
    digits = fdref.mnist().test.images
    images = np.tile(digits, (-(-options.images // len(digits)), 1, 1))[: options.images]
    net = fdref.load()
    x, begun = images[:, None], trust.Moment()
    with ExitStack() as stack:
        sides = [Side("here", None, [])]
        processes = stack.enter_context(fdref.Processes(1))
        sides.append(Side("Processes(1)", processes, started_by(processes, net, x)))
        if find_spec("distributed") is not None:
            before = {one.pid for one in psutil.Process().children(recursive=True)}
            reached = stack.enter_context(cluster(stack))
            own = [one for one in started_by(reached, net, x) if one.pid not in before]
            sides.append(Side("Dask, one worker", reached, own))
        rows = [
            (f"{100 * together}", name, f"{ratio:.3f}", f"{1000 * each:.3f} ms")
            for together in options.together
            for name, ratio, each in compared(net, x, sides, together, options.rounds)
        ]
    print(table(("images a task", "by", "CPU time / here", "an image"), rows))
    trust.warn(begun)


@dataclass(frozen=True)
class Side:
    """Who evaluates, and the processes that do."""

    name: str
    executor: Executor | None
    processes: list[psutil.Process]

    def cpu_seconds(self) -> float:
        """Return what this process and those have taken of processors."""
        return sum(sum(one.cpu_times()[:2]) for one in (psutil.Process(), *self.processes))


def started_by(executor: Executor, net: fdref.Network, x: np.ndarray) -> list[psutil.Process]:
    """Have something done, and return all processes that there are then."""
    evaluate(net, x[:1000], executor)
    return psutil.Process().children(recursive=True)


def evaluate(net: fdref.Network, x: np.ndarray, executor: Executor | None) -> dict[int, Running]:
    """Do what `fdref evaluate` does, filters decoded."""
    return evaluate_running(net, x, banks(net), executor=executor)


@cache
def banks(net: fdref.Network) -> dict[int, np.ndarray]:
    """Decode, once."""
    return fdref.decode_all(net)


def compared(
    net: fdref.Network, x: np.ndarray, sides: list[Side], together: int, rounds: int
) -> list[tuple[str, float, float]]:
    """Return for each side its CPU time over that of this process alone, and an image's."""
    chunks.TOGETHER = together
    wanted = evaluate(net, x[:1000], None)
    for side in sides:  # what is started and compiled is not measured
        assert evaluate(net, x[:1000], side.executor) == wanted
    taken: dict[str, list[float]] = {side.name: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            before = side.cpu_seconds()
            evaluate(net, x, side.executor)
            taken[side.name].append(side.cpu_seconds() - before)
    here = taken[sides[0].name]
    return [
        (name, median(map(truediv, times, here)), median(times) / len(x))
        for name, times in taken.items()
    ]


def cluster(stack: ExitStack) -> fdref.Cluster:
    """Start a scheduler, and a worker of one thread with as many for its products as we have."""
    from distributed import LocalCluster

    local = LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        dashboard_address=None,
        env={name: str(machine.THREADS) for name in machine.VARIABLES},
    )
    stack.enter_context(local)
    return fdref.Cluster(local.scheduler_address)


if __name__ == "__main__":
    main()

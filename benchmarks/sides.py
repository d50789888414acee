"""The two sides of a benchmark: what each runs, in which batches, and that both find the same."""

from __future__ import annotations

import timeit
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from peers import Task
    from peers.task import Run
    from pytest_benchmark.fixture import BenchmarkFixture

OURS = "fdref"


def prepare(task: Task, who: str, dtype: str, batch: int | None = None) -> Run:
    """Return what is to be run by us or by a peer."""
    arguments = task.arguments(dtype)
    if who == OURS:
        return lambda: task.ours(**arguments, engine="compiled")
    return task.prepare(who, arguments, batch)


def best_batch(task: Task, who: str, *, choose: bool) -> int | None:
    """Return how many filters or images a peer is quickest with; without a choice, any number."""
    if not choose or not task.batches:
        return next(iter(task.batches), None)

    def seconds(batch: int | None) -> float:
        run = prepare(task, who, "float32", batch)
        once = timeit.timeit(run, number=1)
        return once if once > 1 else min(timeit.repeat(run, number=1, repeat=3))

    return min((None, *task.batches), key=seconds)


def check(task: Task, who: str, batch: int | None) -> None:
    """Nothing is timed that is not equal."""
    dtype = task.precisions[0]
    task.check(prepare(task, OURS, dtype)(), prepare(task, who, dtype, batch)(), dtype)


def describe(benchmark: BenchmarkFixture, name: str, who: str, **extra: object) -> None:
    """Tell the report what is timed, and stand beside whoever does the same."""
    benchmark.group = name
    benchmark.extra_info.update(who=who, **extra)

"""Whether a time can be believed: what else the machine did, and how far rounds differ."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import machine
import psutil

SPREAD = 1.3
"""How many times as long the third quartile of the rounds may be as the first."""
ALLOWED = 0.25
"""Processors that others may take of those that we need: an idle system takes some, too."""
FEW = 0.1
"""The share of the times that may be taken beside others' work, and be marked, in a report."""
MARK = "(?)"
LEGEND = (
    f"{MARK}: the rounds of either side differ by more than {SPREAD - 1:.0%} from their first to "
    "their third quartile, or others took processors meanwhile."
)


def busy_seconds() -> float:
    """Return the seconds that processors were not free, and those that a host took for itself."""
    times = psutil.cpu_times()
    kinds = ("user", "nice", "system", "irq", "softirq", "steal", "interrupt", "dpc")
    return float(sum(getattr(times, kind, 0) for kind in kinds))


@dataclass(frozen=True)
class Moment:
    """When, and the processors' seconds until then: everybody's, and ours."""

    time: float = field(default_factory=perf_counter)
    all: float = field(default_factory=busy_seconds)
    ours: float = field(default_factory=lambda: sum(os.times()[:4]))

    def others(self) -> float:
        """Return how many processors others have kept busy since then, on average."""
        now = Moment()
        taken = (now.all - self.all) - (now.ours - self.ours)
        return max(taken, 0) / max(now.time - self.time, 1e-9)


def contended(others: float, processors: int | None = None) -> bool:
    """Tell whether others took of the processors that we need."""
    free = (processors or os.cpu_count() or 1) - others
    return free < machine.THREADS - ALLOWED


def warn(begun: Moment) -> None:
    """Say so where what was just measured means little."""
    others = begun.others()
    if contended(others):
        print(f"others kept {others:.1f} processors busy: do not compare these times")


def unsure(benchmark: dict[str, Any]) -> bool:
    """Tell whether a time of `--benchmark-json` is to be marked."""
    stats = benchmark["stats"]
    return benchmark["extra_info"]["contended"] or bool(stats["q3"] > SPREAD * stats["q1"])


def too_busy(benchmarks: list[dict[str, Any]]) -> bool:
    """Tell whether so many times were taken beside others' work that none should be reported."""
    beside = [one["extra_info"]["contended"] for one in benchmarks]
    return sum(beside) > FEW * len(beside)

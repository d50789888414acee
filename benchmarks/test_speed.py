"""Speed, side by side with what a user would pick instead: `pytest benchmarks`.

Each task is a group of its own: fdref (the compiled engine, float32) and its peers, one after the
other, on the same arguments and with as many threads.
"""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from absence import absent
from peers import TASKS
from sides import OURS, best_batch, check, describe, prepare

import fdref

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

TIMED = {task.name: task for task in TASKS if task.timed}
CASES = [(name, who) for name, task in TIMED.items() for who in (OURS, *task.peers)]

COMMANDS = {
    "command: fdref --help (PyTorch: import torch)": ["--help"],
    "command: fdref decode, all filters (PyTorch: import torch)": ["decode", "--no-pictures", "-o"],
}


@pytest.mark.large
@pytest.mark.benchmark(warmup=True, warmup_iterations=3, min_rounds=5, max_time=1)
@pytest.mark.parametrize(("name", "who"), CASES)  # names, as they are written into the JSON
def test_computation(benchmark: BenchmarkFixture, name: str, who: str) -> None:
    task = TIMED[name]
    try:
        batch = None if who == OURS else best_batch(task, who, choose=benchmark.enabled)
        run = prepare(task, who, "float32", batch)
        if who != OURS:
            check(task, who, batch)
    except ModuleNotFoundError as error:
        absent("peers", f"{error.name} is not installed")
    describe(benchmark, task.name, who)
    benchmark(run)


@pytest.mark.parametrize("who", [OURS, "PyTorch"])
@pytest.mark.parametrize("name", COMMANDS)
def test_command(benchmark: BenchmarkFixture, name: str, who: str, tmp_path: Path) -> None:
    if who == "PyTorch" and find_spec("torch") is None:
        absent("peers", "torch is not installed")
    home = Path(fdref.__file__).parents[1]  # found there in a checkout that is not installed, too
    folders = (str(tmp_path / str(n)) for n in count())  # `fdref decode` overwrites nothing

    def run() -> None:
        command = ["-c", "import torch"] if who == "PyTorch" else ["-m", "fdref", *COMMANDS[name]]
        if command[-1] == "-o":
            command.append(next(folders))
        subprocess.run([sys.executable, *command], cwd=home, check=True, capture_output=True)

    describe(benchmark, name, who)
    benchmark.pedantic(run, rounds=5, warmup_rounds=1)

"""What tests of the commands share: running them, a small model, and what they leave behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np

import fdref
from fdref.commands import main

ROOT = Path(__file__).parents[1]


def bank(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def small_model(folder: Path) -> Path:
    """Write a net so small that every command is quick: 3 and 2 filters, of 3x3 and 6x6."""
    layers = [
        fdref.Conv(bank(3, 1, 3, 3), name="low"),
        fdref.ReLU(name="bend"),
        fdref.Pool(2, 2, name="shrink"),
        fdref.Conv(bank(2, 3, 2, 2, seed=1), name="high"),
    ]
    fdref.save(fdref.Network(layers), folder / "small.mat")
    return folder / "small.mat"


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def started_evaluation(*arguments: object, first: str = "", **more) -> subprocess.Popen[str]:
    """Start `fdref evaluate` in a process of its own, something else done first."""
    body = f"import sys; {first or 'pass'}; from fdref.commands import main; sys.exit(main())"
    script = f"if __name__ == '__main__':\n    {body}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    command = [sys.executable, "-c", script, "evaluate", *map(str, arguments)]
    return subprocess.Popen(command, env=environment, **pipes, **more)


def refusal(capsys, *arguments: object) -> str:
    """Run a command that must be refused as every command is; return what it says."""
    status = run(*arguments)
    output = capsys.readouterr()
    assert status == 2
    assert output.out == ""
    assert output.err.startswith("fdref: ")
    assert output.err.count("\n") == 1
    assert output.err.endswith("\n")
    return output.err.removeprefix("fdref: ").rstrip("\n")


def everything_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


def python(*arguments: object, **options) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False, **options)

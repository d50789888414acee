"""A format whose reader does all that none may do, so that the harness is seen to notice."""

from __future__ import annotations

import ctypes
import os
import pickle
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from fuzz.harness import Format

from fdref.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random


def refuse() -> None:
    raise FileError("a.mat is damaged")


def refuse_in_two_lines() -> None:
    error = FileError("a.mat is damaged")
    error.args = ("a.mat is\ndamaged",)
    raise error


def fail() -> None:
    raise ValueError("no error of ours")


def warn() -> None:
    warnings.warn("careful", RuntimeWarning, stacklevel=1)


def open_another() -> None:
    Path(os.devnull).read_bytes()


def open_another_behind_pythons_back() -> None:
    libc = ctypes.CDLL(None) if not sys.modules.get("libc") else sys.modules["libc"]
    libc.open(b"decoy", os.O_RDONLY)


def execute() -> None:
    exec("1 + 1")  # noqa: S102 - what is looked for


def unpickle() -> None:
    pickle.loads(b"cos\nsystem\n.")  # noqa: S301 - what is looked for


def run_a_program() -> None:
    os.system("true")  # noqa: S605 - what is looked for


def delete() -> None:
    Path("nothing").unlink(missing_ok=True)


def take_much() -> None:
    np.empty(2**33, "u1")  # claimed, not filled: that would take its time


def take_long() -> None:
    time.sleep(0.7)


def hang() -> None:
    time.sleep(1000)


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


OFFENCES: dict[str, tuple[Callable[[], None], str]] = {
    "nothing": (int, ""),
    "refusal": (refuse, ""),
    "two lines": (refuse_in_two_lines, "FileError in several lines"),
    "exception": (fail, "ValueError: no error of ours"),
    "warning": (warn, "RuntimeWarning: careful"),
    "file": (open_another, "opened '/dev/null'"),
    "file, not by Python": (open_another_behind_pythons_back, "hung"),
    "code": (execute, "executed <code object"),
    "pickle": (unpickle, "pickle.find_class"),
    "program": (run_a_program, "os.system"),
    "deletion": (delete, "os.remove"),
    "memory": (take_much, "MemoryError"),
    "time": (take_long, "took 0.7 s"),
    "hang": (hang, "hung"),
    "crash": (crash, "died of signal 11"),
}
"""What is done, and how the harness calls it; nothing where that is allowed."""


SEED, COUNT = 3272, 17
"""With these all of it is done, and little of it twice."""


def seeds() -> dict[str, bytes]:
    """Make a harmless file."""
    return {"nothing": b"nothing"}


def mutate(_: bytes, random: Random) -> bytes:
    """Choose what shall be done."""
    return random.choice([*OFFENCES]).encode()


def load(path: Path) -> str:
    """Do it."""
    name = path.read_text()
    OFFENCES[name][0]()
    return "done"


FORMAT = Format("offender", seeds, mutate, load, ".txt", decoys=("decoy",), longest=0.5)

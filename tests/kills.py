"""Processes that are killed at the n-th step by which they change a folder."""

from __future__ import annotations

import itertools
import os
import signal
import sys
import warnings
from typing import TYPE_CHECKING

import fdref.files.folder
import fdref.files.laid_out

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CHANGES = {
    f"os.{name}" for name in ("rename", "mkdir", "remove", "rmdir", "link", "chmod", "chown")
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def killed(number: int, call: Callable[[], object]) -> bool:
    """Call in another process and kill it just before its n-th step; tell whether it got there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of threads; the child starts its own
        process = os.fork()
    if process == 0:
        try:
            silence = os.open(os.devnull, os.O_RDWR)
            for stream in (1, 2):
                os.dup2(silence, stream)
            count_steps(number)
            call()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(process, 0)[1])


def count_steps(last: int) -> None:
    """Die at a step: a new name, another mode, before a write, in its middle, before a sync."""
    steps = itertools.count(1)

    def step() -> None:
        if next(steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def hook(event: str, arguments: tuple) -> None:
        if event in CHANGES or (event == "open" and (arguments[2] or 0) & WRITING):
            step()

    def sync(held: int, real=os.fsync) -> None:
        step()
        real(held)

    def write(file, data, real=fdref.files.folder.write_all) -> None:
        step()
        whole = memoryview(data)
        real(file, whole[: len(whole) // 2])
        step()
        real(file, whole[len(whole) // 2 :])

    os.fsync = sync
    fdref.files.folder.write_all = fdref.files.laid_out.write_all = write
    sys.addaudithook(hook)


def visible(folder: Path) -> dict[str, bytes]:
    """Return the files that a user sees."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    }


def hidden(folder: Path) -> list[str]:
    """Return what a user does not see."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob(".*"))


def folders_after_kills(
    folder: Path, prepare: Callable[[Path], object], call: Callable[[Path], object]
) -> Iterator[Path]:
    """Kill at every step, each time in a folder of its own."""
    for number in itertools.count(1):
        own = folder / f"{number}"
        own.mkdir()
        prepare(own)
        if not killed(number, lambda own=own: call(own)):
            assert number > 3, "no step was counted"
            return
        yield own


def survives(
    folder: Path,
    prepare: Callable[[Path], object],
    call: Callable[[Path], int],
    *,
    refused_when_done: bool = False,
    passing: tuple[str, ...] = (),
) -> None:
    """Kill a command everywhere; what is seen is old or new, and the next run makes all of it.

    Some files may be seen in passing, but are never empty.
    """
    for name in ("before", "after"):
        (folder / name).mkdir()
        prepare(folder / name)
    assert call(folder / "after") == 0
    old, new = visible(folder / "before"), visible(folder / "after")
    assert not hidden(folder / "after")
    for left in folders_after_kills(folder, prepare, call):
        for path, data in visible(left).items():
            known = (old.get(path), new.get(path))
            assert data in known or (data and path in passing), (left.name, path)
        assert set(old) <= set(visible(left)), left.name
        done = visible(left) == new
        assert call(left) == 0 or (done and refused_when_done), left.name
        assert visible(left) == new, left.name
        assert not hidden(left), left.name

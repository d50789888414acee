"""How far an evaluation is: kept in a file, if one is named, from which an interrupted one goes on.

The sums are a few numbers for each layer. They are added up in one order, images cut at the same
places, so what goes on ends with the same bits as what was never interrupted.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from math import isfinite, isnan, nan
from time import monotonic
from typing import TYPE_CHECKING, Any

from fdref.arguments import shown
from fdref.errors import ArgumentError, FileError
from fdref.files.whole import failures, read_own_file, replace_file
from fdref.measure.chunks import SIZE
from fdref.measure.running import Running

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fdref.decoding.contents import Contents
    from fdref.weights.pixels import ImageSet

KIND = "fdref evaluate"
EXPECTED = "what `fdref evaluate --checkpoint` wrote"
MOST = 2**24
"""Bytes that such a file may have."""
LONGEST = 12
"""Characters that are shown of text that differs."""
UNREADABLE = (KeyError, TypeError, AttributeError, ValueError, OverflowError, RecursionError)
"""What reading raises where the file is something else."""
OFTEN = 10.0
"""Seconds between one time that it is written and the next."""


class Checkpoint:
    """The sums over the images so far, and what they are sums of.

    Parameters
    ----------
    path : Path or None
        What was left there is gone on with. Without one, nothing is kept.
    contents : Contents
        The filters.
    images : ImageSet

    Raises
    ------
    ArgumentError
        If the file is of another evaluation.
    FileError
        If it is no checkpoint.
    """

    def __init__(self, path: Path | None, contents: Contents, images: ImageSet) -> None:
        self.path, self.count = path, len(images)
        self.found: dict[int, Running] = dict.fromkeys(contents.wanted, Running())
        """what is known of each layer so far"""
        self.seconds = 0.0
        """that it took"""
        self._begun = self._written = 0.0
        if path is not None:
            self._task = _task(contents, images)
            with failures(path):
                self._go_on(path)

    @property
    def done(self) -> int:
        """How many images."""
        return next(iter(self.found.values())).n

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Write it down at the end, however that is reached; count the time until then."""
        self._written = monotonic()
        self._begun = self._written - self.seconds
        try:
            yield
        finally:
            self.seconds = monotonic() - self._begun
            self._write()

    def note(self, found: Mapping[int, Running]) -> None:
        """Note what is known, and write it down if that is some time ago."""
        self.found = dict(found)
        if monotonic() - self._written >= OFTEN:
            self.seconds = monotonic() - self._begun
            self._write()

    def _write(self) -> None:
        if self.path is None or not self.done:
            return
        sums = {
            str(number): [None if isnan(value) else value for value in vars(own).values()]
            for number, own in self.found.items()
        }
        told = {"kind": KIND, "task": self._task, "seconds": self.seconds, "sums": sums}
        replace_file(self.path, f"{json.dumps(told, allow_nan=False)}\n".encode())
        self._written = monotonic()

    def _go_on(self, path: Path) -> None:
        """Read what was left, if anything was."""
        try:
            data = read_own_file(path, EXPECTED, MOST)
        except FileNotFoundError:
            return
        remedy = "name another file, or delete it"
        try:
            told = json.loads(data)
            task, seconds = told["task"] | {"kind": told["kind"]}, _number(told["seconds"])
            found = {int(number): _running(values) for number, values in told["sums"].items()}
        except UNREADABLE as error:
            raise FileError(f"{path} is damaged, or not {EXPECTED}; {remedy}") from error
        for key, value in self._task.items():
            if task.get(key) != value:
                # Of a hash that much tells it from others.
                before, here = (
                    shown(one[:LONGEST] if isinstance(one, str) else one)
                    for one in (task.get(key), value)
                )
                raise ArgumentError(
                    f"{path} is of another evaluation: its {key} is {before}, here it is {here}; "
                    f"{remedy}"
                )
        self._check(path, found, remedy)
        self.found, self.seconds = found, seconds

    def _check(self, path: Path, found: Mapping[int, Running], remedy: str) -> None:
        """Refuse sums that nothing could be added to as if it had never stopped."""
        counts = {own.n for own in found.values()}
        cut = all(0 <= n <= self.count and (n % SIZE == 0 or n == self.count) for n in counts)
        if found.keys() != self.found.keys() or len(counts) != 1 or not cut:
            raise FileError(f"{path} is damaged; {remedy}")


def _task(contents: Contents, images: ImageSet) -> dict[str, Any]:
    """Say what is evaluated, on what; but not where the network's file is."""
    facts = {name: value for name, value in contents.facts.items() if name != "model"}
    return {
        "kind": KIND,
        **facts,
        "layers": [job.number for job in contents.jobs],
        "images": len(images),
        "images_sha256": images.fingerprint(),
    }


def _running(values: list[Any]) -> Running:
    """Read sums; what is no number was NaN."""
    n, compared, *numbers = values
    if not (type(n) is type(compared) is int and 0 <= compared <= n):
        raise ValueError(values)
    mean, correlation, squares = (nan if one is None else _number(one) for one in numbers)
    if (compared > 0) == (isnan(mean) or isnan(correlation)) or not squares >= 0:
        raise ValueError(values)
    return Running(n, compared, mean, correlation, squares)


def _number(value: Any) -> float:
    """Read a number; JSON may hold others than it is written with here, such as 1e999."""
    if type(value) not in (int, float) or not isfinite(value):
        raise ValueError(value)
    return float(value)

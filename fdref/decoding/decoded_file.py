"""`decoded.h5`, filled block by block: an interrupted job goes on where it stopped.

HDF5 lays the file out, with room for every number, and closes it. The numbers are then written
straight to their places, so that the file is sound whenever the process dies. Behind what HDF5
wrote stands, twice by turns, how many filters of each layer are there for good; it is cut off
before the file gets its name.

Until then its name is hidden. Whoever decodes the same into the same folder finds it, and decodes
the blocks that were still to come, by the same products and so to the same bits as if nothing had
happened, provided that the plan is the same. For the same call it is, unless less memory is free
than before; another plan's last bits may differ, as plans' always do.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import partial
from math import inf, prod
from time import perf_counter
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from fdref.decoding.planning import free_memory
from fdref.errors import NetworkError
from fdref.files.folder import write_all

if TYPE_CHECKING:
    import io
    from collections.abc import Callable, Iterator

    from fdref.arrays import Array
    from fdref.decoding.blocks import Block, Found, Plan
    from fdref.decoding.contents import Contents, Job
    from fdref.files.folder import Folder

EVERY = 5.0
"""Seconds of decoding from one record to the next; less is not worth keeping."""

WRITTEN = 2**23
"""Elements that are decoded and written at a time: 32 MB in float32."""

RECORD = 2**20
"""Bytes behind the file for each of the two records, of which a disk takes what is written."""


@dataclass
class Bank:
    """One layer's decoded filters in the file."""

    shape: tuple[int, ...]
    """(K, C0, Rh, Rw)"""
    dtype: np.dtype[Any]
    about: dict[str, Any]
    """attributes"""
    offset: int
    """bytes of the file before them"""
    done: int = 0
    """how many are there"""
    smallest: float = inf
    largest: float = -inf
    seconds: float = 0.0


class DecodedFile:
    """Room for all decoded filters, to be filled."""

    def __init__(
        self, folder: Folder, name: str, disk: io.FileIO, contents: Contents, banks: dict[str, Bank]
    ) -> None:
        self.folder, self.name, self.disk = folder, name, disk
        self.contents, self.banks = contents, banks
        self.present: frozenset[str] = frozenset()
        """layers that were in the file before, and are in this"""
        self.replaced: frozenset[str] = frozenset()
        """layers that were in a file which this is to replace"""
        self.begin(0, 0, 0)

    def begin(self, end: int, records: int, memory: int) -> None:
        """Begin, or go on.

        Parameters
        ----------
        end : int
            Bytes that HDF5 knows of.
        records : int
            How many records have been written before.
        memory : int
            Bytes that were free and the plan was made for; 0: none yet, or the user's choice.
        """
        self.end, self.records, self.memory = end, records, memory
        self.due = self.seconds + EVERY
        self.clock = perf_counter()

    @property
    def asked(self) -> list[Bank]:
        """The banks of what was asked for, job by job."""
        return [self.banks[job.stem] for job in self.contents.jobs]

    @property
    def filters(self) -> int:
        """How many filters were asked for."""
        return sum(bank.shape[0] for bank in self.asked)

    @property
    def done(self) -> int:
        """How many of them are there."""
        return sum(bank.done for bank in self.asked)

    @property
    def seconds(self) -> float:
        """How long that has taken."""
        return sum(bank.seconds for bank in self.banks.values())

    @property
    def worth_keeping(self) -> bool:
        """Tell whether somebody would be glad to go on with it."""
        return self.records > 0 or (self.done > 0 and self.seconds >= EVERY)

    def plan_as_before(self, plan: Plan) -> Plan:
        """Return the plan by which what is there was decoded, unless memory is too scarce."""
        if self.memory not in {0, plan.choice.memory} and self.memory <= free_memory():
            plan = self.contents.plan(self.memory)
        self.memory = plan.choice.memory
        return plan

    def seconds_saved(self, plan: Plan) -> float:
        """Return how much of a plan's estimated seconds is for filters that are there."""
        there = {job.number: bank for job, bank in zip(self.contents.jobs, self.asked, strict=True)}
        return sum(
            way.seconds * there[way.layer].done / there[way.layer].shape[0]
            for way in plan.choice.ways
            if way.layer in there
        )

    def fill(
        self,
        plan: Plan,
        progress: Callable[[int], object] | None = None,
        work: Callable[[float], object] | None = None,
    ) -> None:
        """Decode what is not there yet, and write it block by block.

        Parameters
        ----------
        plan : Plan
        progress : callable, optional
            Called after each block with how many filters of it are new.
        work : callable, optional
            Called after each with its share of the plan's estimated seconds.
        """
        if self.done == self.filters:
            return
        found: Found = {
            job.number: (bank.done, partial(self._read, bank))
            for job, bank in zip(self.contents.jobs, self.asked, strict=True)
        }
        self.clock = perf_counter()
        with np.errstate(all="ignore"):
            for block in plan.blocks(WRITTEN, found, work):
                new = self.write(block)
                del block  # else it is kept for as long as the next one is being decoded
                if progress is not None:
                    progress(new)

    def write(self, block: Block) -> int:
        """Write some filters, and a record if one is due; return how many filters are new.

        Raises
        ------
        NetworkError
            If weights are so large that the filters overflow.
        """
        bank = self.banks[f"layer{block.layer}"]
        new = block.first + len(block.pictures) - bank.done
        if new <= 0:  # decoded once more, for others to stand on
            return 0
        pictures = np.ascontiguousarray(block.pictures)
        if not np.isfinite(pictures).all():
            label = self.contents.net.describe(block.layer)
            raise NetworkError(f"{label} has decoded filters too large for {pictures.dtype}")
        now = perf_counter()
        self._put(bank, block.first, pictures)
        bank.seconds += now - self.clock
        if self.seconds >= self.due:
            self.save()
        self.clock = perf_counter()
        return new

    def _put(self, bank: Bank, first: int, pictures: Array) -> None:
        """Put filters in their place."""
        self.disk.seek(bank.offset + first * pictures[0].nbytes)
        write_all(self.disk, pictures.data.cast("B"))
        bank.smallest = min(bank.smallest, float(pictures.min()))
        bank.largest = max(bank.largest, float(pictures.max()))
        bank.done = first + len(pictures)  # at last: wherever it is interrupted, this holds

    def _read(self, bank: Bank, pictures: Array, first: int = 0) -> None:
        """Read filters into an array."""
        self.disk.seek(bank.offset + first * pictures[0].nbytes)
        rest = pictures.data.cast("B")
        while rest:
            count = self.disk.readinto(rest)
            if not count:
                raise EOFError(f"{self.name} has become shorter")
            rest = rest[count:]

    def pieces(self, bank: Bank) -> Iterator[tuple[int, Array]]:
        """Read a bank's filters, some at a time."""
        step = max(1, WRITTEN // prod(bank.shape[1:]))
        for first in range(0, bank.shape[0], step):
            count = min(step, bank.shape[0] - first)
            piece = np.empty((count, *bank.shape[1:]), bank.dtype)
            self._read(bank, piece, first)
            yield first, piece

    def pictures(self, job: Job) -> Array:
        """Return a layer's filters, which take memory only where and while they are looked at."""
        bank = self.banks[job.stem]
        return np.asarray(np.memmap(self.disk, bank.dtype, "r", bank.offset, bank.shape))

    def measure(self) -> None:
        """Find the smallest and largest numbers of filters that were decoded before."""
        for bank in self.asked:
            for _, piece in self.pieces(bank):
                bank.smallest = min(bank.smallest, float(piece.min()))
                bank.largest = max(bank.largest, float(piece.max()))

    def adopt(self, other: DecodedFile) -> None:
        """Copy the layers that another file has."""
        for stem, bank in other.banks.items():
            for first, piece in other.pieces(bank):
                if first >= self.banks[stem].done:
                    self._put(self.banks[stem], first, piece)

    def save(self) -> None:
        """Note how far all is, once the disk has it."""
        os.fsync(self.disk.fileno())
        banks = {
            stem: [bank.done, bank.smallest, bank.largest, bank.seconds]
            for stem, bank in self.banks.items()
        }
        record = {"records": self.records + 1, "memory": self.memory, "banks": banks}
        # By turns, so that the record before stays whole should the process die while it writes.
        self.disk.seek(self.end + self.records % 2 * RECORD)
        write_all(self.disk, line_of(record))
        self.records += 1
        self.due = self.seconds + EVERY

    def publish(self, name: str) -> None:
        """Give the file its name, once it is whole."""
        if self.name != name:
            self.disk.truncate(self.end)
            self.folder.publish(self.name, self.disk, name)
            self.name = name


def line_of(record: object) -> bytes:
    """Write a record so that half of one is known as such."""
    text = json.dumps(record).encode()
    return b"%08x%b\n" % (crc32(text), text)


def record_in(line: bytes) -> Any:
    """Read what `line_of` wrote.

    Raises
    ------
    ValueError
        If it is something else.
    """
    text = line.partition(b"\n")[0][8:]
    if line[:8] != b"%08x" % crc32(text):
        raise ValueError(text)
    return json.loads(text)

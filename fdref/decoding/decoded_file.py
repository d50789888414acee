"""`decoded.h5`, filled block by block: an interrupted job goes on where it stopped.

Until the file is whole its name is hidden (`LaidOut`). Whoever decodes the same into the same
folder finds it, and decodes the blocks that were still to come, by the same products and so to the
same bits as if nothing had happened, provided that the plan is the same. For the same call it is,
unless less memory is free than before; another plan's last bits may differ, as plans' always do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import inf, prod
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from fdref.decoding.planning import free_memory
from fdref.errors import NetworkError
from fdref.files.laid_out import LaidOut, Room

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


@dataclass
class Bank(Room):
    """One layer's decoded filters (K, C0, Rh, Rw) in the file."""

    done: int = 0
    """how many are there"""
    smallest: float = inf
    largest: float = -inf
    seconds: float = 0.0


class DecodedFile(LaidOut):
    """Room for all decoded filters, to be filled."""

    def __init__(
        self, folder: Folder, name: str, disk: io.FileIO, contents: Contents, banks: dict[str, Bank]
    ) -> None:
        super().__init__(folder, name, disk)
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
            job.number: (bank.done, partial(self.read, bank))
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
        self.put(bank, first, pictures)
        bank.smallest = min(bank.smallest, float(pictures.min()))
        bank.largest = max(bank.largest, float(pictures.max()))
        bank.done = first + len(pictures)  # at last: wherever it is interrupted, this holds

    def pieces(self, bank: Bank) -> Iterator[tuple[int, Array]]:
        """Read a bank's filters, some at a time."""
        step = max(1, WRITTEN // prod(bank.shape[1:]))
        for first in range(0, bank.shape[0], step):
            count = min(step, bank.shape[0] - first)
            piece = np.empty((count, *bank.shape[1:]), bank.dtype)
            self.read(bank, piece, first)
            yield first, piece

    def pictures(self, job: Job) -> Array:
        """Return a layer's filters, which take memory only where and while they are looked at."""
        return self.mapped(self.banks[job.stem])

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
        banks = {
            stem: [bank.done, bank.smallest, bank.largest, bank.seconds]
            for stem, bank in self.banks.items()
        }
        self.note({"memory": self.memory, "banks": banks})
        self.due = self.seconds + EVERY

"""`decoded.h5`, filled block by block: an interrupted job goes on where it stopped.

HDF5 lays the file out, with room for every number, and closes it. The numbers are then written
straight to their places, so that the file is sound whenever the process dies; and a record beside
it, replaced from time to time, says how many filters of each layer are there for good.

Whoever goes on decodes the blocks that were still to come, by the same products and so to the same
bits as if nothing had happened, provided that the plan is the same. For the same command it is,
unless less memory is free than before; another plan's last bits may differ, as plans' always do.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np

import fdref
from fdref.commands.jobs import compact
from fdref.commands.messages import say
from fdref.commands.output import RECORD, SafeFile
from fdref.commands.table import printable
from fdref.engine import engine_named
from fdref.errors import NetworkError
from fdref.network import receptive_field

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from pathlib import Path

    import h5py

    from fdref.arrays import Array
    from fdref.blocks import Block, Found, Wanted
    from fdref.commands.jobs import Job
    from fdref.network import Network

NAME = "decoded.h5"

EVERY = 5.0
"""Seconds of decoding from one record to the next; less is not worth keeping."""


@dataclass(frozen=True)
class Contents:
    """What the file is to hold."""

    net: Network
    jobs: Sequence[Job]
    facts: Mapping[str, Any]
    """attributes of every dataset: how it came about"""

    @property
    def identity(self) -> dict[str, Any]:
        """All that would make the file another one."""
        return {**self.facts, **{job.stem: compact(job.filters) for job in self.jobs}}

    @property
    def wanted(self) -> Wanted:
        """Which filters."""
        return {job.number: job.filters for job in self.jobs}

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers."""
        return engine_named(self.facts["engine"]).precision(self.net.dtype)

    def shape(self, job: Job) -> tuple[int, ...]:
        """Of one layer's decoded filters: (K, C0, Rh, Rw)."""
        size = receptive_field(self.net, job.number).size
        return len(job.filters), self.net.channels[0], *size

    def name_for(self, folder: Path) -> str:
        """Name the job of putting this into a folder."""
        text = json.dumps([folder.absolute().name, self.identity])
        return f"decoded-{hashlib.sha256(text.encode()).hexdigest()[:16]}"


@dataclass
class Bank:
    """One layer's decoded filters in the file."""

    job: Job
    shape: tuple[int, ...]
    """(K, C0, Rh, Rw)"""
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
        self, folder: Path, contents: Contents, banks: Sequence[Bank], memory: int = 0
    ) -> None:
        self.folder, self.contents = folder, contents
        self.banks = {bank.job.number: bank for bank in banks}
        self.memory = memory
        """bytes that were free and the plan was made for; 0: none yet, or the user's choice"""
        self.disk = (folder / NAME).open("r+b", buffering=0)
        self.due = self.seconds + EVERY
        self.clock = perf_counter()

    @property
    def filters(self) -> int:
        """How many filters there will be."""
        return sum(bank.shape[0] for bank in self.banks.values())

    @property
    def done(self) -> int:
        """How many filters are there."""
        return sum(bank.done for bank in self.banks.values())

    @property
    def seconds(self) -> float:
        """How long that has taken."""
        return sum(bank.seconds for bank in self.banks.values())

    @property
    def found(self) -> Found:
        """What need not be decoded again."""
        return {n: (bank.done, self.read(n)) for n, bank in self.banks.items() if bank.done}

    def read(self, number: int) -> Array:
        """Return a layer's filters, which take memory only where and while they are looked at."""
        path, bank = self.folder / NAME, self.banks[number]
        return np.asarray(np.memmap(path, self.contents.dtype, "r", bank.offset, bank.shape))

    def write(self, block: Block) -> int:
        """Write some filters, and a record if one is due; return how many filters are new.

        Raises
        ------
        NetworkError
            If weights are so large that the filters overflow.
        """
        bank = self.banks[block.layer]
        new = block.first + len(block.pictures) - bank.done
        if new <= 0:  # decoded once more, for others to stand on
            return 0
        pictures = np.ascontiguousarray(block.pictures)
        if not np.isfinite(pictures).all():
            raise NetworkError(
                f"{bank.job.label} has decoded filters too large for {pictures.dtype}"
            )
        self.disk.seek(bank.offset + block.first * pictures[0].nbytes)
        rest = pictures.data.cast("B")
        while rest:
            rest = rest[self.disk.write(rest) :]
        bank.smallest = min(bank.smallest, float(pictures.min()))
        bank.largest = max(bank.largest, float(pictures.max()))
        now = perf_counter()
        bank.seconds += now - self.clock
        bank.done += new  # at last: whatever the line at which it is interrupted, this holds
        if self.seconds >= self.due:
            self.save()
            self.due = self.seconds + EVERY
        self.clock = perf_counter()
        return new

    def save(self) -> None:
        """Note how far all is, once the disk has it."""
        os.fsync(self.disk.fileno())
        record = {
            "job": self.contents.identity,
            "memory": self.memory,
            "banks": {
                bank.job.stem: [bank.done, bank.smallest, bank.largest, bank.seconds]
                for bank in self.banks.values()
            },
        }
        new = self.folder / f"{RECORD}.new"
        new.write_text(json.dumps(record), encoding="utf-8")
        new.replace(self.folder / RECORD)


@contextmanager
def decoded_file(folder: Path, contents: Contents) -> Iterator[DecodedFile]:
    """Open the file that an interrupted process has left in a folder, or a new one.

    When interrupted with something worth keeping, note and tell it.
    """
    try:
        file = _take_over(folder, contents)
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is of no use
        _clear(folder, set())
        file = DecodedFile(folder, contents, _lay_out(folder, contents))
    with file.disk:
        try:
            yield file
        except (KeyboardInterrupt, SystemExit) as stop:
            if not file.done or file.seconds < EVERY:
                raise
            file.save()
            kept = (
                f"{file.done:,} of {file.filters:,} filters are kept in {folder}; "
                "the same command goes on with them"
            )
            if isinstance(stop, KeyboardInterrupt):
                raise KeyboardInterrupt(f"; {kept}") from None
            say(f"stopped; {kept}")
            raise


def _take_over(folder: Path, contents: Contents) -> DecodedFile:
    """Go on with what was left; fail if nothing was, or anything is wrong with it."""
    import h5py  # noqa: PLC0415 - only where it is used, so that --help is quick

    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    if record["job"] != contents.identity:
        raise ValueError(record["job"])
    banks = []
    with (folder / NAME).open("rb") as disk, h5py.File(disk, "r") as file:
        for job in contents.jobs:
            bank = _bank(job, file[job.stem], contents)
            done, bank.smallest, bank.largest, bank.seconds = map(float, record["banks"][job.stem])
            bank.done = range(bank.shape[0] + 1)[int(done)]
            banks.append(bank)
    _clear(folder, {NAME, RECORD})
    return DecodedFile(folder, contents, banks, int(record["memory"]))


def _clear(folder: Path, keep: Collection[str]) -> None:
    """Delete what is no part of what goes on."""
    for path in folder.iterdir():
        if path.name not in keep:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _lay_out(folder: Path, contents: Contents) -> list[Bank]:
    """Write a file with room for every number."""
    import h5py  # noqa: PLC0415

    with SafeFile(folder / NAME, "w+") as disk:
        with h5py.File(disk, "w") as file:
            banks = [_bank(job, _room(file, job, contents), contents) for job in contents.jobs]
        disk.check()
    return banks


def _room(file: h5py.File, job: Job, contents: Contents) -> h5py.Dataset:
    """Make room for one layer's decoded filters, and say what they are."""
    import h5py  # noqa: PLC0415

    now = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    now.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # by default, when the first number is written
    dataset = file.create_dataset(job.stem, contents.shape(job), contents.dtype, dcpl=now)
    field = fdref.receptive_field(contents.net, job.number)
    dataset.attrs.update(contents.facts)
    dataset.attrs["layer"] = job.number
    dataset.attrs["layer_name"] = printable(contents.net[job.number].name)
    dataset.attrs["filters"] = compact(job.filters)
    dataset.attrs["receptive_field_size"] = field.size
    dataset.attrs["receptive_field_stride"] = field.stride
    dataset.attrs["receptive_field_offset"] = field.offset
    return dataset


def _bank(job: Job, dataset: h5py.Dataset, contents: Contents) -> Bank:
    """Find out where a layer's filters are."""
    offset = dataset.id.get_offset()
    expected = contents.shape(job), contents.dtype
    if offset is None or (dataset.shape, dataset.dtype) != expected:
        raise ValueError(job.stem)
    return Bank(job, dataset.shape, offset)

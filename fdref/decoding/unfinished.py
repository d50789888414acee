"""Files of decoded filters that are not whole yet: begun, left behind, taken over."""

from __future__ import annotations

import io
import os
import re
import shutil
from contextlib import contextmanager, suppress
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.decoding.decoded_file import RECORD, Bank, DecodedFile, record_in
from fdref.files.folder import NEW, lock, refusal
from fdref.weights.hdf5 import import_h5py

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import h5py
    from typing_extensions import Buffer

    from fdref.decoding.contents import Contents, Described
    from fdref.files.folder import Folder

KEPT = re.compile(r"\.fdref-[0-9a-f]{16}\.decoding")
"""Names of files that are being decoded, or were when the process died."""

STEM = re.compile("layer[1-9][0-9]{0,8}")

UNREADABLE = (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError)
"""What reading a file raises that is damaged, or is another one."""


def begin(
    folder: Folder,
    own: str,
    claimed: Mapping[str, io.FileIO],
    contents: Contents,
    before: DecodedFile | None,
) -> DecodedFile:
    """Take over what an interrupted process has left of the same, or begin."""
    described = contents.described()
    if before is not None:
        described |= _described(before.banks)
    described = dict(sorted(described.items(), key=lambda item: int(item[0][5:])))
    for name in sorted({*claimed} - {own}):
        try:
            file = _take_over(folder, name, claimed[name], contents, described)
        except UNREADABLE as error:
            if isinstance(error, OSError) and error.errno:
                raise
            folder.remove(name)  # it is of no use to anybody
        else:
            if file is not None:
                return file
    return _lay_out(folder, own, claimed[own], contents, described)


def alone_in(folder: Folder) -> tuple[str, dict[str, io.FileIO]]:
    """Make a file, and open those that dead processes have left.

    Everybody locks all of them in the same order, so that of several who begin at the same time one
    gets all.
    """
    while True:
        own = folder.new_name("decoding")
        made = folder.open(own, NEW)
        claimed = {own: os.fdopen(made, "r+b", buffering=0)}
        there = alone = False
        try:
            for name in filter(KEPT.fullmatch, folder.names()):
                if name == own:
                    lock(made)
                    there = folder.has(own, made)
                    continue
                held = folder.claim(name)
                if held is not None:
                    claimed[name] = os.fdopen(held, "r+b", buffering=0)
            alone = there  # or one who was alone has swept it before we locked it
            if alone:
                return own, claimed
        except BlockingIOError:
            busy = "is being written to by another process; wait for it or choose another folder"
            raise refusal(folder.path, busy) from None
        finally:
            if not alone:
                folder.remove(own)
                for disk in claimed.values():
                    disk.close()


def _take_over(
    folder: Folder, name: str, disk: io.FileIO, contents: Contents, described: Described
) -> DecodedFile | None:
    """Go on with what was left; None if it is of something else, an error if of no use."""
    h5py = import_h5py()

    end = disk.seek(0, os.SEEK_END) - 2 * RECORD
    if end < 0:
        raise ValueError(end)
    record = max(_records(disk, end), key=lambda record: int(record["records"]))
    with h5py.File(disk, "r") as hdf5:
        banks = {stem: bank_of(stem, hdf5[stem]) for stem in list(hdf5)}
    if _described(banks) != described:
        return None
    for stem, bank in banks.items():
        done, bank.smallest, bank.largest, bank.seconds = map(float, record["banks"][stem])
        bank.done = range(bank.shape[0] + 1)[int(done)]
    file = DecodedFile(folder, name, disk, contents, banks)
    file.begin(end, int(record["records"]), int(record["memory"]))
    return file


def _records(disk: io.FileIO, end: int) -> Iterator[dict[str, Any]]:
    """Read what is noted of how far all is; a process may have died while it wrote."""
    for number in range(2):
        disk.seek(end + number * RECORD)
        with suppress(ValueError):
            yield record_in(disk.read(RECORD))


def _lay_out(
    folder: Folder, name: str, disk: io.FileIO, contents: Contents, described: Described
) -> DecodedFile:
    """Write a file with room for every number."""
    h5py = import_h5py()

    takes = sum(prod(shape) * dtype.itemsize for shape, dtype, _ in described.values())
    free = shutil.disk_usage(folder.path if folder.held is None else folder.held).free
    if takes > free:
        problem = f"has {free:,} bytes free, the decoded filters take {takes:,}"
        raise refusal(folder.path, f"{problem}; make room or choose another folder")
    with SafeFile(disk.fileno(), "r+", closefd=False) as safe:
        with h5py.File(safe, "w") as hdf5:
            for stem, (shape, dtype, about) in described.items():
                # Or the file would have no place yet for what is written past HDF5.
                now = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                now.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # by default with the first number
                dataset = hdf5.create_dataset(stem, shape, dtype, dcpl=now)
                for key in sorted(about):  # as HDF5 lists those of a file
                    dataset.attrs[key] = about[key]
            banks = {stem: bank_of(stem, hdf5[stem]) for stem in described}
        safe.check()
    end = disk.seek(0, os.SEEK_END)
    disk.truncate(end + 2 * RECORD)
    file = DecodedFile(folder, name, disk, contents, banks)
    file.begin(end, 0, 0)
    return file


def bank_of(stem: str, dataset: h5py.Dataset) -> Bank:
    """Find out where a layer's filters are, and what they are.

    Loops over h5py's `items` hold its lock, and an error out of one keeps it held: go by names.
    """
    offset = dataset.id.get_offset() if dataset.size else 0
    about = {key: np.asarray(dataset.attrs[key]).tolist() for key in list(dataset.attrs)}
    if not STEM.fullmatch(stem) or stem != f"layer{about['layer']}" or offset is None:
        raise ValueError(stem)
    return Bank(tuple(dataset.shape), dataset.dtype, about, offset)


def _described(banks: Mapping[str, Bank]) -> Described:
    return {stem: (bank.shape, bank.dtype, bank.about) for stem, bank in banks.items()}


class SafeFile(io.FileIO):
    """A file for HDF5 to write to, which crashes when a write fails, as on a full disk.

    So HDF5 does not hear of failures; whoever writes asks for them with `check`.
    """

    failure: BaseException | None = None

    def write(self, data: Buffer) -> int:
        """Write all of it."""
        rest = memoryview(data)
        with self._deferred():
            while rest:
                rest = rest[super().write(rest) :]
        return len(memoryview(data))

    def truncate(self, size: int | None = None) -> int:
        """Make the file longer or shorter."""
        with self._deferred():
            super().truncate(size)
        return size or 0

    def check(self) -> None:
        """Raise what went wrong so far."""
        if self.failure is not None:
            raise self.failure

    @contextmanager
    def _deferred(self) -> Iterator[None]:
        try:
            yield
        except BaseException as failure:  # noqa: BLE001 - a signal's exception may come up here, too
            self.failure = self.failure or failure

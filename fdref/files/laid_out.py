"""HDF5 files with room for every number, filled bit by bit, that may be left and gone on with.

HDF5 lays a file out and closes it. The numbers are then written straight to their places, so that
the file is sound whenever the process dies. Behind what HDF5 wrote stands, twice by turns, a record
of what is there for good; it is cut off before the file gets its name. Until then its name is
hidden, and whoever makes the same in the same folder finds it.
"""

from __future__ import annotations

import io
import json
import os
import re
import shutil
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

import numpy as np

from fdref.files.folder import NEW, lock, refusal, write_all
from fdref.imports import imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import h5py
    from numpy.typing import NDArray
    from typing_extensions import Buffer

    from fdref.files.folder import Folder

Taken = TypeVar("Taken")

UNREADABLE = (OSError, KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError)
"""What reading a file raises that is damaged, or is another one."""

RECORD = 2**20
"""Bytes behind the file for each of the two records, of which a disk takes what is written."""

Described = dict[str, tuple[tuple[int, ...], np.dtype[Any], dict[str, Any]]]
"""{name of a dataset: its shape, the type of its numbers, and its attributes}"""


@dataclass
class Room:
    """One dataset in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    about: dict[str, Any]
    """attributes"""
    offset: int
    """bytes of the file before its numbers"""


class LaidOut:
    """A file with room for all numbers."""

    def __init__(self, folder: Folder, name: str, disk: io.FileIO) -> None:
        self.folder, self.name, self.disk = folder, name, disk
        self.end = self.records = 0
        """bytes that HDF5 knows of, and how many records have been written"""

    def put(self, room: Room, first: int, values: NDArray[Any]) -> None:
        """Write values from a row on: C-contiguous, of the room's type."""
        self.disk.seek(room.offset + first * values[0].nbytes)
        write_all(self.disk, _bytes_of(values))

    def read(self, room: Room, values: NDArray[Any], first: int = 0) -> None:
        """Read values from a row on into an array."""
        self.disk.seek(room.offset + first * values[0].nbytes)
        rest = _bytes_of(values)
        while rest:
            count = self.disk.readinto(rest)
            if not count:
                raise EOFError(f"{self.name} has become shorter")
            rest = rest[count:]

    def mapped(self, room: Room) -> NDArray[Any]:
        """Return values that take memory only where and while they are looked at."""
        if prod(room.shape) == 0:
            return np.empty(room.shape, room.dtype)
        return np.asarray(np.memmap(self.disk, room.dtype, "r", room.offset, room.shape))

    def note(self, record: Mapping[str, Any]) -> None:
        """Note how far all is, once the disk has it."""
        os.fsync(self.disk.fileno())
        # By turns, so that the record before stays whole should the process die while it writes.
        self.disk.seek(self.end + self.records % 2 * RECORD)
        write_all(self.disk, line_of({"records": self.records + 1, **record}))
        self.records += 1

    def publish(self, name: str) -> None:
        """Give the file its name, once it is whole."""
        if self.name != name:
            self.disk.truncate(self.end)
            self.folder.publish(self.name, self.disk, name)
            self.name = name


def _bytes_of(values: NDArray[Any]) -> memoryview:
    """Return an array's bytes; Python knows no format of buffers of text."""
    numbers: Any = values.view(np.uint8) if values.dtype.kind == "S" else values
    return memoryview(numbers).cast("B")


def alone_in(folder: Folder, kind: str) -> tuple[str, dict[str, io.FileIO]]:
    """Make a file, and open those of its kind that dead processes have left.

    Everybody locks all of them in the same order, so that of several who begin at the same time one
    gets all.
    """
    left = re.compile(rf"\.fdref-[0-9a-f]{{16}}\.{kind}")
    while True:
        own = folder.new_name(kind)
        made = folder.open(own, NEW)
        claimed = {own: os.fdopen(made, "r+b", buffering=0)}
        there = alone = False
        try:
            for name in filter(left.fullmatch, folder.names()):
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


def left_behind(
    folder: Folder,
    own: str,
    claimed: Mapping[str, io.FileIO],
    take_over: Callable[[str, io.FileIO], Taken | None],
) -> Taken | None:
    """Return the first file of a dead process's that can be gone on with; remove what is damaged.

    Parameters
    ----------
    folder : Folder
    own : str
        The file that was made just now.
    claimed : mapping
        It, and those that others have left, by name.
    take_over : callable
        From a file's name and the open file to what goes on with it; None if it is of something
        else, an error of UNREADABLE if it is of no use to anybody.
    """
    for name in sorted({*claimed} - {own}):
        try:
            file = take_over(name, claimed[name])
        except UNREADABLE as error:
            if isinstance(error, OSError) and error.errno:
                raise
            folder.remove(name)
        else:
            if file is not None:
                return file
    return None


def lay_out(
    folder: Folder, disk: io.FileIO, described: Described, what: str
) -> tuple[int, dict[str, Room]]:
    """Write a file with room for every number; return how long it is, and the rooms.

    Raises
    ------
    FileError
        If the disk is too small for `what` it is.
    """
    h5py = imported("h5py", "HDF5 is written with h5py")

    takes = sum(prod(shape) * dtype.itemsize for shape, dtype, _ in described.values())
    free = shutil.disk_usage(folder.path if folder.held is None else folder.held).free
    if takes > free:
        problem = f"has {free:,} bytes free, {what} take {takes:,}"
        raise refusal(folder.path, f"{problem}; make room, choose another folder, or ask for less")
    with SafeFile(disk.fileno(), "r+", closefd=False) as safe:
        with h5py.File(safe, "w") as hdf5:
            for name, (shape, dtype, about) in described.items():
                # Or the file would have no place yet for what is written past HDF5.
                now = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
                now.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)  # by default with the first number
                dataset = hdf5.create_dataset(name, shape, dtype, dcpl=now)
                for key in sorted(about):  # as HDF5 lists those of a file
                    dataset.attrs[key] = about[key]
            rooms = {name: room_of(hdf5[name]) for name in described}
        safe.check()
    end = disk.seek(0, os.SEEK_END)
    disk.truncate(end + 2 * RECORD)
    return end, rooms


def room_of(dataset: h5py.Dataset) -> Room:
    """Find out where a dataset's numbers are, and what it is.

    Loops over h5py's `items` hold its lock, and an error out of one keeps it held: go by names.

    Raises
    ------
    ValueError
        If they are not in one piece.
    """
    offset = dataset.id.get_offset() if dataset.size else 0
    about = {key: np.asarray(dataset.attrs[key]).tolist() for key in list(dataset.attrs)}
    if offset is None:
        raise ValueError(dataset.name)
    return Room(tuple(dataset.shape), dataset.dtype, about, offset)


def newest_record(disk: io.FileIO) -> tuple[int, dict[str, Any]]:
    """Return where HDF5's part of a file that was left ends, and the last record.

    Raises
    ------
    ValueError
        If there is none.
    """
    end = disk.seek(0, os.SEEK_END) - 2 * RECORD
    if end < 0:
        raise ValueError(end)
    return end, max(_records(disk, end), key=lambda record: int(record["records"]))


def _records(disk: io.FileIO, end: int) -> Iterator[dict[str, Any]]:
    """Read what is noted of how far all is; a process may have died while it wrote."""
    for number in range(2):
        disk.seek(end + number * RECORD)
        with suppress(ValueError):
            yield record_in(disk.read(RECORD))


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

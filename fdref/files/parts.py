"""HDF5 files that are made part by part, a layer or an image at a time, and gone on with.

Each part writes some rows of some datasets. What is done is never done again, provided that the
same is asked for: all attributes tell so, hashes of the network and the images among them.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fdref.files.folder import is_ours, refusal, refuse_special, unlock
from fdref.files.laid_out import (
    UNREADABLE,
    LaidOut,
    alone_in,
    lay_out,
    left_behind,
    newest_record,
    room_of,
)
from fdref.imports import imported

if TYPE_CHECKING:
    import io
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import ArrayLike, NDArray

    from fdref.files.folder import Folder
    from fdref.files.laid_out import Described, Room

EVERY = 5.0
"""Seconds from one record to the next; less is not worth keeping."""

UNASKED = frozenset({"fdref_version", "model", "model_sha256"})
"""Attributes in which a file may differ that has all that is asked for."""

REMEDY = "choose another -o, or replace it by --force"


class Replaced(NamedTuple):
    """The shapes of a file's datasets by name, and the values of those that are asked for."""

    shapes: dict[str, tuple[int, ...]]
    values: dict[str, NDArray[Any]]


class PartsFile(LaidOut):
    """A file of so many parts.

    Parameters
    ----------
    folder, name, disk
        As `LaidOut` takes them.
    rooms : mapping
        The datasets.
    parts : int
        How many there are to be.
    done : int
        How many are there.
    """

    def __init__(
        self, folder: Folder, name: str, disk: io.FileIO, rooms: Mapping[str, Room], parts: int,
        done: int = 0,
    ) -> None:  # fmt: skip
        super().__init__(folder, name, disk)
        self.rooms, self.parts, self.done = rooms, parts, done
        self.saved = done
        self.replaced = Replaced({}, {})
        """what there is in a file of ours that this is to replace"""
        self.begun = self.due = perf_counter()
        self.due += EVERY

    @property
    def worth_keeping(self) -> bool:
        """Tell whether somebody would be glad to go on with it."""
        long = perf_counter() - self.begun >= EVERY
        return self.records > 0 or (self.done > self.saved and long)

    def write(self, values: Mapping[str, ArrayLike], rows: Mapping[str, int] | int = 0) -> None:
        """Write a part: of some datasets rows, from one on, by its number or of each.

        A record is made if one is due.
        """
        self.fill(values, rows)
        self.done += 1
        if perf_counter() >= self.due:
            self.save()

    def fill(self, values: Mapping[str, ArrayLike], rows: Mapping[str, int] | int = 0) -> None:
        """Write rows that are no part by themselves."""
        for name, some in values.items():
            room = self.rooms[name]
            array = np.ascontiguousarray(some, room.dtype)
            if array.shape[1:] != room.shape[1:]:
                raise AssertionError(f"{name} has rows {array.shape}, room for {room.shape}")
            if array.size:
                self.put(room, rows if isinstance(rows, int) else rows[name], array)

    def rows(self, name: str, first: int = 0, count: int | None = None) -> NDArray[Any]:
        """Read rows of a dataset."""
        room = self.rooms[name]
        length = room.shape[0] - first if count is None else count
        values = np.empty((length, *room.shape[1:]), room.dtype)
        if values.size:
            self.read(room, values, first)
        return values

    def save(self) -> None:
        """Note how far all is, once the disk has it."""
        self.note({"done": self.done})
        self.due = perf_counter() + EVERY


@contextmanager
def file_of_parts(
    folder: Folder,
    name: str,
    described: Described,
    parts: int,
    *,
    force: bool = False,
    told: Collection[str] = (),
) -> Iterator[PartsFile]:
    """Open a file if it has all that is asked for, or what was left of such a one, or a new one.

    An error has a note that says what is kept, where that is worth it.

    Parameters
    ----------
    folder : Folder
    name : str
        The file's; hidden ones end as its stem does.
    described : mapping
        What it is to hold; the attributes say how it comes about.
    parts : int
        How many parts it is made of.
    force : bool
        Replace a file that holds something else.
    told : collection of str
        Datasets of a replaced file whose values are wanted, if it is of ours.

    Raises
    ------
    FileError
        If there is such a file with something else in it, another process is writing into the same
        folder, or the disk is too small.
    """
    refuse_special(folder, name)
    own, claimed = alone_in(folder, name.removesuffix(".h5"))
    file = before = None
    try:
        before = None if force else _existing(folder, name, described, parts)
        file = before or _begun(folder, own, claimed, described, parts)
        if file.name != own:
            folder.remove(own)
        if force:
            file.replaced = _held(folder, name, told)
        yield file
    except BaseException as error:
        if file is None:
            folder.remove(own)
        elif file.name != name:
            _keep(file, error)
        raise
    finally:
        for disk in (*claimed.values(), *([] if before is None else [before.disk])):
            unlock(disk.fileno())
            disk.close()


def _begun(
    folder: Folder, own: str, claimed: Mapping[str, io.FileIO], described: Described, parts: int
) -> PartsFile:
    """Take over what an interrupted process has left of the same, or begin."""

    def take_over(name: str, disk: io.FileIO) -> PartsFile | None:
        return _taken_over(folder, name, disk, described, parts)

    left = left_behind(folder, own, claimed, take_over)
    if left is not None:
        return left
    end, rooms = lay_out(folder, claimed[own], described, "the results")
    file = PartsFile(folder, own, claimed[own], rooms, parts)
    file.end = end
    return file


def _taken_over(
    folder: Folder, name: str, disk: io.FileIO, described: Described, parts: int
) -> PartsFile | None:
    """Go on with what was left; None if it is of something else, an error if of no use."""
    end, record = newest_record(disk)
    rooms = _rooms_in(disk, described)
    if rooms is None or _difference(rooms, described, frozenset()):
        return None
    file = PartsFile(folder, name, disk, rooms, parts, range(parts + 1)[int(record["done"])])
    file.end, file.records = end, int(record["records"])
    return file


def _existing(folder: Folder, name: str, described: Described, parts: int) -> PartsFile | None:
    """Open a file that is there, if it is what was asked for."""
    path = folder.path / name
    if folder.status(name) is None:
        return None
    disk = os.fdopen(folder.open(name, os.O_RDONLY), "rb", buffering=0)
    try:
        rooms = _checked(path, disk, described)
    except UNREADABLE as error:
        disk.close()
        if isinstance(error, OSError) and error.errno:
            raise
        raise refusal(path, f"is no file that this command writes; {REMEDY}") from None
    except BaseException:
        disk.close()
        raise
    return PartsFile(folder, name, disk, rooms, parts, parts)


def _checked(path: Path, disk: io.FileIO, described: Described) -> dict[str, Room]:
    """Return the datasets of a file of ours, which are those that are expected."""
    if not is_ours(os.fstat(disk.fileno())):
        raise refusal(path, f"is another user's; {REMEDY}")
    rooms = _rooms_in(disk, described)
    if rooms is None:
        raise refusal(path, f"holds other results than are asked for; {REMEDY}")
    differs = _difference(rooms, described, UNASKED)
    if differs:
        raise refusal(path, f"{differs}; {REMEDY}")
    return rooms


def _held(folder: Folder, name: str, told: Collection[str]) -> Replaced:
    """List the datasets that a file of ours has, whatever they are; none if it is another."""
    h5py = imported("h5py", "HDF5 is read and written with h5py")

    names: list[str] = []
    with suppress(*UNREADABLE), os.fdopen(folder.open(name, os.O_RDONLY), "rb") as disk:
        if is_ours(os.fstat(disk.fileno())):
            with h5py.File(disk, "r") as hdf5:
                hdf5.visit(names.append)
                sets = {n: hdf5[n] for n in names if hasattr(hdf5[n], "shape")}
                shapes = {n: tuple(own.shape) for n, own in sets.items()}
                return Replaced(shapes, {n: own[()] for n, own in sets.items() if n in told})
    return Replaced({}, {})


def _rooms_in(disk: io.FileIO, described: Described) -> dict[str, Room] | None:
    """Find the datasets of a file; None if they are others than expected."""
    h5py = imported("h5py", "HDF5 is read and written with h5py")

    names: list[str] = []
    with h5py.File(disk, "r") as hdf5:
        hdf5.visit(names.append)
        found = {name for name in names if isinstance(hdf5[name], h5py.Dataset)}
        if found != described.keys():
            return None
        return {name: room_of(hdf5[name]) for name in described}


def _difference(rooms: Mapping[str, Room], described: Described, unasked: frozenset[str]) -> str:
    """Say in what the datasets of a file differ from those that are expected; '' if in nothing."""
    for name, (shape, dtype, about) in described.items():
        room = rooms[name]
        for key in sorted({*about, *room.about} - unasked):
            there, asked = room.about.get(key), about.get(key)
            if there != np.asarray(asked).tolist():
                return f"differs in {key}: {there!s:.40} instead of {asked!s:.40}"
        if room.shape != shape or room.dtype != dtype:
            return f"has {name} of shape {room.shape} and {room.dtype}, not {shape} and {dtype}"
    return ""


def _keep(file: PartsFile, error: BaseException) -> None:
    """Keep what is worth it, and say so."""
    if not file.worth_keeping:
        file.folder.remove(file.name)
        return
    with suppress(OSError):  # such as a full disk's; then what was noted before holds
        file.save()
    error.add_note(
        f"{file.done:,} of {file.parts:,} parts are kept in {file.folder.path / file.name}; "
        "the same command goes on with them"
    )

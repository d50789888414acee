"""Images in a .npy or .npz file that are gone through once, and need not fit into memory."""

from __future__ import annotations

import hashlib
import io
import zipfile
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.weights.bounded import Budget, opened
from fdref.weights.files import refusal, told_of
from fdref.weights.npz import FAULTS, check_member, fill, header
from fdref.weights.pixels import (
    CHUNK,
    ImageSet,
    check_range,
    check_shape,
    chosen,
    from_0_to_1,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

EXPECTED = "a .npz or .npy file of images"
MEMBERS = 1000
"""Arrays of an archive that are looked at."""


@dataclass(frozen=True)
class Described:
    """An array in a file, by its header."""

    name: str
    """the member's of an archive; '' where the file is the array"""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    column_major: bool


class Stream(ImageSet):
    """Images (N, H, W) or (N, C, H, W) that are read from a file, a few at a time.

    Parameters
    ----------
    path : Path
    array : Described
    """

    def __init__(self, path: Path, array: Described) -> None:
        self.path, self.array = path, array
        self.what = f"{path}: `{_key(array.name)}`" if array.name else f"{path}: the images"
        check_shape(self.what, array.shape, array.dtype, 1)
        count, size = array.shape[0], array.shape[1:]
        self.shape = (count, *(size if len(size) == 3 else (1, *size)))
        self.dtype, self.labels = array.dtype, None
        self.numbers, self.names = range(count), ()  # a million names would be no few bytes
        # Not in vain: a small file may claim anything.
        bytes_at_once = min(CHUNK, count) * prod(size) * array.dtype.itemsize
        Budget(files=path.stat().st_size).take((self.what,), bytes_at_once)

    def take(self, numbers: Sequence[int] | NDArray[np.intp]) -> NDArray[Any]:
        """Return the pixels (n, C, H, W) of some; reads all that stand before them."""
        wanted = np.asarray(numbers, np.intp)
        found = np.empty((len(wanted), *self.shape[1:]), self.dtype)
        first = 0
        for chunk in self._parts():
            own = (wanted >= first) & (wanted < first + len(chunk))
            found[own] = chunk[wanted[own] - first]
            first += len(chunk)
            if first > wanted.max(initial=-1):
                break
        return found

    def fingerprint(self) -> str:
        """Return a hash of the file's name, size and time, and of what is read from it."""
        told = f"{self.shape} {self.dtype.str} {self.array.name} {told_of(self.path)}"
        return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()

    def chunks(self, start: int = 0) -> Iterator[NDArray[Any]]:
        """Yield the pixels of all from a multiple of CHUNK on, some at a time.

        Raises
        ------
        FileError
            If the file is damaged.
        ArgumentError
            If there are values that are no pixels from 0 to 255.
        """
        first, low, high = 0, np.inf, -np.inf
        for chunk in self._parts():
            check_range(self.what, chunk, first)
            low, high = min(low, float(chunk.min())), max(high, float(chunk.max()))
            first += len(chunk)
            small = self.dtype.kind == "f" and high <= 1
            # Whoever scaled all of them is told at once; black images may come first.
            if small and (high > 0 or first == len(self)):
                raise from_0_to_1(f"{self.what} up to {first - 1}", low, high)
            if first > start:  # what stands before has been looked at, too
                yield chunk

    def _parts(self) -> Iterator[NDArray[Any]]:
        """Read the pixels in the order of the file."""
        count, size = self.array.shape[0], self.array.shape[1:]
        one = prod(size) * self.dtype.itemsize
        try:
            with _member(self.path, self.array.name) as file:
                header(file, self.what)
                for first in range(0, count, CHUNK):
                    part = bytearray(min(CHUNK, count - first) * one)
                    if fill(file, part) < len(part):
                        raise refusal(self.what, "ends too early: damaged, or cut off")
                    yield np.frombuffer(part, self.dtype).reshape(-1, *self.shape[1:])
                if file.read(1):  # which also has an archive's checksum looked at
                    raise refusal(self.what, "holds more than it says: damaged")
        except FAULTS as error:
            raise refusal(self.what, f"is damaged: {error}") from error


def read_once(path: Path) -> Stream | None:
    """Open the images of a file; None where they must be read whole.

    Raises
    ------
    FileError
        If there is no such file, or it is damaged.
    ArgumentError
        If there are no images in it.
    """
    if path.suffix.lower() == ".npy":
        with opened(path, EXPECTED) as file:
            shape, column_major, dtype = header(file, f"{path}")
        found = Described("", shape, dtype, column_major)
    else:
        found = _in_archive(path)
    return None if found.column_major else Stream(path, found)


def _in_archive(path: Path) -> Described:
    """Find the images by the headers of the arrays."""
    arrays: dict[str, Described] = {}
    with _archive(path) as archive:
        members = archive.infolist()
        if len(members) > MEMBERS:
            raise refusal(f"{path}", f"holds {len(members)} arrays; expected at most {MEMBERS}")
        for member in members:
            key = _key(member.filename)
            place = f"{path}: `{key}`"
            check_member(member, place)
            try:
                with archive.open(member) as file:
                    shape, column_major, dtype = header(file, place)
            except FAULTS as error:
                raise refusal(place, f"is damaged: {error}") from error
            arrays[key] = Described(member.filename, shape, dtype, column_major)
    return arrays[chosen(path, {key: array.shape for key, array in arrays.items()})]


def _key(name: str) -> str:
    """Return what NumPy calls a member of an archive."""
    return name.removesuffix(".npy")


@contextmanager
def _member(path: Path, name: str) -> Iterator[IO[bytes]]:
    """Open a file, or a member of it."""
    if not name:
        with io.BufferedReader(opened(path, EXPECTED)) as file:
            yield file
        return
    with _archive(path) as archive, archive.open(name) as member:
        yield member


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    with io.BufferedReader(opened(path, EXPECTED)) as file:
        try:
            archive = zipfile.ZipFile(file)
        except FAULTS as error:
            raise refusal(f"{path}", f"is no .npz archive, or damaged: {error}") from error
        with archive:
            yield archive

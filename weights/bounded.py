"""Reading what strangers wrote: regular files alone, and no more memory than is granted.

Whoever reads a format takes the bytes from `contents` and asks a `Budget` before every array, list
or copy that the file makes us hold, in the form that it will have at the end.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from io import FileIO
from typing import TYPE_CHECKING

from fdref.weights.files import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from fdref.errors import FileError

LARGEST = 4 * 2**30
"""Bytes that a file may take, with all that is made of it."""
ALWAYS = 2**28
"""Bytes that the smallest of files may take."""
EXPANSION = 100
"""Bytes that a larger file may take for each of its own; weights hardly pack at all."""
MOST_VALUES = 100_000
"""Values that a file may have us visit: a minute's work."""
VALUE = 1024
"""Bytes that a value takes beside its numbers: Python's objects, and HDF5's."""

# What waits for its other end, or has none, must not hold us; on Windows bytes are meant.
FLAGS = os.O_RDONLY
for _flag in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC", "O_BINARY", "O_NOINHERIT"):
    FLAGS |= getattr(os, _flag, 0)


def opened(path: str | PathLike[str], expected: str) -> FileIO:
    """Open a regular file to be read, and nothing else that has a name.

    Parameters
    ----------
    path : path
    expected : str
        What it should be, for the message: "a MATLAB file".

    Raises
    ------
    FileError
        If it is not there, must not be read, or is a folder, a pipe, a socket or a device, a link
        to one included.
    """
    try:
        descriptor = os.open(path, FLAGS)
    except (OSError, ValueError) as error:
        if getattr(error, "errno", None) in (errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP):
            raise _irregular(path, expected) from None  # a socket, or a device that is not there
        reason = getattr(error, "strerror", None) or error
        raise refusal(f"{path}", f"cannot be read, expected {expected}: {reason}") from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _irregular(path, expected)
    return FileIO(descriptor)


def contents(path: str | PathLike[str], expected: str, most: int = LARGEST) -> bytes:
    """Return the bytes of a regular file, as many as it has when it is opened.

    Raises
    ------
    FileError
        If it cannot be opened (see `opened`) or read, or has more than `most` bytes.
    """
    with opened(path, expected) as file:
        size = os.fstat(file.fileno()).st_size  # 0 of what the kernel makes up as one reads
        if size > most:
            problem = f"has {size} bytes, expected {expected} of at most {most}"
            raise refusal(f"{path}", problem)
        try:
            parts = []
            while size and (part := file.read(size)):  # Linux gives 2 GiB at once at most
                parts.append(part)
                size -= len(part)
        except OSError as error:
            problem = f"cannot be read, expected {expected}: {error.strerror}"
            raise refusal(f"{path}", problem) from error
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _irregular(path: str | PathLike[str], expected: str) -> FileError:
    return refusal(f"{path}", f"is a folder or a device, expected {expected}, a regular file")


@dataclass
class Budget:
    """What reading may take; every taking is counted before it happens."""

    largest: int = LARGEST
    """bytes, however large the files"""
    most_values: int = MOST_VALUES
    always: int = ALWAYS
    """bytes that the smallest of files may take"""
    files: int = 0
    """bytes of the files themselves"""
    taken: int = 0
    """bytes, those of the files included"""
    visited: int = 0
    """values, however often the same"""

    @property
    def most(self) -> int:
        """Bytes that may be taken, in proportion to the files."""
        return min(self.largest, max(self.always, EXPANSION * self.files))

    def file(self, size: int) -> None:
        """Count a file that is held while it is read."""
        self.files += size
        self.take((), size)

    def take(self, place: Iterable[str], size: int = 0, values: int = 0) -> None:
        """Count what is about to be taken.

        Parameters
        ----------
        place : strings
            What it is for, piece by piece: "net", ".layers", "{3}".
        size : int
            Bytes.
        values : int
            How many things to look at.

        Raises
        ------
        FileError
            If that is too much.
        """
        self.taken += size + VALUE * values
        self.visited += values
        if self.taken > self.most or self.visited > self.most_values:
            problem = (
                f"is too much, expected at most {self.most} bytes and {self.most_values} values"
            )
            raise refusal(place, f"{problem} in a file of {self.files}: save the network alone")

    def spare(self, place: Iterable[str], size: int) -> None:
        """Refuse as `take` does what is taken for a while and given back."""
        self.take(place, size)
        self.taken -= size

"""Zip files that anybody may have written: members are read into memory, and nothing is unpacked.

Members that nobody asks for are never looked at, whatever they are called.
"""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fdref.weights.files import refusal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.weights.bounded import Budget

SIGNATURE = b"PK\x03\x04"
ENTRY = b"PK\x01\x02"
"""What each member is listed with."""
DEFLATE_RATIO = 1032  # zlib cannot do better
SLACK = 2**10  # bytes that may be claimed beyond that
ENCRYPTED = 1
METHODS = {zipfile.ZIP_STORED: "stored", zipfile.ZIP_DEFLATED: "deflated"}
FAULTS = (
    zipfile.BadZipFile,
    NotImplementedError,  # such as a version to come
    RuntimeError,  # such as an encrypted member
    EOFError,
    OSError,
    OverflowError,
    LookupError,
    ValueError,
    struct.error,
    zlib.error,
)
"""What Python raises over damaged files."""


@contextmanager
def opened(data: bytes, name: str, budget: Budget) -> Iterator[zipfile.ZipFile]:
    """Open the bytes of a zip file; `name` is the file's, for messages.

    Raises
    ------
    FileError
        If it is damaged, or lists more members than may be looked at.
    """
    budget.take((name,), values=data.count(ENTRY))
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except FAULTS as error:
        raise refusal(name, f"is damaged or cut off, fetch it again ({error})") from error
    with archive:
        yield archive


def names(archive: zipfile.ZipFile) -> list[str]:
    """Return the members' names, as they stand in the file."""
    return [info.filename for info in archive.infolist()]


def member(archive: zipfile.ZipFile, wanted: str, name: str, budget: Budget) -> bytes | None:
    """Read a member, once its claims are found to be true; None if there is none.

    Raises
    ------
    FileError
        If there are two of that name, or it is encrypted, packed in a rare way, claims more than
        it can hold, is damaged, or would take too much memory.
    """
    found = [info for info in archive.infolist() if info.filename == wanted]
    if not found:
        return None
    place = f"{name}: {wanted}"
    if len(found) > 1:
        raise refusal(place, "is there more than once, expected one: not safe")
    info = found[0]
    if info.flag_bits & ENCRYPTED:
        raise refusal(place, "is encrypted, expected plain data: unpack it, and zip it again")
    if info.compress_type not in METHODS:
        problem = f"is packed by method {info.compress_type}, expected {METHODS}: zip it again"
        raise refusal(place, problem)
    ratio = DEFLATE_RATIO if info.compress_type == zipfile.ZIP_DEFLATED else 1
    if info.file_size > ratio * info.compress_size + SLACK:
        problem = f"claims {info.file_size} bytes in {info.compress_size}"
        raise refusal(place, f"{problem}, which cannot be: damaged or not safe")
    budget.take((place,), info.file_size)
    budget.spare((place,), info.file_size)  # the pieces, before they are joined
    try:
        with archive.open(info) as file:
            return file.read(info.file_size)
    except FAULTS as error:
        raise refusal(place, f"is damaged, fetch it again ({error})") from error

"""Tar files that anybody may have written: members are read into memory, and nothing is unpacked.

Members follow each other, and are read as they come; those that nobody asks for are passed by.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fdref.imports import imported
from fdref.weights.files import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fdref.errors import FileError

BLOCK = 512
"""Bytes that all of a tar file comes in."""
MOST = 2**29
"""Bytes that a file may unpack to."""
MOST_MEMBERS = 200_000
XZ_MEMORY = 2**27
"""Bytes that unpacking may take; `xz -9` needs half of them, a file may claim 4 GiB."""
GZIP, XZ = b"\x1f\x8b", b"\xfd7zXZ\0"
PIECE = 2**16
"""Bytes passed by at once."""
FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)
COMMENTS = (tarfile.XHDTYPE, tarfile.XGLTYPE, b"V")
"""Headers of further particulars, such as times; a name of over 100 bytes is not looked for."""
LARGEST_COMMENT = 2**16


def members(
    data: bytes, name: str, wanted: Callable[[str], int | None]
) -> Iterator[tuple[str, bytes]]:
    """Yield the names and contents of the members that are wanted, in the file's order.

    Parameters
    ----------
    data : bytes
        The file: tar, plain or compressed by gzip or xz.
    name : str
        The file's, for messages.
    wanted : function
        Given a member's name: how many bytes it may have, or None to pass it by.

    Raises
    ------
    FileError
        If it is no tar file, or damaged, or cut off; if a member has more bytes than it may, or is
        a link, a device or a part of a file; if there are more members, or more bytes, than may
        be looked at.
    DependencyError
        If this Python cannot unpack xz.

    Examples
    --------
    >>> file = io.BytesIO()
    >>> with tarfile.open(fileobj=file, mode="w:gz") as tar:
    ...     (info := tarfile.TarInfo("a/b.txt")).size = 5
    ...     tar.addfile(info, io.BytesIO(b"hello"))
    >>> list(members(file.getvalue(), "some.tar.gz", lambda name: 100))
    [('a/b.txt', b'hello')]
    """
    tape = _Tape(_unpacking(data), name)
    for number in range(MOST_MEMBERS + 1):
        info = tape.header(first=number == 0)
        if info is None:
            tape.run_out()
            return
        place = f"{name}: {info.name}"
        padding = -info.size % BLOCK
        if info.isdir():
            continue
        if info.type in COMMENTS and 0 <= info.size <= LARGEST_COMMENT:
            tape.skip(info.size + padding)
        elif info.type not in FILES or info.size < 0:
            problem = f"is of tar's type {info.type!r}"
            raise refusal(place, f"{problem}, expected files and folders alone: not safe")
        elif (most := wanted(info.name)) is None:
            tape.skip(info.size + padding)
        elif info.size > most:
            raise refusal(place, f"has {info.size} bytes, expected at most {most}")
        else:
            content = tape.read(info.size)
            tape.skip(padding)
            yield info.name, content
    raise refusal(name, f"has more than {MOST_MEMBERS} members: not safe")


@dataclass
class _Tape:
    """Blocks that are read one after the other, up to a limit."""

    stream: io.RawIOBase | io.BufferedIOBase
    name: str
    taken: int = 0

    def header(self, *, first: bool) -> tarfile.TarInfo | None:
        """Read what a member begins with; None at the end."""
        block = self.read(BLOCK)
        if not any(block):
            return None
        try:
            return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            if first:
                raise refusal(
                    self.name, "is no tar file, plain or compressed by gzip or xz"
                ) from error
            raise self.damaged(error) from error

    def read(self, size: int) -> bytes:
        """Return so many bytes."""
        content = self._some(size)
        if len(content) < size:
            raise self.damaged("it ends too early")
        return content

    def run_out(self) -> None:
        """Read what is left, behind which gzip and xz have their checksums."""
        while self._some(PIECE):
            pass

    def _some(self, size: int) -> bytes:
        """Return so many bytes, or fewer at the end."""
        self.taken += size
        if self.taken > MOST:
            raise refusal(self.name, f"unpacks to more than {MOST} bytes: not safe")
        try:
            return self.stream.read(size) or b""
        except (OSError, EOFError, ValueError, zlib.error) as error:
            raise self.damaged(error) from error

    def skip(self, size: int) -> None:
        """Pass bytes by."""
        while size > 0:
            size -= len(self.read(min(size, PIECE)))

    def damaged(self, why: object) -> FileError:
        """Make the error."""
        return refusal(self.name, f"is damaged or cut off, fetch it again ({why})")


def _unpacking(data: bytes) -> io.RawIOBase | io.BufferedIOBase:
    """Return what a file unpacks to, as it is read."""
    if data.startswith(XZ):
        return io.BufferedReader(_Xz(data), PIECE)
    if data.startswith(GZIP):
        return gzip.GzipFile(fileobj=io.BytesIO(data))
    return io.BytesIO(data)


class _Xz(io.RawIOBase):
    """A stream of xz, which Python's own reader would grant whatever memory it claims to need."""

    def __init__(self, data: bytes) -> None:
        lzma = imported("lzma", "files of xz are unpacked with it")
        self._faults = lzma.LZMAError
        self._unpacker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
        self._packed = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        view = memoryview(target).cast("B")
        unpacker = self._unpacker
        while not unpacker.eof:
            piece = self._packed.read(PIECE) if unpacker.needs_input else b""
            if unpacker.needs_input and not piece:
                raise ValueError("a stream of xz is cut off")
            try:
                part = unpacker.decompress(piece, len(view))
            except self._faults as error:
                raise ValueError(error) from error
            if part:
                view[: len(part)] = part
                return len(part)
        return 0

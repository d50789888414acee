"""Results that appear whole or not at all."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fdref.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from typing_extensions import Buffer


RECORD = "progress.json"
"""What tells how far an unfinished job is; a folder that holds one is kept when interrupted."""


@contextmanager
def new_files(folder: Path, names: Sequence[str], job: str | None = None) -> Iterator[Path]:
    """Give a folder to write files into, and move them to where they belong when all is done.

    A job with a name of its own finds there what it had written when it was killed, or when it was
    interrupted and had left a `RECORD` of how far it was.

    Raises
    ------
    FileError
        If a file of that name exists already, or the disk refuses or is full, or the same job is
        being done by another process.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise FileError(f"{folder} is a file; choose a folder with -o")
        for name in names:
            if (folder / name).exists():
                raise FileError(f"{folder / name} exists already; delete it or choose another -o")
        # Files move within one file system only, and a folder that exists may be the root of one.
        parent = folder if folder.is_dir() else folder.absolute().parent
        beside = parent / f".{job or secrets.token_hex(8)}.part"
        beside.mkdir(exist_ok=job is not None)
        with _alone_in(beside, folder), _emptied(beside):
            yield beside
            (beside / RECORD).unlink(missing_ok=True)
            if folder.is_dir():
                _move(beside, folder)
            else:
                beside.rename(folder)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise FileError(f"cannot write to {folder}: {reason}") from None


@contextmanager
def _alone_in(beside: Path, folder: Path) -> Iterator[None]:
    """Keep other processes with the same job out, for as long as this one lives.

    Windows needs no lock: what is open there can be neither deleted nor moved.
    """
    if sys.platform == "win32":
        yield
        return
    held = os.open(beside, os.O_RDONLY)
    try:
        if not _lock(held, beside):
            raise FileError(
                f"another process is writing the same to {folder}; wait for it or choose another -o"
            )
        yield
    finally:
        os.close(held)


def _lock(held: int, beside: Path) -> bool:
    """Lock an open folder; not if another process has, or has just moved it to where it belongs."""
    import fcntl  # noqa: PLC0415 - not there on Windows

    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system that knows no locks
        return True
    return beside.exists() and os.path.samestat(os.fstat(held), beside.stat())


@contextmanager
def _emptied(beside: Path) -> Iterator[None]:
    """Leave nothing of what fails, nor of what is interrupted with nothing worth keeping."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if not (beside / RECORD).exists():
            shutil.rmtree(beside, ignore_errors=True)
        raise
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _move(source: Path, folder: Path) -> None:
    """Move all files or none; of two processes with the same files, the second is refused."""
    files = sorted(source.iterdir())
    taken: list[Path] = []
    try:
        for file in files:
            (folder / file.name).touch(exist_ok=False)
            taken.append(folder / file.name)
        for file in files:
            file.replace(folder / file.name)
        source.rmdir()
    except BaseException:
        for path in taken:
            path.unlink(missing_ok=True)
        raise


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

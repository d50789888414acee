"""An open folder, into which others may write, too.

Everything in it is reached from the folder that was opened, not by a path, which might lead
elsewhere a moment later. No link is followed, and nothing that another user owns is taken for ours.
What is being written has a hidden name that nobody can guess, and is locked for as long as its
process lives; what a dead process has left is swept.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Self

from fdref.errors import FileError

if TYPE_CHECKING:
    import io
    from collections.abc import Iterable
    from pathlib import Path

HIDDEN = re.compile(r"\.fdref-[0-9a-f]{16}\.(part|done)")
"""What is being written, or has been: of no use to anybody else."""

WINDOWS = sys.platform == "win32"
"""There a folder cannot be opened, and what is open can be neither moved nor deleted."""

PLAIN = sum(getattr(os, flag, 0) for flag in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
"""Open no link, do not wait for the other end of a pipe."""

NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL
FOLDER = os.O_RDONLY | PLAIN | getattr(os, "O_DIRECTORY", 0)


class Folder:
    """An open folder, which stays the same one whatever happens to its path."""

    def __init__(self, path: Path, held: int | None = None) -> None:
        self.path = path
        self.held = held
        if held is None and not WINDOWS:
            self.held = os.open(path, FOLDER)

    def __enter__(self) -> Self:
        """Return it."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close it, which unlocks it."""
        if self.held is not None:
            os.close(self.held)

    def at(self, name: str) -> str:
        """Return what the functions of `os` take for an entry, beside `held`."""
        return name if self.held is not None else str(self.path / name)

    def names(self) -> list[str]:
        """List the entries, sorted."""
        return sorted(os.listdir(self.path if self.held is None else self.held))  # noqa: PTH208

    def status(self, name: str) -> os.stat_result | None:
        """Look at an entry; None if there is none."""
        try:
            return os.stat(self.at(name), dir_fd=self.held, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def has(self, name: str, held: int) -> bool:
        """Tell whether an entry is what was opened."""
        status = self.status(name)
        return status is not None and os.path.samestat(status, os.fstat(held))

    def has_folder(self, name: str) -> bool:
        """Tell whether an entry is a folder."""
        status = self.status(name)
        return status is not None and stat.S_ISDIR(status.st_mode)

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open an entry, but no link, and without waiting; a new one is for nobody else."""
        return os.open(self.at(name), flags | PLAIN, mode, dir_fd=self.held)

    def folder(self, name: str) -> Folder:
        """Open a folder inside."""
        return Folder(self.path / name, None if WINDOWS else self.open(name, FOLDER))

    def rename(self, name: str, new: str, to: Folder | None = None) -> None:
        """Give an entry another name, whatever bears it now."""
        to = to or self
        os.replace(self.at(name), to.at(new), src_dir_fd=self.held, dst_dir_fd=to.held)

    def remove(self, name: str) -> None:
        """Delete an entry with all that is in it, if it is there."""
        with suppress(FileNotFoundError):
            if self.has_folder(name):
                shutil.rmtree(self.at(name), dir_fd=self.held)
            else:
                os.unlink(self.at(name), dir_fd=self.held)

    def sync(self) -> None:
        """Wait until the disk has the entries' names, where a system knows how."""
        if self.held is not None:
            with suppress(OSError):
                os.fsync(self.held)

    def claim(self, name: str, flags: int = os.O_RDWR) -> int | None:
        """Open and lock an entry of ours; None if another user owns it, it is special, or gone.

        Raises
        ------
        BlockingIOError
            If another process has locked it.
        """
        try:
            held = self.open(name, flags)
        except OSError:
            return None
        try:
            if is_ours(os.fstat(held)):
                lock(held)
                if self.has(name, held):
                    return held
        except BaseException:
            os.close(held)
            raise
        os.close(held)
        return None

    def sweep(self) -> None:
        """Take away what dead processes have left."""
        for name in filter(HIDDEN.fullmatch, self.names()):
            with suppress(BlockingIOError):
                held = self.claim(name, os.O_RDONLY)
                if held is None:
                    continue
                try:
                    if lock(held):
                        if name.endswith(".part") and self.has_folder(name):
                            with self.folder(name) as part:
                                unlink(part, self, part.names())
                        self.remove(name)
                finally:
                    os.close(held)

    def new_name(self, suffix: str = "part") -> str:
        """Make up a hidden name."""
        return f".fdref-{secrets.token_hex(8)}.{suffix}"

    def new_file(self) -> tuple[str, int]:
        """Make a hidden file, locked."""
        while True:
            name = self.new_name()
            held = self.open(name, NEW)
            if self.locked(name, held):
                return name, held
            os.close(held)

    def new_folder(self) -> Folder:
        """Make a hidden folder, locked."""
        while True:
            name = self.new_name()
            os.mkdir(self.at(name), 0o700, dir_fd=self.held)
            with suppress(FileNotFoundError):
                folder = self.folder(name)
                if folder.held is None:
                    return folder
                if self.locked(name, folder.held):
                    probe, held = folder.new_file()
                    owners = {os.fstat(folder.held).st_uid, os.fstat(held).st_uid}
                    os.close(held)
                    folder.remove(probe)
                    if len(owners) == 1:  # not another user's, put in the place of ours
                        return folder
                os.close(folder.held)

    def locked(self, name: str, held: int) -> bool:
        """Lock what we have just made; not if somebody has just found and swept it."""
        try:
            lock(held)
        except BlockingIOError:
            return False
        return self.has(name, held)

    def replace(self, name: str, data: bytes) -> None:
        """Write a file, which then takes the place of the one that bears its name."""
        refuse_special(self, name)
        hidden, held = self.new_file()
        with os.fdopen(held, "r+b", buffering=0) as file:
            try:
                write_all(file, data)
                self.publish(hidden, file, name)
            except BaseException:
                self.remove(hidden)
                raise

    def publish(self, hidden: str, file: io.FileIO, name: str) -> None:
        """Give a file its name, and the mode of what bore it before or what the umask says."""
        if WINDOWS:
            os.fsync(file.fileno())
            file.close()
        else:
            before = self.status(name)
            if before is not None and stat.S_ISREG(before.st_mode):
                with suppress(PermissionError):
                    os.fchown(file.fileno(), before.st_uid, before.st_gid)
                os.fchmod(file.fileno(), before.st_mode & 0o777)
            else:
                os.fchmod(file.fileno(), 0o666 & ~umask())
            os.fsync(file.fileno())
        self.rename(hidden, name)
        self.sync()


def write_all(file: io.FileIO, data: bytes | memoryview) -> None:
    """Write all of it; without a buffer, a file may take less at a time."""
    rest = memoryview(data)
    while rest:
        rest = rest[file.write(rest) :]


def is_ours(status: os.stat_result) -> bool:
    """Tell whether we own a file or a folder."""
    kind = stat.S_IFMT(status.st_mode)
    return kind in {stat.S_IFREG, stat.S_IFDIR} and (WINDOWS or status.st_uid == os.geteuid())


def lock(held: int) -> bool:
    """Lock what is open, for as long as it is; False where a file system knows no locks.

    Raises
    ------
    BlockingIOError
        If another process has locked it.
    """
    if WINDOWS:
        return False
    import fcntl  # noqa: PLC0415 - not there on Windows

    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError:
        return False
    return True


def unlock(held: int) -> None:
    """Unlock what is open, also for those who share it: what is mapped into memory stays open."""
    if not WINDOWS:
        import fcntl  # noqa: PLC0415

        with suppress(OSError):
            fcntl.flock(held, fcntl.LOCK_UN)


def umask() -> int:
    """Return which rights new files shall not have."""
    mask = os.umask(0o077)  # meanwhile other threads' files get too few rights, not too many
    os.umask(mask)
    return mask


def link(source: Folder, target: Folder, linked: list[str]) -> None:
    """Give everything a second name in a folder where no such name is taken.

    As long as a file has the first name, too, whoever finds it knows that it belongs to something
    unfinished.
    """
    for name in source.names():
        linked.append(name)
        try:
            if source.has_folder(name):
                os.mkdir(target.at(name), dir_fd=target.held)
                with source.folder(name) as below, target.folder(name) as new:
                    link(below, new, [])
                    new.sync()
            else:
                names = source.at(name), target.at(name)
                os.link(*names, src_dir_fd=source.held, dst_dir_fd=target.held)
        except FileExistsError:
            linked.pop()
            raise
        except OSError:  # a file system where a file has one name
            if target.status(name) is not None:
                raise
            source.rename(name, name, target)


def unlink(source: Folder, target: Folder, linked: Iterable[str]) -> None:
    """Take back what `link` did."""
    for name in linked:
        first, second = source.status(name), target.status(name)
        if first is None or second is None:
            continue
        if stat.S_ISDIR(first.st_mode) and stat.S_ISDIR(second.st_mode):
            with source.folder(name) as below, target.folder(name) as new:
                unlink(below, new, below.names())
            with suppress(OSError):  # something else is in it
                os.rmdir(target.at(name), dir_fd=target.held)
        elif os.path.samestat(first, second):
            target.remove(name)


def refuse_special(folder: Folder, name: str, path: str | os.PathLike[str] | None = None) -> None:
    """Raise FileError if a name is a folder's, a link's or a device's."""
    status = folder.status(name or ".")
    if status is not None and not stat.S_ISREG(status.st_mode):
        kinds = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a link"}
        kind = kinds.get(stat.S_IFMT(status.st_mode), "a device or a pipe")
        raise refusal(path or folder.path / name, f"is {kind}, expected the name of a file")


def refusal(path: str | os.PathLike[str], problem: str) -> FileError:
    """Make the error."""
    return FileError(f"{os.fsdecode(path)} {problem}")

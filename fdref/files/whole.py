"""Files and folders that appear whole or not at all, whenever the process dies."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic, sleep
from typing import TYPE_CHECKING

from fdref.engines.parallel import each_at_once
from fdref.files.folder import (
    NEW,
    WINDOWS,
    Folder,
    is_ours,
    link,
    lock,
    refusal,
    refuse_special,
    umask,
    unlink,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence


PATIENCE = 60.0
"""Seconds to wait for another process that writes the same folder."""


def replace_file(path: str | os.PathLike[str], data: bytes) -> None:
    """Write a file in the place of the one of this name: wholly or not at all.

    A link of our own stays one, and the file that it names is replaced.

    Raises
    ------
    FileError
        If it cannot be written; nothing is left behind.
    """
    with failures(path), place_of(path) as (folder, name):
        folder.replace(name, data)


def read_own_file(path: str | os.PathLike[str], expected: str, most: int) -> bytes:
    """Read what we have written before: no other user's, no device, and at most so many bytes.

    Parameters
    ----------
    path : path
    expected : str
        What it should be, for the message.
    most : int

    Raises
    ------
    FileError
        If it is something else.
    OSError
        If it cannot be read.
    """
    place = destination(path)
    with Folder(place.parent.resolve()) as folder:
        found = folder.status(place.name or ".")
        if found is not None and not stat.S_ISREG(found.st_mode):
            problem = f"is a folder or a device, expected {expected}, a regular file"
            raise refusal(path, problem)
        with os.fdopen(folder.open(place.name, os.O_RDONLY), "rb") as file:
            status = os.fstat(file.fileno())  # another may have been put in its place
            if not is_ours(status) or not stat.S_ISREG(status.st_mode):
                raise refusal(path, "is another user's; choose another place")
            if status.st_size > most:
                problem = f"has {status.st_size} bytes, expected {expected} of at most {most}"
                raise refusal(path, problem)
            return file.read(status.st_size)


def check_file(path: str | os.PathLike[str]) -> None:
    """Refuse at once what `replace_file` would refuse after long work.

    Raises
    ------
    FileError
        If a file of this name cannot be written.
    """
    with failures(path), place_of(path) as (folder, _):
        check_writable(folder)


def write_folder(path: str | os.PathLike[str], files: Mapping[str, bytes]) -> None:
    """Write a folder's files, all or none; in one that exists, they join what is there.

    Parameters
    ----------
    path : path
    files : mapping
        By their names, at most one folder deep.

    Raises
    ------
    FileError
        If something bears such a name already, or it cannot be written; nothing is left behind.
    """
    with failures(path), _home_of(path) as (home, new):
        part, linked = home.new_folder(), list[str]()
        hidden = part.path.name
        with part:
            try:
                _fill(part, files)
                if new is None:
                    link(part, home, linked)
                    done = hidden.replace(".part", ".done")
                    home.rename(hidden, done)
                    hidden = done
                else:
                    _open_to_others(part)
                    home.rename(hidden, new)
                home.sync()
            except BaseException:
                unlink(part, home, linked)
                raise
            finally:
                home.remove(hidden)


def check_folder(path: str | os.PathLike[str], names: Sequence[str] | None = None) -> None:
    """Refuse at once what `write_folder` would refuse after long work.

    Parameters
    ----------
    path : path
    names : sequence of str, optional
        What must not be there; nothing may by default.

    Raises
    ------
    FileError
        If it is there, or nothing can be written.
    """
    with failures(path), _home_of(path) as (home, new):
        check_writable(home)
        if new is not None:
            return
        if names is None and home.names():
            raise refusal(path, "is not empty; delete it or choose another folder")
        for name in names or ():
            if home.status(name) is not None:
                taken = "exists already; delete it or choose another folder"
                raise refusal(Path(path) / name, taken)


def holds(path: str | os.PathLike[str], files: Mapping[str, bytes]) -> bool:
    """Tell whether a folder's files are these, with the same bytes."""
    folder = Path(path)
    with failures(path), _home_of(path) as (home, new):
        if new is not None or {*home.names()} != {name.partition("/")[0] for name in files}:
            return False  # without going through all that is below, which may be much
        found = {
            file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()
        }
        return found == files.keys() and all(
            (folder / name).read_bytes() == data for name, data in files.items()
        )


@contextmanager
def turn_in(path: str | os.PathLike[str]) -> Iterator[None]:
    """Have a folder to oneself among those who ask for it; where there is none, or no lock, go on.

    Whoever holds it for longer than it takes to write a folder is not one of ours.
    """
    place, there = _folder_or_nothing(path)
    if WINDOWS or not there:
        yield
        return
    with ExitStack() as stack:
        with failures(path):
            folder = stack.enter_context(Folder(place))
        until = monotonic() + PATIENCE
        while folder.held is not None and monotonic() < until:
            try:
                lock(folder.held)
                break
            except BlockingIOError:
                sleep(0.02)
        yield


@contextmanager
def failures(path: str | os.PathLike[str]) -> Iterator[None]:
    """Say in one line what the system refuses."""
    try:
        named = b"\0" not in os.fsencode(path)
    except UnicodeEncodeError:
        named = False
    if not named:
        raise refusal(path, "cannot be written, choose another place: no system has such a name")
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        refused = refusal(path, f"cannot be written, choose another place: {reason}")
        for note in getattr(error, "__notes__", ()):
            refused.add_note(note)
        raise refused from error


def destination(path: str | os.PathLike[str]) -> Path:
    """Follow links of our own, or of the system's.

    Raises
    ------
    FileError
        If a link is another user's: it may lead to any file of ours.
    """
    place = Path(path)
    for _ in range(40):
        if not place.is_symlink():
            return place
        if not WINDOWS and place.lstat().st_uid not in {os.geteuid(), 0}:
            raise refusal(path, "is a link of another user; name the place itself")
        place = place.parent / place.readlink()
    raise refusal(path, "is a link to itself")


def check_writable(folder: Folder) -> None:
    """Raise OSError if no file can be made."""
    name, held = folder.new_file()
    os.close(held)
    folder.remove(name)


@contextmanager
def place_of(path: str | os.PathLike[str]) -> Iterator[tuple[Folder, str]]:
    """Open the folder of a file, swept."""
    place = destination(path)
    with Folder(place.parent.resolve()) as folder:
        refuse_special(folder, place.name, path)
        folder.sweep()
        yield folder, place.name


@contextmanager
def _home_of(path: str | os.PathLike[str]) -> Iterator[tuple[Folder, str | None]]:
    """Open a folder that exists, or where it is to be made under a name; swept."""
    place, there = _folder_or_nothing(path)
    # Files move within one file system only, and a folder that exists may be the root of one.
    with Folder(place if there else place.parent.resolve()) as home:
        home.sweep()
        yield home, None if there else place.name


def _folder_or_nothing(path: str | os.PathLike[str]) -> tuple[Path, bool]:
    """Return where a folder is or is to be, and which of the two."""
    place = destination(path).absolute()
    there = place.is_dir()
    if not there and (place.exists() or Path(path).is_symlink()):
        kind = "a file" if place.exists() else "a link to nothing"
        raise refusal(path, f"is {kind}; choose a folder")
    return place, there


@contextmanager
def folder_for(path: str | os.PathLike[str]) -> Iterator[Folder]:
    """Open a folder, swept; make it if there is none, and take it away again if it stays empty.

    Raises
    ------
    FileError
        If nothing can be written there.
    """
    with failures(path):
        place, there = _folder_or_nothing(path)
        if not there:
            place.mkdir()
        try:
            with Folder(place) as folder:
                folder.sweep()
                check_writable(folder)
                yield folder
        except BaseException:
            if not there:
                with suppress(OSError):
                    place.rmdir()
            raise


def _fill(part: Folder, files: Mapping[str, bytes]) -> None:
    """Write all files, of which the disk has all that there is of them."""
    with ExitStack() as stack:
        folders: dict[str, Folder] = {"": part}
        tasks = []
        for path, data in files.items():
            parent, _, name = path.rpartition("/")
            if parent not in folders:
                os.mkdir(part.at(parent), dir_fd=part.held)
                folders[parent] = stack.enter_context(part.folder(parent))
            tasks.append((folders[parent], name, data))
        each_at_once(lambda task: _write(*task), tasks, 7)  # a disk syncs many as quickly as one
        for folder in folders.values():
            folder.sync()


def _write(folder: Folder, name: str, data: bytes) -> None:
    held = folder.open(name, NEW, 0o666)  # less what the umask says
    with os.fdopen(held, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(held)


def _open_to_others(part: Folder) -> None:
    """Give a folder the mode of any new one."""
    if part.held is not None:
        inherited = os.fstat(part.held).st_mode & stat.S_ISGID
        os.fchmod(part.held, inherited | 0o777 & ~umask())

"""What is said of files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path


def refusal(subject: Iterable[str], problem: str) -> FileError:
    """Make the error that says of a file, or of a place in it, what is wrong."""
    return FileError(f"{''.join(subject)} {problem}")


def told_of(path: Path) -> str:
    """Return a file's name, size and time, which are others once it is another."""
    try:
        status = path.stat()
    except OSError as error:
        raise refusal(f"{path}", f"cannot be read: {error.strerror}") from error
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"

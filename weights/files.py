"""Files as a whole: what is said of a bad one, and how a good one takes its place."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import TYPE_CHECKING

from fdref.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike


def replace_file(path: str | PathLike[str], data: bytes) -> None:
    """Write a file beside the one of this name, then put it in its place: wholly or not at all.

    Raises
    ------
    FileError
        If it cannot be written; nothing is left behind.
    """
    try:
        target = Path(path).resolve()  # a symbolic link stays one
        beside = target.parent / f".{secrets.token_hex(8)}.tmp"
        if target.exists() and not target.is_file():
            raise refusal(f"{path}", "is a folder or a device, expected the name of a file")
        try:
            beside.write_bytes(data)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        problem = f"cannot be written, choose another place: {reason}"
        raise refusal(f"{path}", problem) from error


def refusal(subject: Iterable[str], problem: str) -> FileError:
    """Make the error that says of a file, or of a place in it, what is wrong."""
    return FileError(f"{''.join(subject)} {problem}")

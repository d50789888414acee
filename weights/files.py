"""What is said of a bad file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable


def refusal(subject: Iterable[str], problem: str) -> FileError:
    """Make the error that says of a file, or of a place in it, what is wrong."""
    return FileError(f"{''.join(subject)} {problem}")

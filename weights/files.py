"""What is said of a bad file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterable


def refusal(subject: Iterable[str], problem: str) -> FileError:
    """Make the error; what it quotes of a file may hold line breaks and control codes."""
    message = f"{''.join(subject)} {problem}"
    return FileError("".join(char if char.isprintable() else "?" for char in message))

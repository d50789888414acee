"""A folder of results that appears whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fdref.errors import FileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path


@contextmanager
def new_files(folder: Path, names: Sequence[str]) -> Iterator[Path]:
    """Give a folder to write files into, and move them to where they belong when all is done.

    Raises
    ------
    FileError
        If a file of that name exists already, or the disk refuses or is full.
    """
    if folder.exists() and not folder.is_dir():
        raise FileError(f"{folder} is a file; choose a folder with -o")
    for name in names:
        if (folder / name).exists():
            raise FileError(f"{folder / name} exists already; delete it or choose another -o")
    beside = folder.absolute()
    beside = beside.parent / f".{beside.name}.{secrets.token_hex(4)}.part"
    try:
        beside.mkdir()
        yield beside
        if not folder.exists():
            beside.rename(folder)
        else:
            for file in sorted(beside.iterdir()):
                file.replace(folder / file.name)
    except OSError as error:
        raise FileError(f"cannot write to {folder}: {error.strerror or error}") from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)

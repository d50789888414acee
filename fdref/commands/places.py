"""Where a command writes a single file: by its name, to a pipe, or to standard output, `-`."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from argparse import ArgumentTypeError
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from fdref.errors import ArgumentError, FileError
from fdref.files.folder import refusal
from fdref.files.whole import check_file, failures, replace_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable, Mapping

STANDARD_OUTPUT = "-"


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the option by which a command tells programs what it tells people."""
    parser.add_argument("--json", metavar="FILE", help="write it for programs, too (-: to stdout)")


def named(text: str) -> Path:
    """Read the name of a folder, or of a file that is not written in one go."""
    if text == STANDARD_OUTPUT:
        raise ArgumentTypeError("'-' is standard output; expected a name")
    if not text:  # as of a variable that is not set; it would be the folder that we are in
        raise ArgumentTypeError("'' is no name; expected one, or . for this folder")
    return Path(text)


def check_places(
    places: Mapping[str, str | None], taken: Iterable[Path] = (), folder: Path | None = None
) -> None:
    """Refuse, before anything is computed, places to which nothing could be written at its end.

    Parameters
    ----------
    places : mapping
        By its option, the name of each file to be written; None where it was not given.
    taken : iterable of Path
        What is read, or will be written in other ways.
    folder : Path, optional
        One that is still to be made, which may hold some of the files.

    Raises
    ------
    ArgumentError
        If two of them are the same file, or one is taken.
    FileError
        If one could not be written.
    """
    asked = {option: place for option, place in places.items() if place is not None}
    for option, place in asked.items():
        if not is_standard_output(place):
            _check(place, folder)
        elif sys.__stdout__ is None:  # by now, another stands in for it
            raise FileError(f"{option} {place}: standard output is closed")
    for (option, place), (other, second) in combinations(asked.items(), 2):
        if _same(place, second):
            raise ArgumentError(
                f"{option} {place} and {other} {second} are the same file; name two"
            )
    for path in taken if asked else ():
        for option, place in asked.items():
            if _same(place, os.fspath(path)):
                raise ArgumentError(
                    f"{option} {place} is {path}, which is read or written, too; name another file"
                )


def is_standard_output(place: str) -> bool:
    """Tell whether writing to a place means standard output, by whatever name."""
    if place == STANDARD_OUTPUT:
        return True
    try:
        return os.path.samestat(Path(place).stat(), os.fstat(sys.stdout.fileno()))
    except (OSError, ValueError, AttributeError):  # there is none, or it is no file
        return False


def write_to(place: str, data: bytes) -> None:
    """Write to a place: a file wholly or not at all.

    Raises
    ------
    FileError
        If it cannot be written.
    """
    if is_standard_output(place):
        sys.stdout.flush()
        if hasattr(sys.stdout, "buffer"):  # whatever the encoding, these are the bytes
            sys.stdout.buffer.write(data)
        else:
            sys.stdout.write(data.decode())
        sys.stdout.flush()
    elif _is_stream(_mode(place)):
        try:
            with Path(place).open("wb") as stream:
                stream.write(data)
        except BrokenPipeError:  # whoever reads has seen enough
            pass
        except OSError as error:
            raise refusal(place, f"cannot be written: {error.strerror or error}") from None
    else:
        replace_file(place, data)


def write_json(place: str | None, value: object) -> None:
    """Write a value as JSON to a place, if there is one: plain ASCII, and no NaN."""
    if place is not None:
        write_to(place, f"{json.dumps(value, allow_nan=False)}\n".encode())


def _check(place: str, folder: Path | None) -> None:
    with failures(place):
        if _is_stream(_mode(place)):
            if not os.access(place, os.W_OK):
                raise PermissionError(errno.EACCES, place)
            return
        parent = Path(place).resolve().parent
        if folder is None or folder.exists() or parent != folder.resolve():
            check_file(place)


def _mode(place: str) -> int:
    """Return what is there, 0 if nothing is."""
    try:
        return Path(place).stat().st_mode
    except FileNotFoundError:
        return 0


def _is_stream(mode: int) -> bool:
    """Tell whether what is written there is taken away as it comes."""
    return stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)


def _same(one: str, other: str) -> bool:
    """Tell whether two names are those of one file, be it there or not."""
    if is_standard_output(one) or is_standard_output(other):
        return is_standard_output(one) and is_standard_output(other)
    try:
        return Path(one).samefile(other)  # however it is spelt
    except OSError:
        return os.path.realpath(one) == os.path.realpath(other)

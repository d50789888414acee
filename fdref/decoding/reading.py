"""Decoded filters out of a file that was written before."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.decoding.unfinished import bank_of
from fdref.errors import FileError
from fdref.files.folder import is_ours, refusal
from fdref.files.laid_out import UNREADABLE
from fdref.weights.bounded import opened
from fdref.weights.hdf5 import import_h5py

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from fdref.arrays import Array
    from fdref.decoding.decoded_file import Bank

WHAT = "a file of decoded filters"


class Decoded(NamedTuple):
    """Filters of one layer."""

    bank: Array
    """(K, C0, Rh, Rw), which takes memory only where and while it is looked at"""
    filters: tuple[int, ...]
    """their numbers in the layer"""
    about: Mapping[str, object]
    """how they came about: the dataset's attributes"""


@contextmanager
def decoded_layers(path: Path) -> Iterator[dict[int, Decoded]]:
    """Open a file that `decode_to` or `fdref decode` has written.

    Raises
    ------
    FileError
        If there is none, it is another one, or another user's.
    """
    with opened(path, WHAT) as disk:
        if not is_ours(os.fstat(disk.fileno())):
            raise refusal(path, "is another user's; expected a file of your own: copy it")
        try:
            found = _layers(disk)
        except UNREADABLE as error:
            if isinstance(error, OSError) and error.errno:
                raise
            raise refusal(path, f"is no file of decoded filters; expected {WHAT}") from None
        yield found


def is_decoded(path: Path) -> bool:
    """Tell whether a file holds decoded filters."""
    try:
        with decoded_layers(path) as layers:
            return bool(layers)
    except (FileError, OSError):
        return False


def _layers(disk: io.FileIO) -> dict[int, Decoded]:
    """Find the layers, in their order."""
    with import_h5py().File(disk, "r") as file:
        banks = [bank_of(stem, file[stem]) for stem in list(file)]
    layers = [_decoded(bank, disk) for bank in banks]
    return {int(str(one.about["layer"])): one for one in sorted(layers, key=_number)}


def _number(one: Decoded) -> int:
    return int(str(one.about["layer"]))


def _decoded(bank: Bank, disk: io.FileIO) -> Decoded:
    """Find out which filters a dataset holds; raise one of UNREADABLE for what it cannot be."""
    filters = tuple(numbers_in(str(bank.about["filters"]), bank.shape[0]))
    if len(bank.shape) != 4 or len(filters) != bank.shape[0] or bank.dtype.kind != "f":
        raise ValueError(bank.shape)
    if 0 in bank.shape:
        return Decoded(np.empty(bank.shape, bank.dtype), filters, bank.about)
    mapped = np.memmap(disk, bank.dtype, "r", bank.offset, bank.shape)
    return Decoded(np.asarray(mapped), filters, bank.about)


def numbers_in(text: str, most: int) -> Iterator[int]:
    """Read what `compact` wrote, of at most so many numbers; raise ValueError if there are more.

    >>> list(numbers_in("0-3,12", 5))
    [0, 1, 2, 3, 12]
    """
    left = most
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        run = range(int(first), int(last or first) + 1)
        left -= len(run)
        if left < 0:
            raise ValueError(text)
        yield from run

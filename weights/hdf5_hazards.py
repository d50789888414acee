"""What HDF5 hangs on, or crashes over, looked for in the bytes of a file before it is opened."""

from __future__ import annotations

import re
import struct
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

HEAP = re.compile(rb"GCOL\x01\x00\x00\x00(?=(.{8}))", re.DOTALL)
PACKED_HEAP = re.compile(rb"FRHP\x00.\x00(?!\x00\x00)", re.DOTALL)
ATTRIBUTES = {
    **dict.fromkeys((b"MATLAB_class", b"MATLAB_empty", b"MATLAB_fields", b"parameters"), b""),
    **dict.fromkeys((b"model_config", b"keras_version", b"backend"), b""),
    b"weight_names": b"0123456789",
}
"""The attributes that are read, and what may follow their names; lists in them are looked at.

Each is searched for by itself, which is many times as fast as all at once.
"""
MOST_DIGITS = 9
"""Of the number of a part of a list."""
VARIABLE_LENGTH = 9  # HDF5's number of the type


class Damaged(Exception):  # noqa: N818 - it is the file that is in error
    """A file that is not what HDF5 writes; whoever knows its name says so."""


def check_hazards(data: bytes) -> int:
    """Return the size of the largest heap, which no text in an attribute exceeds.

    Raises
    ------
    Damaged
        If HDF5 should not open the file. Where it is cut off, errors of Python's, too.
    """
    heap = _largest_heap(data)
    _check_lists(data, heap)
    if PACKED_HEAP.search(data):
        raise Damaged("a packed heap")
    return heap


def _largest_heap(data: bytes) -> int:
    """Walk the heaps, where lists in attributes lie, and refuse those that HDF5 never leaves."""
    found = [(heap.start(), *struct.unpack("<Q", heap[1])) for heap in HEAP.finditer(data)]
    heaps = [(start, size) for start, size in found if 4096 <= size <= len(data) - start]
    if sum(size for _, size in heaps) > len(data):
        raise Damaged("heaps overlap")
    for start, size in heaps:
        position, end = start + 16, start + size
        while position + 16 <= end:
            index, length = struct.unpack_from("<H6xQ", data, position)
            entry = 16 + (length + 7) // 8 * 8 if index else length
            if not 0 < entry <= end - position:
                raise Damaged(f"an entry of {entry} bytes in a heap")
            position += entry
    return max((size for _, size in heaps), default=0)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield where the name of an attribute stands, and the name with the zero at its end."""
    for name, more in ATTRIBUTES.items():
        start = data.find(name)
        while start >= 0:
            end = start + len(name)
            rest = data[end : end + MOST_DIGITS]
            end += len(rest) - len(rest.lstrip(more))
            if data[end : end + 1] == b"\0":
                yield start, data[start : end + 1]
            start = data.find(name, end)


def _check_lists(data: bytes, longest: int) -> None:
    """Refuse lists in attributes that no heap can hold: HDF5 takes the memory before it looks."""
    left = len(data)  # they do not overlap
    for start, name in _attributes(data):
        head = data[start - 9 : start].rjust(9, b"\0")  # of three versions, the last a byte longer
        for version, found, flags, sizes, unit in (
            (1, head[1], 0, head[3:9], 8),
            (2, head[1], head[2], head[3:9], 1),
            (3, head[0], head[1], head[2:8], 1),
        ):
            lengths = struct.unpack("<3H", sizes)
            if found != version or lengths[0] != len(name):
                continue
            if flags:
                raise Damaged("an attribute whose type or shape stands elsewhere")
            padded = (-(-size // unit) * unit for size in lengths)
            kind, shape, values = (start + end for end in accumulate(padded))
            if data[kind] & 15 != VARIABLE_LENGTH:
                continue
            axes = data[shape + 1]  # more than one are not read
            (count,) = struct.unpack_from("<Q", data, shape + (8 if data[shape] == 1 else 4))
            lists = np.frombuffer(data, "<u4, V12", count if axes else 1, values)
            left -= lists.nbytes
            if left < 0 or (lists["f0"] > longest).any():
                raise Damaged("a list longer than its heap")

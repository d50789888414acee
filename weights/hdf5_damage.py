"""What HDF5 does not survive, looked for in a file's bytes before HDF5 sees them.

Its library hangs or crashes on some kinds of damage, or writes where it must not: counts that it
believes before it has seen what they count. Those that were found, most of them by `tests/fuzz`,
are refused here.
"""

from __future__ import annotations

import re
import struct
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNATURE = b"\x89HDF\r\n\x1a\n"
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
INDICES = {b"BTHD\0": 34, b"EAHD\0": 68, b"FAHD\0": 24}
"""What indices of names and chunks begin with, and after how many bytes their checksum follows."""
RANDOM = 100  # indices without their checksum that random numbers may look like
VARIABLE_LENGTH = 9  # HDF5's number of the type
VIRTUAL = 3  # and of the layout
PIECE = 2**22  # bytes looked at together


class Damaged(Exception):  # noqa: N818 - it is the file that is in error
    """A file that is not what HDF5 writes; whoever knows its name says so."""


def check(data: bytes) -> int:
    """Refuse what HDF5 does not survive.

    Parameters
    ----------
    data : bytes
        A file with HDF5's signature.

    Returns
    -------
    int
        The size of the largest heap, which no list is longer than.

    Raises
    ------
    Damaged
    """
    start = start_of(data)
    _check_sizes(data, start)
    if PACKED_HEAP.search(data):
        raise Damaged("a packed heap")
    heaps, largest = _heaps(data)
    _check_lists(data, largest)
    _check_indices(data)
    _check_layouts(data, {heap - start for heap in heaps})
    return largest


def start_of(data: bytes) -> int:
    """Find HDF5's signature where it may stand: at 0, or after a user's block; else -1.

    >>> start_of(bytes(4096) + SIGNATURE), start_of(bytes(1000) + SIGNATURE)
    (4096, -1)
    """
    start = 0
    while start + len(SIGNATURE) <= len(data):
        if data.startswith(SIGNATURE, start):
            return start
        start = 2 * start or 512
    return -1


def _check_sizes(data: bytes, start: int) -> None:
    """Refuse addresses and sizes of other than eight bytes: what is looked for has those."""
    version = data[start + 8 : start + 9]
    place = start + (13 if version < b"\2" else 9)
    if data[place : place + 2] != b"\x08\x08":
        raise Damaged("addresses that are not of eight bytes")


def _heaps(data: bytes) -> tuple[list[int], int]:
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
    return [start for start, _ in found], max((size for _, size in heaps), default=0)


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


def _check_indices(data: bytes) -> None:
    """Refuse indices of more than there are bytes: HDF5 takes memory for it, or looks for each."""
    odd = 0
    for mark, length in INDICES.items():
        for match in re.finditer(mark, data):
            head = data[match.start() : match.start() + length + 4]
            if len(head) == length + 4 and _is_odd(head, len(data)):
                odd += 1
                if odd > RANDOM or checksum(head[:-4]) == int.from_bytes(head[-4:], "little"):
                    raise Damaged(f"an index ({head[:4].decode()}) of more than there is")


def _is_odd(head: bytes, most: int) -> bool:
    """Tell whether an index claims more than so many bytes hold."""
    if head[:4] == b"BTHD":
        node, record, depth = struct.unpack_from("<I2H", head, 6)
        return not (0 < record <= node <= most // (depth + 1))
    (count,) = struct.unpack_from("<Q", head, 44 if head[:4] == b"EAHD" else 8)
    return bool(count > most)


def checksum(data: bytes) -> int:
    """Return HDF5's checksum of its structures, Bob Jenkins's lookup3.

    >>> f"{checksum(b'Four score and seven years ago'):x}"
    '17770551'
    """
    mask = 2**32 - 1

    def turned(number: int, places: int) -> int:
        return (number << places | number >> (32 - places)) & mask

    a = b = c = (0xDEADBEEF + len(data)) & mask
    whole = max(len(data) - 1, 0) // 12 * 12  # the last 1 to 12 bytes are mixed otherwise
    for x, y, z in struct.iter_unpack("<3I", data[:whole]):
        a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
        for places in (4, 6, 8, 16, 19, 4):
            a, c = (a - c & mask) ^ turned(c, places), (c + b) & mask
            a, b, c = b, c, a
    if not data:
        return int(c)
    x, y, z = struct.unpack("<3I", data[whole:].ljust(12, b"\0"))
    a, b, c = (a + x) & mask, (b + y) & mask, (c + z) & mask
    for places in (14, 11, 25, 16, 4, 14, 24):
        c = ((c ^ b) - turned(b, places)) & mask
        a, b, c = b, c, a
    return int(b)


def _check_layouts(data: bytes, heaps: set[int]) -> None:
    """Refuse datasets made of parts of others: HDF5 takes memory for as many as it is told.

    Their layout is a version of at least 4, the number 3 and the address of a heap.
    """
    if not heaps:
        return
    found = np.frombuffer(data, "u1")
    addresses = np.array(sorted(heaps), "<u8")
    for start in range(0, len(data), PIECE):
        piece = found[start : start + PIECE + 9]
        places = np.flatnonzero((piece[1:-8] == VIRTUAL) & (piece[:-9] >= 4) & (piece[:-9] <= 7))
        parts = piece[places[:, None] + np.arange(2, 10)]
        if np.isin(parts.view("<u8"), addresses).any():
            raise Damaged("a virtual dataset: not safe")

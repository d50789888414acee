"""HDF5's checksums of its own structures, made right again after these were spoilt."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADS = re.compile(rb"OHDR\x02|BTHD\x00|FAHD\x00|EAHD\x00|FRHP\x00|\x89HDF\r\n\x1a\n[\x02\x03]")
LENGTHS = {b"BTHD": 34, b"FAHD": 24, b"EAHD": 68, b"FRHP": 142, b"\x89HDF": 44}
MASK = 2**32 - 1


def rotated(number: int, places: int) -> int:
    return (number << places | number >> (32 - places)) & MASK


def lookup3(data: bytes) -> int:
    """Return Bob Jenkins's hash of bytes.

    >>> f"{lookup3(b'Four score and seven years ago'):x}"
    '17770551'
    """
    a = b = c = (0xDEADBEEF + len(data)) & MASK
    whole = max(len(data) - 1, 0) // 12 * 12  # the last 1 to 12 bytes are mixed otherwise
    for x, y, z in struct.iter_unpack("<3I", data[:whole]):
        a, b, c = (a + x) & MASK, (b + y) & MASK, (c + z) & MASK
        a, c = (a - c & MASK) ^ rotated(c, 4), (c + b) & MASK
        b, a = (b - a & MASK) ^ rotated(a, 6), (a + c) & MASK
        c, b = (c - b & MASK) ^ rotated(b, 8), (b + a) & MASK
        a, c = (a - c & MASK) ^ rotated(c, 16), (c + b) & MASK
        b, a = (b - a & MASK) ^ rotated(a, 19), (a + c) & MASK
        c, b = (c - b & MASK) ^ rotated(b, 4), (b + a) & MASK
    if not data:
        return c
    x, y, z = struct.unpack("<3I", data[whole:].ljust(12, b"\0"))
    a, b, c = (a + x) & MASK, (b + y) & MASK, (c + z) & MASK
    c = ((c ^ b) - rotated(b, 14)) & MASK
    a = ((a ^ c) - rotated(c, 11)) & MASK
    b = ((b ^ a) - rotated(a, 25)) & MASK
    c = ((c ^ b) - rotated(b, 16)) & MASK
    a = ((a ^ c) - rotated(c, 4)) & MASK
    b = ((b ^ a) - rotated(a, 14)) & MASK
    return ((c ^ b) - rotated(b, 24)) & MASK


def summed(data: bytes) -> Iterator[tuple[int, int]]:
    """List where what has a checksum begins and ends, and the checksum begins."""
    for match in HEADS.finditer(data):
        start, kind = match.start(), match[0][:4]
        length = LENGTHS.get(kind, 0)
        if kind == b"OHDR":
            flags = data[start + 5 : start + 6] or b"\0"
            length = 6 + 16 * (flags[0] >> 5 & 1) + 4 * (flags[0] >> 4 & 1)
            width = 1 << (flags[0] & 3)
            length += width + int.from_bytes(
                data[start + length : start + length + width], "little"
            )
        if start + length + 4 <= len(data):
            yield start, start + length
            if kind == b"BTHD":
                yield from leaf(data, start)


def leaf(data: bytes, head: int) -> Iterator[tuple[int, int]]:
    """Find the records of an index that has no levels."""
    size, depth, _, _, root, count = struct.unpack_from("<2H2BQH", data, head + 10)
    if depth == 0 and data[root : root + 4] == b"BTLF" and root + 10 + size * count <= len(data):
        yield root, root + 6 + size * count


def corrected(data: bytes) -> bytes:
    """Return a file whose checksums are right, as far as they are known here."""
    found = bytearray(data)
    for start, end in summed(data):
        struct.pack_into("<I", found, end, lookup3(bytes(found[start:end])))
    return bytes(found)

"""MATLAB files of version 5 to 7 as trees of elements, to be built, taken apart and spoilt.

It knows the layout and nothing of our reader: types and sizes, padding, what is packed; and what a
variable begins with. Bytes of numbers stay as they are, in the order of the file.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

Order: TypeAlias = Literal["<", ">"]

INT8, UINT8, UINT16, INT32, UINT32, SINGLE, DOUBLE, MATRIX, PACKED = 1, 2, 4, 5, 6, 7, 9, 14, 15
UTF8, UTF16, UTF32 = 16, 17, 18
CELL, STRUCT, OBJECT, CHAR, SPARSE, HANDLE, OPAQUE = 1, 2, 3, 4, 5, 16, 17
TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
TYPES |= {UTF8: "u1", UTF16: "u2", UTF32: "u4"}
STORED = {np.dtype(code): number for number, code in TYPES.items() if number < MATRIX}
NUMERIC = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
CLASSES = {code: number for number, code in enumerate(NUMERIC, 6)}
LOGICAL, COMPLEX, GLOBAL = 0x200, 0x800, 0x400


@dataclass
class Element:
    """A type and what it holds; the other fields are for what no writer does."""

    kind: int
    content: bytes | list[Element]
    size: int | None = None
    """instead of the true one"""
    small: bool | None = None
    """whether it stands in eight bytes; as MATLAB does by default"""
    packed: bytes | None = None
    """instead of the packed content"""
    level: int = 6
    """of packing"""


def encoded(element: Element, order: Order = "<") -> bytes:
    """Return the bytes of an element, padded."""
    content = element.content
    if isinstance(content, list):
        content = b"".join(encoded(inner, order) for inner in content)
    if element.kind == PACKED:
        content = (
            zlib.compress(content, element.level) if element.packed is None else element.packed
        )
    size = len(content) if element.size is None else element.size
    small = element.small
    if small is None:
        small = 0 < len(content) <= 4 and element.kind not in (MATRIX, PACKED)
    if small:
        tag = struct.pack(f"{order}I", (size & 0xFFFF) << 16 | element.kind & 0xFFFF)
        return tag + content[:4].ljust(4, b"\0")
    padding = 0 if element.kind == PACKED else -len(content) % 8
    return struct.pack(f"{order}2I", element.kind, size % 2**32) + content + bytes(padding)


def file_of(*elements: Element, order: Order = "<", subsystem: int = 0) -> bytes:
    """Return the bytes of a file."""
    head = b"MATLAB 5.0 MAT-file, by hand".ljust(116)
    head += struct.pack(f"{order}QH", subsystem, 0x100) + (b"IM" if order == "<" else b"MI")
    return head + b"".join(encoded(element, order) for element in elements)


def parsed(data: bytes, order: Order) -> list[Element]:
    """Take a row of elements apart; ValueError, struct.error or zlib.error where that fails."""
    elements, position = [], 0
    while position < len(data):
        kind, size = struct.unpack_from(f"{order}2I", data, position)
        start, small = position + 8, bool(kind >> 16)
        if small:
            kind, size, start = kind & 0xFFFF, kind >> 16, start - 4
        if start + size > len(data):
            raise ValueError(f"an element of {size} bytes in {len(data) - start}")
        content: Any = data[start : start + size]
        if kind == PACKED:
            content = parsed(zlib.decompress(content), order)
        elif kind == MATRIX:
            content = parsed(content, order)
        elements.append(Element(kind, content, small=small))
        padding = 0 if kind == PACKED else -size % 8
        position = position + 8 if small else start + size + padding
    return elements


def file_parsed(data: bytes) -> tuple[Order, list[Element]]:
    """Take a file apart."""
    order: Order = "<" if data[126:128] == b"IM" else ">"
    return order, parsed(data[128:], order)


def swapped(element: Element) -> Element:
    """Return an element whose numbers are in the other order of bytes."""
    if isinstance(element.content, list):
        return replace(element, content=[swapped(inner) for inner in element.content])
    stored = np.dtype(TYPES[element.kind])
    return replace(element, content=np.frombuffer(element.content, stored).byteswap().tobytes())


def unpacked(element: Element) -> Element:
    """Return what is packed."""
    if element.kind != PACKED:
        return element
    (inner,) = element.content
    assert isinstance(inner, Element)
    return unpacked(inner)


def sizes(*numbers: int, order: Order = "<") -> Element:
    return Element(INT32, struct.pack(f"{order}{len(numbers)}i", *numbers))


def text(content: bytes | str) -> Element:
    return Element(INT8, content.encode() if isinstance(content, str) else content)


def matrix(
    name: str, number: int, shape: tuple[int, ...], *parts: Element, flags: int = 0
) -> Element:
    """Return a variable of a class: its head, and the elements that follow."""
    head = Element(UINT32, struct.pack("<2I", number | flags, 0))
    return Element(MATRIX, [head, sizes(*shape), text(name), *parts])


def numbers(name: str, array: Any, number: int = 0, *, flags: int = 0) -> Element:
    """Return a variable of numbers, of the class that goes with them, or another."""
    array = np.asarray(array)
    shape = array.shape if array.ndim > 1 else (1, array.size)
    part = Element(STORED[array.dtype], array.tobytes("F"))
    return matrix(name, number or CLASSES[array.dtype.str[1:]], shape, part, flags=flags)


def chars(name: str, shape: tuple[int, ...], kind: int, content: bytes) -> Element:
    return matrix(name, CHAR, shape, Element(kind, content))


def struct_of(name: str, shape: tuple[int, ...], fields: list[str], *values: Element) -> Element:
    """Return a struct, whose values come struct by struct."""
    length = max(map(len, fields), default=0) + 1
    names = b"".join(field.encode().ljust(length, b"\0") for field in fields)
    return matrix(name, STRUCT, shape, sizes(length), text(names), *values)


def opaque(name: str, kind: str) -> Element:
    """Return an object of one of MATLAB's or people's own classes."""
    head = Element(UINT32, struct.pack("<2I", OPAQUE, 0))
    inner = numbers("", np.array([[0xDD000000, 2, 1, 1, 1, 1]], "u4").T)
    return Element(MATRIX, [head, text(name), text("MCOS"), text(kind), inner])


def packed(*elements: Element) -> Element:
    return Element(PACKED, list(elements))

"""MATLAB files of version 5 to 7 as plain Python values, read without trusting any claim.

A file is a row of elements, each a type, a size and so many bytes, padded to eight. A variable is
an element that consists of others (flags, lengths of axes, name, then numbers or more variables);
version 7 packs each. What is stored as it is needed is not copied: arrays are views of the file, or
of what was unpacked.
"""

from __future__ import annotations

import math
import struct
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NoReturn, TypeAlias

import numpy as np

from fdref.weights.files import refusal
from fdref.weights.inflating import RATIO, Inflating
from fdref.weights.matlab_classes import (
    COMPLEX,
    DEEPEST,
    DTYPES,
    ENCODINGS,
    MOST_AXES,
    Unsupported,
    characters,
    empty,
)

if TYPE_CHECKING:
    from fdref.weights.bounded import Budget
    from fdref.weights.hdf5 import Place
    from fdref.weights.matlab_classes import Value

Order: TypeAlias = Literal["<", ">"]
Element: TypeAlias = tuple[int, memoryview]
"""type and content"""

HEADER = 128
ORDERS: dict[bytes, Order] = {b"\0\1IM": "<", b"\1\0MI": ">"}
"""What ends the header: version 1, and two letters in the order of the writer's bytes."""
PAIRS = {order: struct.Struct(f"{order}2I") for order in ORDERS.values()}
NUMBERS = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
"""The types in which numbers are stored: the smallest that holds them."""
CODES = {1: "u1", 2: "u1", 3: "u2", 4: "u2", 5: "u4", 6: "u4", 17: "u2", 18: "u4"}
"""The types in which characters are stored one by one."""
UTF8 = 16
INTEGERS = {5: "i", 6: "I"}
"""The types of sizes; the second is some writers' mistake."""
NAMES = (1, 2, UTF8)
"""The types of names; all but the first are some writers' mistake."""
MATRIX, PACKED = 14, 15
CLASSES = (
    *("cell", "struct", "object", "char", "sparse", "double", "single", "int8", "uint8", "int16"),
    *("uint16", "int32", "uint32", "int64", "uint64", "function_handle", "opaque"),
)
"""MATLAB's, from 1."""
READABLE = {*DTYPES, "char", "cell", "struct"}
IS_LOGICAL, IS_COMPLEX = 0x200, 0x800  # flags
LEAST = 8  # bytes of an element


def is_matlab5(data: bytes) -> bool:
    r"""Tell whether a file's header is that of version 5 to 7.

    >>> is_matlab5(b"MATLAB 5.0 MAT-file".ljust(124) + b"\0\1IM")
    True
    """
    return data[124:HEADER] in ORDERS


def variables(data: bytes, name: str, budget: Budget) -> dict[str, Value]:
    """Read every variable of a file from its bytes; of several with one name, the last.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        The file's, for messages.
    budget : Budget
        What reading may take.

    Returns
    -------
    dict
        As `fdref.weights.matlab.read` returns it.

    Raises
    ------
    FileError
        If it is no such file, is damaged, claims more than it stores, or would take too much
        memory.
    """
    if not is_matlab5(data):
        raise refusal(name, "is cut off or damaged, expected a MATLAB file of version 5 to 7")
    order = ORDERS[data[124:HEADER]]
    budget.file(len(data))
    (hidden,) = struct.unpack_from(f"{order}Q", data, 116)  # where MATLAB keeps what is its own
    reader, row = _Reader(order, budget), _Row(memoryview(data), order, (name,), HEADER)
    found: dict[str, Value] = {}
    while row.position < len(data):
        mine = row.position != hidden
        element = row.next()
        if mine:
            variable = reader.opened(element, (name,))
            value = reader.value(variable, (f"{name}: {variable.name}",))
            if variable.name:  # else it is MATLAB's own, too
                found[variable.name] = value
    return found


def _damaged(place: Place, problem: str) -> NoReturn:
    raise refusal(place, f"{problem}: damaged or cut off, fetch it again")


@dataclass(slots=True)
class _Row:
    """Elements one after the other, and where the next begins."""

    content: memoryview
    order: Order
    place: Place
    position: int = 0

    @property
    def left(self) -> int:
        """How many bytes are to come; padding may lack at the end."""
        return max(len(self.content) - self.position, 0)

    def next(self) -> Element:
        """Cut off the next element; one of up to four bytes may stand in the space of its size."""
        position, content = self.position, self.content
        start = position + LEAST
        left = len(content) - start
        if left < 0:
            _damaged(self.place, f"has {self.left} bytes where an element should be")
        kind, size = PAIRS[self.order].unpack_from(content, position)
        self.position = start
        if kind >> 16:
            kind, size, start, left = kind & 0xFFFF, kind >> 16, start - 4, 4
        else:
            self.position += size + (0 if kind == PACKED else -size % 8)
        if size > left:
            _damaged(self.place, f"has an element of {size} bytes in {left}")
        return kind, content[start : start + size]

    def integers(self) -> tuple[int, ...]:
        """Cut off an element of integers."""
        kind, content = self.next()
        if kind not in INTEGERS or len(content) % 4:
            _damaged(self.place, f"has {len(content)} bytes of type {kind} where sizes should be")
        return struct.unpack(f"{self.order}{len(content) // 4}{INTEGERS[kind]}", content)

    def name(self) -> bytes:
        """Cut off an element of text."""
        kind, content = self.next()
        if kind not in NAMES:
            _damaged(self.place, f"has {len(content)} bytes of type {kind} where a name should be")
        return bytes(content)


@dataclass(slots=True)
class _Variable:
    """What is known of a variable before its elements are read."""

    name: str
    kind: str
    """its class; of objects, their own"""
    is_complex: bool
    shape: tuple[int, ...]
    """reversed"""
    row: _Row
    """what follows"""


@dataclass
class _Reader:
    """Gives what stands in a file the meaning that MATLAB gives it."""

    order: Order
    budget: Budget

    def opened(self, element: Element, place: Place) -> _Variable:
        """Read the beginning of a variable, unpacked if need be."""
        if len(place) > DEEPEST:
            raise refusal(place, f"is {DEEPEST} levels deep: damaged or not safe")
        kind, content = element
        if kind == PACKED:
            return self.opened(self.unpacked(content, place), (*place, ""))
        if kind != MATRIX:
            _damaged(place, f"has an element of type {kind} where a variable should be")
        self.budget.take(place, values=1)
        row = _Row(content, self.order, place)
        if not content:  # MATLAB's way to store the [] of a cell or field
            return _Variable("", "double", is_complex=False, shape=(0, 0), row=row)
        flags = (*row.integers(), 0)[0]
        number = flags & 0xFF
        kind_ = CLASSES[number - 1] if 1 <= number <= len(CLASSES) else f"number {number}"
        if kind_ == "opaque":
            name, _, own = row.name(), row.name(), row.name()
            return _Variable(_text(name), _text(own), is_complex=False, shape=(), row=row)
        shape, name = row.integers()[::-1], row.name()
        if len(shape) > MOST_AXES or min(shape, default=-1) < 0:
            _damaged(place, f"has axes of {shape[: MOST_AXES + 1]}")
        if kind_ == "object":
            kind_ = _text(row.name())
        elif kind_ in DTYPES and flags & IS_LOGICAL:
            kind_ = "logical"
        return _Variable(_text(name), kind_, bool(flags & IS_COMPLEX), shape, row)

    def unpacked(self, packed: memoryview, place: Place) -> Element:
        """Unpack an element into memory of its size, once that is found to be possible."""
        stream = Inflating(packed)
        try:
            stream.into(head := bytearray(LEAST))
            kind, size = PAIRS[self.order].unpack(head)
            if LEAST + size > RATIO * len(packed):
                problem = f"claims {size} bytes in {len(packed)} packed ones, which cannot be"
                raise refusal(place, f"{problem}: damaged or not safe")
            self.budget.take(place, size)
            content = np.empty(size, "u1").data
            stream.into(content)
            stream.close()
        except ValueError as error:
            _damaged(place, f"has an element that cannot be unpacked ({error})")
        return kind, content.toreadonly()

    def value(self, variable: _Variable, place: Place) -> Value:
        """Read the rest of a variable and all that is inside."""
        kind = variable.kind
        if kind not in READABLE:
            return Unsupported(kind)
        if kind in DTYPES and variable.is_complex:
            return Unsupported(COMPLEX)
        if 0 in variable.shape:
            try:
                return empty(kind, variable.shape)
            except ValueError as error:
                _damaged(place, f"is an empty {kind} ({error})")
        match kind:
            case "cell":
                return self.cell(variable, place)
            case "struct":
                return self.struct(variable, place)
            case "char":
                return self.text(variable, place)
        return self.numbers(variable, place)

    def inner(self, row: _Row, place: Place) -> Value:
        """Read the next variable of a cell or struct."""
        return self.value(self.opened(row.next(), place), place)

    def cell(self, variable: _Variable, place: Place) -> list[Value]:
        """Read the elements of a cell."""
        row, count = variable.row, math.prod(variable.shape)
        _check_count(count, row)
        return [self.inner(row, (*place, f"{{{i}}}")) for i in range(1, count + 1)]

    def struct(self, variable: _Variable, place: Place) -> Value:
        """Read a struct, or a struct array: all fields of its first element, of its second..."""
        row, count = variable.row, math.prod(variable.shape)
        fields = _fields(row)
        if fields:
            _check_count(count * len(fields), row)
        else:
            self.budget.take(place, values=count)
        paths = [(field, f".{field}") for field in fields]
        structs: list[Value] = []
        for i in range(1, count + 1):
            element = (*place, f"{{{i}}}") if count > 1 else place
            structs.append({field: self.inner(row, (*element, path)) for field, path in paths})
        return structs if count > 1 else structs[0]

    def text(self, variable: _Variable, place: Place) -> str:
        """Read a char matrix."""
        shape, count = variable.shape, math.prod(variable.shape)
        kind, content = variable.row.next()
        self.budget.take(place, 8 * max(len(content), 0 if content else count))
        if not content:  # as some writers say that it is blank
            return characters(np.full(shape, ord(" "), "u1"))
        if kind == UTF8:
            return _from_utf8(bytes(content), shape, place)
        if kind not in CODES:
            _damaged(place, f"has characters of type {kind}")
        stored = np.dtype(CODES[kind]).newbyteorder(self.order)
        if len(content) != count * stored.itemsize:
            _damaged(place, f"has {len(content)} bytes for {count} characters of {stored.itemsize}")
        return characters(np.frombuffer(content, stored).reshape(shape))

    def numbers(self, variable: _Variable, place: Place) -> Value:
        """Read an array: as it is stored, if that is its class, and else a copy of that class."""
        shape, count = variable.shape, math.prod(variable.shape)
        kind, content = variable.row.next()
        if kind not in NUMBERS:
            _damaged(place, f"has numbers of type {kind}")
        stored = np.dtype(NUMBERS[kind]).newbyteorder(self.order)
        if len(content) != count * stored.itemsize:
            _damaged(place, f"has {len(content)} bytes for {count} numbers of {stored.itemsize}")
        array = np.frombuffer(content, stored).reshape(shape)
        wanted = np.dtype(DTYPES[variable.kind])
        if stored == wanted and array.flags.aligned:
            return array
        self.budget.take(place, count * wanted.itemsize)
        with np.errstate(all="ignore"):  # numbers that the class does not have: nobody writes them
            return array.astype(wanted)


def _check_count(count: int, row: _Row) -> None:
    """Refuse a claim of more variables than there can be."""
    if LEAST * count > row.left:
        _damaged(row.place, f"claims {count} values in {row.left} bytes")


def _fields(row: _Row) -> list[str]:
    """Read the names of a struct's fields; of equal ones all but the first are numbered (SciPy)."""
    (length, *_), names = (*row.integers(), 0), row.name()
    if names and (length < 1 or len(names) % length):
        _damaged(row.place, f"has names of {length} characters in {len(names)}")
    found = [_text(names[i : i + length]) for i in range(0, len(names), max(length, 1))]
    seen: Counter[str] = Counter()
    fields = []
    for field in found:
        fields.append(f"_{seen[field]}_{field}" if field in seen else field)
        seen[field] += 1
    return fields


def _text(name: bytes) -> str:
    """Decode a name, which may be padded."""
    return name.partition(b"\0")[0].decode(errors="replace")


def _from_utf8(content: bytes, shape: tuple[int, ...], place: Place) -> str:
    """Decode a char matrix: its shape is of bytes (Octave), characters (SciPy) or UTF-16 units."""
    count = math.prod(shape)
    if len(content) == count:
        return characters(np.frombuffer(content, "u1").reshape(shape), "utf-8")
    text = content.decode(errors="replace")
    for size, encoding in ENCODINGS.items():
        codes = np.frombuffer(text.encode(encoding, "replace"), f"<u{size}")
        if codes.size == count and size > 1:
            return characters(codes.reshape(shape))
    if shape[-1] != 1:
        _damaged(place, f"has {len(text)} characters in a shape of {count}")
    return text

"""MATLAB files of version 5 to 7: the arrays of numbers in them, read without trusting any claim.

A file is a row of elements, each a type, a size and so many bytes, padded to eight. A variable is
an element that consists of others (flags, lengths of axes, name, numbers); version 7 packs each.
"""

from __future__ import annotations

import math
import struct
import zlib
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from fdref.weights.files import refusal
from fdref.weights.matlab import DTYPES, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any, Literal

    from numpy.typing import NDArray

    from fdref.weights.bounded import Budget

    Order = Literal["<", ">"]
    Element: TypeAlias = tuple[int, memoryview]
    """type and content"""

HEADER = 128
MAGIC = b"MATLAB 5.0"
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
MATRIX, PACKED = 14, 15
NAMES = ("cell", "struct", "object", "char", "sparse", "double", "single", "int8", "uint8", "int16",
         "uint16", "int32", "uint32", "int64", "uint64", "function_handle", "opaque")  # fmt: skip
"""MATLAB's classes, from 1."""
LOGICAL, COMPLEX = 0x200, 0x800


def variables(data: bytes, name: str, budget: Budget) -> dict[str, NDArray[Any] | Unsupported]:
    """Read every array of numbers, its axes in MATLAB's order.

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
        By name: an array of its MATLAB class; what is none, `Unsupported`.

    Raises
    ------
    FileError
        If it is no such file, is damaged, or would take too much memory.
    """
    if len(data) < HEADER or data[126:128] not in (b"IM", b"MI"):
        raise refusal(name, "is cut off or damaged, expected a MATLAB file of version 5 to 7")
    order: Order = "<" if data[126:128] == b"IM" else ">"
    budget.file(len(data))
    found: dict[str, NDArray[Any] | Unsupported] = {}
    try:
        for kind, content in _whole(memoryview(data)[HEADER:], order, name, budget):
            if kind == MATRIX:
                budget.take((name,), values=1)
                key, value = _variable(content, order, name, budget)
                found[key] = value
    except (struct.error, zlib.error, ValueError) as error:
        raise refusal(name, f"is damaged: {error}") from error
    return {key: value for key, value in found.items() if key}


def _elements(data: memoryview, order: Order) -> Iterator[Element]:
    """Cut a row of elements; one of up to four bytes may stand in the space of the size."""
    position = 0
    while position < len(data):
        kind, size = struct.unpack_from(f"{order}2I", data, position)
        if kind >> 16:
            kind, size, start, end = kind & 0xFFFF, kind >> 16, position + 4, position + 8
        else:
            start = position + 8
            end = start + size + (0 if kind == PACKED else -size % 8)
        if start + size > min(len(data), end):
            raise ValueError(f"an element of {size} bytes in {len(data) - start}")
        yield kind, data[start : start + size]
        position = end


def _whole(data: memoryview, order: Order, name: str, budget: Budget) -> Iterator[Element]:
    """Cut a row of elements and unpack them."""
    for kind, content in _elements(data, order):
        if kind == PACKED:
            yield from _elements(_unpacked(content, name, budget), order)
        else:
            yield kind, content


def _unpacked(packed: memoryview, name: str, budget: Budget) -> memoryview:
    """Unpack an element, a part at a time as the budget allows."""
    inflate, parts, rest = zlib.decompressobj(), [], bytes(packed)
    while rest and not inflate.eof:
        parts.append(inflate.decompress(rest, 2**20))
        budget.take((name,), 2 * len(parts[-1]))  # once more when they are joined
        rest = inflate.unconsumed_tail
    return memoryview(b"".join(parts))


def _variable(
    content: memoryview, order: Order, name: str, budget: Budget
) -> tuple[str, NDArray[Any] | Unsupported]:
    """Read one variable; what is inside anything but numbers is not looked at."""
    elements = _elements(content, order)
    flags = _numbers(next(elements, None), order)
    lengths = _numbers(next(elements, None), order)
    key = _numbers(next(elements, None), order).astype("u1").tobytes().decode("latin-1")
    kind = int(flags[0]) & 0xFF if flags.size else 0
    matlab_class = NAMES[kind - 1] if 1 <= kind <= len(NAMES) else f"number {kind}"
    if matlab_class not in DTYPES:
        return key, Unsupported(matlab_class)
    if int(flags[0]) & COMPLEX:
        return key, Unsupported("complex numbers")
    stored = _numbers(next(elements, None), order)
    shape = tuple(map(int, lengths))
    if len(shape) > 32 or min(shape, default=-1) < 0 or math.prod(shape) != stored.size:
        raise ValueError(f"{stored.size} numbers in an array of {shape[:33]}")
    dtype = np.dtype("?" if int(flags[0]) & LOGICAL else DTYPES[matlab_class])
    budget.take((f"{name}: `{key}`",), stored.size * dtype.itemsize)
    with np.errstate(invalid="ignore"):  # of damaged files
        return key, stored.astype(dtype).reshape(shape, order="F")


def _numbers(element: Element | None, order: Order) -> NDArray[Any]:
    """Return the numbers of an element as they are stored."""
    if element is None:
        raise ValueError("a variable is cut off")
    kind, content = element
    if kind not in NUMBERS:
        raise ValueError(f"type {kind} where numbers should be")
    return np.frombuffer(content, np.dtype(NUMBERS[kind]).newbyteorder(order))

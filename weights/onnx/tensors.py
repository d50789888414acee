"""Arrays of an ONNX model, inside the file or in one beside it."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError, one_line
from fdref.weights.bounded import opened
from fdref.weights.files import refusal

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from fdref.errors import FileError
    from fdref.weights.bounded import Budget

DTYPES = {
    1: "<f4",
    2: "u1",
    3: "i1",
    4: "<u2",
    5: "<i2",
    6: "<i4",
    7: "<i8",
    9: "?",
    10: "<f2",
    11: "<f8",
    12: "<u4",
    13: "<u8",
    16: "<u2",  # bfloat16: the upper half of a float32
}
"""By ONNX's number of the type."""
BFLOAT16, FLOAT16, EXTERNAL = 16, 10, 1
OTHERS = {8: "string", 14: "complex64", 15: "complex128"}
FIELDS = {1: "float_data", 7: "int64_data", 11: "double_data", 12: "uint64_data", 13: "uint64_data"}
"""Where numbers stand that are no raw bytes; all others in int32_data."""
DEEPEST, LONGEST = 16, 2**40
"""Axes of an array, and numbers in it: no file holds more."""


def dtype_of(number: int) -> np.dtype[Any]:
    """Return NumPy's type for ONNX's number, what bfloat16 becomes included.

    Raises
    ------
    NetworkError
        For text, complex numbers and those of less than a byte.
    """
    if number not in DTYPES:
        found = OTHERS.get(number, f"type {number}")
        raise NetworkError(f"an array is of {found}; expected real numbers of at least a byte")
    return np.dtype("<f4" if number == BFLOAT16 else DTYPES[number])


@dataclass
class Tensors:
    """Reads the arrays of one model."""

    place: str
    """the model's, for messages"""
    folder: Path | None
    """the model's, or None where no second file may be read"""
    budget: Budget
    beside: set[str] = field(default_factory=set)
    """names of the files that were read"""

    def array(self, proto: Any) -> NDArray[Any]:
        """Return the array of a TensorProto, read-only.

        Raises
        ------
        FileError
            If it holds other than it claims, or is too much.
        NetworkError
            If it is of a type that is not read.
        """
        place = (f"{self.place}: the array {one_line(text_of(proto.name))!r}",)
        shape = tuple(int(n) for n in proto.dims)
        if len(shape) > DEEPEST or min(shape, default=0) < 0 or prod(shape) > LONGEST:
            raise refusal(place, f"is of shape {one_line(str(shape))}, expected lengths: damaged")
        kept = dtype_of(proto.data_type)
        stored = np.dtype(DTYPES[proto.data_type])
        if proto.HasField("segment"):
            raise refusal(place, "is in segments, expected it whole")
        count = prod(shape)
        if proto.data_location == EXTERNAL:
            flat = np.frombuffer(self.external(proto, count * stored.itemsize, place), stored)
        elif proto.HasField("raw_data"):
            self.budget.take(place, count * stored.itemsize)
            flat = _raw(proto.raw_data, stored, count, place)
        else:
            flat = self.typed(proto, stored, count, place)
        if proto.data_type == BFLOAT16:
            self.budget.take(place, count * 4)
            flat = (flat.astype("<u4") << 16).view("<f4")
        array: NDArray[Any] = flat.reshape(shape).astype(kept.newbyteorder("="), copy=False)
        array.flags.writeable = False
        return array

    def typed(
        self, proto: Any, stored: np.dtype[Any], count: int, place: Sequence[str]
    ) -> NDArray[Any]:
        """Read numbers that stand one by one."""
        name = FIELDS.get(proto.data_type, "int32_data")
        values = getattr(proto, name)
        if len(values) != count:
            raise refusal(place, f"has {len(values)} numbers, expected {count}: damaged")
        self.budget.take(place, 8 * count)
        wide = {"float_data": "<f4", "double_data": "<f8", "uint64_data": "<u8"}.get(name, "<i8")
        flat = np.array(values, wide)
        if proto.data_type == FLOAT16:  # its bits
            return flat.astype("<u2").view("<f2")
        return flat.astype(stored)

    def external(self, proto: Any, size: int, place: Sequence[str]) -> bytes:
        """Read bytes from a file beside the model: plain, no link, all of them inside it."""
        about = {text_of(entry.key): text_of(entry.value) for entry in proto.external_data}
        name = about.get("location", "")
        offset = _count(about.get("offset", "0"), place)
        length = _count(about.get("length", f"{size}"), place)
        if length != size:
            raise refusal(place, f"has {length} bytes, expected {size}: damaged")
        if self.folder is None:
            raise refusal(place, "is in a second file, expected the model as a file beside it")
        if not name or name in (".", "..") or set(name) & set("/\\:\0"):
            what = f"is in {one_line(name)!r}, expected the name of a file beside the model"
            raise refusal(place, what)
        path = self.folder / name
        try:
            before = path.lstat()
        except OSError as error:
            raise self.unread(path, error.strerror or f"{error}", place) from None
        if not stat.S_ISREG(before.st_mode):
            raise self.unread(path, "it is a link, a folder or a device", place)
        with opened(path, "the arrays of an ONNX model") as file:
            now = os.fstat(file.fileno())
            if (now.st_dev, now.st_ino) != (before.st_dev, before.st_ino):
                raise self.unread(path, "it was exchanged meanwhile", place)
            if offset + size > now.st_size:
                reason = f"it has {now.st_size} bytes"
                raise self.unread(path, f"{reason}, and {offset + size} are claimed", place)
            if name not in self.beside:
                self.beside.add(name)
                self.budget.files += now.st_size
            self.budget.take(place, size)
            return _read(file, offset, size)

    @staticmethod
    def unread(path: Path, reason: str, place: Sequence[str]) -> FileError:
        """Make the error of a file that cannot be read."""
        remedy = "expected a plain file; keep it beside the model, as it was written"
        return refusal(place, f"is in {one_line(str(path), 400)}, {reason}, {remedy}")


def _raw(data: bytes, stored: np.dtype[Any], count: int, place: Sequence[str]) -> NDArray[Any]:
    if len(data) != count * stored.itemsize:
        found = f"{len(data)} bytes, expected {count * stored.itemsize}"
        raise refusal(place, f"has {found}: damaged")
    return np.frombuffer(data, stored)


def text_of(value: str | bytes) -> str:
    """Return text; of what is none, protocol buffers give the bytes."""
    return value if isinstance(value, str) else value.decode()


def _count(text: str, place: Sequence[str]) -> int:
    """Read a number of bytes."""
    if not (text.isascii() and text.isdigit() and len(text) < 20):
        what = f"begins or ends at {one_line(text)!r}, expected a number of bytes: damaged"
        raise refusal(place, what)
    return int(text)


def _read(file: Any, offset: int, size: int) -> bytes:
    """Read so many bytes, or as many as there are."""
    file.seek(offset)
    parts = []
    while size and (part := file.read(size)):  # Linux gives 2 GiB at once at most
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)

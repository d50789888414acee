"""MATLAB v7.3 files as MATLAB's own `load` reads them, from plain Python values."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import ArgumentError
from fdref.files.whole import replace_file
from fdref.weights.bounded import MOST_VALUES
from fdref.weights.hdf5 import import_h5py
from fdref.weights.matlab_classes import DEEPEST, DTYPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from os import PathLike

    import h5py
    from numpy.typing import NDArray

    from fdref.weights.hdf5 import Place
    from fdref.weights.matlab_classes import Value

MOST_FIELDS = 4000  # HDF5 has 64 KiB for the list of their names
CLASSES = {np.dtype(code): kind for kind, code in DTYPES.items()}
INT_DECODE = {"logical": 1, "char": 2}  # MATLAB stores these as integers
IDENTIFIER = re.compile("[A-Za-z][A-Za-z0-9_]{0,62}")

# The date is fixed, so that the same values give the same bytes.
TEXT = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan  1 00:00:00 1970"
HEADER = (TEXT + b" HDF5 schema 1.00 .").ljust(116) + bytes(8) + b"\0\2IM"


class StructArray(list["Value"]):
    """Structs of the same fields, to be written as one array; a list is written as a cell."""


def write(path: str | PathLike[str], variables: Mapping[str, Value]) -> None:
    """Write a MATLAB v7.3 file; the same variables give the same bytes.

    Parameters
    ----------
    path : str or path-like
        The file; one that exists is replaced, once everything is written.
    variables : mapping
        By name: arrays with the axes as `read` returns them, 1-d ones becoming 1 x N; str; a list
        becomes a 1 x N cell, a dict a struct, a `StructArray` a 1 x N array of them.

    Raises
    ------
    ArgumentError
        If MATLAB has no such value, or no such name, or there are more than `read` takes.
    FileError
        If the file cannot be written; nothing is left behind.
    """
    replace_file(path, encoded(variables))


def encoded(variables: Mapping[str, Value]) -> bytes:
    """Return the bytes of a MATLAB v7.3 file; parameters and errors are those of `write`."""
    if sum(_counts(dict(variables), 0)) > MOST_VALUES:  # before it takes minutes to lay them out
        raise ArgumentError(
            f"there is too much to write, expected at most {MOST_VALUES} values in a file that can "
            "be read again: leave something out"
        )
    buffer = io.BytesIO()
    # Every MATLAB reads the oldest format; its header goes into a block of its own before HDF5's.
    with import_h5py().File(buffer, "w", libver="earliest", userblock_size=512) as file:
        _Writer(file).fields(file, variables, ())
    buffer.seek(0)
    buffer.write(HEADER)
    return buffer.getvalue()


def _counts(value: Value, depth: int) -> Iterator[int]:
    """Yield how many values there are within a value, and within those."""
    if isinstance(value, dict | list) and depth <= DEEPEST:  # deeper ones are refused as such
        yield len(value)
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _counts(inner, depth + 1)


@dataclass
class _Writer:
    """A file in the making, and how many values its cells refer to so far."""

    file: h5py.File
    referred: int = 0

    def value(self, group: h5py.Group, name: str, value: Value, place: Place) -> h5py.HLObject:
        """Store one value and all that is inside."""
        if len(place) > DEEPEST:
            raise ArgumentError(f"{''.join(place)} is {DEEPEST} levels deep or contains itself")
        match value:
            case dict():
                return self.struct(group, name, value, place)
            case StructArray():
                return self.structs(group, name, value, place)
            case list():
                return self.cell(group, name, value, place)
            case str():
                codes = np.frombuffer(value.encode("utf-16-le", "surrogatepass"), "<u2")
                return _store(group, name, codes if value else np.zeros((0, 0)), "char")
            case np.ndarray() if value.dtype.newbyteorder("=") in CLASSES and value.ndim <= 32:
                kind = CLASSES[value.dtype.newbyteorder("=")]
                code = "u1" if kind == "logical" else value.dtype.newbyteorder("<")
                return _store(group, name, value.astype(code, copy=False), kind)
        found = f"{value.dtype} array" if isinstance(value, np.ndarray) else type(value).__name__
        raise ArgumentError(
            f"{''.join(place)} is a {found}, expected an array of numbers or truth values with at "
            "most 32 axes, a str, a list or a dict: convert it"
        )

    def fields(self, group: h5py.Group, values: Mapping[str, Value], place: Place) -> None:
        """Store values by name."""
        for name, value in values.items():
            if not IDENTIFIER.fullmatch(name):
                raise ArgumentError(
                    f"{''.join(place)} {name!r} is no MATLAB name, expected a letter and at most "
                    "62 letters, digits and underscores: rename it"
                )
            self.value(group, name, value, (*place, f".{name}" if place else name))

    def struct(
        self, group: h5py.Group, name: str, values: dict[str, Value], place: Place
    ) -> h5py.HLObject:
        """Store a struct: a group that also lists its fields in order."""
        if not values:
            return _store(group, name, np.zeros((1, 1)), "struct")
        node = group.create_group(name)
        self.fields(node, values, place)
        return _name_fields(node, list(values))

    def structs(
        self, group: h5py.Group, name: str, values: StructArray, place: Place
    ) -> h5py.HLObject:
        """Store a struct array: a struct whose fields are references to each one's value."""
        rows = [value for value in values if isinstance(value, dict)]
        if len(rows) == 1:
            return self.struct(group, name, rows[0], place)
        if not rows:
            return _store(group, name, np.zeros((0, 0)), "struct")
        node = group.create_group(name)
        for field in rows[0]:
            node[field] = self.references([row[field] for row in rows], (*place, f".{field}"))
        return _name_fields(node, list(rows[0]))

    def cell(self, group: h5py.Group, name: str, values: list[Value], place: Place) -> h5py.Dataset:
        """Store a cell: references to its elements."""
        if not values:
            return _store(group, name, np.zeros((0, 0)), "cell")
        return _store(group, name, self.references(values, place), "cell")

    def references(self, values: list[Value], place: Place) -> NDArray[Any]:
        """Store values apart from where they belong, and return what leads to them."""
        if "#refs#" not in self.file:  # MATLAB puts this first
            _store(self.file.create_group("#refs#"), "a", np.zeros((0, 0)), "canonical empty")
        references = np.empty((len(values), 1), import_h5py().ref_dtype)
        for i, value in enumerate(values):
            self.referred += 1
            element = (*place, f"{{{i + 1}}}")
            node = self.value(self.file["#refs#"], str(self.referred), value, element)
            references[i] = node.ref
        return references


def _name_fields(node: h5py.Group, fields: list[str]) -> h5py.Group:
    """Mark a group as a struct, and list its fields in their order."""
    node.attrs["MATLAB_class"] = np.bytes_("struct")
    if len(fields) <= MOST_FIELDS:  # MATLAB does without it
        names = np.empty(len(fields), object)
        names[:] = [np.frombuffer(field.encode(), "S1") for field in fields]
        node.attrs.create("MATLAB_fields", names, dtype=import_h5py().vlen_dtype(np.dtype("S1")))
    return node


def _store(group: h5py.Group, name: str, array: NDArray[Any], kind: str) -> h5py.Dataset:
    """Store an array, or the shape of what has no elements, under its MATLAB class."""
    if array.ndim < 2:
        array = array.reshape(-1, 1)
    empty = not array.size or kind == "struct"
    dataset = group.create_dataset(name, data=np.array(array.shape[::-1], "u8") if empty else array)
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    if kind in INT_DECODE:
        dataset.attrs["MATLAB_int_decode"] = np.int32(INT_DECODE[kind])
    if empty:
        dataset.attrs["MATLAB_empty"] = np.uint8(1)
    return dataset

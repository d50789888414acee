"""MATLAB files of version 7.3, which are HDF5 files, as plain Python values."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from fdref.weights.bounded import VALUE
from fdref.weights.files import refusal
from fdref.weights.hdf5 import is_hdf5, opened
from fdref.weights.hdf5_damage import Damaged
from fdref.weights.matlab_classes import (
    COMPLEX,
    DEEPEST,
    DTYPES,
    MOST_AXES,
    Unsupported,
    characters,
    empty,
)

if TYPE_CHECKING:
    import h5py
    from numpy.typing import NDArray

    from fdref.weights.bounded import Budget
    from fdref.weights.hdf5 import Hdf5, Place
    from fdref.weights.matlab_classes import Value

READABLE = {*DTYPES, "char", "cell", "struct", "canonical empty", ""}  # "": not from MATLAB


def variables(data: bytes, name: str, budget: Budget) -> dict[str, Value]:
    """Read every variable of a v7.3 file from its bytes; `name` is the file's, for messages.

    Raises
    ------
    FileError, DependencyError
        As `fdref.weights.matlab.read`.
    """
    if not is_hdf5(data):
        raise refusal(name, "is not HDF5, or cut off, expected a MATLAB v7.3 or other HDF5 file")
    budget.file(len(data))
    try:
        with opened(data, budget) as file:
            reader = _Reader(file)
            names = reader.fields(file.file, (f"{name}: ",))
            return {
                key: reader.value(file.member(file.file, key), (f"{name}: {key}",)) for key in names
            }
    except Damaged as error:
        raise refusal(name, f"is damaged or cut off, fetch it again ({error})") from error


@dataclass
class _Reader:
    """Gives what stands in a file the meaning that MATLAB gives it."""

    file: Hdf5
    known: dict[int, tuple[Value, int, int]] = field(default_factory=dict)
    """by their addresses, objects read before, and how many bytes and values they took"""

    def value(self, node: h5py.HLObject, place: Place) -> Value:
        """Read one object and all that is inside; once, however many references lead to it."""
        budget, address = self.file.budget, self.file.address(node)
        if address in self.known:
            value, size, values = self.known[address]
            budget.take(place, size, values)  # whoever uses it copies it each time
            return value
        taken, visited = budget.taken, budget.visited
        value = self.read(node, place)
        values = budget.visited - visited
        self.known[address] = value, budget.taken - taken - VALUE * values, values
        return value

    def read(self, node: h5py.HLObject, place: Place) -> Value:
        """Read one object and all that is inside."""
        if len(place) > DEEPEST:
            raise refusal(place, f"is {DEEPEST} levels deep or contains itself: damaged")
        kind = self.file.text(node, "MATLAB_class")
        if self.file.has(node, "MATLAB_sparse"):
            return Unsupported("sparse")
        if self.file.has(node, "MATLAB_object_decode") or kind not in READABLE:
            return Unsupported(kind)
        stored = self.file.kind(node)
        if stored == "group" and kind in ("struct", ""):
            return self.struct(node, place)
        if stored == "references":
            return self.cell(node, place)
        if stored == "numbers":
            array = self.file.array(node, place)
            if self.file.flag(node, "MATLAB_empty"):
                return self.nothing(array, kind, place)
            copied = {"char": 8 * array.nbytes, "logical": array.size}.get(kind, 0)
            self.file.budget.take(place, size=copied)
            return _decode(array, kind)
        return Unsupported(COMPLEX if stored == "complex" else f"{kind} stored as {stored}")

    def struct(self, group: h5py.Group, place: Place) -> Value:
        """Read a struct, or a struct array: there every field is a list of references."""
        names = self.fields(group, (*place, "."))
        if not names or not all(self._is_column(self.file.member(group, name)) for name in names):
            return {
                name: self.value(self.file.member(group, name), (*place, f".{name}"))
                for name in names
            }
        columns = [self.cell(self.file.member(group, name), (*place, f".{name}")) for name in names]
        if len({len(column) for column in columns}) > 1:
            raise refusal(place, "is a struct array with fields of different lengths: damaged")
        return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]

    def nothing(self, lengths: NDArray[Any], kind: str, place: Place) -> Value:
        """Make an empty value from the lengths of its axes, all that MATLAB stores of it."""
        whole = lengths.dtype.kind in "iu" and lengths.size <= MOST_AXES and not (lengths < 0).any()
        if not whole or (0 not in lengths and kind != "struct"):
            raise Damaged(f"an empty {kind} of shape {lengths.ravel()[: MOST_AXES + 1]}")
        if 0 not in lengths:  # structs without fields
            count = math.prod(map(int, lengths.flat))
            self.file.budget.take(place, values=count)
            return [{} for _ in range(count)] if count > 1 else {}
        try:
            return empty(kind, tuple(lengths.ravel()[::-1]))
        except ValueError as error:
            raise Damaged(f"an empty {kind}: {error}") from error

    def fields(self, group: h5py.Group, place: Place) -> list[str]:
        """Name what is in a group, in MATLAB's order."""
        names = self.file.members(group, place)
        order = self.file.texts(group, "MATLAB_fields", len(names))
        return list(dict.fromkeys(order)) if set(order) == set(names) else names

    def cell(self, dataset: h5py.Dataset, place: Place) -> list[Value]:
        """Read what the references of a cell, or of one field of a struct array, lead to."""
        values = []
        for i, reference in enumerate(self.file.references(dataset, place), start=1):
            element = (*place, f"{{{i}}}")
            if not reference:
                raise refusal(element, "is a null reference, expected data: damaged")
            values.append(self.value(self.file.follow(reference), element))
        return values

    def _is_column(self, node: h5py.HLObject) -> bool:
        """Tell a field of a struct array from a cell."""
        return self.file.kind(node) == "references" and not self.file.has(node, "MATLAB_class")


def _decode(array: NDArray[Any], kind: str) -> Value:
    """Give stored numbers the meaning of their MATLAB class."""
    if kind in ("cell", "struct") or (kind == "char" and array.dtype.char not in "BHI"):
        return Unsupported(f"{kind} stored as {array.dtype}")
    if kind == "char":
        return characters(array)
    return array.astype(bool) if kind == "logical" else array

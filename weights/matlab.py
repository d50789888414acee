"""MATLAB v7.3 files, which are HDF5 files, as plain Python values; nothing here knows networks."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fdref.weights.bounded import VALUE, Budget, contents
from fdref.weights.files import refusal
from fdref.weights.hdf5 import Damaged, is_hdf5, opened

if TYPE_CHECKING:
    from os import PathLike

    import h5py
    from numpy.typing import NDArray

    from fdref.weights.hdf5 import Hdf5, Place

Value: TypeAlias = "NDArray[Any] | str | list[Value] | dict[str, Value] | Unsupported"

EXPECTED = "a MATLAB v7.3 file"
DEEPEST = 64  # cells and structs within each other; a circle is deeper than any number

DTYPES = {"double": "f8", "single": "f4", "logical": "?"}
DTYPES |= {f"int{8 * size}": f"i{size}" for size in (1, 2, 4, 8)}
DTYPES |= {f"uint{8 * size}": f"u{size}" for size in (1, 2, 4, 8)}
READABLE = {*DTYPES, "char", "cell", "struct", "canonical empty", ""}  # "": not from MATLAB


@dataclass(frozen=True)
class Unsupported:
    """Stands for a value that cannot be read, so that it only hurts who needs it."""

    kind: str


def read(path: str | PathLike[str], budget: Budget | None = None) -> dict[str, Value]:
    """Read every variable of a MATLAB v7.3 file.

    Parameters
    ----------
    path : str or path-like
        The file.
    budget : Budget, optional
        What reading may take; afterwards, what it took.

    Returns
    -------
    dict
        By name: a numeric or logical array with its axes as HDF5 stores them, the reverse of
        MATLAB's order; char as str, rows joined by newlines; a cell as the list of its elements in
        MATLAB's order; a struct as dict; a struct array as list of dicts; the rest `Unsupported`.

    Raises
    ------
    FileError
        If the file cannot be opened, is no regular file, no v7.3 file, is damaged, claims more than
        it stores, or would take too much memory.
    DependencyError
        If h5py cannot be imported.

    Examples
    --------
    >>> import tempfile
    >>> from fdref.weights.matlab_write import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/layer.mat", {"stride": np.array([[2, 1]]), "type": "conv"})
    ...     read(f"{folder}/layer.mat")
    {'stride': array([[2, 1]]), 'type': 'conv'}
    """
    budget = Budget() if budget is None else budget
    return read_bytes(contents(path, EXPECTED, budget.largest), f"{path}", budget)


def is_matlab(data: bytes) -> bool:
    """Tell whether bytes are a MATLAB file's, of any version, or HDF5's."""
    return data.startswith(b"MATLAB") or is_hdf5(data)


def read_bytes(data: bytes, name: str, budget: Budget) -> dict[str, Value]:
    """Read every variable of a MATLAB v7.3 file from its bytes; `name` is the file's.

    Raises
    ------
    FileError, DependencyError
        As `read`.
    """
    if data.startswith(b"MATLAB 5.0 MAT-file"):
        remedy = "or read it with scipy.io.loadmat and write it again"
        problem = f"is a MATLAB v5 file, expected {EXPECTED}: load it in MATLAB and `save -v7.3`"
        raise refusal(name, f"{problem}, {remedy}")
    if not is_hdf5(data):
        found = "not HDF5, or cut off" if data else "empty"
        raise refusal(name, f"is {found}, expected {EXPECTED}: `save -v7.3` in MATLAB")
    return variables(data, name, budget)


def variables(data: bytes, name: str, budget: Budget) -> dict[str, Value]:
    """Read every variable of a v7.3 file from its bytes; `name` is the file's, for messages.

    Raises
    ------
    FileError, DependencyError
        As `read`.
    """
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
            copied = {"char": 8 * array.nbytes, "logical": array.size}.get(kind, 0)
            self.file.budget.take(place, size=copied)
            return _decode(array, kind, empty=self.file.flag(node, "MATLAB_empty"))
        return Unsupported(f"{kind} stored as {stored}")

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


def _decode(array: NDArray[Any], kind: str, *, empty: bool) -> Value:
    """Give stored numbers the meaning of their MATLAB class."""
    if empty:
        return _empty(array, kind)
    if kind in ("cell", "struct") or (kind == "char" and array.dtype.char not in "BHI"):
        return Unsupported(f"{kind} stored as {array.dtype}")
    if kind == "char":
        return _characters(array)
    return array.astype(bool) if kind == "logical" else array


def _empty(lengths: NDArray[Any], kind: str) -> Value:
    """Make an empty value from the lengths of its axes, all that MATLAB stores of it."""
    whole = lengths.dtype.kind in "iu" and lengths.size <= 32 and not (lengths < 0).any()
    if not whole or (0 not in lengths and kind != "struct"):
        raise Damaged(f"an empty {kind} of shape {lengths.ravel()[:33]}")
    if kind == "char":
        return ""
    if kind == "cell" or (kind == "struct" and 0 in lengths):
        return []
    if kind == "struct":
        return {}
    try:
        return np.zeros(lengths.ravel()[::-1], DTYPES.get(kind, "f8"))
    except ValueError as error:  # axes so long that not even nothing fits between them
        raise Damaged(f"an empty {kind}: {error}") from error


def _characters(codes: NDArray[Any]) -> str:
    """Join the rows of a char matrix, columns in HDF5, by newlines."""
    if not codes.size:
        return ""
    rows = codes.reshape(-1, codes.shape[-1] if codes.ndim > 1 else 1).T
    lines = np.pad(rows, ((0, 0), (0, 1)), constant_values=ord("\n"))
    encoding = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[codes.itemsize]
    return lines.astype(f"<u{codes.itemsize}").tobytes().decode(encoding, "replace")[:-1]

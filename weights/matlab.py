"""MATLAB v7.3 files, which are HDF5 files, as plain Python values; nothing here knows networks.

A file from a stranger may claim anything: every claim is held against what the file really stores
before memory is taken for it, and nothing is followed that leads out of the file.
"""

from __future__ import annotations

import io
import math
import mmap
import re
import secrets
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fdref.errors import ArgumentError, FileError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from os import PathLike

    import h5py
    from numpy.typing import NDArray

Value: TypeAlias = "NDArray[Any] | str | list[Value] | dict[str, Value] | Unsupported"
Place: TypeAlias = tuple[str, ...]  # of a value, for messages: ("net", ".layers", "{3}")

LARGEST = 4 * 2**30  # bytes that all variables of a file may take
MOST_OBJECTS = 100_000  # that a file may have us visit: a minute's work
DEEPEST = 64  # cells and structs within each other; a circle is deeper than any number
MOST_FIELDS = 4000  # HDF5 has 64 KiB for the list of their names
SLACK = 2**20  # bytes that may be claimed and not stored: fill values, the rest of a last chunk
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3  # HDF5's numbers
FILTERS = {SHUFFLE: "shuffle", DEFLATE: "gzip", FLETCHER32: "fletcher32"}
DEFLATE_RATIO = 1032  # zlib cannot do better
HEAP = b"GCOL\1\0\0\0"

DTYPES = {"double": "f8", "single": "f4", "logical": "?"}
DTYPES |= {f"int{8 * size}": f"i{size}" for size in (1, 2, 4, 8)}
DTYPES |= {f"uint{8 * size}": f"u{size}" for size in (1, 2, 4, 8)}
CLASSES = {np.dtype(code): kind for kind, code in DTYPES.items()}
READABLE = {*DTYPES, "char", "cell", "struct", "canonical empty", ""}  # "": not from MATLAB
INT_DECODE = {"logical": 1, "char": 2}  # MATLAB stores these as integers
IDENTIFIER = re.compile("[A-Za-z][A-Za-z0-9_]{0,62}")

# The date is fixed, so that the same values give the same bytes.
TEXT = b"MATLAB 7.3 MAT-file, Platform: GLNXA64, Created on: Thu Jan  1 00:00:00 1970"
HEADER = (TEXT + b" HDF5 schema 1.00 .").ljust(116) + bytes(8) + b"\0\2IM"


@dataclass(frozen=True)
class Unsupported:
    """Stands for a value that cannot be read, so that it only hurts who needs it."""

    kind: str


def read(path: str | PathLike[str]) -> dict[str, Value]:
    """Read every variable of a MATLAB v7.3 file.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    dict
        By name: a numeric or logical array with its axes as HDF5 stores them, the reverse of
        MATLAB's order; char as str, rows joined by newlines; a cell as the list of its elements in
        MATLAB's order; a struct as dict; a struct array as list of dicts; the rest `Unsupported`.

    Raises
    ------
    FileError
        If the file cannot be opened, is no v7.3 file, is damaged, or claims more than it stores.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/layer.mat", {"stride": np.array([[2, 1]]), "type": "conv"})
    ...     read(f"{folder}/layer.mat")
    {'stride': array([[2, 1]]), 'type': 'conv'}
    """
    size = _check_signature(Path(path))
    try:
        _check_heaps(Path(path))
        with _h5py().File(path, "r") as file:
            reader = _Reader(file, size)
            nodes = reader.fields(file, (f"{path}: ",))
            return {name: reader.value(node, (f"{path}: {name}",)) for name, node in nodes.items()}
    except FileError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise _refusal(f"{path}", f"is damaged or cut off, fetch it again ({reason})") from error


def write(path: str | PathLike[str], variables: Mapping[str, Value]) -> None:
    """Write a MATLAB v7.3 file; the same variables give the same bytes.

    Parameters
    ----------
    path : str or path-like
        The file; one that exists is replaced, once everything is written.
    variables : mapping
        By name: arrays with the axes as `read` returns them, 1-d ones becoming 1 x N; str; a list
        becomes a 1 x N cell, a dict a struct.

    Raises
    ------
    ArgumentError
        If MATLAB has no such value, or no such name.
    FileError
        If the file cannot be written; nothing is left behind.
    """
    buffer = io.BytesIO()
    # Every MATLAB reads the oldest format; its header goes into a block of its own before HDF5's.
    with _h5py().File(buffer, "w", libver="earliest", userblock_size=512) as file:
        _Writer(file).fields(file, variables, ())
    buffer.seek(0)
    buffer.write(HEADER)
    replace_file(path, buffer.getvalue())


def replace_file(path: str | PathLike[str], data: bytes) -> None:
    """Write a file beside the one of this name, then put it in its place: wholly or not at all.

    Raises
    ------
    FileError
        If it cannot be written; nothing is left behind.
    """
    try:
        target = Path(path).resolve()  # a symbolic link stays one
        beside = target.parent / f".{secrets.token_hex(8)}.tmp"
        if target.exists() and not target.is_file():
            raise _refusal(f"{path}", "is a folder or a device, expected the name of a file")
        try:
            beside.write_bytes(data)
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        problem = f"cannot be written, choose another place: {reason}"
        raise _refusal(f"{path}", problem) from error


def _h5py() -> Any:
    import h5py  # noqa: PLC0415 - so that `import fdref` stays light

    return h5py


def _refusal(subject: Iterable[str], problem: str) -> FileError:
    """Make the error; what it quotes of a file may hold line breaks and control codes."""
    message = f"{''.join(subject)} {problem}"
    return FileError("".join(char if char.isprintable() else "?" for char in message))


def _check_signature(path: Path) -> int:
    """Return the size of a file that begins as it should."""
    expected = "expected a MATLAB v7.3 file"
    try:
        if path.exists() and not path.is_file():  # opening a pipe would wait for its other end
            raise _refusal(f"{path}", f"is a folder or a device, {expected}")
        with path.open("rb") as file:
            start = file.read(len(HEADER))
            size = file.seek(0, io.SEEK_END)
        is_hdf5 = _h5py().is_hdf5(path)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise _refusal(f"{path}", f"cannot be read, {expected}: {reason}") from error
    if start.startswith(b"MATLAB 5.0 MAT-file"):
        remedy = "or read it with scipy.io.loadmat and write it again"
        problem = f"is a MATLAB v5 file, {expected}: load it in MATLAB and `save -v7.3`, {remedy}"
        raise _refusal(f"{path}", problem)
    if not is_hdf5:
        found = "not HDF5, or cut off" if start else "empty"
        raise _refusal(f"{path}", f"is {found}, {expected}: `save -v7.3` in MATLAB")
    return size


def _check_heaps(path: Path) -> None:
    """Walk the heaps, where attributes lie, as HDF5 does, which for ever repeats an empty entry."""
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        left = len(data)  # heaps do not overlap
        start = data.find(HEAP)
        while start >= 0:
            (size,) = struct.unpack_from("<Q", data, start + 8)
            left -= size
            position, end = start + 16, start + size
            while position + 16 <= end <= len(data) and left >= 0:
                index, size = struct.unpack_from("<H6xQ", data, position)
                entry = 16 + (size + 7) // 8 * 8 if index else size
                if not 0 < entry <= end - position:
                    raise ValueError(f"an entry of {entry} bytes in a heap")
                position += entry
            start = data.find(HEAP, start + 1)


@dataclass
class _Reader:
    """What one file may still take, wherever its references lead."""

    file: h5py.File
    size: int
    bytes_left: int = LARGEST
    objects_left: int = MOST_OBJECTS

    def value(self, node: h5py.HLObject, place: Place) -> Value:
        """Read one object and all that is inside."""
        if len(place) > DEEPEST:
            raise _refusal(place, f"is {DEEPEST} levels deep or contains itself: damaged")
        kind = _text(_attribute(node, "MATLAB_class"))
        if "MATLAB_sparse" in node.attrs:
            kind = "sparse"
        if "MATLAB_object_decode" in node.attrs or kind not in READABLE:
            return Unsupported(kind)
        if isinstance(node, _h5py().Group) and kind in ("struct", ""):
            return self.struct(node, place)
        if _holds_references(node):
            return self.cell(node, place)
        if isinstance(node, _h5py().Dataset) and node.dtype.kind in "biuf":
            empty = bool(_attribute(node, "MATLAB_empty"))
            return _decode(self.load(node, place), kind, empty=empty)
        return Unsupported(f"{kind} stored as {getattr(node, 'dtype', 'group')}")

    def struct(self, group: h5py.Group, place: Place) -> Value:
        """Read a struct, or a struct array: there every field is a list of references."""
        nodes = self.fields(group, (*place, "."))
        if not nodes or not all(map(_is_column, nodes.values())):
            return {name: self.value(node, (*place, f".{name}")) for name, node in nodes.items()}
        columns = [self.cell(node, (*place, f".{name}")) for name, node in nodes.items()]
        if len({len(column) for column in columns}) > 1:
            raise _refusal(place, "is a struct array with fields of different lengths: damaged")
        return [dict(zip(nodes, row, strict=True)) for row in zip(*columns, strict=True)]

    def fields(self, group: h5py.Group, place: Place) -> dict[str, h5py.HLObject]:
        """Open what the links of a group lead to, in MATLAB's order."""
        names = [name for name in group if not name.startswith("#")]  # '#refs#' is no variable
        self.grant(place, objects=len(names))
        for name in names:
            link = group.get(name, getlink=True)
            if "/" in name or not isinstance(link, _h5py().HardLink):
                raise _refusal((*place, name), "is a link to elsewhere, expected data: not safe")
        order = [_text(name) for name in _attribute(group, "MATLAB_fields", len(names))]
        return {name: group[name] for name in (order if set(order) == set(names) else names)}

    def cell(self, dataset: h5py.Dataset, place: Place) -> list[Value]:
        """Read what the references of a cell, or of one field of a struct array, lead to."""
        self.grant(place, objects=math.prod(dataset.shape or (1,)))
        values = []
        for i, reference in enumerate(self.load(dataset, place).flat, start=1):
            element = (*place, f"{{{i}}}")
            if not reference:
                raise _refusal(element, "is a null reference, expected data: damaged")
            values.append(self.value(self.file[reference], element))
        return values

    def load(self, dataset: h5py.Dataset, place: Place) -> NDArray[Any]:
        """Read a dataset, once its claims are found to be true."""
        if dataset.shape is None:  # HDF5's own way to say empty
            return np.zeros((0, 0), dataset.dtype)
        self.check(dataset, place)
        array = np.asarray(dataset[()])
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def check(self, dataset: h5py.Dataset, place: Place) -> None:
        """Refuse data in other files, data that only a plugin unpacks, and false claims."""
        if dataset.is_virtual or dataset.external:
            raise _refusal(place, "lies in another file, expected data: not safe")
        properties = dataset.id.get_create_plist()
        filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
        if filters != [code for code in FILTERS if code in filters]:
            problem = f"is packed by HDF5 filters {filters}, expected at most {FILTERS}"
            raise _refusal(place, f"{problem}, in this order: write it again with gzip")
        size = math.prod(dataset.shape) * dataset.dtype.itemsize
        chunk = math.prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        most = stored * (DEFLATE_RATIO if DEFLATE in filters else 1) + SLACK
        if max(size, chunk) > most or stored > self.size:
            problem = f"claims {max(size, chunk)} bytes in {stored} of the file's {self.size}"
            raise _refusal(place, f"{problem}, which cannot be: damaged or not safe")
        self.grant(place, size=size)
        if filters:
            _check_chunks(dataset, filters, chunk, place)

    def grant(self, place: Place, *, size: int = 0, objects: int = 0) -> None:
        """Count what is about to be taken."""
        self.bytes_left -= size
        self.objects_left -= objects
        if min(self.bytes_left, self.objects_left) < 0:
            problem = f"is too much, expected at most {LARGEST} bytes and {MOST_OBJECTS} values"
            raise _refusal(place, f"{problem} in a file: save the network alone")


def _check_chunks(dataset: h5py.Dataset, filters: list[int], chunk: int, place: Place) -> None:
    """Refuse chunks that do not unpack to what they should: HDF5 overruns its memory with them."""
    stored: list[Any] = []
    dataset.id.chunk_iter(stored.append)
    for info in stored:
        skipped, packed = dataset.id.read_direct_chunk(info.chunk_offset)
        active = [code for i, code in enumerate(filters) if not skipped >> i & 1]
        size = len(packed) - 4 * (FLETCHER32 in active)
        if DEFLATE in active:
            size = len(zlib.decompressobj().decompress(packed, chunk + 1))
        if size != chunk:
            raise _refusal(place, f"has a chunk that is not of {chunk} bytes: damaged or not safe")


def _attribute(node: h5py.HLObject, name: str, count: int = 1) -> Any:
    """Return an attribute of so many numbers or texts, or nothing: MATLAB has no others."""
    if name not in node.attrs:
        return ""
    attribute, h5t = node.attrs.get_id(name), _h5py().h5t
    kind = attribute.get_type()
    # HDF5 crashes on a list of characters whose type is damaged, so that it is not as HDF5 makes it.
    is_list = kind.get_class() == h5t.VLEN and kind.get_super().get_class() == h5t.STRING
    sound = is_list and kind.encode() == h5t.vlen_create(kind.get_super()).encode()
    if not sound and kind.get_class() not in (h5t.INTEGER, h5t.FLOAT, h5t.ENUM, h5t.STRING):
        return ""
    return node.attrs[name] if math.prod(attribute.shape) == count else ""


def _text(value: Any) -> str:
    """Decode what writers store as text, as bytes, or as an array of characters."""
    return value if isinstance(value, str) else np.asarray(value, "S").tobytes().decode()


def _holds_references(node: h5py.HLObject) -> bool:
    h5py = _h5py()
    return isinstance(node, h5py.Dataset) and h5py.check_ref_dtype(node.dtype) is h5py.Reference


def _is_column(node: h5py.HLObject) -> bool:
    """Tell a field of a struct array from a cell."""
    return _holds_references(node) and "MATLAB_class" not in node.attrs


def _decode(array: NDArray[Any], kind: str, *, empty: bool) -> Value:
    """Give stored numbers the meaning of their MATLAB class."""
    if empty:
        return _empty(tuple(int(n) for n in array.flat)[::-1], kind)
    if kind in ("cell", "struct") or (kind == "char" and array.dtype.char not in "BHI"):
        return Unsupported(f"{kind} stored as {array.dtype}")
    if kind == "char":
        return _characters(array)
    return array.astype(bool) if kind == "logical" else array


def _empty(shape: tuple[int, ...], kind: str) -> Value:
    """Make an empty value; its shape is all that MATLAB stores of it."""
    if kind == "char":
        return ""
    if kind == "struct" and 0 not in shape:
        return {}
    if kind in ("cell", "struct"):
        return []
    if 0 not in shape:
        raise ValueError(f"an empty array of shape {shape}")
    return np.zeros(shape, DTYPES.get(kind, "f8"))


def _characters(codes: NDArray[Any]) -> str:
    """Join the rows of a char matrix, columns in HDF5, by newlines."""
    if not codes.size:
        return ""
    rows = codes.reshape(-1, codes.shape[-1] if codes.ndim > 1 else 1).T
    lines = np.pad(rows, ((0, 0), (0, 1)), constant_values=ord("\n"))
    encoding = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[codes.itemsize]
    return lines.astype(f"<u{codes.itemsize}").tobytes().decode(encoding, "replace")[:-1]


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
    ) -> h5py.Group:
        """Store a struct: a group with the order of its fields."""
        if len(values) > MOST_FIELDS:
            problem = f"has {len(values)} fields, expected at most {MOST_FIELDS}: split it"
            raise ArgumentError(f"{''.join(place)} {problem}")
        struct = group.create_group(name)
        self.fields(struct, values, place)
        names = np.empty(len(values), object)
        names[:] = [np.frombuffer(field.encode(), "S1") for field in values]
        struct.attrs["MATLAB_class"] = np.bytes_("struct")
        struct.attrs.create("MATLAB_fields", names, dtype=_h5py().vlen_dtype(np.dtype("S1")))
        return struct

    def cell(self, group: h5py.Group, name: str, values: list[Value], place: Place) -> h5py.Dataset:
        """Store a cell: references to its elements."""
        if not values:
            return _store(group, name, np.zeros((0, 0)), "cell")
        if "#refs#" not in self.file:  # MATLAB puts this first
            _store(self.file.create_group("#refs#"), "a", np.zeros((0, 0)), "canonical empty")
        references = np.empty((len(values), 1), _h5py().ref_dtype)
        for i, value in enumerate(values):
            self.referred += 1
            element = (*place, f"{{{i + 1}}}")
            node = self.value(self.file["#refs#"], str(self.referred), value, element)
            references[i] = node.ref
        return _store(group, name, references, "cell")


def _store(group: h5py.Group, name: str, array: NDArray[Any], kind: str) -> h5py.Dataset:
    """Store an array, or the shape of an empty one, under its MATLAB class."""
    if array.ndim < 2:
        array = array.reshape(-1, 1)
    data = array if array.size else np.array(array.shape[::-1], "u8")
    dataset = group.create_dataset(name, data=data)
    dataset.attrs["MATLAB_class"] = np.bytes_(kind)
    if kind in INT_DECODE:
        dataset.attrs["MATLAB_int_decode"] = np.int32(INT_DECODE[kind])
    if not array.size:
        dataset.attrs["MATLAB_empty"] = np.uint8(1)
    return dataset

"""MATLAB v7.3 files, which are HDF5 files, as plain Python values; nothing here knows networks.

A file from a stranger may claim anything: every claim is held against what the file really stores
before memory is taken for it, and nothing is followed that leads out of the file. HDF5 itself
hangs or crashes on some kinds of damage; those that were found are looked for first.
"""

from __future__ import annotations

import io
import math
import re
import stat
import struct
import zlib
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fdref.errors import FileError
from fdref.weights.files import refusal

if TYPE_CHECKING:
    from os import PathLike

    import h5py
    from numpy.typing import NDArray

Value: TypeAlias = "NDArray[Any] | str | list[Value] | dict[str, Value] | Unsupported"
Place: TypeAlias = tuple[str, ...]  # of a value, for messages: ("net", ".layers", "{3}")

LARGEST = 4 * 2**30  # bytes that all variables of a file may take
MOST_OBJECTS = 100_000  # that a file may have us visit: a minute's work
DEEPEST = 64  # cells and structs within each other; a circle is deeper than any number
SLACK = 2**20  # bytes that may be claimed and not stored: fill values, the rest of a last chunk
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3  # HDF5's numbers
FILTERS = {SHUFFLE: "shuffle", DEFLATE: "gzip", FLETCHER32: "fletcher32"}
DEFLATE_RATIO = 1032  # zlib cannot do better
SIGNATURE = b"\x89HDF\r\n\x1a\n"
HEAP = re.compile(rb"GCOL\x01\x00\x00\x00(?=(.{8}))", re.DOTALL)
ATTRIBUTE = re.compile(rb"MATLAB_(?:class|empty|fields)\0")
VARIABLE_LENGTH = 9  # HDF5's number of the type

DTYPES = {"double": "f8", "single": "f4", "logical": "?"}
DTYPES |= {f"int{8 * size}": f"i{size}" for size in (1, 2, 4, 8)}
DTYPES |= {f"uint{8 * size}": f"u{size}" for size in (1, 2, 4, 8)}
READABLE = {*DTYPES, "char", "cell", "struct", "canonical empty", ""}  # "": not from MATLAB


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
    >>> from fdref.weights.matlab_write import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/layer.mat", {"stride": np.array([[2, 1]]), "type": "conv"})
    ...     read(f"{folder}/layer.mat")
    {'stride': array([[2, 1]]), 'type': 'conv'}
    """
    data = _contents(Path(path))
    try:
        heap = _largest_heap(data)
        _check_lists(data, heap)
        with io.BytesIO(data) as buffer, import_h5py().File(buffer, "r") as file:
            reader = _Reader(file, len(data), heap)
            nodes = reader.fields(file, (f"{path}: ",))
            return {name: reader.value(node, (f"{path}: {name}",)) for name, node in nodes.items()}
    except FileError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {error}"
        raise refusal(f"{path}", f"is damaged or cut off, fetch it again ({reason})") from error


def import_h5py() -> Any:
    """Import h5py no earlier than it is used, so that `import fdref` stays light."""
    import h5py  # noqa: PLC0415 - see above

    return h5py


def _contents(path: Path) -> bytes:
    """Read a file that begins as it should."""
    expected = "expected a MATLAB v7.3 file"
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for its other end
            raise refusal(f"{path}", f"is a folder or a device, {expected}")
        if status.st_size > LARGEST:
            problem = f"has {status.st_size} bytes, expected at most {LARGEST}"
            raise refusal(f"{path}", f"{problem}: save the network alone")
        data = path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise refusal(f"{path}", f"cannot be read, {expected}: {reason}") from error
    if data.startswith(b"MATLAB 5.0 MAT-file"):
        remedy = "or read it with scipy.io.loadmat and write it again"
        problem = f"is a MATLAB v5 file, {expected}: load it in MATLAB and `save -v7.3`, {remedy}"
        raise refusal(f"{path}", problem)
    if not any(data.startswith(SIGNATURE, start) for start in (0, 512, 1024, 2048)):
        found = "not HDF5, or cut off" if data else "empty"
        raise refusal(f"{path}", f"is {found}, {expected}: `save -v7.3` in MATLAB")
    return data


def _largest_heap(data: bytes) -> int:
    """Walk the heaps, where lists in attributes lie, and refuse those that HDF5 never leaves."""
    found = [(heap.start(), *struct.unpack("<Q", heap[1])) for heap in HEAP.finditer(data)]
    heaps = [(start, size) for start, size in found if 4096 <= size <= len(data) - start]
    if sum(size for _, size in heaps) > len(data):
        raise ValueError("heaps overlap")
    for start, size in heaps:
        position, end = start + 16, start + size
        while position + 16 <= end:
            index, length = struct.unpack_from("<H6xQ", data, position)
            entry = 16 + (length + 7) // 8 * 8 if index else length
            if not 0 < entry <= end - position:
                raise ValueError(f"an entry of {entry} bytes in a heap")
            position += entry
    return max((size for _, size in heaps), default=0)


def _check_lists(data: bytes, longest: int) -> None:
    """Refuse lists in attributes that no heap can hold: HDF5 takes the memory before it looks."""
    left = len(data)  # they do not overlap
    for start in (name.start() for name in ATTRIBUTE.finditer(data)):
        head = data[start - 9 : start]  # of three versions: one byte longer in the last
        for version, found, sizes, unit in (
            (1, head[1], head[3:9], 8),
            (2, head[1], head[3:9], 1),
            (3, head[0], head[2:8], 1),
        ):
            padded = (-(-size // unit) * unit for size in struct.unpack("<3H", sizes))
            kind, shape, values = (start + end for end in accumulate(padded))
            if found != version or data[kind] & 15 != VARIABLE_LENGTH:
                continue
            (count,) = struct.unpack_from("<Q", data, shape + (8 if data[shape] == 1 else 4))
            lists = np.frombuffer(data, "<u4, V12", count if data[shape + 1] else 1, values)
            left -= lists.nbytes
            if left < 0 or (lists["f0"] > longest).any():
                raise ValueError("a list longer than its heap")


@dataclass
class _Reader:
    """A file, and what reading it has taken so far, wherever its references led."""

    file: h5py.File
    size: int  # of the file
    heap: int  # the largest, in bytes as well
    taken: int = 0  # bytes
    visited: int = 0  # values
    known: dict[int, tuple[Value, int, int]] = field(default_factory=dict)
    """by their addresses, objects read before, and how many bytes and values they took"""

    def value(self, node: h5py.HLObject, place: Place) -> Value:
        """Read one object and all that is inside; once, however many references lead to it."""
        address = import_h5py().h5o.get_info(node.id).addr
        if address in self.known:
            value, size, objects = self.known[address]
            self.grant(place, size=size, objects=objects)  # whoever uses it copies it each time
            return value
        taken, visited = self.taken, self.visited
        value = self.read(node, place)
        self.known[address] = value, self.taken - taken, self.visited - visited
        return value

    def read(self, node: h5py.HLObject, place: Place) -> Value:
        """Read one object and all that is inside."""
        if len(place) > DEEPEST:
            raise refusal(place, f"is {DEEPEST} levels deep or contains itself: damaged")
        kind = _text(_attribute(node, "MATLAB_class"))
        if "MATLAB_sparse" in node.attrs:
            kind = "sparse"
        if "MATLAB_object_decode" in node.attrs or kind not in READABLE:
            return Unsupported(kind)
        if isinstance(node, import_h5py().Group) and kind in ("struct", ""):
            return self.struct(node, place)
        if _holds_references(node):
            return self.cell(node, place)
        if isinstance(node, import_h5py().Dataset) and node.dtype.kind in "biuf":
            array = self.load(node, place)
            self.grant(place, size=8 * array.nbytes * (kind == "char"))  # the copies made of it
            return _decode(array, kind, empty=bool(_attribute(node, "MATLAB_empty")))
        return Unsupported(f"{kind} stored as {getattr(node, 'dtype', 'group')}")

    def struct(self, group: h5py.Group, place: Place) -> Value:
        """Read a struct, or a struct array: there every field is a list of references."""
        nodes = self.fields(group, (*place, "."))
        if not nodes or not all(map(_is_column, nodes.values())):
            return {name: self.value(node, (*place, f".{name}")) for name, node in nodes.items()}
        columns = [self.cell(node, (*place, f".{name}")) for name, node in nodes.items()]
        if len({len(column) for column in columns}) > 1:
            raise refusal(place, "is a struct array with fields of different lengths: damaged")
        return [dict(zip(nodes, row, strict=True)) for row in zip(*columns, strict=True)]

    def fields(self, group: h5py.Group, place: Place) -> dict[str, h5py.HLObject]:
        """Open what the links of a group lead to, in MATLAB's order."""
        names = [name for name in group if not name.startswith("#")]  # '#refs#' is no variable
        self.grant(place, objects=len(names))
        for name in names:
            link = group.get(name, getlink=True)
            if "/" in name or not isinstance(link, import_h5py().HardLink):
                raise refusal((*place, name), "is a link to elsewhere, expected data: not safe")
        order: list[str] = []
        if len(names) * self.heap <= LARGEST:  # the worst that the list of fields can take
            order = [_text(name) for name in _attribute(group, "MATLAB_fields", len(names))]
        return {name: group[name] for name in (order if set(order) == set(names) else names)}

    def cell(self, dataset: h5py.Dataset, place: Place) -> list[Value]:
        """Read what the references of a cell, or of one field of a struct array, lead to."""
        self.grant(place, objects=math.prod(dataset.shape or (1,)))
        values = []
        for i, reference in enumerate(self.load(dataset, place).flat, start=1):
            element = (*place, f"{{{i}}}")
            if not reference:
                raise refusal(element, "is a null reference, expected data: damaged")
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
            raise refusal(place, "lies in another file, expected data: not safe")
        properties = dataset.id.get_create_plist()
        filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
        if filters != [code for code in FILTERS if code in filters]:
            problem = f"is packed by HDF5 filters {filters}, expected at most {FILTERS}"
            raise refusal(place, f"{problem}, in this order: write it again with gzip")
        size = math.prod(dataset.shape) * dataset.dtype.itemsize
        chunk = math.prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
        stored = dataset.id.get_storage_size()
        most = stored * (DEFLATE_RATIO if DEFLATE in filters else 1) + SLACK
        if max(size, chunk) > most or stored > self.size:
            problem = f"claims {max(size, chunk)} bytes in {stored} of the file's {self.size}"
            raise refusal(place, f"{problem}, which cannot be: damaged or not safe")
        self.grant(place, size=size)
        if filters:
            _check_chunks(dataset, filters, chunk, place)

    def grant(self, place: Place, *, size: int = 0, objects: int = 0) -> None:
        """Count what is about to be taken."""
        self.taken += size
        self.visited += objects
        if self.taken > LARGEST or self.visited > MOST_OBJECTS:
            problem = f"is too much, expected at most {LARGEST} bytes and {MOST_OBJECTS} values"
            raise refusal(place, f"{problem} in a file: save the network alone")


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
            raise refusal(place, f"has a chunk that is not of {chunk} bytes: damaged or not safe")


def _attribute(node: h5py.HLObject, name: str, count: int = 1) -> Any:
    """Return an attribute of so many numbers or texts, or nothing: MATLAB has no others."""
    if name not in node.attrs:
        return ""
    attribute = node.attrs.get_id(name)
    if math.prod(attribute.shape) != count or not _is_plain(attribute.get_type()):
        return ""
    return node.attrs[name]


def _is_plain(kind: h5py.h5t.TypeID) -> bool:
    """Tell numbers, text and lists of characters; HDF5 crashes on a damaged type of list."""
    h5t = import_h5py().h5t
    if kind.get_class() != h5t.VLEN:
        numbers_or_text = (h5t.INTEGER, h5t.FLOAT, h5t.ENUM, h5t.STRING)
        return kind.get_class() in numbers_or_text and not kind.committed()
    character = kind.get_super()
    is_character = character.get_class() == h5t.STRING and character.get_size() == 1
    return is_character and bool(kind.encode() == h5t.vlen_create(character).encode())


def _text(value: Any) -> str:
    """Decode what writers store as text, as bytes, or as an array of characters."""
    return value if isinstance(value, str) else np.asarray(value, "S").tobytes().decode()


def _holds_references(node: h5py.HLObject) -> bool:
    h5py = import_h5py()
    return isinstance(node, h5py.Dataset) and h5py.check_ref_dtype(node.dtype) is h5py.Reference


def _is_column(node: h5py.HLObject) -> bool:
    """Tell a field of a struct array from a cell."""
    return _holds_references(node) and "MATLAB_class" not in node.attrs


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
    if lengths.size > 32 or (0 not in lengths and kind != "struct"):
        raise ValueError(f"an empty {kind} of shape {lengths.ravel()[:33]}")
    if kind == "char":
        return ""
    if kind == "cell" or (kind == "struct" and 0 in lengths):
        return []
    return {} if kind == "struct" else np.zeros(lengths.ravel()[::-1], DTYPES.get(kind, "f8"))


def _characters(codes: NDArray[Any]) -> str:
    """Join the rows of a char matrix, columns in HDF5, by newlines."""
    if not codes.size:
        return ""
    rows = codes.reshape(-1, codes.shape[-1] if codes.ndim > 1 else 1).T
    lines = np.pad(rows, ((0, 0), (0, 1)), constant_values=ord("\n"))
    encoding = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}[codes.itemsize]
    return lines.astype(f"<u{codes.itemsize}").tobytes().decode(encoding, "replace")[:-1]

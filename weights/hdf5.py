"""HDF5 files that anybody may have written, read without trusting what they claim.

Every claim is held against what the file really stores before memory is taken for it, and nothing
is followed that leads out of the file. HDF5 itself hangs or crashes on some kinds of damage; those
that were found are looked for first.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from fdref.errors import FileError
from fdref.imports import imported
from fdref.weights.files import refusal
from fdref.weights.hdf5_damage import Damaged, check, start_of
from fdref.weights.inflating import RATIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import h5py
    from numpy.typing import NDArray

    from fdref.weights.bounded import Budget

Place: TypeAlias = tuple[str, ...]  # of a value, for messages: ("net", ".layers", "{3}")

SLACK = 2**20  # bytes that may be claimed and not stored: fill values, the rest of a last chunk
CHUNK = 512  # bytes that it takes to know where a chunk is
DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3  # HDF5's numbers
FILTERS = {SHUFFLE: "shuffle", DEFLATE: "gzip", FLETCHER32: "fletcher32"}
FAULTS = (OSError, RuntimeError, LookupError, ValueError, TypeError, ArithmeticError, struct.error)
"""What h5py raises over damaged files; of other errors they are not the reason."""


@contextmanager
def of_the_file() -> Iterator[None]:
    """Tell what h5py raises over a damaged file from faults that are not the file's."""
    try:
        yield
    except RecursionError:
        raise
    except FAULTS as error:
        raise Damaged(f"{type(error).__name__}: {error}") from error


def import_h5py() -> Any:
    """Import h5py.

    Raises
    ------
    DependencyError
        If it is not installed, was built for another NumPy, or is broken.
    """
    return imported("h5py", "HDF5 is read and written with h5py")


def is_hdf5(data: bytes) -> bool:
    """Tell whether HDF5's signature stands where it may: at 0, or after a user's block."""
    return start_of(data) >= 0


@contextmanager
def opened(data: bytes, budget: Budget) -> Iterator[Hdf5]:
    """Open the bytes of a file, once what HDF5 does not survive is ruled out.

    Raises
    ------
    Damaged
        If HDF5 cannot open it, or should not.
    """
    h5py = import_h5py()
    with of_the_file():
        heap = check(data)
    with io.BytesIO(data) as buffer:
        with of_the_file():
            file = h5py.File(buffer, "r")
        try:
            yield Hdf5(h5py, file, budget, len(data), heap)
        finally:
            with of_the_file():
                file.close()


@dataclass(frozen=True)
class Hdf5:
    """An open file; every method raises `Damaged`, or FileError for what is refused."""

    h5py: Any
    file: h5py.File
    budget: Budget
    size: int
    """of the file, in bytes"""
    heap: int
    """the largest, in bytes"""

    def members(self, group: h5py.Group, place: Place) -> list[str]:
        """Name what is in a group, less what HDF5 or MATLAB keep for themselves."""
        names = self._names(group, place)
        for name in names:
            with of_the_file():
                link = group.get(name, getlink=True)
            if "/" in name or not isinstance(link, self.h5py.HardLink):
                raise refusal((*place, name), "is a link to elsewhere, expected data: not safe")
        return names

    def member(self, group: h5py.Group, name: str) -> h5py.HLObject:
        """Open one of `members`; HDF5 takes kilobytes for each that is open."""
        with of_the_file():
            return group[name]

    def find(self, group: h5py.Group, path: str, place: Place) -> h5py.HLObject | None:
        """Go down a path, one link after the other; None where there is no more."""
        node = group
        for name in path.split("/"):
            self.budget.take(place, values=1)
            with of_the_file():
                inside = name not in ("", ".") and isinstance(node, self.h5py.Group)
                link = node.get(name, getlink=True) if inside else None
            if link is None:
                return None
            if not isinstance(link, self.h5py.HardLink):
                raise refusal((*place, path), "is a link to elsewhere, expected data: not safe")
            node = self.member(node, name)
        return node

    def _names(self, group: h5py.Group, place: Place) -> list[str]:
        """List names one by one: many links may share one that is very long."""
        names: list[str] = []
        refusals: list[FileError] = []  # none goes through HDF5's own code

        def note(name: bytes) -> bool | None:
            if name.startswith(b"#"):  # '#refs#' is no variable
                return None
            try:
                self.budget.take(place, size=5 * len(name), values=1)
            except FileError as refusal:
                refusals.append(refusal)
                return True
            names.append(name.decode(errors="surrogateescape"))
            return None

        # To sort them, HDF5 takes a table as long as the file says, and reads what it did not fill.
        with of_the_file():
            group.id.links.iterate(note, order=self.h5py.h5.ITER_NATIVE)
        if refusals:
            raise refusals[0]
        return sorted(names)

    def address(self, node: h5py.HLObject) -> int:
        """Tell objects apart: where one lies in the file."""
        with of_the_file():  # `h5o.get_info` looks into the index of chunks, too, and may crash
            low, high = self.h5py.h5g.get_objinfo(node.id, b".").objno
            return int(low) | int(high) << 32

    def kind(self, node: h5py.HLObject) -> str:
        """Tell a group, references, (complex) numbers and the rest, which is named by its type."""
        if isinstance(node, self.h5py.Group):
            return "group"
        if not isinstance(node, self.h5py.Dataset):
            return "type"
        with of_the_file():
            dtype = node.dtype
            if self.h5py.check_ref_dtype(dtype) is self.h5py.Reference:
                return "references"
        if dtype.names == ("real", "imag"):  # as MATLAB writes them
            return "complex"
        return "numbers" if dtype.kind in "biuf" else f"{dtype}"

    def follow(self, reference: h5py.Reference) -> h5py.HLObject:
        """Open what a reference leads to."""
        with of_the_file():
            return self.file[reference]

    def has(self, node: h5py.HLObject, name: str) -> bool:
        """Tell whether there is an attribute."""
        with of_the_file():
            return name in node.attrs

    def text(self, node: h5py.HLObject, name: str) -> str:
        """Return an attribute of one text, or none."""
        found = self._attribute(node, name, 1)
        with of_the_file():
            return "" if found is None else _text(found)

    def texts(self, node: h5py.HLObject, name: str, count: int) -> list[str]:
        """Return an attribute of so many texts, or none."""
        if count * self.heap > self.budget.most:  # the worst that they can take
            return []
        found = self._attribute(node, name, count)
        with of_the_file():
            return [] if found is None else [_text(one) for one in np.atleast_1d(found)]

    def row(self, node: h5py.HLObject, name: str, place: Place) -> list[str] | None:
        """Return an attribute of any number of texts in a row, each of which costs a visit."""
        with of_the_file():
            if name not in node.attrs:
                return None
            (count,) = node.attrs.get_id(name).shape
        self.budget.take(place, values=count)
        self.budget.spare(place, count * self.heap)  # the worst that they can take
        found = self._attribute(node, name, count) if count else []
        if found is None:
            raise Damaged(f"the attribute {name} is no list of texts")
        with of_the_file():
            return [_text(one) for one in np.atleast_1d(found)]

    def flag(self, node: h5py.HLObject, name: str) -> bool:
        """Return an attribute of one number, or whether there is a text."""
        found = self._attribute(node, name, 1)
        with of_the_file():
            return found is not None and bool(found)

    def _attribute(self, node: h5py.HLObject, name: str, count: int) -> Any:
        """Return an attribute of so many numbers or texts in a row; nobody has use for others."""
        with of_the_file():
            if name not in node.attrs:
                return None
            attribute = node.attrs.get_id(name)
            rows = ((), (1,)) if count == 1 else ((count,),)  # other axes are not looked at before
            if attribute.shape not in rows or not self._is_plain(attribute.get_type()):
                return None
            return node.attrs[name]

    def _is_plain(self, kind: h5py.h5t.TypeID) -> bool:
        """Tell numbers, text and lists of characters; HDF5 crashes on a damaged type of list."""
        h5t = self.h5py.h5t
        if kind.committed():
            return False
        if kind.get_class() != h5t.VLEN:
            return kind.get_class() in (h5t.INTEGER, h5t.FLOAT, h5t.ENUM, h5t.STRING)
        character = kind.get_super()
        is_character = character.get_class() == h5t.STRING and character.get_size() == 1
        return is_character and bool(kind.encode() == h5t.vlen_create(character).encode())

    def array(self, dataset: h5py.Dataset, place: Place) -> NDArray[Any]:
        """Read a dataset, once its claims are found to be true."""
        with of_the_file():
            shape, dtype = dataset.shape, dataset.dtype
        if shape is None:  # HDF5's own way to say empty
            return np.zeros((0, 0), dtype)
        self._check(dataset, place)
        with of_the_file():
            try:
                array = np.asarray(dataset[()])
            except OSError as error:
                if "memory" in str(error):  # HDF5's own way to say that there is no more
                    raise MemoryError(f"{''.join(place)}: {error}") from error
                raise
        return array.astype(array.dtype.newbyteorder("="), copy=False)

    def references(self, dataset: h5py.Dataset, place: Place) -> Iterable[h5py.Reference]:
        """Read a dataset of references, each of which costs a visit."""
        with of_the_file():
            count = 0 if dataset.shape is None else math.prod(dataset.shape)
        self.budget.take(place, values=count)
        return self.array(dataset, place).flat

    def _check(self, dataset: h5py.Dataset, place: Place) -> None:
        """Refuse data in other files, data that only a plugin unpacks, and false claims."""
        with of_the_file():
            elsewhere = dataset.is_virtual or dataset.external
            properties = dataset.id.get_create_plist()
            filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
            size = math.prod(dataset.shape) * dataset.dtype.itemsize
            chunk = math.prod(dataset.chunks or (0,)) * dataset.dtype.itemsize
        if elsewhere:
            raise refusal(place, "lies in another file, expected data: not safe")
        if filters != [code for code in FILTERS if code in filters]:
            problem = f"is packed by HDF5 filters {filters}, expected at most {FILTERS}"
            raise refusal(place, f"{problem}, in this order: write it again with gzip")
        chunks = self._chunks(dataset, place)
        with of_the_file():
            stored = sum(one.size for one in chunks) if chunk else dataset.id.get_storage_size()
        most = stored * (RATIO if DEFLATE in filters else 1) + SLACK
        if max(size, chunk) > most or stored > self.size:
            problem = f"claims {max(size, chunk)} bytes in {stored} of the file's {self.size}"
            raise refusal(place, f"{problem}, which cannot be: damaged or not safe")
        self.budget.take(place, size=size)
        swapped = 0 if dataset.dtype.isnative else size  # into the machine's order, in a copy
        self.budget.spare(place, swapped + 2 * chunk)  # HDF5's, and the one that we look at
        if filters:
            self._check_chunks(dataset, filters, chunk, chunks, place)

    def _chunks(self, dataset: h5py.Dataset, place: Place) -> list[Any]:
        """List where chunks are, as far as the budget goes: an index may have no end."""
        chunks: list[Any] = []
        refusals: list[FileError] = []  # none goes through HDF5's own code

        def note(info: Any) -> bool | None:
            try:
                self.budget.take(place, size=CHUNK)
            except FileError as refusal:
                refusals.append(refusal)
                return True
            chunks.append(info)
            return None

        with of_the_file():
            if dataset.chunks:
                dataset.id.chunk_iter(note)
        if refusals:
            raise refusals[0]
        return chunks

    def _check_chunks(
        self,
        dataset: h5py.Dataset,
        filters: list[int],
        chunk: int,
        chunks: list[Any],
        place: Place,
    ) -> None:
        """Refuse chunks that do not unpack to what they should: HDF5 overruns memory with them."""
        for info in chunks:
            with of_the_file():
                skipped, packed = dataset.id.read_direct_chunk(info.chunk_offset)
            active = [code for i, code in enumerate(filters) if not skipped >> i & 1]
            size = len(packed) - 4 * (FLETCHER32 in active)
            if DEFLATE in active:
                try:
                    size = len(zlib.decompressobj().decompress(packed, chunk + 1))
                except zlib.error as error:
                    raise Damaged(f"zlib: {error}") from error
            if size != chunk:
                raise refusal(place, f"has a chunk that is not of {chunk} bytes: damaged")


def _text(value: Any) -> str:
    """Decode what writers store as text, as bytes, or as an array of characters."""
    return value if isinstance(value, str) else np.asarray(value, "S").tobytes().decode()

"""NumPy's archives, read without trusting what they claim; nothing is unpickled."""

from __future__ import annotations

import io
import math
import struct
import warnings
import zipfile
import zlib
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.weights.files import refusal

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import IO

    from numpy.typing import NDArray

    from fdref.weights.bounded import Budget

KINDS = "biufcU"
"""Numbers and text: what lies in the file as it is."""
HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
FAULTS = (
    *(OSError, EOFError, LookupError, ValueError, RuntimeError, OverflowError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)
"""What `zipfile` raises over damaged files."""


def arrays_of(
    data: bytes, name: str, budget: Budget, wanted: Iterable[str] | None = None
) -> dict[str, NDArray[Any]]:
    """Read the arrays of an archive from its bytes, by name.

    Parameters
    ----------
    data : bytes
        The file.
    name : str
        The file's, for messages.
    budget : Budget
        What reading may take.
    wanted : iterable of str, optional
        The arrays to read; by default all.

    Raises
    ------
    FileError
        If it is no .npz archive, is damaged, claims more than it stores, holds something else than
        arrays of numbers or text, or would take too much memory.

    Examples
    --------
    >>> from fdref.weights.bounded import Budget
    >>> file = io.BytesIO()
    >>> np.savez(file, images=np.eye(2))
    >>> arrays_of(file.getvalue(), "digits.npz", Budget())
    {'images': array([[1., 0.],
           [0., 1.]])}
    """
    budget.file(len(data))
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except RecursionError:
        raise
    except FAULTS as error:
        raise refusal(name, f"is no .npz archive, or damaged: {error}") from error
    chosen = None if wanted is None else set(wanted)
    found = {}
    with archive:
        for member in archive.infolist():
            key = member.filename.removesuffix(".npy")
            if chosen is None or key in chosen:
                found[key] = _array(archive, member, f"{name}: `{key}`", budget)
    return found


def _array(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str, budget: Budget
) -> NDArray[Any]:
    """Read one array into memory that is granted before."""
    check_member(member, place)
    budget.take((place,), member.file_size, values=1)
    try:
        with archive.open(member) as file:
            return _read(file, member.file_size, place)
    except RecursionError:
        raise
    except FAULTS as error:
        raise refusal(place, f"is damaged: {error}") from error


def check_member(member: zipfile.ZipInfo, place: str) -> None:
    """Refuse what NumPy does not write."""
    usual = member.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
    if member.flag_bits & 1 or not usual:
        raise refusal(place, "is encrypted or packed in an unusual way; write it with numpy.savez")


def array_of(data: bytes, name: str, budget: Budget) -> NDArray[Any]:
    """Read a single array from the bytes of a .npy file, as `arrays_of` reads several.

    Examples
    --------
    >>> from fdref.weights.bounded import Budget
    >>> file = io.BytesIO()
    >>> np.save(file, np.eye(2))
    >>> array_of(file.getvalue(), "digits.npy", Budget())
    array([[1., 0.],
           [0., 1.]])
    """
    budget.file(len(data))
    budget.take((name,), len(data), values=1)
    return _read(io.BytesIO(data), len(data), name)


def _read(file: IO[bytes], length: int, place: str) -> NDArray[Any]:
    """Read an array of a file of so many bytes."""
    shape, column_major, dtype = header(file, place)
    size = math.prod(shape) * dtype.itemsize
    left = bytearray(min(size, length) + 1)  # one more: is this all?
    count = fill(file, left)
    if count != size:
        raise refusal(place, f"claims {size} bytes, and does not have as many: damaged")
    try:
        flat = memoryview(left)[:size]
        return np.ndarray(shape, dtype, flat, order="F" if column_major else "C")
    except ValueError as error:  # of axes that are no axes
        raise refusal(place, f"is damaged: {error}") from error


def header(file: IO[bytes], place: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the shape of an array, whether the first axis changes fastest, and the type.

    Raises
    ------
    FileError
        If there is no such header, or it is of something else than numbers or text.
    """
    try:
        version = np.lib.format.read_magic(file)
        if version not in HEADERS:
            raise refusal(place, f"is of version {version}, expected numbers of 1.0 or 2.0")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a header that Python 2 wrote, or of odd text in it
            shape, column_major, dtype = HEADERS[version](file)
    except (ValueError, TypeError, SyntaxError, TokenError, RecursionError, MemoryError) as error:
        # The header is short: what nests too deep in it is made to do so.
        raise refusal(place, f"has no header of an array: {error}") from error
    if dtype.kind not in KINDS:
        raise refusal(place, f"is of dtype {dtype}; expected an array of real numbers")
    if any(isinstance(length, bool) or length < 0 for length in shape):
        raise refusal(place, f"has the shape {shape}: damaged")
    return shape, column_major, dtype


def fill(file: IO[bytes], buffer: bytearray) -> int:
    """Read until the buffer is full or the file ends; return how many bytes there were."""
    view, count = memoryview(buffer), 0
    while count < len(buffer) and (part := file.read(min(2**20, len(buffer) - count))):
        view[count : count + len(part)] = part
        count += len(part)
    return count

"""MATLAB files of version 5 to 7.3, told apart by what is in them; nothing here knows networks."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from fdref.weights import matlab5, matlab73
from fdref.weights.bounded import Budget, contents
from fdref.weights.files import refusal
from fdref.weights.hdf5 import is_hdf5
from fdref.weights.hdf5_damage import SIGNATURE
from fdref.weights.matlab_classes import Unsupported, Value

if TYPE_CHECKING:
    from os import PathLike

__all__ = ["EXPECTED", "Unsupported", "Value", "read", "variables"]

EXPECTED = "a MATLAB file of version 5 to 7.3"
REMEDY = "`save -v7` or `-v7.3` in MATLAB"


def read(path: str | PathLike[str], budget: Budget | None = None) -> dict[str, Value]:
    """Read every variable of a MATLAB file of version 5, 6, 7 or 7.3.

    Parameters
    ----------
    path : str or path-like
        The file, whatever its name.
    budget : Budget, optional
        What reading may take; afterwards, what it took.

    Returns
    -------
    dict
        By name: a numeric or logical array with its axes as HDF5 stores them, the reverse of
        MATLAB's order; char as str, rows joined by newlines; a cell as the list of its elements in
        MATLAB's order; a struct as dict; a struct array as list of dicts; the rest `Unsupported`.
        Arrays may be views of a file's bytes, not to be written to.

    Raises
    ------
    FileError
        If the file cannot be opened, is no regular file, no such file, is damaged, claims more than
        it stores, or would take too much memory.
    DependencyError
        If it is of version 7.3 and h5py cannot be imported.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from fdref.weights.matlab_write import write
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write(f"{folder}/layer.mat", {"stride": np.array([[2, 1]]), "type": "conv"})
    ...     read(f"{folder}/layer.mat")
    {'stride': array([[2, 1]]), 'type': 'conv'}
    """
    budget = Budget() if budget is None else budget
    return variables(contents(path, EXPECTED, budget.largest), f"{path}", budget)


def variables(data: bytes, name: str, budget: Budget) -> dict[str, Value]:
    """Read every variable of a MATLAB file from its bytes; `name` is the file's, for messages.

    Raises
    ------
    FileError, DependencyError
        As `read`.
    """
    if matlab5.is_matlab5(data) and not data.startswith(SIGNATURE):
        return matlab5.variables(data, name, budget)
    if is_hdf5(data):
        return matlab73.variables(data, name, budget)
    first = first_of_version_4(data)
    if first:
        problem = f"is a MATLAB v4 file (its first variable is `{first}`), expected {EXPECTED}"
        raise refusal(name, f"{problem}: load it in MATLAB or Octave and `save -v7`")
    if not data:
        found = "empty"
    elif data.startswith(b"MATLAB "):
        found = "a MATLAB file that is cut off"
    else:
        found = "no MATLAB file, or cut off"
    raise refusal(name, f"is {found}, expected {EXPECTED}: {REMEDY}")


def first_of_version_4(data: bytes) -> str:
    """Name the first variable of a MATLAB v4 file; what is none has no name.

    Such files have no mark: they begin with four digits (order of bytes, 0, type, class), numbers
    of rows and columns, whether there is an imaginary part, and the length of a name.
    """
    for order, digit in (("<", 0), (">", 1)):
        if len(data) < 20:
            break
        code, rows, columns, imaginary, length = struct.unpack_from(f"{order}5i", data)
        thousands, hundreds, tens, ones = (code // 10**i % 10 for i in (3, 2, 1, 0))
        plausible = (thousands, hundreds) == (digit, 0) and tens <= 5 and ones <= 2
        if not (plausible and 0 <= code < 10**4 and min(rows, columns) >= 0):
            continue
        text = data[20 : 20 + length]
        if (
            imaginary in (0, 1)
            and 1 < length < 256
            and text.endswith(b"\0")
            and text[:-1].isascii()
        ):
            return text[:-1].decode()
    return ""

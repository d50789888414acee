"""MATLAB's classes as plain Python values, the same whatever file they stand in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Value: TypeAlias = "NDArray[Any] | str | list[Value] | dict[str, Value] | Unsupported"

DEEPEST = 64  # cells and structs within each other; a circle is deeper than any number
MOST_AXES = 32

DTYPES = {"double": "f8", "single": "f4", "logical": "?"}
DTYPES |= {f"int{8 * size}": f"i{size}" for size in (1, 2, 4, 8)}
DTYPES |= {f"uint{8 * size}": f"u{size}" for size in (1, 2, 4, 8)}

COMPLEX = "complex numbers"  # no class of MATLAB's, which has them in all that hold numbers
ENCODINGS = {1: "latin-1", 2: "utf-16-le", 4: "utf-32-le"}


@dataclass(frozen=True)
class Unsupported:
    """Stands for a value that cannot be read, so that it only hurts who needs it."""

    kind: str


def empty(kind: str, shape: tuple[int, ...]) -> Value:
    """Make the value of a MATLAB class that has no elements.

    Parameters
    ----------
    kind : str
        The class.
    shape : ints
        The lengths of its axes, reversed; one is 0.

    Raises
    ------
    ValueError
        If the axes are so long that not even nothing fits between them.

    Examples
    --------
    >>> empty("char", (0, 0)), empty("cell", (0, 0)), empty("single", (3, 0)).shape
    ('', [], (3, 0))
    """
    if kind == "char":
        return ""
    if kind in ("cell", "struct"):
        return []
    return np.zeros(shape, DTYPES.get(kind, "f8"))


def characters(codes: NDArray[Any], encoding: str = "") -> str:
    r"""Join the rows of a char matrix by newlines.

    Parameters
    ----------
    codes : (..., columns, rows) array of unsigned numbers of 1, 2 or 4 bytes
        Axes are reversed, as everywhere.
    encoding : str, optional
        The one that goes with the size of a code by default.

    Examples
    --------
    >>> characters(np.array([[114, 99], [101, 111], [108, 110], [117, 118]], "u1"))
    'relu\nconv'
    """
    if not codes.size:
        return ""
    encoding = encoding or ENCODINGS[codes.itemsize]
    rows = codes.reshape(-1, codes.shape[-1] if codes.ndim > 1 else 1).T
    if len(rows) > 1:
        rows = np.pad(rows, ((0, 0), (0, 1)), constant_values=ord("\n"))
    text = rows.astype(f"<u{codes.itemsize}").tobytes().decode(encoding, "replace")
    return text[:-1] if len(rows) > 1 else text

"""MATLAB files of version 5 to 7 as SciPy reads them, in the form in which we give them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatlabFunction, MatlabObject, MatlabOpaque
from scipy.sparse import issparse

from fdref.weights.matlab import Unsupported

if TYPE_CHECKING:
    from pathlib import Path


def read_by_scipy(path: Path) -> dict[str, Any]:
    """Read all variables; MATLAB's own have no name, or `__function_workspace__`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # duplicates, and what it cannot name
        found = loadmat(path, mat_dtype=True, chars_as_strings=False)
        stored = loadmat(path, mat_dtype=False, chars_as_strings=False)
    return {
        name: converted(value, stored[name])
        for name, value in found.items()
        if not name.startswith("__")
    }


def converted(value: Any, stored: Any) -> Any:
    """Give a value of SciPy's our form; as it is stored, it has its imaginary part."""
    if value is None:  # a struct without fields
        return {}
    kind = unsupported(value, stored)
    if kind:
        return Unsupported(kind)
    array, raw = np.asarray(value), np.asarray(stored)
    pairs = zip(array.ravel("F"), raw.ravel("F"), strict=True)
    if array.dtype.names is not None:
        structs = [
            {name: converted(element[name], other[name]) for name in array.dtype.names}
            for element, other in pairs
        ]
        return structs[0] if len(structs) == 1 else structs
    if array.dtype.kind == "O":
        if array.shape == (1, 1) and array.item() is None:
            return {}
        return [converted(element, other) for element, other in pairs]
    if array.dtype.kind == "U":
        rows = array.reshape(len(array), -1, order="F") if array.size else []
        return "\n".join("".join(row) for row in rows)
    return array.T.astype(array.dtype.newbyteorder("="))


def unsupported(value: Any, stored: Any) -> str:
    """Name what we do not read."""
    if isinstance(value, MatlabFunction):
        return "function_handle"
    if isinstance(value, MatlabOpaque):
        return str(value["s2"].item().decode())
    if isinstance(value, MatlabObject):
        return str(value.classname)
    if issparse(value):
        return "sparse"
    return "complex numbers" if np.asarray(stored).dtype.kind == "c" else ""

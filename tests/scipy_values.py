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
    return {name: converted(value) for name, value in found.items() if not name.startswith("__")}


def converted(value: Any) -> Any:
    """Give a value of SciPy's our form."""
    if value is None:  # a struct without fields
        return {}
    if isinstance(value, MatlabFunction):
        return Unsupported("function_handle")
    if isinstance(value, MatlabOpaque):
        return Unsupported(value["s2"].item().decode())
    if isinstance(value, MatlabObject):
        return Unsupported(value.classname)
    if issparse(value):
        return Unsupported("sparse")
    array = np.asarray(value)
    if array.dtype.names is not None:
        structs = [
            {name: converted(element[name]) for name in array.dtype.names}
            for element in array.ravel(order="F")
        ]
        return structs[0] if len(structs) == 1 else structs
    if array.dtype.kind == "O":
        elements = array.ravel(order="F")
        if array.shape == (1, 1) and array.item() is None:
            return {}
        return [converted(element) for element in elements]
    if array.dtype.kind == "U":
        rows = array.reshape(len(array), -1, order="F") if array.size else []
        return "\n".join("".join(row) for row in rows)
    if array.dtype.kind == "c":
        return Unsupported("complex numbers")
    if array.shape == (1, 0) and array.dtype == np.float64:  # what stands in the file is nothing
        array = array.reshape(0, 0)
    return array.T.astype(array.dtype.newbyteorder("="))

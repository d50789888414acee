"""Named arrays as the bytes of a file, .npz or HDF5: the same arrays, the same bytes."""

from __future__ import annotations

import io
import zipfile
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fdref.weights.files import refusal
from fdref.weights.hdf5 import import_h5py, opened
from fdref.weights.hdf5_damage import Damaged
from fdref.weights.npz import arrays_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from fdref.conformance.case import Arrays
    from fdref.weights.bounded import Budget

Format = Literal["npz", "h5"]
FORMATS: tuple[Format, ...] = ("npz", "h5")
EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time that a zip file can hold."""
COMPACT = 2**15
"""Bytes up to which an HDF5 array lies in its own header; HDF5 allows twice as many."""


def packed(arrays: Arrays, parameters: str, form: Format) -> bytes:
    """Return a file of arrays; `parameters`, where there are some, are JSON."""
    return _npz(arrays, parameters) if form == "npz" else _hdf5(arrays, parameters)


def unpacked(
    data: bytes, form: Format, what: str, budget: Budget
) -> tuple[dict[str, NDArray[Any]], str]:
    """Read the arrays of a file, and the parameters, within what a whole kit may take.

    Raises
    ------
    FileError
        If it is none of ours.
    """
    found, parameters = (_from_npz if form == "npz" else _from_hdf5)(data, what, budget)
    for name, array in found.items():
        if array.dtype.kind not in "fiub":
            raise refusal(what, f"holds {name!r} of type {array.dtype}, expected numbers")
    return found, parameters


def _npz(arrays: Arrays, parameters: str) -> bytes:
    """Write what np.savez writes, but without the time, and not compressed: zlibs differ."""
    members: Mapping[str, NDArray[Any]] = {**arrays}
    if parameters:
        members = {**arrays, "parameters": np.array(parameters)}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            entry = zipfile.ZipInfo(f"{name}.npy", EPOCH)
            entry.create_system = 3  # whatever the system is
            npy = io.BytesIO()
            np.lib.format.write_array(npy, _plain(members[name]), version=(1, 0))
            archive.writestr(entry, npy.getvalue())
    return buffer.getvalue()


def _from_npz(data: bytes, what: str, budget: Budget) -> tuple[dict[str, NDArray[Any]], str]:
    found = arrays_of(data, what, budget)
    return found, str(found.pop("parameters", ""))


def _hdf5(arrays: Arrays, parameters: str) -> bytes:
    buffer = io.BytesIO()
    h5py = import_h5py()
    # As HDF5 1.8 of 2008 has it, all in headers: files of the format before are 3 KB longer.
    with h5py.File(buffer, "w", libver=("v108", "v108"), meta_block_size=1) as file:
        for name in sorted(arrays):
            layout = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
            layout.set_obj_track_times(False)
            data = _plain(arrays[name])
            if data.nbytes < COMPACT:
                layout.set_layout(h5py.h5d.COMPACT)
            scalar = h5py.h5s.create(h5py.h5s.SCALAR)
            space = h5py.h5s.create_simple(data.shape) if data.ndim else scalar
            kind = h5py.h5t.py_create(data.dtype, logical=True)
            own = h5py.h5d.create(file.id, name.encode(), kind, space, layout)
            own.write(h5py.h5s.ALL, h5py.h5s.ALL, data)
        if parameters:  # of a fixed length: others lie in a heap of 4 KB
            text = parameters.encode()
            file.attrs.create("parameters", text, dtype=h5py.string_dtype("utf-8", len(text)))
    return buffer.getvalue()


def _from_hdf5(data: bytes, what: str, budget: Budget) -> tuple[dict[str, NDArray[Any]], str]:
    budget.file(len(data))
    try:
        with opened(data, budget) as file:
            found = {}
            for name in file.members(file.file, (f"{what}: ",)):
                node = file.member(file.file, name)
                if file.kind(node) != "numbers":
                    raise refusal(f"{what}: {name}", "is no array of numbers")
                found[name] = file.array(node, (f"{what}: {name}",))
            return found, file.text(file.file, "parameters")
    except Damaged as error:
        raise refusal(what, f"cannot be read, write the kit again: {error}") from None


def _plain(array: NDArray[Any]) -> NDArray[Any]:
    """Return an array as it lies on every machine: little-endian, row by row."""
    return np.asarray(array, array.dtype.newbyteorder("<"), order="C")

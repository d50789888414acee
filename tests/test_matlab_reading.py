"""MATLAB v7.3 files that others wrote: what they hold, and what is not for us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import h5py
import hdf5storage
import mat73
import numpy as np
import pytest
from matlab_values import FILTERS, plain

from fdref.weights.matlab import Unsupported, read
from fdref.weights.matlab_write import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_what_hdf5storage_writes_is_read(tmp_path: Path) -> None:
    big = np.arange(30_000.0).reshape(100, 300)  # large enough to be compressed and shuffled
    written = {
        "net": {
            "filters": FILTERS.T,
            "big": big,
            "flag": np.array([[True, False]]),
            "count": 3,
            "name": "naïve €😀",
            "bytes": b"conv",
            "list": [1.5, "x", [], {"deep": np.zeros((0, 3), "f4")}],
            "nothing": None,
            "empty": "",
            "struct": {},
        },
        "structs": np.array([(1, 2.5), (3, 4.5)], [("p", "i4"), ("q", "f8")]),
    }
    hdf5storage.savemat(tmp_path / "a.mat", written, format="7.3")
    found: Any = read(tmp_path / "a.mat")
    net = found["net"]
    assert list(net) == list(written["net"])
    np.testing.assert_array_equal(net["filters"], FILTERS, strict=True)
    np.testing.assert_array_equal(net["big"], big.T, strict=True)
    np.testing.assert_array_equal(net["flag"], [[True], [False]])
    assert net["flag"].dtype == bool
    assert net["count"].tolist() == [[3]]
    assert (net["name"], net["bytes"], net["empty"]) == ("naïve €😀", "conv", "")
    assert (net["list"][0].tolist(), net["list"][1:3]) == ([[1.5]], ["x", []])
    assert plain(net["list"][3]["deep"]) == plain(np.zeros((3, 0), "f4"))
    assert (net["nothing"].size, net["struct"]) == (0, {})
    assert [(s["p"].item(), s["q"].item()) for s in found["structs"]] == [(1, 2.5), (3, 4.5)]


def test_what_is_written_by_hand_is_read(tmp_path: Path) -> None:
    def text(codes: np.ndarray) -> h5py.Dataset:
        dataset = file.create_dataset(None, data=codes)
        dataset.attrs["MATLAB_class"] = "char"
        return dataset

    packing = {"compression": "gzip", "shuffle": True, "fletcher32": True}
    rows = np.array([list(b"relu"), list(b"conv")], "u1").T
    with h5py.File(tmp_path / "a.mat", "w") as file:
        net = file.create_group("net")
        net.attrs["MATLAB_class"] = "struct"
        net["plain"] = np.arange(6).reshape(2, 3)
        net["big_endian"] = np.array([[1.5, np.nan]], ">f4")
        net["half"] = np.array([0.5], "f2")
        net["scalar"] = 7
        net["null"] = h5py.Empty("f4")
        net["flag"] = np.array([[True, False]])
        net.create_dataset("packed", data=FILTERS, chunks=(1, 2, 3, 4), **packing)
        net.create_dataset("checked", data=FILTERS, fletcher32=True)
        unpacked = net.create_dataset("unpacked", (6,), "i4", chunks=(6,), **packing)
        unpacked.id.write_direct_chunk((0,), np.arange(6, dtype="i4").tobytes(), filter_mask=7)
        net.create_dataset("unwritten_packed", (3, 2), "f8", **packing)
        net.create_dataset("unwritten", (3, 2), "f8", chunks=(2, 2), fillvalue=4.0)
        refs = file.create_group("#somewhere")
        refs["x"] = text(np.frombuffer("aé€😀".encode("utf-16-le"), "<u2"))
        refs["y"] = text(np.frombuffer("aé€😀".encode("utf-32-le"), "<u4")[:, None])
        refs["z"] = text(rows)
        pointers = [[refs[name].ref] for name in "xyz"]
        cell = net.create_dataset("cell", (3, 1), h5py.ref_dtype, compression="gzip")
        cell[:] = pointers
        cell.attrs["MATLAB_class"] = np.array([b"cell"])
        array = file.create_group("array")
        for name in ("p", "q"):
            array.create_dataset(name, (3, 1), h5py.ref_dtype)[:] = pointers
    found: Any = read(tmp_path / "a.mat")
    net = found["net"]
    assert net["cell"] == ["aé€😀", "aé€😀", "relu\nconv"]
    assert found["array"] == [{"p": text, "q": text} for text in net["cell"]]
    assert plain(net["plain"]) == plain(np.arange(6).reshape(2, 3))
    assert plain(net["big_endian"]) == plain(np.array([[1.5, np.nan]], "f4"))
    assert net["big_endian"].dtype.isnative
    assert net["half"].tolist() == [0.5]
    assert net["scalar"].tolist() == 7
    assert plain(net["null"]) == plain(np.zeros((0, 0), "f4"))
    assert plain(net["flag"]) == plain(np.array([[True, False]]))
    assert plain(net["packed"]) == plain(FILTERS)
    assert plain(net["checked"]) == plain(FILTERS)
    assert net["unpacked"].tolist() == list(range(6))
    assert net["unwritten"].tolist() == [[4.0, 4.0]] * 3
    assert net["unwritten_packed"].tolist() == [[0.0, 0.0]] * 3
    assert found.keys() == {"net", "array"}


@pytest.mark.parametrize("matlab_class", ["char", "cell", "struct", "double", "canonical empty"])
def test_matlabs_empty_values(tmp_path: Path, matlab_class: str) -> None:
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["x"] = np.array([0, 3], "u8")
        file["x"].attrs["MATLAB_class"] = np.bytes_(matlab_class)
        file["x"].attrs["MATLAB_empty"] = np.uint8(1)
    expected = {"char": "", "cell": [], "struct": []}.get(matlab_class, np.zeros((3, 0)))
    assert plain(read(tmp_path / "a.mat")["x"]) == plain(expected)


def test_a_matlab_simplenn(shared: Path, tmp_path: Path) -> None:
    path = shared / "models" / "dncnn-gray-simplenn-v73.mat"
    found: Any = read(path)
    layers = found["net"]["layers"]
    theirs = mat73.loadmat(path)["net"]["layers"]
    assert [layer["type"] for layer in layers] == ["conv", "relu"] * 16 + ["conv"]
    assert list(layers[0])[:3] == ["type", "weights", "stride"]  # MATLAB's order, not HDF5's
    for ours, other in zip(layers[::2], theirs[::2], strict=True):
        for array, squeezed in zip(ours["weights"], other["weights"], strict=True):
            np.testing.assert_array_equal(array.T.squeeze(), squeezed.squeeze(), strict=True)
    write(tmp_path / "copy.mat", found)
    assert plain(read(tmp_path / "copy.mat")) == plain(found)


def test_a_matlab_dagnn_has_struct_arrays(shared: Path) -> None:
    found: Any = read(shared / "models" / "dncnn-gray-dagnn-v73.mat")
    layers = found["net"]["layers"]
    assert (len(layers), layers[0]["name"], layers[0]["inputs"]) == (50, "conv1", ["input"])
    assert plain(found["net"]["meta"]) == plain(np.zeros((0, 0)))
    filters = next(p["value"] for p in found["net"]["params"] if p["name"] == "conv1_f")
    assert (filters.shape, filters.dtype) == ((64, 1, 3, 3), np.dtype("f4"))


def sparse(file: h5py.File) -> h5py.HLObject:
    group = file.create_group("odd")
    group.attrs["MATLAB_class"] = "double"
    group.attrs["MATLAB_sparse"] = np.uint64(3)
    group["jc"] = np.zeros(4, "u8")
    return group


def function_handle(file: h5py.File) -> h5py.HLObject:
    group = file.create_group("odd")
    group.attrs["MATLAB_class"] = "function_handle"
    group.attrs["MATLAB_object_decode"] = np.int32(1)
    return group


def string_object(file: h5py.File) -> h5py.HLObject:
    file["odd"] = np.zeros((1, 6), "u4")
    file["odd"].attrs["MATLAB_class"] = "string"
    file["odd"].attrs["MATLAB_object_decode"] = np.int32(3)
    return file["odd"]


def complex_numbers(file: h5py.File) -> h5py.HLObject:
    file["odd"] = np.zeros((2, 2), [("real", "f8"), ("imag", "f8")])
    file["odd"].attrs["MATLAB_class"] = "double"
    return file["odd"]


def unknown_class(file: h5py.File) -> h5py.HLObject:
    file["odd"] = np.zeros((2, 2))
    file["odd"].attrs["MATLAB_class"] = "tensor"
    return file["odd"]


def cell_of_numbers(file: h5py.File) -> h5py.HLObject:
    file["odd"] = np.zeros((2, 2))
    file["odd"].attrs["MATLAB_class"] = "cell"
    return file["odd"]


def char_of_floats(file: h5py.File) -> h5py.HLObject:
    file["odd"] = np.zeros((2, 2))
    file["odd"].attrs["MATLAB_class"] = "char"
    return file["odd"]


def strings(file: h5py.File) -> h5py.HLObject:
    file["odd"] = ["a", "b"]
    return file["odd"]


def opaque(file: h5py.File) -> h5py.HLObject:
    file["odd"] = np.zeros(3, "V5")
    return file["odd"]


def regions(file: h5py.File) -> h5py.HLObject:
    return file.create_dataset("odd", (2,), h5py.regionref_dtype)


def named_type(file: h5py.File) -> h5py.HLObject:
    file["odd"] = np.dtype("f8")
    return file["odd"]


@pytest.mark.parametrize(
    "odd",
    [
        sparse,
        function_handle,
        string_object,
        complex_numbers,
        unknown_class,
        cell_of_numbers,
        char_of_floats,
        strings,
        opaque,
        regions,
        named_type,
    ],
)
def test_what_cannot_be_read_only_hurts_who_needs_it(
    tmp_path: Path, odd: Callable[[h5py.File], h5py.HLObject]
) -> None:
    with h5py.File(tmp_path / "a.mat", "w") as file:
        node = odd(file)
        file.create_dataset("cell", (1, 1), h5py.ref_dtype)[:] = node.ref
        file["x"] = np.eye(2)
    found = read(tmp_path / "a.mat")
    assert isinstance(found["odd"], Unsupported)
    assert found["cell"] == [found["odd"]]
    assert plain(found["x"]) == plain(np.eye(2))

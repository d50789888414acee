"""MATLAB v7.3 files: others read ours, we read others', and what is damaged is refused."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import hdf5storage
import mat73
import numpy as np
import pymatreader
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fdref.errors import ArgumentError, FileError
from fdref.weights import matlab
from fdref.weights.files import replace_file
from fdref.weights.matlab import Unsupported, read
from fdref.weights.matlab_write import HEADER, write

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from fdref.weights.matlab import Value

DTYPES = ["f8", "f4", "?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]
FILTERS = np.arange(2 * 3 * 4 * 5, dtype="f4").reshape(2, 3, 4, 5)
BIASES = np.array([-0.0, np.inf])
NET: dict[str, Value] = {
    "layers": [
        {"type": "conv", "weights": [FILTERS, BIASES], "stride": np.array([[2.0], [1.0]])},
        {"type": "relu", "name": "naïve €", "opts": [], "nothing": {}},
    ],
    "trained": np.array([True, False]),
    "epoch": np.array(-3, "i2"),
}


@pytest.fixture
def net_file(tmp_path: Path) -> Path:
    """A small network, written by us."""
    path = tmp_path / "net.mat"
    write(path, {"net": NET})
    return path


def plain(value: Any) -> Any:
    """Give a value in a form that == compares to the bit, as it comes back from a file."""
    if isinstance(value, dict):
        return [(name, plain(inner)) for name, inner in value.items()]
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    if not isinstance(value, np.ndarray):
        return value
    array = value if value.ndim > 1 else value.reshape(-1, 1)
    native = array.astype(array.dtype.newbyteorder("="))
    return native.dtype.str, native.shape, native.tobytes()


# Writing


@st.composite
def arrays(draw: st.DrawFn) -> np.ndarray:
    """Any bits, so that NaNs have payloads and zeros signs; any order of bytes and of axes."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = tuple(draw(st.lists(st.integers(0, 3), max_size=4)))
    size = int(np.prod(shape)) * dtype.itemsize
    bits = np.frombuffer(draw(st.binary(min_size=size, max_size=size)), "u1")
    array = (bits % 2 if dtype.kind == "b" else bits).view(dtype).reshape(shape)
    array = array.view(dtype.newbyteorder(draw(st.sampled_from("<>"))))
    return array.T if draw(st.booleans()) else array


names = st.from_regex("[A-Za-z][A-Za-z0-9_]{0,62}", fullmatch=True)
values = st.recursive(
    arrays() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)


@given(variables=st.dictionaries(names, values, max_size=4))
def test_what_is_written_is_read_again_to_the_bit(variables: dict[str, Value]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(f"{folder}/a.mat", variables)
        found = read(f"{folder}/a.mat")
    assert found.keys() == variables.keys()
    for name, value in variables.items():
        assert plain(found[name]) == plain(value)


def test_mat73_reads_what_is_written(net_file: Path) -> None:
    net = mat73.loadmat(net_file)["net"]
    conv, relu = net["layers"]
    np.testing.assert_array_equal(conv["weights"][0], FILTERS.T, strict=True)
    np.testing.assert_array_equal(conv["weights"][1], BIASES, strict=True)
    assert (conv["type"], relu["type"], relu["name"]) == ("conv", "relu", "naïve €")
    assert (net["trained"].tolist(), net["epoch"], relu["opts"]) == ([True, False], -3, [])


def test_pymatreader_reads_what_is_written(net_file: Path) -> None:
    net = pymatreader.read_mat(net_file)["net"]
    conv, relu = net["layers"]
    np.testing.assert_array_equal(conv["weights"][0], FILTERS.T, strict=True)
    np.testing.assert_array_equal(conv["weights"][1], BIASES, strict=True)
    assert (conv["type"], relu["type"], relu["name"]) == ("conv", "relu", "naïve €")
    assert (net["trained"].tolist(), net["epoch"], relu["opts"].size) == ([1, 0], -3, 0)


def test_hdf5storage_reads_what_is_written(net_file: Path) -> None:
    net = hdf5storage.loadmat(net_file)["net"][0]
    conv, relu = (layer[0] for layer in net["layers"][0])
    np.testing.assert_array_equal(conv["weights"][0, 0], FILTERS.T, strict=True)
    np.testing.assert_array_equal(conv["weights"][0, 1], BIASES[None], strict=True)
    assert (conv["type"], relu["type"], relu["name"]) == ("conv", "relu", "naïve €")
    assert (net["trained"].tolist(), net["epoch"]) == ([[True, False]], -3)
    assert relu.dtype.names == ("type", "name", "opts", "nothing")
    assert (relu["opts"].shape, relu["nothing"].shape) == ((0, 0), (1, 1))


def test_the_file_is_laid_out_as_by_matlab(net_file: Path) -> None:
    data = net_file.read_bytes()
    text, version, rest = data[:116], data[116:128], data[128:512]
    product, platform, date = text.decode("ascii").rstrip().split(", ")
    assert (product, platform) == ("MATLAB 7.3 MAT-file", "Platform: GLNXA64")
    time.strptime(date, "Created on: %a %b %d %H:%M:%S %Y HDF5 schema 1.00 .")
    assert (version, rest) == (bytes(8) + b"\0\2IM", bytes(384))
    assert data[512:521] == b"\x89HDF\r\n\x1a\n\0"  # superblock of version 0
    assert struct.unpack_from("<Q", data, 512 + 24) == (512,)  # and its base address


def test_values_are_stored_as_by_matlab(tmp_path: Path) -> None:
    big: Value = np.ones(2, ">i4")
    empty: dict[str, Value] = {"e": np.zeros((2, 0, 3), "f4"), "s": "", "none": {}}
    write(tmp_path / "a.mat", {"net": NET, "big": big, **empty})
    with h5py.File(tmp_path / "a.mat") as file:
        net = file["net"]
        found = {name: dict(file[name].attrs) for name in empty}
        assert (file["big"].dtype.str, file["big"].attrs["MATLAB_class"]) == ("<i4", b"int32")
        cell = net["layers"]
        elements = [file[reference] for reference in cell[:, 0]]
        fields = [name.tobytes() for name in net.attrs["MATLAB_fields"]]
        assert fields == [b"layers", b"trained", b"epoch"]
        assert (cell.shape, cell.attrs["MATLAB_class"]) == ((2, 1), b"cell")
        assert [element.parent.name for element in elements] == ["/#refs#", "/#refs#"]
        assert elements[0]["type"][:, 0].tolist() == list(b"conv")
        assert dict(elements[0]["type"].attrs) == {"MATLAB_class": b"char", "MATLAB_int_decode": 2}
        assert net["trained"][:].tolist() == [[1], [0]]
        assert dict(net["trained"].attrs) == {"MATLAB_class": b"logical", "MATLAB_int_decode": 1}
        assert [file[name][:].tolist() for name in empty] == [
            [3, 0, 2],
            [0, 0],
            [1, 1],
        ]
        assert {file[name].dtype.str for name in empty} == {"<u8"}
    assert found == {
        "e": {"MATLAB_class": b"single", "MATLAB_empty": 1},
        "s": {"MATLAB_class": b"char", "MATLAB_int_decode": 2, "MATLAB_empty": 1},
        "none": {"MATLAB_class": b"struct", "MATLAB_empty": 1},
    }


def test_refs_appear_only_when_referred_to(tmp_path: Path) -> None:
    write(tmp_path / "a.mat", {"a": {"b": np.eye(2), "c": []}})
    with h5py.File(tmp_path / "a.mat") as file:
        assert list(file) == ["a"]


def test_the_same_values_give_the_same_bytes(tmp_path: Path, net_file: Path) -> None:
    write(tmp_path / "again.mat", {"net": NET})
    assert (tmp_path / "again.mat").read_bytes() == net_file.read_bytes()
    times = []
    with h5py.File(net_file) as file:
        file.visititems(lambda _, node: times.append(h5py.h5g.get_objinfo(node.id).mtime))
    assert len(times) > 10
    assert set(times) == {0}


def test_half_a_character_is_kept_and_read_as_unknown(tmp_path: Path) -> None:
    write(tmp_path / "a.mat", {"x": "a\ud83d"})
    with h5py.File(tmp_path / "a.mat") as file:
        assert file["x"][:, 0].tolist() == [0x61, 0xD83D]
    assert read(tmp_path / "a.mat") == {"x": "a\N{REPLACEMENT CHARACTER}"}


def test_a_struct_of_any_size_comes_back_with_all_its_fields(tmp_path: Path) -> None:
    many: dict[str, Value] = {f"f{i}": str(i) for i in range(4200)}
    write(tmp_path / "a.mat", {"s": many})
    assert read(tmp_path / "a.mat") == {"s": many}


circle: list[Value] = []
circle.append(circle)


@pytest.mark.parametrize(
    "value",
    [
        None,
        3.0,
        ("a", "b"),
        np.zeros(2, complex),
        np.zeros(2, "f2"),
        np.zeros(2, "O"),
        np.array(["text"]),
        np.zeros((1,) * 33),
        Unsupported("function_handle"),
        circle,
        {"9lives": "digit first"},
        {"a b": "space"},
        {"": "nothing"},
        {"é": "no ASCII"},
        {"a" * 64: "too long"},
        {"a\n": "line break"},
    ],
    ids=lambda value: repr(value)[:40],
)
def test_what_matlab_does_not_have_is_refused(tmp_path: Path, value: Any) -> None:
    with pytest.raises(ArgumentError, match=r"expected|levels") as refusal:
        write(tmp_path / "a.mat", {"x": [value]})
    assert "x{1}" in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_replaced_whole_and_a_link_to_it_stays(tmp_path: Path, net_file: Path) -> None:
    link = tmp_path / "link.mat"
    link.symlink_to(net_file)
    write(link, {"x": "new"})
    assert link.is_symlink()
    assert read(net_file) == {"x": "new"}
    assert sorted(tmp_path.iterdir()) == [link, net_file]


@pytest.fixture
def locked_file(net_file: Path) -> Iterator[Path]:
    """A file in a folder, both without permissions, and a user whom permissions bind."""
    net_file.chmod(0)
    net_file.parent.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield net_file
    os.seteuid(user)
    net_file.parent.chmod(0o700)


def test_permissions_are_named(locked_file: Path) -> None:
    with pytest.raises(FileError, match=r"net.mat cannot be read, .*: Permission denied"):
        read(locked_file)
    with pytest.raises(FileError, match=r"net.mat cannot be written, .*: Permission denied"):
        write(locked_file, {})


@pytest.mark.parametrize("name", ["", "missing/a.mat", "net.mat/a.mat", "pipe", "a\0b", "a" * 300])
def test_what_cannot_be_written_leaves_nothing_behind(net_file: Path, name: str) -> None:
    os.mkfifo(net_file.with_name("pipe"))
    before = sorted(net_file.parent.iterdir())
    with pytest.raises(FileError, match=r"folder|device|cannot be written") as refusal:
        write(f"{net_file.parent}/{name}", {})
    assert "\n" not in str(refusal.value)
    assert sorted(net_file.parent.iterdir()) == before


def test_a_full_disk_leaves_the_old_file(net_file: Path) -> None:
    before = net_file.read_bytes()
    script = (
        "import resource, sys, numpy\n"
        "from fdref.weights.matlab_write import write\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))\n"
        "write(sys.argv[1], {'x': numpy.zeros(10_000)})\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, net_file], capture_output=True, text=True, check=False
    )
    assert "net.mat cannot be written, choose another place: File too large" in done.stderr
    assert net_file.read_bytes() == before
    assert list(net_file.parent.iterdir()) == [net_file]


def test_an_interruption_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, data: bytes) -> None:
        with path.open("wb") as file:
            file.write(data[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "write_bytes", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_file(tmp_path / "a.mat", bytes(200))
    assert list(tmp_path.iterdir()) == []


# Reading what others write


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


def test_a_matlab_v5_file_is_named(shared: Path) -> None:
    with pytest.raises(FileError, match=r"plate-simplenn-v5.mat is a MATLAB v5 file.*-v7\.3"):
        read(shared / "models" / "plate-simplenn-v5.mat")


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


# Refusals


def refused(path: Path, *, match: str) -> None:
    """Check that reading ends in one line that names the file."""
    with pytest.raises(FileError, match=match) as refusal:
        read(path)
    message = str(refusal.value)
    assert path.name.isprintable() <= (path.name in message)
    assert message.isprintable()


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("missing.mat", "cannot be read.*: No such file"),
        ("", "folder or a device"),
        ("a\0b", "cannot be read.*: embedded null byte"),
        ("pipe", "folder or a device"),
        ("empty.mat", "is empty, expected a MATLAB v7.3 file"),
        ("text.mat", "is not HDF5, or cut off, expected a MATLAB v7.3 file"),
        ("header.mat", "is not HDF5, or cut off, expected a MATLAB v7.3 file"),
        ("line\nbreak.mat", "is empty"),
    ],
)
def test_what_is_no_v73_file_is_named(tmp_path: Path, name: str, match: str) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty.mat").touch()
    (tmp_path / "line\nbreak.mat").touch()
    (tmp_path / "text.mat").write_text("net = load('imagenet-vgg-f')")
    (tmp_path / "header.mat").write_bytes(HEADER)
    refused(tmp_path / name, match=match)


def test_a_file_cut_anywhere_is_refused(net_file: Path) -> None:
    data = net_file.read_bytes()
    for length in range(0, len(data), 61):
        net_file.write_bytes(data[:length])
        refused(net_file, match="net.mat is (empty|not HDF5, or cut off|damaged or cut off)")


def test_flipped_bytes_give_values_or_a_refusal(
    tmp_path: Path, net_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(tmp_path / "packed.mat", "w") as file:
        file.create_dataset("x", data=FILTERS, chunks=(1, 2, 3, 4), compression=9, fletcher32=True)
        file["x"].attrs["MATLAB_class"] = "single"
    outcomes: list[dict[str, Value] | str] = []
    for path in (net_file, tmp_path / "packed.mat"):
        data = path.read_bytes()
        used = np.flatnonzero(np.frombuffer(data, "u1"))  # most of a small file is unused
        for seed in range(200):
            generator = np.random.default_rng(seed)
            damaged = np.frombuffer(data, "u1").copy()
            places = generator.choice(used, generator.choice([1, 2, 8]))
            damaged[places] = generator.integers(0, 256, len(places))
            path.write_bytes(damaged.tobytes())
            try:
                outcomes.append(read(path))
            except FileError as refusal:
                outcomes.append(str(refusal))
    refusals = [outcome for outcome in outcomes if isinstance(outcome, str)]
    assert 20 < len(refusals) < len(outcomes) - 20
    assert all(refusal.isprintable() for refusal in refusals)
    assert capfd.readouterr() == ("", "")


def test_hdf5_prints_nothing_in_other_threads(
    net_file: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    net_file.write_bytes(net_file.read_bytes()[:-100])
    thread = threading.Thread(target=refused, args=[net_file], kwargs={"match": "damaged"})
    thread.start()
    thread.join()
    assert capfd.readouterr() == ("", "")


def external_link(file: h5py.File) -> None:
    file["x"] = h5py.ExternalLink("other.mat", "/x")


def soft_link(file: h5py.File) -> None:
    file["a"] = 1.0
    file["x"] = h5py.SoftLink("/a")


def soft_link_in_a_struct(file: h5py.File) -> None:
    file["x/a"] = h5py.SoftLink("/x")


def external_data(file: h5py.File) -> None:
    file.create_dataset("x", (4,), "u1", external=[("other.mat", 0, 4)])


def virtual_data(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.mat", "x", (4,))
    file.create_virtual_dataset("x", layout)


def never_written(file: h5py.File) -> None:
    file.create_dataset("x", (2**20, 2**20), "f4", chunks=(2**10, 2**10))


def never_written_of_overflowing_size(file: h5py.File) -> None:
    file.create_dataset("x", (2**32, 2**32), "u1", chunks=(2**10, 2**10))


def hardly_written(file: h5py.File) -> None:
    dataset = file.create_dataset("x", (2**27,), "f4", chunks=(2**10,), compression="gzip")
    dataset[:10] = 1


def huge_chunk(file: h5py.File) -> None:
    file.create_dataset("x", (1,), "f4", maxshape=(None,), chunks=(2**27,), compression="gzip")


def references_never_written(file: h5py.File) -> None:
    file.create_dataset("x", (2**30,), h5py.ref_dtype, chunks=(2**10,))


def packed(file: h5py.File, data: bytes, **filters: Any) -> None:
    dataset = file.create_dataset("x", (2**10,), "u1", chunks=(2**10,), **filters)
    dataset.id.write_direct_chunk((0,), data)


def chunk_that_inflates_to_much(file: h5py.File) -> None:
    deflate = zlib.compressobj(9)
    zeros = [deflate.compress(bytes(2**24)) for _ in range(8)]
    packed(file, b"".join(zeros) + deflate.flush(), compression="gzip")


def chunk_that_inflates_to_little(file: h5py.File) -> None:
    packed(file, zlib.compress(bytes(9)), compression="gzip")


def chunk_shorter_than_its_checksum(file: h5py.File) -> None:
    packed(file, b"\0\0", fletcher32=True)


def unusual_filter(file: h5py.File) -> None:
    file.create_dataset("x", data=np.zeros(100), compression="lzf")


def repeated_filter(file: h5py.File) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((100,))
    properties.set_deflate(9)
    properties.set_filter(h5py.h5z.FILTER_DEFLATE, 0, (9,))
    space = h5py.h5s.create_simple((100,))
    h5py.h5d.create(file.id, b"x", h5py.h5t.NATIVE_DOUBLE, space, properties)


def null_reference(file: h5py.File) -> None:
    file.create_dataset("x", (2, 1), h5py.ref_dtype)


def dangling_reference(file: h5py.File) -> None:
    file["a"] = np.eye(2)
    file.create_dataset("x", (1, 1), h5py.ref_dtype)[:] = file["a"].ref
    del file["a"]


def cell_in_itself(file: h5py.File) -> None:
    cell = file.create_dataset("x", (2, 1), h5py.ref_dtype)
    cell[:] = cell.ref


def struct_in_itself(file: h5py.File) -> None:
    struct = file.create_group("x")
    struct["y"] = struct


def everything_in_a_cell(file: h5py.File) -> None:
    file.create_dataset("x", (2, 1), h5py.ref_dtype)[:] = file.ref


def deep_nesting(file: h5py.File) -> None:
    file["/".join(["x"] * 70)] = 1.0


def very_many_references(file: h5py.File) -> None:
    file["a"] = 1.0
    cell = file.create_dataset("x", (200_000,), h5py.ref_dtype, compression="gzip")
    cell[:] = file["a"].ref


def uneven_struct_array(file: h5py.File) -> None:
    file["a"] = 1.0
    for n in (1, 2):
        file.create_dataset(f"x/f{n}", (n, 1), h5py.ref_dtype)[:] = file["a"].ref


def empty_that_is_not(file: h5py.File) -> None:
    file["x"] = np.array([2, 3], "u8")
    file["x"].attrs["MATLAB_class"] = "double"
    file["x"].attrs["MATLAB_empty"] = 1


def empty_of_very_many_axes(file: h5py.File) -> None:
    file["x"] = np.zeros(33, "u8")
    file["x"].attrs["MATLAB_class"] = "char"
    file["x"].attrs["MATLAB_empty"] = 1


def overlapping_heaps(file: h5py.File) -> None:
    file["x"] = np.frombuffer((b"GCOL\1\0\0\0" + struct.pack("<Q", 4096)) * 600, "u1")


def name_with_a_line_break(file: h5py.File) -> None:
    file["x\n\x1b[31m"] = h5py.SoftLink("/a")


@pytest.mark.parametrize(
    ("hostile", "match"),
    [
        (external_link, "a.mat: x is a link to elsewhere"),
        (soft_link, "a.mat: x is a link to elsewhere"),
        (soft_link_in_a_struct, r"a.mat: x\.a is a link to elsewhere"),
        (external_data, "x lies in another file"),
        (virtual_data, "x lies in another file"),
        (never_written, f"x claims {2**42} bytes in 0"),
        (never_written_of_overflowing_size, "x claims 18446744073709551616 bytes"),
        (hardly_written, f"x claims {2**29} bytes"),
        (huge_chunk, f"x claims {2**29} bytes"),
        (references_never_written, "x is too much"),
        (chunk_that_inflates_to_much, "x has a chunk that is not of 1024 bytes"),
        (chunk_that_inflates_to_little, "x has a chunk that is not of 1024 bytes"),
        (chunk_shorter_than_its_checksum, "x has a chunk that is not of 1024 bytes"),
        (unusual_filter, r"x is packed by HDF5 filters \[32000\], expected .*gzip"),
        (repeated_filter, r"x is packed by HDF5 filters \[1, 1\], expected .*gzip"),
        (null_reference, r"x\{1\} is a null reference"),
        (dangling_reference, "damaged"),
        (cell_in_itself, "levels deep or contains itself"),
        (struct_in_itself, "levels deep or contains itself"),
        (everything_in_a_cell, "levels deep or contains itself"),
        (deep_nesting, "levels deep or contains itself"),
        (very_many_references, "x is too much"),
        (uneven_struct_array, "x is a struct array with fields of different lengths"),
        (empty_that_is_not, r"damaged.*an empty double of shape \[2 3\]"),
        (empty_of_very_many_axes, r"damaged.*an empty char of shape \[0 0"),
        (overlapping_heaps, "damaged.*heaps overlap"),
        (name_with_a_line_break, r"x\?\?\[31m is a link"),
    ],
)
def test_what_is_damaged_or_hostile_is_refused(
    tmp_path: Path, hostile: Callable[[h5py.File], None], match: str
) -> None:
    with h5py.File(tmp_path / "other.mat", "w") as file:
        file["x"] = np.arange(4.0)
    with h5py.File(tmp_path / "a.mat", "w") as file:
        hostile(file)
    refused(tmp_path / "a.mat", match=match)


def test_refusing_takes_no_memory(tmp_path: Path) -> None:
    paths = []
    for claim in (never_written, hardly_written, huge_chunk, references_never_written):
        paths.append(tmp_path / f"{claim.__name__}.mat")
        with h5py.File(paths[-1], "w") as file:
            claim(file)
    paths.append(tmp_path / "bomb.mat")
    with h5py.File(paths[-1], "w") as file:
        chunk_that_inflates_to_much(file)
    script = (
        "import resource, sys, h5py\n"
        "from fdref.errors import FileError\n"
        "from fdref.weights.matlab import read\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for path in sys.argv[1:]:\n"
        "    try: read(path)\n"
        "    except FileError: continue\n"
        "    sys.exit(f'{path} was read')\n"
        "unit = 2**20 if sys.platform == 'darwin' else 2**10\n"
        "print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // unit)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *paths], capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    assert int(done.stdout) < 50  # megabytes


def test_one_array_many_times_counts_many_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = np.zeros(1000)
    write(tmp_path / "a.mat", {"x": array})
    with h5py.File(tmp_path / "a.mat", "r+") as file:
        file.create_dataset("cell", (10,), h5py.ref_dtype)[:] = file["x"].ref
    monkeypatch.setattr(matlab, "LARGEST", 11 * array.nbytes + 10 * 8)
    assert len(read(tmp_path / "a.mat")["cell"]) == 10
    monkeypatch.setattr(matlab, "LARGEST", 11 * array.nbytes + 10 * 8 - 1)
    refused(tmp_path / "a.mat", match=r"a.mat: (x|cell\{10\}) is too much")


def test_text_counts_with_the_copies_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "conv" * 2500
    write(tmp_path / "a.mat", {"x": text})
    monkeypatch.setattr(matlab, "LARGEST", 9 * 2 * len(text))
    assert read(tmp_path / "a.mat") == {"x": text}
    monkeypatch.setattr(matlab, "LARGEST", 9 * 2 * len(text) - 1)
    refused(tmp_path / "a.mat", match="x is too much")


def test_a_list_of_fields_that_could_fill_the_memory_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fields: dict[str, Value] = dict.fromkeys("zyxwvutsrq", "")
    write(tmp_path / "a.mat", {"x": fields})
    monkeypatch.setattr(matlab, "LARGEST", 4096 * len(fields))
    assert list(read(tmp_path / "a.mat")["x"]) == list(fields)
    monkeypatch.setattr(matlab, "LARGEST", 4096 * len(fields) - 1)
    assert list(read(tmp_path / "a.mat")["x"]) == sorted(fields)


def test_cells_that_double_at_every_level_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["#0"] = 1.0
        for level in range(40):
            file.create_dataset(f"#{level + 1}", (2,), h5py.ref_dtype)[:] = file[f"#{level}"].ref
        file["x"] = file["#40"]
    monkeypatch.setattr(matlab, "MOST_OBJECTS", 500)
    refused(tmp_path / "a.mat", match="expected at most .* and 500 values in a file")


def patched(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) >= 1
    path.write_bytes(data.replace(old, new))


def test_a_name_that_is_a_path_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "a.mat", {"aQb": np.eye(2), "a": {"b": "elsewhere"}})
    patched(tmp_path / "a.mat", b"aQb\0", b"a/b\0")
    refused(tmp_path / "a.mat", match="a/b is a link to elsewhere")


def test_a_heap_that_hdf5_never_leaves_is_refused(net_file: Path) -> None:
    data = net_file.read_bytes()
    entry = data.index(b"GCOL") + 16
    for damage in (bytes(16), data[entry : entry + 8] + b"\xf0" + b"\xff" * 7):
        net_file.write_bytes(data[:entry] + damage + data[entry + 16 :])
        refused(net_file, match="damaged.*in a heap")


def test_a_list_longer_than_its_heap_is_refused(net_file: Path) -> None:
    newest = net_file.with_name("newest.mat")
    with h5py.File(newest, "w", libver="latest") as file:
        file["x"] = 1.0
        file["x"].attrs["MATLAB_class"] = "double"
    for path, base in ((net_file, 512), (newest, 0)):
        data = bytearray(path.read_bytes())
        heap = struct.pack("<Q", data.index(b"GCOL") - base)
        data[data.index(heap, data.index(b"MATLAB_")) - 1] = 0xFF  # of the length before it
        path.write_bytes(data)
        refused(path, match="damaged.*a list longer than its heap")


def test_a_list_of_fields_that_crashes_hdf5_is_not_read(net_file: Path) -> None:
    names, size = b"MATLAB_fields\0\0\0", b"\x10\0\0\0"
    patched(net_file, names + b"\x19\0\0\0" + size, names + b"\x19\xff\0\0" + size)
    found: Any = read(net_file)
    assert sorted(NET) == list(found["net"])  # in HDF5's order then


@pytest.mark.parametrize("attribute", ["MATLAB_class", "MATLAB_empty", "MATLAB_fields"])
@pytest.mark.parametrize("value", [np.zeros(5000), [b"a"] * 200, "text", b"\xff", h5py.Empty("f4")])
def test_odd_attributes_give_values_or_a_refusal(
    tmp_path: Path, attribute: str, value: Any
) -> None:
    with h5py.File(tmp_path / "a.mat", "w") as file:
        file["x/y"] = np.zeros((2, 2))
        for node in (file["x"], file["x/y"]):
            node.attrs[attribute] = value
    try:
        found = read(tmp_path / "a.mat").keys()
    except FileError as refusal:
        found = {str(refusal).split(" (")[0]}
    assert found in ({"x"}, {f"{tmp_path}/a.mat is damaged or cut off, fetch it again"})

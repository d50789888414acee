"""MATLAB v7.3 files that we write: others read them, and all or nothing is there."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING, Any

import h5py
import hdf5storage
import mat73
import numpy as np
import pymatreader
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matlab_values import BIASES, FILTERS, NET, plain

from fdref.errors import ArgumentError, FileError
from fdref.files.whole import replace_file
from fdref.weights.matlab import Unsupported, read
from fdref.weights.matlab_write import write

if TYPE_CHECKING:
    import io
    from collections.abc import Iterator
    from pathlib import Path

    from fdref.weights.matlab import Value

DTYPES = ["f8", "f4", "?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]


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


@pytest.mark.slow
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
    def interrupted(file: io.FileIO, data: bytes) -> None:
        file.write(data[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr("fdref.files.folder.write_all", interrupted)
    with pytest.raises(KeyboardInterrupt):
        replace_file(tmp_path / "a.mat", bytes(200))
    assert list(tmp_path.iterdir()) == []

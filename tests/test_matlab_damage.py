"""MATLAB files that are none, cut off or damaged: values or a refusal, never a crash."""

from __future__ import annotations

import os
import struct
import threading
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from fuzz.checksums import corrected
from matlab_values import FILTERS, NET, refused

from fdref.errors import FileError
from fdref.weights.matlab import read
from fdref.weights.matlab_write import HEADER, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fdref.weights.matlab import Value


@pytest.mark.parametrize(
    ("name", "match"),
    [
        ("missing.mat", "cannot be read.*: No such file"),
        ("", "folder or a device"),
        ("a\0b", "cannot be read.*: embedded null byte"),
        ("pipe", "folder or a device"),
        ("empty.mat", "is empty, expected a MATLAB file of version 5 to 7.3"),
        ("text.mat", "is no MATLAB file, or cut off, expected .* 5 to 7.3: `save -v7`"),
        ("header.mat", "is a MATLAB file that is cut off, expected .* 5 to 7.3"),
        ("line\nbreak.mat", "is empty"),
    ],
)
def test_what_is_no_matlab_file_is_named(tmp_path: Path, name: str, match: str) -> None:
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
        refused(
            net_file, match="net.mat is (empty|(a|no) MATLAB file.* cut off|damaged or cut off)"
        )


@pytest.mark.slow
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


def many_chunks(file: h5py.File) -> None:
    """Chunks in each of the indices that HDF5 has by now."""
    numbers = np.arange(200.0).reshape(10, 20)
    file.create_dataset("fixed", data=numbers, chunks=(3, 7))
    file.create_dataset("growing", data=numbers, chunks=(3, 7), maxshape=(None, 20))
    file.create_dataset("both", data=numbers, chunks=(3, 7), maxshape=(None, None))


def many_names(file: h5py.File) -> None:
    for number in range(12):
        file[f"x/{number}"] = 1.0


def parts_of_others(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.mat", "source", (4,))
    file.create_virtual_dataset("x", layout)


@pytest.mark.parametrize(
    ("fill", "near", "offset", "match"),
    [
        (many_chunks, b"FAHD", 15, r"an index \(FAHD\) of more"),
        (many_chunks, b"EAHD", 51, r"an index \(EAHD\) of more"),
        (many_chunks, b"BTLF\0\x0a", 12, "RuntimeError: Error iterating"),
        (many_names, b"BTHD\0\5", 27, ""),
        (many_names, b"BTHD\0\5", 9, r"an index \(BTHD\) of more"),
        (parts_of_others, b"other.mat\0", -1, "a virtual dataset"),
        (many_chunks, b"\x89HDF", 9, "addresses that are not of eight bytes"),
    ],
)
def test_what_hdf5_does_not_survive(
    tmp_path: Path, fill: Callable[[h5py.File], None], near: bytes, offset: int, match: str
) -> None:
    """It hung or crashed on each; checksums are right, as in files that are made to harm."""
    with h5py.File(tmp_path / "a.mat", "w", libver="latest") as file:
        fill(file)
    whole = (tmp_path / "a.mat").read_bytes()
    data = bytearray(whole)
    data[data.index(near) + offset] ^= 0x3C
    leaf = near.startswith(b"BTLF")  # a wrong checksum is what harms there
    (tmp_path / "a.mat").write_bytes(bytes(data) if leaf else corrected(bytes(data)))
    if match:
        refused(tmp_path / "a.mat", match=f"damaged.*{match}")
    else:
        assert sorted(read(tmp_path / "a.mat")["x"]) == sorted(map(str, range(12)))
    assert corrected(whole) == whole


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

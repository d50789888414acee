"""Small files must not take much memory, whatever form it takes: measured in their own process."""

from __future__ import annotations

import struct
import tracemalloc
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
import pytest
from second_writer import conv, random
from second_writer import write as write_second
from taken import taken

import fdref
from fdref.errors import FileError
from fdref.weights.bounded import ALWAYS, VALUE, Budget
from fdref.weights.matconvnet import network_from
from fdref.weights.matlab import read
from fdref.weights.matlab_write import write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

MIB = 2**20
LOAD = "fdref.load(path)"


def network_of(path: Path, filters: Callable[[h5py.File], h5py.Dataset], layers: int = 1) -> Path:
    """Write convolutions that share what `filters` makes."""
    with h5py.File(path, "w") as file:
        shared = filters(file.create_group("#refs#"))
        cells = []
        for number in range(layers):
            layer = file["#refs#"].create_group(f"layer{number}")
            layer["type"] = np.array([[ord(c)] for c in "conv"], "u2")
            layer["type"].attrs["MATLAB_class"] = np.bytes_("char")
            layer.create_dataset("weights", (1, 1), h5py.ref_dtype)[:] = shared.ref
            layer["weights"].attrs["MATLAB_class"] = np.bytes_("cell")
            cells.append([layer.ref])
        file.create_dataset("layers", data=np.array(cells, h5py.ref_dtype))
        file["layers"].attrs["MATLAB_class"] = np.bytes_("cell")
    return path


def packed(group: h5py.Group, size: int, dtype: str, value: float = 0) -> h5py.Dataset:
    return group.create_dataset("w", (size, 1, 1, 1), dtype, compression=9, chunks=(MIB, 1, 1, 1),
                                data=np.full((size, 1, 1, 1), value, dtype))  # fmt: skip


def integers(group: h5py.Group) -> h5py.Dataset:
    return packed(group, 100 * MIB, "u1")


def truths(group: h5py.Group) -> h5py.Dataset:
    dataset = packed(group, 100 * MIB, "u1")
    dataset.attrs["MATLAB_class"] = np.bytes_("logical")
    return dataset


def infinities(group: h5py.Group) -> h5py.Dataset:
    """Of these a list of all places would take 24 times as much."""
    return packed(group, 8 * MIB, "f4", np.inf)


def characters(group: h5py.Group) -> h5py.Dataset:
    dataset = packed(group, 100 * MIB, "u1")
    dataset.attrs["MATLAB_class"] = np.bytes_("char")
    return dataset


def one_chunk(group: h5py.Group) -> h5py.Dataset:
    shape = (200 * MIB, 1, 1, 1)
    dataset = group.create_dataset("w", (1, 1, 1, 1), "u1", maxshape=shape, chunks=shape,
                                   compression=9)  # fmt: skip
    dataset[...] = 1
    return dataset


HUNGRY: dict[str, tuple[Callable[[h5py.Group], h5py.Dataset], int]] = {
    "integers": (integers, 1),
    "truth values": (truths, 1),
    "infinite numbers": (infinities, 1),
    "text": (characters, 1),
    "one chunk": (one_chunk, 1),
    "the same weights in many layers": (lambda group: packed(group, 2 * MIB, "f4"), 40),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", HUNGRY)
def test_small_files_take_little_memory(kind: str, tmp_path: Path) -> None:
    filters, layers = HUNGRY[kind]
    path = network_of(tmp_path / "net.mat", filters, layers)
    assert path.stat().st_size < MIB
    growth, (outcome,) = taken(LOAD, path)
    expected = "NetworkError" if kind == "infinite numbers" else "FileError"
    assert outcome.startswith(f"{expected}: {path}")
    assert growth < ALWAYS // MIB


def test_an_average_for_many_channels_counts_for_each(tmp_path: Path) -> None:
    layer = conv(random(1, 300, 1, 1), [0.0])
    average = np.zeros((1000, 500), np.float32)
    meta = {"normalization": {"averageImage": average}}
    path = write_second(tmp_path / "net.mat", net={"layers": [layer], "meta": meta})
    with pytest.raises(FileError, match=r"net.mat: the copy of `averageImage` is too much"):
        fdref.load(path)


def long_list(path: Path, axes: int) -> Path:
    """Write a list of fields whose second name claims to be longer than anything."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name in ("aa", "bb"):
            file[f"x/{name}"] = 1.0
        names = np.empty((1, 2) if axes == 2 else 2, object)
        for place, name in zip(np.ndindex(names.shape), ("aa", "bb"), strict=True):
            names[place] = np.frombuffer(name.encode(), "S1")
        kind = h5py.vlen_dtype(np.dtype("S1"))
        file["x"].attrs.create("MATLAB_fields", names, dtype=kind)
    data = bytearray(path.read_bytes())
    heap = struct.pack("<Q", data.index(b"GCOL") - 512)
    second = data.index(heap, data.index(heap, data.index(b"MATLAB_fields")) + 1)
    data[second - 4 : second] = struct.pack("<I", 2**32 - 1)
    path.write_bytes(data)
    return path


def test_a_list_in_an_attribute_of_any_axes_takes_no_memory(tmp_path: Path) -> None:
    paths = [long_list(tmp_path / f"{axes}.mat", axes) for axes in (1, 2)]
    code = "from fdref.weights.matlab import read"
    growth, outcomes = taken("read(path)", *paths, prepare=code)
    assert "a list longer than its heap" in outcomes[0]
    assert outcomes[1] == "done"  # without the list
    assert growth < 50


def test_a_heap_that_unpacks_is_refused(net_file: Path) -> None:
    """What is looked for beforehand could hide in there."""
    net_file.write_bytes(net_file.read_bytes() + b"FRHP\0\7\0\4\0")
    with pytest.raises(FileError, match=r"damaged.*a packed heap"):
        read(net_file)


def test_one_long_name_of_many_links(tmp_path: Path) -> None:
    """In the oldest format links name a place in a heap, which may be the same for all."""
    path = tmp_path / "a.mat"
    with h5py.File(path, "w", libver="earliest") as file:
        file["a"] = 1.0
        for number in range(4):
            file[f"{number}" * 60_000] = file["a"]
    size = path.stat().st_size
    budget = Budget()
    assert len(read(path, budget)) == 5
    assert budget.taken - size >= 5 * 4 * 60_000
    with pytest.raises(FileError, match="is too much"):
        read(path, Budget(largest=size + 5 * 4 * 60_000))


@pytest.mark.slow
def test_values_take_what_is_counted_for_them(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "cell.mat", "w") as file:
        file["a"] = 1.0
        data = np.full(20_000, file["a"].ref, h5py.ref_dtype)
        file.create_dataset("x", data=data, compression="gzip")
    with h5py.File(tmp_path / "group.mat", "w") as file:
        file["a"] = 1.0
        for number in range(20_000):
            file[f"n{number}"] = file["a"]
    for path in (tmp_path / "cell.mat", tmp_path / "group.mat"):
        growth, (outcome,) = taken(
            "read(path)", path, prepare="from fdref.weights.matlab import read"
        )
        assert outcome == "done"
        assert growth < 20_000 * VALUE // MIB + 3 * path.stat().st_size // MIB


@pytest.mark.parametrize("dtype", ["f4", "f8", "u1", "i2", ">f4"])
def test_what_is_held_at_the_end_is_what_was_counted(dtype: str, tmp_path: Path) -> None:
    """NumPy's arrays are traced; the peak holds the file, what was read and the network."""
    filters = random(200, 50, 5, 5).astype(dtype)
    layers: Any = [
        {"type": "conv", "weights": [filters, np.zeros(0)], "pad": np.array(1.0)},
        {"type": "conv", "weights": random(300, 200, 3, 3).astype(dtype)},
    ]
    write(tmp_path / "net.mat", {"net": {"layers": layers}})
    budget = Budget()
    fdref.load(tmp_path / "net.mat")  # what is imported
    tracemalloc.start()
    try:
        net = network_from(read(tmp_path / "net.mat", budget), budget)
        held, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    weights = sum(layer.filters.nbytes for layer in net)
    assert weights <= held
    assert peak <= budget.taken + 4 * MIB
    assert budget.taken <= 1.5 * (peak + (tmp_path / "net.mat").stat().st_size)


@pytest.mark.slow
def test_when_memory_ends_the_file_is_not_blamed(tmp_path: Path) -> None:
    path = tmp_path / "large.mat"
    fdref.save(fdref.Network([fdref.Conv(np.ones((50, 64, 64, 64), np.float32))]), path)
    limit = (
        "def limit(more):\n"
        "    pages = int(open('/proc/self/statm').read().split()[0])\n"
        "    size = pages * resource.getpagesize() + more * 2**20\n"
        "    resource.setrlimit(resource.RLIMIT_AS, (size, size))\n"
        "fdref.load()\n"
    )
    outcomes = {}
    for more in (20, 60, 90, 130, 180, 220, 600):
        _, (outcomes[more],) = taken(LOAD, path, prepare=f"{limit}limit({more})")
    assert outcomes.pop(600) == "done"
    assert {outcome.split(":")[0] for outcome in outcomes.values()} <= {"MemoryError", "done"}
    assert outcomes[20].startswith("MemoryError")
    assert outcomes[60].startswith("MemoryError")


class TestForward:
    @pytest.mark.parametrize(
        ("pad", "stride", "dilate"),
        [
            ([2**20] * 4, 1, 1),
            ([2**20, 2**20, 0, 0], 1, 1),
            ([2**20] * 4, 2**20, 1),
            ([2**20] * 4, 1, 2**20),
            ([0, 0, 6 * 10**5, 6 * 10**5], 1, 1),
            ([5000] * 4, 2, 1),
        ],
    )
    def test_maps_that_padding_blows_up_are_refused(
        self, pad: list[int], stride: int, dilate: int, engine: str
    ) -> None:
        filters = np.ones((4, 1, 3, 3), np.float32)
        net = fdref.Network([fdref.Conv(filters, stride=stride, pad=pad, dilate=dilate)])
        with pytest.raises(fdref.ArgumentError, match=r"layer 1 \(conv\) .* expected at most 134"):
            fdref.forward(net, np.zeros((1, 1, 28, 28)), engine)

    def test_so_are_those_of_pools_and_of_the_input_that_a_file_names(self, tmp_path: Path) -> None:
        pool = {"type": "pool", "pool": 2.0**19, "pad": [2.0**19 - 1] * 4}
        layers = [conv(random(1, 1, 3, 3), [0.0]), pool]
        meta = {"inputSize": [28.0, 28.0, 1.0]}
        path = write_second(tmp_path / "net.mat", net={"layers": layers, "meta": meta})
        with pytest.raises(fdref.NetworkError, match=r"net.mat: layer 2 \(pool\) .* at most 134"):
            fdref.load(path)

    def test_the_bound_from_both_sides(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Input and output are held together with the padded input."""
        net = fdref.Network([fdref.Conv(np.ones((2, 1, 3, 3)), pad=[20, 0, 0, 10])])
        numbers = 6 * 7 + 2 * 24 * 15 + 26 * 17
        monkeypatch.setattr("fdref.network.sizes.EXPANSION", 1)
        monkeypatch.setattr("fdref.network.sizes.ALWAYS", numbers)
        assert fdref.forward(net, np.ones((1, 1, 6, 7)))[1].shape == (1, 2, 24, 15)
        monkeypatch.setattr("fdref.network.sizes.ALWAYS", numbers - 1)
        with pytest.raises(fdref.ArgumentError, match=f"to {numbers} numbers"):
            fdref.forward(net, np.ones((1, 1, 6, 7)))

    def test_large_images_and_fully_convolutional_padding_are_no_damage(self) -> None:
        net = fdref.Network([fdref.Conv(np.ones((64, 3, 3, 3)), pad=100), fdref.Pool(2, 2)])
        assert net.map_sizes((3000, 4000))[1] == (3198, 4198)
        assert net.map_sizes(1)[1] == (199, 199)

    @pytest.mark.slow
    def test_what_is_let_through_takes_no_gigabytes(self, tmp_path: Path) -> None:
        filters = np.ones((1, 1, 3, 3), np.float32)
        for pad in (2**20, 4000, 3999, 100):
            net = fdref.Network([fdref.Conv(filters, pad=pad)])
            fdref.save(net, tmp_path / f"{pad}.mat")
        paths = sorted(tmp_path.iterdir())
        attempt = "fdref.forward(fdref.load(path), np.zeros((1, 1, 28, 28), np.float32))"
        growth, outcomes = taken(attempt, *paths, prepare="import numpy as np")
        assert {outcome.split(":")[0] for outcome in outcomes} == {"done", "ArgumentError"}
        assert growth < 1024

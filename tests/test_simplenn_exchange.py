"""SimpleNN files that we write and read again, and that other packages read and write."""

from __future__ import annotations

import hdf5storage
import mat73
import numpy as np
import pymatreader
import pytest
from hypothesis import given
from hypothesis import strategies as st
from second_writer import in_matlab, random
from strategies import networks, particular_networks, seeds

import fdref
from fdref import BatchNorm, Conv, Dropout, Network, Normalize, Pool, ReLU, Softmax
from fdref.commands import info
from fdref.weights.bounded import Budget


@pytest.mark.slow
@given(st.data(), networks() | particular_networks())
def test_a_network_that_is_saved_and_loaded_is_the_same_to_the_bit(tmp_path_factory, data, net):
    folder = tmp_path_factory.mktemp("net")
    fdref.save(net, folder / "a.mat")
    again = fdref.load(folder / "a.mat")
    fdref.save(again, folder / "b.mat")
    assert (folder / "a.mat").read_bytes() == (folder / "b.mat").read_bytes()
    assert again == net
    assert (again.channels, again.dtype, again.decodable) == (
        net.channels,
        net.dtype,
        net.decodable,
    )
    assert info.about("m", again) == info.about("m", net)
    assert list(info.rows(again)) == list(info.rows(net))
    assert info.as_json("m", again) == info.as_json("m", net)
    with np.errstate(all="ignore"):
        banks, expected = fdref.decode_all(again), fdref.decode_all(net)
        for number, bank in expected.items():
            same_bits(bank, banks[number])
        size = net.input_size or (40, 41)
        shape = 2, net.channels[0], *size
        x = np.random.default_rng(data.draw(seeds)).uniform(0, 255, shape)
        if net.average is not None and net.average.shape[1:] != (1, 1):
            assert net.input_size == net.average.shape[1:]
        try:
            acts = fdref.forward(net, net.prepare(x))
        except fdref.ArgumentError:  # the windows do not fit into the images
            return
        for ours, theirs in zip(acts, fdref.forward(again, again.prepare(x)), strict=True):
            same_bits(ours, theirs)


def same_bits(value, other):
    assert (value.dtype, value.shape, value.tobytes()) == (
        other.dtype,
        other.shape,
        other.tobytes(),
    )


@pytest.mark.parametrize(
    "net",
    [
        Network([Conv(random(6, 1, 3, 3)), Conv(random(2, 3, 1, 1))], input_channels=3),
        Network([Conv(random(4, 2, 1, 1)), ReLU()], input_channels=4),
        Network([ReLU(), Conv(random(2, 1, 2, 2))], input_channels=2, average=random(2)),
        Network([Conv(random(2, 1, 2, 2))], input_channels=1, average=[7.0]),
        Network([Conv(random(2, 1, 1, 2))], average=random(1, 1, 5) + 0.5),
        Network([Conv(random(2, 3, 1, 1))], average=random(3, 3, 1), classes=[""]),
        Network([Conv(random(1, 1, 1, 1))], average=random(1, 1, 1), input_size=1, classes=["x"]),
        Network(
            [BatchNorm([1, 2], [1, 2], [1, 2], np.ones(2, np.float32)), Conv(random(2, 1, 2, 2))]
        ),
        Network([Conv(random(2, 1, 1, 1)), Normalize(1, 1, 0, 1), ReLU(1), Dropout(0)]),
    ],
)
def test_what_used_to_come_back_as_another_network(tmp_path, net):
    fdref.save(net, tmp_path / "a.mat")
    again = fdref.load(tmp_path / "a.mat")
    assert again == net
    fdref.save(again, tmp_path / "b.mat")
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()


class Doubled(Conv):
    """What no file can say."""


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (Network([Doubled(random(1, 1, 1, 1))]), r"layer 1 \(conv\) cannot be written"),
        (Network([Conv(random(1, 1, 1, 1), name="\ud800")]), "layer's name is '.ud800', .* rename"),
        (Network([Conv(random(1, 1, 1, 1))], classes=["a\udfff"]), "a class's name is"),
        (Network([Conv(random(1, 1, 1, 1))], provenance="\udfff"), "provenance is"),
        (Network([Conv(random(1, 1, 1, 1))], classes=["c"] * 50_000), "too much to write"),
        (Network([Conv(random(1, 1, 1, 1)), *[ReLU()] * 40_000]), "too much to write"),
    ],
)
def test_what_would_not_come_back_is_not_written(tmp_path, net, message):
    path = tmp_path / "net.mat"
    with pytest.raises((fdref.NetworkError, fdref.ArgumentError), match=message):
        fdref.save(net, path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("limit", ["most_values", "largest"])
def test_as_much_as_can_be_read_is_written(tmp_path, monkeypatch, limit):
    """The smallest limit under which a file is read is the smallest under which it is written."""
    net = Network([Conv(random(3, 1, 2, 2)), ReLU(name="x")], classes=["c", "de"], average=[1.0])
    fdref.save(net, path := tmp_path / "net.mat")

    def taken(most, call):
        for module in ("reading", "writing"):
            made = f"fdref.weights.{module}.Budget"
            monkeypatch.setattr(made, lambda: Budget(**{limit: most}))
        try:
            call()
        except fdref.FdrefError:
            return False
        return True

    low, high = 0, 2**20
    assert taken(high, lambda: fdref.load(path))
    while high - low > 1:  # halving finds the smallest that reading takes
        middle = (low + high) // 2
        low, high = (low, middle) if taken(middle, lambda: fdref.load(path)) else (middle, high)
    assert taken(high, lambda: fdref.save(net, tmp_path / "enough.mat"))
    assert not taken(low, lambda: fdref.save(net, tmp_path / "not enough.mat"))
    assert not (tmp_path / "not enough.mat").exists()


def full_network():
    layers = [
        Conv(random(4, 1, 3, 2), random(4), (2, 1), (1, 0, 2, 1), (1, 2), name="c1"),
        BatchNorm(random(4), random(4), random(4), abs(random(4)) + 1, name="b1"),
        ReLU(0.1),
        Pool((3, 2), 2, (0, 1, 0, 1), "avg"),
        Normalize(5, 1.0, 2e-5, 0.75),
        Dropout(0.3),
        Conv(random(1, 4, 1, 1, dtype=np.float64), stride=2),
        Softmax("prob"),
    ]
    average = random(1, 15, 13)
    return Network(layers, average=average, classes=("ä", "b"), provenance="test")


def test_everything_a_network_carries_survives(tmp_path):
    net = full_network()
    fdref.save(net, tmp_path / "a.mat")
    again = fdref.load(tmp_path / "a.mat")
    fdref.save(again, tmp_path / "b.mat")
    assert (tmp_path / "a.mat").read_bytes() == (tmp_path / "b.mat").read_bytes()
    assert again == net
    assert (again.classes, again.provenance) == (("ä", "b"), "test")
    assert (again.input_size, again.channels) == ((15, 13), net.channels)


def by_mat73(path):
    return mat73.loadmat(path)["net"]


def by_pymatreader(path):
    return pymatreader.read_mat(path)["net"]


def by_hdf5storage(path):
    return hdf5storage.loadmat(str(path), variable_names=["net"])["net"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("read", [by_mat73, by_pymatreader, by_hdf5storage])
def test_independent_readers_see_matlabs_view(tmp_path, read):
    """H x W x C x K, trailing ones dropped, as MATLAB's own load would show it."""
    net = full_network()
    fdref.save(net, tmp_path / "net.mat")
    found = read(tmp_path / "net.mat")
    layers = [plain(layer) for layer in np.ravel(plain(found)["layers"])]
    assert [text(layer["type"]) for layer in layers] == [layer.kind for layer in net]
    assert text(layers[0]["name"]) == "c1"
    filters, biases = pair_of(layers[0])
    assert filters.dtype == np.float32
    assert filters.reshape(3, 2, 1, 4).tolist() == in_matlab(net[1].filters).tolist()
    assert biases.ravel().tolist() == net[1].bias.tolist()
    assert np.ravel(layers[0]["stride"]).tolist() == [2, 1]
    assert np.ravel(layers[0]["pad"]).tolist() == [1, 0, 2, 1]
    average = np.asarray(plain(plain(plain(found)["meta"])["normalization"])["averageImage"])
    assert average.tolist() == net.average[0].tolist()


def plain(value):
    """Unwrap what readers make of a struct."""
    if isinstance(value, np.ndarray) and value.dtype.names:
        record = value.ravel()[0]
        return {name: record[name] for name in value.dtype.names}
    if isinstance(value, np.void):
        return {name: value[name] for name in value.dtype.names}
    return value


def text(value):
    return str(np.ravel(value)[0])


def pair_of(layer):
    weights = layer["weights"]
    items = (
        list(weights) if isinstance(weights, list) else list(np.asarray(weights, object).ravel())
    )
    return [np.asarray(item) for item in items]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_network_written_by_hdf5storage(tmp_path):
    filters = random(4, 1, 3, 2)
    cell = np.empty(2, object)
    cell[:] = [in_matlab(filters), random(4)[None]]
    layers = np.empty(2, object)
    layers[:] = [
        {
            "type": "conv",
            "weights": cell,
            "stride": np.array([[2.0, 1.0]]),
            "pad": 0.0,
            "name": "c",
        },
        {"type": "relu", "leak": 0.5},
    ]
    net = {"layers": layers, "meta": {"inputSize": np.array([[9.0, 9.0, 1.0, 1.0]])}}
    hdf5storage.savemat(str(tmp_path / "net.mat"), {"net": net}, format="7.3")
    read = fdref.load(tmp_path / "net.mat")
    assert (read[1].filters == filters).all()
    assert (read[1].bias == random(4)).all()
    assert (read[1].stride, read[1].name, read[2].leak) == ((2, 1), "c", 0.5)
    assert read.input_size == (9, 9)

"""SimpleNN files that we write and read again, and that other packages read and write."""

from __future__ import annotations

import hdf5storage
import mat73
import numpy as np
import pymatreader
import pytest
from hypothesis import given
from second_writer import in_matlab, random
from strategies import networks

import fdref
from fdref import BatchNorm, Conv, Dropout, Network, Normalize, Pool, ReLU, Softmax


@given(networks())
def test_a_network_survives_a_round_trip_bit_for_bit(tmp_path_factory, net):
    path = tmp_path_factory.mktemp("net") / "net.mat"
    fdref.save(net, path)
    again = fdref.load(path)
    assert len(again) == len(net)
    for ours, theirs in zip(net, again, strict=True):
        assert type(ours) is type(theirs)
        for field, value in vars(ours).items():
            same_bits(value, getattr(theirs, field))


def same_bits(value, other):
    if isinstance(value, np.ndarray):
        assert (value.dtype, value.shape, value.tobytes()) == (
            other.dtype,
            other.shape,
            other.tobytes(),
        )
    else:
        assert value == other


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
    for ours, theirs in zip(net, again, strict=True):
        for field, value in vars(ours).items():
            same_bits(value, getattr(theirs, field))
    same_bits(net.average, again.average)
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

"""SimpleNN files: what MATLAB wrote, what others write, and what we write ourselves."""

from __future__ import annotations

from itertools import count

import h5py
import hdf5storage
import mat73
import numpy as np
import pymatreader
import pytest
from hypothesis import given
from strategies import networks

import fdref
from fdref import BatchNorm, Conv, Dropout, Network, NetworkError, Normalize, Pool, ReLU, Softmax
from fdref.weights import matlab


class Writer:
    """A second writer of v7.3 files, after MATLAB's files and knowing nothing of ours."""

    def __init__(self, path):
        self.file = h5py.File(path, "w", userblock_size=512)
        self.references = self.file.create_group("#refs#")
        self.number = count()

    def put(self, group, name, value):
        if isinstance(value, dict):
            node = group.create_group(name)
            node.attrs["MATLAB_class"] = np.bytes_("struct")
            for key, inner in value.items():
                self.put(node, key, inner)
            return node
        if isinstance(value, list) and any(
            isinstance(v, dict | str | list | np.ndarray) for v in value
        ):
            cells = [self.put(self.references, f"r{next(self.number)}", v).ref for v in value]
            data = np.array(cells, h5py.ref_dtype).reshape(-1, 1)
            node, kind = group.create_dataset(name, data=data), "cell"
        elif isinstance(value, str):
            codes = np.array([[ord(c)] for c in value], np.uint16)
            node, kind = group.create_dataset(name, data=codes), "char"
            node.attrs["MATLAB_int_decode"] = np.int32(2)
        else:
            array = np.asarray(value)
            array = array.reshape((1,) * (2 - array.ndim) + array.shape)
            while array.ndim > 2 and array.shape[-1] == 1:  # MATLAB drops them
                array = array[..., 0]
            kind = {"float32": "single", "float64": "double"}.get(
                array.dtype.name, array.dtype.name
            )
            data = np.array(array.shape, np.uint64) if array.size == 0 else array.T
            node = group.create_dataset(name, data=data)
            if array.size == 0:
                node.attrs["MATLAB_empty"] = np.uint8(1)
        node.attrs["MATLAB_class"] = np.bytes_(kind)
        return node

    def close(self):
        self.file.close()


def write(path, **variables):
    writer = Writer(path)
    for name, value in variables.items():
        writer.put(writer.file, name, value)
    writer.close()
    return path


def in_matlab(filters):
    """(K, C, kh, kw) as MATLAB indexes it: kh x kw x C x K."""
    return filters.transpose(2, 3, 1, 0)


def random(*shape, dtype=np.float32):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def conv(filters, bias, **fields):
    return {"type": "conv", "weights": [in_matlab(filters), bias], **fields}


def test_every_kind_of_layer_and_field(tmp_path):
    first, second, last = random(4, 1, 3, 2), random(6, 2, 1, 3), random(1, 6, 2, 2)
    moments = np.array([[0.5, 2.0]] * 4, np.float32)
    gain, shift = random(4), random(4) + 1
    layers = [
        conv(first, random(4), stride=[2.0, 1.0], pad=[1.0, 0.0, 2.0, 1.0], name="c1"),
        {"type": "bnorm", "weights": [gain[:, None], shift[:, None], moments], "name": "b1"},
        {"type": "relu", "leak": 0.25},
        {
            "type": "pool",
            "pool": [3.0, 2.0],
            "stride": 2.0,
            "pad": [0.0, 1.0, 0.0, 1.0],
            "method": "avg",
        },
        {"type": "normalize", "param": [5.0, 1.0, 2e-5, 0.75]},
        conv(second, np.zeros((0, 0), np.float32), dilate=[2.0, 1.0], stride=np.int64(1), opts=[]),
        {"type": "dropout", "rate": 0.3},
        {"type": "pool", "pool": 2.0, "pad": 0.0},
        conv(last, random(1)),
        {"type": "softmaxloss", "class": random(3, 3)},
    ]
    net = fdref.load(write(tmp_path / "net.mat", net={"layers": layers}))
    assert (net[1].filters == first).all()
    assert (net[1].stride, net[1].pad, net[1].name) == ((2, 1), (1, 0, 2, 1), "c1")
    assert (net[2].gain == gain).all()
    assert (net[2].bias == shift).all()
    assert (net[2].mean[0], net[2].deviation[0]) == (0.5, 2.0)
    assert net[3] == ReLU(0.25)
    pool = net[4]
    assert (pool.window, pool.stride, pool.pad, pool.method) == (
        (3, 2),
        (2, 2),
        (0, 1, 0, 1),
        "avg",
    )
    assert net[5] == Normalize(5, 1.0, 2e-5, 0.75)
    assert (net[6].filters == second).all()
    assert (net[6].dilate, net[6].bias, net.groups(6)) == ((2, 1), None, 2)
    assert net[7] == Dropout(0.3)
    assert (net[8].window, net[8].stride, net[8].method) == ((2, 2), (1, 1), "max")
    assert (net[9].filters == last).all()
    assert net[10] == Softmax()
    assert fdref.decode(net, 9).shape[:2] == (1, 1)


def test_a_filter_that_is_neither_square_nor_symmetric_is_not_transposed(tmp_path):
    """MATLAB's w(2, 1, 1, 1), the second row of the first column, is ours [0, 0, 1, 0]."""
    filters = np.arange(6, dtype=np.float64).reshape(1, 1, 2, 3)
    net = fdref.load(write(tmp_path / "n.mat", net={"layers": [conv(filters, [0.0])]}))
    assert net[1].filters.tolist() == [[[[0, 1, 2], [3, 4, 5]]]]
    with h5py.File(tmp_path / "n.mat") as file:
        stored = file[file[file["net/layers"][0, 0]]["weights"][0, 0]]
        assert stored.shape == (3, 2)  # reversed, and both trailing ones dropped


@pytest.mark.parametrize(
    "shape", [(1, 1, 1, 1), (1, 1, 1, 4), (1, 1, 5, 1), (1, 3, 1, 1), (2, 1, 1, 1)]
)
def test_dropped_trailing_ones_come_back(tmp_path, shape):
    net = fdref.load(
        write(tmp_path / "n.mat", net={"layers": [conv(random(*shape), random(shape[0]))]})
    )
    assert (net[1].filters == random(*shape)).all()


def test_fields_at_the_top_and_older_names(tmp_path):
    layer = {
        "type": "conv",
        "filters": in_matlab(random(2, 3, 3, 3)),
        "biases": random(2),
        "stride": 1.0,
    }
    normalization = {
        "averageImage": np.full((7, 5, 3), 9.0, np.float32),
        "imageSize": [7.0, 5.0, 3.0],
    }
    classes = {"name": ["n01", "n02"], "description": ["cat", "dog"]}
    path = write(tmp_path / "old.mat", layers=[layer], normalization=normalization, classes=classes)
    net = fdref.load(path)
    assert (net[1].filters == random(2, 3, 3, 3)).all()
    assert (net[1].bias == random(2)).all()
    assert net.average.shape == (3, 7, 5)
    assert net.input_size == (7, 5)
    assert net.classes == ("cat", "dog")


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 1), (1, 3)])
def test_an_average_colour(tmp_path, shape):
    colour = np.array([1.0, 2.0, 3.0]).reshape(shape)
    meta = {"normalization": {"averageImage": colour}, "inputSize": [9.0, 8.0, 3.0, 10.0]}
    net = fdref.load(
        write(tmp_path / "n.mat", net={"layers": [conv(random(1, 3, 2, 2), [0.0])], "meta": meta})
    )
    assert net.average.ravel().tolist() == [1, 2, 3]
    assert net.average.shape == (3, 1, 1)
    assert net.input_size == (9, 8)


def test_the_input_size_tells_the_groups_of_a_first_convolution(tmp_path):
    meta = {"inputSize": [9.0, 8.0, 4.0, 1.0]}
    net = fdref.load(
        write(
            tmp_path / "n.mat", net={"layers": [conv(random(4, 2, 2, 2), random(4))], "meta": meta}
        )
    )
    assert net.groups(1) == 2
    assert fdref.decode(net, 1).shape == (4, 4, 2, 2)


def good():
    return conv(random(2, 1, 3, 3), random(2))


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"x": 1.0}, r"no network among the file's variables \(x\)"),
        ({"net": 1.0}, "no network among the file's variables"),
        ({"net": {"layers": [], "params": 1.0, "vars": 1.0}}, "is a DagNN; expected a SimpleNN"),
        ({"net": {"layers": []}}, "no convolutional layer"),
        ({"net": {"layers": [good(), {"name": "x"}]}}, "layer 2 has no type"),
        (
            {"net": {"layers": [{"type": "concat"}]}},
            r"layer 1 \(concat\): fdref does not know this",
        ),
        ({"net": {"layers": [{"type": "conv"}]}}, "the weights are no arrays"),
        ({"net": {"layers": [{**good(), "stride": 1.5}]}}, r"`stride` is \[1.5\]; expected whole"),
        ({"net": {"layers": [{**good(), "stride": np.nan}]}}, r"`stride` is \[nan\]"),
        ({"net": {"layers": [{**good(), "stride": 0.0}]}}, "stride is"),
        ({"net": {"layers": [{**good(), "pad": [1.0] * 3}]}}, "pad is"),
        ({"net": {"layers": [{**good(), "pad": "same"}]}}, "`pad` is no array of numbers"),
        (
            {"net": {"layers": [good(), conv(random(2, 3, 1, 1), [0.0, 0])]}},
            r"layer 2 \(conv\): 2 filters",
        ),
        ({"net": {"layers": [conv(random(2, 1, 3, 3) * np.nan, [0.0, 0])]}}, "hold nan"),
        ({"net": {"layers": [conv(random(2, 1, 3, 3), [0.0, np.inf])]}}, "hold inf"),
        ({"net": {"layers": [conv(random(2, 1, 3, 3), [0.0])]}}, "biases are 1 numbers"),
        ({"net": {"layers": [{"type": "pool"}]}}, r"layer 1 \(pool\): `pool` is missing"),
        (
            {"net": {"layers": [{"type": "bnorm", "weights": [[1.0], [1.0]]}]}},
            "there are no moments",
        ),
        ({"net": {"layers": [{"type": "normalize", "param": [5.5, 1, 1, 1]}]}}, "`param` is"),
        (
            {"net": {"layers": [good()], "meta": {"inputSize": [2.0, 2.0, 1.0]}}},
            "does not fit into its map",
        ),
        (
            {"net": {"layers": [good()], "meta": {"normalization": {"averageImage": "?"}}}},
            "`averageImage`",
        ),
    ],
)
def test_files_that_hold_no_network_we_could_run(tmp_path, variables, message):
    path = write(tmp_path / "bad.mat", **variables)
    with pytest.raises(NetworkError, match=message) as caught:
        fdref.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


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


def test_a_file_that_matlab_wrote(shared, engine):
    """DnCNN's 17 convolutions; the residual of a smooth image is small, as its authors mean it."""
    net = fdref.load(shared / "models" / "dncnn-gray-simplenn-v73.mat")
    assert len(net.decodable) == 17
    assert net.dtype == np.float32
    bank = fdref.decode(net, net.decodable[4], filters=[0, 63], engine=engine)
    assert bank.shape == (2, 1, 11, 11)
    y, x = np.mgrid[:32, :32] / 32
    smooth = (0.5 + 0.2 * np.sin(5 * x) * y)[None, None]
    noise = 25 / 255 * np.random.default_rng(0).standard_normal(smooth.shape)
    residual = fdref.forward(net, smooth + noise, engine=engine)[-1]
    assert np.corrcoef(residual.ravel(), noise.ravel())[0, 1] > 0.9


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("dncnn-gray-dagnn-v73.mat", "DagNN; expected a SimpleNN"),
        ("fdncnn-color-simplenn-v73.mat", r"layer 1 \(concat 'layer1'\): fdref does not know"),
        ("plate-simplenn-v5.mat", "MATLAB v5 file"),
    ],
)
def test_files_that_matlab_wrote_and_we_refuse(shared, name, message):
    with pytest.raises(fdref.FdrefError, match=message):
        fdref.load(shared / "models" / name)


def test_the_shipped_lenet_is_the_one_of_the_specification():
    net = fdref.load()
    assert [layer.kind for layer in net] == [
        "conv",
        "pool",
        "conv",
        "pool",
        "conv",
        "relu",
        "conv",
        "softmax",
    ]
    assert net.classes == tuple("0123456789")
    assert net.average.shape == (1, 28, 28)
    assert net.input_size == (28, 28)
    assert "fdref train" in net.provenance
    variables = matlab.read(fdref.weights.SHIPPED)
    assert variables["net"]["layers"][2]["weights"][0].shape == (50, 20, 5, 5)


@pytest.mark.large
def test_the_shipped_lenet_knows_99_of_100_digits(shared):
    net, digits = fdref.load(), fdref.mnist(shared / "mnist").test
    right = 0
    for first in range(0, 10_000, 1000):
        part = slice(first, first + 1000)
        guesses = fdref.forward(net, net.prepare(digits.images[part]))[-1].argmax(axis=1).ravel()
        right += int((guesses == digits.labels[part]).sum())
    assert right >= 9_900

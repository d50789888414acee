"""SimpleNN files that MATLAB or others wrote: the network that they hold, or a refusal."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from second_writer import Writer, conv, in_matlab, random, write

import fdref
from fdref import Dropout, NetworkError, Normalize, ReLU, Softmax
from fdref.weights import matlab


def good():
    return conv(random(2, 1, 3, 3), random(2))


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


@pytest.mark.parametrize("older", [True, False])
def test_the_size_of_images_stands_in_one_of_two_places(tmp_path, older):
    """Without an average image, nothing else tells it."""
    size = [9.0, 8.0, 3.0]
    meta = {"normalization": {"imageSize": size}} if older else {"inputSize": size}
    layers = [conv(random(1, 3, 2, 2), [0.0])]
    net = fdref.load(write(tmp_path / "n.mat", net={"layers": layers, "meta": meta}))
    assert net.input_size == (9, 8)


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


@pytest.mark.parametrize("place", ["net.meta", "net", "meta", ""])
@pytest.mark.parametrize("more", [{}, {"meta": {"trained": 1.0}}], ids=["alone", "beside a meta"])
def test_what_is_told_of_images_may_stand_beside_the_net(tmp_path, place, more):
    """In the net's `meta`, in the net, in a `meta` beside it, or beside it."""
    told = {
        "normalization": {
            "averageImage": np.array([1.0, 2.0, 3.0]).reshape(1, 1, 3),
            "imageSize": [9.0, 8.0, 3.0],
        }
    }
    net = {"layers": [conv(random(1, 3, 2, 2), [0.0])], **(more if place in ("net", "") else {})}
    match place:
        case "net.meta":
            variables = {"net": {**net, "meta": told}}
        case "net":
            variables = {"net": {**net, **told}}
        case "meta":
            variables = {"net": net, "meta": told}
        case _:
            variables = {"net": net, **told}
    loaded = fdref.load(write(tmp_path / "n.mat", **variables))
    assert loaded.average.ravel().tolist() == [1, 2, 3]
    assert loaded.input_size == (9, 8)


@pytest.mark.parametrize("average", [np.array(7.0), np.full((9, 8), 7.0)], ids=["number", "grey"])
def test_one_average_for_all_channels(tmp_path, average):
    """MATLAB subtracts it from every channel."""
    meta = {"normalization": {"averageImage": average}, "inputSize": [9.0, 8.0, 3.0]}
    layers = [conv(random(1, 3, 2, 2), [0.0])]
    net = fdref.load(write(tmp_path / "n.mat", net={"layers": layers, "meta": meta}))
    assert net.average.shape in {(3, 1, 1), (3, 9, 8)}
    images = np.full((2, 3, 9, 8), 10, np.uint8)
    assert (net.prepare(images) == 3).all()


@pytest.mark.parametrize("size", [(12, 11), (6, 5)], ids=["larger", "smaller"])
def test_an_average_of_another_size_stops_prepare_alone(tmp_path, size, engine):
    """Networks that were trained on crops keep the average of whole images."""
    meta = {
        "normalization": {"averageImage": np.full((*size, 3), 7.0)},
        "inputSize": [9.0, 8.0, 3.0],
    }
    layers = [conv(random(1, 3, 2, 2), [0.0])]
    net = fdref.load(write(tmp_path / "n.mat", net={"layers": layers, "meta": meta}))
    assert (net.average.shape, net.input_size) == ((3, *size), (9, 8))
    assert (fdref.decode(net, 1, engine=engine) == random(1, 3, 2, 2)).all()
    acts = fdref.forward(net, np.ones((1, 3, 9, 8)), engine)  # prepared elsewhere
    assert acts[1].shape == (1, 1, 8, 7)
    message = rf"average image is {size[0]}x{size[1]}, its input 9x8; expected the same size"
    for images in (np.zeros((1, 3, 9, 8)), np.zeros((1, 3, *size))):
        with pytest.raises(fdref.ArgumentError, match=message):
            net.prepare(images)
    fdref.save(net, tmp_path / "again.mat")
    again = fdref.load(tmp_path / "again.mat")
    assert (again.average == net.average).all()
    assert again.input_size == net.input_size


@pytest.mark.parametrize(
    ("written", "method"),
    [("MAX", "max"), ("Avg", "avg"), ("avg", "avg"), ("", "max"), (np.zeros((0, 0)), "max")],
)
def test_the_method_of_pooling_in_any_case(tmp_path, written, method):
    layers = [good(), {"type": "pool", "pool": 2.0, "method": written}]
    net = fdref.load(write(tmp_path / "n.mat", net={"layers": layers}))
    assert net[2].method == method


def test_weights_that_stand_in_no_cell(tmp_path):
    filters = random(4, 2, 3, 3)
    layers = [
        {"type": "conv", "weights": in_matlab(filters)},
        {"type": "conv", "weights": np.zeros((0, 0)), "filters": in_matlab(random(3, 4, 1, 1))},
    ]
    net = fdref.load(write(tmp_path / "n.mat", net={"layers": layers}))
    assert (net[1].filters == filters).all()
    assert (net[1].bias, net[2].bias) == (None, None)
    assert (net[2].filters == random(3, 4, 1, 1)).all()


@pytest.mark.parametrize("block", [512, 4096, 2**16, 2**20])
def test_a_users_block_before_the_data(tmp_path, block):
    write_block(tmp_path / "c.mat", block)
    assert fdref.load(tmp_path / "c.mat").channels == (1, 2)


def write_block(path, block):
    """Write a network after a block of the user's own."""
    writer = Writer(path, block)
    writer.put(writer.file, "net", {"layers": [good()]})
    writer.close()


def object_of(path, place, kind):
    """Make a value an object as MATLAB stores one: numbers that only MATLAB can read."""
    with h5py.File(path, "r+") as file:
        layer = file[file["net/layers"][0, 0]] if place else file["net"]
        name = place or "net"
        if name == "weights{1}":
            node, name = file[layer["weights"][0, 0]], None
        if name is not None:
            parent = layer if place else file
            del parent[name]
            node = parent.create_dataset(name, data=np.array([[0xDD000000, 2, 1, 1, 1, 1]], "u4"))
        node.attrs["MATLAB_class"] = np.bytes_(kind)
        node.attrs["MATLAB_object_decode"] = np.int32(3)
    return path


@pytest.mark.parametrize(
    ("place", "kind", "message"),
    [
        ("weights{1}", "gpuArray", r"layer 1 \(conv 'c'\): the weights are .*'gpuArray'.*`gather`"),
        ("weights", "gpuArray", "'gpuArray', which cannot be read: in MATLAB, .*`gather`"),
        ("type", "string", "layer 1 or its type is .*'string', .* in MATLAB, .* with `char`"),
        ("stride", "gpuArray", "`stride` is .*'gpuArray', .* `gather`"),
        ("stride", "myclass", "'myclass', .* in MATLAB, save what it holds as plain arrays"),
        ("", "dagnn.DagNN", r"`net` is .*'dagnn.DagNN', .*net.saveobj\(\)"),
    ],
)
def test_objects_of_matlab_are_named_with_a_remedy(tmp_path, place, kind, message):
    layers = [{**good(), "name": "c", "stride": 1.0}]
    path = object_of(write(tmp_path / "n.mat", net={"layers": layers}), place, kind)
    with pytest.raises(NetworkError, match=message) as caught:
        fdref.load(path)
    assert str(caught.value).startswith(f"{path}: ")


@pytest.mark.parametrize("place", ["name", "opts", "momentum"])
def test_objects_that_nobody_needs_hurt_nobody(tmp_path, place):
    layers = [{**good(), "name": "c", "opts": 1.0, "momentum": 1.0}]
    path = object_of(write(tmp_path / "n.mat", net={"layers": layers}), place, "string")
    assert fdref.load(path).channels == (1, 2)


def test_a_method_of_pooling_that_is_an_object(tmp_path):
    layers = [{"type": "pool", "pool": 2.0, "method": "avg"}, good()]
    path = object_of(write(tmp_path / "n.mat", net={"layers": layers}), "method", "string")
    with pytest.raises(
        NetworkError, match=r"`method` is .*'string'.*`char`.*expected 'max' or 'avg'"
    ):
        fdref.load(path)


NASTY = "\x1b[2J\n\u202e" + "x" * 5000


@pytest.mark.parametrize(
    "variables",
    [
        {"x" * 3000: 1.0},
        {"net": {"layers": [{"type": NASTY}]}},
        {"net": {"layers": [{"type": NASTY, "name": NASTY}]}},
        {"net": {"layers": [{**good(), "name": NASTY, "stride": 0.0}]}},
        {"net": {"layers": [good(), conv(random(2, 3, 1, 1), [0.0, 0.0], name=NASTY)]}},
        {"net": {"layers": [{"type": "pool", "pool": 2.0, "method": NASTY}, good()]}},
        {"net": {"layers": [{**good(), "stride": np.arange(5000.0)}]}},
        {"net": {"layers": [{**good(), "stride": 1e300}]}},
        {"net": {"layers": [{"type": "normalize", "param": np.arange(5000.0)}]}},
        {"net": {"layers": [good()], "meta": {"inputSize": [2.0**21, 5.0, 1.0]}}},
        {"net": {"layers": [good()], "meta": {"inputSize": [5.0, 5.0, 2.0**21]}}},
    ],
)
def test_whatever_stands_in_a_file_messages_are_short_and_printable(tmp_path, variables):
    path = write(tmp_path / "bad.mat", **variables)
    with pytest.raises(NetworkError) as caught:
        fdref.load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert message.isprintable()
    assert len(message) < 700


def test_the_input_size_tells_the_groups_of_a_first_convolution(tmp_path):
    meta = {"inputSize": [9.0, 8.0, 4.0, 1.0]}
    net = fdref.load(
        write(
            tmp_path / "n.mat", net={"layers": [conv(random(4, 2, 2, 2), random(4))], "meta": meta}
        )
    )
    assert net.groups(1) == 2
    assert fdref.decode(net, 1).shape == (4, 4, 2, 2)


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({"x": 1.0}, r"no network among the file's variables \(x: 1\)"),
        ({"net": 1.0}, "no network among the file's variables"),
        ({"net": {"layers": [], "params": 1.0, "vars": 1.0}}, "parameter 1 has no name"),
        ({"net": {"layers": []}}, "no convolutional layer"),
        ({"net": {"layers": [good(), {"name": "x"}]}}, "layer 2 has no type"),
        ({"net": {"layers": [{"type": "concat"}]}}, "no convolutional layer"),
        ({"net": {"layers": [{"type": "conv"}]}}, "there are no weights"),
        ({"net": {"layers": [{**good(), "stride": 1.5}]}}, r"`stride` is \[1.5\]; expected whole"),
        ({"net": {"layers": [{**good(), "stride": np.nan}]}}, r"`stride` is \[nan\]"),
        ({"net": {"layers": [{**good(), "stride": 0.0}]}}, "stride is"),
        ({"net": {"layers": [{**good(), "pad": [1.0] * 3}]}}, "pad is"),
        ({"net": {"layers": [{**good(), "pad": "same"}]}}, "`pad` is text; expected numbers"),
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
        *(
            (
                {
                    "net": {
                        "layers": [conv(random(2, 3, 3, 3), [0.0, 0.0])],
                        "meta": {"normalization": {"averageImage": np.ones((9, 9, 4))}, **size},
                    }
                },
                "`averageImage` has 4 channels; expected 3, or one for all",
            )
            for size in ({}, {"inputSize": [9.0, 9.0, 3.0]})
        ),
    ],
)
def test_files_that_hold_no_network_we_could_run(tmp_path, variables, message):
    path = write(tmp_path / "bad.mat", **variables)
    with pytest.raises(NetworkError, match=message) as caught:
        fdref.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


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


@pytest.mark.slow
@pytest.mark.large
def test_the_shipped_lenet_knows_99_of_100_digits(shared):
    net, digits = fdref.load(), fdref.mnist(shared / "mnist").test
    right = 0
    for first in range(0, 10_000, 1000):
        part = slice(first, first + 1000)
        guesses = fdref.forward(net, net.prepare(digits.images[part]))[-1].argmax(axis=1).ravel()
        right += int((guesses == digits.labels[part]).sum())
    assert right >= 9_900

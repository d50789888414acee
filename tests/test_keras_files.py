"""Keras's files of all ages without Keras: what is read, what is refused and how."""

from __future__ import annotations

import io
import json
import marshal
import struct
import zipfile

import h5py
import numpy as np
import pytest
from keras_writer import archive, arrays_h5, chain, functional, h5, keras3, layer, sequential

import fdref
from fdref import layers as kinds
from fdref.errors import FileError, NetworkError
from fdref.weights.bounded import Budget
from fdref.weights.keras import is_keras, network_from_keras

RANDOM = np.random.default_rng(0)
KERNEL = RANDOM.standard_normal((3, 3, 3, 4)).astype("f4")
BIAS = RANDOM.standard_normal(4).astype("f4")
CONV = {"filters": 4, "kernel_size": [3, 3]}
EDGES = ("Conv2D", "edges", CONV)
WEIGHTS = {"edges": [KERNEL, BIAS]}
IMAGE = layer("InputLayer", "image", batch_input_shape=[None, 9, 8, 3])
FILTERS = KERNEL.transpose(3, 2, 0, 1)


def refusal(data, *words, error=NetworkError, **more):
    with pytest.raises(error) as caught:
        network_from_keras(data, **more)
    message = str(caught.value)
    assert all(word in message for word in words), message
    assert message.isprintable()
    return message


def test_a_path_or_the_bytes(tmp_path):
    data = h5(chain(EDGES), WEIGHTS)
    path = tmp_path / "anything.txt"
    path.write_bytes(data)
    assert network_from_keras(path) == network_from_keras(f"{path}") == network_from_keras(data)
    with pytest.raises(FileError, match=r"nothing\.h5 cannot be read"):
        network_from_keras(tmp_path / "nothing.h5")
    path.write_bytes(h5(chain(("Lambda", "code", {})), {}))
    with pytest.raises(NetworkError, match=r"anything\.txt: Keras layer 2 \(Lambda 'code'\)"):
        network_from_keras(path)


def test_what_is_keras_is_told_by_content(tmp_path):
    assert is_keras(h5(chain(EDGES), WEIGHTS))
    assert is_keras(keras3(chain(EDGES)))
    assert is_keras(arrays_h5({"layers/conv2d": [KERNEL]}))  # weights alone
    assert not is_keras(archive([("data.pkl", b"")]))
    assert not is_keras(b"")
    assert not is_keras(b"MATLAB 5.0 MAT-file")
    fdref.save(fdref.load(), tmp_path / "net.mat")
    assert not is_keras((tmp_path / "net.mat").read_bytes())


# Keras 1


OLD = {"nb_filter": 4, "nb_row": 3, "nb_col": 3, "border_mode": "same", "bias": True}


def old_chain(*layers):
    """Keras 1 keeps a plain list, and the shape in the first layer."""
    own = [{"class_name": kind, "config": {"name": name, **more}} for kind, name, more in layers]
    return {"class_name": "Sequential", "config": own}


@pytest.mark.parametrize("backend", ["", "tensorflow", "theano"])
def test_keras_1_with_tensorflows_order_of_axes(backend):
    shape = {"batch_input_shape": [None, 9, 8, 3], "dim_ordering": "tf", "subsample": [2, 2]}
    config = old_chain(
        ("Convolution2D", "edges", OLD | shape | {"activation": "relu"}),
        ("MaxPooling2D", "pool", {"pool_size": [2, 2], "border_mode": "valid", "strides": None}),
        ("Dropout", "drop", {"p": 0.25}),
        ("Flatten", "flat", {}),
        ("Dense", "top", {"output_dim": 2, "activation": "hard_sigmoid"}),
    )
    top = RANDOM.standard_normal((2 * 2 * 4, 2)).astype("f4")
    weights = WEIGHTS | {"top": [top, np.zeros(2, "f4")]}
    net = network_from_keras(h5(config, weights, "1.2.2" if backend else "", backend))
    turned = FILTERS[:, :, ::-1, ::-1] if backend == "theano" else FILTERS
    assert list(net) == [
        kinds.Conv(turned, BIAS, 2, (1, 1, 0, 1), name="edges"),
        kinds.ReLU(name="edges/relu"),
        kinds.Pool(2, 2, name="pool"),
        kinds.Dropout(0.25, "drop"),
        kinds.Conv(top.reshape(2, 2, 4, 2).transpose(3, 2, 0, 1), np.zeros(2, "f4"), name="top"),
        kinds.Elementwise("hard_sigmoid", (0.2, 0.5), "top/hard_sigmoid"),
    ]
    assert net.input_size == (9, 8)


def test_keras_1_with_theanos_order_of_axes():
    shape = {"batch_input_shape": [None, 3, 9, 8], "dim_ordering": "th"}
    config = old_chain(
        ("Convolution2D", "edges", OLD | shape),
        ("BatchNormalization", "norm", {"mode": 0, "axis": 1, "epsilon": 0.5}),
        ("Flatten", "flat", {}),
        ("Dense", "top", {"output_dim": 2}),
    )
    top = RANDOM.standard_normal((4 * 9 * 8, 2)).astype("f4")
    weights = {
        "edges": [KERNEL.transpose(3, 2, 0, 1), BIAS],
        "norm": [BIAS, BIAS, BIAS, BIAS**2],
        "top": [top, np.zeros(2, "f4")],
    }
    net = network_from_keras(h5(config, weights, "1.1.0", ""))
    assert (net["edges"].filters == FILTERS).all()
    assert (net["top"].filters == top.reshape(4, 9, 8, 2).transpose(3, 0, 1, 2)).all()
    assert np.allclose(net["norm"].deviation, np.sqrt(BIAS**2 + 0.5), rtol=1e-6)


def test_keras_1_merges():
    left = layer("Convolution2D", "left", ["image", 0, 0], **OLD)
    right = layer("Convolution2D", "right", ["image", 0, 0], **OLD)
    for mode, kind in (("sum", kinds.Sum), ("concat", kinds.Concat), ("mul", kinds.Product)):
        merge = layer("Merge", "both", ["left", 0, 0], ["right", 0, 0], mode=mode, concat_axis=-1)
        merge["inbound_nodes"] = [[["left", 0, 0], ["right", 0, 0]]]
        config = functional(IMAGE, left, right, merge)
        net = network_from_keras(h5(config, {"left": [KERNEL, BIAS], "right": [KERNEL, BIAS]}, ""))
        assert isinstance(net["both"], kind)
        assert net.takes[3] == (1, 2)


# Both kinds of files


def test_lists_of_names_in_parts():
    net = network_from_keras(h5(chain(EDGES), WEIGHTS, parts=2))
    assert (net["edges"].filters == FILTERS).all()
    assert (net["edges"].bias == BIAS).all()


def test_arrays_are_named_after_classes_and_counted():
    twos = [("Conv2D", name, CONV | {"use_bias": False, "filters": 3}) for name in "cab"]
    arrays = RANDOM.standard_normal((3, 3, 3, 3, 3)).astype("f4")
    paths = ["layers/conv2d", "layers/conv2d_1", "layers/conv2d_2"]
    net = network_from_keras(
        keras3(chain(*twos), {p: [a] for p, a in zip(paths, arrays, strict=True)})
    )
    for name, array in zip("cab", arrays, strict=True):
        assert (net[name].filters == array.transpose(3, 2, 0, 1)).all()


def test_keras_2_12_calls_the_group_otherwise():
    weights = {"_layer_checkpoint_dependencies/conv2d": [KERNEL, BIAS]}
    net = network_from_keras(keras3(chain(EDGES), weights, "2.12.0"))
    assert (net["edges"].filters == FILTERS).all()


def test_a_layer_that_is_called_twice_is_kept_once():
    conv = layer("Conv2D", "edges", ["image", 0, 0], **CONV | {"filters": 3, "padding": "same"})
    conv["inbound_nodes"].append([["edges", 0, 0, {}]])
    config = functional(IMAGE, conv, outputs=[["edges", 1, 0]])
    net = network_from_keras(h5(config, {"edges": [KERNEL[..., :3], BIAS[:3]]}))
    assert net[1] is net[2]
    assert net.takes == ((), (0,), (1,))


def test_a_size_where_the_file_tells_none():
    strided = ("Conv2D", "edges", CONV | {"strides": [2, 2], "padding": "same"})
    data = h5(chain(strided, shape=(None, None, 3)), WEIGHTS)
    refusal(data, "Keras layer 2 (Conv2D 'edges')", "same", "input_size")
    assert network_from_keras(data, input_size=8)["edges"].pad == (0, 1, 0, 1)
    assert network_from_keras(data, input_size=(9, 8))["edges"].pad == (1, 1, 0, 1)
    plain = h5(chain(EDGES, shape=(None, None, 3)), WEIGHTS)
    assert network_from_keras(plain).input_size is None
    assert network_from_keras(plain, input_size=20).input_size == (20, 20)


def test_float64_and_float16_arrays():
    for dtype, own in (("f8", np.float64), ("f2", np.float32)):
        weights = {"edges": [KERNEL.astype(dtype), BIAS.astype(dtype)]}
        assert network_from_keras(h5(chain(EDGES), weights)).dtype == own


# What is refused


def test_weights_alone():
    message = refusal(
        arrays_h5({"layers/conv2d": [KERNEL, BIAS]}), "weights alone", "model.save", error=FileError
    )
    assert "layers/conv2d/vars/0 (3, 3, 3, 4)" in message
    assert "fdref.Conv(kernel.transpose(3, 2, 0, 1), bias)" in message
    refusal(keras3(chain(EDGES)), "has 0 arrays", "expected 2")
    refusal(h5(chain(EDGES)), "no group 'edges'")


def test_code_is_never_run(tmp_path):
    mark = tmp_path / "ran"
    code = marshal.dumps(compile(f"open({str(mark)!r}, 'w')", "", "exec"))
    function = [code.hex(), None, None]
    config = chain(EDGES, ("Lambda", "code", {"function": function, "function_type": "lambda"}))
    for data in (h5(config, WEIGHTS), keras3(config, {"layers/conv2d": WEIGHTS["edges"]})):
        refusal(data, "Keras layer 3 (Lambda 'code')", "never run")
    config = chain(("Conv2D", "edges", CONV | {"activation": {"class_name": "__lambda__"}}))
    refusal(h5(config, WEIGHTS), "its activation is '__lambda__'")
    assert not mark.exists()


SAME = CONV | {"padding": "same"}


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (("LSTM", "memory", {}), ["layer 3 (LSTM 'memory')", "does not translate"]),
        (("Resizing", "r", {"height": 3}), ["layer 3 (Resizing 'r')", "resize the images"]),
        (("UpSampling2D", "u", {"interpolation": "bilinear"}), ["'bilinear'", "'nearest'"]),
        (("Permute", "p", {"dims": [2, 1, 3]}), ["rows before columns"]),
        (("Reshape", "r", {"target_shape": [6, 28]}), ["6x28", "same numbers"]),
        (("Reshape", "r", {"target_shape": [5]}), ["lengths for 168 numbers"]),
        (("Softmax", "s", {"axis": 1}), ["axis 1"]),
        (("BatchNormalization", "b", {"axis": [1]}), ["axis [1]", "channels"]),
        (("Activation", "a", {"activation": "mish"}), ["'mish'", "relu"]),
        (("Activation", "a", {"activation": {}}), ["activation is {}"]),
        (("ReLU", "r", {"threshold": 1.0}), ["threshold"]),
        (("Conv2D", "c", CONV | {"padding": "causal"}), ["'causal'", "valid"]),
        (("Conv2D", "c", CONV | {"strides": 0}), ["`strides` is 0"]),
        (("Conv2D", "c", CONV | {"kernel_size": [3, 10**9]}), ["`kernel_size`"]),
        (("Concatenate", "c", {"axis": 1}), ["axis 1", "channels"]),
        (("Add", "a", {}), ["joins 1 tensors"]),
        (("Rescaling", "r", {"scale": [1, 2, 3]}), ["3 factors", "4 channels"]),
        (("ZeroPadding2D", "z", {"padding": [1, 2, 3]}), ["`padding`"]),
        (("Cropping2D", "c", {"cropping": 9}), ["leaves nothing"]),
        (("Dense", "d", {"units": "many"}), ["`units` is 'many'"]),
        (("TFOpLambda", "t", {"function": "os.system"}), ["'os.system'"]),
        (("InputLayer", "i", {}), ["no input of its model"]),
    ],
)
def test_layers_that_are_refused_are_named(own, words):
    refusal(h5(chain(EDGES, own), WEIGHTS | {own[1]: []}), f"({own[0]} '{own[1]}')", *words)


def test_axes_in_two_orders():
    last, first = ({"data_format": f"channels_{end}"} for end in ("last", "first"))
    own = [("Conv2D", "edges", CONV | last), ("MaxPooling2D", "pool", first)]
    refusal(h5(chain(*own), WEIGHTS), "(MaxPooling2D 'pool')", "axes are HxWxC", "expected")


def test_a_map_that_is_not_square_is_flattened_for_dense_layers_alone():
    flat = ("Flatten", "flat", {})
    norm = ("BatchNormalization", "norm", {})
    message = refusal(h5(chain(EDGES, flat, norm), WEIGHTS | {"norm": [BIAS] * 4}))
    assert "a map of 7x6 is flattened" in message


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ([KERNEL], ["has 1 arrays", "expected 2"]),
        ([KERNEL, BIAS, BIAS], ["has 3 arrays", "expected 2"]),
        ([KERNEL.T, BIAS], ["shape (4, 3, 3, 3)", "expected (3, 3, 3, 4)"]),
        ([KERNEL, BIAS[:3]], ["shape (3,)"]),
        ([KERNEL * np.nan, BIAS], ["finite"]),
        ([KERNEL.astype("i1"), BIAS], ["int8", "quantised"]),
        ([KERNEL, np.array([b"bias"])], ["its array 'edges/1:0'"]),
    ],
)
def test_arrays_that_do_not_fit(arrays, words):
    error = FileError if arrays[-1].dtype.kind == "S" else NetworkError
    refusal(h5(chain(EDGES), {"edges": arrays}), "(Conv2D 'edges')", *words, error=error)


def test_quantised_layers_have_an_array_more():
    weights = {"layers/conv2d": [KERNEL.astype("i1"), BIAS, BIAS]}
    refusal(keras3(chain(EDGES), weights), "has 3 arrays")


def test_variances_that_are_negative():
    norm = ("BatchNormalization", "norm", {})
    refusal(h5(chain(EDGES, norm), WEIGHTS | {"norm": [BIAS] * 3 + [-abs(BIAS) - 1]}), "variance")


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ([], ["its graph is []"]),
        ({"class_name": "Sequential"}, ["object with its fields"]),
        ({"class_name": "MyModel", "config": {}}, ["code of its own"]),
        (sequential(), ["takes None"]),
        (sequential(7), ["Keras layer 1 is 7"]),
        (chain(EDGES, shape=()), ["takes ()"]),
        (chain(EDGES, shape=(2, 3, 4, 5)), ["HxWxC"]),
        (chain(EDGES, shape=(9, 9, None)), ["number of channels"]),
        (chain(EDGES, shape=(9, "x", 3)), ["'x'"]),
        (chain(EDGES, shape=(9, 9, -3)), ["-3"]),
        (functional(IMAGE, IMAGE), ["another one's name"]),
        (functional(IMAGE, layer("ReLU", "r", ["nobody", 0, 0])), ["'nobody'"]),
        (functional(IMAGE, layer("ReLU", "r", ["image", 1, 0])), ["call 1", "expected one of 1"]),
        (functional(IMAGE, layer("ReLU", "r", ["image", 0, 1])), ["output 1"]),
        (functional(IMAGE, layer("ReLU", "r", ["image", -1, 0])), ["call -1"]),
        (functional(IMAGE, layer("ReLU", "r", ["r", 0, 0])), ["its own output"]),
        (functional(IMAGE, layer("ReLU", "r")), ["takes 0 tensors"]),
        (functional(IMAGE, layer("ReLU", "r", ["image", 0, 0]), outputs=[[1]]), ["a tensor is 1"]),
        (functional(IMAGE, layer("ReLU", "r", ["image", 0, 0]), inputs=[["r", 0, 0]]), ["takes"]),
    ],
)
def test_graphs_that_are_none(config, words):
    refusal(h5(config, WEIGHTS), *words)


def test_a_circle_of_two():
    one = layer("ReLU", "one", ["other", 0, 0])
    other = layer("ReLU", "other", ["one", 0, 0])
    refusal(h5(functional(IMAGE, one, other), {}), "without circles")


def test_calls_as_in_training():
    drop = layer("Dropout", "drop", ["image", 0, 0, {"training": True}])
    refusal(h5(functional(IMAGE, drop), {}), "(Dropout 'drop')", "training")


# Hostile files


def test_models_that_double_each_other():
    """Thirty models, each of which calls the next one twice: a billion layers."""
    inner = layer("ReLU", "r", ["in", 0, 0])
    model = functional(layer("InputLayer", "in", batch_input_shape=[None, 9, 8, 3]), inner)
    for _ in range(22):
        inside = layer("InputLayer", "in", batch_input_shape=[None, 9, 8, 3])
        nested = {**model, "name": "m", "inbound_nodes": [[["in", 0, 0, {}]], [["m", 1, 0, {}]]]}
        nested["config"] = nested["config"] | {"name": "m"}
        model = functional(inside, nested, outputs=[["m", 2, 0]])
    refusal(h5(model, {}), "too much", error=FileError)


def test_json_that_is_deep_or_long_or_ambiguous():
    for text, words in (
        ("[" * 5000 + "]" * 5000, "levels deep"),
        ('{"a":' * 5000 + "1" + "}" * 5000, "levels deep"),
        ("[" * 10**6, "too much"),
        ("]" * 10**6, "brackets"),
        ('{"class_name": "Sequential", "class_name": "Model"}', "two values of one name"),
        ('"' + '\\"' * 10**6, "no JSON"),
        ("[" + "9" * 10**6 + "]", "no JSON"),
        ("{", "brackets"),
        ("nothing", "no JSON"),
    ):
        refusal(h5(text, {}), words, error=FileError)
        members = [("config.json", text), ("model.weights.h5", arrays_h5({}))]
        refusal(archive(members), words, error=FileError)


@pytest.mark.parametrize("name", ["../model.weights.h5", "/etc/passwd", "x" * 60000, "a\n\x1b[31m"])
def test_other_members_of_a_zip_are_never_looked_at(name):
    good = keras3(chain(EDGES), {"layers/conv2d": WEIGHTS["edges"]}, **{name: b"anything"})
    assert len(network_from_keras(good)) == 1


def test_zips_that_lack_a_member_say_what_is_there():
    refusal(archive([("a\n\x1b[31mb", b"")]), "is a zip of a??[31mb", error=FileError)
    refusal(archive([]) if archive([]).startswith(b"PK\x03") else b"PK\x03\x04", error=FileError)
    refusal(archive([("config.json", b"{}")]), "model.weights.h5", error=FileError)


def test_zips_that_hold_a_member_twice():
    weights = arrays_h5({})
    with pytest.warns(UserWarning, match="Duplicate"):
        data = archive(
            [("config.json", "{}"), ("config.json", "[]"), ("model.weights.h5", weights)]
        )
    refusal(data, "config.json is there more than once", error=FileError)


def test_zips_that_are_packed_in_rare_ways():
    members = [("config.json", "{}"), ("model.weights.h5", b"")]
    refusal(archive(members, zipfile.ZIP_LZMA), "packed by method 14", error=FileError)
    data = bytearray(archive(members))
    entry = data.index(b"PK\x01\x02")
    data[entry + 8] |= 1
    refusal(bytes(data), "encrypted", error=FileError)


def test_zip_bombs():
    bomb = archive([("config.json", bytes(2**28)), ("model.weights.h5", b"")], zipfile.ZIP_DEFLATED)
    refusal(bomb, "too much", error=FileError)
    data = bytearray(archive([("config.json", b"{}"), ("model.weights.h5", b"")]))
    entry = data.index(b"PK\x01\x02")
    data[entry + 24 : entry + 28] = struct.pack("<I", 2**31)
    refusal(bytes(data), "claims 2147483648 bytes in 2", error=FileError)


def test_zips_of_very_many_members():
    entry = b"PK\x01\x02" + bytes(42)
    data = b"PK\x03\x04" + entry * 200_000
    end = b"PK\x05\x06" + struct.pack("<HHHHIIH", 0, 0, 2**16 - 1, 2**16 - 1, len(data) - 4, 4, 0)
    refusal(data + end, "too much", error=FileError)


def test_links_to_elsewhere(tmp_path):
    path = tmp_path / "model.h5"
    for link in (h5py.SoftLink("/model_weights/edges"), h5py.ExternalLink("other.h5", "/x")):
        path.write_bytes(h5(chain(EDGES), WEIGHTS))
        with h5py.File(path, "a") as file:
            group = file["model_weights/edges"]
            del group["edges"]
            group["edges"] = link
        refusal(path, "link to elsewhere", error=FileError)


def test_arrays_in_other_files(tmp_path):
    path = tmp_path / "model.h5"
    path.write_bytes(h5(chain(EDGES), WEIGHTS))
    with h5py.File(path, "a") as file:
        group = file["model_weights/edges/edges"]
        del group["0:0"]
        outside = [(str(tmp_path / "secret"), 0, KERNEL.nbytes)]
        group.create_dataset("0:0", KERNEL.shape, "f4", external=outside)
    refusal(path, "lies in another file", error=FileError)


def test_arrays_that_are_claimed_and_not_stored(tmp_path):
    path = tmp_path / "model.h5"
    huge = CONV | {"filters": 2**20}
    path.write_bytes(h5(chain(("Conv2D", "edges", huge)), WEIGHTS))
    with h5py.File(path, "a") as file:
        group = file["model_weights/edges/edges"]
        del group["0:0"]
        shape = (3, 3, 3, 2**20)
        group.create_dataset("0:0", shape, "f4", chunks=(3, 3, 3, 1024), compression="gzip")
    refusal(path, "which cannot be", error=FileError)


def test_one_array_for_very_many_layers():
    """Small in the file, and not in memory."""
    big = np.zeros((1, 1, 512, 512), "f4")
    names = [f"c{number}" for number in range(400)]
    own = {"filters": 512, "kernel_size": 1, "use_bias": False}
    config = chain(*(("Conv2D", name, own) for name in names), shape=(2, 2, 512))
    path = h5(config, {names[0]: [big]})
    data = path_with_hard_links(path, names)
    refusal(data, "too much", error=FileError)


def path_with_hard_links(data, names):
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "a") as file:
        first = file[f"model_weights/{names[0]}"]
        for name in names[1:]:
            file[f"model_weights/{name}"] = first
    return buffer.getvalue()


@pytest.mark.parametrize(
    "layers",
    [
        [("ZeroPadding2D", "z", {"padding": 2**20})],
        [("UpSampling2D", "u", {"size": 2**20})],
        [("UpSampling2D", f"u{n}", {"size": 1000}) for n in range(4)],
        [("UpSampling2D", "u", {"size": 1000}), ("Flatten", "f", {}), ("Softmax", "s", {})],
        [("Concatenate", "c", {}), ("Rescaling", "r", {"scale": 1e308})],
    ],
)
def test_maps_without_measure(layers):
    budget = Budget()
    with pytest.raises((NetworkError, FileError)):
        network_from_keras(h5(chain(EDGES, *layers), WEIGHTS), budget=budget).map_sizes((900, 800))
    assert budget.taken < 2**28


def test_a_spread_kernel_is_counted_before_it_is_made():
    own = {"filters": 4, "kernel_size": 3, "dilation_rate": 2**15}
    kernel = np.zeros((3, 3, 4, 3), "f4")
    config = chain(("Conv2DTranspose", "t", own), EDGES)
    refusal(h5(config, {"t": [kernel, BIAS]}), "too much", error=FileError)


def test_damaged_files_say_so():
    for data in (h5(chain(EDGES), WEIGHTS), keras3(chain(EDGES))):
        for cut in (len(data) // 2, len(data) - 10):
            refusal(data[:cut], error=FileError)
    refusal(b"", "empty", error=FileError)
    refusal(b"nonsense", "neither HDF5 nor a zip", error=FileError)


def test_names_are_printed_on_one_line():
    bad = "a\x1b[2J\n" + "b" * 10_000
    message = refusal(h5(chain(("Lambda", bad, {})), {}), "Lambda")
    assert len(message) < 1500
    refusal(h5(chain((bad, "x", {})), {}), "does not translate")
    refusal(h5(json.dumps(chain(("LSTM", "\ud800", {}))), {}), "LSTM")

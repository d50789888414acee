"""ONNX files as strangers write them: told by content, read within bounds, refused in a line."""

from __future__ import annotations

import doctest
import os
import sys

import numpy as np
import pytest
from absence import absent

import fdref
from fdref.errors import ArgumentError, DependencyError, FileError, NetworkError
from fdref.weights.bounded import ALWAYS, Budget
from fdref.weights.onnx import encoded_onnx, is_onnx, network_from_bytes, network_from_onnx


@pytest.fixture(scope="module")
def onnx():
    try:
        import onnx
        import onnx_graphs  # noqa: F401
    except ImportError as error:
        absent("peers", f"{error.name} is not installed")
    return onnx


@pytest.fixture
def graphs(onnx):
    import onnx_graphs

    return onnx_graphs


@pytest.fixture
def model(graphs):
    return graphs.chain(("Relu", "", {}))


def refused(model, error=FileError, match=""):
    data = model if isinstance(model, bytes) else model.SerializeToString()
    with pytest.raises(error, match=match) as caught:
        network_from_bytes(data)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("the model")


def test_load_tells_onnx_by_its_content(model, tmp_path):
    path = tmp_path / "net.mat"
    path.write_bytes(model.SerializeToString())
    assert [layer.kind for layer in fdref.load(path)] == ["conv", "relu"]
    assert fdref.load(path) == network_from_onnx(path)


def test_a_file_that_leaves_the_size_open(graphs, tmp_path):
    path = tmp_path / "net.onnx"
    steps = [("GlobalAveragePool", "", {})]
    path.write_bytes(graphs.chain(*steps, shape=(None, 3, None, None)).SerializeToString())
    with pytest.raises(NetworkError, match=r"net.onnx: node 2 .* give input_size"):
        fdref.load(path)
    net = fdref.load(path, input_size=(8, 7))
    assert net.input_size == (8, 7)
    assert net[2].window == (8, 7)


def test_a_length_left_open_stays_so_on_its_own(graphs, tmp_path):
    """A single unknown number is one, too: PyTorch's older exporter reads lengths one by one."""
    arrays = {"two": np.array(2), "rest": np.array([4, -1]), "axis": np.array([0])}
    made = graphs.chain(("Reshape", "shape", {}), shape=(None, 3, None, None), arrays=arrays)
    nodes = [
        graphs.node("Shape", "v0", "lengths"),
        graphs.node("Gather", "lengths two", "height"),
        graphs.node("Unsqueeze", "height axis", "row"),
        graphs.node("Concat", "row rest", "shape", axis=0),
    ]
    for place, own in enumerate(nodes, 1):
        made.graph.node.insert(place, own)
    path = tmp_path / "net.onnx"
    path.write_bytes(made.SerializeToString())
    with pytest.raises(NetworkError, match=r"node 6 \(Reshape.* give input_size"):
        fdref.load(path)


@pytest.mark.parametrize(
    "data", [b"", b"\x08", b"PK\x03\x04" + bytes(99), b"\x80\x02}q\x00.", bytes(4096), b"\x08\x08"]
)
def test_other_files_are_no_models(data):
    assert not is_onnx(data)
    with pytest.raises(FileError, match="is no ONNX model, expected an ONNX model"):
        network_from_bytes(data)


def test_every_beginning_of_a_file_is_refused(model):
    data = model.SerializeToString()
    for end in range(len(data)):
        with pytest.raises((FileError, NetworkError)):
            network_from_bytes(data[:end])


def test_without_the_package_it_is_told_how_to_get_it(model, monkeypatch):
    data = model.SerializeToString()
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DependencyError, match=r"pip install 'fdref\[onnx\]'"):
        network_from_bytes(data)
    with pytest.raises(DependencyError, match=r"pip install 'fdref\[onnx\]'"):
        encoded_onnx(fdref.load())


def test_reading_a_matlab_file_imports_nothing_of_onnx():
    import subprocess

    code = "import sys, fdref; fdref.load(); print([m for m in sys.modules if 'onnx' in m])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_names_that_contradict_each_other(graphs, model):
    model.graph.node[1].output[0] = model.graph.output[0].name = "v0"
    refused(model, NetworkError, "node 2 .* makes 'v0', which is made before")
    model = graphs.chain()
    model.graph.initializer.append(model.graph.initializer[0])
    refused(model, NetworkError, "two arrays are named 'w'")
    model = graphs.chain()
    model.graph.input.append(model.graph.input[0])
    refused(model, NetworkError, "two inputs are named 'x'")
    model = graphs.chain()
    model.graph.node[0].input[0] = "nowhere\x1b[31m"
    refused(model, NetworkError, r"takes 'nowhere\?\[31m', which nothing makes")
    model = graphs.chain()
    model.graph.output[0].name = "nowhere"
    refused(model, NetworkError, "its output 'nowhere' is made by nothing")


def test_outputs_that_are_inputs(onnx, graphs):
    model = graphs.chain(("Relu", "", {}))
    model.graph.output[0].name = "x"
    refused(model, NetworkError, "no output is made of the images by a layer")
    model.graph.output.add(name="v1")
    assert len(network_from_bytes(model.SerializeToString())) == 2


def test_circles(graphs):
    nodes = [graphs.node("Add", "x b", "a"), graphs.node("Conv", "a w", "b")]
    model = graphs.model(nodes, {"w": graphs.weights(3, 3, 1, 1)})
    refused(model, NetworkError, r"node 1 \(Add 'a'\) needs what comes after it: a circle")
    model = graphs.model([graphs.node("Add", "x a", "a")], {})
    refused(model, NetworkError, "a circle")


@pytest.mark.parametrize(
    ("dims", "problem"),
    [
        ([-1, 3, 3, 3], "is of shape"),
        ([2**62, 2**62], "is of shape"),
        ([1] * 17, "is of shape"),
        ([4, 3, 3, 4], "has 432 bytes, expected 576: damaged"),
        ([0, 3, 3, 3], "has 432 bytes, expected 0: damaged"),
    ],
)
def test_lengths_that_are_not_there(model, dims, problem):
    model.graph.initializer[0].dims[:] = dims
    refused(model, FileError, problem)


def test_numbers_that_are_no_real_ones(onnx, model):
    array = model.graph.initializer[0]
    for number, what in ((8, "string"), (14, "complex64"), (17, "type 17"), (99, "type 99")):
        array.data_type = number
        refused(model, NetworkError, f"an array is of {what}; expected real numbers")
    array.data_type = 1
    array.ClearField("raw_data")
    array.float_data.extend([1.0, 2.0])
    refused(model, FileError, "has 2 numbers, expected 108: damaged")
    array.float_data.extend([float("nan")] * 106)
    refused(model, NetworkError, "filters hold nan")
    model.graph.sparse_initializer.add()
    refused(model, NetworkError, "the graph has sparse arrays")


@pytest.mark.parametrize("kind", [np.float16, np.float64, np.int8])
def test_weights_of_other_types(onnx, graphs, kind):
    model = graphs.chain()
    bank = np.arange(108).reshape(4, 3, 3, 3) / (2 if kind != np.int8 else 1)
    model.graph.initializer[0].CopyFrom(onnx.numpy_helper.from_array(bank.astype(kind), "w"))
    assert np.array_equal(
        network_from_bytes(model.SerializeToString())[1].filters, bank.astype(kind)
    )


def test_bfloat16(onnx, graphs):
    model = graphs.chain()
    bits = graphs.weights(4, 3, 3, 3).view("<u4") >> 16
    array = model.graph.initializer[0]
    array.data_type, array.raw_data = 16, bits.astype("<u2").tobytes()
    filters = network_from_bytes(model.SerializeToString())[1].filters
    assert np.array_equal(filters.view("<u4"), bits << 16)


BOMBS = {
    "ConstantOfShape": ([2**20, 2**20], "ConstantOfShape"),
    "Expand": ([2**20, 2**18], "Expand"),
    "Tile": ([2**18, 2**10], "Tile"),
    "Range": ([2**40], "Range"),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
@pytest.mark.parametrize("user", ["Conv", "Gemm", "Add", "Concat", "ReduceSum", "Gather"])
def test_what_becomes_large_is_refused_before_memory_is_taken(graphs, name, user):
    shape, op = BOMBS[name]
    arrays = {
        "w": graphs.weights(4, 3, 3, 3),
        "shape": np.array(shape),
        "one": np.ones((1, 1)),
        "zero": np.array(0),
        "step": np.array(1),
        "most": np.array(shape[0]),
    }
    made = {
        "ConstantOfShape": ["shape"],
        "Expand": ["one", "shape"],
        "Tile": ["one", "shape"],
        "Range": ["zero", "most", "step"],
    }[op]
    nodes = [graphs.node("Conv", "x w", "a"), graphs.node(op, " ".join(made), "bomb")]
    if user in ("Conv", "Gemm", "Add"):
        nodes += [graphs.node(user, "a bomb", "y")]
    else:
        more = "bomb bomb" if user == "Concat" else "bomb bomb" if user == "Gather" else "bomb"
        nodes += [graphs.node(user, more, "z", **({"axis": 0} if user != "ReduceSum" else {}))]
        nodes += [graphs.node("Add", "a z", "y")]
    import tracemalloc

    data = graphs.model(nodes, arrays).SerializeToString()
    network_from_bytes(graphs.chain().SerializeToString())  # what is imported once
    tracemalloc.start()
    with pytest.raises((FileError, NetworkError)):
        network_from_bytes(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < ALWAYS


def test_weights_that_are_repeated_are_counted(graphs):
    nodes = [graphs.node("ConstantOfShape", "s", "w"), graphs.node("Conv", "x w", "y")]
    model = graphs.model(nodes, {"s": np.array([2**15, 3, 64, 64])})
    refused(model, FileError, r"filters is too much, expected at most 268435456 bytes")


def test_more_messages_than_anybody_needs(onnx):
    few = onnx.ModelProto(ir_version=8)
    few.opset_import.add(version=17)
    for _ in range(100_001):
        few.graph.node.add()
    refused(few, FileError, "is too much")
    deep = b""
    for _ in range(60):  # a graph in an attribute of a node of a graph ...
        node = b"\x0a" + varint(len(deep) + 3) + b"\x2a" + varint(len(deep)) + deep
        deep = b"\x32" + varint(len(node)) + node
    data = b"\x08\x08\x3a" + varint(len(deep)) + deep + b"\x42\x02\x10\x11"
    with pytest.raises((FileError, NetworkError)):
        network_from_bytes(data)


def varint(number):
    found = bytearray()
    while number > 127:
        found.append(number & 127 | 128)
        number >>= 7
    return bytes([*found, number])


def test_numbers_beyond_all_sizes(graphs):
    for attributes in (
        {"strides": [2**40, 1]},
        {"pads": [2**62] * 4},
        {"pads": [-1, 0, 0, 0]},
        {"dilations": [0, 1]},
        {"group": -3},
        {"group": 2**63 - 1},
        {"auto_pad": "x" * 10_000},
    ):
        model = graphs.model(
            [graphs.node("Conv", "x w", "y", **attributes)], {"w": graphs.weights(4, 3, 3, 3)}
        )
        refused(model, NetworkError, r"node 1 \(Conv 'y'\)")


# -- files beside the model --------------------------------------------------------------------


@pytest.fixture
def beside(onnx, graphs, tmp_path):
    """Return a function that writes a model with its filters in a file beside it."""
    bank = graphs.weights(4, 3, 3, 3)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "w.data").write_bytes(bytes(16) + bank.tobytes())
    (tmp_path / "secret").write_bytes(bytes(16) + bank.tobytes())

    def write(**claims):
        model = graphs.chain()
        array = model.graph.initializer[0]
        array.ClearField("raw_data")
        array.data_location = onnx.TensorProto.EXTERNAL
        for key, value in ({"location": "w.data", "offset": "16"} | claims).items():
            array.external_data.add(key=key, value=value)
        path = tmp_path / "in" / "net.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    write.bank = bank
    return write


def test_arrays_beside_the_model(beside):
    for claims in ({}, {"length": "432"}, {"checksum": "x"}):
        assert np.array_equal(network_from_onnx(beside(**claims))[1].filters, beside.bank)


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({"location": "../secret"}, r"is in '../secret', expected the name of a file beside"),
        ({"location": ".."}, "expected the name of a file beside the model"),
        ({"location": ""}, "expected the name of a file beside the model"),
        ({"location": "/etc/passwd"}, "expected the name of a file beside the model"),
        ({"location": "a\\b"}, "expected the name of a file beside the model"),
        ({"location": "C:x"}, "expected the name of a file beside the model"),
        ({"location": "w.data\0"}, "expected the name of a file beside the model"),
        ({"location": "gone"}, "No such file"),
        ({"location": "link"}, "it is a link, a folder or a device"),
        ({"location": "folder"}, "it is a link, a folder or a device"),
        ({"location": "pipe"}, "it is a link, a folder or a device"),
        ({"offset": "-1"}, "begins or ends at '-1', expected a number of bytes"),
        ({"offset": "17"}, "it has 448 bytes, and 449 are claimed"),
        ({"offset": "9" * 19}, "are claimed"),
        ({"offset": "9" * 99}, "expected a number of bytes"),
        ({"offset": "1e3"}, "expected a number of bytes"),
        ({"offset": "٣"}, "expected a number of bytes"),
        ({"length": "431"}, "has 431 bytes, expected 432: damaged"),
        ({"length": "-432"}, "begins or ends at '-432'"),
    ],
)
def test_files_beside_the_model_are_guarded(beside, tmp_path, claims, problem):
    folder = tmp_path / "in"
    (folder / "folder").mkdir()
    (folder / "link").symlink_to(tmp_path / "secret")
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe")
    elif claims.get("location") == "pipe":
        pytest.skip("this system has no pipes with names")
    with pytest.raises(FileError, match=problem):
        network_from_onnx(beside(**claims))


def test_bytes_alone_open_no_second_file(beside):
    data = beside().read_bytes()
    refused(data, FileError, "is in a second file, expected the model as a file beside it")


def test_one_file_cannot_be_read_over_and_over(onnx, graphs, beside, tmp_path):
    """A few bytes a piece claim the same file again; its own size bounds what they may take."""
    large = tmp_path / "in" / "large"
    with large.open("wb") as file:
        file.truncate(2**24)
    path = beside()
    model = onnx.load(path, load_external_data=False)
    for number in range(400):
        array = model.graph.initializer.add(name=f"c{number}", data_type=1, dims=[2**22])
        array.data_location = onnx.TensorProto.EXTERNAL
        array.external_data.add(key="location", value="large")
        model.graph.node.append(graphs.node("ReduceSum", f"c{number}", f"s{number}"))
    names = [f"s{number}" for number in range(400)]
    model.graph.node.append(graphs.node("Sum", " ".join(names), "sum"))
    model.graph.node.append(graphs.node("Add", "v0 sum", "y"))
    model.graph.output[0].name = "y"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(FileError, match="is too much"):
        network_from_onnx(path)


@pytest.mark.parametrize("function", [network_from_onnx, encoded_onnx])
def test_examples_that_need_the_extra_run(onnx, function):
    """Those of the other modules are run wherever fdref is."""
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner()
    text = function.__doc__.replace("# doctest: +SKIP", "")
    example = parser.get_doctest(text, {}, function.__name__, None, 0)
    assert len(example.examples) > 1
    assert runner.run(example).failed == 0


def test_arguments(model, tmp_path):
    for size in (0, -1, (1, 2, 3), "8"):
        with pytest.raises(ArgumentError, match="input_size is"):
            network_from_bytes(model.SerializeToString(), input_size=size)
    with pytest.raises(ArgumentError, match="path is 3"):
        network_from_onnx(3)
    with pytest.raises(FileError, match="expected an ONNX model: No such file"):
        network_from_onnx(tmp_path / "gone")
    tight = Budget(largest=10_000)
    with pytest.raises(FileError, match="is too much, expected at most"):
        network_from_bytes(model.SerializeToString(), budget=tight)

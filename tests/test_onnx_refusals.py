"""What no layer does is refused, with the node's number, name and operator."""

from __future__ import annotations

import numpy as np
import pytest
from absence import absent

from fdref.errors import NetworkError
from fdref.weights.onnx import network_from_bytes


@pytest.fixture(scope="module")
def peers():
    try:
        import onnx_graphs
        import onnx_runtime_values
    except ImportError as error:
        absent("peers", f"{error.name} is not installed")
    return onnx_graphs, onnx_runtime_values


def weights(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def step(op, more="", **attributes):
    return op, more, attributes


REFUSED = {
    "an operator that nobody knows": (
        [step("Einsum", equation="nchw->nchw")],
        r"node 2 \(Einsum 'v1'\): fdref has no layer for the operator Einsum",
    ),
    "quantised": ([step("QLinearConv")], "node 2 .* no layer for the operator QLinearConv"),
    "LogSoftmax": ([step("LogSoftmax")], "no layer for the operator LogSoftmax"),
    "another domain": (
        [step("Relu", domain="com.example")],
        r"node 2 \(Relu 'v1'\): .* operator Relu of the domain 'com.example'",
    ),
    "dilated pools": (
        [step("MaxPool", kernel_shape=[2, 2], dilations=[2, 2])],
        r"node 2 \(MaxPool 'v1'\): its dilations are \(2, 2\); expected none",
    ),
    "reflected borders": ([step("Pad", "p", mode="reflect")], "`mode` is 'reflect'; expected"),
    "borders that are not zero": ([step("Pad", "p two")], "it pads with 2.0; expected zeros"),
    "borders of channels": ([step("Pad", "pc")], "it pads channels"),
    "corners aligned": (
        [step("Resize", "_ sc", coordinate_transformation_mode="align_corners")],
        "'align_corners' with 'round_prefer_floor' .* does not repeat",
    ),
    "cubic": ([step("Resize", "_ sc", mode="cubic")], "it is 'cubic'"),
    "a factor that is not whole": (
        [step("Resize", "_ half")],
        "expected rows and columns by whole",
    ),
    "rows": ([step("Slice", "i1 i3 i2")], "it is along axis 2; expected channels"),
    "columns": ([step("Gather", "i1", axis=3)], "it is along axis 3; expected channels"),
    "halves of rows": ([step("Split", axis=2)], "it is along axis 2; expected channels"),
    "Concat of rows": ([step("Concat", "v0", axis=2)], "it is along axis 2; expected channels"),
    "rows and columns exchanged": (
        [step("Transpose", perm=[0, 1, 3, 2]), step("Conv", "k")],
        "mixes batch, channels, rows and columns",
    ),
    "a number for each pixel": ([step("Add", "pixels")], "expected one for each channel"),
    "a mean over channels": ([step("ReduceMean", axes=[1])], r"it is over axes \[1\]"),
    "softmax over columns": ([step("Softmax", axis=3)], "it is over axis 3; expected channels"),
    "training": (
        [step("BatchNormalization", "b b b v", training_mode=1)],
        "it is of a training",
    ),
    "a division by a map": ([step("Div", "v0")], "it divides by what depends on the images"),
    "filters that are computed": ([step("Conv", "v0")], "its filters depend on the images"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_no_layer_does_is_refused_by_name(peers, name):
    steps, problem = REFUSED[name]
    arrays = {
        "p": np.array([0, 0, 1, 1, 0, 0, 1, 1]),
        "pc": np.array([0, 1, 1, 1, 0, 0, 1, 1]),
        "two": np.array(2.0),
        "sc": np.array([1.0, 1, 2, 2]),
        "half": np.array([1.0, 1, 1.5, 2]),
        "i1": np.array([1]),
        "i2": np.array([2]),
        "i3": np.array([3]),
        "pixels": weights(12, 10),
        "k": weights(2, 4, 3, 3),
        "v": np.ones(4),
    }
    data = peers[0].chain(*steps, arrays=arrays).SerializeToString()
    with pytest.raises(NetworkError, match=problem):
        network_from_bytes(data)


@pytest.mark.parametrize(
    ("shape", "taps", "problem"),
    [((1, 3, 12), (2, 3, 3), "it is 1-d"), ((1, 3, 12, 10, 8), (2, 3, 3, 3, 3), "it is 3-d")],
)
def test_maps_of_other_dimensions_are_refused(peers, shape, taps, problem):
    graphs, _ = peers
    model = graphs.model([graphs.node("Conv", "x w", "y")], {"w": weights(*taps)}, shape=shape)
    with pytest.raises(NetworkError, match=problem):
        network_from_bytes(model.SerializeToString())


def test_branches_and_loops_are_refused(peers):
    graphs, _ = peers
    from onnx import helper

    inner = helper.make_graph(
        [graphs.node("Relu", "a", "r")], "inner", [], [helper.make_empty_tensor_value_info("r")]
    )
    nodes = [
        graphs.node("Conv", "x w", "a"),
        graphs.node("If", "condition", "b", then_branch=inner, else_branch=inner),
    ]
    model = graphs.model(nodes, {"w": weights(4, 3, 3, 3), "condition": np.array(True)})
    with pytest.raises(NetworkError, match=r"node 2 \(If 'b'\): .* operator If"):
        network_from_bytes(model.SerializeToString())


def test_an_output_that_an_operator_does_not_have(peers):
    graphs, _ = peers
    nodes = [graphs.node("Conv", "x w", "v0 more", kernel_shape=[3, 3])]
    for outputs in (["more"], ["v0", "more"]):
        proto = graphs.model(nodes, {"w": weights(4, 3, 3, 3)}, outputs=outputs)
        with pytest.raises(NetworkError, match=r"node 1 \(Conv 'v0'\) has 2 outputs; expected 1"):
            network_from_bytes(proto.SerializeToString())
    proto = graphs.model(nodes, {"w": weights(4, 3, 3, 3)}, outputs=["v0"])
    assert len(network_from_bytes(proto.SerializeToString())) == 1


@pytest.mark.parametrize("parts", [[1, 2**31 - 1], [2, 1], [5, -1]])
def test_parts_that_are_not_the_whole(peers, parts):
    graphs, _ = peers
    nodes = [
        graphs.node("Conv", "x w", "v0", kernel_shape=[3, 3]),
        graphs.node("Split", "v0", "a b", axis=1, split=parts),
        graphs.node("Relu", "a", "y"),
    ]
    proto = graphs.model(nodes, {"w": weights(4, 3, 3, 3)}, opset=11)
    with pytest.raises(NetworkError, match=r"node 2 \(Split.*\): 4 are split in"):
        network_from_bytes(proto.SerializeToString())

"""Operators one by one, in every version: every value against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from absence import absent

import fdref


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


def check(peers, model, **options):
    graphs, runtime = peers
    return runtime.check_values(model, graphs.image(model), **options)[0]


def step(op, more="", **attributes):
    return op, more, attributes


WINDOWS = [
    {"auto_pad": word, "strides": strides, "kernel_shape": kernel}
    for word in ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")
    for strides, kernel in (([1, 1], [2, 3]), ([2, 3], [3, 2]), ([3, 2], [5, 4]))
]


@pytest.mark.parametrize("attributes", WINDOWS, ids=str)
@pytest.mark.parametrize("op", ["Conv", "MaxPool", "AveragePool"])
def test_borders_that_are_chosen_by_size(peers, op, attributes):
    taps = weights(3, 4, *attributes["kernel_shape"])
    last = step(op, "k" if op == "Conv" else "", **attributes)
    check(peers, peers[0].chain(last, arrays={"k": taps}))


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize(
    ("kernel", "strides", "pads"),
    [
        ([3, 3], [2, 2], [1, 1, 1, 1]),
        ([3, 2], [2, 3], [0, 1, 2, 0]),
        ([2, 2], [3, 4], [1, 0, 1, 1]),
        ([5, 4], [1, 3], [4, 3, 0, 1]),
        ([2, 3], [5, 5], [1, 2, 1, 2]),
    ],
)
@pytest.mark.parametrize("op", ["MaxPool", "AveragePool"])
def test_pools(peers, op, kernel, strides, pads, ceil, count):
    attributes = {"kernel_shape": kernel, "strides": strides, "pads": pads, "ceil_mode": ceil}
    if op == "AveragePool":
        attributes["count_include_pad"] = count
    model = peers[0].chain(step(op, **attributes), opset=22)
    check(peers, model)


@pytest.mark.parametrize(
    "attributes",
    [
        {"pads": [0, 1, 2, 1], "output_padding": [1, 0]},
        {"auto_pad": "SAME_UPPER"},
        {"auto_pad": "SAME_LOWER"},
        {"auto_pad": "VALID"},
        {"output_shape": [25, 21]},
        {"output_shape": [24, 21], "auto_pad": "SAME_UPPER"},
        {"output_shape": [23, 20], "auto_pad": "SAME_LOWER"},
        {"group": 2, "dilations": [2, 3]},
    ],
    ids=str,
)
def test_transposed_convolutions(peers, attributes):
    options = {"strides": [2, 2], "kernel_shape": [3, 4]} | attributes
    bank = weights(4, 3, 3, 4)
    check(
        peers,
        peers[0].chain(
            step("ConvTranspose", "k c", **options),
            arrays={"k": bank, "c": weights(3 * options.get("group", 1))},
        ),
    )


VALUES = {"one": np.array(0.7), "colour": weights(4, 1, 1), "single": weights(1)}


@pytest.mark.parametrize("op", ["Add", "Sub", "Mul", "Div"])
@pytest.mark.parametrize("second", sorted(VALUES))
def test_arithmetic_with_constants(peers, op, second):
    check(peers, peers[0].chain(step(op, second), arrays=VALUES))


def test_arithmetic_with_the_constant_first(peers):
    graphs, _ = peers
    nodes = [
        graphs.node("Conv", "x w", "a"),
        graphs.node("Sub", "colour a", "b"),
        graphs.node("Mul", "one b", "c"),
        graphs.node("Neg", "c", "d"),
        graphs.node("Add", "one d", "e"),
        graphs.node("Mean", "e a d", "f"),
        graphs.node("Sum", "f e d a", "g"),
        graphs.node("Sub", "g f", "h"),
        graphs.node("Max", "h g f", "i"),
        graphs.node("Max", "i one", "j"),
        graphs.node("Min", "one j", "k"),
    ]
    check(peers, graphs.model(nodes, {"w": weights(4, 3, 3, 3), **VALUES}))


def test_a_factor_and_an_offset_are_one_layer(peers):
    graphs, _ = peers
    two = [
        step("BatchNormalization", "colours b v v"),
        step("Mul", "colour"),
        step("Add", "colour"),
    ]
    arrays = VALUES | {"colours": weights(4), "v": np.full(4, 0.5)}
    net = check(peers, graphs.chain(*two, arrays=arrays))
    assert [layer.kind for layer in net] == ["conv", "bnorm", "scale"]
    net = check(
        peers,
        graphs.chain(
            step("Mul", "colour"), step("Add", "colour"), step("Add", "one"), arrays=arrays
        ),
    )
    assert [layer.kind for layer in net] == ["conv", "scale", "scale"]


def test_offsets_join_a_matrix_that_has_none(peers):
    graphs, _ = peers
    steps = [step("Flatten"), step("MatMul", "m"), step("Add", "c")]
    net = check(peers, graphs.chain(*steps, arrays={"m": weights(480, 5), "c": weights(5)}))
    assert [layer.kind for layer in net] == ["conv", "conv"]
    assert net[2].filters.shape == (5, 4, 12, 10)
    assert net[2].bias is not None


@pytest.mark.parametrize("transposed", [0, 1])
@pytest.mark.parametrize("offsets", [(5,), (1, 5), (), (1,)])
def test_gemm(peers, transposed, offsets):
    graphs, _ = peers
    matrix = weights(*((5, 480) if transposed else (480, 5)))
    last = step("Gemm", "m c", transB=transposed, alpha=0.5, beta=-2.0)
    check(peers, graphs.chain(step("Flatten"), last, arrays={"m": matrix, "c": weights(*offsets)}))
    turned = [step("Flatten"), step("Transpose"), step("Gemm", "m", transA=1, transB=transposed)]
    check(peers, graphs.chain(*turned, arrays={"m": matrix}))


SHUFFLES = {
    "channels": ([1, 2, 2, 12, 10], [0, 2, 1, 3, 4], [1, 4, 12, 10]),
    "channels, whatever the batch": ([0, 2, 2, 12, 10], [0, 2, 1, 3, 4], [0, -1, 12, 10]),
    "flattened": ([1, 2, 2, 120], [0, 2, 1, 3], [1, 4, 12, 10]),
    "CRD": ([1, 1, 2, 2, 12, 10], [0, 1, 4, 2, 5, 3], [1, 1, 24, 20]),
    "DCR": ([1, 2, 2, 1, 12, 10], [0, 3, 4, 1, 5, 2], [1, 1, 24, 20]),
    "down the columns": ([1, 1, 2, 2, 12, 10], [0, 1, 4, 3, 5, 2], [1, 1, 24, 20]),
    "to depth, CRD": ([1, 4, 6, 2, 5, 2], [0, 1, 3, 5, 2, 4], [1, 16, 6, 5]),
    "to depth, DCR": ([1, 4, 6, 2, 5, 2], [0, 3, 5, 1, 2, 4], [1, 16, 6, 5]),
    "to depth, otherwise": ([1, 2, 2, 6, 2, 5, 2], [0, 4, 2, 6, 1, 3, 5], [1, 16, 6, 5]),
}


@pytest.mark.parametrize("name", sorted(SHUFFLES))
def test_shuffles_as_reshape_transpose_reshape(peers, name):
    first, order, last = SHUFFLES[name]
    steps = [
        step("Reshape", "a"),
        step("Transpose", perm=order),
        step("Reshape", "c"),
        step("Relu"),
    ]
    check(peers, peers[0].chain(*steps, arrays={"a": np.array(first), "c": np.array(last)}))


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space_and_back(peers, mode):
    steps = [step("DepthToSpace", blocksize=2, mode=mode), step("SpaceToDepth", blocksize=2)]
    check(peers, peers[0].chain(*steps, channels=8))


@pytest.mark.parametrize("axis", [1, -3])
def test_parts_of_the_channels(peers, axis):
    graphs, _ = peers
    nodes = [
        graphs.node("Conv", "x w", "a"),
        graphs.node("Split", "a parts", "b c", axis=axis),
        graphs.node("Slice", "a start end axes step", "d"),
        graphs.node("Gather", "a chosen", "e", axis=axis),
        graphs.node("Concat", "d c e b", "f", axis=axis),
        graphs.node("Split", "f", "g h", axis=axis),
        graphs.node("Add", "g h", "i"),
    ]
    arrays = {
        "w": weights(6, 3, 3, 3),
        "parts": np.array([2, 4]),
        "start": np.array([-1]),
        "end": np.array([-100]),
        "axes": np.array([axis]),
        "step": np.array([-2]),
        "chosen": np.array([0, -1, 2]),
    }
    check(peers, graphs.model(nodes, arrays))


def test_channels_in_another_order_as_the_newer_exporter_writes_it(peers):
    """PyTorch's `x[:, [2, 1, 0]]`: channels to the front, GatherND, and back."""
    graphs, _ = peers
    nodes = [
        graphs.node("Transpose", "x", "front", perm=[1, 0, 2, 3]),
        graphs.node("GatherND", "front order", "chosen"),
        graphs.node("Transpose", "chosen", "back", perm=[1, 0, 2, 3]),
        graphs.node("Conv", "back w", "y"),
    ]
    arrays = {"w": weights(6, 3, 3, 3), "order": np.array([[2], [1], [-3]])}
    check(peers, graphs.model(nodes, arrays))


@pytest.mark.parametrize(
    ("places", "rounded", "factors"),
    [
        ("asymmetric", "floor", (2, 3)),
        ("half_pixel", "round_prefer_floor", (3, 2)),
        ("half_pixel", "round_prefer_ceil", (2, 4)),
        ("pytorch_half_pixel", "round_prefer_floor", (2, 2)),
        ("tf_half_pixel_for_nn", "floor", (2, 3)),
        ("asymmetric", "round_prefer_floor", (2, 2)),
    ],
)
def test_repeated_pixels(peers, places, rounded, factors):
    last = step(
        "Resize",
        "_ scales",
        mode="nearest",
        nearest_mode=rounded,
        coordinate_transformation_mode=places,
    )
    check(peers, peers[0].chain(last, arrays={"scales": np.array([1.0, 1, *factors])}))
    sizes = np.array([1, 4, 12 * factors[0], 10 * factors[1]])
    last = step("Resize", "_ _ sizes", **last[2])
    check(peers, peers[0].chain(last, arrays={"sizes": sizes}))


@pytest.mark.parametrize("factors", [(2, 2), (3, 4), (5, 1), (1, 6)])
def test_linear_between_pixels(peers, factors):
    last = step("Resize", "_ scales", mode="linear")
    check(peers, peers[0].chain(last, arrays={"scales": np.array([1.0, 1, *factors])}))


def test_axes_of_resize_and_pad(peers):
    arrays = {
        "scales": np.array([3.0, 2.0]),
        "pads": np.array([1, -2, 0, 3]),
        "axes": np.array([-1, 2]),
    }
    steps = [
        step(
            "Resize",
            "_ scales",
            axes=[3, 2],
            nearest_mode="floor",
            coordinate_transformation_mode="asymmetric",
        ),
        step("Pad", "pads _ axes"),
    ]
    check(peers, peers[0].chain(*steps, arrays=arrays, opset=19))


@pytest.mark.parametrize("size", [1, 3, 5, 9])
def test_local_response_normalisation(peers, size):
    last = step("LRN", size=size, alpha=0.4, beta=0.6, bias=1.5)
    net = check(peers, peers[0].chain(last, channels=6))
    assert net[2].alpha == 0.4 / size


def test_slopes_for_channels(peers):
    for slopes in (weights(4, 1, 1), weights(1), weights(1, 4, 1, 1), weights(1, 1, 1)):
        check(peers, peers[0].chain(step("PRelu", "slopes"), arrays={"slopes": slopes}))


def test_softmax_over_channels(peers):
    check(peers, peers[0].chain(step("Softmax", axis=1)))
    check(peers, peers[0].chain(step("Softmax", axis=-3)))
    flat = [step("GlobalMaxPool"), step("Flatten"), step("Softmax")]
    check(peers, peers[0].chain(*flat))
    check(peers, peers[0].chain(*flat, opset=11))
    last = [
        step("Transpose", perm=[0, 2, 3, 1]),
        step("Softmax"),
        step("Transpose", perm=[0, 3, 1, 2]),
    ]
    check(peers, peers[0].chain(*last))


def test_images_with_channels_last(peers):
    graphs, _ = peers
    nodes = [
        graphs.node("Transpose", "x", "a", perm=[0, 3, 1, 2]),
        graphs.node("Conv", "a w", "b"),
        graphs.node("Transpose", "b", "c", perm=[0, 2, 3, 1]),
        graphs.node("Add", "c colour", "d"),
        graphs.node("Reshape", "d to", "e"),
        graphs.node("Gemm", "e m", "f"),
    ]
    arrays = {
        "w": weights(4, 3, 3, 3),
        "colour": weights(4),
        "to": np.array([0, -1]),
        "m": weights(320, 5),
    }
    net = check(peers, graphs.model(nodes, arrays, shape=(1, 12, 10, 3)))
    assert net.input_channels == (3,)
    assert net.input_size == (12, 10)


def test_vectors_are_maps_of_one_pixel(peers):
    graphs, _ = peers
    nodes = [
        graphs.node("Gemm", "x m", "a"),
        graphs.node("Relu", "a", "b"),
        graphs.node("MatMul", "b k", "c"),
    ]
    net = check(peers, graphs.model(nodes, {"m": weights(6, 5), "k": weights(5, 4)}, shape=(1, 6)))
    assert net.channels == (6, 5, 5, 4)


def test_two_inputs(peers):
    graphs, _ = peers
    nodes = [
        graphs.node("Conv", "x w", "a"),
        graphs.node("Conv", "y v", "b"),
        graphs.node("Concat", "b a", "c", axis=1),
    ]
    arrays = {"w": weights(4, 3, 3, 3), "v": weights(2, 1, 3, 3)}
    net = check(
        peers, graphs.model(nodes, arrays, shape=(1, 3, 12, 10), inputs=[("y", (1, 1, 12, 10))])
    )
    assert net.input_channels == (3, 1)
    assert net.takes[3] == (2, 1)


def test_weights_listed_as_inputs_and_nodes_in_any_order(peers):
    graphs, runtime = peers
    from onnx import TensorProto, helper

    model = graphs.chain(step("Relu"), step("MaxPool", kernel_shape=[2, 2]))
    for one in list(model.graph.initializer):
        model.graph.input.append(
            helper.make_tensor_value_info(one.name, TensorProto.FLOAT, one.dims)
        )
    net = check(peers, model)
    nodes = list(model.graph.node)[::-1]
    model.graph.ClearField("node")
    model.graph.node.extend(nodes)
    assert runtime.read(model)[0] == net


def test_constants_that_are_computed(peers):
    graphs, _ = peers
    node = graphs.node
    nodes = [
        node("DequantizeLinear", "q scale zero", "w", axis=0),
        node("Conv", "x w", "a"),
        node(
            "ConstantOfShape",
            "four",
            "ones",
            value=graphs.numpy_helper.from_array(np.ones(1, np.float32)),
        ),
        node("Mul", "ones one", "m"),
        node("Sqrt", "m", "r"),
        node("Unsqueeze", "r axes", "u"),
        node("Mul", "a u", "b"),
        node("Identity", "b", "c"),
        node("Cast", "c", "d", to=1),
        node("Shape", "d", "s"),
        node("Slice", "s zero64 two64", "nc"),
        node("Concat", "nc minus", "to", axis=0),
        node("Reshape", "d to", "e"),
        node("ReduceMean", "e", "f", axes=[2], keepdims=0),
        node("Gemm", "f k", "g"),
    ]
    arrays = {
        "q": np.random.default_rng(0).integers(-9, 9, (4, 3, 3, 3)).astype(np.int8),
        "scale": np.array([0.1, 0.2, 0.3, 0.4], np.float32),
        "zero": np.array([1, 2, 3, 4], np.int8),
        "four": np.array([4]),
        "one": np.array(0.3),
        "axes": np.array([1, 2]),
        "zero64": np.array([0]),
        "two64": np.array([2]),
        "minus": np.array([-1]),
        "k": weights(4, 2),
    }
    check(peers, graphs.model(nodes, arrays, shape=(2, 3, 12, 10)))


OPSETS = {
    "Upsample": (9, [step("Upsample", "scales", mode="nearest")]),
    "Resize of version 10": (10, [step("Resize", "scales", mode="nearest")]),
    "Clip by attributes": (7, [step("Clip", min=-0.5, max=0.25)]),
    "Dropout by attribute": (7, [step("Dropout", ratio=0.25)]),
    "Squeeze by attribute": (7, [step("GlobalAveragePool"), step("Squeeze", axes=[2, 3])]),
    "Unsqueeze by attribute": (
        7,
        [step("GlobalMaxPool"), step("Flatten"), step("Unsqueeze", axes=[2, 3]), step("Relu")],
    ),
    "Pad by attribute": (7, [step("Pad", pads=[0, 0, 1, -1, 0, 0, 2, 0])]),
    "Slice by attributes": (7, [step("Slice", starts=[1], ends=[3], axes=[1])]),
    "Split by attribute": (7, [step("Split", axis=1, split=[4])]),
    "BatchNormalization": (7, [step("BatchNormalization", "b b b v")]),
    "Softmax": (7, [step("GlobalMaxPool"), step("Softmax")]),
    "Gelu": (20, [step("Gelu"), step("Gelu", approximate="tanh")]),
    "HardSwish": (14, [step("HardSwish"), step("HardSigmoid"), step("Elu"), step("Selu")]),
    "Mish": (18, [step("Mish"), step("LeakyRelu"), step("Abs"), step("Softplus")]),
}


@pytest.mark.parametrize("name", sorted(OPSETS))
def test_versions_of_operators(peers, name):
    opset, steps = OPSETS[name]
    arrays = {"scales": np.array([1.0, 1, 2, 2]), "v": np.ones(4)}
    check(peers, peers[0].chain(*steps, opset=opset, arrays=arrays))


@pytest.mark.parametrize("opset", range(7, 29))
def test_every_version_since_the_seventh(peers, opset):
    from onnx import defs, version_converter

    if opset > defs.onnx_opset_version():
        pytest.skip(f"this onnx knows versions up to {defs.onnx_opset_version()}")
    steps = [
        step("MaxPool", kernel_shape=[3, 3], strides=[2, 2]),
        step("AveragePool", kernel_shape=[2, 2], pads=[1, 1, 0, 0], count_include_pad=1),
        step("BatchNormalization", "b b b v"),
        step("Relu"),
        step("Flatten"),
        step("Gemm", "m c"),
        step("Softmax"),
    ]
    arrays = {"v": np.full(4, 0.5), "m": weights(80, 5), "c": weights(5)}
    model = peers[0].chain(*steps, arrays=arrays, opset=7)
    check(peers, version_converter.convert_version(model, opset))


def test_broadcast_before_version_7(peers):
    graphs, runtime = peers
    steps = [step("Add", "b", broadcast=1, axis=1), step("Mul", "row", broadcast=1, axis=1)]
    arrays = {"row": weights(4)}
    old = graphs.chain(*steps, opset=6, arrays=arrays)
    as_now = graphs.chain(
        step("Add", "b1"),
        step("Mul", "row1"),
        opset=13,
        arrays={"b1": weights(4, seed=1).reshape(4, 1, 1), "row1": weights(4).reshape(4, 1, 1)},
    )
    x = graphs.image(old)["x"]
    found = fdref.forward(runtime.read(old)[0], x)[-1]
    assert np.array_equal(found, fdref.forward(runtime.read(as_now)[0], x)[-1])


def test_what_is_subtracted_pixel_by_pixel_is_the_average_image(peers):
    graphs, _ = peers
    nodes = [graphs.node("Sub", "x mean", "a"), graphs.node("Conv", "a w", "b")]
    arrays = {"mean": weights(3, 12, 10), "w": weights(4, 3, 3, 3)}
    net = check(peers, graphs.model(nodes, arrays, shape=(1, 3, 12, 10)))
    assert [layer.kind for layer in net] == ["conv"]
    assert np.array_equal(net.average, arrays["mean"])

"""Networks as ONNX files: the same maps in ONNX Runtime, the same network when it is read again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from absence import absent
from graph_strategies import SIDE, graphs
from hypothesis import assume, given, settings
from strategies import seeds

import fdref
from fdref import layers as kinds
from fdref.errors import NetworkError
from fdref.weights.onnx import encoded_onnx, network_from_bytes


@pytest.fixture(scope="module")
def onnxruntime():
    try:
        import onnx  # noqa: F401 - what we read and write with
        import onnxruntime
    except ImportError as error:
        absent("peers", f"{error.name} is not installed")
    return onnxruntime


def outputs_of(onnxruntime, data, inputs):
    """Return the outputs of a model in ONNX Runtime, by name."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    fed = {own.name: x for own, x in zip(session.get_inputs(), inputs, strict=True)}
    names = [own.name for own in session.get_outputs()]
    return dict(zip(names, session.run(names, fed), strict=True))


def sinks(net):
    used = {below for taken in net.takes[1:] for below in taken}
    return [number for number in range(1, len(net) + 1) if number not in used]


def close(found, expected, eps=1e-5):
    assert found.shape == expected.shape
    scale = max(1, abs(expected).max(initial=0))
    assert abs(found - expected).max(initial=0) <= eps * scale


def in_float32(net):
    """Return a network with weights of float32."""

    def narrow(layer):
        own = layer.parts()
        return replace(
            layer,
            **{
                name: values.astype(np.float32)
                for name, values in own.items()
                if isinstance(values, np.ndarray)
            },
        )

    return fdref.Network(**{**net.parts(), "layers": [narrow(layer) for layer in net]})


@settings(max_examples=150)
@given(graphs(linear=False), seeds)
def test_random_graphs_compute_the_same_in_onnx_runtime_and_when_read_again(onnxruntime, net, seed):
    # Repeating each pixel once changes nothing, and is no layer when it is read.
    assume(not any(isinstance(x, kinds.Upsample) and x.factor == (1, 1) for x in net))
    net = in_float32(net)
    random = np.random.default_rng(seed)
    inputs = [
        random.standard_normal((2, channels, *SIDE)).astype(np.float32)
        for channels in net.input_channels
    ]
    data = encoded_onnx(net)
    expected = fdref.forward(net, inputs if len(inputs) > 1 else inputs[0])
    if not all(np.isfinite(values).all() for values in expected):
        return
    for found, number in zip(
        outputs_of(onnxruntime, data, inputs).values(), sinks(net), strict=True
    ):
        close(found, expected[number])
    again = network_from_bytes(data)
    assert again.input_size == net.input_size
    assert again.input_channels == net.input_channels
    found = fdref.forward(again, inputs if len(inputs) > 1 else inputs[0])
    for own, number in zip(sinks(again), sinks(net), strict=True):
        close(found[own], expected[number])


def test_lenet_comes_back_as_it_was(onnxruntime):
    net, digits = fdref.load(), fdref.mnist().test
    data = encoded_onnx(net)
    assert data == encoded_onnx(net)
    assert network_from_bytes(data) == net
    pictures = digits.images[:50].astype(np.float32)[:, None]
    (found,) = outputs_of(onnxruntime, data, [pictures]).values()
    close(found, fdref.forward(net, net.prepare(digits.images[:50]))[-1])


def float32(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


LAYERS = [
    kinds.Conv(float32(6, 2, 3, 2), float32(6), (1, 2), (1, 0, 2, 1), (2, 1), name="groups"),
    kinds.Pool((3, 2), (2, 1), (1, 2, 0, 1), "max", name="max"),
    kinds.Pool((3, 2), (2, 1), (1, 2, 0, 1), "avg", name="avg"),
    kinds.ConvTranspose(float32(4, 3, 3, 4), float32(6), (2, 3), (1, 0, 2, 1), 2, name="convt"),
    kinds.ConvTranspose(float32(4, 3, 3, 4), None, (2, 3), (0, -1, 0, -2), name="output padding"),
    kinds.ReLU(name="relu"),
    kinds.ReLU(0.1, name="leaky"),
    kinds.PReLU(float32(4), name="prelu"),
    *(kinds.Elementwise(name, name=name) for name in kinds.functions.FUNCTIONS),
    kinds.Elementwise("clip", (-0.25, 0.75), name="clipped"),
    kinds.Elementwise("elu", (0.3,), name="another elu"),
    kinds.Elementwise("hard_sigmoid", (0.3, 0.4), name="another sigmoid"),
    kinds.BatchNorm(*float32(3, 4), abs(float32(4)) + np.float32(0.1), name="bnorm"),
    kinds.Scale(float32(4), name="factor"),
    kinds.Scale(float32(4), float32(4, seed=1), name="factor and offset"),
    kinds.Normalize(5, 2.0, 1e-4, 0.75, name="lrn"),
    kinds.Dropout(0.3, name="dropout"),
    kinds.Softmax(name="prob"),
    kinds.Channels([3, 0, 0, 2], name="channels"),
    kinds.Pad((1, -1, 0, 2), name="pad"),
    kinds.Upsample((2, 3), name="upsample"),
    kinds.Shuffle(2, "DCR", name="dcr"),
    kinds.Shuffle(2, "CRD", name="crd"),
    kinds.Shuffle(2, "DCR", reverse=True, name="deep"),
    kinds.Sum(name="sum"),
    kinds.Sum((1, -1), name="difference"),
    kinds.Concat(name="concat"),
    kinds.Maximum(name="maximum"),
    kinds.Product(name="product"),
]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.name)
def test_layers_that_have_an_operator_come_back_equal(onnxruntime, layer):
    first = kinds.Conv(float32(4, 3, 3, 3), name="first")
    several = layer.takes[1] > 1
    net = fdref.Network(
        [first, kinds.Conv(float32(4, 4, 1, 1), name="second"), layer],
        wiring={3: [1, 2]} if several else {},
        input_size=(14, 16),
        classes=["cat", "dög"],
        provenance="a test",
    )
    data = encoded_onnx(net)
    assert network_from_bytes(data) == net
    x = float32(2, 3, 14, 16, seed=5)
    (found,) = outputs_of(onnxruntime, data, [x]).values()
    close(found, fdref.forward(net, x)[-1])


@pytest.mark.parametrize(
    "names", [["", "", ""], ["a", "a", "a"], ["input", "/a/b/Relu", "node_x"], ["é\n", "n1", "a.b"]]
)
def test_names_come_back(onnxruntime, names):
    bank = float32(2, 2, 1, 1)
    layers = [
        kinds.Conv(bank, name=names[0]),
        kinds.ReLU(name=names[1]),
        kinds.Conv(bank, name=names[2]),
    ]
    net = fdref.Network(layers)
    data = encoded_onnx(net)
    again = network_from_bytes(data)
    assert [layer.name for layer in again] == names
    assert again == net
    outputs_of(onnxruntime, data, [float32(1, 2, 5, 5)])


@pytest.mark.parametrize("average", [float32(3), float32(3, 14, 16)], ids=["colour", "image"])
def test_the_average_is_subtracted_by_the_first_node(onnxruntime, average):
    net = fdref.Network([kinds.Conv(float32(4, 3, 3, 3))], average=average)
    data = encoded_onnx(net)
    again = network_from_bytes(data)
    assert again == net
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 14, 16)).astype(np.float32)
    (found,) = outputs_of(onnxruntime, data, [pixels]).values()
    close(found, fdref.forward(net, net.prepare(pixels))[-1])


def test_numbers_that_float32_does_not_hold_are_refused(onnxruntime):
    net = fdref.Network([kinds.Conv(np.full((1, 1, 1, 1), 1e300), name="huge")])
    with pytest.raises(
        NetworkError, match=r"layer 1 \(conv 'huge'\) cannot be written: .* float32"
    ):
        encoded_onnx(net)
    wide = fdref.Network([kinds.Conv(np.full((1, 1, 1, 1), 0.1))])
    assert network_from_bytes(encoded_onnx(wide))[1].filters == np.float32(0.1)

"""Networks as ONNX files: the same maps in ONNX Runtime, the same network when it is read again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from absence import absent
from graph_strategies import SIDE, graphs
from hypothesis import given, settings
from strategies import seeds

import fdref
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

"""ONNX Runtime's side of the table: models of one node or of a whole network, made in memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from fdref import BatchNorm, Conv, Dropout, Normalize, Pool, ReLU, Softmax
from fdref.geometry import pair
from peers.task import THREADS

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from onnx import NodeProto

    from fdref import Network
    from fdref.arrays import Array
    from fdref.layers import Layer

    Run = Callable[[], Any]
    Session = Callable[[Array], list[Array]]

OPSET, IR = 17, 8  # old enough for every runtime that we claim to work with


def correlate(images: Array, filters: Array, bias: Array | None = None, **parameters: Any) -> Run:
    return layer_output(Conv(filters, bias, **parameters), images)


def pool(images: Array, **parameters: Any) -> Run:
    return layer_output(Pool(**parameters), images)


def substitute(
    maps: Array,
    filters: Array,
    stride: int | Sequence[int] = 1,
    dilate: int | Sequence[int] = 1,
    groups: int = 1,
) -> Run:
    steps = {"strides": pair(stride, "stride"), "dilations": pair(dilate, "dilate")}
    return _one_node(maps, "ConvTranspose", [filters], group=groups, **steps)


def unpool(maps: Array, stride: int | Sequence[int], method: str) -> Run:
    modes = {
        "nearest": {"mode": "nearest", "nearest_mode": "round_prefer_floor"},
        "bilinear": {"mode": "linear"},
        "bicubic": {"mode": "cubic", "cubic_coeff_a": -0.5},
    }
    steps = pair(stride, "stride")
    constants = [None, np.array([1, 1, *steps], np.float32)]
    if method != "bicubic":
        return _one_node(maps, "Resize", constants, **modes[method])
    # It clamps where MATLAB mirrors: it gets the mirror image, which is cut off again.
    edges = ((0, 0), (0, 0), (2, 2), (2, 2))
    run = _one_node(np.pad(maps, edges, "symmetric"), "Resize", constants, **modes[method])
    top, left = 2 * steps[0], 2 * steps[1]
    return lambda: run()[:, :, top:-top, left:-left]


def layer_output(layer: Layer, x: Array) -> Run:
    operator, constants, attributes = _node(layer, x.shape[1])
    return _one_node(x, operator, constants, **attributes)


def forward(net: Network, x: Array) -> Run:
    run = _chain(net, x, every=True)
    return lambda: [x, *run(x)]


def probabilities(net: Network, x: Array, batch: int | None = None) -> Run:
    run = _chain(net, x[:batch], every=False)
    step = batch or len(x)
    chunks = [x[first : first + step] for first in range(0, len(x), step)]
    return lambda: np.concatenate([run(chunk)[0] for chunk in chunks])


def _chain(net: Network, x: Array, *, every: bool) -> Session:
    nodes, initializers, names = [], {}, ["input"]
    for number, layer in enumerate(net, 1):
        operator, constants, attributes = _node(layer, net.channels[number - 1])
        weights = {f"{number}/{n}": array for n, array in enumerate(constants)}
        initializers.update(weights)
        names.append(f"map{number}")
        inputs = [names[-2], *weights]
        nodes.append(helper.make_node(operator, inputs, [names[-1]], **attributes))
    return _session(nodes, initializers, names[1:] if every else names[-1:], x)


def _one_node(x: Array, operator: str, constants: Sequence[Array | None], **attributes: Any) -> Run:
    given = {str(n): array for n, array in enumerate(constants) if array is not None}
    inputs = [str(n) if str(n) in given else "" for n in range(len(constants))]
    node = helper.make_node(operator, ["input", *inputs], ["output"], **attributes)
    run = _session([node], given, ["output"], x)
    return lambda: run(x)[0]


def _session(
    nodes: Sequence[NodeProto], initializers: dict[str, Array], outputs: Sequence[str], x: Array
) -> Session:
    kind = TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "peer",
        [helper.make_tensor_value_info("input", kind, x.shape)],
        [helper.make_tensor_value_info(name, kind, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in initializers.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    return lambda images: session.run(None, {"input": images})


def _node(layer: Layer, channels: int) -> tuple[str, list[Array], dict[str, Any]]:
    """Return the operator, its constant inputs and its attributes."""
    match layer:
        case Conv(filters=filters, bias=bias):
            attributes = _window(layer) | {
                "kernel_shape": filters.shape[2:],
                "dilations": layer.dilate,
                "group": channels // filters.shape[1],
            }
            return "Conv", [filters] if bias is None else [filters, bias], attributes
        case Pool(method="max"):
            return "MaxPool", [], _window(layer)
        case Pool():
            return "AveragePool", [], _window(layer)
        case ReLU(leak=leak):
            return "LeakyRelu", [], {"alpha": leak}
        case Normalize(size=size, kappa=kappa, alpha=alpha, beta=beta):
            attributes = {"size": size, "alpha": alpha * size, "beta": beta, "bias": kappa}
            return "LRN", [], attributes
        case BatchNorm(gain=gain, bias=bias, mean=mean, deviation=deviation):
            return "BatchNormalization", [gain, bias, mean, deviation**2], {"epsilon": 0.0}
        case Softmax():
            return "Softmax", [], {"axis": 1}
        case Dropout():
            return "Identity", [], {}


def _window(layer: Conv | Pool) -> dict[str, Any]:
    top, bottom, left, right = layer.pad
    return {
        "kernel_shape": layer.window,
        "strides": layer.stride,
        "pads": (top, left, bottom, right),
    }

"""The forward pass in ONNX Runtime: every case is a model, made by onnx.helper and run once.

What it has no kernel for (Conv in float64, above all) is not attempted; onnx_runtime.xfail lists
what it does not do, or does otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
from kit_files import NotAttemptedError, answer
from onnx import helper, numpy_helper
from onnxruntime.capi.onnxruntime_pybind11_state import (
    Fail,
    InvalidArgument,
    InvalidGraph,
    NotImplemented,  # noqa: A004 - its name
    RuntimeException,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kit_files import Array

    Pair = Sequence[int]
    Layer = Mapping[str, Any]
    Operator = tuple[str, Sequence[Array], Mapping[str, Any]]
    """Its name, constant inputs and attributes."""

OPSET, IR = 17, 8


def correlate(images: Array, **rest: Any) -> Array:
    return run(images, [conv(**rest)])[0]


def pool(images: Array, **rest: Any) -> Array:
    return run(images, [pooling(**rest)])[0]


def relu(images: Array, **rest: Any) -> Array:
    return run(images, [leaky_relu(**rest)])[0]


def normalize(images: Array, **rest: Any) -> Array:
    return run(images, [lrn(**rest)])[0]


def bnorm(images: Array, **rest: Any) -> Array:
    return run(images, [batch_normalization(**rest)])[0]


def forward(images: Array, network: Sequence[Layer]) -> dict[str, Array]:
    operators, wiring = [], []
    for number, layer in enumerate(network, 1):
        rest = {key: value for key, value in layer.items() if key not in ("type", "inputs")}
        operators.append(OPERATORS[layer["type"]](**rest))
        wiring.append(layer.get("inputs", [number - 1]))
    return {f"layer{n}": maps for n, maps in enumerate(run(images, operators, wiring), 1)}


def conv(
    filters: Array,
    bias: Array | None = None,
    *,
    stride: Pair,
    pad: Sequence[int],
    dilate: Pair,
    groups: int,
) -> Operator:
    # What ONNX calls a convolution is a correlation.
    attributes = {"dilations": dilate, "group": groups}
    weights = [filters] if bias is None else [filters, bias]
    return "Conv", weights, attributes | windows(filters.shape[2:], stride, pad)


def pooling(*, window: Pair, stride: Pair, pad: Sequence[int], method: str) -> Operator:
    # An average leaves out padding unless count_include_pad is set.
    operators = {"max": "MaxPool", "avg": "AveragePool"}
    if method not in operators:
        raise ValueError(f"no such method as {method!r}")
    return operators[method], [], windows(window, stride, pad)


def windows(window: Pair, stride: Pair, pad: Sequence[int]) -> dict[str, Sequence[int]]:
    # All beginnings come first, then all ends.
    top, bottom, left, right = pad
    return {"kernel_shape": window, "strides": stride, "pads": (top, left, bottom, right)}


def leaky_relu(*, leak: float) -> Operator:
    # LeakyRelu multiplies -inf by a leak of 0, which is NaN.
    return ("LeakyRelu", [], {"alpha": float(leak)}) if leak else ("Relu", [], {})


def lrn(*, size: int, kappa: float, alpha: float, beta: float) -> Operator:
    # LRN divides alpha by the size; it is multiplied by it beforehand. Even windows reach one
    # channel further up, as here.
    numbers = {"bias": float(kappa), "alpha": float(alpha * size), "beta": float(beta)}
    return "LRN", [], {"size": size, **numbers}


def batch_normalization(gain: Array, bias: Array, moments: Array) -> Operator:
    # It takes a variance, and adds epsilon to it.
    mean, deviation = moments.T
    return "BatchNormalization", [gain, bias, mean, deviation**2], {"epsilon": 0.0}


def convolution_transpose(
    filters: Array,
    bias: Array | None = None,
    *,
    upsample: Pair,
    crop: Sequence[int],
    groups: int,
) -> Operator:
    weights = [filters] if bias is None else [filters, bias]
    attributes = windows(filters.shape[2:], upsample, crop)
    return "ConvTranspose", weights, attributes | {"group": groups}


def scale(factor: Array, offset: Array | None = None) -> Operator:
    zeros, ones = np.zeros_like(factor), np.ones_like(factor)
    shift = zeros if offset is None else offset
    return "BatchNormalization", [factor, shift, zeros, ones], {"epsilon": 0.0}


def plain(operator: str, **attributes: int) -> Callable[[], Operator]:
    return lambda: (operator, [], attributes)


OPERATORS = {
    "conv": conv,
    "pool": pooling,
    "relu": leaky_relu,
    "normalize": lrn,
    "bnorm": batch_normalization,
    "softmax": plain("Softmax", axis=1),
    "convt": convolution_transpose,
    "scale": scale,
    "sum": plain("Sum"),
    "concat": plain("Concat", axis=1),
    "product": plain("Mul"),
    "sigmoid": plain("Sigmoid"),
    "dropout": plain("Identity"),
}


def run(
    images: Array, operators: Sequence[Operator], wiring: Sequence[Sequence[int]] = ((0,),)
) -> list[Array]:
    """Return the output of each operator; the wiring has the numbers of the maps that it takes."""
    kind = helper.np_dtype_to_tensor_dtype(images.dtype)
    nodes, constants = [], {}
    for number, (name, arrays, attributes) in enumerate(operators, 1):
        own = {f"{number}/{n}": array for n, array in enumerate(arrays)}
        constants.update(own)
        inputs = [*(f"map{n}" for n in wiring[number - 1]), *own]
        nodes.append(helper.make_node(name, inputs, [f"map{number}"], **attributes))
    graph = helper.make_graph(
        nodes,
        "case",
        [helper.make_tensor_value_info("map0", kind, images.shape)],
        [helper.make_tensor_value_info(node.output[0], kind, None) for node in nodes],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except NotImplemented as error:
        raise NotAttemptedError(f"no kernel for {images.dtype}") from error
    return session.run(None, {"map0": images})


OPERATIONS = (correlate, pool, relu, normalize, bnorm, forward)

if __name__ == "__main__":
    answer(
        {each.__name__: each for each in OPERATIONS},
        refusals=(
            Fail,
            InvalidArgument,
            InvalidGraph,
            RuntimeException,
            ValueError,
        ),
    )

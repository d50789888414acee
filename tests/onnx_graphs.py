"""ONNX graphs put together by hand: a line of nodes each, for what no exporter writes."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 8


def node(op, inputs, outputs, domain="", **attributes):
    """Return a node; names are words in a text."""
    split = [[] if one is None else one.split() for one in (inputs, outputs)]
    taken = ["" if name == "_" else name for name in split[0]]
    return helper.make_node(op, taken, split[1], domain=domain, **attributes)


def model(nodes, arrays, shape=("n", 3, 12, 10), opset=17, inputs=(), outputs=None):
    """Return a model over an input x; constants are float32, or int64, by name."""
    stored = [
        numpy_helper.from_array(
            np.asarray(own) if np.asarray(own).dtype.kind != "f" else np.asarray(own, np.float32),
            name,
        )
        for name, own in arrays.items()
    ]
    described = [("x", shape), *inputs]
    taken = [helper.make_tensor_value_info(name, TensorProto.FLOAT, own) for name, own in described]
    names = outputs or [nodes[-1].output[0]]
    made = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    graph = helper.make_graph(nodes, "graph", taken, made, stored)
    return helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION
    )


def weights(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def chain(*steps, channels=4, size=3, arrays=(), **options):
    """Return a model of a convolution and what comes after it, one node after the other.

    A step is (operator, names of further inputs, attributes); values are named v0, v1, ...
    """
    nodes = [node("Conv", "x w b", "v0", pads=[1] * 4, kernel_shape=[size, size])]
    for number, (op, more, attributes) in enumerate(steps, 1):
        nodes.append(node(op, f"v{number - 1} {more}", f"v{number}", **attributes))
    shape = options.get("shape", (1, 3, 12, 10))
    own = {"w": weights(channels, shape[1] or 3, size, size), "b": weights(channels, seed=1)}
    return model(nodes, own | dict(arrays), **{"shape": shape, **options})


def image(model, seed=0, size=(12, 10)):
    """Return random images for every input of a model, by name."""
    stored = {one.name for one in model.graph.initializer}
    random = np.random.default_rng(seed)
    found = {}
    for one in model.graph.input:
        if one.name not in stored:
            lengths = [d.dim_value for d in one.type.tensor_type.shape.dim]
            open_ends = [2, 3, *size]
            shape = [n or open_ends[axis] for axis, n in enumerate(lengths)]
            found[one.name] = random.standard_normal(shape).astype(np.float32)
    return found

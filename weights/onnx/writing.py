"""Networks as ONNX models, which `network_from_bytes` reads back, and every runtime runs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arguments import instance
from fdref.arrays import in_precision
from fdref.errors import ArgumentError, NetworkError
from fdref.network.graph import Network
from fdref.weights.onnx.model import import_onnx
from fdref.weights.onnx.names import NAMES, readable
from fdref.weights.onnx.particulars import AVERAGE, metadata_of
from fdref.weights.onnx.writers import nodes_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

OPSET, IR_VERSION = 20, 9
"""The first with Gelu; ONNX Runtime reads it from version 1.17 on."""
LARGEST = 2**31 - 2**20
"""Bytes of a protocol buffer."""


class Graph:
    """A graph that grows, layer by layer."""

    def __init__(self, net: Network) -> None:
        self.onnx = import_onnx()
        self.net = net
        self.nodes: list[Any] = []
        self.arrays: list[Any] = []
        self.taken: set[str] = set()
        self.values: dict[int, str] = {}
        """by the number of a map"""

    def unique(self, name: str) -> str:
        """Return a name that nothing has, as close as possible to one."""
        found, number = name, 2
        while found in self.taken:
            found, number = f"{name}_{number}", number + 1
        self.taken.add(found)
        return found

    def array(self, name: str, values: NDArray[Any] | Sequence[float]) -> str:
        """Add a constant; real numbers are written in float32, which every runtime computes."""
        array = np.asarray(values)
        if array.dtype.kind == "f":
            array = in_precision(array, np.dtype(np.float32), name).reshape(array.shape)
        own = self.unique(name)
        self.arrays.append(self.onnx.numpy_helper.from_array(np.array(array, order="C"), own))
        return own

    def node(self, op: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        """Add a node, named as its output; return that."""
        made = self.onnx.helper.make_node(op, list(inputs), [output], name=output, **attributes)
        self.nodes.append(made)
        return output


def encoded_onnx(net: Network) -> bytes:
    """Return a network as the bytes of an ONNX file, the same each time.

    Weights are written in float32. The average image is subtracted by the first node, a Sub, so
    that the model takes pixels from 0 to 255, as `Network.prepare` does. What has no operator
    becomes several: factors of sums, borders that a transposed convolution adds, three of the
    pixel shuffles. Names, classes and provenance are metadata under keys of our own.

    Parameters
    ----------
    net : Network

    Returns
    -------
    bytes
        `network_from_bytes` makes a network of it that computes the same, and of a network of
        float32 and layers that have an operator each an equal one.

    Raises
    ------
    NetworkError
        If numbers are too large for float32, or the file would be more than 2 GiB.
    DependencyError
        If the extra `onnx` is not installed.

    Examples
    --------
    >>> import fdref
    >>> from fdref.weights.onnx import encoded_onnx, network_from_bytes  # doctest: +SKIP
    >>> network_from_bytes(encoded_onnx(fdref.load())) == fdref.load()  # doctest: +SKIP
    True
    """
    instance(net, Network, "net")
    graph = Graph(net)
    size = sum(_size(layer) for layer in net)
    if size > LARGEST:
        raise NetworkError(
            f"its weights take {size} bytes; an ONNX file holds at most {LARGEST}: save it for "
            "MATLAB"
        )
    metadata, inputs = metadata_of(net), _inputs(graph)
    first = graph.values[0]
    if net.average is not None:
        average = graph.array("average", net.average)
        metadata[AVERAGE] = average
        graph.values[0] = graph.node("Sub", [first, average], graph.unique("centred"))
    names = {}
    for number, layer in enumerate(net, 1):
        value = graph.unique(layer.name or f"layer{number}")
        graph.values[number] = value
        try:
            nodes_of(graph, number, layer, value)
        except ArgumentError as error:
            raise NetworkError(f"{net.describe(number)} cannot be written: {error}") from None
        if readable(layer.name, "") != layer.name or value != layer.name:
            names[value] = layer.name
    if names:
        metadata[NAMES] = json.dumps(names)
    return _serialized(graph, inputs, metadata)


def _size(layer: object) -> int:
    arrays = (getattr(layer, name, None) for name in ("filters", "bias", "gain", "factor"))
    return sum(4 * values.size for values in arrays if isinstance(values, np.ndarray))


def _inputs(graph: Graph) -> list[Any]:
    """Return the inputs' descriptions; sizes that are not known are left open."""
    net, helper = graph.net, graph.onnx.helper
    height, width = net.input_size or ("height", "width")
    found = []
    for number, channels in enumerate(net.input_channels):
        name = graph.unique("input" if number == 0 else f"input{number + 1}")
        graph.values[-number] = name
        shape = ["images", channels, height, width]
        found.append(helper.make_tensor_value_info(name, graph.onnx.TensorProto.FLOAT, shape))
    return found


def _serialized(graph: Graph, inputs: Sequence[Any], metadata: dict[str, str]) -> bytes:
    net, helper = graph.net, graph.onnx.helper
    used = {below for taken in net.takes[1:] for below in taken}
    sizes = net.sizes if net.input_size is not None else {}
    outputs = []
    for number in range(1, len(net) + 1):
        if number not in used:
            shape = ["images", net.channels[number], *sizes.get(number, (None, None))]
            kind = graph.onnx.TensorProto.FLOAT
            outputs.append(helper.make_tensor_value_info(graph.values[number], kind, shape))
    proto = helper.make_model(
        helper.make_graph(graph.nodes, "network", inputs, outputs, graph.arrays),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fdref",
    )
    helper.set_model_props(proto, dict(sorted(metadata.items())))
    data: bytes = proto.SerializeToString(deterministic=True)
    return data

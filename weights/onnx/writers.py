"""The table of layers: which nodes each becomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import ArgumentError
from fdref.layers import (
    BatchNorm,
    Channels,
    Concat,
    Conv,
    ConvTranspose,
    Dropout,
    Elementwise,
    Maximum,
    Normalize,
    Pad,
    Pool,
    PReLU,
    Product,
    ReLU,
    Scale,
    Shuffle,
    Softmax,
    Sum,
    Upsample,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fdref.geometry import Margins
    from fdref.layers import Layer
    from fdref.weights.onnx.writing import Graph

    Writer = Callable[["Place", Any], None]


class Place:
    """Where in a graph a layer is written: what it takes, and what its output is called."""

    def __init__(self, graph: Graph, number: int, value: str) -> None:
        self.graph, self.number, self.value = graph, number, value
        self.taken = [graph.values[below] for below in graph.net.takes[number]]

    def last(self, op: str, inputs: Sequence[str], **attributes: object) -> None:
        """Add the layer's last node."""
        self.graph.node(op, inputs, self.value, **attributes)

    def step(self, op: str, inputs: Sequence[str], **attributes: object) -> str:
        """Add a node on the way; return its output."""
        value = self.graph.unique(f"{self.value}/{op}")
        return self.graph.node(op, inputs, value, **attributes)

    def array(self, name: str, values: NDArray[Any] | Sequence[float]) -> str:
        """Add a constant of the layer."""
        return self.graph.array(f"{self.value}.{name}", values)


def nodes_of(graph: Graph, number: int, layer: Layer, value: str) -> None:
    """Add the nodes of a layer.

    Raises
    ------
    ArgumentError
        If ONNX cannot say it.
    """
    writer = WRITERS.get(type(layer))
    if writer is None:
        raise ArgumentError("expected one of fdref's own layers, of known type; leave it out")
    writer(Place(graph, number, value), layer)


def pads_of(margins: Margins) -> list[int]:
    """Return borders in ONNX's order: [top, left, bottom, right]."""
    top, bottom, left, right = margins
    return [top, left, bottom, right]


def by_channel(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers for channels as they are laid along a map."""
    return values.reshape(-1, 1, 1)


def conv(place: Place, layer: Conv) -> None:
    """Write a correlation."""
    weights = [place.array("weight", layer.filters)]
    if layer.bias is not None:
        weights.append(place.array("bias", layer.bias))
    place.last(
        "Conv",
        [*place.taken, *weights],
        kernel_shape=list(layer.filters.shape[2:]),
        strides=list(layer.stride),
        pads=pads_of(layer.pad),
        dilations=list(layer.dilate),
        group=place.graph.net.groups(place.number),
    )


def pool(place: Place, layer: Pool) -> None:
    """Write a pool, over windows that are clipped to the map."""
    place.last(
        "MaxPool" if layer.method == "max" else "AveragePool",
        place.taken,
        kernel_shape=list(layer.window),
        strides=list(layer.stride),
        pads=pads_of(layer.pad),
    )


def conv_transpose(place: Place, layer: ConvTranspose) -> None:
    """Write a transposed convolution.

    Borders below and on the right are output padding, as far as that may be: less than a step.
    Others are zeros around its map, to which the biases are added at last.
    """
    top, bottom, left, right = layer.crop
    more = [
        min(max(0, -n), step - 1) for n, step in zip((bottom, right), layer.upsample, strict=True)
    ]
    crop = [max(0, n) for n in (top, left, bottom, right)]
    border = [max(0, -top), max(0, -left), max(0, -bottom) - more[0], max(0, -right) - more[1]]
    weights = [place.array("weight", layer.filters)]
    bias = None if layer.bias is None else layer.bias
    if bias is not None and not any(border):
        weights.append(place.array("bias", bias))
    write = place.step if any(border) else place.last
    made = write(
        "ConvTranspose",
        [*place.taken, *weights],
        kernel_shape=list(layer.filters.shape[2:]),
        strides=list(layer.upsample),
        pads=crop,
        output_padding=more,
        group=layer.groups,
    )
    if any(border):
        sides = place.array("border", np.array([0, 0, *border[:2], 0, 0, *border[2:]]))
        padded = (place.last if bias is None else place.step)("Pad", [made or "", sides])
        if bias is not None:
            place.last("Add", [padded or "", place.array("bias", by_channel(bias))])


def relu(place: Place, layer: ReLU) -> None:
    """Write a ReLU."""
    if layer.leak == 0:
        place.last("Relu", place.taken)
    else:
        place.last("LeakyRelu", place.taken, alpha=layer.leak)


def prelu(place: Place, layer: PReLU) -> None:
    """Write a ReLU of a leak for each channel."""
    place.last("PRelu", [*place.taken, place.array("weight", by_channel(layer.leak))])


def elementwise(place: Place, layer: Elementwise) -> None:
    """Write a function of each number."""
    op, *names = FUNCTIONS[layer.function]
    attributes = dict(zip(names, layer.constants, strict=True))
    match layer.function:
        case "clip":
            ends = [place.array(name, np.array(own)) for name, own in attributes.items()]
            place.last(op, [*place.taken, *ends])
        case "swish":
            gate = place.step("Sigmoid", place.taken)
            place.last("Mul", [*place.taken, gate])
        case "gelu_tanh":
            place.last(op, place.taken, approximate="tanh")
        case _:
            place.last(op, place.taken, **attributes)


FUNCTIONS = {
    "abs": ("Abs",),
    "clip": ("Clip", "min", "max"),
    "elu": ("Elu", "alpha"),
    "gelu": ("Gelu",),
    "gelu_tanh": ("Gelu",),
    "hard_sigmoid": ("HardSigmoid", "alpha", "beta"),
    "hard_swish": ("HardSwish",),
    "sigmoid": ("Sigmoid",),
    "softplus": ("Softplus",),
    "swish": ("Mul",),
    "tanh": ("Tanh",),
}
"""By our names: the operator, and what it calls the constants."""


def batch_norm(place: Place, layer: BatchNorm) -> None:
    """Write batch normalisation: variances, and no epsilon, as it is inside."""
    variance = layer.deviation.astype(np.float64) ** 2
    arrays = {
        "weight": layer.gain,
        "bias": layer.bias,
        "running_mean": layer.mean,
        "running_var": variance,
    }
    inputs = [place.array(name, values) for name, values in arrays.items()]
    place.last("BatchNormalization", [*place.taken, *inputs], epsilon=0.0)


def scale(place: Place, layer: Scale) -> None:
    """Write factors, and offsets."""
    factor = place.array("factor", by_channel(layer.factor))
    if layer.offset is None:
        place.last("Mul", [*place.taken, factor])
    else:
        scaled = place.step("Mul", [*place.taken, factor])
        place.last("Add", [scaled, place.array("offset", by_channel(layer.offset))])


def normalize(place: Place, layer: Normalize) -> None:
    """Write local response normalisation, whose alpha is there for the mean of the squares."""
    alpha = layer.alpha * layer.size
    place.last("LRN", place.taken, size=layer.size, alpha=alpha, beta=layer.beta, bias=layer.kappa)


def total(place: Place, layer: Sum) -> None:
    """Write a sum, a difference, or a sum of what is multiplied before."""
    factors = layer.factors
    if factors == (1.0, -1.0):
        place.last("Sub", place.taken)
        return
    summands = list(place.taken)
    for n, own in enumerate(summands):
        if factors is not None and factors[n] != 1:
            summands[n] = place.step("Mul", [own, place.array("factor", np.array(factors[n]))])
    place.last("Sum", summands)


def product(place: Place, layer: Product) -> None:  # noqa: ARG001 - what every writer takes
    """Write a product."""
    *before, last = place.taken[1:]
    made = place.taken[0]
    for own in before:
        made = place.step("Mul", [made, own])
    place.last("Mul", [made, last])


def channels(place: Place, layer: Channels) -> None:
    """Write a selection of channels."""
    chosen = place.array("channels", np.array(layer.indices, np.int64))
    place.last("Gather", [*place.taken, chosen], axis=1)


def upsample(place: Place, layer: Upsample) -> None:
    """Write the repetition of pixels."""
    scales = place.array("scales", np.array([1.0, 1.0, *layer.factor]))
    place.last(
        "Resize",
        [*place.taken, "", scales],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


def shuffle(place: Place, layer: Shuffle) -> None:
    """Write a shuffle: in ONNX's order, where it knows it, else of channels in that order."""
    if not layer.reverse and layer.order != "MATLAB":
        place.last("DepthToSpace", place.taken, blocksize=layer.block, mode=layer.order)
        return
    if layer.reverse and layer.order == "DCR":
        place.last("SpaceToDepth", place.taken, blocksize=layer.block)
        return
    # sources[c, i, j] is the deep channel of a place in a block; DCR's would be another
    deep = place.graph.net.channels_of(
        place.number if layer.reverse else place.graph.net.takes[place.number][0]
    )
    shallow = deep // layer.block**2
    own = layer.sources(shallow).ravel()
    if not layer.reverse:  # CRD numbers the places in their order
        ordered = place.step("Gather", [*place.taken, place.array("channels", own)], axis=1)
        place.last("DepthToSpace", [ordered], blocksize=layer.block, mode="CRD")
        return
    made = place.step("SpaceToDepth", place.taken, blocksize=layer.block)
    theirs = Shuffle(layer.block, "DCR").sources(shallow).ravel()
    order = np.empty_like(own)
    order[own] = theirs
    place.last("Gather", [made, place.array("channels", order)], axis=1)


def pad(place: Place, layer: Pad) -> None:
    """Write zeros around a map, or what is cut off: all begins before all ends."""
    top, bottom, left, right = layer.pad
    sides = place.array("border", np.array([0, 0, top, left, 0, 0, bottom, right], np.int64))
    place.last("Pad", [*place.taken, sides])


def dropout(place: Place, layer: Dropout) -> None:
    """Write Dropout, which passes numbers on."""
    place.last("Dropout", [*place.taken, place.array("ratio", np.array(layer.rate))])


def plainly(op: str, **attributes: object) -> Writer:
    """Return a writer of layers that have an operator."""
    return lambda place, layer: place.last(op, place.taken, **attributes)  # noqa: ARG005


WRITERS: dict[type[Layer], Writer] = {
    BatchNorm: batch_norm,
    Channels: channels,
    Concat: plainly("Concat", axis=1),
    Conv: conv,
    ConvTranspose: conv_transpose,
    Dropout: dropout,
    Elementwise: elementwise,
    Maximum: plainly("Max"),
    Normalize: normalize,
    PReLU: prelu,
    Pad: pad,
    Pool: pool,
    Product: product,
    ReLU: relu,
    Scale: scale,
    Shuffle: shuffle,
    Softmax: plainly("Softmax", axis=1),
    Sum: total,
    Upsample: upsample,
}

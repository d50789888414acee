"""Functions of each number by itself, what passes numbers on, and softmax."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.errors import NetworkError
from fdref.layers import Dropout, Elementwise, PReLU, Product, ReLU, Scale, Softmax
from fdref.layers.functions import FUNCTIONS
from fdref.weights.onnx.arranging import per_channel
from fdref.weights.onnx.joins import bounded, joined
from fdref.weights.onnx.views import UNKNOWN, C

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.operators import Operator
    from fdref.weights.onnx.translation import Translation
    from fdref.weights.onnx.views import View

FLOATS = (1, 10, 11, 16)
"""ONNX's numbers of float32, float16, float64 and bfloat16."""


def function(name: str, **constants: float) -> Operator:
    """Return the translation of an operator that is one of our functions.

    Its constants are the operator's attributes, with ONNX's defaults; those that are ours in
    float32 are ours: 1/6, which no file holds.
    """
    ours = FUNCTIONS[name].constants

    def translate(t: Translation, node: Node) -> Sequence[View]:
        found = {key: node.number_of(key, default) for key, default in constants.items()}
        values = [
            ours[key] if np.float32(ours[key]) == np.float32(own) else own
            for key, own in found.items()
        ]
        return [t.add_pointwise(node, Elementwise(name, values, t.name(node)), t.view(node))]

    return translate


def relu(t: Translation, node: Node) -> Sequence[View]:
    """Translate Relu."""
    return [t.add_pointwise(node, ReLU(0.0, t.name(node)), t.view(node))]


def leaky_relu(t: Translation, node: Node) -> Sequence[View]:
    """Translate LeakyRelu."""
    leak = node.number_of("alpha", 0.01)
    return [t.add_pointwise(node, ReLU(leak, t.name(node)), t.view(node))]


def prelu(t: Translation, node: Node) -> Sequence[View]:
    """Translate PRelu, of one slope or one for each channel."""
    view, slope = t.view(node), t.constant(node, 1, "slopes")
    if slope is None:
        raise NetworkError("its slopes are left out")
    if t.model.opset < 7 and slope.ndim == 1 and len(view.axes) > 1:  # then it meant channels
        slope = slope.reshape(-1, *[1] * (len(view.axes) - 2))
    leaks = per_channel(t, view, slope, "slopes")
    return [t.add_pointwise(node, PReLU(leaks, t.name(node, 1)), view)]


def clip(t: Translation, node: Node) -> Sequence[View]:
    """Translate Clip, whose bounds were attributes before version 11."""
    view, ends = t.view(node), []
    for number, name in enumerate(("min", "max"), 1):
        bound = t.constant(node, number, name)
        if bound is None and name in node.attributes:
            bound = np.array(node.number_of(name, 0.0))
        ends.append(bound)
    return [bounded(t, node, view, *ends)]


def gelu(t: Translation, node: Node) -> Sequence[View]:
    """Translate Gelu, exact or approximated with tanh."""
    kinds = {"none": "gelu", "tanh": "gelu_tanh"}
    found = node.word("approximate", "none")
    if found not in kinds:
        raise NetworkError(f"`approximate` is {found!r}; expected 'none' or 'tanh'")
    return [t.add_pointwise(node, Elementwise(kinds[found], (), t.name(node)), t.view(node))]


def swish(t: Translation, node: Node) -> Sequence[View]:
    """Translate Swish, of alpha 1."""
    if node.number_of("alpha", 1.0) != 1:
        raise NetworkError(f"`alpha` is {node.number_of('alpha', 1.0)}; expected 1")
    return [t.add_pointwise(node, Elementwise("swish", (), t.name(node)), t.view(node))]


def selu(t: Translation, node: Node) -> Sequence[View]:
    """Translate Selu: an elu, scaled."""
    alpha = node.number_of("alpha", 1.6732632)
    gamma = node.number_of("gamma", 1.050701)
    view = t.add_pointwise(
        node, Elementwise("elu", (alpha,), t.name(node, part="elu")), t.view(node)
    )
    factor = np.full(view.channels, gamma, np.float32)
    return [t.add_pointwise(node, Scale(factor, None, t.name(node)), view)]


def mish(t: Translation, node: Node) -> Sequence[View]:
    """Translate Mish: x times tanh of softplus, a product of maps."""
    view = t.view(node)
    soft = Elementwise("softplus", (), t.name(node, part="softplus"))
    gate = t.add_pointwise(node, soft, view)
    gate = t.add_pointwise(node, Elementwise("tanh", (), t.name(node, part="tanh")), gate)
    return [joined(t, node, [view, gate], Product)]


def dropout(t: Translation, node: Node) -> Sequence[View]:
    """Translate Dropout, which passes numbers on."""
    given = t.constant(node, 1, "ratio")
    rate = node.number_of("ratio", 0.5) if given is None else float(str(given.ravel()[0]))
    return [t.add_pointwise(node, Dropout(rate, t.name(node)), t.view(node))]


def passed(t: Translation, node: Node) -> Sequence[View]:
    """Translate Identity: no layer at all."""
    return [t.view(node)]


def cast(t: Translation, node: Node) -> Sequence[View]:
    """Translate a change of precision, which the weights alone tell."""
    if node.op == "Cast" and node.integer("to") not in FLOATS:
        raise NetworkError(f"it makes numbers of type {node.integer('to')}; expected real ones")
    return [t.view(node)]


def softmax(t: Translation, node: Node) -> Sequence[View]:
    """Translate Softmax over the channels; before version 13, over all axes from one on."""
    view, new = t.view(node), t.model.opset >= 13
    axis = view.axis(node.integer("axis", -1 if new else 1))
    over = view.axes[axis] if new else tuple(d for own in view.axes[axis:] for d in own)
    if any(digit.size is None for digit in over):
        raise NetworkError(UNKNOWN)
    sizes = [digit.size or 1 for digit in over if digit.axis == C]
    if len(sizes) < len(over) or int(np.prod(sizes)) != view.channels:
        raise NetworkError(f"it is over axis {axis}; expected channels, and all of them")
    return [t.add_pointwise(node, Softmax(t.name(node)), view)]


ELEMENTWISE: dict[str, Operator] = {
    "Abs": function("abs"),
    "Cast": cast,
    "CastLike": cast,
    "Clip": clip,
    "Dropout": dropout,
    "Elu": function("elu", alpha=1.0),
    "Gelu": gelu,
    "HardSigmoid": function("hard_sigmoid", alpha=0.2, beta=0.5),
    "HardSwish": function("hard_swish"),
    "Identity": passed,
    "LeakyRelu": leaky_relu,
    "Mish": mish,
    "PRelu": prelu,
    "Relu": relu,
    "Selu": selu,
    "Sigmoid": function("sigmoid"),
    "Softmax": softmax,
    "Softplus": function("softplus"),
    "Swish": swish,
    "Tanh": function("tanh"),
}

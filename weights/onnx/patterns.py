"""Functions for which exporters write several nodes; a pattern is tried where its last node is."""

from __future__ import annotations

from math import pi, sqrt
from typing import TYPE_CHECKING

import numpy as np

from fdref.layers import Channels, Elementwise, Normalize
from fdref.weights.onnx.arranging import as_map
from fdref.weights.onnx.model import Nested, shortest
from fdref.weights.onnx.views import View, plain

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.translation import Translation

    Pattern = Callable[[Translation, Node], View | None]

CLOSE = 1e-3
"""How well constants must agree: some exporters write five digits."""
MOST_FACTORS = 8


def factors_of(t: Translation, name: str) -> tuple[list[str], float]:
    """Return what a value is a product of: names, and the constants' product."""
    names, number, waiting = [], 1.0, [name]
    while waiting:
        own = waiting.pop()
        node, constant = t.producers.get(own), single(t, own)
        if constant is not None:
            number *= constant
        elif node is not None and node.op == "Mul" and len(node.inputs) == 2:
            waiting += node.inputs
        elif node is not None and node.op == "Div" and single(t, node.inputs[-1]):
            waiting.append(node.inputs[0])
            number /= single(t, node.inputs[-1]) or 1.0
        else:
            names.append(own)
        if len(names) + len(waiting) > MOST_FACTORS:
            break
    return sorted(names), number


def single(t: Translation, name: str) -> float | None:
    """Return the number that a value is, if it is a single constant."""
    value = t.named(name) if name in t.values or name in t.model.arrays else None
    if isinstance(value, np.ndarray) and value.size == 1 and value.dtype.kind in "fiu":
        return float(value.ravel()[0])
    return None


def same(found: float | None, expected: float) -> bool:
    """Tell whether a constant is there and is the one expected."""
    return found is not None and abs(found - expected) <= CLOSE * abs(expected)


def operands_of(t: Translation, name: str, op: str) -> tuple[str, float] | None:
    """Return what an operator has beside a constant, and that: of x + 1, x and 1."""
    node = t.producers.get(name)
    if node is None or node.op != op or len(node.inputs) != 2:
        return None
    first, second = node.inputs
    for other, own in ((first, second), (second, first)):
        number = single(t, own)
        if number is not None and (other == first or op in ("Add", "Mul")):
            return other, number
    return None


def producer(t: Translation, name: str, op: str) -> Node | None:
    """Return the node that makes a value, if it is of an operator."""
    node = t.producers.get(name)
    return node if node is not None and node.op == op else None


def of_function(t: Translation, node: Node) -> View | None:
    """Translate x times a function of x, and a number: swish, hard swish and both gelus."""
    names, number = factors_of(t, node.outputs[0])
    if len(names) != 2:
        return None
    for x, gate in (names, names[::-1]):
        value = t.values.get(x)
        found = _function(t, x, gate, number) if isinstance(value, View) else None
        if found is not None and isinstance(value, View):
            return t.add_pointwise(node, Elementwise(found, (), t.name(node)), value)
    return None


def _function(t: Translation, x: str, gate: str, number: float) -> str | None:
    """Return the name of the function that is ``number * x * gate``."""
    node = t.producers.get(gate)
    if node is None or not node.inputs:
        return None
    if same(number, 1) and node.inputs[0] == x:
        if node.op == "Sigmoid":
            return "swish"
        hard = node.op == "HardSigmoid" and same(node.number_of("alpha", 0.2), 1 / 6)
        if hard and same(node.number_of("beta", 0.5), 0.5):
            return "hard_swish"
    if same(number, 1 / 6) and _is_clip(t, node, 0.0, 6.0):
        plus = operands_of(t, node.inputs[0], "Add")
        if plus and plus[0] == x and same(plus[1], 3):
            return "hard_swish"
    plus = operands_of(t, gate, "Add")
    if plus and same(plus[1], 1) and same(number, 0.5):
        if _is_scaled(t, producer(t, plus[0], "Erf"), x, 1 / sqrt(2)):
            return "gelu"
        if _is_cubic(t, producer(t, plus[0], "Tanh"), x):
            return "gelu_tanh"
    return None


def _is_clip(t: Translation, node: Node, low: float, high: float) -> bool:
    if node.op != "Clip":
        return False
    ends = [single(t, name) for name in node.inputs[1:]]
    if not ends:
        ends = [node.number_of(name, np.inf) for name in ("min", "max")]
    return ends == [low, high]


def _is_scaled(t: Translation, node: Node | None, x: str, factor: float) -> bool:
    """Tell whether a function is of x times a number."""
    if node is None:
        return False
    names, number = factors_of(t, node.inputs[0])
    return names == [x] and same(number, factor)


def _is_cubic(t: Translation, node: Node | None, x: str) -> bool:
    """Tell whether a function is of ``sqrt(2 / pi) * (x + 0.044715 * x ** 3)``."""
    if node is None:
        return False
    names, number = factors_of(t, node.inputs[0])
    plus = producer(t, names[0], "Add") if len(names) == 1 else None
    if plus is None or not same(number, sqrt(2 / pi)) or x not in plus.inputs:
        return False
    other = plus.inputs[1] if plus.inputs[0] == x else plus.inputs[0]
    cubed, weight = factors_of(t, other)
    power = operands_of(t, cubed[0], "Pow") if len(cubed) == 1 else None
    is_power = power is not None and power[0] == x and same(power[1], 3)
    return same(weight, 0.044715) and (cubed == [x] * 3 or is_power)


def local_response(t: Translation, node: Node) -> View | None:
    """Translate ``x / (k + alpha * average of squares) ** beta`` as PyTorch's exporters write it.

    The average is a pool of one channel beside the others: over 1 x size x 1 x 1.
    """
    if len(node.inputs) != 2:
        return None
    x, value = node.inputs[0], t.values.get(node.inputs[0])
    power = operands_of(t, node.inputs[1], "Pow")
    plus = operands_of(t, power[0], "Add") if power else None
    times = operands_of(t, plus[0], "Mul") if plus else None
    if not (power and plus and times and isinstance(value, View)):
        return None
    pool = _carrier(t, times[0], "AveragePool")
    size = _averaged(t, pool, x) if pool else 0
    if not size:
        return None
    part = "" if size % 2 else "normalised"
    constants = shortest(plus[1]), shortest(times[1]) / size, shortest(power[1])
    layer = Normalize(size, *constants, t.name(node, part=part))
    view = as_map(t, node, value)
    if size % 2:
        return t.add(node, layer, view)
    # PyTorch's windows of even sizes have more before a channel than after it, ours the reverse.
    backwards = range(view.channels)[::-1]
    turned = t.add(node, Channels(backwards, t.name(node, part="turned")), view)
    return t.add(node, Channels(backwards, t.name(node)), t.add(node, layer, turned))


CARRIERS = ("Squeeze", "Unsqueeze", "Reshape", "Cast", "Identity", "If")
"""What brings maps to that pool, and back."""
LONGEST = 8


def _carrier(t: Translation, name: str, op: str) -> Node | None:
    """Go up to a node of an operator, past what does no more than to bring numbers."""
    for _ in range(LONGEST):
        node = t.producers.get(name)
        if node is None or node.op == op:
            return node
        if node.op not in CARRIERS:
            return None
        branch = node.attributes.get("then_branch")
        name = branch.takes if isinstance(branch, Nested) else (node.inputs or ("",))[0]
    return None


def _averaged(t: Translation, pool: Node, x: str) -> int:
    """Return over how many channels a pool averages the squares of x, or 0 if it does not."""
    size, *others = pool.integers("kernel_shape") or [0]
    pads = pool.integers("pads") or [0] * 6
    padded = t.producers.get(pool.inputs[0])
    source = pool.inputs[0]
    if padded is not None and padded.op == "Pad" and not any(pads):
        given = t.values.get(padded.inputs[1]) if len(padded.inputs) > 1 else None
        own = given.tolist() if isinstance(given, np.ndarray) and given.dtype != object else []
        pads = own[2:5] + own[7:10] if len(own) == 10 and not any(own[:2] + own[5:7]) else []
        source = padded.inputs[0]
    elif any(pads) and not pool.whether("count_include_pad"):
        return 0
    expected = [size // 2, 0, 0, (size - 1) // 2, 0, 0]
    if others != [1, 1] or pads != expected or set(pool.integers("strides") or [1]) != {1}:
        return 0
    if pool.whether("ceil_mode") or set(pool.integers("dilations") or [1]) != {1}:
        return 0
    squares, laid = _carrier(t, source, "Mul"), t.values.get(source)
    if squares is None or squares.inputs != (x, x) or not isinstance(laid, View):
        return 0
    whole = plain(laid.map, laid.shape).axes
    return size if laid.axes == (whole[0], (), *whole[1:]) else 0


def softplus(t: Translation, node: Node) -> View | None:
    """Take softplus for itself where it is replaced by x above a number at which both are equal."""
    if len(node.inputs) != 3:
        return None
    condition, x, soft = node.inputs
    above, smooth = operands_of(t, condition, "Greater"), producer(t, soft, "Softplus")
    found = t.values.get(soft)
    if not (above and smooth and isinstance(found, View)) or smooth.inputs != (x,):
        return None
    return found if above[0] == x and above[1] >= EQUAL else None


EQUAL = 16.0
"""From here on softplus is its argument, in float32."""

PATTERNS: dict[str, Sequence[Pattern]] = {
    "Div": (local_response,),
    "Mul": (of_function,),
    "Where": (softplus,),
}

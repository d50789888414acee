"""Keras's layers and operations of several tensors, or of tensors and numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arguments import real_number, shown
from fdref.errors import NetworkError
from fdref.layers import Channels, Concat, Maximum, Product, Scale, Sum, Upsample
from fdref.weights.keras.functions import is_channel_axis

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.weights.keras.call import LayerCall
    from fdref.weights.keras.tensors import Tensor

MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average", "max": "Maximum"}
"""What Keras 1's Merge calls its modes."""
TINY = 1e-30
"""Dividing by less is no scaling."""


def merge(call: LayerCall) -> Tensor:
    """Translate Keras 1's Merge."""
    mode = call.fields.get("mode")
    if mode == "concat":
        return concatenate(call)
    if mode not in MERGES:
        raise NetworkError(
            f"its mode is {shown(mode)}; expected concat, sum, mul, ave or max: code is not run"
        )
    return joined(call, MERGES[mode])


def join(call: LayerCall) -> Tensor:
    """Translate Add, Subtract, Multiply, Average, Maximum and Minimum of tensors and numbers."""
    return joined(call, call.place[-1].kind)


def joined(call: LayerCall, kind: str) -> Tensor:
    """Join tensors, or a tensor and numbers."""
    if len(call.taken) < len(call.operands):
        return _with_numbers(call, kind)
    count = len(call.taken)
    if count < 2:
        raise NetworkError(f"it joins {count} tensors; expected at least two")
    taken = _aligned(call, call.taken)
    if kind == "Minimum":  # there is no such layer: the largest of what is turned over
        turned = [_scale(call, x, -1.0, f"{call.name}/turned {n}") for n, x in enumerate(taken)]
        largest = call.add(Maximum(f"{call.name}/maximum"), *turned)
        return _scale(call, largest, -1.0, call.name)
    if kind == "Subtract" and count != 2:
        raise NetworkError(f"it subtracts {count} tensors; expected two")
    layers: dict[str, Callable[[], Layer]] = {
        "Add": lambda: Sum(name=call.name),
        "Subtract": lambda: Sum((1, -1), call.name),
        "Average": lambda: Sum([1 / count] * count, call.name),
        "Multiply": lambda: Product(call.name),
        "Maximum": lambda: Maximum(call.name),
    }
    if kind not in layers:
        raise NetworkError("it divides tensors by each other; expected a number to divide by")
    return call.add(layers[kind](), *taken)


def concatenate(call: LayerCall) -> Tensor:
    """Translate Concatenate along the channels."""
    taken = call.taken
    if not taken:
        raise NetworkError("it joins no tensors; expected at least one")
    if all(x.flat for x in taken):
        taken = [call.drawing.vector(x, f"{call.name}/flatten") for x in taken]
    if len({(x.flat, x.axes) for x in taken}) > 1:
        raise NetworkError("it joins rows and maps, or axes in different orders; expected one kind")
    axis = call.fields.get("axis", -1)
    if not is_channel_axis(taken[0], axis):
        raise NetworkError(
            f"it goes along axis {shown(axis)} of {'x'.join(taken[0].axes)}; expected that of "
            "channels"
        )
    return call.add(Concat(call.name), *taken)


def _aligned(call: LayerCall, taken: list[Tensor]) -> list[Tensor]:
    """Bring tensors to one shape: what has one pixel, or one channel, is repeated."""
    if any(x.flat for x in taken):
        if not all(x.flat for x in taken):
            raise NetworkError("it joins rows of numbers and maps; expected one or the other")
        if len({(x.size, x.axes, x.channels) for x in taken}) > 1:
            taken = [call.drawing.vector(x, f"{call.name}/flatten") for x in taken]
    if len({x.axes for x in taken}) > 1:
        raise NetworkError("it joins maps whose axes are in different orders; expected one order")
    count = max(x.channels for x in taken)
    sizes = [x.size or (1, 1) for x in taken]
    largest = max(size[0] for size in sizes), max(size[1] for size in sizes)
    return [_repeated(call, x, count, largest) for x in taken]


def _repeated(call: LayerCall, x: Tensor, channels: int, size: Pair) -> Tensor:
    if x.channels == 1 < channels:
        call.drawing.budget.take((call.name,), 64 * channels)
        x = call.add(Channels([0] * channels, f"{call.name}/repeat channel"), x)
    factor = [1 if x.size is None or x.size[a] > 1 else size[a] for a in (0, 1)]
    return x if factor == [1, 1] else call.add(Upsample(factor, f"{call.name}/repeat pixel"), x)


def _with_numbers(call: LayerCall, kind: str) -> Tensor:
    """Add to a tensor, or multiply it by, numbers: one, or one for each channel."""
    operands = call.operands
    x = call.x
    if len(operands) != 2:
        raise NetworkError(f"it takes {len(operands)} operands; expected two")
    first = operands[0] is x
    values = _numbers(operands[1] if first else operands[0])
    if len(values) > 1:
        if x.flat:
            x = call.drawing.vector(x, f"{call.name}/flatten")
        if not is_channel_axis(x, -1) or len(values) != x.channels:
            raise NetworkError(
                f"it takes {len(values)} numbers; expected one, or one for each of the channels"
            )
    match kind, first:
        case "Add", _:
            return _scale(call, x, 1.0, call.name, values)
        case "Subtract", True:
            return _scale(call, x, 1.0, call.name, -values)
        case "Subtract", False:
            return _scale(call, x, -1.0, call.name, values)
        case "Multiply", _:
            return _scale(call, x, values, call.name)
        case "Divide", True if (abs(values) > TINY).all():
            return _scale(call, x, 1 / values, call.name)
        case _:
            raise NetworkError(f"it does not add or multiply by {shown(values)}; expected that")


def _numbers(found: object) -> NDArray[Any]:
    """Read a number, or a list of lists of some in which all but the last have length 1."""
    while isinstance(found, list) and len(found) == 1:
        found = found[0]
    several = found if isinstance(found, list) else [found]
    return np.array([real_number(one, "a number that it takes") for one in several])


def _scale(
    call: LayerCall, x: Tensor, factor: Any, name: str, offset: NDArray[Any] | None = None
) -> Tensor:
    """Multiply and add, in float32, in which the file's weights are."""
    with np.errstate(over="ignore"):  # refused as infinite
        own = (call.drawing.each(1, x.channels) * factor).astype(np.float32)
        shift = None if offset is None else (call.drawing.each(0, x.channels) + offset)
        shift = None if shift is None else shift.astype(np.float32)
    return call.add(Scale(own, shift, name), replace(x))

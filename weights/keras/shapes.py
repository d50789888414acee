"""Keras's layers that move numbers: flattening, reshaping, borders, enlarging."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING, Any

from fdref.arguments import elements, shown, whole, whole_number
from fdref.errors import NetworkError
from fdref.geometry import LARGEST_NUMBER
from fdref.layers import Pad, Shuffle, Upsample

if TYPE_CHECKING:
    from fdref.geometry import Margins
    from fdref.layers.rearrangements import Order
    from fdref.weights.keras.call import LayerCall
    from fdref.weights.keras.tensors import Tensor

SIDES = "top", "bottom", "left", "right"


def flatten(call: LayerCall) -> Tensor:
    """Translate Flatten: no layer, only another reading of the same map.

    One that knows of channels_first brings the channels to the end before.
    """
    x = call.x
    if x.flat:
        return replace(x)
    if x.axes == "CHW" and call.fields.get("data_format") == "channels_first":
        x = replace(x, axes="HWC")
    return replace(x, axes=x.axes.ljust(3, "C"), flat=True)


def reshape(call: LayerCall) -> Tensor:
    """Translate Reshape, where the numbers stay where they are, or a vector becomes a square."""
    x = call.x
    wanted = _target(call, x)
    if len(wanted) == 1:
        return replace(x, axes=x.axes.ljust(3, "C"), flat=True)
    for axes in ("HWC", "CHW", "HW"):  # as it is, or was before it was flattened
        same = replace(x, axes=axes, flat=False)
        single = axes == "HW" and x.channels == 1
        unmoved = x.axes == axes or x.size == (1, 1) or x.channels == 1
        if same.shape == wanted and unmoved and (axes != "HW" or single):
            return same
    if len(wanted) == 3 and x.size == (1, 1):
        orders: dict[str, Order] = {"HWC": "DCR", "CHW": "CRD"}
        for axes, order in orders.items():
            height, width = (wanted[axes.index(axis)] for axis in "HW")
            if height == width:
                made = call.add(Shuffle(height, order, name=call.name), x)
                return replace(made, axes=axes, flat=False)
    raise NetworkError(
        f"it makes {'x'.join(map(str, wanted))} of {'x'.join(map(str, x.shape))}; expected the "
        "same numbers in the same places, a row of them, or a square map of a row"
    )


def _target(call: LayerCall, x: Tensor) -> tuple[int, ...]:
    """Read the shape that is wanted, in which one length may be -1."""
    found = elements(call.fields.get("target_shape", call.fields.get("dims")))
    if not found or len(found) > 3:
        raise NetworkError(f"`target_shape` is {shown(found)}; expected up to three lengths")
    lengths = [whole_number(n, "a length of `target_shape`", -1, LARGEST_NUMBER) for n in found]
    height, width = x.known_size("what it makes")
    count, others = height * width * x.channels, prod(n for n in lengths if n != -1)
    if lengths.count(-1) == 1 and others > 0 and count % others == 0:
        lengths[lengths.index(-1)] = count // others
    if min(lengths) < 1 or prod(lengths) != count:
        raise NetworkError(f"`target_shape` is {lengths}; expected lengths for {count} numbers")
    return tuple(lengths)


def permute(call: LayerCall) -> Tensor:
    """Translate Permute, where it only moves the axis of channels."""
    x, found = call.x, elements(call.fields.get("dims"))
    order = [whole(n) for n in found or []]
    if not x.flat and sorted(n or 0 for n in order) == list(range(1, len(x.axes) + 1)):
        axes = "".join(x.axes[n - 1] for n in order if n is not None)
        if axes in ("HWC", "CHW", "HW"):
            return replace(x, axes=axes)
    raise NetworkError(
        f"it puts the axes of {'x'.join(map(str, x.shape))} into the order {shown(found)}; "
        "expected rows before columns"
    )


def zero_padding(call: LayerCall) -> Tensor:
    """Translate ZeroPadding2D."""
    return call.add(Pad(_borders(call.fields.get("padding", 1), "padding"), call.name), call.map())


def cropping(call: LayerCall) -> Tensor:
    """Translate Cropping2D."""
    top, bottom, left, right = _borders(call.fields.get("cropping", 0), "cropping")
    return call.add(Pad((-top, -bottom, -left, -right), call.name), call.map())


def _borders(found: Any, what: str) -> Margins:
    """Read one number, one for each axis, or two for each, in the ways of all versions."""
    if isinstance(found, dict):  # Keras 1
        found = [found.get(f"{side}_pad", 0) for side in SIDES]
    several = elements(found) if isinstance(found, list) else [found, found]
    pairs = [elements(one) or [one, one] for one in several or []]
    numbers = [n for own in pairs for n in own]
    if len(pairs) == 4:
        numbers = [own[0] for own in pairs]
    if len(numbers) != 4:
        raise NetworkError(f"`{what}` is {shown(found)}; expected ((top, bottom), (left, right))")
    top, bottom, left, right = (
        whole_number(n, f"a number of `{what}`", 0, LARGEST_NUMBER) for n in numbers
    )
    return top, bottom, left, right


def upsampling(call: LayerCall) -> Tensor:
    """Translate UpSampling2D, nearest."""
    way = call.fields.text("interpolation", "nearest")
    if way != "nearest":
        raise NetworkError(
            f"its interpolation is {shown(way)}; expected 'nearest': at borders no transposed "
            "convolution does the same"
        )
    return call.add(Upsample(call.fields.pair("size", 2), call.name), call.map())

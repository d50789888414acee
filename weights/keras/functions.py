"""Keras's layers that put each number, or each channel's, through a function, and activations."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import elements, shown, whole
from fdref.errors import NetworkError, one_line
from fdref.layers import BatchNorm, Dropout, Elementwise, PReLU, ReLU, Scale, Softmax
from fdref.weights.keras.arrays import snake_case
from fdref.weights.keras.config import Fields, fields_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.weights.keras.call import LayerCall
    from fdref.weights.keras.tensors import Tensor

SELU = 1.6732632423543772, 1.0507009873554805  # alpha and scale
SMALLEST_DEVIATION = 1e-7  # what Keras's Normalization divides by at least

FUNCTIONS: dict[str, tuple[str, tuple[float, ...]]] = {
    "relu6": ("clip", (0, 6)),
    "hard_tanh": ("clip", (-1, 1)),
    "elu": ("elu", (1,)),
    "celu": ("elu", (1,)),
    "sigmoid": ("sigmoid", ()),
    "tanh": ("tanh", ()),
    "softplus": ("softplus", ()),
    "swish": ("swish", ()),
    "silu": ("swish", ()),
    "gelu": ("gelu", ()),
    "hard_swish": ("hard_swish", ()),
    "hard_silu": ("hard_swish", ()),
    "abs": ("abs", ()),
    "absolute": ("abs", ()),
}
"""Activations by name: ours, and its constants."""
OTHERS = "linear", "relu", "leaky_relu", "selu", "hard_sigmoid", "softmax"
LAYERS = "ReLU", "LeakyReLU", "ELU", "Softmax"
"""Layers that may stand where an activation is named."""


def activated(call: LayerCall, x: Tensor) -> Tensor:
    """Put what a layer made through the activation in it, which becomes a layer of its own."""
    return function(call, x, call.fields.get("activation"), f"{call.name}/")


def activation(call: LayerCall) -> Tensor:
    """Translate Activation."""
    return function(call, call.x, call.fields.get("activation"), "")


def function(call: LayerCall, x: Tensor, found: object, prefix: str) -> Tensor:
    """Put a tensor through a function that is given by its name, or as an object.

    Parameters
    ----------
    call : LayerCall
    x : Tensor
    found : object
        What the JSON says.
    prefix : str
        Of the name that its layer gets before the function's; none: the call's own.
    """
    if isinstance(found, dict):
        kind, config = found.get("class_name"), found.get("config")
        if kind in LAYERS:
            return by_layer(call, x, kind, fields_of(config), f"{prefix}{kind}")
        named = config if kind == "function" else kind
        found = found if named is None else named
    if found is None or found == "linear":
        return x
    if not isinstance(found, str) or found not in (*FUNCTIONS, *OTHERS):
        known = ", ".join(sorted((*FUNCTIONS, *OTHERS)))
        raise NetworkError(f"its activation is {shown(found)}; expected one of {known}")
    name = f"{prefix}{found}" if prefix else call.name
    if found == "relu":
        return call.add(ReLU(name=name), x)
    if found == "leaky_relu":
        return call.add(ReLU(0.2, name), x)
    if found == "softmax":
        return softmax(call, x, -1, name)
    if found == "selu":
        return selu(call, x, name)
    if found == "hard_sigmoid":  # Keras 3 took PyTorch's
        constants = (1 / 6, 0.5) if call.origin.major > 2 else (0.2, 0.5)
        return call.add(Elementwise("hard_sigmoid", constants, name), x)
    own, values = FUNCTIONS[found]
    return call.add(Elementwise(own, values, name), x)


def function_layer(call: LayerCall) -> Tensor:
    """Translate ReLU, LeakyReLU, ELU and Softmax."""
    return by_layer(call, call.x, call.place[-1].kind, call.fields, call.name)


def by_layer(call: LayerCall, x: Tensor, kind: object, fields: Fields, name: str) -> Tensor:
    """Put a tensor through a layer without weights."""
    match kind:
        case "ReLU":
            leak, most = fields.real("negative_slope", 0), fields.get("max_value")
            if fields.real("threshold", 0) != 0 or (most is not None and leak != 0):
                raise NetworkError(
                    "it has a threshold, or a slope and a largest value; expected one of "
                    "negative_slope and max_value"
                )
            if most is None:
                return call.add(ReLU(leak, name), x)
            return call.add(Elementwise("clip", (0, fields.real("max_value", 0)), name), x)
        case "LeakyReLU":
            slope = fields.real("negative_slope", fields.real("alpha", 0.3))
            return call.add(ReLU(slope, name), x)
        case "ELU":
            return call.add(Elementwise("elu", (fields.real("alpha", 1),), name), x)
        case _:
            return softmax(call, x, fields.get("axis", -1), name)


def softmax(call: LayerCall, x: Tensor, axis: object, name: str) -> Tensor:
    """Make probabilities over the channels."""
    if x.flat:
        x = call.drawing.vector(x, f"{name}/flatten")
    if not is_channel_axis(x, axis):
        raise NetworkError(
            f"it goes along axis {shown(axis)} of axes NxCxHxW or NxHxWxC; expected the channels'"
        )
    return call.add(Softmax(name), x)


def selu(call: LayerCall, x: Tensor, name: str) -> Tensor:
    """Put a tensor through SELU, a scaled ELU."""
    alpha, scale = SELU
    bent = call.add(Elementwise("elu", (alpha,), f"{name}/elu"), x)
    return call.add(Scale(call.drawing.each(scale, x.channels), name=name), bent)


def prelu(call: LayerCall) -> Tensor:
    """Translate PReLU whose slopes are shared over the map."""
    x = call.x
    if x.flat:
        x = call.drawing.vector(x, f"{call.name}/flatten")
    shared = elements(call.fields.get("shared_axes", [])) or []
    shape = [1 if n in shared else length for n, length in enumerate(x.shape, 1)]
    (slopes,) = call.arrays(tuple(shape))
    axis = x.channel_axis() - 1
    by_channel = np.moveaxis(slopes, axis, 0).reshape(slopes.shape[axis], -1)
    if (by_channel != by_channel[:, :1]).any():
        raise NetworkError(
            "it has a slope for each pixel of the map; expected one for each channel: "
            "shared_axes=[1, 2]"
        )
    leak = np.broadcast_to(by_channel[:, 0], x.channels)
    return call.add(call.once("", lambda: PReLU(leak, call.name)), x)


def batch_norm(call: LayerCall) -> Tensor:
    """Translate BatchNormalization, whose file has variances, and no gains that are all 1."""
    x, fields = _by_channel(call), call.fields

    if fields.get("mode", 0) not in (0, 2) or fields.get("renorm") is True:
        raise NetworkError(
            "it is Keras 1's mode 1, or renormalises; expected normalisation by channel"
        )

    def make() -> BatchNorm:
        scales, centres = (fields.flag(key, default=True) for key in ("scale", "center"))
        found = call.arrays(*[(x.channels,)] * (2 + scales + centres))
        gain = found.pop(0) if scales else np.ones(x.channels, found[0].dtype)
        bias = found.pop(0) if centres else np.zeros(x.channels, found[0].dtype)
        mean, variance = found
        return BatchNorm(gain, bias, mean, _deviation(variance, fields), call.name)

    return call.add(call.once("", make), x)


def _deviation(variance: NDArray[np.floating], fields: Fields) -> NDArray[np.floating]:
    squares = variance.astype(np.float64) + fields.real("epsilon", 1e-3)
    if not (squares > 0).all():  # NaN, too
        raise NetworkError(
            f"a variance with epsilon is {squares.min()}; expected positive numbers: damaged"
        )
    return np.sqrt(squares).astype(variance.dtype)


def normalization(call: LayerCall) -> Tensor:
    """Translate Normalization: by a mean and a variance of each channel, in the file or told."""
    fields = call.fields
    whole_map = fields.get("axis", -1) == []  # a single mean for all
    x = call.x if whole_map else _by_channel(call)
    if fields.get("mean") is None:
        shape = () if whole_map else (x.channels,)
        mean, variance = (one.ravel() for one in call.arrays(shape, shape, ())[:2])
    else:
        mean, variance = (np.array(fields.numbers(key)) for key in ("mean", "variance"))
    if {len(mean), len(variance)} - {1, x.channels}:
        raise NetworkError(
            f"it has {len(mean)} means and {len(variance)} variances; expected one for each of "
            f"{x.channels} channels"
        )
    if not (variance >= 0).all():
        raise NetworkError(f"a variance is {variance.min()}; expected 0 or more: damaged")
    spread = np.maximum(np.sqrt(variance.astype(np.float64)), SMALLEST_DEVIATION)
    factor, offset = 1 / spread, -mean / spread
    if fields.flag("invert", default=False):
        factor, offset = spread, mean.astype(np.float64)
    return _scaled(call, x, factor, offset)


def rescaling(call: LayerCall) -> Tensor:
    """Translate Rescaling, whose numbers may be one for each channel."""
    x, fields = call.x, call.fields
    factor = np.array(fields.numbers("scale"))
    offset = np.array(fields.numbers("offset")) if fields.get("offset") is not None else np.zeros(1)
    if max(len(factor), len(offset)) > 1:
        x = _by_channel(call, last=True)
    return _scaled(call, x, factor, offset)


def _scaled(
    call: LayerCall, x: Tensor, factor: NDArray[np.floating], offset: NDArray[np.floating]
) -> Tensor:
    """Multiply and add, as the weights of other layers are: in float32."""
    if {len(factor), len(offset)} - {1, x.channels}:
        raise NetworkError(
            f"it has {len(factor)} factors and {len(offset)} offsets; expected one, or one for "
            f"each of {x.channels} channels"
        )
    both = [call.drawing.each(0, x.channels) + one for one in (factor, offset)]
    with np.errstate(over="ignore"):  # refused as infinite
        factors, offsets = (one.astype(np.float32) for one in both)
    return call.add(Scale(factors, offsets, call.name), x)


def _by_channel(call: LayerCall, *, last: bool = False) -> Tensor:
    """Return what a layer takes, where it treats each channel by itself."""
    x = call.x
    if x.flat:
        x = call.drawing.vector(x, f"{call.name}/flatten")
    axis = -1 if last else call.fields.get("axis", -1)
    if not is_channel_axis(x, axis):
        raise NetworkError(
            f"it goes along axis {shown(axis)} of {'x'.join(x.axes)}; expected that of channels"
        )
    return x


def is_channel_axis(x: Tensor, axis: object) -> bool:
    """Tell whether an axis of Keras's, or a list of one, is that of the channels."""
    several = elements(axis)
    if several is not None and len(several) == 1:
        axis = several[0]
    number, rank = whole(axis), 2 if x.flat else 1 + len(x.axes)
    return number is not None and number % rank == x.channel_axis() and -rank <= number < rank


def dropout(call: LayerCall) -> Tensor:
    """Translate the layers that drop numbers, in training."""
    return call.add(Dropout(call.fields.real("rate", 0.5), call.name), call.x)


def nothing(call: LayerCall) -> Tensor:
    """Leave out what does nothing once a network is trained."""
    return replace(call.x)


def by_class(call: LayerCall) -> Tensor:
    """Translate an operation that is named as an activation: Relu, Sigmoid, HardSilu."""
    name = snake_case(call.place[-1].kind)
    if name == "leaky_relu":
        return call.add(ReLU(call.fields.real("negative_slope", 0.2), call.name), call.x)
    if name == "elu":
        return by_layer(call, call.x, "ELU", call.fields, call.name)
    if name == "gelu" and call.fields.flag("approximate", default=True):
        return call.add(Elementwise("gelu_tanh", name=call.name), call.x)
    return function(call, call.x, one_line(name), "")

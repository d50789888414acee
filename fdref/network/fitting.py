"""What a network is put together from, and which layers fit on which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from fdref.arguments import shown
from fdref.arrays import real_array
from fdref.errors import NetworkError
from fdref.geometry import whole_numbers
from fdref.layers import (
    BatchNorm,
    Channels,
    Concat,
    Conv,
    ConvTranspose,
    Layer,
    PReLU,
    Scale,
    Shuffle,
    weights,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import ArrayLike

    from fdref.arrays import Array


def read_layers(layers: object) -> tuple[Layer, ...]:
    """Read a sequence of layers."""
    if isinstance(layers, Layer) or not isinstance(layers, Iterable):
        raise NetworkError(f"the layers are {shown(layers)}; expected a sequence of layers")
    found = tuple(layers)
    for number, layer in enumerate(found, 1):
        if not isinstance(layer, Layer):
            raise NetworkError(f"layer {number} is {shown(layer)}; expected one of fdref's layers")
    return found


def read_average(values: ArrayLike) -> Array:
    """Read an average image (C, H, W) or colour (C,) as (C, H, W) or (C, 1, 1)."""
    array = real_array(values, "the average image's pixels")
    return weights(
        array[:, None, None] if array.ndim == 1 else array, "the average image's pixels", ndim=3
    )


def input_channels_of(
    layers: Sequence[Layer],
    takes: Sequence[tuple[int, ...]],
    given: int | Sequence[int] | None,
    average: int | None,
) -> tuple[int, ...]:
    """Return the channels of every input: as told, or as the first layer with weights needs.

    `average` are the channels of the average image, if there is one.
    """
    inputs = 1 - min((n for taken in takes for n in taken), default=0)
    if given is not None:
        return whole_numbers(given, "input_channels", (inputs,), least=1)
    channels = {} if average is None else {0: average}
    source = {-n: -n for n in range(inputs)}  # maps that have the channels of an input
    for number, layer in enumerate(layers, 1):
        first, own = source.get(takes[number][0]), own_channels(layer)
        if first is not None and own is not None:
            channels.setdefault(first, own)
        elif first is not None and not isinstance(layer, Concat | Channels | Shuffle):
            source[number] = first
    unknown = [n for n in range(inputs) if -n not in channels]
    if unknown:
        raise NetworkError(
            f"no layer tells how many channels input {-unknown[0]} has; name them with "
            "input_channels"
        )
    return tuple(channels[-n] for n in range(inputs))


def own_channels(layer: Layer) -> int | None:
    """Return how many channels a layer's weights are for, as if it had one group."""
    match layer:
        case Conv(filters=filters):
            return int(filters.shape[1])
        case (
            ConvTranspose(filters=weights)
            | BatchNorm(gain=weights)
            | Scale(factor=weights)
            | PReLU(leak=weights)
        ):
            return len(weights)
        case _:
            return None


def precision_of(layer: Layer) -> np.dtype[Any] | None:
    """Return the dtype of a layer's weights, if it has any."""
    match layer:
        case (
            Conv(filters=weights)
            | ConvTranspose(filters=weights)
            | BatchNorm(gain=weights)
            | Scale(factor=weights)
            | PReLU(leak=weights)
        ):
            return weights.dtype
        case _:
            return None

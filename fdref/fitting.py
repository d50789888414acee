"""What a network is put together from, and which layers fit on which."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from fdref.arguments import shown
from fdref.arrays import real_array
from fdref.errors import NetworkError
from fdref.layers import BatchNorm, Conv, Layer, Pool, weights

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.geometry import Margins, Pair


def read_layers(layers: object) -> tuple[Layer, ...]:
    """Read a sequence of layers."""
    if isinstance(layers, Layer) or not isinstance(layers, Iterable):
        raise NetworkError(f"the layers are {shown(layers)}; expected a sequence of layers")
    found = tuple(layers)
    for number, layer in enumerate(found, 1):
        if not isinstance(layer, Layer):
            raise NetworkError(f"layer {number} is {shown(layer)}; expected one of fdref's layers")
    return found


def window_of(layer: Layer) -> tuple[Pair, Pair, Margins]:
    """Return size, stride and padding of the window that slides; one pixel where there is none."""
    if isinstance(layer, Conv | Pool):
        return layer.window, layer.stride, layer.pad
    return (1, 1), (1, 1), (0, 0, 0, 0)


def read_average(values: ArrayLike) -> Array:
    """Read an average image (C, H, W) or colour (C,) as (C, H, W) or (C, 1, 1)."""
    array = real_array(values, "the average image's pixels")
    return weights(
        array[:, None, None] if array.ndim == 1 else array, "the average image's pixels", ndim=3
    )


def own_channels(layer: Layer) -> int | None:
    """Return how many channels a layer's weights are for."""
    if isinstance(layer, Conv):
        return int(layer.filters.shape[1])
    return len(layer.gain) if isinstance(layer, BatchNorm) else None


def channels_after(layer: Layer, count: int) -> int:
    """Return how many channels a layer makes of so many, or say that it does not fit."""
    if isinstance(layer, Conv):
        filters, own = len(layer.filters), layer.filters.shape[1]
        groups = count // own
        if count % own or filters % groups:
            raise NetworkError(
                f"{filters} filters of {own} channels do not fit maps of {count} channels; "
                f"expected filters of {count} channels, or of {count}/groups"
            )
        return filters
    if isinstance(layer, BatchNorm) and len(layer.gain) != count:
        raise NetworkError(f"{len(layer.gain)} gains do not fit maps of {count} channels")
    return count

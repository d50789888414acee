"""Height and width of every map of a network, within the room that one image may take."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from fdref.errors import NetworkError
from fdref.geometry import padded_size, substituted_size
from fdref.layers import Conv, ConvTranspose, Pool, Unknown

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.network.graph import Network

ALWAYS = 2**27
"""Numbers that the maps of one image may have, however small it is."""
EXPANSION = 1024
"""Numbers that they may have for each of a larger image's; beyond that a padding is damaged."""


def sizes_from(net: Network, input_sizes: Sequence[Pair]) -> dict[int, Pair]:
    """Return height and width of the maps, given those of every input: 0, -1, ...

    All but those of layers of unknown type, and above.

    Raises
    ------
    NetworkError
        See `Network.map_sizes`.
    """
    sizes = {-n: size for n, size in enumerate(input_sizes)}
    held = sum(net.channels_of(n) * prod(size) for n, size in sizes.items())
    most = max(ALWAYS, EXPANSION * held)
    for number, layer in enumerate(net.layers, 1):
        below = [sizes[n] for n in net.takes[number] if n in sizes]
        if isinstance(layer, Unknown) or len(below) < len(net.takes[number]):
            continue
        try:
            sizes[number] = layer.size_after(*below)
        except NetworkError as error:
            raise NetworkError(f"{net.describe(number)}: {error}") from None
        held += net.channels[number] * prod(sizes[number])
        needed = held + room_for(layer, net.channels_of(net.takes[number][0]), below[0])
        if needed > most:
            raise NetworkError(
                f"{net.describe(number)} brings the maps of one image of {by(sizes[0])} to "
                f"{needed} numbers; expected at most {most}: its padding is damaged, or the "
                "image too small for the network"
            )
        if 0 in sizes[number]:
            raise NetworkError(
                f"{net.describe(number)} {does_not_fit(layer, below[0])} for images of "
                f"{by(sizes[0])}; expected larger images"
            )
    return sizes


def map_size(net: Network, number: int, input_size: Sequence[int]) -> Pair:
    """Return height and width of one map, for images of a size."""
    height, width = input_size
    return sizes_from(net, [(height, width)] * net.inputs)[number]


def room_for(layer: Layer, channels: int, size: Pair) -> int:
    """Count the numbers that a layer's padded map holds, or its map before it is cropped."""
    match layer:
        case Conv(pad=pad) | Pool(pad=pad):
            return channels * prod(padded_size(size, pad))
        case ConvTranspose(filters=filters, upsample=upsample, groups=groups):
            taps = (filters.shape[2], filters.shape[3])
            return int(filters.shape[1]) * groups * prod(substituted_size(size, upsample, taps))
        case _:
            return 0


def does_not_fit(layer: Layer, size: Pair) -> str:
    """Say why nothing comes out of a layer for a map of a size."""
    map_size = f"map of {size[0]}x{size[1]}"
    if isinstance(layer, Conv | Pool):
        window = f"{layer.window[0]}x{layer.window[1]}"
        return (
            f"has a {window} window, which does not fit into its {map_size} (pad {list(layer.pad)})"
        )
    return f"leaves nothing of its {map_size}"


def by(size: Sequence[int]) -> str:
    """Write a size for messages, such as 28x28."""
    return "x".join(map(str, size))

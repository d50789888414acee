"""What goes into a network: pictures less their average, of a shape that it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.arrays import in_precision, real_array
from fdref.errors import ArgumentError, FdrefError
from fdref.network.sizes import by, sizes_from

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.network.graph import Network


def subtract_average(net: Network, images: ArrayLike) -> Array:
    """Subtract the average image or colour: see `Network.prepare`."""
    pixels = real_array(images, "images")
    if pixels.ndim == 3:
        pixels = pixels[:, None]
    check_images(net, pixels)
    if not _average_fits(net):
        average = () if net.average is None else net.average.shape[1:]
        raise ArgumentError(
            f"the network's average image is {by(average)}, its input "
            f"{by(net.input_size or ())}; expected the same size: cut the right part out of "
            "`net.average`, and subtract it or give it to a new fdref.Network"
        )
    prepared: Array = np.array(in_precision(pixels, net.dtype, "images"))
    if net.average is not None:
        prepared -= net.average.astype(net.dtype)
    return prepared


def check_images(net: Network, images: Array, *further: Array) -> None:
    """Raise ArgumentError unless images (N, C, H, W) can be a network's input.

    `further` are the maps of a network of several inputs.
    """
    for maps, count in zip((images, *further), net.input_channels, strict=False):
        if maps.ndim != 4 or maps.shape[1] != count:
            either = f"(N, H, W) or (N, {count}, H, W)" if count == 1 else f"(N, {count}, H, W)"
            raise ArgumentError(f"images have shape {maps.shape}; expected {either}")
        if 0 in maps.shape[2:]:
            raise ArgumentError(f"images are {by(maps.shape[2:])}; expected at least one pixel")
        if len(maps) != len(images):
            raise ArgumentError(
                f"the inputs are of {len(images)} and {len(maps)} images; expected as many"
            )
    size = images.shape[2:]
    average = (1, 1) if net.average is None else net.average.shape[1:]
    if average not in ((1, 1), size) and _average_fits(net):
        raise ArgumentError(
            f"images are {by(size)}; expected {by(average)}, the size of the network's "
            "average image"
        )
    sizes = [(maps.shape[2], maps.shape[3]) for maps in (images, *further)]
    try:
        sizes_from(net, sizes + [sizes[0]] * (net.inputs - len(sizes)))
    except FdrefError as error:
        raise ArgumentError(str(error)) from None


def _average_fits(net: Network) -> bool:
    """Tell whether the average, if any, is a colour or of the input's size."""
    own = (1, 1) if net.average is None else net.average.shape[1:]
    return own in ((1, 1), net.input_size)

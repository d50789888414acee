"""A square that hides a part of an image: of which images, and what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from fdref.arguments import elements, one_of, real_number, shown
from fdref.arrays import real_array
from fdref.errors import ArgumentError
from fdref.network.images import check_images

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.network.graph import Network

    Value = float | Sequence[float] | Literal["average", "background"]


def prepared_images(net: Network, x: ArrayLike) -> Array:
    """Read one prepared image or several as (N, C, H, W)."""
    if net.inputs > 1:
        raise ArgumentError(f"the network has {net.inputs} inputs; expected one to be occluded")
    images = real_array(x, "images")
    if images.ndim == 2 and net.channels[0] == 1:
        images = images[None]
    if images.ndim == 3:
        images = images[None]
    check_images(net, images)
    if not len(images):
        raise ArgumentError("there are no images; expected at least one")
    return images


def shown_by_square(net: Network, value: object) -> str | tuple[float, ...]:
    """Read what the square shows: a word, or a number for each channel."""
    count = net.channels[0]
    if isinstance(value, str):
        word: str = one_of(value, "value", ("average", "background"))
        if word == "average" and net.average is None:
            raise ArgumentError(
                "value is 'average', and the network has none; expected a number or 'background'"
            )
        return word
    several = elements(value)
    if several is None:
        return (real_number(value, "value"),) * count
    if len(several) != count:
        raise ArgumentError(f"value is {shown(value)}; expected 1 or {count} numbers")
    return tuple(real_number(one, "one of value") for one in several)


def filling(net: Network, image: Array, value: str | tuple[float, ...]) -> Array:
    """Return what the square shows (C, H, W), for every pixel of a prepared image, prepared."""
    if value == "average":
        return np.zeros_like(image)
    if isinstance(value, str):
        average = 0 if net.average is None else net.average
        raw = image.astype(np.float64) + average
        edges = [raw[:, 0], raw[:, -1], raw[:, 1:-1, 0], raw[:, 1:-1, -1]]
        value = tuple(np.median(np.concatenate(edges, axis=1), axis=1))
    colour = np.array(value)[:, None, None]
    painted: Array = net.prepare(np.broadcast_to(colour, (1, *image.shape)))[0]
    return painted

"""Responses that are numbers, or a refusal that says where they are not.

A response that overflowed compares with nothing, and what comes after it may look like numbers
again: a ReLU makes 0 of minus infinity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.engines import engine_named
from fdref.engines.contents import all_finite
from fdref.errors import ArgumentError, NetworkError
from fdref.walk.forward import forward

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.network.graph import Network

QUIET = np.errstate(divide="ignore", over="ignore", invalid="ignore")
"""For functions that check: they say in one line what NumPy would warn of in passing."""


def check_banks(net: Network, banks: Mapping[int, Array], what: str = "decoded filters") -> None:
    """Raise NetworkError unless the filters of each layer are finite."""
    for number, bank in banks.items():
        if first_bad(bank) is not None:
            raise NetworkError(
                f"{net.describe(number)} has {what} too large for {bank.dtype}; expected smaller "
                "weights"
            )


def check_images(x: Array, dtype: np.dtype[Any], first: int) -> None:
    """Raise ArgumentError unless images, of which the first has a number, are finite in a dtype."""
    place = first_bad(x.astype(dtype, copy=False))
    if place is not None:
        raise ArgumentError(
            f"image {first + place[0]} holds {x[place]} at {list(place[1:])}; expected finite "
            f"numbers that fit into {dtype}"
        )


def prepare(net: Network, images: Array, first: int = 0) -> Array:
    """Prepare pixels (N, H, W) or (N, C, H, W), or refuse what is not finite by its number."""
    check_pixels(net, images, first)
    return net.prepare(images)


def check_pixels(net: Network, images: Array, first: int = 0) -> None:
    """Raise ArgumentError unless pixels (N, H, W) or (N, C, H, W) are finite to a network."""
    check_images(images[:, None] if images.ndim == 3 else images, net.dtype, first)


def finite_forward(
    net: Network,
    x: Array,
    first: int = 0,
    engine: Engine | str = "compiled",
    last: int | None = None,
) -> list[Array]:
    """Run a network on images, all of whose maps must be finite.

    Parameters
    ----------
    net : Network
    x : (N, C, H, W) array
        Prepared images.
    first : int
        The number of the first of them, for the message.
    engine : "compiled" or "reference"
    last : int, optional
        The layer to stop after.

    Raises
    ------
    ArgumentError
        If an image is not finite, or too large for the network's dtype.
    NetworkError
        If the output of a layer is not.
    """
    check_images(x, engine_named(engine).precision(net.dtype), first)
    acts = forward(net, x, engine, last)
    for number, maps in enumerate(acts[1:], 1):
        place = first_bad(maps)
        if place is not None:
            raise NetworkError(
                f"{net.describe(number)} answers image {first + place[0]} with {maps[place]}: too "
                f"large for {maps.dtype}; expected smaller weights or pixels"
            )
    return acts


def check_response(net: Network, number: int, predicted: Array, first: int = 0) -> None:
    """Raise NetworkError unless what a layer's decoded filters answer is finite."""
    place = first_bad(predicted)
    if place is not None:
        raise NetworkError(
            f"the decoded filters of {net.describe(number)} answer image {first + place[0]} with "
            f"{predicted[place]}: too large for {predicted.dtype}; expected smaller weights or "
            "pixels"
        )


def first_bad(values: Array) -> tuple[int, ...] | None:
    """Return the first place that holds NaN or an infinity."""
    if all_finite(values):
        return None
    bad = ~np.isfinite(values)
    return tuple(map(int, np.unravel_index(bad.argmax(), bad.shape))) if bad.any() else None

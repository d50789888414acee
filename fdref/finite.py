"""Responses that are numbers, or a refusal that says where they are not.

A response that overflowed compares with nothing, and what comes after it may look like numbers
again: a ReLU makes 0 of minus infinity.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.errors import ArgumentError, NetworkError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fdref.arrays import Array
    from fdref.network import Network

QUIET = np.errstate(divide="ignore", over="ignore", invalid="ignore")
"""For functions that check: they say in one line what NumPy would warn of in passing."""


def check_banks(net: Network, banks: Mapping[int, Array]) -> None:
    """Raise NetworkError unless the decoded filters of each layer are finite."""
    for number, bank in banks.items():
        if first_bad(bank) is not None:
            raise NetworkError(
                f"{net.describe(number)} has decoded filters too large for {bank.dtype}; expected "
                "smaller weights"
            )


def check_forward(net: Network, x: Array, acts: Sequence[Array], first: int = 0) -> None:
    """Raise unless images and what every layer makes of them are finite.

    Parameters
    ----------
    net : Network
    x : (N, C, H, W) array
        Prepared images.
    acts : sequence of arrays
        What `forward` made of them.
    first : int
        The number of the first of them, for the message.

    Raises
    ------
    ArgumentError
        If an image is not finite, or too large for the network's dtype.
    NetworkError
        If the output of a layer is not.
    """
    for number, maps in enumerate(acts):
        place = first_bad(maps)
        if place is None:
            continue
        image = f"image {first + place[0]}"
        if number == 0:
            raise ArgumentError(
                f"{image} holds {x[place]} at {list(place[1:])}; expected finite numbers that fit "
                f"into {maps.dtype}"
            )
        raise NetworkError(
            f"{net.describe(number)} answers {image} with {maps[place]}: too large for "
            f"{maps.dtype}; expected smaller weights or pixels"
        )


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
    bad = ~np.isfinite(values)
    return tuple(map(int, np.unravel_index(bad.argmax(), bad.shape))) if bad.any() else None

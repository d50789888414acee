"""Keras's tensors, each a map of the network that is being put together, and how to read it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError
from fdref.layers import Shuffle

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.layers.rearrangements import Order
    from fdref.network.wiring import Source
    from fdref.weights.bounded import Budget

LAYOUTS = {"channels_last": "HWC", "channels_first": "CHW"}


@dataclass(frozen=True)
class Tensor:
    """A tensor of Keras's: the map that holds its numbers, and the order that Keras has them in."""

    number: int
    """of the map: 0 is the input, l what layer l makes, -1, -2, ... further inputs"""
    channels: int
    size: Pair | None
    """None: not known, as that of the images is not"""
    axes: str
    """"HWC", "CHW", or "HW" of a single channel"""
    flat: bool = False
    """whether Keras has all of it in one row, in the order of the axes"""

    @property
    def shape(self) -> tuple[int | None, ...]:
        """Return the lengths of the axes as Keras has them, without the batch."""
        height, width = self.size or (None, None)
        lengths = {"H": height, "W": width, "C": self.channels}
        if not self.flat:
            return tuple(lengths[axis] for axis in self.axes)
        return (None,) if self.size is None else (prod(self.size) * self.channels,)

    @property
    def is_vector(self) -> bool:
        """Whether it is a row of numbers that are a channel each."""
        return self.flat and self.size == (1, 1)

    def channel_axis(self) -> int:
        """Return which axis of Keras's, with the batch, holds the channels."""
        if self.flat:
            return 1
        if "C" not in self.axes:
            raise NetworkError("its map has no axis of channels; expected one: reshape it before")
        return 1 + self.axes.index("C")

    def known_size(self, why: str) -> Pair:
        """Return the size of the map, or say for what it must be known."""
        if self.size is None:
            raise NetworkError(
                f"{why} depends on the size of its map, and the file tells none of the images'; "
                "say it with input_size"
            )
        return self.size


@dataclass
class Drawing:
    """The layers that have been translated so far, and what they take."""

    budget: Budget
    layers: list[Layer] = field(default_factory=list)
    wiring: dict[Source, Source | Sequence[Source]] = field(default_factory=dict)

    def add(self, layer: Layer, *taken: Tensor) -> Tensor:
        """Put a layer on some tensors; what it makes is read as the first of them."""
        self.budget.take(("the network's layers",), values=1)
        first = taken[0]
        channels = layer.channels_after(*(one.channels for one in taken))
        sizes = [one.size for one in taken if one.size is not None]
        size = layer.size_after(*sizes) if len(sizes) == len(taken) else None
        if size is not None and 0 in size:
            found = "x".join(map(str, sizes[0]))
            raise NetworkError(f"it leaves nothing of its map of {found}; expected larger images")
        self.layers.append(layer)
        number = len(self.layers)
        self.wiring[number] = tuple(one.number for one in taken)
        return replace(first, number=number, channels=channels, size=size)

    def each(self, value: float, count: int) -> NDArray[Any]:
        """Return one number for each of so many channels."""
        self.budget.take(("a number for each channel",), 16 * count)
        return np.full(count, value, np.float32)

    def vector(self, x: Tensor, name: str) -> Tensor:
        """Bring what is flat into one pixel: a channel for each of its numbers, in their order."""
        if x.size == (1, 1):
            return replace(x, flat=True, axes="HWC")
        height, width = x.known_size("the order of what is flattened")
        if height != width:
            raise NetworkError(
                f"a map of {height}x{width} is flattened and then taken by something else than a "
                "Dense layer; expected a square map: crop or pad it before, or pool it globally"
            )
        order: Order = "CRD" if x.axes == "CHW" else "DCR"
        made = self.add(Shuffle(height, order, reverse=True, name=name), x)
        return replace(made, flat=True, axes="HWC")

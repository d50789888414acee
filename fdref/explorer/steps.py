"""The steps of a decoding, as far as they fit on a page: how strong each stage is, pixel by pixel.

A stage on the way down is a picture over as many channels as the map has. Shown is the root mean
square over them, over each map that a layer with filters, or one that joins several, takes: what
lies between enlarges it, or passes it on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref import layers as kinds
from fdref.decoding.decode import stages
from fdref.explorer.pictures import atlas
from fdref.network.fields import ancestors

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.explorer.pictures import Atlas, Shades
    from fdref.network.graph import Network

LEVELS = 51
"""Shades above black: enough to look at, in three quarters of the bytes."""

WITH_STEPS = kinds.Conv | kinds.ConvTranspose | kinds.Sum | kinds.Concat


class Step(NamedTuple):
    """What all neurons of a layer are over one map on their way down."""

    map: int
    """the number of the layer whose output it is"""
    channels: int
    pictures: Atlas


def steps_of(net: Network, layer: int, unpool: Method, engine: Engine | str) -> list[Step]:
    """Decode a layer from above, and show every stage but the last, which is the result."""
    every = stages(net, layer, None, unpool, engine)
    numbers = [number for number in ancestors(net, layer) if number >= 0][-len(every) :]
    taken = {number for above in _stepping(net, layer) for number in net.takes[above]}
    return [
        Step(number, stage.shape[1], atlas(strengths(stage), exact=True))
        for number, stage in zip(numbers, every, strict=True)
        if number > 0 and number in taken
    ]


def _stepping(net: Network, layer: int) -> Iterator[int]:
    """Yield the layers on the way down that make something new of a picture."""
    for number in ancestors(net, layer):
        if number > 0 and isinstance(net[number], WITH_STEPS):
            yield number


def strengths(stage: Array) -> list[Shades]:
    """Return the root mean square over the channels of pictures (K, C, h, w), white the largest."""
    root = np.sqrt(np.square(stage, dtype=np.float64).mean(axis=1))
    largest = root.max(axis=(1, 2), keepdims=True)
    scaled = np.divide(root, largest, out=np.zeros_like(root), where=largest > 0)
    shades = (np.rint(LEVELS * scaled) * (255 // LEVELS)).astype(np.uint8)
    return list(shades[..., None].repeat(3, axis=3))

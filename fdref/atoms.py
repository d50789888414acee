"""Decoding from below: what a pixel of a map amounts to in the input, found once for all.

Substitution commutes with shifts, and so do `nearest` and `window` unpooling. So what a pixel of
channel j amounts to, its *atom*, is the same picture wherever the pixel is, moved by the map's
jump; and filters decode to sums of moved atoms: a substitution again, of atoms for filters, at the
jump.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import numpy as np

from fdref.down import Decoding, pool_shares, top
from fdref.fields import Box, around
from fdref.layers import (
    BatchNorm,
    Channels,
    Concat,
    Conv,
    ConvTranspose,
    Dropout,
    Elementwise,
    Maximum,
    Normalize,
    Pad,
    Pool,
    PReLU,
    Product,
    ReLU,
    Scale,
    Shuffle,
    Softmax,
    Sum,
    Upsample,
)
from fdref.pictures_over_maps import Picture, unite

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.arrays import Array
    from fdref.engine import Engine
    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.network import Network
    from fdref.resize import Method


@dataclass(frozen=True)
class Atoms:
    """What the pixels of a map amount to in the input."""

    pictures: Picture
    """(C, C0, H, W), for the pixel at (0, 0); C: of the map"""
    jump: Pair
    """by how much the pictures move for the pixel's neighbour"""


def commutes_with_shifts(layer: Layer, unpool: Method) -> bool:
    """Tell whether a layer's step down treats all pixels alike, those at the borders, too.

    Where a pool's window is smaller than its stride, `nearest` crops the border of what it
    enlarges; the other two ways to enlarge mirror at it. Above a layer that enlarges maps, pixels
    are unlike their neighbours.
    """
    match layer:
        case Pool(window=window, stride=stride):
            separate = unpool == "nearest" and all(np.greater_equal(window, stride))
            return unpool == "window" or separate
        case ConvTranspose(upsample=factor) | Upsample(factor=factor):
            return factor == (1, 1) and isinstance(layer, Upsample)
        case Shuffle(reverse=False) | Product() | Maximum():
            return False
        case _:
            return True


def of_input(net: Network, dtype: np.dtype[np.floating]) -> Atoms:
    """Return the atoms of the input: its pixels themselves."""
    pixels = np.eye(net.channels[0], dtype=dtype)[:, :, None, None]
    return Atoms(Picture(pixels, (0, 0)), (1, 1))


class Composition:
    """The rules of composition: how the atoms of a layer's maps become those of its output."""

    def __init__(self, net: Network, unpool: Method, engine: Engine) -> None:
        self.net, self.unpool, self.engine = net, unpool, engine

    def above(self, number: int, taken: Sequence[Atoms | None]) -> Atoms | None:
        """Return the atoms of a layer's output; nothing where no way leads to the input."""
        if not any(taken):
            return None
        layer, jump = self.net.decoded_as(number), next(a.jump for a in taken if a)
        pictures = taken[0].pictures if taken[0] else None
        ...

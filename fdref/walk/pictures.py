"""Pictures over maps: arrays that know where on the map their first pixel lies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fdref.network.fields import Box, around

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.arrays import Array
    from fdref.geometry import Pair


@dataclass(frozen=True)
class Picture:
    """What units amount to over a map."""

    values: Array
    """(K, C, h, w)"""
    origin: Pair
    """row and column of the map where they begin; negative in its padding"""

    @property
    def box(self) -> Box:
        """The rows and columns of the map that the pictures cover."""
        (top, left), (height, width) = self.origin, self.values.shape[2:]
        return Box(top, left, top + height - 1, left + width - 1)

    def over(self, box: Box) -> Picture:
        """Return the pictures cropped, or extended by zeros, to a box."""
        if box == self.box:
            return self
        values = np.zeros((*self.values.shape[:2], *box.size), self.values.dtype)
        _add(values, box, self)
        return Picture(values, box.origin)


def unite(pictures: Sequence[Picture]) -> Picture:
    """Add pictures over one map, in the smallest box that holds them."""
    if len(pictures) == 1:
        return pictures[0]
    box = around(picture.box for picture in pictures)
    first = pictures[0]
    values = np.zeros((*first.values.shape[:2], *box.size), first.values.dtype)
    for picture in pictures:
        _add(values, box, picture)
    return Picture(values, box.origin)


def _add(values: Array, box: Box, picture: Picture) -> None:
    """Add that part of a picture that lies in the box of `values`."""
    own = picture.box
    top, bottom = max(box.top, own.top), min(box.bottom, own.bottom) + 1
    left, right = max(box.left, own.left), min(box.right, own.right) + 1
    if top < bottom and left < right:
        into = values[:, :, top - box.top : bottom - box.top, left - box.left : right - box.left]
        top, bottom, left, right = (
            top - own.top,
            bottom - own.top,
            left - own.left,
            right - own.left,
        )
        into += picture.values[:, :, top:bottom, left:right]

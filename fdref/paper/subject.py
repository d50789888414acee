"""What is recomputed: a network, and the images that it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.measure.nonlinearities import steps
from fdref.measure.replacing import nonlinear_below
from fdref.measure.survey import has_pools_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.network.graph import Network

    Fold = tuple[slice, slice]


class Effort(NamedTuple):
    """How much is done of what could be done of any amount.

    Attributes
    ----------
    neurons : int
        Of a layer, whose strongest images are projected, at most.
    switches, noise : int
        Settings of switches, images of noise.
    iterations, texture_iterations : int
        Of a search for an image, or for a texture, at most.
    inverted, textured : int
        Images that are searched for again, and those whose codes' energy is moved.
    maps : int
        Of a layer that the energy is moved to, at most.
    occluded : int
        Images that a square hides parts of.
    """

    neurons: int
    switches: int
    noise: int
    iterations: int
    texture_iterations: int
    inverted: int
    textured: int
    maps: int
    occluded: int


QUICK = Effort(100, 100, 1_000, 100, 40, 6, 4, 8, 12)
THOROUGH = Effort(10_000, 1_000, 10_000, 400, 200, 6, 6, 12, 200)
MANY = 10_000
"""Whoever shows so many images has time."""


@dataclass(frozen=True)
class Subject:
    """A network and the images that it is shown.

    Attributes
    ----------
    net : Network
    images : (N, H, W) or (N, C, H, W) array
        Pixels from 0 to 255.
    labels : (N,) array of int from 0
    folds : sequence of (slice, slice)
        Images to fit filters to, and images to evaluate them on.
    """

    net: Network
    images: Array
    labels: NDArray[np.integer]
    folds: Sequence[Fold]

    @property
    def last(self) -> int:
        """The number of the last convolution."""
        return self.net.decodable[-1]

    @property
    def classes(self) -> list[str]:
        """The names of the last convolution's filters, if they are those of the labels' classes."""
        count = self.net.channels[self.last]
        if self.labels.max() >= count or self.net.channels[-1] != count:
            return []
        return (
            list(self.net.classes)
            if len(self.net.classes) == count
            else list(map(str, range(count)))
        )

    @property
    def class_names(self) -> list[str]:
        """What the labels mean, as far as the network says; else numbers."""
        count = int(self.labels.max()) + 1
        named = self.net.classes if len(self.net.classes) >= count else range(count)
        return list(map(str, named))

    @property
    def effort(self) -> Effort:
        """How much is done beside going through all images."""
        return THOROUGH if len(self.images) >= MANY else QUICK

    @staticmethod
    def some(count: int, most: int) -> NDArray[np.intp]:
        """Return so many of a number of things at most, spread evenly.

        >>> Subject.some(10, 4).tolist(), Subject.some(3, 4).tolist()
        ([0, 3, 6, 9], [0, 1, 2])
        """
        return np.linspace(0, count - 1, min(count, most)).round().astype(np.intp)

    @property
    def explained(self) -> tuple[int, ...]:
        """The layers above pools, or above what is not linear: those with other best filters."""
        return tuple(
            n
            for n in self.net.decodable
            if nonlinear_below(self.net, n) or has_pools_below(self.net, n)
        )

    @property
    def work(self) -> int:
        """How many images `reproduce` goes through, some of them more than once."""
        fitted = [
            steps(
                self.net,
                len(self.images[fit]),
                len(self.images[test]),
                self.images.shape[-2:],
                self.explained,
            )
            for fit, test in self.folds
        ]
        return len(self.images) + sum(fitted)

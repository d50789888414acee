"""What is recomputed: a network, and the images that it is shown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fdref.measure.nonlinearities import steps
from fdref.measure.replacing import nonlinear_below
from fdref.measure.survey import has_pools_below

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.network.graph import Network

    Fold = tuple[slice, slice]


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

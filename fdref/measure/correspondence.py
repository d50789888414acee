"""How alike the maps of several images change when the same part of each is hidden.

Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks" (2014), section 4.4: if the
network relates the parts, such as the left eye of several dogs, they change alike.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import instance, shown
from fdref.arrays import in_precision, real_array
from fdref.engines import engine_named
from fdref.engines.local import local
from fdref.errors import ArgumentError
from fdref.geometry import pair
from fdref.measure.finite import QUIET, finite_forward
from fdref.measure.square import filling, prepared_images, shown_by_square
from fdref.network.graph import Network
from fdref.network.sizes import by

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.engines import Engine
    from fdref.geometry import Pair
    from fdref.measure.square import Value


@dataclass(frozen=True, eq=False)
class Correspondence:
    """How differently images change when a part of each is hidden.

    Attributes
    ----------
    distances : (N, N) array of float64
        For each two images, of how many of the layer's units the change has another sign (up, down,
        or none), divided by the number of units: the Hamming distance of sign(x - x'), 0 to 1.
    """

    distances: NDArray[np.float64] = field(repr=False)

    @property
    def delta(self) -> float:
        """Zeiler & Fergus's Delta: the sum over all pairs, each counted once."""
        return float(np.triu(self.distances, 1).sum())

    @property
    def mean(self) -> float:
        """The mean over all pairs, which does not grow with the number of images."""
        count = len(self.distances)
        return self.delta / (count * (count - 1) / 2)


@QUIET
def correspondence(
    net: Network,
    x: ArrayLike,
    places: ArrayLike,
    size: int | Sequence[int],
    layer: int | str,
    value: Value = 127.5,
    engine: Engine | str = "compiled",
) -> Correspondence:
    """Hide a part of each of several images, and compare how the maps of a layer change.

    Lower than for parts chosen at random: the network relates the parts to each other. A unit that
    does not see the square does not change at all, with our engines, and is alike in all images.

    Parameters
    ----------
    net : Network
    x : (N, C, H, W) array
        At least two images, as `Network.prepare` returns them.
    places : (N, 2) array of int
        The row and column of the upper left corner of the part in each image.
    size : int or (height, width)
        Of the parts, in pixels.
    layer : int or str
    value : number, one for each channel, "average" or "background"
        What the parts are hidden behind; see `fdref.occlude`.
    engine : "compiled", "reference" or Engine

    Returns
    -------
    Correspondence
        With `.delta`, `.mean` and `.distances`.

    Raises
    ------
    ArgumentError
        If images do not fit the network or are not finite, a part is not within its image, or
        there is no such layer.
    NetworkError
        If responses overflow, or a layer that is needed is of unknown type.

    Examples
    --------
    >>> import fdref
    >>> net, digits = fdref.load(), fdref.mnist().test
    >>> sevens = net.prepare(digits.images[digits.labels == 7][:4])
    >>> same = fdref.correspondence(net, sevens, [(5, 9)] * 4, 7, layer=3)
    >>> other = fdref.correspondence(net, sevens, [(5, 9), (15, 2), (2, 17), (18, 18)], 7, layer=3)
    >>> same.mean < other.mean
    True
    """
    images = prepared_images(instance(net, Network, "net"), x)
    if np.ndim(images) != np.ndim(x) or len(images) < 2:
        raise ArgumentError(f"images have shape {np.shape(x)}; expected several, (N, C, H, W)")
    window = pair(size, "size")
    corners = _corners(places, len(images), images.shape[2:], window)
    number = net.number(layer)
    operations = engine_named(engine)
    own = local(operations) if getattr(operations, "LOCAL", False) else operations
    shows = shown_by_square(net, value)
    signs = []
    for n, (top, left) in enumerate(corners):
        both = np.stack([images[n], images[n]])
        both = in_precision(both, own.precision(net.dtype), "images")
        part = slice(None), slice(top, top + window[0]), slice(left, left + window[1])
        both[(1, *part)] = filling(net, images[n], shows)[part]
        clean, hidden = finite_forward(net, both, n, own, number)[number]
        signs.append(np.sign(clean - hidden).astype(np.int8).ravel())
    return Correspondence(_distances(np.stack(signs)))


def _distances(signs: NDArray[np.int8]) -> NDArray[np.float64]:
    """Return how many of the units (N, n) differ, of each two."""
    count = len(signs)
    distances = np.zeros((count, count))
    for i in range(count):
        distances[i] = (signs != signs[i]).mean(axis=1)
    return distances


def _corners(places: ArrayLike, count: int, size: Sequence[int], window: Pair) -> list[Pair]:
    """Read where the part of each image begins."""
    read = real_array(places, "places")
    if read.shape != (count, 2) or read.dtype.kind not in "iu":
        raise ArgumentError(
            f"places are {shown(places)}; expected ({count}, 2) whole numbers, the row and column "
            "of a corner in each image"
        )
    corners = [(int(top), int(left)) for top, left in read]
    for n, (top, left) in enumerate(corners):
        most = size[0] - window[0], size[1] - window[1]
        if not (0 <= top <= most[0] and 0 <= left <= most[1]):
            raise ArgumentError(
                f"the part of image {n} at {[top, left]} is {by(window)}; expected it within "
                f"{by(size)}"
            )
    return corners

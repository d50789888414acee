"""The gradient of a neuron, averaged over images and positions: its filter with the gates as seen.

Every max pool and ReLU lets some of its inputs through in an image and none of the others. With
these gates held, a neuron is linear in the image, and its filter is the gradient; the average of
these filters is what decoding would give if gates opened as often as they do.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd, prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.layers import Conv, ConvTranspose
from fdref.measure.chunks import over_chunks
from fdref.measure.finite import QUIET, check_banks, check_pixels
from fdref.network.fields import ancestors
from fdref.network.sizes import map_size, sizes_from
from fdref.network.units import receptive_field
from fdref.walk.forward import forward
from fdref.walk.projection import project

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.geometry import ReceptiveField
    from fdref.measure.chunks import Chunk, Executor
    from fdref.network.graph import Network

    Numbers = NDArray[np.float64]
    Indices = NDArray[np.intp]

POINTS, WORK = 100, 4e10
"""Positions in images where gradients are taken by default, and multiply-adds that this may take.

On the LeNet the average of 100 predicts as well as that of 400, and that of 40 nearly so.
"""

AT_ONCE = 2**25
"""Numbers that maps and gradients may hold that are there together, but for one image."""

GOLDEN = 0.618034
"""Steps of this share of a whole spread evenly, however many there are."""


class Points(NamedTuple):
    """Where gradients are taken: the image and the row and column of the layer's map, for each."""

    images: Indices
    rows: Indices
    columns: Indices

    def where(self, meant: NDArray[np.bool_] | slice) -> Points:
        """Return some of them."""
        return Points(self.images[meant], self.rows[meant], self.columns[meant])


def points_of(
    net: Network, number: int, images: int, size: Sequence[int], most: int | None
) -> Points:
    """Choose positions in images, spread evenly over both; none of them twice.

    Parameters
    ----------
    net : Network
    number : int
        The layer.
    images : int
        How many there are.
    size : (height, width)
        Of the images.
    most : int, optional
        How many positions; by default `POINTS`, or fewer for no more than about `WORK`.
    """
    height, width = map_size(net, number, size)
    positions = height * width
    if most is None:
        each = net.channels[number] * multiply_adds(net, number, size)
        most = max(1, min(POINTS, int(WORK // max(1, each))))
    count = min(most, images * positions)
    step = max(1, round(GOLDEN * positions))
    while gcd(step, positions) > 1:  # else some positions would never come
        step += 1
    order = np.arange(count)
    at = order * step % positions
    return Points(order * images // count, at // width, at % width)


def multiply_adds(net: Network, number: int, size: Sequence[int]) -> int:
    """Count those of the way to a layer for one image; the way down has no more.

    >>> import fdref
    >>> multiply_adds(fdref.load(), 5, (28, 28))  # 20 x 25 x 576 + 50 x 500 x 64 + 500 x 800
    2288000
    """
    sizes = sizes_from(net, [(size[0], size[1])])
    total = 0
    for n in ancestors(net, number):
        layer = net[n] if n > 0 else None
        if isinstance(layer, Conv):
            total += layer.filters.size * prod(sizes[n])
        elif isinstance(layer, ConvTranspose):
            total += layer.filters.size * prod(sizes[net.takes[n][0]])
    return total


def mean_gradients(
    net: Network,
    images: Array,
    layers: Sequence[int],
    most: int | None = None,
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> dict[int, Numbers]:
    """Average the gradients of every filter's responses in what they see, over images.

    Parameters
    ----------
    net : Network
        Of one input.
    images : (N, H, W) or (N, C, H, W) array
        Pixels as `Network.prepare` takes them.
    layers : sequence of int
        Layers that have filters.
    most : int, optional
        Positions in images where the gradient is taken, for each layer.
    engine : "compiled", "reference" or Engine
    progress : callable, optional
        Called after each chunk of images with their number; they are those that are looked at, as
        `looked_at` counts them.
    executor : optional
        As `evaluate` takes it.

    Returns
    -------
    dict
        ``{layer: (K, C0, Rh, Rw) array}``, to be used like a decoded bank; zero where every field
        lies in the padding.

    Raises
    ------
    ArgumentError
        If images are not finite.
    NetworkError
        If gradients are so large that they overflow.

    Examples
    --------
    Without a max pool or a ReLU every gradient is the decoded filter:

    >>> import fdref
    >>> filters = np.random.default_rng(0).standard_normal((2, 1, 3, 3))
    >>> net = fdref.Network([fdref.Conv(filters), fdref.Pool(2, 2, method="avg")])
    >>> images = np.random.default_rng(1).uniform(0, 255, (5, 8, 8))
    >>> bool(np.allclose(mean_gradients(net, images, [1])[1], fdref.decode(net, 1)))
    True
    """
    if not layers:
        return {}
    points = {n: points_of(net, n, len(images), images.shape[-2:], most) for n in layers}
    seen = looked_at(points)
    # Numbers among the images that are looked at: of 60,000 a hundred may be.
    for number in seen:
        check_pixels(net, images[number : number + 1], int(number))
    points = {
        n: own._replace(images=np.searchsorted(seen, own.images)) for n, own in points.items()
    }
    counts = {n: len(own.images) for n, own in points.items()}
    sums: dict[int, Numbers] = {}
    walking = Walking(net, points, engine)
    for sums_of_chunk in over_chunks(walking, images[seen], progress, executor):
        for number, bank in sums_of_chunk.items():
            sums[number] = sums[number] + bank if number in sums else bank
    banks = {number: sums[number] / counts[number] for number in layers}
    check_banks(net, banks, "gradients")
    return banks


def looked_at(points: Mapping[int, Points]) -> Indices:
    """Return the numbers of the images in which points of some layer lie."""
    return np.unique(np.concatenate([own.images for own in points.values()]))


@dataclass(frozen=True, eq=False)
class Walking:
    """Adds up, for a chunk of images, the gradients at the points that lie in them."""

    net: Network
    points: Mapping[int, Points]
    engine: Engine | str

    @QUIET
    def __call__(self, chunk: Chunk) -> dict[int, Numbers]:
        """Return sums of gradients, (K, C0, Rh, Rw) for each layer."""
        x = self.net.prepare(chunk.images)
        sizes = sizes_from(self.net, [(x.shape[2], x.shape[3])])
        sums = {}
        for number, every in self.points.items():
            here = (chunk.first <= every.images) & (every.images < chunk.first + len(x))
            own = every.where(here)
            room = sum(self.net.channels[n] * prod(sizes[n]) for n in ancestors(self.net, number))
            block = max(1, AT_ONCE // room)
            bank = np.zeros(
                (self.net.channels[number], x.shape[1], *receptive_field(self.net, number).size)
            )
            for start in range(0, len(own.images), block):
                some = own.where(slice(start, start + block))
                bank += self._walked(number, x[some.images - chunk.first], some)
            sums[number] = bank
        return sums

    def _walked(self, number: int, x: Array, at: Points) -> Numbers:
        """Add up the gradients of each filter's response to images, at one position in each."""
        acts = forward(self.net, x, self.engine, number)
        acts[number] = np.ones_like(acts[number])  # so that what goes down is the gradient alone
        field, count = receptive_field(self.net, number), self.net.channels[number]
        bank = np.zeros((count, x.shape[1], *field.size))
        block = max(1, AT_ONCE // x.size)
        for start in range(0, count, block):
            filters = np.arange(start, min(start + block, count))
            units = (np.arange(len(x)), filters[:, None], at.rows, at.columns)
            kept = np.stack(np.broadcast_arrays(*units), axis=-1).reshape(-1, 4)
            gradients = project(self.net, acts, number, kept, "gradient", self.engine)
            bank[filters] = summed_fields(gradients.reshape(len(filters), *x.shape), field, at)
        return bank


def summed_fields(gradients: Array, field: ReceptiveField, at: Points) -> Numbers:
    """Add up what lies in the field of each image's position: (K, N, C, H, W) to (K, C, Rh, Rw)."""
    tops = at.rows * field.stride[0] + field.offset[0]
    lefts = at.columns * field.stride[1] + field.offset[1]
    height, width = gradients.shape[3:]
    above, left = max(0, -int(tops.min())), max(0, -int(lefts.min()))
    below = max(0, int(tops.max()) + field.size[0] - height)
    right = max(0, int(lefts.max()) + field.size[1] - width)
    whole = np.pad(gradients, ((0, 0), (0, 0), (0, 0), (above, below), (left, right)))
    total = np.zeros((len(gradients), gradients.shape[2], *field.size))
    for n, (top, first) in enumerate(zip(tops + above, lefts + left, strict=True)):
        total += whole[:, n, :, top : top + field.size[0], first : first + field.size[1]]
    return total

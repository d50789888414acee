"""The images that excite neurons most: Zeiler & Fergus's top nine, with patches and projections.

Images go through the network once, a chunk at a time; of each neuron no more is kept than its
strongest images so far. What the neurons saw is taken from the images afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import reduce
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fdref.arguments import callback, instance, whole_number
from fdref.engines import engine_named
from fdref.errors import ArgumentError
from fdref.measure.abreast import Abreast
from fdref.measure.chunks import Chunk, check_executor, cut, over_chunks, read_images
from fdref.measure.finite import QUIET, finite_forward, prepare
from fdref.network.fields import Box, ancestors
from fdref.network.graph import Network
from fdref.network.sizes import sizes_from
from fdref.network.units import Unit, boxes, receptive_field
from fdref.selection import filter_indices
from fdref.walk.forward import check_known, forward
from fdref.walk.pictures import Picture
from fdref.walk.projection import project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.measure.chunks import Executor, Images
    from fdref.walk.projection import Rule

AT_ONCE = 2**26
"""Bytes that the largest map of images that go through the network together takes, at most."""


@dataclass(frozen=True, eq=False)
class Strongest:
    """The strongest activations of neurons over a set of images, at most one an image.

    Attributes
    ----------
    layer : int
    filters : (K,) array of int
        The neurons' numbers in the layer.
    values : (K, n) array
        The activations of each, the strongest first; of equal ones that of the earlier image.
    images : (K, n) array of int
        The image of each, counted from 0.
    places : (K, n, 2) array of int
        Row and column of each on the layer's map; of equal ones in an image the first by rows.
    """

    net: Network = field(repr=False)
    layer: int
    filters: NDArray[np.intp]
    values: Array = field(repr=False)
    images: NDArray[np.intp] = field(repr=False)
    places: NDArray[np.intp] = field(repr=False)
    pixels: Array | None = field(repr=False)
    engine: Engine | str = field(repr=False)

    def patches(self, images: Images | None = None) -> Array:
        """Return what each neuron saw: the pixels of its receptive field, zeros beyond borders.

        Parameters
        ----------
        images : array, or iterable of arrays, optional
            Those that were searched, once more; needed where they were iterated over.

        Returns
        -------
        (K, n, C, Rh, Rw) array of the images' dtype

        Raises
        ------
        ArgumentError
            If the images are needed, or are others; if the layer has no receptive field.
        """
        wanted, pixels = self._winners(images)
        patches = self._empty(pixels, pixels.dtype)
        for place, image, box in self._each(wanted):
            patches[place] = Picture(pixels[image][None], (0, 0)).over(box).values[0]
        return patches

    def projections(
        self,
        rule: Rule = "deconvnet",
        images: Images | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> Array:
        """Project each activation by itself, in its own image: see `fdref.project`.

        Parameters
        ----------
        rule : "deconvnet", "gradient", "guided" or "linear"
        images : array, or iterable of arrays, optional
            As `patches` takes them.
        progress : callable, optional
            Called after each block of images with the number of activations that are done.

        Returns
        -------
        (K, n, C, Rh, Rw) array
            The part of each projection that lies on the neuron's receptive field, like `patches`;
            elsewhere it is zero.
        """
        callback(progress, "progress")
        wanted, pixels = self._winners(images)
        step = _together(self.net, self.layer, pixels)
        precision = engine_named(self.engine).precision(self.net.dtype)
        found = self._empty(pixels, precision)
        units = list(self._each(wanted))
        for first in range(0, len(wanted), step):
            x = prepare(self.net, pixels[first : first + step])
            acts = forward(self.net, x, self.engine, self.layer)
            own = [unit for unit in units if first <= unit[1] < first + step]
            kept = [
                (image - first, self.filters[place[0]], *self.places[place])
                for place, image, _ in own
            ]
            pictures = project(self.net, acts, self.layer, kept, rule, self.engine)
            for (place, _, box), picture in zip(own, pictures, strict=True):
                found[place] = Picture(picture[None], (0, 0)).over(box).values[0]
            if progress is not None:
                progress(len(own))
        return found

    def _winners(self, images: Images | None) -> tuple[NDArray[np.intp], Array]:
        """Return the numbers of all images that excited some neuron, and their pixels."""
        wanted = np.unique(self.images)
        given = self.pixels if images is None else images
        if given is None:
            raise ArgumentError(
                "the images were iterated over and are gone; pass them again: images=..."
            )
        read = read_images(given)
        if isinstance(read, np.ndarray):
            if wanted.size and wanted[-1] >= len(read):
                raise ArgumentError(
                    f"there are {len(read)} images; expected those that were searched, more than "
                    f"{wanted[-1]}"
                )
            pixels = read[wanted]
        else:
            picked = [chunk.images[wanted_in(chunk, wanted)] for chunk in cut(read)]
            pixels = np.concatenate(picked) if picked else np.zeros((0, 1, 1))
            if len(pixels) != len(wanted):
                raise ArgumentError(
                    f"of {len(wanted)} images {len(pixels)} came; expected those that were searched"
                )
        return wanted, pixels[:, None] if pixels.ndim == 3 else pixels

    def _each(self, wanted: NDArray[np.intp]) -> Iterator[tuple[tuple[int, int], int, Box]]:
        """Yield each activation's place in the result, its image among the wanted, what it saw."""
        known: dict[tuple[int, ...], Box] = {}
        size = self._field()
        for place in np.ndindex(self.images.shape):
            at = tuple(self.places[place].tolist())
            if at not in known:
                origin = boxes(self.net, self.layer, Unit((at[0], at[1])))[0].origin
                last = origin[0] + size[0] - 1, origin[1] + size[1] - 1
                known[at] = Box(*origin, *last)
            image = int(np.searchsorted(wanted, self.images[place]))
            yield (place[0], place[1]), image, known[at]

    def _field(self) -> tuple[int, int]:
        return receptive_field(self.net, self.layer).size

    def _empty(self, pixels: Array, dtype: np.dtype[Any]) -> Array:
        return np.zeros((*self.images.shape, pixels.shape[1], *self._field()), dtype)


def wanted_in(chunk: Chunk, wanted: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return which images of a chunk are wanted, counted within it."""
    inside = (wanted >= chunk.first) & (wanted < chunk.first + len(chunk.images))
    return wanted[inside] - chunk.first


class Top(NamedTuple):
    """The strongest activations of some images: (K, n) values, images, (K, n, 2) places."""

    values: Array
    images: NDArray[np.intp]
    places: NDArray[np.intp]

    def best(self, count: int) -> Top:
        """Return the strongest; of equal ones those that stand first."""
        order = np.argsort(-self.values, axis=1, kind="stable")[:, :count]
        return Top(
            np.take_along_axis(self.values, order, 1),
            np.take_along_axis(self.images, order, 1),
            np.take_along_axis(self.places, order[:, :, None], 1),
        )

    def and_of(self, later: Top) -> Top:
        """Put later images behind these."""
        return Top(*(np.concatenate(both, axis=1) for both in zip(self, later, strict=True)))


@QUIET
def strongest(
    net: Network,
    images: Images,
    layer: int | str,
    filters: ArrayLike | None = None,
    count: int = 9,
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> Strongest:
    """Find the images that excite neurons of a layer most, and where in them.

    Parameters
    ----------
    net : Network
        Of one input.
    images : (N, H, W) or (N, C, H, W) array, or iterable of such arrays
        Pixels as `Network.prepare` takes them, at least one image. Iterated over once, a hundred at
        a time: there may be more than fit into memory.
    layer : int or str
        Number from 1, or name.
    filters : int, sequence or array of int, or mask, optional
        Which neurons, counted from 0; all of them by default.
    count : int
        How many images of each; fewer where there are no more.
    engine : "compiled", "reference" or Engine
    progress : callable, optional
        Called after each chunk of images with their number.
    executor : optional
        As `fdref.evaluate` takes it.

    Returns
    -------
    Strongest
        ``.values``, ``.images``, ``.places``, and with ``.patches()`` and ``.projections()`` what
        the neurons saw and what of it mattered.

    Raises
    ------
    ArgumentError
        If there are no images, they do not fit the network or are not finite; for a layer or neuron
        that there is not.
    NetworkError
        If a layer of unknown type lies below, or activations overflow.

    Notes
    -----
    M. D. Zeiler and R. Fergus, "Visualizing and Understanding Convolutional Networks", section 4.

    Examples
    --------
    >>> import fdref
    >>> net, digits = fdref.load(), fdref.mnist().test
    >>> top = fdref.strongest(net, digits.images, layer=7, filters=[3, 8])
    >>> digits.labels[top.images].tolist() == [[3] * 9, [8] * 9]
    True
    >>> top.patches().shape, top.projections().shape
    ((2, 9, 1, 28, 28), (2, 9, 1, 28, 28))
    """
    number = instance(net, Network, "net").number(layer)
    if net.inputs > 1:
        raise ArgumentError(f"the network has {net.inputs} inputs; expected one")
    check_known(net, ancestors(net, number))
    which = np.array(filter_indices(net, number, filters), np.intp)
    wanted = whole_number(count, "count", 1)
    callback(progress, "progress")
    check_executor(executor)
    read = read_images(images)
    engine_named(engine)  # refused here, not by a worker of the executor
    search = Searching(net, number, which, wanted, engine)
    tops = over_chunks(search, read, progress, executor, abreast=Abreast(net, engine))
    top = reduce(lambda found, later: found.and_of(later).best(wanted), tops)
    pixels = read if isinstance(read, np.ndarray) else None
    return Strongest(net, number, which, *top, pixels, engine)


@dataclass(frozen=True, eq=False)
class Searching:
    """Finds the strongest activations of a chunk of images."""

    net: Network
    layer: int
    filters: NDArray[np.intp]
    count: int
    engine: Engine | str

    @QUIET
    def __call__(self, chunk: Chunk) -> Top:
        """Return at most `count` of each neuron."""
        x = prepare(self.net, chunk.images, chunk.first)
        step = _together(self.net, self.layer, x)
        found = []
        for first in range(0, len(x), step):
            some, number = x[first : first + step], chunk.first + first
            acts = finite_forward(self.net, some, number, self.engine, self.layer)
            found.append(self._best(acts[self.layer], number))
        return reduce(Top.and_of, found).best(self.count)

    def _best(self, maps: Array, first: int) -> Top:
        """Return each image's strongest place for each neuron."""
        height, width = maps.shape[2:]
        flat = maps[:, self.filters].reshape(len(maps), len(self.filters), height * width)
        at = flat.argmax(axis=2).T  # of equal ones the first
        values = np.take_along_axis(flat, at.T[:, :, None], 2)[:, :, 0].T
        images = np.broadcast_to(np.arange(first, first + len(maps)), at.shape)
        return Top(values, images, np.stack(np.divmod(at, width), axis=2))


def _together(net: Network, last: int, images: Array) -> int:
    """Return how many images may go through a network together, up to a layer."""
    sizes = sizes_from(net, [(images.shape[2], images.shape[3])])
    one = max(net.channels_of(n) * prod(sizes[n]) for n in range(last + 1))
    return max(1, AT_ONCE // (8 * one))

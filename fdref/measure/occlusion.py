"""Zeiler & Fergus's occlusion: a square moves over an image, and the network is asked each time.

"Visualizing and Understanding Convolutional Networks" (2014), sections 4.2 and 4.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arguments import callback, elements, instance, shown, whole
from fdref.arrays import in_precision
from fdref.engines import engine_named
from fdref.engines.local import local
from fdref.errors import ArgumentError, NetworkError
from fdref.geometry import pair
from fdref.layers import Softmax
from fdref.measure.chunks import check_executor, over_chunks
from fdref.measure.finite import QUIET, finite_forward, first_bad
from fdref.measure.square import filling, prepared_images, shown_by_square
from fdref.network.fields import ancestors
from fdref.network.graph import Network
from fdref.network.sizes import by, sizes_from
from fdref.walk.cone import Boxes, Cone, whole_maps
from fdref.walk.forward import check_known, end
from fdref.walk.projection import project
from fdref.walk.reach import ROOM, Reach

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.geometry import Pair
    from fdref.measure.chunks import Chunk, Executor
    from fdref.measure.square import Value
    from fdref.walk.reach import Places

    Maps = tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What a network says of an image while a square hides a part of it: Zeiler & Fergus's maps.

    One number for each place of the square, (rows, columns). Of several images, everything but the
    layer has one more axis, (N, ...).

    Attributes
    ----------
    probability : array of float64
        Of the image's class.
    label : array of int
        The most probable class.
    activity : array of float64
        The sum over all positions of the map that was strongest in the clean image.
    projection : (C, H, W) array, or None
        That map in the clean image, all of it, projected to the image by the deconvnet's rule; None
        where there is no such projection, because a softmax lies below.
    map : int
        Which map of the layer that is: the one whose sum is the largest in the clean image, of
        equal ones the first.
    labels : int
        The class that `probability` is of.
    layer : int
        The number of the layer whose map it is.
    """

    probability: NDArray[np.float64] = field(repr=False)
    label: NDArray[np.intp] = field(repr=False)
    activity: NDArray[np.float64] = field(repr=False)
    projection: Array | None = field(repr=False)
    map: int | NDArray[np.intp]
    labels: int | NDArray[np.intp]
    layer: int


@QUIET
def occlude(
    net: Network,
    x: ArrayLike,
    size: int | Sequence[int],
    stride: int | Sequence[int] = 1,
    value: Value = 127.5,
    layer: int | str | None = None,
    labels: ArrayLike | None = None,
    engine: Engine | str = "compiled",
    progress: Callable[[int], object] | None = None,
    executor: Executor | None = None,
) -> Occlusion:
    """Hide a part of an image behind a square, everywhere in turn, and see what the network says.

    With our engines only what the square reaches is computed anew on each map, where that is less
    than the map. The result is, to the bit, that of `forward` on every occluded image with
    ``engine=fdref.engines.local.local(engine)``, and that of `forward` itself but for rounding.

    Parameters
    ----------
    net : Network
    x : (C, H, W) or (N, C, H, W) array, or (H, W) for one channel
        One image or several, as `Network.prepare` returns them.
    size : int or (height, width)
        Of the square, in pixels.
    stride : int or (vertical, horizontal)
        Pixels from place to place; the first is the upper left corner. Squares are whole: none
        reaches beyond the image.
    value : number, one for each channel, "average" or "background"
        What the square shows. Numbers are pixels as they were before `Network.prepare`, which
        subtracts the average from the square, too. "average" is the network's average image or
        colour; "background" the image's own: the median of its outermost pixels, by channel.
    layer : int or str, optional
        Whose strongest map is watched. By default the last layer with filters that has more than
        one position, or the last one with filters.
    labels : int, or one for each image, optional
        The true class; by default the one that the clean image is given.
    engine : "compiled", "reference" or Engine
        An engine of one's own computes whole maps.
    progress : callable, optional
        Called with a number of occluded images, after these are done.
    executor : optional
        Computes some of several images elsewhere; see `fdref.evaluate`.

    Returns
    -------
    Occlusion
        With `.probability`, `.label`, `.activity`, `.projection` and `.map`. A network that does
        not end in a softmax gets one; where its output has several pixels, probabilities are
        averaged over them.

    Raises
    ------
    ArgumentError
        If images do not fit the network or are not finite, the square is larger than they are,
        there is no such layer or class, or the value is none.
    NetworkError
        If responses overflow, or a layer that is needed is of unknown type.
    FdrefError
        If a worker of the executor died.

    Examples
    --------
    >>> import fdref
    >>> net, digits = fdref.load(), fdref.mnist().test
    >>> x = net.prepare(digits.images[:1])[0]
    >>> found = fdref.occlude(net, x, 7, stride=3, value="background")
    >>> found.probability.shape, found.labels == digits.labels[0]
    ((8, 8), np.True_)
    """
    callback(progress, "progress")
    check_executor(executor)
    images = prepared_images(instance(net, Network, "net"), x)
    single = np.ndim(images) != np.ndim(x)
    window, steps = pair(size, "size"), pair(stride, "stride")
    height, width = images.shape[2:]
    if window[0] > height or window[1] > width:
        raise ArgumentError(
            f"size is {by(window)}; expected a square within images of {by((height, width))}"
        )
    sizes = sizes_from(net, [(height, width)])
    number = _default_layer(net, sizes) if layer is None else net.number(layer)
    last = end(net)
    check_known(net, {*ancestors(net, number), *ancestors(net, last)})
    true = _classes(labels, len(images), net.channels[last], single=single)
    places = prod((n - w) // s + 1 for n, w, s in zip((height, width), window, steps, strict=True))
    here = progress if executor is None else None
    work = Occluding(
        net, window, steps, shown_by_square(net, value), number, last, true, engine, here
    )

    def tell(count: int) -> None:
        if progress is not None and executor is not None:
            progress(count * places)

    each = None if executor is None else 1  # an image is a task: it is asked about at every place
    parts = [one for some in over_chunks(work, images, tell, executor, each) for one in some]
    return parts[0] if single else _together(parts)


def _together(parts: Sequence[Occlusion]) -> Occlusion:
    """Put those of several images together."""

    def every(name: str) -> NDArray[Any]:
        return np.array([getattr(one, name) for one in parts])

    return Occlusion(
        every("probability"),
        every("label"),
        every("activity"),
        None if parts[0].projection is None else every("projection"),
        every("map"),
        every("labels"),
        parts[0].layer,
    )


def _default_layer(net: Network, sizes: dict[int, Pair]) -> int:
    """Return the last layer with filters that has several positions, or else the last of all."""
    filtered = [n for n in net.decodable if n in sizes] or [end(net)]
    return max((n for n in filtered if prod(sizes[n]) > 1), default=filtered[-1])


def _classes(
    labels: ArrayLike | None, count: int, classes: int, *, single: bool
) -> tuple[int, ...] | None:
    """Read the class of each image."""
    if labels is None:
        return None
    several = [labels] if single and whole(labels) is not None else elements(labels)
    numbers = [] if several is None else [whole(one) for one in several]
    if len(numbers) != count or not all(n is not None and 0 <= n < classes for n in numbers):
        raise ArgumentError(
            f"labels are {shown(labels)}; expected {count} whole numbers from 0 to {classes - 1}, "
            "one for each image"
        )
    return tuple(n for n in numbers if n is not None)


@dataclass(frozen=True, eq=False)
class Occluding:
    """Occludes some images."""

    net: Network
    window: Pair
    stride: Pair
    value: str | tuple[float, ...]
    number: int
    last: int
    labels: tuple[int, ...] | None
    engine: Engine | str
    progress: Callable[[int], object] | None

    @QUIET
    def __call__(self, chunk: Chunk) -> list[Occlusion]:
        """Return what is found of each image."""
        engine = engine_named(self.engine)
        is_ours = bool(getattr(engine, "LOCAL", False))
        own = local(engine) if is_ours else engine
        sizes = sizes_from(self.net, [chunk.images.shape[2:]])
        step = max(1, ROOM // sum(self.net.channels_of(n) * prod(sizes[n]) for n in sizes))
        found: list[Occlusion] = []
        for first in range(0, len(chunk.images), step):
            images = chunk.images[first : first + step]
            reach = Reach(
                self.net,
                sizes,
                self.window,
                self.stride,
                {self.number, self.last},
                len(images),
                whole=not is_ours,
            )
            found += self._images(reach, images, chunk.first + first, own)
        return found

    def _images(
        self, reach: Reach, images: Array, first: int, engine: Engine
    ) -> Iterator[Occlusion]:
        acts = finite_forward(self.net, images, first, engine, max(self.number, self.last))
        best = acts[self.number].astype(np.float64).sum(axis=(2, 3)).argmax(axis=1)
        labels = self._scores(acts[self.last], engine).argmax(axis=1)
        if self.labels is not None:
            labels = np.array(self.labels[first : first + len(images)])
        shows = np.stack([filling(self.net, image, self.value) for image in images])
        shows = in_precision(shows, acts[0].dtype, "value")
        cone = Cone(reach, dict(enumerate(acts)), shows, engine)
        probability, label, activity = self._maps(cone, best, labels)
        for n in range(len(images)):
            for values in (probability[n], activity[n]):
                _check(values, first + n)
            own = [maps[n : n + 1] for maps in acts]
            yield Occlusion(
                probability[n],
                label[n],
                activity[n],
                self._projection(own, int(best[n])),
                int(best[n]),
                int(labels[n]),
                self.number,
            )

    def _maps(self, cone: Cone, best: NDArray[np.intp], labels: NDArray[np.intp]) -> Maps:
        """Return probability, label and activity for every image and place."""
        reach, clean = cone.reach, cone.clean
        shape = (len(best), *map(len, reach.starts))
        probability, activity = np.empty(shape), np.empty(shape)
        label = np.empty(shape, np.intp)
        watched = clean[self.number][np.arange(len(best)), best][:, None]
        for group in reach.groups:
            for copies in group.batches(len(best), reach.at_once(group)):
                found = cone.run(group, copies, {self.number, self.last})
                boxes = found.get(self.number)
                own = None if boxes is None else boxes.of_channels(best[copies.images])
                activity[copies] = _total(watched, own, copies.images)
                said = found.get(self.last)
                scores = self._said(clean[self.last], said, copies.images, cone.engine)
                probability[copies] = scores[np.arange(len(scores)), labels[copies.images]]
                label[copies] = scores.argmax(axis=1)
                if self.progress is not None:
                    self.progress(len(scores))
        return probability, label, activity

    def _projection(self, acts: Sequence[Array], best: int) -> Array | None:
        below = ancestors(self.net, self.number)
        if any(n > 0 and isinstance(self.net[n], Softmax) for n in below):
            return None
        kept = np.zeros(acts[self.number].shape, bool)
        kept[:, best] = True
        projection: Array = project(self.net, acts, self.number, kept, engine=self.engine)[0]
        return projection

    def _scores(self, maps: Array, engine: Engine) -> NDArray[np.float64]:
        """Return the probability (N, classes) of every class, from the last layer's maps."""
        ends_in_softmax = isinstance(self.net[self.last], Softmax)
        every = maps if ends_in_softmax else engine.softmax(np.ascontiguousarray(maps))
        scores: NDArray[np.float64] = every.astype(np.float64).mean(axis=(2, 3))
        return scores

    def _said(
        self, clean: Array, boxes: Boxes | None, images: Places, engine: Engine
    ) -> NDArray[np.float64]:
        """Return the probabilities of every copy, as many at a time as their whole maps allow."""
        step = max(1, ROOM // clean[0].size)
        parts = []
        for first in range(0, len(images), step):
            some = None if boxes is None else boxes[first : first + step]
            maps = whole_maps(clean, some, images[first : first + step])
            parts.append(self._scores(maps, engine))
        return np.concatenate(parts)


def _check(values: NDArray[np.float64], index: int) -> None:
    place = first_bad(values)
    if place is not None:
        raise NetworkError(
            f"the network answers image {index}, occluded at place {list(place)}, with "
            f"{values[place]}; expected smaller weights or pixels"
        )


def _total(clean: Array, boxes: Boxes | None, images: Places) -> NDArray[np.float64]:
    """Return the sum of the whole map of every copy, of the images' (N, 1, H, W)."""
    maps = whole_maps(clean, boxes, images)
    totals: NDArray[np.float64] = maps[:, 0].astype(np.float64).sum(axis=(1, 2))
    return totals

"""The forward pass of occluded copies of images, of each map only the box that has changed.

What a square reaches of a map lies in a box (`fdref.walk.reach`); everywhere else the map is that
of the clean image. To compute a box, what it sees is cut out of the map below: the clean one, with
that one's own box pasted in. Boxes of several copies are of one size, each elsewhere.

With an engine whose numbers depend on what they see alone (`fdref.engines.local`), the bits are
those of whole maps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from fdref import layers as kinds
from fdref.walk.forward import output
from fdref.walk.reach import sights

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.geometry import Margins, Pair
    from fdref.layers import Layer
    from fdref.walk.reach import Copies, Group, Places, Reach


@dataclass(frozen=True, eq=False)
class Boxes:
    """A part of a map, of several copies.

    Attributes
    ----------
    top, left : (N,) arrays of int
        Where it lies in each copy.
    values : (N, C, h, w) array
    """

    top: Places
    left: Places
    values: Array

    @property
    def size(self) -> Pair:
        """Height and width."""
        height, width = self.values.shape[2:]
        return height, width

    def __getitem__(self, some: slice) -> Boxes:
        """Return those of some copies."""
        return Boxes(self.top[some], self.left[some], self.values[some])

    def of_channels(self, channels: Places) -> Boxes:
        """Return those of one channel of each copy."""
        values = self.values[np.arange(len(channels)), channels][:, None]
        return Boxes(self.top, self.left, values)


class Cone:
    """Computes, for some images, what occluding a square changes on every map.

    Parameters
    ----------
    reach : Reach
    clean : mapping
        The clean images' maps (N, C, H, W) by number, those of further inputs included.
    filling : (N, C, H, W) array
        What the square shows, for every pixel of each image.
    engine : Engine
    """

    def __init__(
        self, reach: Reach, clean: Mapping[int, Array], filling: Array, engine: Engine
    ) -> None:
        self.reach, self.clean, self.filling, self.engine = reach, clean, filling, engine

    def run(self, group: Group, copies: Copies, wanted: Collection[int]) -> dict[int, Boxes]:
        """Return what changes of some maps, by number, in some copies.

        Without those maps that do not change.
        """
        net = self.reach.net
        last_use = {n: number for number in group.boxes if number > 0 for n in net.takes[number]}
        changed = {0: self._square(group, copies)}
        for number in sorted(group.boxes)[1:]:
            changed[number] = self._above(number, group, copies, changed)
            for n in set(net.takes[number]):
                if last_use[n] == number and n not in wanted and n in changed:
                    del changed[n]
        return {n: changed[n] for n in wanted if n in changed}

    def _square(self, group: Group, copies: Copies) -> Boxes:
        """Return the square itself; or the whole image, where that is asked for."""
        images, rows, columns = copies
        top, left = self.reach.starts[0][rows], self.reach.starts[1][columns]
        shown = windows(self.filling, images, top, left, self.reach.window)
        square = Boxes(top, left, shown)
        if group.boxes[0] == square.size:
            return square
        zero = np.zeros_like(top)
        return Boxes(zero, zero, whole_maps(self.clean[0], square, images))

    def _corners(self, number: int, group: Group, copies: Copies) -> tuple[Places, Places]:
        """Return where the boxes of a map lie: from what has changed on, within the map."""
        corners = []
        for axis, places in enumerate((copies.rows, copies.columns)):
            most = self.reach.sizes[number][axis] - group.boxes[number][axis]
            corners.append(np.minimum(self.reach.spans[number][axis].first[places], most))
        return corners[0], corners[1]

    def _above(
        self, number: int, group: Group, copies: Copies, changed: Mapping[int, Boxes]
    ) -> Boxes:
        """Compute the boxes of a layer's output."""
        net, sizes, size = self.reach.net, self.reach.sizes, group.boxes[number]
        top, left = self._corners(number, group, copies)
        layer, takes = net[number], net.takes[number]
        if size == sizes[number] and all(
            n not in changed or changed[n].size == sizes[n] for n in takes
        ):
            maps = [whole_maps(self.clean[n], changed.get(n), copies.images) for n in takes]
            return Boxes(top, left, output(layer, maps, self.engine))
        seen = [sights(layer, sizes[number][axis], axis) for axis in (0, 1)]
        first = [seen[axis].first[corner] for axis, corner in enumerate((top, left))]
        last = [seen[a].last[corner + size[a] - 1] for a, corner in enumerate((top, left))]
        high, wide = (int((last[a] - first[a]).max()) + 1 for a in (0, 1))
        regions = [
            self._region(n, copies.images, changed.get(n), first, (high, wide)) for n in takes
        ]
        if isinstance(layer, kinds.Pool) and any(layer.pad):
            return Boxes(top, left, self._pooled(layer, regions[0], first, sizes[takes[0]], size))
        values = output(borderless(layer), regions, self.engine)
        if values.shape[2:] != size:  # a layer that enlarges makes more of its region
            origins = [_origin(layer, first[axis], axis) for axis in (0, 1)]
            values = moved(values, top - origins[0], left - origins[1], size)
        return Boxes(top, left, values)

    def _region(
        self,
        number: int,
        images: Places,
        boxes: Boxes | None,
        first: Sequence[Places],
        size: Pair,
    ) -> Array:
        """Cut some rows and columns out of a map of every copy, zeros beside the map."""
        top, left = first
        if boxes is not None:
            down, right = top - boxes.top, left - boxes.left
            held = [boxes.size[a] - size[a] for a in (0, 1)]
            if all(
                (part >= 0).all() and (part <= room).all()
                for part, room in zip((down, right), held, strict=True)
            ):
                return moved(boxes.values, down, right, size)
        region = windows(self.clean[number], images, top, left, size)
        if boxes is not None:
            paste(region, boxes.values, boxes.top - top, boxes.left - left)
        return region

    def _pooled(
        self, layer: kinds.Pool, region: Array, first: Sequence[Places], below: Pair, size: Pair
    ) -> Array:
        """Pool regions that reach beyond the map, where windows are clipped; alike ones at once."""
        over = []
        for axis in (0, 1):
            after = first[axis] + region.shape[2 + axis] - below[axis]
            over += [np.maximum(-first[axis], 0), np.maximum(after, 0)]
        values = np.empty((*region.shape[:2], *size), region.dtype)
        for (top, bottom, left, right), some in _alike(*over):
            height, width = region.shape[2:]
            inner = region[some, :, top : height - bottom, left : width - right]
            pad: Margins = (top, bottom, left, right)
            values[some] = self.engine.pool(
                np.ascontiguousarray(inner), layer.window, layer.stride, pad, layer.method
            )
        return values


def whole_maps(clean: Array, boxes: Boxes | None, images: Places) -> Array:
    """Return a map of every copy: its image's clean one, of those given, with the copy's box."""
    if boxes is not None and boxes.size == clean.shape[2:]:
        return boxes.values
    maps = clean[images]
    if boxes is not None:
        paste(maps, boxes.values, boxes.top, boxes.left)
    return maps


def borderless(layer: Layer) -> Layer:
    """Return a layer without the padding or cropping of its map, which regions have already."""
    match layer:
        case kinds.Conv():
            return kinds.Conv(layer.filters, layer.bias, layer.stride, 0, layer.dilate)
        case kinds.ConvTranspose():
            # Where filters are shorter than steps, as far as the next pixel's filter would begin.
            taps = layer.filters.shape[2:]
            down, right = (max(0, layer.upsample[a] - taps[a]) for a in (0, 1))
            crop = (0, -down, 0, -right)
            return kinds.ConvTranspose(
                layer.filters, layer.bias, layer.upsample, crop, layer.groups
            )
        case kinds.Pad():
            return kinds.Pad(0)
        case _:
            return layer


def _origin(layer: Layer, first: Places, axis: int) -> Places:
    """Return the first row or column of a layer's output for a region, without cropping."""
    crop = layer.crop[2 * axis] if isinstance(layer, kinds.ConvTranspose) else 0
    origin: Places = first * layer.jump[axis].denominator - crop
    return origin


def windows(maps: Array, images: Places, top: Places, left: Places, size: Pair) -> Array:
    """Return windows of maps (N, C, H, W), zeros beside these; of which map, and where, by copy."""
    height, width = maps.shape[2:]
    edges = (
        (max(0, -int(top.min())), max(0, int(top.max()) + size[0] - height)),
        (max(0, -int(left.min())), max(0, int(left.max()) + size[1] - width)),
    )
    padded = np.pad(maps, ((0, 0), (0, 0), *edges)) if any(map(any, edges)) else maps
    every = sliding_window_view(padded, size, axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    return np.ascontiguousarray(every[images, top + edges[0][0], left + edges[1][0]])


def moved(values: Array, down: Places, right: Places, size: Pair) -> Array:
    """Return windows of a size of maps (N, C, H, W), of each map from another place on."""
    if values.shape[2:] == size:
        return values
    every = sliding_window_view(values, size, axis=(2, 3)).transpose(0, 2, 3, 1, 4, 5)
    return np.ascontiguousarray(every[np.arange(len(values)), down, right])


def paste(maps: Array, values: Array, top: Places, left: Places) -> None:
    """Put values (N, C, h, w) into maps, each somewhere else; what lies beside is left out."""
    height, width = values.shape[2:]
    for (y, x), some in _alike(top, left):
        rows = slice(max(y, 0), max(y + height, 0))
        columns = slice(max(x, 0), max(x + width, 0))
        high, wide = maps[0, 0, rows, columns].shape
        first, side = max(-y, 0), max(-x, 0)
        maps[some, :, rows, columns] = values[some, :, first : first + high, side : side + wide]


def _alike(*numbers: Places) -> Iterator[tuple[tuple[int, ...], slice | NDArray[np.intp]]]:
    """Yield each combination of numbers that there is, and which copies have it."""
    every = np.stack(numbers, axis=1)
    if (every == every[0]).all():  # nearly always: far from the border
        yield tuple(map(int, every[0])), slice(None)
        return
    found, which = np.unique(every, axis=0, return_inverse=True)
    for n, combination in enumerate(found):
        yield tuple(map(int, combination)), np.flatnonzero(which.ravel() == n)

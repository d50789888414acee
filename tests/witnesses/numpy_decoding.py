"""Sections 3.2, 9.2 and 9.3 of the specification for `numpy_scipy.py`: units on their way down.

A chain is decoded as any other network.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy_layers import LAYERS, check_filters, correlate, demand, substitute, taken
from numpy_unpool import KERNELS, unpool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kit_files import Array, Layer

    Pair = Sequence[int]


@dataclass(frozen=True)
class Seen:
    """Pictures over a map: where they begin, and by how much a neighbouring unit's are moved."""

    pictures: Array
    origin: Array
    jump: Array

    @property
    def end(self) -> Array:
        return self.origin + self.pictures.shape[2:]

    def within(self, first: Array, end: Array) -> Array:
        """Return the pictures from one place to another, 0 where they are not."""
        canvas = np.zeros((*self.pictures.shape[:2], *np.maximum(end - first, 0)))
        low, high = np.maximum(first, self.origin), np.minimum(end, self.end)
        if (low < high).all():
            here, there = (
                tuple(slice(*ends) for ends in zip(low - start, high - start, strict=True))
                for start in (first, self.origin)
            )
            canvas[:, :, *here] = self.pictures[:, :, *there]
        return canvas

    def moved(self, pictures: Array, stride: Pair, pad: Sequence[int] = (0, 0, 0, 0)) -> Seen:
        """Return other pictures, over the map below."""
        return Seen(pictures, self.origin * stride - [pad[0], pad[2]], self.jump * stride)


class Way:
    """How units of a layer go down; sizes of maps are known where that of the images is."""

    def __init__(self, network: Sequence[Layer], method: str, input_size: Pair | None) -> None:
        demand(method in {*KERNELS, "nearest", "window"}, f"no such method as {method!r}")
        self.network, self.method = network, method
        self.channels = channels_of(network)
        self.sizes = None if input_size is None else sizes_of(network, self.channels, input_size)
        self.divisors, self.fewest = self.copies()

    def start(self, chosen: Sequence[int], position: Pair) -> tuple[int, Seen]:
        """Return the number of the map over which a unit is seen first, and how it is."""
        number = len(self.network)
        layer = self.network[-1]
        if layer["type"] == "conv":
            pictures = as_pictures(layer, chosen)
            one = Seen(pictures, np.array(position), np.array([1, 1]))
            return taken(self.network, number)[0], one.moved(
                pictures, layer["stride"], layer["pad"]
            )
        count = self.channels[number]
        demand(all(0 <= k < count for k in chosen), f"channels {chosen} of {count}")
        pixels = np.eye(count)[list(chosen)][:, :, None, None]
        return number, Seen(pixels, np.array(position), np.array([1, 1]))

    def down(self, number: int, seen: Seen, turn: int, *, clips: bool) -> Seen:
        """Return what a layer hands down to the map that it takes at its turn."""
        layer, pictures = self.network[number - 1], seen.pictures
        match layer["type"]:
            case "conv":
                steps = {key: layer[key] for key in ("stride", "dilate", "groups")}
                below = substitute(pictures, layer["filters"], **steps)
                return seen.moved(below, layer["stride"], layer["pad"])
            case "pool":
                return self.through_pool(number, seen, clips=clips)
            case "convt":
                return through_convt(layer, seen)
            case "bnorm":
                return replace(
                    seen, pictures=scaled(pictures, layer["gain"] / layer["moments"][:, 1])
                )
            case "scale":
                return replace(seen, pictures=scaled(pictures, layer["factor"]))
            case "concat":
                counts = [self.channels[each] for each in taken(self.network, number)]
                first = sum(counts[:turn])
                return replace(seen, pictures=pictures[:, first : first + counts[turn]])
            case "product":
                raise ValueError("a product has no filter")
        return seen

    def through_pool(self, number: int, seen: Seen, *, clips: bool) -> Seen:
        layer, stride = self.network[number - 1], self.steps(number)
        pixels = None
        if clips and self.sizes is not None:
            below = self.sizes[taken(self.network, number)[0]]
            counts = []
            for axis in (0, 1):
                places = np.arange(seen.origin[axis], seen.end[axis])
                first = places * stride[axis] - layer["pad"][2 * axis]
                end = np.minimum(first + layer["window"][axis], below[axis])
                counts.append(end - np.maximum(first, 0))
            pixels = np.outer(*counts)
        large = unpool(
            seen.pictures, stride=stride, window=layer["window"], method=self.method, pixels=pixels
        )
        return seen.moved(large / self.divisors[number], stride, layer["pad"])

    def steps(self, number: int) -> list[int]:
        """Return how far a pool's pixels are spread: over its window, if alone."""
        layer = self.network[number - 1]
        if self.sizes is None:
            return layer["stride"]
        sizes = zip(self.sizes[number], layer["window"], layer["stride"], strict=True)
        return [int(window if size == 1 else stride) for size, window, stride in sizes]

    def copies(self) -> tuple[list[int], int]:
        """Return by how much pools divide, and the factor at the end."""
        own = [1] + [
            int(np.prod(self.steps(number))) if layer["type"] == "pool" else 1
            for number, layer in enumerate(self.network, 1)
        ]
        ways = [{1}]  # for each map the products along the ways from there to the images
        for number in range(1, len(own)):
            below = set().union(*(ways[each] for each in taken(self.network, number)))
            ways.append({own[number] * each for each in below})
        if len(ways[-1]) == 1 or self.method == "window":
            return [1] * len(own), 1
        return own, min(ways[-1])


def decode(
    network: Sequence[Layer],
    layer: int,
    filters: Sequence[int],
    unpool: str,
    position: Pair | None = None,
    input_size: Pair | None = None,
) -> dict[str, Array]:
    stages = decoded(network, layer, filters, unpool, position, input_size)
    outputs = {f"stage{number}": seen.pictures for number, seen in enumerate(stages, 1)}
    return outputs | {"origin": stages[-1].origin}


def decoded(
    network: Sequence[Layer],
    layer: int,
    filters: Sequence[int],
    method: str,
    position: Pair | None = None,
    input_size: Pair | None = None,
) -> list[Seen]:
    """Return the stages; the last has the decoded filters."""
    demand(1 <= layer <= len(network), f"no layer {layer} of {len(network)}")
    way = Way(network[:layer], method, input_size)
    if position is not None:
        demand(way.sizes is not None, "a position on maps of unknown size")
        size = way.sizes[layer]
        demand(all(0 <= at < n for at, n in zip(position, size, strict=True)), f"no {position}")
    top, seen = way.start(filters, (0, 0) if position is None else position)
    handed: list[list[Seen]] = [[] for _ in range(layer + 1)]
    handed[top].append(seen)
    stages = []
    # Along an axis where the layer has a single row, no neighbour is moved.
    moves = [0, 1] if way.sizes is None else [a for a in (0, 1) if way.sizes[layer][a] > 1]
    for number in range(top, -1, -1):
        if not handed[number]:
            continue
        size = None if position is None else way.sizes[number]
        stages.append(united(handed[number], size, moves))
        for turn, below in enumerate(taken(network, number) if number else ()):
            handed[below].append(way.down(number, stages[-1], turn, clips=position is not None))
    stages[-1] = replace(stages[-1], pictures=stages[-1].pictures * way.fewest)
    return stages


def united(handed: Sequence[Seen], size: Pair | None, moves: Sequence[int]) -> Seen:
    """Add pictures in the smallest box that holds them, or in what a map of a size has of it.

    That is at least the map's nearest row and column. `moves` are the axes along which units have
    neighbours.
    """
    jump = handed[0].jump
    alike = all((each.jump == jump)[moves].all() for each in handed)
    demand(alike, "ways down that move differently")
    first = np.min([each.origin for each in handed], axis=0)
    end = np.max([each.end for each in handed], axis=0)
    if size is not None:
        first = np.minimum(np.maximum(first, 0), np.array(size) - 1)
        end = np.maximum(np.minimum(end, size), first + 1)
    return Seen(sum(each.within(first, end) for each in handed), first, jump)


def through_convt(layer: Layer, seen: Seen) -> Seen:
    """Correlate with the filters, from the first pixel that is reached to the last."""
    filters, stride = layer["filters"], np.array(layer["upsample"])
    crop = np.array([layer["crop"][0], layer["crop"][2]])
    first = -((-(seen.origin + crop - filters.shape[2:] + 1)) // stride)  # rounded up
    last = (seen.end - 1 + crop) // stride
    first = np.minimum(first, last)  # filters may leave gaps; one of 0 remains there
    under = seen.within(first * stride - crop, last * stride - crop + filters.shape[2:])
    below = correlate(
        under, filters, stride=stride, pad=[0] * 4, dilate=[1, 1], groups=layer["groups"]
    )
    return Seen(below, first, seen.jump / stride)


def scaled(pictures: Array, factors: Array) -> Array:
    return pictures * factors[:, None, None]


def as_pictures(layer: Layer, chosen: Sequence[int]) -> Array:
    """Filters of a layer over all channels of the map below, holes and other groups 0."""
    filters, groups, dilate = layer["filters"], layer["groups"], layer["dilate"]
    channels = check_filters(filters, groups)
    demand(all(0 <= k < len(filters) for k in chosen), f"filters {chosen} of {len(filters)}")
    height, width = ((k - 1) * d + 1 for k, d in zip(filters.shape[2:], dilate, strict=True))
    pictures = np.zeros((len(chosen), channels * groups, height, width))
    for picture, k in zip(pictures, chosen, strict=True):
        first = channels * (k // (len(filters) // groups))
        picture[first : first + channels, :: dilate[0], :: dilate[1]] = filters[k]
    return pictures


def channels_of(network: Sequence[Layer]) -> list[int]:
    """Return how many channels each map has; the images' where the first weights tell."""
    channels = [input_channels(network)]
    for number, layer in enumerate(network, 1):
        below = [channels[each] for each in taken(network, number)]
        own = {"concat": sum(below)}
        if layer["type"] == "conv":
            own["conv"] = len(layer["filters"])
        elif layer["type"] == "convt":
            own["convt"] = layer["filters"].shape[1] * layer["groups"]
        channels.append(own.get(layer["type"], below[0]))
    return channels


def input_channels(network: Sequence[Layer]) -> int:
    for layer in network:
        if layer["type"] == "conv":
            return layer["filters"].shape[1] * layer["groups"]
        for weights in ("filters", "gain", "factor"):
            if weights in layer:
                return len(layer[weights])
    raise ValueError("no layer tells how many channels the images have")


def sizes_of(network: Sequence[Layer], channels: Sequence[int], size: Pair) -> list[Pair]:
    """Return the height and width of every map: those that maps of zeros have."""
    shapes = [(1, channels[0], *size)]
    for number, layer in enumerate(network, 1):
        rest = {key: v for key, v in layer.items() if key not in ("type", "inputs")}
        zeros = [np.zeros(shapes[each]) for each in taken(network, number)]
        shapes.append(LAYERS[layer["type"]](*zeros, **rest).shape)
    return [shape[2:] for shape in shapes]

"""Decoding in graphs as SPECIFICATION.md has it, with pictures as bags of single pixels."""

from __future__ import annotations

from collections import defaultdict
from math import prod

import naive
import numpy as np


def slow_stages(net, known, k):
    """The picture of one filter on each stage, and where it begins.

    `known` are the parameters of a case: layer, unpool, perhaps position and input_size.
    """
    number, position = known["layer"], tuple(known.get("position", (0, 0)))
    sizes = net.map_sizes(known["input_size"]) if "position" in known else None
    single = net.map_sizes(known["input_size"]) if "input_size" in known else None
    copies = _copies(net, number, single)
    shares = known["unpool"] != "window" and len(set(copies.values())) > 1
    handed, found = defaultdict(list), []
    start = {(k, *position): 1.0}
    if net[number].kind == "conv":
        for taken, bag in _down(net, number, start, known["unpool"], single, sizes, shares):
            handed[taken].append(bag)
    else:
        handed[number].append(start)
    for at in range(number, -1, -1):
        if at not in handed:
            continue
        bag = defaultdict(float)
        for own in handed[at]:
            for place, value in own.items():
                bag[place] += value
        if sizes is not None:
            kept = {p: v for p, v in bag.items() if _within(*p[1:], sizes[at])}
            bag = kept or _zeros(*(_nearest(bag, axis, sizes[at][axis]) for axis in (0, 1)))
        picture, origin = _picture(bag, net.channels[at])
        found.append((picture * (min(copies.values()) if shares and not at else 1), origin))
        if at:
            for taken, own in _down(net, at, bag, known["unpool"], single, sizes, shares):
                handed[taken].append(own)
    return found


def _nearest(bag, axis, size):
    """The rows or columns of a bag that are on a map, or the map's one that is nearest to them."""
    places = {place[1 + axis] for place in bag}
    on = places & set(range(size))
    return on or {0 if max(places) < 0 else size - 1}


def _zeros(rows, columns):
    return {(0, y, x): 0.0 for y in rows for x in columns}


def _reached(layer, bag, axis):
    """The rows or columns whose filters reach a bag, or the last one before it."""
    taps, step, crop = layer.filters.shape[2 + axis], layer.upsample[axis], layer.crop[2 * axis]
    places = {place[1 + axis] + crop for place in bag}
    found = {(y - u) // step for y in places for u in range(taps) if (y - u) % step == 0}
    return found or {max(places) // step}


def _copies(net, number, single):
    """By how many copies each way to the image makes of a pixel: its pools' strides."""
    ways = {}

    def go(at, way, count):
        if at == 0:
            ways[way] = count
            return
        own = prod(_window(net, at, single)[1]) if net[at].kind == "pool" else 1
        for place, taken in enumerate(net.takes[at]):
            go(taken, (*way, (at, place)), count * own)

    go(number, (), 1)
    return ways


def _picture(bag, channels):
    """Return the pixels in the smallest box that holds them, and its first place."""
    (top, left), (bottom, right) = (
        [extreme(place[axis] for place in bag) for axis in (1, 2)] for extreme in (min, max)
    )
    picture = np.zeros((channels, bottom - top + 1, right - left + 1))
    for (c, y, x), value in bag.items():
        picture[c, y - top, x - left] += value
    return picture, (top, left)


def _down(  # noqa: C901, PLR0912 - a layer is a branch
    net, number, bag, method, single, sizes, shares
):
    """Yield what each map that a layer takes is handed: every pixel by itself."""
    layer, takes = net[number], net.takes[number]
    below = [defaultdict(float) for _ in takes]
    if layer.kind == "pool" and method != "window":
        yield takes[0], _enlarged(net, number, bag, method, single, shares)
        return
    for (c, y, x), value in bag.items():
        match layer.kind:
            case "conv":
                count, own = layer.filters.shape[:2]
                first = c // (count // net.groups(number)) * own
                groups = net.channels[takes[0]] // own
                for j, u, v in np.ndindex(layer.filters.shape[1:]):
                    row = y * layer.stride[0] - layer.pad[0] + u * layer.dilate[0]
                    column = x * layer.stride[1] - layer.pad[2] + v * layer.dilate[1]
                    below[0][first + j, row, column] += value * float(layer.filters[c, j, u, v])
                    for group in range(groups):  # the whole box, as all channels have one
                        below[0][group * own + j, row, column] += 0.0
            case "convt":
                count, own = len(layer.filters) // layer.groups, layer.filters.shape[1]
                for j, u, v in np.ndindex(count, *layer.filters.shape[2:]):
                    row, column = y + layer.crop[0] - u, x + layer.crop[2] - v
                    if row % layer.upsample[0] == 0 == column % layer.upsample[1]:
                        source = c // own * count + j
                        place = source, row // layer.upsample[0], column // layer.upsample[1]
                        below[0][place] += value * float(layer.filters[source, c % own, u, v])
                    elif not below[0]:
                        below[0].update(_zeros(*(_reached(layer, bag, axis) for axis in (0, 1))))
            case "pool":
                window = _window(net, number, single)[0]
                seen = []
                for u, v in np.ndindex(window):
                    row = y * layer.stride[0] - layer.pad[0] + u
                    column = x * layer.stride[1] - layer.pad[2] + v
                    on = sizes is None or _within(row, column, sizes[takes[0]])
                    seen += [(c, row, column)] * on
                for place in seen:
                    below[0][place] += value / len(seen)
            case "sum":
                for own in below:
                    own[c, y, x] += value
            case "concat":
                ends = np.cumsum([net.channels[taken] for taken in takes])
                place = int(np.searchsorted(ends, c, side="right"))
                first = int(ends[place]) - net.channels[takes[place]]
                below[place][c - first, y, x] += value
            case "bnorm":
                below[0][c, y, x] += value * float(layer.gain[c]) / float(layer.deviation[c])
            case "scale":
                below[0][c, y, x] += value * float(layer.factor[c])
            case _:
                below[0][c, y, x] += value
    for taken, own in zip(takes, below, strict=True):
        if layer.kind == "concat":  # the whole box, as all channels of a picture have one
            for _, y, x in bag:
                own[0, y, x] += 0.0
        yield taken, own


def _within(row, column, size):
    return 0 <= row < size[0] and 0 <= column < size[1]


def _window(net, number, single):
    """A pool's window and stride; where its map is known to have one row, the window is both."""
    layer = net[number]
    alone = [single is not None and single[number][axis] == 1 for axis in (0, 1)]
    stride = [layer.window[a] if alone[a] else layer.stride[a] for a in (0, 1)]
    return layer.window, stride


def _enlarged(net, number, bag, method, single, shares):
    """Unpool a picture as a whole."""
    layer = net[number]
    window, stride = _window(net, number, single)
    picture, (top, left) = _picture(bag, net.channels[number])
    if shares:
        picture = picture / prod(stride)
    large = naive.unpool(picture[None], stride, window, method)[0]
    first = top * stride[0] - layer.pad[0], left * stride[1] - layer.pad[2]
    return {
        (c, first[0] + y, first[1] + x): float(large[c, y, x])
        for c, y, x in np.ndindex(large.shape)
    }

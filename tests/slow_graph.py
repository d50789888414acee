"""Decoding in graphs as SPECIFICATION.md has it, with pictures as bags of single pixels."""

from __future__ import annotations

from collections import defaultdict

import numpy as np


def slow_stages(net, number, k):
    """Yield the picture of one filter on each stage; pools are shared over their windows."""
    handed = defaultdict(list)
    if net[number].kind == "conv":
        for taken, bag in _down(net, number, {(k, 0, 0): 1.0}):
            handed[taken].append(bag)
    else:
        handed[number].append({(k, 0, 0): 1.0})
    for at in range(number, -1, -1):
        if at not in handed:
            continue
        bag = defaultdict(float)
        for own in handed[at]:
            for place, value in own.items():
                bag[place] += value
        yield _picture(bag, net.channels[at])
        if at:
            for taken, own in _down(net, at, bag):
                handed[taken].append(own)


def _picture(bag, channels):
    """Return the pixels in the smallest box that holds them."""
    (top, left), (bottom, right) = (
        [extreme(place[axis] for place in bag) for axis in (1, 2)] for extreme in (min, max)
    )
    picture = np.zeros((channels, bottom - top + 1, right - left + 1))
    for (c, y, x), value in bag.items():
        picture[c, y - top, x - left] += value
    return picture


def _down(net, number, bag):  # noqa: C901, PLR0912 - a layer is a branch
    """Yield what each map that a layer takes is handed: every pixel by itself."""
    layer, takes = net[number], net.takes[number]
    below = [defaultdict(float) for _ in takes]
    for (c, y, x), value in bag.items():
        match layer.kind:
            case "conv":
                count, own = layer.filters.shape[:2]
                first = c // (count // net.groups(number)) * own
                for j, u, v in np.ndindex(layer.filters.shape[1:]):
                    row = y * layer.stride[0] - layer.pad[0] + u * layer.dilate[0]
                    column = x * layer.stride[1] - layer.pad[2] + v * layer.dilate[1]
                    below[0][first + j, row, column] += value * float(layer.filters[c, j, u, v])
            case "convt":
                count, own = len(layer.filters) // layer.groups, layer.filters.shape[1]
                for j, u, v in np.ndindex(count, *layer.filters.shape[2:]):
                    row, column = y + layer.crop[0] - u, x + layer.crop[2] - v
                    if row % layer.upsample[0] == 0 == column % layer.upsample[1]:
                        source = c // own * count + j
                        place = source, row // layer.upsample[0], column // layer.upsample[1]
                        below[0][place] += value * float(layer.filters[source, c % own, u, v])
            case "pool":
                for u, v in np.ndindex(layer.window):
                    row = y * layer.stride[0] - layer.pad[0] + u
                    column = x * layer.stride[1] - layer.pad[2] + v
                    below[0][c, row, column] += value / np.prod(layer.window)
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

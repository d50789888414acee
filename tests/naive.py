"""The forward pass and decoding once more, as slowly and plainly as Python can say them.

Nothing here is shared with the library: every number comes out of a loop over single pixels.
"""

from __future__ import annotations

from itertools import product
from math import ceil, floor

import numpy as np

from fdref import Conv, Pool


def correlate(x, w, bias, stride, pad, dilate):
    (n, channels, height, width), (k, own, kh, kw) = x.shape, w.shape
    top, bottom, left, right = pad
    rows = floor((height + top + bottom - ((kh - 1) * dilate[0] + 1)) / stride[0]) + 1
    columns = floor((width + left + right - ((kw - 1) * dilate[1] + 1)) / stride[1]) + 1
    per_group = k // (channels // own)
    out = np.zeros((n, k, rows, columns))
    for b, f, y, z in np.ndindex(out.shape):
        total = 0.0 if bias is None else float(bias[f])
        for c, i, j in product(range(own), range(kh), range(kw)):
            row = y * stride[0] + i * dilate[0] - top
            column = z * stride[1] + j * dilate[1] - left
            if 0 <= row < height and 0 <= column < width:
                total += float(w[f, c, i, j]) * float(x[b, f // per_group * own + c, row, column])
        out[b, f, y, z] = total
    return out


def pool(x, window, stride, pad, method):
    (n, channels, height, width), (top, bottom, left, right) = x.shape, pad
    rows = floor((height + top + bottom - window[0]) / stride[0]) + 1
    columns = floor((width + left + right - window[1]) / stride[1]) + 1
    out = np.zeros((n, channels, rows, columns))
    for b, c, y, z in np.ndindex(out.shape):
        seen = [
            float(x[b, c, row, column])
            for row in range(y * stride[0] - top, y * stride[0] - top + window[0])
            for column in range(z * stride[1] - left, z * stride[1] - left + window[1])
            if 0 <= row < height and 0 <= column < width
        ]
        if any(np.isnan(seen)):  # which Python's max would lose, or not
            out[b, c, y, z] = np.nan
        else:
            out[b, c, y, z] = max(seen) if method == "max" else sum(seen) / len(seen)
    return out


def substitute(maps, w, stride, dilate, groups):
    (n, k, height, width), (_, own, kh, kw) = maps.shape, w.shape
    rows = (height - 1) * stride[0] + (kh - 1) * dilate[0] + 1
    columns = (width - 1) * stride[1] + (kw - 1) * dilate[1] + 1
    out = np.zeros((n, own * groups, rows, columns))
    for b, j, y, x in np.ndindex(maps.shape):
        for c, u, v in product(range(own), range(kh), range(kw)):
            channel = j // (k // groups) * own + c
            row, column = y * stride[0] + u * dilate[0], x * stride[1] + v * dilate[1]
            out[b, channel, row, column] += float(maps[b, j, y, x]) * float(w[j, c, u, v])
    return out


def weight(method, distance):
    x = abs(distance)
    if method == "bilinear":
        return max(0.0, 1 - x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def enlarge_line(line, factor, method):
    """Enlarge a sequence of n numbers to n * factor."""
    n = len(line)
    out = []
    for o in range(n * factor):
        if method == "nearest":
            out.append(line[o // factor])
            continue
        u = (o + 0.5) / factor - 0.5
        taps = range(ceil(u) - 3, floor(u) + 4)
        weights = [weight(method, u - i) for i in taps]
        seen = [(w, i) for w, i in zip(weights, taps, strict=True) if w]  # NaN times 0 is no 0
        out.append(sum(w * line[mirrored(i, n)] for w, i in seen) / sum(weights))
    return out


def mirrored(i, n):
    """-1 is 0, -2 is 1, n is n - 1, as often as it takes."""
    while not 0 <= i < n:
        i = -1 - i if i < 0 else 2 * n - 1 - i
    return i


def frame(line, stride, window, method):
    """Enlarge a line and bring it to (n - 1) * stride + window pixels, the odd pixel after."""
    big = enlarge_line(line, stride, method)
    spare = abs(window - stride)
    before, after = spare // 2, spare - spare // 2
    if window >= stride:
        return [0.0] * before + big + [0.0] * after
    return big[before : len(big) - after]


def shares(picture, stride, window):
    """Give each pixel of a window an equal share of its pixel; overlaps add."""
    (h, w), (kh, kw) = picture.shape, window
    out = np.zeros(((h - 1) * stride[0] + kh, (w - 1) * stride[1] + kw))
    for y, x in np.ndindex(h, w):
        top, left = y * stride[0], x * stride[1]
        out[top : top + kh, left : left + kw] += picture[y, x] / (kh * kw)
    return out


def unpool(maps, stride, window, method):
    if method == "window":
        each = [shares(own, stride, window) for own in maps.reshape(-1, *maps.shape[2:])]
        return np.array(each).reshape(*maps.shape[:2], *each[0].shape)
    out = []
    for picture in maps.reshape(-1, *maps.shape[2:]).astype(float):
        columns = [frame(list(column), stride[0], window[0], method) for column in picture.T]
        rows = [
            frame(list(row), stride[1], window[1], method) for row in zip(*columns, strict=True)
        ]
        out.append(rows)
    return np.array(out).reshape(*maps.shape[:2], *np.shape(out)[1:])


def decode_by_paths(net, number, k, method):
    """The paper's pseudo-code: follow every path of channels by itself, add all at the end.

    A path starts with one channel of the filter, a single picture, and at every convolution below
    goes on in each of the channels of that layer's filter.
    """
    layer = net[number]
    count, own, kh, kw = layer.filters.shape
    channel_of = k // (count // (net.channels[number - 1] // own)) * own
    size = ((kh - 1) * layer.dilate[0] + 1, (kw - 1) * layer.dilate[1] + 1)
    total = {}
    for c in range(own):
        picture = np.zeros(size)
        picture[:: layer.dilate[0], :: layer.dilate[1]] = layer.filters[k, c]
        follow(net, number - 1, channel_of + c, picture, method, total)
    size = next(iter(total.values())).shape
    return np.array([total.get(c, np.zeros(size)) for c in range(net.channels[0])])


def follow(net, number, channel, picture, method, total):
    if number == 0:
        total[channel] = total.get(channel, 0.0) + picture
        return
    layer = net[number]
    if isinstance(layer, Pool):
        picture = unpool(picture[None, None], layer.stride, layer.window, method)[0, 0]
    elif layer.kind == "bnorm":
        picture = picture * (float(layer.gain[channel]) / float(layer.deviation[channel]))
    if not isinstance(layer, Conv):
        follow(net, number - 1, channel, picture, method, total)
        return
    count, own = layer.filters.shape[:2]
    first = channel // (count // net.groups(number)) * own
    for c in range(own):
        below = place_filters(picture, layer.filters[channel, c], layer.stride, layer.dilate)
        follow(net, number - 1, first + c, below, method, total)


def place_filters(picture, weights, stride, dilate):
    """Replace every pixel by the weights times its value; where they overlap, add."""
    (h, w), (kh, kw) = picture.shape, weights.shape
    eh, ew = (kh - 1) * dilate[0] + 1, (kw - 1) * dilate[1] + 1
    out = np.zeros(((h - 1) * stride[0] + eh, (w - 1) * stride[1] + ew))
    for y, x in np.argwhere(picture):
        top, left = y * stride[0], x * stride[1]
        patch = out[top : top + eh : dilate[0], left : left + ew : dilate[1]]
        patch += picture[y, x] * weights.astype(float)
    return out


def pool_gradient(x, gradient, window, stride, pad, method):
    """Follow each window's gradient: to its first maximum, NaN before all; or to all its pixels."""
    out = np.zeros(x.shape)
    (height, width), (top, _, left, _) = x.shape[2:], pad
    for b, c, y, z in np.ndindex(gradient.shape):
        first, last = y * stride[0] - top, z * stride[1] - left
        seen = [
            (row, column)
            for row in range(max(first, 0), min(first + window[0], height))
            for column in range(max(last, 0), min(last + window[1], width))
        ]
        if method == "max":
            values = [x[b, c][place] for place in seen]
            nans = np.isnan(values).tolist()
            best = nans.index(True) if any(nans) else values.index(max(values))
            out[b, c][seen[best]] += gradient[b, c, y, z]
        else:
            for place in seen:
                out[b, c][place] += gradient[b, c, y, z] / len(seen)
    return out

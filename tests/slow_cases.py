"""The slow twins of a kit's operations that are not in naive.py: loops over single pixels."""

from __future__ import annotations

from itertools import product

import naive
import numpy as np
from slow_graph import slow_stages

from fdref.conformance.networks import network_of


def slow_relu(images, leak):
    below = (lambda v: leak * v) if leak else (lambda v: 0.0)
    values = [v if np.isnan(v) or v > 0 else below(v) for v in images.ravel().tolist()]
    return np.array(values).reshape(images.shape)


def slow_normalize(images, size, kappa, alpha, beta):
    out = np.zeros(images.shape)
    below, above = (size - 1) // 2, size - 1 - (size - 1) // 2
    for n, k, y, x in np.ndindex(images.shape):
        near = range(max(0, k - below), min(images.shape[1], k + above + 1))
        total = sum(float(images[n, q, y, x]) ** 2 for q in near)
        out[n, k, y, x] = float(images[n, k, y, x]) / (kappa + alpha * total) ** beta
    return out


def slow_bnorm(images, gain, bias, moments):
    out = np.zeros(images.shape)
    for n, k, y, x in np.ndindex(images.shape):
        mean, deviation = map(float, moments[k])
        value = (float(images[n, k, y, x]) - mean) / deviation
        out[n, k, y, x] = float(gain[k]) * value + float(bias[k])
    return out


def slow_softmax(images):
    out = np.zeros(images.shape)
    for n, y, x in product(*(range(images.shape[axis]) for axis in (0, 2, 3))):
        powers = [np.exp(float(v) - images[n, :, y, x].max()) for v in images[n, :, y, x]]
        out[n, :, y, x] = [power / sum(powers) for power in powers]
    return out


def slow_respond(images, bank, stride, offset, output):
    out = np.zeros((len(images), len(bank), *output))
    for n, k, y, x in np.ndindex(out.shape):
        for c, i, j in np.ndindex(bank.shape[1:]):
            row, column = offset[0] + stride[0] * y + i, offset[1] + stride[1] * x + j
            if 0 <= row < images.shape[2] and 0 <= column < images.shape[3]:
                out[n, k, y, x] += float(images[n, c, row, column]) * float(bank[k, c, i, j])
    return out


def slow_field(network):
    """Find what one pixel of the last map sees by walking down, row by row."""
    found = {"size": [], "stride": [], "offset": []}
    for axis in range(2):

        def rows(pixel, axis=axis):
            first = last = pixel
            for layer in reversed(network):
                step, pad = layer["stride"][axis], layer["pad"][2 * axis]
                first = first * step - pad
                last = last * step - pad + layer["window"][axis] - 1
            return first, last

        first, last = rows(0)
        found["size"].append(last - first + 1)
        found["stride"].append(rows(1)[0] - first)
        found["offset"].append(first)
    return {name: np.array(values) for name, values in found.items()}


def slow_forward(net, x):
    maps = [x.astype(float)]
    for number, layer in enumerate(net, 1):
        taken = [maps[n] for n in net.takes[number]]
        maps.append(slow_layer(layer, *taken))
    return maps[1:]


def slow_layer(layer, x, *others):  # noqa: C901, PLR0912 - a layer is a branch
    match layer.kind:
        case "conv":
            return naive.correlate(
                x, layer.filters, layer.bias, layer.stride, layer.pad, layer.dilate
            )
        case "pool":
            return naive.pool(x, layer.window, layer.stride, layer.pad, layer.method)
        case "relu":
            return slow_relu(x, layer.leak)
        case "normalize":
            return slow_normalize(x, layer.size, layer.kappa, layer.alpha, layer.beta)
        case "bnorm":
            moments = np.stack([layer.mean, layer.deviation], axis=1)
            return slow_bnorm(x, layer.gain, layer.bias, moments)
        case "softmax":
            return slow_softmax(x)
        case "convt":
            return slow_transposed(layer, x)
        case "sum":
            return sum(others, x)
        case "product":
            return x * others[0]
        case "concat":
            return np.concatenate([x, *others], axis=1)
        case "scale":
            offset = np.zeros(len(layer.factor)) if layer.offset is None else layer.offset
            scaled = [x[:, c] * float(f) + float(offset[c]) for c, f in enumerate(layer.factor)]
            return np.stack(scaled, axis=1)
        case "elementwise":  # sigmoid
            return 1 / (1 + np.exp(-x))
        case "dropout":
            return x


def slow_transposed(layer, x):
    """Put filters in, cut off, add biases; with a border of zeros, as crops may be large."""
    put = naive.substitute(x, layer.filters, layer.upsample, (1, 1), layer.groups)
    top, bottom, left, right = layer.crop
    cut = put[:, :, top : put.shape[2] - bottom, left : put.shape[3] - right]
    return cut if layer.bias is None else cut + layer.bias.astype(float)[:, None, None]


def slow_decode(net, known):
    """The decoded filters, and where they begin: by paths in a chain, else bags of pixels."""
    if net.is_chain and "input_size" not in known and not known.get("origin"):
        number, method = known["layer"], known["unpool"]
        every = [naive.decode_by_paths(net, number, k, method) for k in known["filters"]]
        size = naive.decode_by_paths(net, number, 0, method).shape  # of none, too
        return {"last": np.array(every).reshape(len(every), *size)}
    stages = [slow_stages(net, known, k) for k in known["filters"]]
    pictures = {
        f"stage{place}": np.array([picture for picture, _ in same])
        for place, same in enumerate(zip(*stages, strict=True), 1)
    }
    return {**pictures, "last": pictures[f"stage{len(pictures)}"], "origin": stages[0][-1][1]}


def slow_project(net, images, known):
    """Take each activation down by itself, number by number."""
    maps = [images.astype(float), *slow_forward(net, images)]
    pictures = []
    for n, *place in known["kept"]:
        d = np.zeros(maps[known["layer"]].shape[1:])
        d[tuple(place)] = maps[known["layer"]][(n, *place)]
        for number in range(known["layer"], 0, -1):
            d = hand_down(net[number], maps[number - 1][n], maps[number][n], d, known["rule"])
        pictures.append(d)
    return np.array(pictures)


def hand_down(layer, x, y, d, rule):
    """What one layer of a chain makes of d over its output y, over the map x that it took."""
    match layer.kind:
        case "conv":
            return conv_down(layer, x, d)
        case "pool":
            window = layer.window, layer.stride, layer.pad, layer.method
            return naive.pool_gradient(x[None], d[None], *window)[0]
        case "relu":
            below = np.zeros(x.shape)
            for place in np.ndindex(x.shape):
                up = x[place] > 0 or rule in ("deconvnet", "linear")
                down = d[place] > 0 or rule in ("gradient", "linear")
                below[place] = d[place] * (1 if up else layer.leak) * (1 if down else layer.leak)
            return below
        case "bnorm":
            each = zip(d, layer.gain.tolist(), layer.deviation.tolist(), strict=True)
            return np.array([values * gain / deviation for values, gain, deviation in each])
        case "normalize" if rule != "gradient":
            return d
        case "normalize" | "softmax":
            return derivative(layer, x, d)


def conv_down(layer, x, d):
    """Add each pixel's filter at its window, as far as that lies on the map."""
    below = np.zeros(x.shape)
    count, own = layer.filters.shape[:2]
    for k, row, column in np.argwhere(d):
        first = k // (count // (len(x) // own)) * own
        for c, i, j in np.ndindex(layer.filters.shape[1:]):
            at = row * layer.stride[0] + i * layer.dilate[0] - layer.pad[0]
            across = column * layer.stride[1] + j * layer.dilate[1] - layer.pad[2]
            if 0 <= at < x.shape[1] and 0 <= across < x.shape[2]:
                value = float(layer.filters[k, c, i, j])
                below[first + c, at, across] += d[k, row, column] * value
    return below


def derivative(layer, x, d, step=1e-4):
    """Along d, by differences: of maps that are made pixel by pixel, so that pixels are images."""

    def up(channels):
        images = channels[:, :, None, None]
        if layer.kind == "softmax":
            return slow_softmax(images)[:, :, 0, 0]
        sizes = layer.size, layer.kappa, layer.alpha, layer.beta
        return slow_normalize(images, *sizes)[:, :, 0, 0]

    below = np.zeros(x.shape)
    for row, column in np.argwhere(d.any(axis=0)):
        moved = step * np.eye(len(x))
        around = [up(x[:, row, column] + scale * moved) for scale in (-2, -1, 1, 2)]
        # Five points: off by the fourth power of the step.
        jacobian = np.tensordot([1 / 12, -8 / 12, 8 / 12, -1 / 12], around, 1) / step
        below[:, row, column] = jacobian @ d[:, row, column]
    return below


def slow_occlude(net, images, known):
    """Hide each place of each image, one after the other."""
    found = {name: [] for name in ("map", "activity", "probability", "label")}
    (height, width), (down, across) = known["size"], known["stride"]
    for image, true in zip(images.astype(float), known["labels"], strict=True):
        sums = slow_forward(net, image[None])[known["layer"] - 1][0].sum(axis=(1, 2)).tolist()
        strongest = sums.index(max(sums))
        rows = []
        for top in range(0, image.shape[1] - height + 1, down):
            row = []
            for left in range(0, image.shape[2] - width + 1, across):
                hidden = hide(image, top, left, known)
                maps = slow_forward(net, hidden[None])
                last = maps[-1] if net[len(net)].kind == "softmax" else slow_softmax(maps[-1])
                scores = last[0].mean(axis=(1, 2)).tolist()
                activity = maps[known["layer"] - 1][0, strongest].sum()
                row.append((activity, scores[true], scores.index(max(scores))))
            rows.append(row)
        found["map"].append(strongest)
        for name, values in zip(list(found)[1:], np.moveaxis(np.array(rows), -1, 0), strict=True):
            found[name].append(values)
    return {name: np.array(values) for name, values in found.items()}


def hide(image, top, left, known):
    """Put the square over a part of an image, pixel by pixel."""
    hidden, (height, width) = image.copy(), image.shape[1:]
    for c, y, x in np.ndindex(image.shape):
        if top <= y < top + known["size"][0] and left <= x < left + known["size"][1]:
            if known["value"] == "background":
                around = [
                    image[c, i, j]
                    for i, j in np.ndindex(height, width)
                    if i in (0, height - 1) or j in (0, width - 1)
                ]
                around.sort()
                half = len(around) // 2
                hidden[c, y, x] = (around[half] + around[~half]) / 2
            else:
                hidden[c, y, x] = known["value"][c]
    return hidden


def slow_evaluate(net, images, known):
    response = slow_forward(net, images)[known["layer"] - 1]
    found = slow_decode(net, {**known, "filters": range(response.shape[1])})
    if net.is_chain:
        windows = [
            {"window": layer.window, "stride": layer.stride, "pad": layer.pad}
            for layer in net.layers[: known["layer"]]
            if layer.kind in ("conv", "pool")
        ]
        field = slow_field(windows)
    else:
        field = {"stride": strides_down(net, known["layer"]), "offset": found["origin"]}
    predicted = slow_respond(
        images, found["last"], field["stride"], field["offset"], response.shape[2:]
    )
    errors, correlations = [], []
    for pair in zip(response, predicted, strict=True):
        if any(values.min() == values.max() for values in pair):
            errors.append(np.nan)
            correlations.append(np.nan)
            continue
        r, q = ((values - values.min()) / (values.max() - values.min()) for values in pair)
        errors.append(((r - q) ** 2).mean())
        correlations.append(np.corrcoef(pair[0].ravel(), pair[1].ravel())[0, 1])
    compared = [error for error in errors if not np.isnan(error)]
    mean = sum(compared) / len(compared) if compared else np.nan
    squares = [(error - mean) ** 2 for error in compared]
    return {
        "response": response,
        "predicted": predicted,
        "errors": np.array(errors),
        "correlations": np.array(correlations),
        "mean": mean,
        "std": np.sqrt(sum(squares) / len(squares)) if squares else np.nan,
    }


def strides_down(net, number):
    """The product of the strides along one way to the image."""
    down, across = 1, 1
    while number:
        if net[number].kind in ("conv", "pool"):
            down, across = down * net[number].stride[0], across * net[number].stride[1]
        number = net.takes[number][0]
    return down, across


def slow(case):  # noqa: C901, PLR0912 - an operation is a branch
    """What a case's outputs are, by loops that share nothing with the library."""
    inputs, known = case.inputs, case.parameters
    match case.operation:
        case "correlate":
            sizes = [known[name] for name in ("stride", "pad", "dilate")]
            result = naive.correlate(
                inputs["images"], inputs["filters"], inputs.get("bias"), *sizes
            )
        case "pool":
            result = naive.pool(inputs["images"], **known)
        case "substitute":
            result = naive.substitute(inputs["maps"], inputs["filters"], **known)
        case "unpool":
            result = naive.unpool(inputs["maps"], **known)
        case "relu":
            result = slow_relu(inputs["images"], **known)
        case "normalize":
            result = slow_normalize(inputs["images"], **known)
        case "bnorm":
            result = slow_bnorm(**inputs)
        case "respond":
            result = slow_respond(**inputs, **known)
        case "receptive_field":
            return slow_field(known["network"])
        case "forward":
            maps = slow_forward(network_of(known, inputs, None), inputs["images"])
            found = {f"layer{number}": values for number, values in enumerate(maps, 1)}
            return {name: found[name] for name in case.expected}
        case "decode":
            found = slow_decode(network_of(known, inputs, None), known)
            last = [name for name in case.expected if name != "origin"][-1]
            return {last: found["last"]} | {
                name: values for name, values in found.items() if name in case.expected
            }
        case "project":
            result = slow_project(network_of(known, inputs, None), inputs["images"], known)
        case "occlude":
            return slow_occlude(network_of(known, inputs, None), inputs["images"], known)
        case "evaluate":
            return slow_evaluate(network_of(known, inputs, None), inputs["images"], known)
    return {next(iter(case.expected)): result}

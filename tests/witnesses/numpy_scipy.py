"""All operations with NumPy and SciPy, written from the kit's SPECIFICATION.md alone.

Everything is computed in float64 and rounded once, to the type of the inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from kit_files import answer
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage, signal, special

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kit_files import Array, Layer
    from numpy.typing import DTypeLike

    Pair = Sequence[int]


# Section 2: the forward pass.


def correlate(
    images: Array,
    filters: Array,
    bias: Array | None = None,
    *,
    stride: Pair,
    pad: Sequence[int],
    dilate: Pair,
    groups: int,
) -> Array:
    channels = check_filters(filters, groups, biases=bias)
    demand(images.shape[1] == channels * groups, f"{images.shape[1]} channels, not {channels}")
    padded = with_border(images, pad, 0)
    span = [(k - 1) * d + 1 for k, d in zip(filters.shape[2:], dilate, strict=True)]
    # scipy.signal would swap map and filter where the filter is the larger one.
    height, width = (size - s + 1 for size, s in zip(padded.shape[2:], span, strict=True))
    demand(min(height, width) > 0, f"the filter {span} is larger than the map {padded.shape[2:]}")
    dense = np.empty((len(images), len(filters), height, width))
    for n, image in enumerate(padded):
        for k, weights in enumerate(filters):
            first = channels * (k // (len(filters) // groups))
            volume = image[first : first + channels]
            # Every dilate-th pixel, from each start: within those the filter is not dilated.
            for top, left in np.ndindex(min(dilate[0], height), min(dilate[1], width)):
                comb = np.s_[top :: dilate[0], left :: dilate[1]]
                part = volume[:, *comb]
                dense[n, k][comb] = signal.correlate(part, weights, "valid", "direct")[0]
    response = dense[:, :, :: stride[0], :: stride[1]]
    return response if bias is None else response + bias[:, None, None]


def pool(images: Array, *, window: Pair, stride: Pair, pad: Sequence[int], method: str) -> Array:
    demand(method in {"max", "avg"}, f"no such method as {method!r}")
    demand(pad[0] < window[0] and pad[1] < window[0], f"{pad} hides the whole window {window}")
    demand(pad[2] < window[1] and pad[3] < window[1], f"{pad} hides the whole window {window}")

    def windows(maps: Array, outside: float) -> Array:
        padded = with_border(maps, pad, outside)
        views = sliding_window_view(padded, tuple(window), axis=(2, 3))
        return views[:, :, :: stride[0], :: stride[1]]

    if method == "max":
        return windows(images, -np.inf).max(axis=(4, 5))
    pixels = windows(np.ones_like(images), 0).sum(axis=(4, 5))
    return windows(images, 0).sum(axis=(4, 5)) / pixels


def relu(images: Array, *, leak: float) -> Array:
    below = leak * images if leak else np.where(np.isnan(images), images, 0)  # no 0 * -inf
    return np.where(images > 0, images, below)


def normalize(images: Array, *, size: int, kappa: float, alpha: float, beta: float) -> Array:
    # correlate1d puts the middle of an even window at size/2; here it is one less.
    origin = (size - 1) // 2 - size // 2
    sums = ndimage.correlate1d(images**2, np.ones(size), 1, mode="constant", origin=origin)
    return images / (kappa + alpha * sums) ** beta


def bnorm(images: Array, gain: Array, bias: Array, moments: Array) -> Array:
    channels = images.shape[1]
    demand(
        gain.shape == bias.shape == (channels,) and moments.shape == (channels, 2),
        f"{gain.shape}, {bias.shape} and {moments.shape} for {channels} channels",
    )
    mean, deviation = moments.T[:, :, None, None]
    return gain[:, None, None] * (images - mean) / deviation + bias[:, None, None]


def layer_output(layer: Layer, maps: Array) -> Array:
    kind, rest = layer["type"], {key: v for key, v in layer.items() if key != "type"}
    if kind == "softmax":
        return special.softmax(maps, axis=1)
    known = {"conv": correlate, "pool": pool, "relu": relu, "normalize": normalize, "bnorm": bnorm}
    return known[kind](maps, **rest)


def forward(images: Array, network: Sequence[Layer]) -> dict[str, Array]:
    outputs = {}
    for number, layer in enumerate(network, 1):
        images = layer_output(layer, images)
        outputs[f"layer{number}"] = images
    return outputs


# Sections 3 and 4: decoding and projecting.


def substitute(maps: Array, filters: Array, *, stride: Pair, dilate: Pair, groups: int) -> Array:
    channels = check_filters(filters, groups)
    demand(maps.shape[1] == len(filters), f"{maps.shape[1]} maps for {len(filters)} filters")
    count, _, *size = maps.shape
    down, right = ((n - 1) * s + 1 for n, s in zip(size, stride, strict=True))
    bottom, end = ((k - 1) * d for k, d in zip(filters.shape[2:], dilate, strict=True))
    pictures = np.zeros((count, groups, channels, down + bottom, right + end))
    maps = maps.reshape(count, groups, -1, *size)
    weights = filters.reshape(groups, -1, channels, *filters.shape[2:])
    for u, v in np.ndindex(filters.shape[2:]):
        y, x = u * dilate[0], v * dilate[1]
        hit = np.s_[..., y : y + down : stride[0], x : x + right : stride[1]]
        pictures[hit] += np.einsum("ngjyx,gjc->ngcyx", maps, weights[..., u, v])
    return pictures.reshape(count, groups * channels, *pictures.shape[3:])


def decode(
    network: Sequence[Layer], layer: int, filters: Sequence[int], unpool: str
) -> dict[str, Array]:
    demand(1 <= layer <= len(network), f"no layer {layer} of {len(network)}")
    picture = as_pictures(network[layer - 1], filters)
    stages = {"stage1": picture}
    for below in network[layer - 2 :: -1] if layer > 1 else []:
        if below["type"] == "conv":
            steps = {key: below[key] for key in ("stride", "dilate", "groups")}
            picture = substitute(picture, below["filters"], **steps)
        elif below["type"] == "pool":
            picture = enlarged(picture, below["stride"], below["window"], unpool)
        elif below["type"] == "bnorm":
            picture = picture * (below["gain"] / below["moments"][:, 1])[:, None, None]
        stages[f"stage{len(stages) + 1}"] = picture
    return stages


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


def unpool(maps: Array, *, stride: Pair, window: Pair, method: str) -> Array:
    return enlarged(maps, stride, window, method)


def enlarged(maps: Array, stride: Pair, window: Pair, method: str) -> Array:
    demand(min(stride) > 0, f"a stride of {stride}")
    if method == "window":
        return shared(maps, stride, window)
    for axis in (2, 3):
        factor = stride[axis - 2]
        maps = np.moveaxis(stretched(maps, axis, factor, method), axis, -1)
        extra = window[axis - 2] - factor  # cropped where it is negative
        before, after = abs(extra) // 2, abs(extra) - abs(extra) // 2
        if extra < 0:
            maps = maps[..., before : maps.shape[-1] - after]
        else:
            maps = np.pad(maps, [(0, 0)] * 3 + [(before, after)])
        maps = np.moveaxis(maps, -1, axis)
    return maps


def shared(maps: Array, stride: Pair, window: Pair) -> Array:
    """Every pixel's share on all of its window's pixels; a convolution adds where they overlap."""
    rows, columns = (np.arange(n) * s for n, s in zip(maps.shape[2:], stride, strict=True))
    apart = np.zeros((*maps.shape[:2], rows[-1] + 1, columns[-1] + 1))
    apart[:, :, rows[:, None], columns] = maps / (window[0] * window[1])
    return signal.convolve(apart, np.ones((1, 1, *window)), "full", "direct")


def stretched(maps: Array, axis: int, factor: int, method: str) -> Array:
    """One axis enlarged as imresize does: every factor-th output has the same weights."""
    demand(method in KERNELS or method == "nearest", f"no such method as {method!r}")
    if method == "nearest":
        return np.repeat(maps, factor, axis)
    phases = []
    for phase in range(factor):
        u = (phase + 0.5) / factor - 0.5
        near = np.arange(-2, 3)
        weights = KERNELS[method](np.abs(u - near))
        used = near[weights != 0]  # a weight of 0 would spread NaN
        weights = weights[used[0] + 2 : used[-1] + 3]
        origin = -used[0] - len(weights) // 2
        # "reflect" is SciPy's name for the mirror that repeats the border pixel.
        phases.append(ndimage.correlate1d(maps, weights, axis, mode="reflect", origin=origin))
    shape = list(maps.shape)
    shape[axis] *= factor
    return np.stack(phases, axis + 1).reshape(shape)


def bilinear(t: Array) -> Array:
    return np.maximum(1 - t, 0)


def bicubic(t: Array) -> Array:
    inner = 1.5 * t**3 - 2.5 * t**2 + 1
    outer = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return np.where(t <= 1, inner, np.where(t <= 2, outer, 0))


KERNELS: dict[str, Callable[[Array], Array]] = {"bilinear": bilinear, "bicubic": bicubic}


def project(
    images: Array,
    network: Sequence[Layer],
    layer: int,
    kept: Sequence[Sequence[int]],
    rule: str,
) -> Array:
    demand(rule in {"gradient", "deconvnet", "guided", "linear"}, f"no such rule as {rule!r}")
    maps = [images, *forward(images, network[:layer]).values()]
    pictures = []
    for image, *unit in kept:
        own = [every[image] for every in maps]
        demand(all(0 <= at < n for at, n in zip(unit, own[-1].shape, strict=True)), f"no {unit}")
        d = np.zeros_like(own[-1])
        d[tuple(unit)] = own[-1][tuple(unit)]
        for number in range(layer, 0, -1):
            below, x, y = network[number - 1], own[number - 1], own[number]
            d = HANDED_DOWN[below["type"]](below, x, y, d, rule)
        pictures.append(d)
    return np.array(pictures)


def through_conv(layer: Layer, x: Array, y: Array, d: Array, rule: str) -> Array:
    steps = {key: layer[key] for key in ("stride", "dilate", "groups")}
    picture = substitute(d[None], layer["filters"], **steps)[0]
    top, bottom, left, right = layer["pad"]
    # What no filter reaches is 0; what lies in the padding falls away.
    canvas = np.zeros((len(x), x.shape[1] + top + bottom, x.shape[2] + left + right))
    canvas[:, : picture.shape[1], : picture.shape[2]] = picture
    return canvas[:, top : top + x.shape[1], left : left + x.shape[2]]


def through_pool(layer: Layer, x: Array, y: Array, d: Array, rule: str) -> Array:
    below, (top, _, left, _) = np.zeros_like(x), layer["pad"]
    for row, column in np.ndindex(d.shape[1:]):
        first = row * layer["stride"][0] - top, column * layer["stride"][1] - left
        ends = (a + n for a, n in zip(first, layer["window"], strict=True))
        seen = (slice(None), *(slice(max(a, 0), b) for a, b in zip(first, ends, strict=True)))
        if layer["method"] == "avg":
            below[seen] += d[:, row, column, None, None] / x[0][seen[1:]].size
            continue
        for own, value, picture in zip(x[seen], d[:, row, column], below[seen], strict=True):
            picture[np.unravel_index(own.argmax(), own.shape)] += value  # the first by rows
    return below


def through_relu(layer: Layer, x: Array, y: Array, d: Array, rule: str) -> Array:
    up = np.where(x > 0, 1, layer["leak"])
    down = np.where(d > 0, 1, layer["leak"])
    return d * {"gradient": up, "deconvnet": down, "guided": up * down, "linear": 1}[rule]


def through_bnorm(layer: Layer, x: Array, y: Array, d: Array, rule: str) -> Array:
    return d * (layer["gain"] / layer["moments"][:, 1])[:, None, None]


def through_normalize(layer: Layer, x: Array, y: Array, d: Array, rule: str) -> Array:
    if rule != "gradient":
        return d
    size, kappa, alpha, beta = (layer[key] for key in ("size", "kappa", "alpha", "beta"))
    channels = np.arange(len(x))
    apart = channels - channels[:, None]  # channel q, the column, from channel k, the row
    near = (-((size - 1) // 2) <= apart) & (apart <= size // 2)
    s = kappa + alpha * np.einsum("kq,qyx->kyx", near, x**2)
    shared = np.einsum("kq,kyx->qyx", near, d * x / s ** (beta + 1))
    return d / s**beta - 2 * alpha * beta * x * shared


def through_softmax(layer: Layer, x: Array, y: Array, d: Array, rule: str) -> Array:
    demand(rule == "gradient", f"{rule} does not begin at a softmax")
    return y * (d - (d * y).sum(axis=0))


HANDED_DOWN: dict[str, Callable[..., Array]] = {
    "conv": through_conv,
    "pool": through_pool,
    "relu": through_relu,
    "bnorm": through_bnorm,
    "normalize": through_normalize,
    "softmax": through_softmax,
}


# Sections 5, 6 and 10: what a decoded filter answers, and what a hidden part does.


def receptive_field(network: Sequence[Mapping[str, Any]]) -> dict[str, Array]:
    size, jump, offset = np.ones((2,), int), np.ones((2,), int), np.zeros((2,), int)
    for layer in network:
        size = size + (np.array(layer["window"]) - 1) * jump
        offset = offset - np.array(layer["pad"])[[0, 2]] * jump
        jump = jump * layer["stride"]
    return {"size": size, "stride": jump, "offset": offset}


def respond(images: Array, bank: Array, *, stride: Pair, offset: Pair, output: Pair) -> Array:
    demand(images.shape[1] == bank.shape[1], f"{images.shape[1]} channels, not {bank.shape[1]}")
    size = [(n - 1) * s + r for n, s, r in zip(output, stride, bank.shape[2:], strict=True)]
    canvas = np.zeros((*images.shape[:2], *size))
    seen = [np.arange(o, o + n) for o, n in zip(offset, size, strict=True)]
    real = [(at >= 0) & (at < n) for at, n in zip(seen, images.shape[2:], strict=True)]
    inside = np.ix_(seen[0][real[0]], seen[1][real[1]])
    canvas[:, :, *np.ix_(*real)] = images[:, :, *inside]
    return correlate(canvas, bank, stride=stride, pad=[0] * 4, dilate=[1, 1], groups=1)


def evaluate(images: Array, network: Sequence[Layer], layer: int, unpool: str) -> dict[str, Array]:
    bank = list(decode(network, layer, range(len(network[layer - 1]["filters"])), unpool).values())
    response = forward(images, network[:layer])[f"layer{layer}"]
    field = receptive_field([seen for below in network[:layer] for seen in windows_of(below)])
    steps = {key: field[key].tolist() for key in ("stride", "offset")}
    predicted = respond(images, bank[-1], **steps, output=response.shape[2:])
    both = [array.reshape(len(images), -1) for array in (response, predicted)]
    errors = ((unit(both[0]) - unit(both[1])) ** 2).mean(axis=1)
    return {
        "response": response,
        "predicted": predicted,
        "errors": errors,
        "correlations": np.array([np.corrcoef(r, q)[0, 1] for r, q in zip(*both, strict=True)]),
        "mean": np.nanmean(errors),
        "std": np.nanstd(errors),
    }


def occlude(
    images: Array,
    network: Sequence[Layer],
    size: Pair,
    stride: Pair,
    value: Sequence[float] | str,
    layer: int,
    labels: Sequence[int],
) -> dict[str, Array]:
    found: dict[str, list[Any]] = {"map": [], "activity": [], "probability": [], "label": []}
    for image, label in zip(images, labels, strict=True):
        axes = zip(image.shape[1:], size, stride, strict=True)
        starts = [range(0, pixels - own + 1, step) for pixels, own, step in axes]
        demand(all(starts), f"a square of {size} on {image.shape[1:]} pixels")
        copies = np.repeat(image[None], len(starts[0]) * len(starts[1]), axis=0)
        for copy, (i, j) in zip(copies, np.ndindex(*map(len, starts)), strict=True):
            top, left = starts[0][i], starts[1][j]
            copy[:, top : top + size[0], left : left + size[1]] = square(image, value)
        clean = forward(image[None], network[:layer])[f"layer{layer}"]
        strongest = clean[0].sum(axis=(1, 2)).argmax()
        maps = forward(copies, network)
        last = maps[f"layer{len(network)}"]
        every = last if network[-1]["type"] == "softmax" else special.softmax(last, axis=1)
        scores = every.mean(axis=(2, 3))
        demand(0 <= label < scores.shape[1], f"no class {label}")
        places = tuple(map(len, starts))
        found["map"].append(strongest)
        activity = maps[f"layer{layer}"][:, strongest].sum(axis=(1, 2))
        found["activity"].append(activity.reshape(places))
        found["probability"].append(scores[:, label].reshape(places))
        found["label"].append(scores.argmax(axis=1).reshape(places))
    return {name: np.array(values) for name, values in found.items()}


def square(image: Array, value: Sequence[float] | str) -> Array:
    """What it shows, for each channel."""
    if value != "background":
        return np.array(value, float)[:, None, None]
    around = [image[:, 0], image[:, -1], image[:, 1:-1, 0], image[:, 1:-1, -1]]
    return np.median(np.concatenate(around, axis=1), axis=1)[:, None, None]


def windows_of(layer: Layer) -> list[dict[str, Any]]:
    """What a layer looks at, for the receptive field; nothing where it stays at its pixel."""
    if layer["type"] == "pool":
        return [layer]
    if layer["type"] == "conv":
        dilated = zip(layer["filters"].shape[2:], layer["dilate"], strict=True)
        return [layer | {"window": [(k - 1) * d + 1 for k, d in dilated]}]
    return []


def unit(rows: Array) -> Array:
    """Each row on [0, 1]."""
    low, high = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    return (rows - low) / np.where(high > low, high - low, np.nan)


# What all share.


def check_filters(filters: Array, groups: int, biases: Array | None = None) -> int:
    """Return the channels of a filter."""
    count, channels = filters.shape[:2]
    demand(groups > 0 and count % groups == 0, f"{count} filters in {groups} groups")
    demand(biases is None or biases.shape == (count,), f"{count} filters, other biases")
    return channels


def with_border(maps: Array, pad: Sequence[int], value: float) -> Array:
    top, bottom, left, right = pad
    return np.pad(maps, [(0, 0), (0, 0), (top, bottom), (left, right)], constant_values=value)


def demand(fits: object, otherwise: str) -> None:
    if not fits:
        raise ValueError(otherwise)


def in_float64(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Give an operation its arrays as float64, and round what it returns to the inputs' type."""

    def run(**given: Any) -> Any:
        given = {key: widened(value) for key, value in given.items()}
        found = operation(**{key: value for key, (value, _) in given.items()})
        [*types] = {kind for _, kind in given.values() if kind is not None}
        if not types or operation is receptive_field:
            return found
        rounded = np.result_type(*types)
        if isinstance(found, dict):
            return {name: np.asarray(array, rounded) for name, array in found.items()}
        return np.asarray(found, rounded)

    return run


def widened(value: Any) -> tuple[Any, DTypeLike | None]:
    """Return arrays, also those of a network's layers, as float64, and the type that they had."""
    if isinstance(value, np.ndarray):
        return value.astype(np.float64), value.dtype
    if isinstance(value, list) and value and isinstance(value[0], dict):
        pairs = [{key: widened(v) for key, v in layer.items()} for layer in value]
        kinds = [kind for layer in pairs for _, kind in layer.values() if kind is not None]
        layers = [{key: v for key, (v, _) in layer.items()} for layer in pairs]
        return layers, np.result_type(*kinds) if kinds else None
    return value, None


OPERATIONS = (
    correlate, pool, relu, normalize, bnorm, forward,
    substitute, decode, project, unpool, receptive_field, respond, evaluate,
    occlude,
)  # fmt: skip

if __name__ == "__main__":
    answer({each.__name__: in_float64(each) for each in OPERATIONS}, refusals=(ValueError,))

"""All operations with NumPy and SciPy, written from the kit's SPECIFICATION.md alone.

Layers, unpooling and decoding are in the files beside it that begin with `numpy_`. Everything is
computed in float64 and rounded once, to the type of the inputs.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import numpy as np
from kit_files import answer
from numpy_decoding import decode, decoded
from numpy_layers import bnorm, correlate, demand, maps_of, normalize, pool, relu, substitute
from numpy_unpool import unpool
from scipy import special

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from kit_files import Array, Layer
    from numpy.typing import DTypeLike

    Pair = Sequence[int]


def forward(images: Array, network: Sequence[Layer]) -> dict[str, Array]:
    return {f"layer{number}": maps for number, maps in enumerate(maps_of(images, network))}


# Section 3.3: projecting.


def project(
    images: Array,
    network: Sequence[Layer],
    layer: int,
    kept: Sequence[Sequence[int]],
    rule: str,
) -> Array:
    demand(rule in {"gradient", "deconvnet", "guided", "linear"}, f"no such rule as {rule!r}")
    demand(1 <= layer <= len(network), f"no layer {layer} of {len(network)}")
    demand(all(0 <= unit[0] < len(images) for unit in kept), f"{kept} of {len(images)} images")
    maps = maps_of(images, network[:layer])
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
    demand(1 <= layer <= len(network), f"no layer {layer} of {len(network)}")
    response = maps_of(images, network[:layer])[-1]
    bank = decoded(network, layer, range(response.shape[1]), unpool)[-1]
    steps = {"stride": bank.jump.astype(int), "offset": bank.origin}
    predicted = respond(images, bank.pictures, **steps, output=response.shape[2:])
    both = [array.reshape(len(images), -1) for array in (response, predicted)]
    errors = ((unit(both[0]) - unit(both[1])) ** 2).mean(axis=1)
    correlations = [correlation(r, q) for r, q in zip(*both, strict=True)]
    known = errors[~np.isnan(errors)]
    return {
        "response": response,
        "predicted": predicted,
        "errors": errors,
        "correlations": np.array(correlations),
        "mean": known.mean() if known.size else np.nan,
        "std": known.std() if known.size else np.nan,
    }


def correlation(r: Array, q: Array) -> float:
    if np.ptp(r) == 0 or np.ptp(q) == 0:
        return np.nan
    return np.corrcoef(r, q)[0, 1]


def occlude(
    images: Array,
    network: Sequence[Layer],
    size: Pair,
    stride: Pair,
    value: Sequence[float] | str,
    layer: int,
    labels: Sequence[int],
) -> dict[str, Array]:
    demand(1 <= layer <= len(network), f"no layer {layer} of {len(network)}")
    found: dict[str, list[Any]] = {"map": [], "activity": [], "probability": [], "label": []}
    demand(min(size) > 0, f"a square of {size}")
    for image, label in zip(images, labels, strict=True):
        axes = zip(image.shape[1:], size, stride, strict=True)
        starts = [range(0, pixels - own + 1, step) for pixels, own, step in axes]
        demand(all(starts), f"a square of {size} on {image.shape[1:]} pixels")
        copies = np.repeat(image[None], len(starts[0]) * len(starts[1]), axis=0)
        for copy, (i, j) in zip(copies, np.ndindex(*map(len, starts)), strict=True):
            top, left = starts[0][i], starts[1][j]
            copy[:, top : top + size[0], left : left + size[1]] = square(image, value)
        clean = maps_of(image[None], network[:layer])[-1]
        strongest = clean[0].sum(axis=(1, 2)).argmax()
        maps = maps_of(copies, network)
        last = maps[-1]
        every = last if network[-1]["type"] == "softmax" else special.softmax(last, axis=1)
        scores = every.mean(axis=(2, 3))
        demand(0 <= label < scores.shape[1], f"no class {label}")
        places = tuple(map(len, starts))
        found["map"].append(strongest)
        activity = maps[layer][:, strongest].sum(axis=(1, 2))
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


def unit(rows: Array) -> Array:
    """Each row on [0, 1]."""
    low, high = rows.min(axis=1, keepdims=True), rows.max(axis=1, keepdims=True)
    return (rows - low) / np.where(high > low, high - low, np.nan)


def in_float64(operation: Callable[..., Any]) -> Callable[..., Any]:
    """Give an operation its arrays as float64, and round what it returns to the inputs' type."""

    @wraps(operation)
    def run(**given: Any) -> Any:
        given = {key: widened(value) for key, value in given.items()}
        with np.errstate(invalid="ignore"):  # infinities less infinities, in some cases
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

"""Sections 2, 3.1 and 9.1 of the specification for `numpy_scipy.py`: layers and networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import ndimage, signal, special

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from kit_files import Array, Layer

    Pair = Sequence[int]


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


def substitute(maps: Array, filters: Array, *, stride: Pair, dilate: Pair, groups: int) -> Array:
    channels = check_filters(filters, groups)
    demand(maps.shape[1] == len(filters), f"{maps.shape[1]} maps for {len(filters)} filters")
    count, _, *size = maps.shape
    down, right = ((n - 1) * s + 1 for n, s in zip(size, stride, strict=True))
    bottom, end = ((k - 1) * d for k, d in zip(filters.shape[2:], dilate, strict=True))
    pictures = np.zeros((count, groups, channels, down + bottom, right + end))
    maps = maps.reshape(count, groups, len(filters) // groups, *size)
    weights = filters.reshape(groups, -1, channels, *filters.shape[2:])
    for u, v in np.ndindex(filters.shape[2:]):
        y, x = u * dilate[0], v * dilate[1]
        hit = np.s_[..., y : y + down : stride[0], x : x + right : stride[1]]
        pictures[hit] += np.einsum("ngjyx,gjc->ngcyx", maps, weights[..., u, v])
    return pictures.reshape(count, groups * channels, *pictures.shape[3:])


def convt(
    images: Array,
    filters: Array,
    bias: Array | None = None,
    *,
    upsample: Pair,
    crop: Sequence[int],
    groups: int,
) -> Array:
    large = substitute(images, filters, stride=upsample, dilate=[1, 1], groups=groups)
    top, bottom, left, right = crop
    response = large[:, :, top : large.shape[2] - bottom, left : large.shape[3] - right]
    return response if bias is None else response + bias[:, None, None]


def scale(images: Array, factor: Array, offset: Array | None = None) -> Array:
    demand(factor.shape == images.shape[1:2], f"{factor.shape} for maps of {images.shape}")
    demand(offset is None or offset.shape == factor.shape, f"{factor.shape}, other offsets")
    scaled = factor[:, None, None] * images
    return scaled if offset is None else scaled + offset[:, None, None]


def concat(*maps: Array) -> Array:
    return np.concatenate(maps, axis=1)  # it raises ValueError where sizes differ


def product(*maps: Array) -> Array:
    demand(len(maps) == 2, f"a product of {len(maps)} maps")
    return np.stack(maps).prod(axis=0)


LAYERS: dict[str, Callable[..., Array]] = {
    "conv": correlate,
    "pool": pool,
    "relu": relu,
    "normalize": normalize,
    "bnorm": bnorm,
    "softmax": lambda maps: special.softmax(maps, axis=1),
    "convt": convt,
    "scale": scale,
    "sum": lambda *maps: np.stack(maps).sum(axis=0),  # stack takes maps of one shape
    "concat": concat,
    "product": product,
    "sigmoid": special.expit,
    "dropout": lambda maps: maps,
}


def taken(network: Sequence[Layer], number: int) -> list[int]:
    """Return the numbers of the maps that a layer takes."""
    maps = network[number - 1].get("inputs", [number - 1])
    demand(all(0 <= each < number for each in maps), f"layer {number} takes {maps}")
    return maps


def maps_of(images: Array, network: Sequence[Layer]) -> list[Array]:
    """Return the images, then what each layer gives."""
    maps = [images]
    for number, layer in enumerate(network, 1):
        rest = {key: v for key, v in layer.items() if key not in ("type", "inputs")}
        maps.append(LAYERS[layer["type"]](*(maps[each] for each in taken(network, number)), **rest))
    return maps


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

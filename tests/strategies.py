"""Random networks and arrays for property tests."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import strategies as st

from fdref import (
    BatchNorm,
    Conv,
    Dropout,
    Layer,
    Network,
    NetworkError,
    Normalize,
    Pool,
    ReLU,
    Softmax,
)

seeds = st.integers(0, 2**32 - 1)
methods = st.sampled_from(["bicubic", "nearest", "bilinear", "window"])
dtypes = st.sampled_from([np.float32, np.float64])


def pairs(least: int, most: int) -> st.SearchStrategy[tuple[int, int]]:
    return st.tuples(st.integers(least, most), st.integers(least, most))


@st.composite
def convs(draw, channels: int, dtype, *, integers: bool = False, linear: bool = False) -> Conv:
    """A convolution over maps of so many channels: any shape, stride, padding, dilation, groups."""
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))
    shape = (groups * draw(st.integers(1, 2)), channels // groups, *draw(pairs(1, 3)))
    random = np.random.default_rng(draw(seeds))
    filters = random.integers(-3, 4, shape) if integers else random.standard_normal(shape)
    bias = None if linear or draw(st.booleans()) else random.standard_normal(shape[0])
    pad = 0 if linear else draw(st.tuples(*[st.integers(0, 2)] * 4))
    return Conv(
        filters.astype(dtype),
        None if bias is None else bias.astype(dtype),
        stride=draw(pairs(1, 2)),
        pad=pad,
        dilate=draw(pairs(1, 2)),
    )


@st.composite
def pools(draw, *, linear: bool = False) -> Pool:
    """A pool; a linear one averages windows that do not overlap."""
    window = draw(pairs(1, 3))
    if linear:
        return Pool(window, window, method="avg")
    pad = [draw(st.integers(0, size - 1)) for size in window for _ in range(2)]
    return Pool(window, draw(pairs(1, 3)), pad, draw(st.sampled_from(["max", "avg"])))


@st.composite
def norms(draw, channels: int, dtype, *, linear: bool = False) -> BatchNorm:
    random = np.random.default_rng(draw(seeds))
    gain, bias, mean = random.standard_normal((3, channels)).astype(dtype)
    if linear:
        bias = mean = np.zeros_like(bias)
    return BatchNorm(gain, bias, mean, random.uniform(0.5, 2, channels).astype(dtype))


@st.composite
def networks(draw, *, linear: bool = False, integers: bool = False) -> Network:
    """Up to five layers, the last a convolution, over 1 to 3 channels.

    A linear one is all correlations, averages of separate windows and scalings, without bias or
    padding.
    """
    dtype = draw(dtypes)
    channels = [draw(st.integers(1, 3))]
    layers = []
    kinds = ["conv", "pool"] if integers else ["conv", "pool", "bnorm", "relu"]
    for kind in [*draw(st.lists(st.sampled_from(kinds), max_size=4)), "conv"]:
        if kind == "conv":
            made = draw(convs(channels[-1], dtype, integers=integers, linear=linear))
            channels.append(len(made.filters))
            layers.append(made)
        elif kind == "pool":
            layers.append(draw(pools(linear=linear)))
        elif kind == "bnorm":
            layers.append(draw(norms(channels[-1], dtype, linear=linear)))
        elif not linear:
            layers.append(ReLU(draw(st.sampled_from([0.0, 0.1]))))
    return Network(layers, input_channels=channels[0])


names = st.sampled_from(["", "a", "conv 2", "ä\u4e2d\U0001f600", "two\nlines", "nul\0"]) | st.text(
    max_size=3
)
numbers = st.floats(-1e3, 1e3) | st.sampled_from([0, 1, -0.0, 5e-324, 1 / 3, np.float32(0.1)])


@st.composite
def arrays(draw, shape: tuple[int, ...], positive: bool = False) -> np.ndarray:
    """Numbers of either precision, the extreme ones among them."""
    dtype = draw(dtypes)
    array = np.random.default_rng(draw(seeds)).standard_normal(shape).astype(dtype)
    odd = draw(st.sampled_from([0.0, -0.0, np.finfo(dtype).tiny / 4, np.finfo(dtype).max]))
    array.flat[0] = odd
    return abs(array) + dtype(0.5) if positive else array


@st.composite
def particular_layers(draw, kind: str, channels: int) -> Layer:
    name = draw(names)
    match kind:
        case "conv":
            groups = draw(st.sampled_from([g for g in (1, 2, 3, 4) if channels % g == 0]))
            count = groups * draw(st.integers(1, 2))
            bank = draw(arrays((count, channels // groups, *draw(pairs(1, 3)))))
            bias = draw(st.none() | arrays((count,)))
            pad = draw(st.tuples(*[st.integers(0, 2)] * 4))
            return Conv(bank, bias, draw(pairs(1, 3)), pad, draw(pairs(1, 2)), name)
        case "pool":
            return dataclasses.replace(draw(pools()), name=name)
        case "relu":
            return ReLU(draw(numbers), name)
        case "normalize":
            return Normalize(draw(st.integers(1, 6)), *[draw(numbers) for _ in "abc"], name)
        case "bnorm":
            values = [draw(arrays((channels,))) for _ in "abc"]
            return BatchNorm(*values, draw(arrays((channels,), positive=True)), name)
        case "dropout":
            return Dropout(draw(st.floats(0, 1) | st.sampled_from([0, 1])), name)
    return Softmax(name)


@st.composite
def particular_networks(draw) -> Network:
    """Every kind of layer, every parameter, everything that a network carries, mixed dtypes."""
    channels = [draw(st.integers(1, 4))]
    layers = []
    kinds = ["conv", "pool", "relu", "normalize", "bnorm", "dropout", "softmax"]
    for kind in draw(
        st.permutations([*draw(st.lists(st.sampled_from(kinds), max_size=5)), "conv"])
    ):
        layers.append(draw(particular_layers(kind, channels[-1])))
        channels.append(len(layers[-1].filters) if kind == "conv" else channels[-1])
    first = channels[0]
    average, size = None, draw(st.none() | pairs(30, 40))
    if draw(st.booleans()):
        whole = size or (draw(st.integers(30, 33)), draw(st.integers(30, 33)))
        average = draw(arrays((first, *draw(st.sampled_from([(), (1, 1), whole])))))
    try:
        return Network(
            layers,
            average=average,
            input_size=size,
            input_channels=first,
            classes=draw(st.lists(names, max_size=3)),
            provenance=draw(names),
        )
    except NetworkError:  # its windows do not fit into the size
        return Network(layers, input_channels=first, provenance=draw(names))


@st.composite
def images_for(draw, net: Network, count: int = 2) -> np.ndarray:
    """Images a little larger than the last layer's receptive field, higher than wide or wider."""
    from fdref import receptive_field

    field = receptive_field(net, len(net))
    size = [side + draw(st.integers(0, 7)) for side in field.size]
    shape = (count, net.channels[0], *size)
    return np.random.default_rng(draw(seeds)).standard_normal(shape).astype(net.dtype)

"""Random graphs: every kind of layer, several inputs, branches that meet again."""

from __future__ import annotations

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from strategies import pairs, seeds

import fdref
from fdref import layers as kinds
from fdref.errors import FdrefError
from fdref.network.fields import check_has_filters, jumps

LINEAR = (
    "conv",
    "convt",
    "pool",
    "sum",
    "concat",
    "channels",
    "upsample",
    "shuffle",
    "pad",
    "scale",
)
OTHERS = (
    "relu",
    "prelu",
    "elementwise",
    "softmax",
    "dropout",
    "bnorm",
    "lrn",
    "maximum",
    "product",
)
JOINS = ("sum", "concat", "product", "maximum")
ALONE = {
    "softmax": kinds.Softmax,
    "dropout": kinds.Dropout,
    "concat": kinds.Concat,
    "product": kinds.Product,
    "maximum": kinds.Maximum,
}
SIDE = (13, 12)


def whole(random, integers, *shape):
    return (
        random.integers(-3, 4, shape).astype(float) if integers else random.standard_normal(shape)
    )


@st.composite
def layer(draw, kind, channels, maps, *, linear, integers):  # noqa: C901, PLR0912 - a table: a row for each kind of layer
    """A layer of a kind for so many maps of so many channels."""
    random = np.random.default_rng(draw(seeds))
    signed = st.tuples(*[st.integers(-1, 2)] * 4)
    groups = draw(st.sampled_from([g for g in (1, 2, 3) if channels % g == 0]))

    def bias(count):
        return None if linear or draw(st.booleans()) else random.standard_normal(count)

    match kind:
        case "conv":
            count = groups * draw(st.integers(1, 3))
            bank = whole(random, integers, count, channels // groups, *draw(pairs(1, 3)))
            pad = draw(st.tuples(*[st.integers(0, 2)] * 4))
            return kinds.Conv(bank, bias(count), draw(pairs(1, 2)), pad, draw(pairs(1, 2)))
        case "convt":
            bank = whole(random, integers, channels, draw(st.integers(1, 2)), *draw(pairs(1, 4)))
            count = bank.shape[1] * groups
            return kinds.ConvTranspose(bank, bias(count), draw(pairs(1, 3)), draw(signed), groups)
        case "pool":
            window = draw(pairs(1, 3))
            if linear:
                return kinds.Pool(window, draw(pairs(1, 3)), 0, "avg")
            pad = [draw(st.integers(0, size - 1)) for size in window for _ in range(2)]
            method = draw(st.sampled_from(["max", "avg"]))
            return kinds.Pool(window, draw(pairs(1, 3)), pad, method)
        case "channels":
            chosen = draw(st.lists(st.integers(0, channels - 1), min_size=1, max_size=5))
            return kinds.Channels(chosen)
        case "upsample":
            return kinds.Upsample(draw(pairs(1, 3)))
        case "shuffle":
            order = draw(st.sampled_from(["CRD", "DCR", "MATLAB"]))
            return kinds.Shuffle(2, order, reverse=draw(st.booleans()) or channels % 4 != 0)
        case "pad":
            return kinds.Pad(draw(signed))
        case "scale":
            return kinds.Scale(whole(random, integers, channels), bias(channels))
        case "bnorm":
            moments = random.standard_normal((3, channels))
            return kinds.BatchNorm(*moments, random.uniform(0.5, 2, channels))
        case "relu":
            return kinds.ReLU(draw(st.sampled_from([0.0, 0.1])))
        case "prelu":
            return kinds.PReLU(random.standard_normal(channels))
        case "elementwise":
            return kinds.Elementwise(draw(st.sampled_from(sorted(kinds.functions.FUNCTIONS))))
        case "lrn":
            return kinds.Normalize(3, 1.0, 0.5, 0.75)
        case "sum":
            return kinds.Sum(draw(st.sampled_from([None, (2.0, -1.0, 3.0)[:maps]])))
    return ALONE[kind]()


@st.composite
def graphs(draw, *, linear=True, integers=False, most=12, among=None):
    """A network of two to twelve layers in any wiring that fits; the last is decoded.

    What would not fit, or would grow beyond a test's patience, is left out. `among` are kinds.
    """
    channels = {-n: draw(st.integers(1, 3)) for n in range(draw(st.integers(1, 2)))}
    sizes = dict.fromkeys(channels, SIDE)
    inputs, layers, wiring = sorted(channels, reverse=True), [], {}
    for _ in range(draw(st.integers(2, most))):
        kind = draw(st.sampled_from(among or (LINEAR if linear else LINEAR + OTHERS)))
        first = draw(st.sampled_from([max(channels)] * 3 + sorted(channels)[-5:]))
        taken = [first]
        if kind in JOINS:
            alike = [n for n in channels if sizes[n] == sizes[first]]
            if kind != "concat":
                alike = [n for n in alike if channels[n] == channels[first]]
            taken += draw(st.lists(st.sampled_from(alike), min_size=1, max_size=2))
        made = draw(layer(kind, channels[first], len(taken), linear=linear, integers=integers))
        try:
            after = made.channels_after(*(channels[n] for n in taken))
            size = made.size_after(*(sizes[n] for n in taken))
        except FdrefError:
            continue
        if 0 not in size and max(size) <= 40 and after <= 24:
            layers.append(made)
            number = len(layers)
            wiring[number], channels[number], sizes[number] = taken, after, size
    assume(any(isinstance(made, kinds.Conv | kinds.ConvTranspose) for made in layers))
    used = {n for taken in wiring.values() for n in taken}
    counts = [channels[n] for n in inputs if n == 0 or n in used]
    known = draw(st.booleans())
    return fdref.Network(
        layers, wiring=wiring, input_channels=counts, input_size=SIDE if known else None
    )


@st.composite
def blocks(draw, *, integers=False):
    """Two branches of convolutions and pools over one convolution, that meet again under another.

    Each has its own strides; some meet at the same jump, and some of those through other pools. All
    but the first may lead down to a second input.
    """
    random = np.random.default_rng(draw(seeds))
    layers, wiring = [kinds.Conv(whole(random, integers, 3, 2, 3, 3), pad=1)], {}
    ends, inputs = [], 1
    for _ in range(draw(st.integers(2, 3))):
        below = draw(st.sampled_from([1, 1, -1])) if ends else 1
        inputs = max(inputs, 1 - below)
        for step in draw(st.permutations([1, 2])):
            if draw(st.booleans()):
                made = kinds.Pool(draw(st.sampled_from([step, 2 * step])), step, method="avg")
            else:
                side = draw(st.sampled_from([1, 3]))
                bank = whole(random, integers, 3, 3, side, side)
                made = kinds.Conv(bank, stride=step, pad=draw(st.integers(0, 1)))
            layers.append(made)
            wiring[len(layers)] = below
            below = len(layers)
        ends.append(below)
    join = draw(st.sampled_from(["concat", "sum"]))
    layers.append(kinds.Concat() if join == "concat" else kinds.Sum())
    wiring[len(layers)] = ends
    channels = 3 * len(ends) if join == "concat" else 3
    layers.append(kinds.Conv(whole(random, integers, 4, channels, 3, 3)))
    return fdref.Network(layers, wiring=wiring, input_channels=(2, 3)[:inputs])


def has_single_filter(net, number):
    """Tell whether a layer sees the image, and its neighbours see the same, moved."""
    try:
        check_has_filters(net, number)
        jumps(net, number)
    except FdrefError:
        return False
    return True


def close(found, expected, eps=1e-10):
    assert found.shape == expected.shape
    assert abs(found - expected).max(initial=0) <= eps * max(1, abs(expected).max(initial=0))

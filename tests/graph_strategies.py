"""Random graphs: every kind of layer, several inputs, branches that meet again."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st
from strategies import pairs, seeds

import fdref
from fdref import layers as kinds
from fdref.errors import FdrefError
from fdref.fields import jumps

LINEAR = ("conv", "convt", "pool", "sum", "concat", "channels", "upsample", "shuffle", "pad", "scale")
OTHERS = ("relu", "prelu", "elementwise", "softmax", "dropout", "bnorm", "lrn", "maximum", "product")
SIDE = (13, 12)


def whole(random, integers, *shape):
    return random.integers(-3, 4, shape).astype(float) if integers else random.standard_normal(shape)


@st.composite
def layer(draw, kind, channels, *, linear, integers):
    """A layer of a kind for a map of so many channels."""
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
        case "softmax":
            return kinds.Softmax()
    return kinds.Dropout()


@st.composite
def graphs(draw, *, linear=True, integers=False, input_size=SIDE, most=12):
    """A network of two to twelve layers in any wiring that fits; the last is decoded."""
    inputs = draw(st.integers(1, 2))
    channels = {-n: draw(st.integers(1, 3)) for n in range(inputs)}
    sizes = {-n: input_size for n in range(inputs)}
    layers, wiring = [], {}
    for _ in range(draw(st.integers(2, most))):
        number = len(layers) + 1
        kind = draw(st.sampled_from(LINEAR if linear else LINEAR + OTHERS))
        recent = st.sampled_from(sorted(channels)[-4:])
        first = draw(recent) if draw(st.booleans()) else max(channels)
        taken = [first]
        if kind in ("sum", "product", "maximum", "concat"):
            fitting = [
                n
                for n in channels
                if sizes[n] == sizes[first] and (kind == "concat" or channels[n] == channels[first])
            ]
            taken += draw(st.lists(st.sampled_from(fitting), min_size=1, max_size=2))
        made = {"product": kinds.Product(), "maximum": kinds.Maximum(), "concat": kinds.Concat()}.get(kind)
        if kind == "sum":
            factors = draw(st.sampled_from([None, (2.0, -1.0, 3.0)[: len(taken)]]))
            made = kinds.Sum(factors)
        elif made is None:
            made = draw(layer(kind, channels[first], linear=linear, integers=integers))
        try:
            after = made.channels_after(*(channels[n] for n in taken))
            size = made.size_after(*(sizes[n] for n in taken))
        except FdrefError:
            continue
        if 0 in size or max(size) > 40 or after > 24:
            continue
        layers.append(made)
        wiring[number] = taken
        channels[number], sizes[number] = after, size
    assume(any(isinstance(made, kinds.Conv | kinds.ConvTranspose) for made in layers))
    counts = [channels[-n] for n in range(inputs)]
    used = {n for taken in wiring.values() for n in taken}
    if inputs == 2 and -1 not in used:
        counts = counts[:1]
    return fdref.Network(layers, wiring=wiring, input_channels=counts, input_size=input_size)


def has_single_filter(net, number):
    try:
        return all(
            isinstance(j, Fraction) for jump in jumps(net, number).values() for j in jump
        )
    except FdrefError:
        return False

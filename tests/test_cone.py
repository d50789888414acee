"""Only what a square reaches is computed anew, and every bit is that of whole maps."""

from __future__ import annotations

import numpy as np
import pytest
from graph_strategies import graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import networks, pairs, seeds

import fdref
from fdref import (
    Concat,
    Conv,
    ConvTranspose,
    Network,
    Normalize,
    Pad,
    Pool,
    ReLU,
    Shuffle,
    Softmax,
    Sum,
    Upsample,
)
from fdref.engines.local import local
from fdref.network.sizes import sizes_from
from fdref.walk.cone import Cone, whole_maps
from fdref.walk.forward import input_maps, run
from fdref.walk.reach import Reach, Spans, above

RANDOM = np.random.default_rng(0)


def weights(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def occluded(image, filling, top, left, window):
    """Paint a square, pixel by pixel."""
    copy = image.copy()
    for y in range(top, top + window[0]):
        for x in range(left, left + window[1]):
            copy[:, y, x] = filling[:, y, x]
    return copy


def compare(net, inputs, window, stride, engine, wanted, at_once=None):
    """Every map of every copy, from the cone and from whole images, must be the same bits."""
    own = local(engine)
    inputs = input_maps(net, inputs if net.inputs > 1 else inputs[0], own)
    filling = np.random.default_rng(1).standard_normal(inputs[0].shape[1:]).astype(inputs[0].dtype)
    sizes = sizes_from(net, [values.shape[2:] for values in inputs])
    clean = run(net, inputs, own, range(1 - net.inputs, max(wanted) + 1))
    reach = Reach(net, sizes, window, stride, wanted)
    cone = Cone(reach, clean, filling, own)
    seen = 0
    for group in reach.groups:
        for rows, columns in group.batches(at_once or reach.at_once(group)):
            found = cone.run(group, rows, columns, wanted)
            copies = [
                occluded(inputs[0][0], filling, y * stride[0], x * stride[1], window)
                for y, x in zip(rows, columns, strict=True)
            ]
            others = [values.repeat(len(copies), axis=0) for values in inputs[1:]]
            expected = run(net, [np.stack(copies), *others], own, wanted)
            for number in wanted:
                assert found[number].dtype == expected[number].dtype
                assert found[number].tobytes() == expected[number].tobytes(), net.describe(number)
            seen += len(rows)
    assert seen == len(reach.starts[0]) * len(reach.starts[1])
    return reach


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@given(graphs(linear=False), pairs(1, 6), pairs(1, 3), seeds)
@settings(max_examples=60)
def test_graphs(net, window, stride, seed):
    random = np.random.default_rng(seed)
    inputs = [random.standard_normal((1, c, 13, 12)) for c in net.input_channels]
    wanted = [n for n in range(1, len(net) + 1)]
    for engine in ("compiled", "reference"):
        compare(net, inputs, window, stride, engine, wanted)

"""Only what a square reaches is computed anew, and every bit is that of whole maps."""

from __future__ import annotations

import numpy as np
import pytest
from graph_strategies import graphs
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import pairs, seeds

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
from fdref.engines import patched
from fdref.engines.local import local
from fdref.network.sizes import sizes_from
from fdref.walk.cone import Cone, whole_maps
from fdref.walk.forward import input_maps, run
from fdref.walk.reach import Reach, Spans, reached

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
    filling = np.random.default_rng(1).standard_normal(inputs[0].shape).astype(inputs[0].dtype)
    sizes = sizes_from(net, [values.shape[2:] for values in inputs])
    clean = run(net, inputs, own, range(1 - net.inputs, max(wanted) + 1))
    count = len(inputs[0])
    reach = Reach(net, sizes, window, stride, wanted, count)
    cone = Cone(reach, clean, filling, own)
    seen = 0
    for group in reach.groups:
        for copies in group.batches(count, at_once or reach.at_once(group)):
            boxes = cone.run(group, copies, wanted)
            found = {n: whole_maps(clean[n], boxes.get(n), copies.images) for n in wanted}
            painted = [
                occluded(inputs[0][n], filling[n], y * stride[0], x * stride[1], window)
                for n, y, x in zip(*copies, strict=True)
            ]
            others = [values[copies.images] for values in inputs[1:]]
            expected = run(net, [np.stack(painted), *others], own, wanted)
            for number in wanted:
                assert found[number].dtype == expected[number].dtype
                assert found[number].tobytes() == expected[number].tobytes(), net.describe(number)
            seen += len(painted)
    assert seen == count * len(reach.starts[0]) * len(reach.starts[1])
    return reach


def graph(net, window, stride, seed):
    random = np.random.default_rng(seed)
    inputs = [random.standard_normal((2, c, 13, 12)) for c in net.input_channels]
    wanted = range(1, len(net) + 1)
    for engine in ("compiled", "reference"):
        compare(net, inputs, window, stride, engine, wanted, at_once=5)


SOME = given(graphs(linear=False), pairs(1, 6), pairs(3, 5), seeds)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(max_examples=10)
@SOME
def test_graphs(net, window, stride, seed):
    graph(net, window, stride, seed)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@settings(max_examples=150)
@SOME
def test_more_graphs(net, window, stride, seed):
    graph(net, window, stride, seed)


CHAIN = [part for _ in range(5) for part in (Conv(weights(8, 8, 3, 3), weights(8), pad=1), ReLU())]
NETS = {
    "a chain": Network([Conv(weights(8, 1, 3, 3), pad=1), *CHAIN]),
    "overlapping pools": Network(
        [
            Conv(weights(6, 3, 5, 5), pad=2),
            Pool(3, 2, (0, 1, 1, 0)),
            ReLU(),
            Normalize(5, 1.0, 0.3, 0.75),
            Conv(weights(9, 2, 3, 3), weights(9), pad=(1, 0, 0, 1), dilate=2),
            Pool(3, 1, 1, "avg"),
            Conv(weights(4, 9, 1, 1)),
            Softmax(),
        ]
    ),
    "windows smaller than strides": Network(
        [Conv(weights(4, 1, 2, 1), stride=(3, 2)), ReLU(), Conv(weights(3, 4, 1, 1), stride=2)]
    ),
    "up and down": Network(
        [
            Conv(weights(4, 1, 3, 3), stride=2, pad=1),
            ReLU(0.2),
            Conv(weights(8, 4, 3, 3), pad=1),
            Shuffle(2),
            Upsample((1, 2)),
            ConvTranspose(weights(2, 3, 4, 2), weights(3), (2, 3), (1, 1, 0, -2)),
            Pad((-1, 2, 0, -3)),
            Shuffle(1),
        ]
    ),
    "branches": Network(
        [
            Conv(weights(4, 2, 3, 3), pad=1, name="stem"),
            Conv(weights(4, 4, 1, 1), name="narrow"),
            Conv(weights(4, 4, 5, 5), pad=2, name="wide"),
            Sum((1, -2), name="sum"),
            Concat(name="all"),
            Conv(weights(3, 14, 3, 3)),
        ],
        wiring={"wide": "stem", "sum": ["narrow", "wide"], "all": ["sum", "stem", 0, "narrow"]},
        input_channels=2,
    ),
}


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("window", [(1, 1), (3, 4), (20, 2), (20, 21)])
def test_networks(name, window, engine):
    net = NETS[name]
    x = RANDOM.standard_normal((3, net.channels[0], 20, 21)).astype(np.float32)
    reach = compare(net, [x], window, (2, 3), engine, range(1, len(net) + 1))
    assert window == (20, 21) or any(
        group.boxes[n] != reach.sizes[n] for group in reach.groups for n in group.boxes
    )


@pytest.mark.large
def test_lenet(engine):
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:20])
    reach = compare(net, [x], (7, 7), (3, 3), engine, [3, 8])
    assert len(reach.groups) > 1  # several images pay for smaller boxes at the borders


@pytest.mark.large
def test_a_real_network(shared):
    """Seventeen convolutions, on an image larger than what they see, at its corners, too."""
    net = fdref.load(shared / "models" / "dncnn-gray-simplenn-v73.mat")
    x = np.random.default_rng(0).random((1, 1, 60, 50))
    reach = compare(net, [x], (8, 8), (26, 21), "compiled", [11, len(net)])
    middle = min(reach.groups, key=lambda group: group.boxes[11])
    assert middle.boxes[11] < (60, 50)


def slow_reach(net, sizes, start, length, axis):
    """Follow every single pixel up, through what layers say that they see."""
    pixels = {0: set(range(start, start + length))}
    for number, layer in enumerate(net, 1):
        pixels[number] = {
            place
            for place in range(sizes[number][axis])
            for first, last in [layer.sees((place, place), axis)]
            for n in net.takes[number]
            if pixels.get(n, set()) & set(range(first, last + 1))
        }
    return pixels


@given(graphs(linear=False), st.integers(1, 6), st.integers(0, 1))
def test_what_a_square_reaches(net, length, axis):
    sizes = sizes_from(net, [(13, 12)] * net.inputs)
    starts = np.arange(sizes[0][axis] - length + 1)
    found = reached(net, sizes, Spans(starts, starts + length - 1), axis)
    for place, start in enumerate(starts):
        for number, pixels in slow_reach(net, sizes, start, length, axis).items():
            if not pixels:
                assert number not in found or not found[number].lengths[place]
            else:
                own = found[number]
                assert (own.first[place], own.last[place]) == (min(pixels), max(pixels))


def test_nearly_nothing_is_computed_where_little_is_reached():
    """Of whole maps 64 x 64 pixels each, the cone has boxes of at most 3 + 2 * 6."""
    net, work = NETS["a chain"], []

    def counting(correlate, images, *arguments):
        found = correlate(images, *arguments)
        work.append(found.size)
        return found

    own = patched(local("reference"), correlate=counting)
    x = RANDOM.standard_normal((1, 1, 64, 64))
    sizes, last = sizes_from(net, [(64, 64)]), len(net)
    clean = run(net, [x], own, range(last + 1))
    whole = sum(work)
    reach = Reach(net, sizes, (3, 3), (10, 10), [last])
    cone = Cone(reach, clean, np.zeros((1, 1, 64, 64)), own)
    work.clear()
    for group in reach.groups:
        for copies in group.batches(1, reach.at_once(group)):
            cone.run(group, copies, [last])
    copies = sum(map(len, reach.groups))
    expected = sum((3 + 2 * n) ** 2 for n in range(1, 7)) / (6 * 64**2)
    assert sum(work) <= copies * whole * expected * 1.01
    assert sum(work) >= copies * whole * expected * 0.8  # of which the border cuts something off


def test_where_the_cone_fills_the_map_whole_maps_are_computed():
    net = NETS["a chain"]
    sizes = sizes_from(net, [(12, 12)])
    reach = Reach(net, sizes, (7, 7), (1, 1), [len(net)])
    for group in reach.groups:
        assert group.boxes[len(net)] == (12, 12)
        assert group.boxes[1] < (12, 12)
    seen = {(y, x) for group in reach.groups for y in group.rows for x in group.columns}
    assert len(seen) == sum(map(len, reach.groups)) == 36

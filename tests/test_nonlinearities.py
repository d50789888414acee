"""What non-linearities do to decoded filters: mean gradients, and networks made linear."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from absence import absent
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import seeds

import fdref
from fdref import (
    ArgumentError,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Elementwise,
    Network,
    NetworkError,
    Normalize,
    Pool,
    PReLU,
    ReLU,
    Sum,
)
from fdref.measure import mean_gradient, nonlinearities
from fdref.measure.ceiling import best_filters
from fdref.measure.evaluation import compare
from fdref.measure.mean_gradient import mean_gradients, points_of
from fdref.measure.nonlinearities import AFFINE, AT_THE_MEAN, LINEAR, MEAN_GRADIENT, steps
from fdref.measure.replacing import nonlinear_below, replace_nonlinear, variants
from fdref.network.units import receptive_field

DECODED = "decoded, nearest"


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def pixels(*shape: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0, 255, shape)


def chain(*middle: object, bias: bool = True) -> Network:
    """Two convolutions with something between; the second sees all of 9x8 pixels but a border."""
    first = Conv(random(3, 1, 3, 2), 20 * random(3, seed=5) if bias else None, pad=(1, 0, 1, 1))
    return Network([first, *middle, Conv(random(4, 3, 2, 2, seed=2))], input_channels=1)


def branches() -> Network:
    """A max pool that overlaps, beside a PReLU and normalisation: two ways, added and stacked."""
    layers = [
        Conv(random(2, 2, 3, 3), 50 * random(2, seed=3), pad=1),
        Pool(3, 1, 1),
        PReLU([0.3, -0.5]),
        Normalize(3, 1.0, 1e-3, 0.75),
        Sum([1.0, -2.0]),
        Elementwise("swish"),
        Concat(),
        Conv(random(3, 4, 3, 2, seed=4), pad=(1, 1, 0, 0), stride=(2, 1)),
    ]
    wiring = {2: 1, 3: 1, 4: 3, 5: [2, 4], 6: 5, 7: [6, 2], 8: 7}
    return Network(layers, wiring=wiring)


NETS = {
    "max pool": (chain(Pool(2, 2)), (6, 5)),
    "pools overlap": (chain(Pool(3, 2, 1)), (6, 6)),
    "relu": (chain(ReLU()), (5, 4)),
    "all": (chain(Pool((2, 3), (2, 1)), BatchNorm(*random(3, 3, seed=7), [1, 2, 3]), ReLU(0.1)),
            (7, 5)),
    "a graph": (branches(), (6, 4)),
}  # fmt: skip


# The mean gradient


@pytest.fixture
def torch_graphs():
    try:
        import torch_graphs
    except ImportError:
        absent("peers", "PyTorch is not installed")
    return torch_graphs


@pytest.mark.parametrize("name", NETS)
def test_the_mean_gradient_is_autograds_unit_by_unit(torch_graphs, name):
    """At every position of every image, moved to the field and averaged."""
    net, size = NETS[name]
    number, most = len(net), 10**6
    images = pixels(2, net.channels[0], *size)
    field = receptive_field(net, number)
    count, height, width = (net.channels[number], *net.map_sizes(size)[number])
    total = np.zeros((count, net.channels[0], *field.size))
    for image in images:
        for k, y, x in np.ndindex(count, height, width):
            delta = np.zeros((1, count, height, width))
            delta[0, k, y, x] = 1
            gradient = torch_graphs.gradients(net, [image[None]], delta)[0][0]
            around = np.pad(gradient, ((0, 0), (9, 9), (9, 9)))  # farther than any field reaches
            top = y * field.stride[0] + field.offset[0] + 9
            left = x * field.stride[1] + field.offset[1] + 9
            total[k] += around[:, top : top + field.size[0], left : left + field.size[1]]
    for engine in ("compiled", "reference"):
        found = mean_gradients(net, images, [number], most, engine)[number]
        np.testing.assert_allclose(found, total / (2 * height * width), atol=1e-12)


def test_the_gradient_predicts_its_own_image_where_there_are_no_biases():
    """Gates held, such a network is linear: the response is <gradient, image>."""
    layers = [Conv(random(3, 1, 3, 2)), Pool(2, 2), ReLU(), Conv(random(4, 3, 2, 2, seed=2))]
    net, images = Network(layers), pixels(1, 6, 5)
    filters = mean_gradients(net, images, [4])[4]
    x = net.prepare(images)
    assert filters.shape[2:] == x.shape[2:]
    np.testing.assert_allclose(fdref.respond(net, 4, filters, x), fdref.forward(net, x)[4])


@given(seed=seeds, most=st.integers(1, 40), count=st.integers(1, 9))
@settings(max_examples=30)
def test_points_are_spread_evenly_and_none_comes_twice(seed, most, count):
    side = np.random.default_rng(seed).integers(3, 9, 2)
    net = Network([Conv(random(2, 1, 3, 2))])
    at = points_of(net, 1, count, side, most)
    positions = int(np.prod(side - [2, 1]))
    assert len(at.images) == min(most, count * positions)
    assert len(set(zip(*map(np.ndarray.tolist, at), strict=True))) == len(at.images)
    places = Counter(zip(at.rows.tolist(), at.columns.tolist(), strict=True))
    for often in (Counter(at.images.tolist()), places):
        several = [
            *often.values(),
            *[0] * (len(often) < (count if often is not places else positions)),
        ]
        assert max(several) - min(several) <= 1
    assert at.rows.max() < side[0] - 2
    assert at.columns.max() < side[1] - 1


def test_as_many_points_by_default_as_are_not_too_much_work():
    net, size = fdref.load(), (28, 28)
    counts = [len(points_of(net, n, 1000, size, None).images) for n in (3, 5, 7)]
    assert counts == [100, 34, 100]  # 4e10 / (500 * 2,288,000)
    assert len(points_of(net, 5, 7, size, None).images) == 7  # there are no more
    wide = Network([Conv(np.ones((1000, 1, 1, 1)))])
    assert len(points_of(wide, 1, 5, (250, 250), None).images) == 1


def test_images_that_go_down_in_blocks_say_the_same(monkeypatch):
    net, size = NETS["all"]
    images = pixels(5, *size)
    whole = mean_gradients(net, images, [len(net)], most=9)
    monkeypatch.setattr(mean_gradient, "AT_ONCE", 1)
    one_by_one = mean_gradients(net, images, [len(net)], most=9)
    np.testing.assert_allclose(one_by_one[len(net)], whole[len(net)], rtol=1e-12)


def test_without_what_is_not_linear_every_filter_is_the_decoded_one(engine):
    layers = [
        Conv(random(3, 1, 3, 3)),
        Pool(2, 2, method="avg"),
        Dropout(),
        Conv(random(2, 3, 2, 2, seed=2)),
    ]
    net, images = Network(layers), pixels(30, 10, 8)
    found = fdref.nonlinearities(
        net, images, layers=[4], unpool=("nearest", "window"), engine=engine
    )[4]
    assert list(found.predicted) == [
        DECODED, "decoded, window", MEAN_GRADIENT, AT_THE_MEAN, LINEAR, AFFINE,
    ]  # fmt: skip
    for one in found.predicted.values():
        np.testing.assert_allclose(one.correlations, 1, atol=1e-12)
        assert one.n == 30
    decoded = found.filters["decoded, window"]  # nearest copies, four times as much
    for name in (MEAN_GRADIENT, AT_THE_MEAN, LINEAR, AFFINE):
        np.testing.assert_allclose(found.filters[name], decoded, atol=1e-9)
    assert list(found.replaced) == [()]


# Replaced networks


def test_what_is_not_linear_is_replaced_by_what_decoding_takes_it_for():
    net = branches()
    assert nonlinear_below(net, 8) == (2, 3, 4, 6)
    assert nonlinear_below(net, 2) == ()  # below it, not it
    linear = replace_nonlinear(net, (2, 3, 4, 6))
    assert [layer.kind for layer in linear] == [
        "conv", "pool", "dropout", "dropout", "sum", "dropout", "concat", "conv",
    ]  # fmt: skip
    assert linear[2] == Pool(3, 1, 1, method="avg")
    assert linear.takes == net.takes
    assert [linear[n] for n in (1, 5, 7, 8)] == [net[n] for n in (1, 5, 7, 8)]
    assert nonlinear_below(linear, 8) == ()
    assert replace_nonlinear(net, ()) is net
    for method in ("nearest", "window", "bicubic"):
        same = fdref.decode(net, 8, unpool=method), fdref.decode(linear, 8, unpool=method)
        np.testing.assert_array_equal(*same)


def test_which_are_replaced_together():
    net = chain(Pool(2, 1), ReLU(), Elementwise("tanh"), ReLU())
    assert variants(net, 6) == [
        (), (2,), (3,), (4,), (5,), (3, 5), (4, 5), (3, 4, 5), (2, 3, 4, 5),
    ]  # fmt: skip
    assert variants(net, 1) == [()]
    deep = chain(*[layer for _ in range(5) for layer in (ReLU(), Elementwise("tanh"))])
    relus, others = tuple(range(2, 12, 2)), tuple(range(3, 12, 2))
    assert variants(deep, 12) == [(), relus, others, tuple(range(2, 12))]  # more than SINGLY


def by_hand(net: Network, replaced: tuple[int, ...]) -> Network:
    layers = list(net.layers)
    for number in replaced:
        own = layers[number - 1]
        layers[number - 1] = (
            Pool(own.window, own.stride, own.pad, "avg") if own.kind == "pool" else ReLU(leak=1)
        )
    return Network(layers, input_channels=1)


@pytest.mark.parametrize("bias", [False, True])
def test_decoded_filters_are_compared_with_networks_written_by_hand(bias, engine):
    net = chain(Pool(2, 2), ReLU(), bias=bias)
    images, others = pixels(6, 10, 9), pixels(5, 10, 9, seed=8)
    found = fdref.nonlinearities(net, images, others, layers=4, engine=engine)[4]
    predicted = fdref.respond(net, 4, fdref.decode(net, 4, unpool="nearest"), net.prepare(others))
    assert list(found.replaced) == [(), (2,), (3,), (2, 3)]
    for replaced, one in found.replaced.items():
        response = fdref.forward(by_hand(net, replaced), net.prepare(others), engine)[4]
        expected = compare(response, predicted)
        np.testing.assert_allclose([one.errors, one.correlations], expected, atol=1e-9)
    linear = found.replaced[2, 3].correlations
    assert (abs(linear - 1) < 1e-12).all() == (not bias)  # no filter makes a bias
    assert found.replaced[()].correlation < 0.95


def test_each_filter_is_evaluated_as_evaluate_does():
    net, size = NETS["all"]
    images, others = pixels(40, *size), pixels(7, *size, seed=9)
    found = fdref.nonlinearities(net, images, others, layers=[5], unpool=["bicubic", "nearest"])[5]
    x = net.prepare(others)
    response = fdref.forward(net, x)[5]
    linear, affine = best_filters(net, images, [5])[5]
    mean = images.mean(axis=0, keepdims=True)
    banks = {
        "decoded, bicubic": fdref.decode(net, 5),
        DECODED: fdref.decode(net, 5, unpool="nearest"),
        MEAN_GRADIENT: mean_gradients(net, images, [5])[5],
        AT_THE_MEAN: mean_gradients(net, mean, [5])[5],
        LINEAR: linear.bank,
        AFFINE: affine.bank,
    }
    assert list(found.filters) == list(found.predicted) == list(banks)
    for name, bank in banks.items():
        np.testing.assert_allclose(found.filters[name], bank, rtol=1e-9)
        offset = affine.offset[:, None, None] if name == AFFINE else 0
        expected = compare(response, fdref.respond(net, 5, bank, x) + offset)
        one = found.predicted[name]
        np.testing.assert_allclose([one.errors, one.correlations], expected, rtol=1e-6)
    assert (found.replaced[()].errors == found.predicted["decoded, bicubic"].errors).all()


def test_by_default_halves_take_turns():
    net, size = NETS["relu"]
    images = pixels(7, *size)
    found = fdref.nonlinearities(net, images)
    first, second = (
        fdref.nonlinearities(net, *pair)
        for pair in ((images[::2], images[1::2]), (images[1::2], images[::2]))
    )
    for n in (1, 3):
        for name in found[n].predicted:
            errors = [one[n].predicted[name].errors for one in (first, second)]
            assert found[n].predicted[name].errors.tolist() == np.concatenate(errors).tolist()
        assert found[n].replaced[()].n == 7
        np.testing.assert_array_equal(found[n].filters[LINEAR], first[n].filters[LINEAR])


def test_fields_that_are_too_large_are_not_fitted(monkeypatch):
    net, size = NETS["relu"]
    images = pixels(6, *size)
    monkeypatch.setattr(nonlinearities, "FITTED", 12)
    at_the_limit = fdref.nonlinearities(net, images)  # fields of 3x2 and 4x3
    monkeypatch.setattr(nonlinearities, "FITTED", 11)
    above = fdref.nonlinearities(net, images)
    assert LINEAR in at_the_limit[3].predicted
    assert AFFINE in above[1].predicted
    assert not {LINEAR, AFFINE} & {*above[3].predicted, *above[3].filters}


def test_what_overflows_in_a_network_made_linear_cannot_be_compared():
    """Sigmoids keep numbers small; without them they are beyond float32, in one image."""
    big = np.full((1, 1, 1, 1), 1e20, np.float32)
    net = Network(
        [Conv(big), Elementwise("sigmoid"), Conv(big), ReLU(), Conv(np.ones((2, 1, 1, 1), "f4"))]
    )
    images = pixels(4, 2, 2).astype(np.float32) / 1e5 - 1e-3
    images[1] = -1
    with pytest.raises(NetworkError, match="decoded filters too large"):
        fdref.nonlinearities(net, images, layers=[5])
    small = np.full((1, 1, 1, 1), 1e-20, np.float32)
    layers = [Conv(big), Elementwise("sigmoid"), Conv(big), ReLU(), Conv(small), Conv(small)]
    found = fdref.nonlinearities(Network(layers), images, images, layers=[6])[6]
    assert np.isnan(found.replaced[2, 4].errors).tolist() == [False, True, False, False]
    assert np.isnan(found.replaced[2,].errors)[1]


@given(seed=seeds)
@settings(max_examples=5)
def test_neither_executor_nor_chunks_change_a_bit(seed):
    net, size = NETS["all"]
    images = np.random.default_rng(seed).uniform(0, 255, (110, *size))
    alone = fdref.nonlinearities(net, images, layers=[5], points=150)[5]
    with ThreadPoolExecutor(2) as executor:
        again = fdref.nonlinearities(net, images, layers=[5], points=150, executor=executor)[5]
    for name, one in alone.predicted.items():
        assert (one.errors == again.predicted[name].errors).all()
        assert (alone.filters[name] == again.filters[name]).all()
    for key, one in alone.replaced.items():
        assert (one.errors == again.replaced[key].errors).all()


@pytest.mark.parametrize("points", [None, 1, 3])
def test_progress_adds_up_to_the_steps(points):
    net, size = NETS["all"]
    images, others, told = pixels(20, *size), pixels(9, *size), []
    fdref.nonlinearities(net, images, others, points=points, progress=told.append)
    assert sum(told) == steps(net, 20, 9, size, points=points)
    told.clear()
    fdref.nonlinearities(net, images, others, [], progress=told.append)
    assert sum(told) == steps(net, 20, 9, size, []) == 9


def test_wrong_arguments_are_refused_in_a_line():
    net, size = NETS["relu"]
    images = pixels(4, *size)
    holed = images.copy()
    holed[3, 2, 1] = np.nan
    two = Network([Conv(np.ones((1, 1, 1, 1))), Sum()], wiring={2: [1, -1]}, input_channels=(1, 1))
    for arguments, options, message in (
        ((net, images[:1]), {}, "there are 1 images; expected at least 2"),
        ((net, images[:0], images), {}, "there are 0 images; expected at least 1"),
        ((net, images, images[:0]), {}, "there are no images"),
        ((net, iter(images)), {}, "expected an array"),
        ((net, images[:, :1]), {}, "expected larger images"),
        ((net, holed), {}, r"image 3 holds nan at \[0, 2, 1\]"),
        ((net, images, holed), {}, r"image 3 holds nan at \[0, 2, 1\]"),
        ((net, images), {"layers": [2]}, "layer 2 .relu. has no filters"),
        ((net, images), {"unpool": "lanczos"}, "unpool is 'lanczos'"),
        ((net, images), {"unpool": ()}, "expected at least one"),
        ((net, images), {"points": 0}, "points is 0; expected a whole number of at least 1"),
        ((net, images), {"points": True}, "points is True"),
        ((net, images), {"progress": 3}, "progress is 3"),
        ((net, images), {"engine": "gpu"}, "engine is 'gpu'"),
        ((net, images), {"executor": 3}, "executor is 3"),
        (("net", images), {}, "expected a Network"),
        ((two, images), {}, "the network has 2 inputs"),
    ):
        with pytest.raises(ArgumentError, match=message) as error:
            fdref.nonlinearities(*arguments, **options)
        assert "\n" not in str(error.value)


@pytest.mark.slow
def test_the_lenets_figures():
    """On the shipped sample pools do most, and gates known help nothing."""
    net, images = fdref.load(), fdref.mnist().test.images
    found = fdref.nonlinearities(net, images, layers=[5, 7])
    for n, figures in {
        5: {DECODED: 0.806, MEAN_GRADIENT: 0.783, LINEAR: 0.884, AFFINE: 0.925},
        7: {DECODED: 0.659, MEAN_GRADIENT: 0.607, LINEAR: 0.807, AFFINE: 0.823},
    }.items():
        for name, expected in figures.items():
            assert found[n].predicted[name].correlation == pytest.approx(expected, abs=5e-3)
    linear = {key: one.correlation for key, one in found[7].replaced.items()}
    expected = {(): 0.659, (6,): 0.715, (4,): 0.713, (2, 4): 0.895, (2, 4, 6): 1.0}
    for key, value in expected.items():
        assert linear[key] == pytest.approx(value, abs=2e-3)

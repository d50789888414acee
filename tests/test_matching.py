"""Pictures that are alike, and neurons of two networks that are matched by them."""

from __future__ import annotations

import pickle
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import methods, seeds

import fdref
from fdref.measure import likeness as module
from fdref.measure.matching import assign, counterparts


@pytest.fixture(params=["SciPy", "greedy"])
def optimal(request, monkeypatch):
    """Run a test with SciPy, where it is installed, and without."""
    if request.param == "SciPy":
        pytest.importorskip("scipy")
        return True
    monkeypatch.setitem(__import__("sys").modules, "scipy.optimize", None)
    return False


@given(
    seed=seeds,
    counts=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    dtype=st.sampled_from([np.float32, np.float64]),
    pixels=st.sampled_from([1, 5, 2**13]),
)
def test_likeness_is_the_cosine(seed, counts, dtype, pixels):
    random = np.random.default_rng(seed)
    bank, other = (random.standard_normal((n, 2, 3, 4)).astype(dtype) for n in counts)
    bank[0] *= random.choice([0, 1e-25, 1e25])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PIXELS", pixels)
        found, own = fdref.likeness(bank, other), fdref.likeness(bank)
    assert found.dtype == np.float32
    for cosines, others in ((found, other), (own, bank)):
        for (i, j), cosine in np.ndenumerate(cosines):
            a, b = bank[i].ravel().astype(float), others[j].ravel().astype(float)
            lengths = np.sqrt((a**2).sum()) * np.sqrt((b**2).sum())
            assert abs(cosine - ((a * b).sum() / lengths if lengths else 0)) < 1e-6
    assert abs(own).max() <= 1


@given(seed=seeds, count=st.integers(0, 9), size=st.integers(1, 7))
def test_the_most_alike_are_those_of_a_sorted_list(seed, count, size):
    bank = np.random.default_rng(seed).integers(-1, 2, (size, 1, 2, 2)).astype(float)
    numbers, cosines = fdref.most_alike(bank, count)
    alike = fdref.likeness(bank)
    for k in range(size):
        others = sorted((j for j in range(size) if j != k), key=lambda j: (-alike[k, j], j))
        assert numbers[k].tolist() == others[:count]
        np.testing.assert_array_equal(cosines[k], alike[k, others[:count]])


def test_memory_is_bounded():
    """What is taken beside the bank and the result is a small part of a large bank."""
    import tracemalloc

    bank = np.random.default_rng(0).standard_normal((64, 3, 196, 196), np.float32)
    tracemalloc.start()
    fdref.most_alike(bank)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert taken < bank.nbytes / 3


def test_bad_banks():
    bank = np.ones((2, 1, 3, 3))
    for arguments, message in (
        ((bank[0],), "has shape"),
        ((bank, np.ones((2, 1, 3, 4))), "expected one shape"),
        ((bank, bank * np.inf), "other bank holds NaN or infinity"),
    ):
        with pytest.raises(fdref.ArgumentError, match=message):
            fdref.likeness(*arguments)
    for count in (-1, 1.5, True):
        with pytest.raises(fdref.ArgumentError, match="count is"):
            fdref.most_alike(bank, count)


def shuffled(net, random):
    """Permute and rescale every layer's filters but the last's; the channels above follow."""
    layers, order, scale, orders = [], np.arange(net.channels[0]), np.ones(1), {}
    for number, layer in enumerate(net, 1):
        if isinstance(layer, fdref.Conv):
            followed = layer.filters[:, order] / scale[:, None, None]
            order = random.permutation(len(layer.filters))
            scale = random.uniform(0.5, 2, len(order))
            filters = followed[order] * scale[:, None, None, None]
            layers.append(fdref.Conv(filters, None, layer.stride, layer.pad))
            orders[number] = order
        else:
            layers.append(layer)
    return fdref.Network(layers, input_channels=net.channels[0]), orders


def small():
    random = np.random.default_rng(5)
    return fdref.Network(
        [
            fdref.Conv(random.standard_normal((8, 3, 3, 3)), pad=1),
            fdref.ReLU(),
            fdref.Pool(2, 2),
            fdref.Conv(random.standard_normal((12, 8, 3, 3))),
            fdref.ReLU(),
            fdref.Conv(random.standard_normal((6, 12, 3, 3))),
        ]
    )


@given(method=methods, seed=seeds)
def test_permuted_and_rescaled_neurons_are_found(method, seed):
    net = small()
    other, orders = shuffled(net, np.random.default_rng(seed))
    found = fdref.match(net, other, method)
    assert [(own.layer, own.other_layer) for own in found] == [(1, 1), (4, 4), (6, 6)]
    for own in found:
        np.testing.assert_array_equal(orders[own.layer][own.partners], np.arange(len(own.partners)))
        np.testing.assert_allclose(own.likeness, 1, atol=1e-6)


def test_permuted_lenet_is_found(optimal, engine):
    net = fdref.load() if engine == "compiled" else small()
    other, orders = shuffled(net, np.random.default_rng(0))
    for own in fdref.match(net, other, "nearest", engine):
        np.testing.assert_array_equal(orders[own.layer][own.partners], np.arange(len(own.partners)))
        np.testing.assert_allclose(own.likeness, 1, atol=1e-5)
        assert own.optimal is optimal


@given(seed=seeds, shape=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_the_assignment_is_the_best_of_all(seed, shape):
    pytest.importorskip("scipy")
    alike = np.random.default_rng(seed).uniform(-1, 1, shape)
    partners, found, optimal = assign(alike)
    wide = alike if shape[0] <= shape[1] else alike.T
    rows = range(len(wide))
    best = max(
        sum(wide[i, j] for i, j in zip(rows, chosen, strict=True))
        for chosen in permutations(range(wide.shape[1]), len(wide))
    )
    assert optimal
    assert abs(np.nansum(found) - best) < 1e-6
    check_pairs(alike, partners, found)


def check_pairs(alike, partners, found):
    there = partners >= 0
    assert there.sum() == min(alike.shape)
    assert len(set(partners[there])) == there.sum()
    np.testing.assert_array_equal(found[there], alike[there, partners[there]].astype(np.float32))
    assert np.isnan(found[~there]).all()


@given(seed=seeds, shape=st.tuples(st.integers(1, 5), st.integers(1, 5)))
def test_greedy_takes_the_most_alike_first(seed, shape):
    alike = np.random.default_rng(seed).integers(-3, 4, shape) / 3
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(__import__("sys").modules, "scipy.optimize", None)
        partners, found, optimal = assign(alike)
    assert not optimal
    check_pairs(alike, partners, found)
    left = alike.copy()
    for _ in range(min(shape)):
        row, column = np.unravel_index(left.argmax(), shape)
        assert partners[row] == column
        left[row], left[:, column] = -9, -9


def test_more_neurons_than_the_other_has(optimal):
    net = small()
    fewer = fdref.Network([fdref.Conv(net[1].filters[[3, 5]], pad=1), *net.layers[1:3]])
    (found,) = fdref.match(net, fewer)
    assert found.partners.tolist() == [-1, -1, -1, 0, -1, 1, -1, -1]
    assert np.isnan(found.likeness).sum() == 6
    (back,) = fdref.match(fewer, net)
    assert back.partners.tolist() == [3, 5]
    assert back.optimal is optimal


def test_layers_of_one_shape_are_compared_in_order():
    random = np.random.default_rng(0)

    def net(*taps):
        channels = (3, *(4 for _ in taps))
        return fdref.Network(
            [
                fdref.Conv(random.standard_normal((4, own, side, side)))
                for own, side in zip(channels, taps, strict=False)
            ]
        )

    assert counterparts(net(3, 1, 3), net(1, 3, 1, 1, 3)) == [(1, 2), (2, 3), (3, 5)]
    assert counterparts(net(3, 1), net(5, 5)) == []
    assert fdref.match(net(3), net(5)) == []
    grey = fdref.Network([fdref.Conv(np.ones((1, 1, 3, 3)))])
    assert counterparts(net(3), grey) == []


def test_a_match_is_a_value():
    net = small()
    counted = []
    first, *others = fdref.match(net, net, progress=counted.append)
    assert sum(counted) == 2 * (8 + 12 + 6)
    assert first == fdref.match(net, net)[0] != others[0]
    assert pickle.loads(pickle.dumps(first)) == first  # noqa: S301 - written here
    with pytest.raises(ValueError, match="read-only"):
        first.partners[0] = 1


def test_bad_networks():
    net = small()
    for arguments, message in (
        ((net, 3), "other is 3"),
        ((3, net), "net is 3"),
        ((net, net, "cubic"), "unpool is 'cubic'"),
        ((net, net, "nearest", "fast"), "engine is 'fast'"),
        ((net, net, "nearest", "compiled", 5), "progress is 5"),
    ):
        with pytest.raises(fdref.ArgumentError, match=message):
            fdref.match(*arguments)
    for alike in (np.ones(3), [[np.nan]]):
        with pytest.raises(fdref.ArgumentError, match="expected finite likenesses"):
            assign(alike)

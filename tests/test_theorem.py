"""What the decoded filter is: the mean over switches, the best filter for noise, and told apart."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import fdref
from fdref import Conv, Network, Normalize, Pool, PReLU, ReLU
from fdref.measure import gating


def all_settings(first, second, pool):
    """Average one unit's projections over every setting of the switches, one after another.

    A chain of a correlation, a max pool and a filter of `second`'s size over its maps.
    """
    (height, width), stride = second.shape[1:], pool.stride[0]
    window, channels = pool.window[0], second.shape[0]
    pixels = list(product(range(channels), range(height), range(width)))
    choices = list(product(range(window), repeat=2))
    rows = (height - 1) * stride + window
    columns = (width - 1) * stride + window
    total, count = np.zeros((channels, rows, columns)), 0
    for setting in product(choices, repeat=len(pixels)):
        for (c, i, j), (a, b) in zip(pixels, setting, strict=True):
            total[c, i * stride + a, j * stride + b] += second[c, i, j]
        count += 1
    mean = total / count
    taps = first.shape[2]
    picture = np.zeros((first.shape[1], rows + taps - 1, columns + taps - 1))
    for c, y, x in np.ndindex(mean.shape):
        picture[:, y : y + taps, x : x + taps] += mean[c, y, x] * first[c]
    return picture, count


@pytest.mark.parametrize("stride", [2, 1])
def test_the_decoded_filter_is_the_mean_over_all_settings_of_the_switches(stride):
    """Exactly; where windows overlap, too: each switch's own mean is the average of its window."""
    random = np.random.default_rng(0)
    first, second = random.standard_normal((2, 1, 3, 3)), random.standard_normal((1, 2, 2, 2))
    net = Network([Conv(first), Pool(2, stride), Conv(second)])
    mean, count = all_settings(first, second[0], net[2])
    assert count == 65536  # four places of two by two pixels of two channels
    window = fdref.decode(net, 3, unpool="window", engine="reference")[0]
    np.testing.assert_allclose(window, mean, rtol=1e-11, atol=1e-12)
    nearest = fdref.decode(net, 3, unpool="nearest", engine="reference")[0]
    agrees = nearest.shape == mean.shape and np.allclose(nearest / 4, mean, atol=1e-12)
    assert agrees == (stride == 2)


CHAINS = {
    "separate": [Pool(2, 2)],
    "overlapping": [Pool(3, 2), ReLU()],
    "averages, too": [Pool(2, 2, method="avg"), Normalize(3, 1, 0.1, 0.75), Pool((1, 2), 1)],
}


@pytest.mark.parametrize("engine", ["compiled", "reference"])
@pytest.mark.parametrize("name", CHAINS)
def test_random_settings_differ_from_it_by_chance_alone(name, engine):
    random = np.random.default_rng(1)
    bank, more = random.standard_normal((3, 1, 3, 3)), random.standard_normal((4, 3, 3, 2))
    net = Network([Conv(bank), *CHAINS[name], Conv(more)])
    done = []
    found = fdref.mean_over_switches(
        net, len(net), [0, 2], samples=2000, engine=engine, progress=done.append
    )
    assert len(done) == 2
    assert 0.8 < found.surprise < 1.2
    assert (found.correlations > 0.99).all()
    np.testing.assert_allclose(found.gains, 1, atol=0.05)


def test_what_is_not_the_mean_is_told():
    """An estimate of another filter is many standard errors off."""
    net = fdref.load()
    found = fdref.mean_over_switches(net, 3, [0, 1], samples=500)
    swapped = type(found)(
        found.filters, found.decoded[::-1], found.estimated, found.deviations, 500
    )
    assert found.surprise < 1.2
    assert swapped.surprise > 3
    assert (swapped.correlations < 0.5).all()


def test_for_a_linear_network_noise_finds_the_filter_itself():
    random = np.random.default_rng(2)
    bank, more = random.standard_normal((3, 2, 3, 3)), random.standard_normal((4, 3, 2, 2))
    net = Network([Conv(bank, random.standard_normal(3)), Pool(2, 2, method="avg"), Conv(more)])
    found = fdref.best_for_noise(net, 3, samples=200)
    np.testing.assert_allclose(found.estimated, found.decoded, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(found.gains, 1, rtol=1e-9)


def test_noise_finds_what_least_squares_finds():
    random = np.random.default_rng(3)
    bank, more = random.standard_normal((3, 1, 3, 3)), random.standard_normal((2, 3, 3, 3))
    net = Network([Conv(bank, random.standard_normal(3)), ReLU(), Pool(2, 2), Conv(more)])
    found = fdref.best_for_noise(net, 4, samples=40_000, seed=5)
    x = np.random.default_rng(9).standard_normal((40_000, 1, *fdref.receptive_field(net, 4).size))
    y = fdref.forward(net, x, last=4)[4].reshape(len(x), -1)
    rows = np.hstack([x.reshape(len(x), -1), np.ones((len(x), 1))])
    fitted = np.linalg.lstsq(rows, y, rcond=None)[0][:-1].T.reshape(found.estimated.shape)
    spread = (found.estimated - fitted) / found.deviations
    assert 1.0 < np.sqrt((spread**2).mean()) < 1.8  # two estimates, each off by about one
    assert (found.correlations > 0.85).all()


def test_padding_is_no_part_of_what_noise_is_fitted_over():
    random = np.random.default_rng(4)
    bank, more = random.standard_normal((2, 1, 3, 3)), random.standard_normal((3, 2, 3, 3))
    layers = [Conv(bank, pad=1), Pool(2, 2, method="avg"), Conv(more, pad=1)]
    free = fdref.best_for_noise(Network(layers), 3, samples=100)
    field = fdref.receptive_field(Network(layers), 3)
    assert free.decoded.shape == (3, 1, *field.size)
    np.testing.assert_allclose(free.estimated, free.decoded, rtol=1e-8, atol=1e-10)
    sized = fdref.best_for_noise(Network(layers, input_size=(6, 6)), 3, samples=100)
    assert sized.decoded.shape == (3, 1, 6, 6)  # clipped at the borders of the image
    np.testing.assert_allclose(sized.estimated, sized.decoded, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("leak", [0.0, 0.25])
def test_gates_make_the_decoded_filter_the_best_one_above_a_relu(leak, monkeypatch):
    """Exactly, above one: at borders, too, and where biases open some channels more than others."""
    monkeypatch.setattr("fdref.measure.noise.SAMPLES", 100_000)
    random = np.random.default_rng(6)
    banks = random.standard_normal((6, 1, 3, 3)), random.standard_normal((4, 6, 5, 5))
    biases = 3 * random.standard_normal(6)
    net = Network([Conv(banks[0], biases, pad=1), ReLU(leak), Conv(banks[1])], input_size=5)
    plain = fdref.best_for_noise(net, 3, samples=20_000)
    found = fdref.best_for_noise(net, 3, samples=20_000, gated=True)
    assert found.decoded.shape == (4, 1, 5, 5)
    assert 0.8 < found.surprise < 1.25
    assert plain.surprise > 5
    np.testing.assert_allclose(found.gains, 1, atol=0.03)


@pytest.mark.parametrize("leak", [0.0, 0.25])
def test_gates_make_it_nearly_the_best_one_above_several(leak):
    """One gate knows something of the next, which their shares do not: a gain of 0.96."""
    random = np.random.default_rng(6)
    banks = [random.standard_normal((6, c, 3, 3)) for c in (1, 6)]
    layers = [
        Conv(banks[0], 3 * random.standard_normal(6), pad=1),
        ReLU(leak),
        Conv(banks[1] / 5, 2 * random.standard_normal(6), pad=1),
        PReLU(np.full(6, leak)),
        Conv(random.standard_normal((8, 6, 3, 3))),
    ]
    net = Network(layers, input_size=(7, 6))
    done = []
    plain = fdref.best_for_noise(net, 5, samples=20_000)
    gated = fdref.best_for_noise(net, 5, samples=20_000, gated=True, progress=done.append)
    assert sum(done) == 21_000
    assert (gated.correlations > 0.98).all()
    assert (gated.correlations > plain.correlations).mean() > 0.9
    np.testing.assert_allclose(gated.gains.mean(), 1, atol=0.05)
    assert (plain.gains < 0.8).all()


def test_gates_are_mean_derivatives_of_units():
    """Twin: unit by unit, one image of noise after another."""
    biases = [0.5, -0.5]
    net = Network([Conv(np.ones((2, 1, 2, 2)), biases), ReLU(0.1), Conv(np.ones((1, 2, 2, 2)))])
    engine = fdref.engines.engine_named("reference")
    gates = gating.gates_for_noise(net, 3, (3, 3), 50, 2.0, np.random.default_rng(3), engine)
    x = 2.0 * np.random.default_rng(3).standard_normal((50, 1, 3, 3))
    sums = np.zeros((2, 2, 2))
    for image in x[:, 0]:
        for c, y, k in np.ndindex(2, 2, 2):
            sums[c, y, k] += 1 if image[y : y + 2, k : k + 2].sum() + biases[c] > 0 else 0.1
    np.testing.assert_allclose(gates[2], sums / 50, rtol=1e-12)


def test_without_relus_there_are_no_gates():
    net = fdref.load()
    ways = [fdref.best_for_noise(net, 3, [1], samples=200, gated=gated) for gated in (False, True)]
    assert np.array_equal(ways[0].decoded, ways[1].decoded)
    assert np.array_equal(ways[0].estimated, ways[1].estimated)


@pytest.mark.slow
def test_lenets_figures():
    net = fdref.load()
    fifth = fdref.best_for_noise(net, 5, samples=20_000)
    assert 0.98 < fifth.correlations.mean() < 0.995
    assert 0.95 < fifth.gains.mean() < 1.0
    seventh = fdref.best_for_noise(net, 7, samples=20_000)
    assert 0.45 < seventh.gains.mean() < 0.58  # the ReLU lets half of the noise through
    gated = fdref.best_for_noise(net, 7, samples=20_000, gated=True)
    assert 0.95 < gated.gains.mean() < 1.0
    assert gated.correlations.mean() > seventh.correlations.mean() + 0.02
    for layer in (3, 5, 7):
        switches = fdref.mean_over_switches(net, layer, range(3), samples=1000)
        assert 0.9 < switches.surprise < 1.1


class TestSpecificity:
    NET = fdref.load()

    def test_decoded_filters_are_their_own(self):
        found = fdref.specificity(self.NET, fdref.decode(self.NET, 3, unpool="nearest"), 3)
        np.testing.assert_allclose(found.own, 1, rtol=1e-6)
        assert found.found == 1
        assert found.chance == 1 / 50
        assert (found.ranks == 1).all()

    def test_pictures_of_others_are_not(self):
        pictures = fdref.decode(self.NET, 3, unpool="nearest")
        found = fdref.specificity(self.NET, np.roll(pictures, 1, axis=0), 3)
        assert found.found == 0
        assert (found.ranks > 1).all()

    def test_correlations_are_numpys(self):
        random = np.random.default_rng(0)
        pictures = random.standard_normal((2, 1, 14, 14)) * 1e30
        found = fdref.specificity(self.NET, pictures, 3, filters=[4, 9], unpool="bicubic")
        decoded = fdref.decode(self.NET, 3)
        for row, k in np.ndindex(2, 50):
            expected = np.corrcoef(pictures[row].ravel(), decoded[k].ravel())[0, 1]
            assert found.correlations[row, k] == pytest.approx(expected, abs=1e-6)
        expected = np.corrcoef(pictures[0].ravel(), pictures[1].ravel())[0, 1]
        assert found.alike == pytest.approx(expected, abs=1e-9)
        assert (found.own == found.correlations[[0, 1], [4, 9]]).all()

    def test_pictures_that_show_nothing_are_found_by_nobody(self):
        found = fdref.specificity(self.NET, np.full((2, 1, 14, 14), 0.1), 3, filters=[0, 1])
        assert np.isnan(found.own).all()
        assert found.found == 0
        assert np.isnan(found.alike)

    def test_a_picture_that_is_the_same_for_all_is_told_by_alike(self):
        picture = np.random.default_rng(0).standard_normal((1, 1, 14, 14)).repeat(50, 0)
        found = fdref.specificity(self.NET, picture, 3)
        assert found.alike == pytest.approx(1)
        assert found.found == 1 / 50

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"pictures": np.zeros((50, 1, 13, 14))}, r"expected \(50, 1, 14, 14\)"),
            ({"pictures": np.zeros((49, 1, 14, 14))}, r"expected \(50, 1, 14, 14\)"),
            ({"pictures": np.full((50, 1, 14, 14), np.inf)}, "pictures hold NaN or infinity"),
            ({"filters": [50]}, "50"),
            ({"layer": 0}, "layer"),
            ({"unpool": "other"}, "unpool"),
            ({"net": 1}, "net is 1"),
        ],
    )
    def test_what_cannot_be_compared_is_told(self, given, message):
        own = {"net": self.NET, "pictures": np.zeros((50, 1, 14, 14)), "layer": 3} | given
        with pytest.raises(fdref.ArgumentError, match=message):
            fdref.specificity(**own)


@pytest.mark.parametrize(
    ("function", "given", "message"),
    [
        (fdref.mean_over_switches, {"samples": 1}, "samples is 1; expected .* at least 2"),
        (fdref.mean_over_switches, {"layer": 2}, "pool"),
        (fdref.mean_over_switches, {"seed": -1}, "seed is -1"),
        (fdref.best_for_noise, {"samples": 1.5}, "samples is 1.5"),
        (fdref.best_for_noise, {"deviation": 0}, "deviation is 0; expected a positive number"),
        (fdref.best_for_noise, {"deviation": np.nan}, "deviation is nan"),
        (fdref.best_for_noise, {"filters": [99]}, "99"),
        (fdref.best_for_noise, {"gated": 1}, "gated is 1; expected True or False"),
        (fdref.best_for_noise, {"engine": "x"}, "engine is 'x'"),
    ],
)
def test_what_cannot_be_estimated_is_told(function, given, message):
    with pytest.raises(fdref.ArgumentError, match=message):
        function(**{"net": fdref.load(), "layer": 3, "samples": 2} | given)

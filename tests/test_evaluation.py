"""Eq. 3, against slow twins and against PyTorch."""

from __future__ import annotations

from math import fsum, sqrt

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from slow_cases import slow_respond
from strategies import images_for, networks

import fdref
from fdref import ArgumentError, BatchNorm, Conv, Network, NetworkError, Normalize, Pad, Pool, ReLU
from fdref.measure.evaluation import Evaluation, compare


def slow_error(response, predicted):
    """Eq. 3 for one image, number by number."""
    found, expected = list(predicted.ravel()), list(response.ravel())
    scaled = []
    for values in (expected, found):
        low, high = min(values), max(values)
        scaled.append([(v - low) / (high - low) for v in values])
    return sum((a - b) ** 2 for a, b in zip(*scaled, strict=True)) / len(found)


@pytest.mark.slow
@pytest.mark.large
@pytest.mark.parametrize("unpool", ["bicubic", "nearest", "bilinear"])
def test_evaluation_is_its_slow_twin(unpool, engine):
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:3])
    found = fdref.evaluate(net, x, unpool=unpool, engine=engine)
    acts = fdref.forward(net, x, engine="reference")
    for number, jump in [(1, (1, 1)), (3, (2, 2)), (5, (4, 4)), (7, (4, 4))]:
        bank = fdref.decode(net, number, unpool=unpool, engine="reference")
        some = slice(0, 40)  # enough filters; the whole of layer 5 would take minutes
        for i in range(3):
            if number == 5:
                predicted = (bank[:, 0] * x[i, 0].astype(float)).sum(axis=(1, 2))
            else:
                predicted = naive.correlate(x[i : i + 1], bank[some], None, jump, (0,) * 4, (1, 1))
                if number in (1, 3) and len(bank) > 40:
                    rest = fdref.correlate(x[i : i + 1], bank[40:], stride=jump, engine="reference")
                    predicted = np.concatenate([predicted, rest], axis=1)
            expected = slow_error(acts[number][i], predicted)
            assert found[number].errors[i] == pytest.approx(expected, rel=1e-4, abs=1e-9)
            r = np.corrcoef(acts[number][i].ravel(), predicted.ravel())[0, 1]
            assert found[number].correlations[i] == pytest.approx(r, abs=1e-5)


@given(st.data(), networks(linear=True))
def test_linear_networks_have_no_error(data, net):
    """Correlations, scalings and averages of separate windows are predicted exactly."""
    x = data.draw(images_for(net))
    found = fdref.evaluate(net, x, unpool="nearest")
    for number, result in found.items():
        areas = np.prod([np.prod(a.window) for a in net.layers[:number] if isinstance(a, Pool)])
        response = fdref.forward(net, x)[number]
        bank = fdref.decode(net, number, unpool="nearest") / areas
        predicted = fdref.respond(net, number, bank, x)
        assert predicted.shape == response.shape
        terms = fdref.respond(net, number, abs(bank), abs(x)).max(initial=0)
        assert abs(predicted - response).max() <= 1e-5 * max(terms, 1e-30)
        assert result.n == len(x)
        spans = np.ptp(response.reshape(len(x), -1), axis=1)
        assert (result.errors[spans > 1e-3 * terms] < 1e-4).all()
        assert np.isnan(result.errors[spans == 0]).all()


def test_padding_is_aligned():
    """With padding everywhere, inside the image the response is still what the filter predicts."""
    random = np.random.default_rng(0)
    net = Network(
        [
            Conv(random.standard_normal((3, 2, 3, 2)), pad=(1, 2, 0, 1), stride=(1, 2)),
            Pool(2, 2, pad=(1, 1, 0, 0), method="avg"),
            Conv(random.standard_normal((4, 3, 2, 3)), pad=(0, 1, 2, 1)),
        ]
    )
    x = random.standard_normal((2, 2, 21, 30))
    bank = fdref.decode(net, 3, unpool="nearest") / 4
    predicted, response = fdref.respond(net, 3, bank, x), fdref.forward(net, x)[3]
    assert predicted.shape == response.shape
    inner = np.s_[:, :, 2:-2, 3:-3]
    assert response[inner].size > 50
    np.testing.assert_allclose(predicted[inner], response[inner], atol=1e-10)


@pytest.mark.parametrize("size", [(1, 2), (4, 9)])
@pytest.mark.parametrize("pad", [(5, 7, 3, 0), (0, 4, 0, 6), (0, 0, 0, 0)])
def test_fields_that_see_nothing_but_padding_answer_zero(engine, pad, size):
    random = np.random.default_rng(0)
    net = Network([Conv(random.standard_normal((2, 1, 1, 2)), stride=(2, 3), pad=pad)])
    x, bank = random.standard_normal((2, 1, *size)), fdref.decode(net, 1)
    response = fdref.forward(net, x)[1]
    predicted = fdref.respond(net, 1, bank, x, engine)
    expected = slow_respond(x, bank, (2, 3), (-pad[0], -pad[2]), response.shape[2:])
    np.testing.assert_allclose(predicted, expected, atol=1e-12)
    np.testing.assert_allclose(predicted, response, atol=1e-12)


def test_neither_chunks_nor_company_change_an_image_s_error(monkeypatch):
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:7])
    whole = fdref.evaluate(net, x, layers=[3, "conv4"])
    monkeypatch.setattr("fdref.measure.chunks.SIZE", 2)
    parts = fdref.evaluate(net, x, layers=[3, 7])
    for number in (3, 7):
        np.testing.assert_allclose(parts[number].errors, whole[number].errors, rtol=1e-4)
        assert f"{parts[number].mean:.4f}" == f"{whole[number].mean:.4f}"


@pytest.mark.large
def test_table_1_on_the_shipped_digits():
    """The paper's means; the sample's own scatter is well inside the bands."""
    net = fdref.load()
    found = fdref.evaluate(net, net.prepare(fdref.mnist().test.images[::4]))
    assert found[1].mean < 1e-9
    assert 0.001 < found[3].mean < 0.003
    assert 0.010 < found[5].mean < 0.016
    assert 0.060 < found[7].mean < 0.100


def test_a_constant_response_compares_with_nothing():
    """Neither well nor badly: an image is left out of the mean, and n tells of it."""
    random = np.random.default_rng(0)
    net = Network([Conv(random.standard_normal((2, 1, 2, 2))), ReLU()])
    x = np.concatenate([np.zeros((1, 1, 4, 4)), random.standard_normal((2, 1, 4, 4))])
    found = fdref.evaluate(net, x)[1]
    assert np.isnan(found.errors).tolist() == np.isnan(found.correlations).tolist()
    assert np.isnan(found.errors).tolist() == [True, False, False]
    assert (found.n, found.compared) == (3, 2)
    assert (found.mean, found.std) == (found.errors[1:].mean(), found.errors[1:].std())
    assert found.correlation == pytest.approx(1)
    none = fdref.evaluate(net, x[:1])[1]
    assert none.compared == 0
    assert np.isnan([none.mean, none.std, none.correlation]).all()


def test_mean_and_deviation_are_those_of_the_images_that_were_compared():
    found = Evaluation(np.array([1, np.nan, 2, 6]), np.array([0.5, np.nan, -0.5, 0.75]))
    assert (found.n, found.compared, found.mean, found.correlation) == (4, 3, 3, 0.25)
    assert found.std == pytest.approx(np.sqrt(14 / 3))


def test_what_a_crop_leaves_out_is_not_predicted():
    """Decoded filters fit into the image at places that the network has cut off."""
    random = np.random.default_rng(0)
    crop = Pad((1, -3, -1, -2))
    layers = [
        Conv(random.standard_normal((2, 1, 3, 2))),
        crop,
        Conv(random.standard_normal((3, 2, 2, 2))),
    ]
    net, x = Network(layers), random.standard_normal((2, 1, 11, 9))
    response = fdref.forward(net, x)[3]
    found = fdref.respond(net, 3, fdref.decode(net, 3), x)
    assert found.shape == response.shape == (2, 3, 6, 4)
    np.testing.assert_allclose(found[:, :, 1:], response[:, :, 1:], atol=1e-12)  # but for the pad
    assert fdref.evaluate(net, x)[3].n == 2


def test_one_number_cannot_be_compared():
    """A single filter at a single place: mapped to [0, 1], each number would be any other."""
    random = np.random.default_rng(0)
    net = Network([Conv(random.standard_normal((1, 1, 3, 3)), [5.0])])
    assert fdref.evaluate(net, random.standard_normal((4, 1, 3, 3)))[1].compared == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("count", [2, 63, 64, 65, 500])
def test_rows_are_compared_as_number_by_number(count, dtype, engine):
    """Whatever their length, to float64's rounding; and where all but two are in the middle."""
    random = np.random.default_rng(count)
    response, predicted = random.standard_normal((2, 4, count)).astype(dtype)
    response[1], response[1, :2] = 0.5, (0, 1)
    predicted[2] = response[2]
    predicted[3] = -2 * response[3]
    errors, correlations = compare(response, predicted, engine=engine)
    for one, other, error, correlation in zip(
        response.astype(float), predicted.astype(float), errors, correlations, strict=True
    ):
        assert error == pytest.approx(slow_error(one, other), rel=1e-13, abs=1e-30)
        ones, others = one - fsum(one) / count, other - fsum(other) / count
        norm = sqrt(fsum(ones**2) * fsum(others**2))
        assert correlation == pytest.approx(fsum(ones * others) / norm, abs=1e-14)
    assert errors[2] == 0
    assert correlations[2:] == pytest.approx([1, -1], abs=1e-15)


def test_a_row_in_the_company_of_others_is_compared_alike(engine):
    """On as many threads as there are; of maps as of their rows."""
    sides = np.random.default_rng(0).standard_normal((2, 40, 5, 41, 20)).astype(np.float32)
    whole = compare(*sides, engine=engine)
    for n in range(0, 40, 13):
        np.testing.assert_array_equal(
            compare(*sides[:, n : n + 1], engine=engine)[:, 0], whole[:, n]
        )


@pytest.mark.parametrize("size", [1e-320, 1e-310, 1e-200, 1e-160, 1e160, 1e300, 3e307])
def test_neither_size_nor_place_of_a_response_changes_what_it_is_like(size, engine):
    """Squares and spans of such numbers overflow or vanish in float64."""
    random = np.random.default_rng(0)
    response, predicted = np.clip(random.standard_normal((2, 3, 50)), -2.9, 2.9)
    wanted = compare(response, predicted, engine=engine)
    digits = 2 if size < 1e-318 else 9  # of so small numbers themselves there are few
    for sides in ((response * size, predicted), (response, predicted * size)):
        scaled = compare(*sides, engine=engine)
        np.testing.assert_allclose(scaled, wanted, rtol=0, atol=10.0**-digits)
    both = [np.array([[-1.7e308, 0, 1.7e308]]), np.array([[-1.0, 0, 1]])]  # the span is infinite
    np.testing.assert_array_equal(compare(*both, engine=engine), [[0], [1]])
    turned = compare(both[0], -both[1], engine=engine)
    np.testing.assert_array_equal(turned, [[2 / 3], [-1]])


def test_weights_of_any_size_that_does_not_overflow_are_judged_alike():
    """A power of two on a layer's filters rounds nothing: errors are the same bit for bit."""
    random = np.random.default_rng(0)
    first, second = random.standard_normal((4, 1, 3, 3)), random.standard_normal((3, 4, 2, 2))
    x = random.standard_normal((3, 1, 12, 12))

    def judged(scale: float) -> np.ndarray:
        net = Network([Conv(first), Pool(2, 2), ReLU(), Conv(scale * second)])
        found = fdref.evaluate(net, x)[4]
        return np.stack([found.errors, found.correlations])

    for power in (-1040, -600, 600, 1010):
        wanted = judged(1.0)
        tolerance = 1e-7 if power == -1040 else 0  # subnormal numbers have fewer digits
        np.testing.assert_allclose(judged(2.0**power), wanted, rtol=0, atol=tolerance)


NUMBERS = [0.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("response", "predicted"),
    [
        ([np.nan, 1, 2], NUMBERS),
        (NUMBERS, [0, np.nan, 2]),
        ([np.nan] * 3, [np.nan] * 3),
        ([0, 1, np.inf], NUMBERS),
        ([0, 1, np.inf], [0, 1, np.inf]),
        ([0, 1, -np.inf], [0, 1, -np.inf]),
        ([-np.inf, 1, np.inf], NUMBERS),
        ([np.inf] * 3, [np.inf] * 3),
        ([7, 7, 7], NUMBERS),
        (NUMBERS, [0, 0, 0]),
        ([7, 7, 7], [7, 7, 7]),
    ],
)
@pytest.mark.filterwarnings("default")
def test_what_cannot_be_compared_has_no_score(response, predicted, engine):
    """Nor does it touch the image beside it."""
    rows = [np.array([side, NUMBERS]) for side in (response, predicted)]
    found = compare(*rows, engine=engine)
    assert np.isnan(found[:, 0]).all()
    np.testing.assert_array_equal(found[:, 1], [0, 1])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_that_is_not_finite_is_refused_by_its_number(value, engine, monkeypatch):
    monkeypatch.setattr("fdref.measure.chunks.SIZE", 2)
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:6])
    x[3, 0, 5, 6] = value
    with pytest.raises(ArgumentError, match=rf"^image 3 holds {value} at \[0, 5, 6\]; expected"):
        fdref.evaluate(net, x, layers=[1], engine=engine)
    assert not np.isfinite(fdref.respond(net, 1, fdref.decode(net, 1), x[3:4], engine)).all()


def test_an_image_too_large_for_float32_is_refused():
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:3]).astype(np.float64)
    x[2] = 1e300
    with pytest.raises(ArgumentError, match=r"^image 2 holds 1e\+300 .* fit into float32$"):
        fdref.evaluate(net, x, layers=[1])


def ones(size: float, *shape: int) -> np.ndarray:
    return np.full(shape, size, np.float32)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ([Conv(ones(1e25, 2, 1, 2, 2)), Conv(ones(1e25, 1, 2, 1, 1))],
         r"^layer 2 \(conv\) has decoded filters too large for float32; expected smaller"),
        ([Conv(ones(1e38, 2, 1, 1, 2))],
         r"^layer 1 \(conv\) answers image 1 with inf: too large for float32; expected smaller"),
        # what overflowed looks like numbers again
        ([Conv(ones(-1e38, 2, 1, 1, 2)), ReLU(), Conv(ones(1e-38, 1, 2, 1, 1), ones(1, 1))],
         r"^layer 1 \(conv\) answers image 1 with -inf"),
        ([Conv(ones(1, 1, 1, 1, 1)), Normalize(1, 2, 1, -300), Conv(ones(1, 1, 1, 1, 1))],
         r"^layer 2 \(normalize\) answers image 0 with inf"),  # divided by 0
        # the network averages, its decoded filter adds up
        ([Conv(ones(1, 2, 1, 1, 1)), Pool(2, 2, method="avg"), Conv(ones(2e37, 1, 2, 1, 1))],
         r"^the decoded filters of layer 3 \(conv\) answer image 1 with inf"),
    ],
)  # fmt: skip
def test_responses_that_overflow_are_refused_by_layer_and_image(layers, message):
    """Quietly: the tests make an error of every warning."""
    x = np.random.default_rng(0).standard_normal((3, 1, 4, 4)).astype(np.float32)
    x[1] = 5
    top = max(number for number, layer in enumerate(layers, 1) if isinstance(layer, Conv))
    with pytest.raises(NetworkError, match=message):
        fdref.evaluate(Network(layers), x, layers=[top], unpool="nearest")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda net, x: fdref.evaluate(net, x[:0]), "there are no images"),
        (lambda net, x: fdref.evaluate(net, x, layers=[2]), "has no filters"),
        (lambda net, x: fdref.evaluate(net, x[0]), "images have shape"),
        (lambda net, x: fdref.respond(net, 3, np.ones((1, 1, 5, 5)), x), "expected .K, 1, 14, 14"),
    ],
)
def test_what_cannot_be_evaluated(call, message):
    net = fdref.load()
    with pytest.raises(ArgumentError, match=message):
        call(net, net.prepare(fdref.mnist().test.images[:1]))


def test_batch_normalisation_is_followed_by_a_shift_only():
    """A bias shifts every response of a filter alike, so one filter is predicted exactly."""
    random = np.random.default_rng(1)
    norm = BatchNorm([2.0, -1.0], [0.5, 3.0], [1.0, 0.0], [0.5, 2.0])
    top = Conv(random.standard_normal((1, 2, 3, 3)), [7.0])
    net = Network([Conv(random.standard_normal((2, 1, 3, 3))), norm, top])
    found = fdref.evaluate(net, random.standard_normal((3, 1, 9, 9)), layers=[3])
    assert found[3].mean < 1e-20
    assert found[3].correlation == pytest.approx(1)

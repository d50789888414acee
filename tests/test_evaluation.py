"""Eq. 3, against slow twins and against PyTorch."""

from __future__ import annotations

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import images_for, networks

import fdref
from fdref import ArgumentError, BatchNorm, Conv, Network, Pool, ReLU


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
        if np.ptp(response) > 1e-3 * terms:
            assert result.mean < 1e-4


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


def test_neither_chunks_nor_company_change_an_image_s_error(monkeypatch):
    net = fdref.load()
    x = net.prepare(fdref.mnist().test.images[:7])
    whole = fdref.evaluate(net, x, layers=[3, "conv4"])
    monkeypatch.setattr("fdref.evaluation.CHUNK", 2)
    parts = fdref.evaluate(net, x, layers=[3, 7])
    for number in (3, 7):
        np.testing.assert_allclose(parts[number].errors, whole[number].errors, rtol=1e-4)
        assert f"{parts[number].mean:.4f}" == f"{whole[number].mean:.4f}"


def test_table_1_on_the_shipped_digits():
    """The paper's means; the sample's own scatter is well inside the bands."""
    net = fdref.load()
    found = fdref.evaluate(net, net.prepare(fdref.mnist().test.images[::4]))
    assert found[1].mean < 1e-9
    assert 0.001 < found[3].mean < 0.003
    assert 0.010 < found[5].mean < 0.016
    assert 0.060 < found[7].mean < 0.100


def test_a_constant_response_is_mapped_to_zero():
    net = Network([Conv(np.ones((2, 1, 2, 2))), ReLU()])
    found = fdref.evaluate(net, np.zeros((1, 1, 4, 4)))
    assert (found[1].mean, found[1].correlation) == (0, 0)


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

"""Facts that hold for every network, for both engines and both precisions."""

from __future__ import annotations

from math import prod

import naive
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import convs, dtypes, images_for, methods, networks, pairs, pools, seeds

import fdref
from fdref import Conv, Network, Pool

ENGINES = st.sampled_from(["compiled", "reference"])


def close(found, expected, dtype, scale=None):
    """Agree to 1e-5 (float32) or 1e-12 (float64) of the largest magnitude that was added up."""
    scale = np.abs(expected).max(initial=0) if scale is None else scale
    bound = (1e-5 if dtype == np.float32 else 1e-12) * max(float(scale), 1e-30)
    np.testing.assert_allclose(found, expected, rtol=0, atol=bound)


def window_areas(net):
    return prod(prod(layer.window) for layer in net if isinstance(layer, Pool))


@given(st.data(), networks(linear=True), ENGINES)
def test_decoded_filters_are_exact_in_linear_networks(data, net, engine):
    """Fact 1: what the last layer answers is the image correlated with its decoded filters."""
    x = data.draw(images_for(net))
    response = fdref.forward(net, x, engine=engine)[-1]
    bank = fdref.decode(net, len(net), unpool="nearest", engine=engine) / window_areas(net)
    field = fdref.receptive_field(net, len(net))
    found = fdref.correlate(x, bank, stride=field.stride, engine="reference")
    terms = fdref.correlate(abs(x), abs(bank), stride=field.stride, engine="reference")
    assert found.shape == response.shape
    close(response, found, net.dtype, scale=terms.max())


@given(st.data(), networks(linear=True), pairs(1, 4), pairs(1, 3), ENGINES)
def test_window_is_exact_under_overlapping_averages(data, net, window, stride, engine):
    """Fact 1 with `window`, whose shares need no division by areas."""
    pool = Pool(window, stride, method="avg")
    net = Network([pool, *net.layers], input_channels=net.channels[0])
    x = data.draw(images_for(net))
    response = fdref.forward(net, x, engine=engine)[-1]
    bank = fdref.decode(net, len(net), unpool="window", engine=engine)
    field = fdref.receptive_field(net, len(net))
    found = fdref.correlate(x, bank, stride=field.stride, engine="reference")
    terms = fdref.correlate(abs(x), abs(bank), stride=field.stride, engine="reference")
    close(response, found, net.dtype, scale=terms.max())


@given(st.data(), dtypes, st.integers(1, 6), pairs(1, 6), ENGINES)
def test_substitution_is_the_adjoint_of_correlation(data, dtype, channels, size, engine):
    """Fact 2: <correlate(x, w), y> = <x, substitute(y, w)>."""
    layer = data.draw(convs(channels, dtype, linear=True))
    random = np.random.default_rng(data.draw(seeds))
    y = random.standard_normal((2, len(layer.filters), *size)).astype(dtype)
    groups = channels // layer.filters.shape[1]
    options = {"stride": layer.stride, "dilate": layer.dilate, "engine": engine}
    down = fdref.substitute(y, layer.filters, groups=groups, **options)
    x = random.standard_normal(down.shape).astype(dtype)
    up = fdref.correlate(x, layer.filters, **options)
    assert up.shape == y.shape
    left, right = np.vdot(up.astype(float), y), np.vdot(x, down.astype(float))
    close(left, right, dtype, scale=np.linalg.norm(up) * np.linalg.norm(y) + abs(right))


@given(st.data(), networks(), methods, ENGINES)
def test_decoding_is_linear_in_the_filter(data, net, unpool, engine):
    """Fact 3: the sum of two filters decodes to the sum of what they decode to."""
    top = net[len(net)]
    random = np.random.default_rng(data.draw(seeds))
    other = random.standard_normal(top.filters.shape).astype(net.dtype)

    def decoded(filters):
        last = Conv(filters, stride=top.stride, pad=top.pad, dilate=top.dilate)
        again = Network([*net.layers[:-1], last], input_channels=net.channels[0])
        return fdref.decode(again, len(again), unpool=unpool, engine=engine).astype(float)

    parts = decoded(top.filters), decoded(other)
    scale = abs(parts[0]).max() + abs(parts[1]).max()
    close(decoded(top.filters + other), sum(parts), net.dtype, scale=scale)


@given(networks(), methods, ENGINES)
def test_a_decoded_filter_has_the_size_of_the_receptive_field(net, unpool, engine):
    for number in net.decodable:
        bank = fdref.decode(net, number, unpool=unpool, engine=engine)
        size = fdref.receptive_field(net, number).size
        assert bank.shape == (net.channels[number], net.channels[0], *size)
        assert bank.dtype == (net.dtype if engine == "compiled" else np.float64)


@given(networks(integers=True))
def test_integer_weights_decode_to_the_same_integers_everywhere(net):
    """Fact 3: under nearest, bit for bit the same in both engines and path by path."""
    number = len(net)
    compiled = fdref.decode(net, number, unpool="nearest")
    reference = fdref.decode(net, number, unpool="nearest", engine="reference")
    paths = [naive.decode_by_paths(net, number, k, "nearest") for k in range(len(compiled))]
    assert (compiled == reference).all()
    assert (reference == np.round(reference)).all()
    assert (reference == paths).all()


@given(networks(), methods)
def test_engines_and_the_papers_paths_agree(net, unpool):
    """Fact 4: path by path = summed over channels at every step = compiled."""
    number = len(net)
    reference = fdref.decode(net, number, unpool=unpool, engine="reference")
    paths = [naive.decode_by_paths(net, number, k, unpool) for k in range(len(reference))]
    close(reference, np.array(paths), np.float64, scale=abs(reference).max() * 10)
    close(fdref.decode(net, number, unpool=unpool), reference, net.dtype)


@given(st.data(), networks())
def test_engines_agree_forward(data, net):
    x = data.draw(images_for(net))
    for compiled, reference in zip(
        fdref.forward(net, x), fdref.forward(net, x, engine="reference"), strict=True
    ):
        close(compiled, reference, net.dtype, scale=abs(reference).max() + 1)


@given(st.data(), st.integers(1, 4), pairs(6, 9), ENGINES)
def test_correlation_is_its_slow_twin(data, channels, size, engine):
    layer = data.draw(convs(channels, np.float64))
    x = np.random.default_rng(data.draw(seeds)).standard_normal((2, channels, *size))
    options = layer.stride, layer.pad, layer.dilate
    found = fdref.correlate(x, layer.filters, layer.bias, *options, engine=engine)
    close(found, naive.correlate(x, layer.filters, layer.bias, *options), np.float64, scale=10)


@given(st.data(), st.integers(1, 4), pairs(1, 5), ENGINES)
def test_substitution_is_its_slow_twin(data, channels, size, engine):
    layer = data.draw(convs(channels, np.float64))
    maps = np.random.default_rng(data.draw(seeds)).standard_normal((2, len(layer.filters), *size))
    maps[np.random.default_rng(0).random(maps.shape) < data.draw(st.floats(0, 1))] = 0
    options = layer.stride, layer.dilate, channels // layer.filters.shape[1]
    found = fdref.substitute(maps, layer.filters, *options, engine=engine)
    close(found, naive.substitute(maps, layer.filters, *options), np.float64, scale=10)


@pytest.mark.parametrize("tap", [np.nan, np.inf, -np.inf])
def test_substituting_what_is_not_finite_for_few_pixels(tap):
    """Maps that are nearly zeros are not multiplied, though 0 times infinity is NaN."""
    maps = np.zeros((2, 4, 64, 64))  # of 16,384 numbers, zeros are counted
    maps[:, ::3, 5::20, 7::20] = 2
    filters = np.random.default_rng(0).standard_normal((4, 3, 3, 3))
    filters[1, 2, 0, 1] = tap
    with np.errstate(invalid="ignore"):
        expected = fdref.substitute(maps, filters, engine="reference")
        found = fdref.substitute(maps, filters)
    assert np.isnan(expected[:, 2]).any()
    assert np.isfinite(expected[:, :2]).all()
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@given(st.data(), pools(), pairs(3, 9), ENGINES)
def test_pooling_is_its_slow_twin(data, layer, size, engine):
    x = np.random.default_rng(data.draw(seeds)).standard_normal((2, 2, *size)) - 3
    options = layer.window, layer.stride, layer.pad, layer.method
    found = fdref.pool(x, *options, engine=engine)
    close(found, naive.pool(x, *options), np.float64)


@given(st.data(), pools(), pairs(3, 9), ENGINES)
def test_pooling_what_is_not_finite_is_its_slow_twin(data, layer, size, engine):
    random = np.random.default_rng(data.draw(seeds))
    x = random.choice(
        [-np.inf, np.inf, np.nan, 0.0, 1.0], (2, 2, *size), p=[0.4, 0.1, 0.1, 0.2, 0.2]
    )
    options = layer.window, layer.stride, layer.pad
    with np.errstate(invalid="ignore"):
        found = fdref.pool(x, *options, "max", engine)
        lower = naive.pool(np.where(np.isnan(x), np.inf, x), *options, "max")
        nans = naive.pool(np.isnan(x).astype(float), *options, "max") > 0
        average = fdref.pool(x, *options, "avg", engine)
        expected = naive.pool(x, *options, "avg")
    np.testing.assert_array_equal(found, np.where(nans, np.nan, lower))
    np.testing.assert_allclose(average, expected, atol=1e-12)


@given(st.data(), pairs(1, 5), pairs(1, 4), pairs(1, 5), methods, ENGINES)
def test_unpooling_is_its_slow_twin(data, size, stride, window, method, engine):
    maps = np.random.default_rng(data.draw(seeds)).standard_normal((2, 3, *size))
    found = fdref.unpool(maps, stride, window, method, engine=engine)
    close(found, naive.unpool(maps, stride, window, method), np.float64)


@pytest.mark.slow
@pytest.mark.parametrize("unpool", ["bicubic", "nearest", "bilinear"])
@pytest.mark.parametrize(("number", "filters"), [(1, [0, 19]), (3, range(50)), (5, [0, 123, 499])])
def test_the_lenet_decodes_as_the_paper_writes_it(number, filters, unpool):
    """On the real thing: 20 paths for a filter of layer 3, 1,000 for one of layer 5."""
    net = fdref.load()
    reference = fdref.decode(net, number, filters, unpool=unpool, engine="reference")
    some = range(0, len(filters), 7)
    paths = [naive.decode_by_paths(net, number, filters[k], unpool) for k in some]
    close(reference[some], np.array(paths), np.float64)
    close(fdref.decode(net, number, filters, unpool=unpool), reference, np.float32)


@pytest.mark.slow
@pytest.mark.large
@pytest.mark.parametrize("unpool", ["bicubic", "nearest", "bilinear"])
def test_engines_decode_all_580_filters_of_the_lenet_alike(unpool):
    net = fdref.load()
    compiled = fdref.decode_all(net, unpool=unpool)
    reference = fdref.decode_all(net, unpool=unpool, engine="reference")
    assert sum(map(len, compiled.values())) == 580
    for number, bank in compiled.items():
        close(bank, reference[number], np.float32)


def test_decoding_again_gives_the_same_bits(monkeypatch):
    net = fdref.load()
    first = fdref.decode(net, 5, filters=range(40))
    assert (fdref.decode(net, 5, filters=range(40)) == first).all()
    monkeypatch.setattr("fdref.decoding.blocks.PICTURES", 1)  # one filter at a time
    close(fdref.decode(net, 5, filters=range(40)), first, np.float32)

"""Numbers that depend on what they see alone: not on the size of a map, nor on other images."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import dtypes, images_for, networks, seeds

import fdref
from fdref import ArgumentError, ConvTranspose, Network
from fdref.engines import local as module
from fdref.engines.local import WIDTH, local, multiply


@pytest.fixture(autouse=True)
def fresh():
    """What one test finds out of a spoilt product is nothing to the next."""
    module.alike.cache_clear()
    yield
    module.alike.cache_clear()


def exact(matrix, columns):
    return matrix.astype(np.float64) @ columns.astype(np.float64)


@settings(max_examples=30)
@given(st.data(), networks())
def test_an_image_is_answered_alike_whatever_stands_beside_it(data, net):
    for engine in ("compiled", "reference"):
        own = local(engine)
        x = data.draw(images_for(net, count=5))
        together = fdref.forward(net, x, own)
        for n in range(len(x)):
            alone = fdref.forward(net, x[n : n + 1], own)
            for own_maps, maps in zip(alone, together, strict=True):
                assert own_maps.tobytes() == maps[n : n + 1].tobytes()
        plain = fdref.forward(net, x, engine)
        eps = 1e-5 if together[-1].dtype == np.float32 else 1e-12
        for own_maps, maps in zip(together, plain, strict=True):
            assert own_maps.shape == maps.shape
            assert abs(own_maps - maps).max() <= eps * max(1, abs(maps).max())


@given(seeds, st.integers(1, 3), st.integers(1, 3), dtypes)
@settings(max_examples=30)
def test_transposed_convolutions(seed, groups, upsample, dtype):
    random = np.random.default_rng(seed)
    bank = random.standard_normal((2 * groups, 2, 3, 4)).astype(dtype)
    bias = random.standard_normal(2 * groups).astype(dtype)
    net = Network([ConvTranspose(bank, bias, upsample, (1, 0, -1, 1), groups)])
    x = random.standard_normal((3, 2 * groups, 5, 4)).astype(dtype)
    for engine in ("compiled", "reference"):
        together = fdref.forward(net, x, local(engine))[-1]
        alone = fdref.forward(net, x[1:2], local(engine))[-1]
        assert alone.tobytes() == together[1:2].tobytes()
        expected = fdref.forward(net, x, "reference")[-1]
        eps = 1e-5 if together.dtype == np.float32 else 1e-12
        assert abs(together - expected).max() <= eps * abs(expected).max()


@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (3, 40)])
@pytest.mark.parametrize("channels", [3, 8, 1000])
def test_softmax_of_a_pixel_is_that_of_any_other(shape, channels, engine):
    random = np.random.default_rng(0)
    column = random.standard_normal((1, channels, 1, 1))
    own = local(engine)
    column = column.astype(own.precision(np.dtype(np.float32)))
    maps = np.broadcast_to(column, (2, channels, *shape)).copy()
    found = own.softmax(maps)
    assert (found == own.softmax(column)).all()
    assert abs(found.sum(axis=1) - 1).max() < 1e-5


@pytest.mark.parametrize("rows", [1, 2, 3, 64])
@pytest.mark.parametrize("terms", [1, 9, 576, 1100])
@pytest.mark.parametrize("count", [1, 2, WIDTH - 1, WIDTH, WIDTH + 1, 3 * WIDTH + 17])
def test_columns_are_multiplied_alike(rows, terms, count):
    random = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        matrix = random.standard_normal((rows, terms)).astype(dtype)
        column = random.standard_normal((terms, 1)).astype(dtype)
        columns = random.standard_normal((terms, count)).astype(dtype)
        columns[:, :: max(1, count // 7)] = column
        out = np.empty((rows, count), dtype)
        multiply(matrix, columns, out)
        alone = np.empty((rows, 1), dtype)
        multiply(matrix, column, alone)
        assert (out[:, :: max(1, count // 7)] == alone).all()
        bound = abs(matrix).astype(np.float64) @ abs(columns)
        eps = 1e-5 if dtype == np.float32 else 1e-12
        assert (abs(out - exact(matrix, columns)) <= eps * bound).all()


@pytest.mark.parametrize("edge", [(8, 8), (0, 5), (30, 0), (WIDTH // 2, 0), (70, 70)])
def test_a_blas_that_rounds_the_edges_otherwise(edge, monkeypatch):
    """Columns at the edges of a product come out wrong in the last bits: they must not be used."""

    def spoilt(left, right, out):
        out[:] = left @ right
        last = out.shape[1] - edge[1]
        out[:, : edge[0]] *= 1 + 1e-6
        out[:, last:] *= 1 - 1e-6

    monkeypatch.setattr(module, "product", spoilt)
    random = np.random.default_rng(0)
    matrix = random.standard_normal((4, 30)).astype(np.float32)
    columns = random.standard_normal((30, 700)).astype(np.float32)
    columns[:, ::50] = columns[:, :1]
    out = np.empty((4, 700), np.float32)
    multiply(matrix, columns, out)
    assert (out[:, ::50] == out[:, :1]).all()
    within = abs(matrix) @ abs(columns)
    assert (abs(out - exact(matrix, columns)) <= 3e-7 * within).all()
    first, last = module.alike(4, 30, np.dtype(np.float32))
    assert (first, last) == ((0, 0) if sum(edge) > WIDTH // 2 else (edge[0], WIDTH - edge[1]))


def test_no_two_columns_alike(monkeypatch):
    def spoilt(left, right, out):
        out[:] = (left @ right) * (1 + 1e-3 * np.arange(out.shape[1], dtype=out.dtype))

    monkeypatch.setattr(module, "product", spoilt)
    matrix = np.random.default_rng(0).standard_normal((3, 600)).astype(np.float32)
    columns = np.random.default_rng(1).standard_normal((600, 20)).astype(np.float32)
    out = np.empty((3, 20), np.float32)
    multiply(matrix, columns, out)
    assert abs(out - exact(matrix, columns)).max() < 1e-5 * abs(out).max()


def test_what_is_no_engine():
    with pytest.raises(ArgumentError, match="engine is 'numpy'; expected"):
        local("numpy")

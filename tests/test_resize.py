"""Unpooling is MATLAB's imresize: its tables, and matrices computed in another way."""

from __future__ import annotations

import tracemalloc
from fractions import Fraction

import numpy as np
import pytest

import fdref
from fdref.engines.resize import METHODS, PAPERS, band, matrix

SQUARE = np.array([[[[1.0, 2.0], [3.0, 4.0]]]])
TABLES = {
    "bilinear": [
        [1, 1.25, 1.75, 2],
        [1.5, 1.75, 2.25, 2.5],
        [2.5, 2.75, 3.25, 3.5],
        [3, 3.25, 3.75, 4],
    ],
    "bicubic": [
        [0.71875, 1.015625, 1.609375, 1.90625],
        [1.3125, 1.609375, 2.203125, 2.5],
        [2.5, 2.796875, 3.390625, 3.6875],
        [3.09375, 3.390625, 3.984375, 4.28125],
    ],
    "nearest": [[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]],
}


@pytest.mark.parametrize("method", PAPERS)
def test_matlabs_tables_to_the_last_bit(method, engine):
    assert (fdref.unpool(SQUARE, 2, method=method, engine=engine) == TABLES[method]).all()


def hat(x: Fraction) -> Fraction:
    return max(1 - abs(x), Fraction(0))


def keys(x: Fraction) -> Fraction:
    """Keys' kernel as the spline that is 1 at 0, 0 at 1 and 2, with slopes 0, a, 0 there."""
    x, a = abs(x), Fraction(-1, 2)
    if x < 1:  # cubic Hermite on [0, 1]: values 1, 0, slopes 0, a
        return (2 * x**3 - 3 * x**2 + 1) + a * (x**3 - x**2)
    if x < 2:  # cubic Hermite on [1, 2]: values 0, 0, slopes a, 0
        t = x - 1
        return a * (t**3 - 2 * t**2 + t)
    return Fraction(0)


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 7])
@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
@pytest.mark.parametrize(("method", "kernel"), [("bilinear", hat), ("bicubic", keys)])
def test_matrices_in_exact_fractions(method, kernel, size, factor):
    """The signal is laid out mirrored for several periods; every pixel of it votes."""
    exact = [[Fraction(0)] * size for _ in range(size * factor)]
    for o, row in enumerate(exact):
        u = Fraction(2 * o + 1, 2 * factor) - Fraction(1, 2)
        for i in range(-4 * size - 4, 5 * size + 4):
            period, place = divmod(i, size)
            row[place if period % 2 == 0 else size - 1 - place] += kernel(u - i)
        total = sum(row)
        row[:] = [weight / total for weight in row]
    found = matrix(size, factor, method)
    # Terms of the cubic as large as 10 cancel, so a rounding there is 20 of those near 1/2.
    bound = 20 * np.finfo(float).eps
    np.testing.assert_allclose(found, np.array(exact, float), rtol=0, atol=bound)


@pytest.mark.parametrize("method", METHODS)
def test_a_constant_stays_and_a_mirror_image_is_enlarged_to_a_mirror_image(method, engine):
    flat = np.full((1, 1, 3, 5), 2.5)
    assert np.ptp(fdref.unpool(flat, 3, method=method, engine=engine)) < 1e-14
    maps = np.random.default_rng(0).standard_normal((1, 2, 4, 3))
    there = fdref.unpool(maps, (2, 3), method=method, engine=engine)
    back = fdref.unpool(maps[:, :, ::-1, ::-1], (2, 3), method=method, engine=engine)
    np.testing.assert_allclose(there, back[:, :, ::-1, ::-1], atol=1e-14)


@pytest.mark.parametrize(
    ("window", "expected"),
    [
        (2, [1, 1, 2, 2]),
        (3, [1, 1, 2, 2, 0]),
        (4, [0, 1, 1, 2, 2, 0]),
        (5, [0, 1, 1, 2, 2, 0, 0]),
        (1, [1, 1, 2]),
    ],
)
def test_an_enlarged_map_is_centred_in_its_field(window, expected, engine):
    """Zeros around it where windows overlap, cropped where they leave gaps; the odd one after."""
    line = np.array([[[[1.0, 2.0]]]])
    found = fdref.unpool(line, (1, 2), (1, window), "nearest", engine=engine)
    assert found.ravel().tolist() == expected


def test_gaps_are_cropped_before_and_after(engine):
    line = np.array([[[[1.0, 2.0]]]])
    found = fdref.unpool(line, (1, 5), (1, 2), "nearest", engine=engine)
    assert found.ravel().tolist() == [1, 1, 1, 1, 2, 2, 2]


@pytest.mark.parametrize("method", METHODS)
def test_long_maps_take_no_more_than_a_few_times_themselves(method, engine):
    line = np.random.default_rng(0).standard_normal((1, 1, 2, 16_000))
    fdref.unpool(line[..., :3000], 2, method=method, engine=engine)  # compiled
    tracemalloc.start()
    found = fdref.unpool(line, 2, method=method, engine=engine)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 20e6
    inner = fdref.unpool(line[..., 8000:8010], 2, method=method, engine=engine)
    np.testing.assert_allclose(found[..., 16008:16012], inner[..., 8:12], atol=1e-14)
    across = fdref.unpool(line.swapaxes(2, 3), 2, method=method, engine=engine)
    np.testing.assert_allclose(across.swapaxes(2, 3), found, atol=1e-14)


@pytest.mark.large
def test_of_many_sizes_little_is_kept():
    band(50, 2, 2, "bicubic")
    tracemalloc.start()
    for size in range(1, 2000, 7):
        fdref.unpool(np.ones((1, 1, size, 2)), 2)
        fdref.unpool(np.ones((1, 1, size, 2)), 2, engine="reference")
    kept = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert kept < 8e6


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [3, 8, 40])
def test_what_is_not_finite_stays_near(method, size, engine):
    """Small maps as large ones: what is enlarged from other pixels is what it would be."""
    maps = np.random.default_rng(0).standard_normal((1, 2, size, size))
    expected = fdref.unpool(maps, 2, method=method, engine=engine)
    maps[0, 0, 0, 0] = np.inf
    with np.errstate(invalid="ignore"):
        found = fdref.unpool(maps, 2, method=method, engine=engine)
    near = 2 + 4 * (method != "nearest")
    assert not np.isfinite(found[0, 0, 0, 0])
    np.testing.assert_allclose(found[0, 1], expected[0, 1], atol=1e-14)
    np.testing.assert_allclose(found[0, 0, near:], expected[0, 0, near:], atol=1e-14)
    np.testing.assert_allclose(found[0, 0, :, near:], expected[0, 0, :, near:], atol=1e-14)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("factor", [1, 2, 3, 5])
@pytest.mark.parametrize("method", PAPERS)
def test_what_is_not_finite_reaches_where_it_has_a_weight(method, factor, value, engine):
    """And no further: 0 times NaN, or infinity, takes no part; the rest is as if it were 0."""
    maps = np.random.default_rng(0).standard_normal((1, 1, 6, 7))
    maps[0, 0, 2, 3] = 0
    window = factor + 1
    clean = fdref.unpool(maps, factor, window, method, engine)
    weights = [matrix(size, factor, method) for size in (6, 7)]
    reached = np.outer(weights[0][:, 2] != 0, weights[1][:, 3] != 0)
    reached = np.pad(reached, ((0, 1), (0, 1)))  # a window one larger: a row and a column of zeros
    maps[0, 0, 2, 3] = value
    found = fdref.unpool(maps, factor, window, method, engine)[0, 0]
    np.testing.assert_array_equal(~np.isfinite(found), reached)
    np.testing.assert_allclose(found[~reached], clean[0, 0][~reached], 1e-12, 1e-12)

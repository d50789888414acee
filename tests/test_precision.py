"""Sums of many numbers: float32 stays within 1e-5 of the largest value, at any length.

Equal numbers are the worst: what is rounded off is the same each time, and adds up.
"""

from __future__ import annotations

import numpy as np
import pytest

import fdref
from fdref.engines import engine_named
from fdref.engines.pointwise import normalize, softmax
from fdref.engines.products import LONG, sum_precision
from fdref.layers import Conv
from fdref.training.loss import weight_gradients

COMPILED = engine_named("compiled")
PLAIN = (1, 1), (0, 0, 0, 0)


def equal(*shape):
    return np.full(shape, 0.1, np.float32)


def check(operation, *arrays):
    found = operation(*arrays)
    exact = operation(*(array.astype(np.float64) for array in arrays))
    assert found.dtype == np.float32
    assert np.abs(found - exact).max() <= 1e-5 * np.abs(exact).max()


@pytest.mark.parametrize(
    ("images", "filters"),
    [
        ((1, 1, 120, 120), (1, 1, 118, 118)),
        ((2, 3000, 5, 5), (2, 3000, 3, 3)),
        ((1, 25088, 1, 1), (64, 25088, 1, 1)),
        ((64, 25088, 1, 1), (1, 25088, 1, 1)),
    ],
)
def test_long_correlations(images, filters):
    check(
        lambda x, w: COMPILED.correlate(x, w, None, *PLAIN, (1, 1)), equal(*images), equal(*filters)
    )


@pytest.mark.parametrize(
    ("maps", "filters"),
    [
        ((1, 1, 90, 90), (1, 1, 80, 80)),  # overlapping taps
        ((1, 1, 60, 60), (1, 1, 100, 100)),  # overlapping stamps
        ((1, 20000, 1, 1), (20000, 1, 3, 3)),
        ((1, 5000, 2, 2), (5000, 1, 3, 3)),
        ((1, 3000, 4, 4), (3000, 1, 2, 2)),
    ],
)
def test_long_substitutions(maps, filters):
    check(fdref.substitute, equal(*maps), equal(*filters))


@pytest.mark.parametrize("value", [0.1, 1.1, 1.3, 1.7])
@pytest.mark.parametrize("terms", [LONG - 1, LONG, LONG + 1, 2 * LONG])
def test_sums_that_are_just_not_long(terms, value):
    """Of some numbers more is rounded off than of others; and products overlap."""

    def full(*shape):
        return np.full(shape, value, np.float32)

    check(
        lambda x, w: COMPILED.correlate(x, w, None, *PLAIN, (1, 1)),
        full(1, terms, 2, 2),
        full(1, terms, 1, 1),
    )
    check(fdref.substitute, full(1, terms, 4, 4), full(terms, 1, 5, 5))
    check(fdref.substitute, full(1, terms, 1, LONG), full(terms, 1, 1, LONG))
    check(lambda x: fdref.pool(x, (1, terms), 1, method="avg"), full(1, 1, 1, terms + 1))


@pytest.mark.large
def test_long_substitutions_of_few_pixels():
    maps = equal(1, 1, 200, 200)
    maps[:, :, np.random.default_rng(0).random((200, 200)) < 0.8] = 0
    check(fdref.substitute, maps, equal(1, 1, 120, 120))
    deep = np.zeros((1, 3000, 32, 32), np.float32)
    deep[:, :, 15:17, 15:17] = 0.1
    check(fdref.substitute, deep, equal(3000, 1, 2, 2))


@pytest.mark.parametrize(("window", "stride"), [(1024, 1), ((1, 5000), 1), ((600, 500), 1)])
def test_averages_of_large_windows(window, stride):
    height, width = np.broadcast_to(window, 2)
    images = equal(1, 1, height + 1, width + 1)
    check(lambda x: fdref.pool(x, window, stride, method="avg"), images)


@pytest.mark.parametrize("method", ["max", "avg"])
def test_gradients_of_overlapping_windows(method):
    images = equal(1, 1, 3, 2100)
    images[0, 0, 1, 1050] = 1
    window = (2, 1050)
    above = equal(1, 1, 2, 1051)
    check(lambda x, g: COMPILED.pool_gradient(x, g, window, *PLAIN, method), images, above)


def test_gradients_of_filters_and_biases():
    layer = Conv(equal(1, 1, 3, 3))
    for shape in ((1, 1, 400, 400), (5000, 1, 3, 3)):
        above = equal(shape[0], 1, shape[2] - 2, shape[3] - 2)
        for part in range(2):
            check(
                lambda x, g, part=part: weight_gradients(layer, x, g, COMPILED)[part],
                equal(*shape),
                above,
            )


def test_softmax_and_normalisation_of_many_channels():
    check(softmax, equal(1, 200_000, 1, 2))
    check(lambda x: normalize(x, 5001, 1.0, 1.0, 0.75), equal(1, 5000, 1, 2))


def test_short_sums_stay_in_their_own_precision():
    """Sizes alone decide, so that ordinary results keep their bits."""
    assert sum_precision(LONG, np.dtype(np.float32)) == np.float32
    assert sum_precision(LONG + 1, np.dtype(np.float32)) == np.float64
    images = np.random.default_rng(0).standard_normal((1, LONG, 1, 1)).astype(np.float32)
    filters = np.random.default_rng(1).standard_normal((3, LONG, 1, 1)).astype(np.float32)
    plain = images.reshape(1, -1) @ filters.reshape(3, -1).T
    assert (fdref.correlate(images, filters).ravel() == plain.ravel()).all()

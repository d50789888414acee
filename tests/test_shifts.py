"""Correlation by shift-and-add: the same as by patches, chosen where it is less work."""

from __future__ import annotations

import naive
import numpy as np
import pytest

import fdref
from fdref.engines import compiled, shifting

ONCE = (1, 1)
NO_PAD = (0, 0, 0, 0)


@pytest.fixture(params=["float32", "float64"])
def random(request):
    """Draws arrays of a dtype."""
    generator = np.random.default_rng(0)
    return lambda *shape: generator.standard_normal(shape).astype(request.param)


@pytest.mark.parametrize(
    ("shape", "filters", "stride", "pad", "dilate"),
    [
        ((3, 1, 9, 8), (1, 1, 5, 5), ONCE, NO_PAD, ONCE),
        ((2, 1, 9, 8), (3, 1, 1, 1), ONCE, NO_PAD, ONCE),  # no taps that are moved
        ((2, 3, 9, 8), (2, 3, 2, 3), ONCE, (2, 0, 1, 3), ONCE),
        ((2, 1, 9, 8), (1, 1, 3, 3), ONCE, (0, 2, 0, 0), ONCE),  # lines end where the image's do
        ((2, 1, 9, 8), (1, 1, 3, 3), ONCE, (2, 0, 0, 0), ONCE),
        ((2, 1, 9, 8), (1, 1, 3, 3), ONCE, (0, 0, 0, 2), ONCE),
        ((2, 3, 9, 11), (2, 3, 3, 2), (3, 2), NO_PAD, ONCE),
        ((2, 2, 9, 8), (1, 2, 2, 3), ONCE, NO_PAD, (3, 2)),
        ((2, 4, 9, 8), (4, 1, 3, 3), ONCE, (1, 1, 1, 1), ONCE),  # depthwise
        ((2, 4, 9, 8), (8, 1, 3, 3), (2, 2), (1, 1, 1, 1), ONCE),
        ((2, 2, 9, 8), (4, 2, 3, 3), ONCE, (1, 1, 1, 1), ONCE),  # three at a time, and one
        ((2, 1, 9, 8), (8, 1, 2, 4), (2, 1), NO_PAD, ONCE),  # twice three, and two
        ((2, 6, 11, 13), (4, 3, 3, 2), (2, 3), (3, 2, 0, 4), (2, 3)),
        ((2, 1, 3, 3), (1, 1, 2, 2), (3, 3), (4, 4, 4, 4), ONCE),  # windows that see zeros alone
        ((1, 1, 5, 5), (1, 1, 4, 5), ONCE, NO_PAD, ONCE),  # lines of one position
        *(
            ((2, 2, 4, 5), (2, 2, 2, 3), ONCE, tuple(3 * row for row in side), ONCE)
            for side in np.eye(4, dtype=int).tolist()  # of one side alone
        ),
    ],
)
def test_it_is_correlation(shape, filters, stride, pad, dilate, random, monkeypatch):
    x, w, bias = random(*shape), random(*filters), random(filters[0])
    monkeypatch.setattr(shifting, "FEW", np.inf)
    for offset in (None, bias):
        found = compiled.correlate(x, w, offset, stride, pad, dilate)
        expected = naive.correlate(x, w, offset, stride, pad, dilate)
        assert found.dtype == x.dtype
        atol = 4 * np.finfo(x.dtype).eps * abs(expected).max()
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3)])
def test_what_is_not_finite_reaches_those_who_see_it(value, stride, monkeypatch):
    """And no others: not those at the other end of the line. With a weight of 0, it is NaN."""
    x = np.ones((2, 2, 7, 9), np.float32)
    x[0, 1, 3, 7] = x[1, 0, 5, 0] = value
    w = np.random.default_rng(0).standard_normal((2, 2, 3, 2)).astype(np.float32)
    w[1, :, 1] = 0
    answers = []
    for few in (0, np.inf):
        monkeypatch.setattr(shifting, "FEW", few)
        with np.errstate(invalid="ignore"):
            answers.append(compiled.correlate(x, w, None, stride, (1, 0, 0, 1), ONCE))
    np.testing.assert_allclose(*answers, rtol=1e-5, atol=1e-6)
    assert 0 < (~np.isfinite(answers[1])).sum() < answers[1].size / 4


@pytest.mark.parametrize(
    ("maps", "filters", "groups", "dilate"),
    [
        ((3, 1, 9, 8), (1, 1, 5, 5), 1, ONCE),
        ((2, 3, 4, 5), (3, 4, 2, 3), 1, ONCE),
        ((2, 3, 1, 2), (3, 1, 4, 1), 1, ONCE),  # larger than the maps
        ((2, 4, 5, 6), (4, 1, 3, 3), 4, ONCE),  # depthwise
        ((2, 6, 5, 6), (6, 2, 3, 2), 3, (2, 3)),
    ],
)
def test_it_is_substitution(maps, filters, groups, dilate, random, monkeypatch):
    x, w = random(*maps), random(*filters)
    answers = []
    for few in (0, np.inf):
        monkeypatch.setattr(shifting, "FEW", few)
        answers.append(compiled.substitute(x, w, ONCE, dilate, groups))
    expected = naive.substitute(x, w, ONCE, dilate, groups)
    atol = 4 * np.finfo(x.dtype).eps * abs(expected).max()
    for found in answers:
        assert found.dtype == x.dtype
        np.testing.assert_allclose(found, expected, rtol=0, atol=atol)


@pytest.mark.parametrize("where", ["maps", "filters"])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_where_it_is_substituted(where, value, monkeypatch):
    x, w = np.ones((2, 1, 5, 6)), np.ones((1, 1, 2, 3))
    {"maps": x, "filters": w}[where][0, 0, 1, 2] = value
    answers = []
    for few in (0, np.inf):
        monkeypatch.setattr(shifting, "FEW", few)
        answers.append(compiled.substitute(x, w, ONCE, ONCE, 1))
    np.testing.assert_array_equal(*answers)
    assert 0 < (~np.isfinite(answers[1])).sum() < answers[1].size


def test_an_infinite_weight_makes_nan_of_padding(monkeypatch):
    w = np.array([[[[np.inf, 1]]]])
    monkeypatch.setattr(shifting, "FEW", np.inf)
    with np.errstate(invalid="ignore"):  # with the JIT off, NumPy warns
        found = compiled.correlate(np.ones((1, 1, 1, 2)), w, None, ONCE, (0, 0, 1, 1), ONCE)
    np.testing.assert_array_equal(found, [[[[np.nan, np.inf, np.inf]]]])


@pytest.mark.parametrize(
    ("filters", "channels", "size", "chosen"),
    [
        ((1, 1, 5, 5), 1, (24, 24), True),
        ((12, 3, 7, 7), 3, (58, 58), True),
        ((24, 3, 7, 7), 3, (58, 58), False),
        ((32, 1, 3, 3), 32, (32, 32), True),  # depthwise
        ((20, 1, 5, 5), 1, (24, 24), False),  # LeNet's
        ((50, 20, 5, 5), 20, (8, 8), False),
        ((1, 20, 5, 5), 20, (8, 8), True),
        ((1, 21, 5, 5), 21, (8, 8), False),  # 525 terms: too many to be added one by one
        ((8, 8, 3, 3), 8, (4, 6), False),  # too small a map
    ],
)
def test_few_filters_are_moved(filters, channels, size, chosen):
    assert shifting.pays(filters, channels, size, ONCE, ONCE) == chosen


def test_it_is_chosen_where_it_pays(monkeypatch):
    def refused(*arguments):
        raise AssertionError

    x, w = np.ones((2, 1, 28, 28)), np.ones((1, 1, 5, 5))
    monkeypatch.setattr("fdref.engines.compiled.im2col", refused)
    np.testing.assert_array_equal(fdref.correlate(x, w), np.full((2, 1, 24, 24), 25.0))
    with pytest.raises(AssertionError):
        fdref.correlate(x, np.ones((20, 1, 5, 5)))

"""What pictures are like: bars of known orientation and frequency, opponent colours, blobs."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds

import fdref
from fdref.measure.traits import _peak, _sampled


def bars(degrees, frequency, size=(24, 24), phase=0.7, envelope=None):
    """Return bars whose light stripes run at an angle, counter-clockwise from horizontal.

    A step along a stripe of the angle a goes cos(a) to the right and sin(a) up: the wave stands at
    right angles to that, along (sin(a), cos(a)) where rows are counted downwards.
    """
    angle = np.deg2rad(degrees)
    y, x = (np.arange(n) - (n - 1) / 2 for n in size)
    along = np.sin(angle) * x + np.cos(angle) * y[:, None]
    wave = np.cos(2 * np.pi * frequency * along + phase)
    if envelope:
        wave *= np.exp(-(x**2 + y[:, None] ** 2) / 2 / envelope**2)
    return wave


def off_by(found, degrees):
    return abs((found - degrees + 90) % 180 - 90)


@given(
    degrees=st.floats(0, 180, exclude_max=True),
    frequency=st.floats(0.1, 0.4),
    phase=st.floats(0, 6.3),
    size=st.tuples(st.integers(20, 40), st.integers(20, 40)),
)
def test_gratings_have_their_orientation_and_frequency(degrees, frequency, phase, size):
    """A frame that is not square draws the mean a little towards its axes."""
    found = fdref.traits([[bars(degrees, frequency, size, phase)]])
    assert off_by(found.orientation[0], degrees) < 4
    assert abs(found.frequency[0] - frequency) < 0.005
    assert found.oriented[0] > 0.6


@given(
    degrees=st.floats(0, 180, exclude_max=True),
    frequency=st.floats(0.15, 0.35),
    phase=st.floats(0, 6.3),
)
def test_gabors_have_their_orientation_and_frequency(degrees, frequency, phase):
    found = fdref.traits([[bars(degrees, frequency, (29, 29), phase, envelope=4)]])
    assert off_by(found.orientation[0], degrees) < 0.5
    assert abs(found.frequency[0] - frequency) < 0.005
    assert found.oriented[0] > 0.9


def test_zero_degrees_are_horizontal_bars_and_45_rise_to_the_right():
    row = np.zeros((9, 9))
    row[4] = 1
    rising = np.eye(9)[::-1]  # "/": to the right and up
    found = fdref.traits([[row], [row.T], [rising], [np.eye(9)]])
    np.testing.assert_allclose(found.orientation, [0, 90, 45, 135], atol=1e-9)


@given(seed=seeds, size=st.tuples(st.integers(2, 9), st.integers(2, 9)))
def test_traits_turn_with_the_picture_and_do_not_move_with_it(seed, size):
    bank = np.random.default_rng(seed).standard_normal((3, 2, *size))
    own, turned = fdref.traits(bank), fdref.traits(np.rot90(bank, axes=(2, 3)))
    flipped = fdref.traits(bank[:, :, ::-1])
    moved = fdref.traits(
        -3 * np.pad(bank - bank.mean((2, 3), keepdims=True), ((0,), (0,), (4,), (4,)))
    )
    there = own.oriented > 0.02
    assert off_by(turned.orientation, own.orientation + 90)[there].max(initial=0) < 1e-6
    assert off_by(flipped.orientation, -own.orientation)[there].max(initial=0) < 1e-6
    np.testing.assert_allclose(turned.oriented, own.oriented, atol=1e-9)
    np.testing.assert_allclose(moved.oriented, own.oriented, atol=1e-9)
    np.testing.assert_allclose(moved.frequency, own.frequency, atol=1e-9)
    np.testing.assert_allclose(flipped.frequency, own.frequency, atol=1e-9)


@given(
    seed=seeds,
    size=st.tuples(st.integers(1, 7), st.integers(2, 8)),
    least=st.sampled_from([1, 5, 8]),
)
def test_orientation_is_that_of_a_slow_twin(seed, size, least):
    """Every frequency by itself, from its definition."""
    picture = np.random.default_rng(seed).standard_normal((2, *size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fdref.measure.traits.FREQUENCIES", least)
        found = fdref.traits([picture])
        counts = _sampled(size[0]), _sampled(size[1])
    y, x = np.arange(size[0])[:, None], np.arange(size[1])
    mean, total = 0, 0
    for down in np.fft.fftfreq(counts[0]):
        for across in np.fft.fftfreq(counts[1]):
            wave = np.exp(-2j * np.pi * (down * y + across * x))
            power = sum(abs(((own - own.mean()) * wave).sum()) ** 2 for own in picture)
            # Half a cycle per pixel is as well minus half a cycle.
            for own in {down, -down if down == -0.5 else down}:
                for beside in {across, -across if across == -0.5 else across}:
                    times = (1 + (down == -0.5)) * (1 + (across == -0.5))
                    mean += power * np.exp(2j * np.arctan2(beside, own)) / times
            total += power
    assert abs(found.oriented[0] - abs(mean) / total) < 1e-9
    if found.oriented[0] > 0.02:
        assert off_by(found.orientation[0], np.rad2deg(np.angle(mean)) / 2) < 1e-6


def test_blobs_and_crossing_bars_have_no_orientation():
    y, x = np.mgrid[-7:8, -7:8]
    blob = np.exp(-(x**2 + y**2) / 8)
    crossing = np.cos(x * 1.3) * np.cos(y * 1.3)
    found = fdref.traits(np.array([[blob], [crossing], [np.ones((15, 15))], [blob * 0]]))
    assert np.isnan(found.orientation).all()
    assert found.oriented.max() < 1e-9
    assert np.isnan(found.frequency).tolist() == [False, False, True, True]


def test_frequencies_at_both_ends():
    half = np.pi / 2
    checks = np.indices((8, 8)).sum(axis=0) % 2 * 2.0 - 1
    found = fdref.traits([[checks], [bars(90, 0.5, (8, 8), half)], [bars(0, 0.5, (8, 8), half)]])
    np.testing.assert_allclose(found.frequency, [0.5**0.5, 0.5, 0.5], atol=1e-9)
    slow = fdref.traits([[bars(30, 0.02, (100, 90))]])
    assert abs(slow.frequency[0] - 0.02) < 0.004


@given(height=st.integers(3, 9), width=st.integers(3, 9), seed=seeds)
def test_a_peak_is_found_wherever_it_is(height, width, seed):
    """Also where its neighbours lie beyond the ends of the half of the spectrum that there is."""
    random = np.random.default_rng(seed)
    whole = random.random((height, width))
    whole = whole + np.roll(whole[::-1, ::-1], 1, axis=(0, 1))  # as the spectrum of a real picture
    half = whole[:, : width // 2 + 1]
    row, column = np.unravel_index(half.argmax(), half.shape)

    def top(left, middle, right):
        bend = left - 2 * middle + right
        return np.clip((left - right) / 2 / bend, -0.5, 0.5) if bend < 0 else 0

    down = row + top(*(whole[(row + n) % height, column] for n in (-1, 0, 1)))
    across = column + top(*(whole[row, (column + n) % width] for n in (-1, 0, 1)))
    down = down - height if down > height / 2 else down
    across = across - width if across > width / 2 else across
    assert abs(_peak(half, (height, width)) - np.hypot(down / height, across / width)) < 1e-12


def test_strength():
    bank = np.zeros((3, 1, 2, 2))
    bank[0, 0] = [[3, -4], [0, 0]]
    bank[1, 0] = [[1, 1], [1, 2]]
    found = fdref.traits(bank)
    np.testing.assert_allclose(found.energy, [5, 7**0.5, 0])
    assert found.largest.tolist() == [-4, 2, 0]


def test_colours():
    blob = np.exp(-(np.mgrid[-3:4, -3:4] ** 2).sum(axis=0) / 4)
    red, grey, both = np.array([1, -1, 0]), np.array([1, 1, 1]), np.array([-2, 1, 1])
    axes = np.array([red, grey, both, -grey, [0, 0, 5], [0, 0, 0]])
    found = fdref.traits(axes[:, :, None, None] * blob)
    np.testing.assert_allclose(found.colourfulness, [1, 0, 1, 0, 2 / 3, 0], atol=1e-12)
    expected = np.array([red / 2**0.5, grey / 3**0.5, -both / 6**0.5, grey / 3**0.5, [0, 0, 1]])
    expected[0] *= np.sign(found.colour[0, 0])  # two components are as large: either is positive
    np.testing.assert_allclose(found.colour[:5], expected, atol=1e-12)
    assert np.isnan(found.colour[5]).all()
    np.testing.assert_array_equal(fdref.traits([[blob]]).colour, [[1]])
    assert fdref.traits([[blob]]).colourfulness == 0


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_traits_but_for_strength_do_not_depend_on_the_scale(scale):
    bank = fdref.decode(fdref.load("cifar"), 4, range(8))
    own, scaled = fdref.traits(bank), fdref.traits(bank * np.float32(scale))
    np.testing.assert_allclose(scaled.energy, own.energy * scale, rtol=1e-5)
    for name in ("orientation", "frequency", "oriented", "colourfulness", "colour"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(own, name), atol=1e-3)


def test_traits_are_a_value_and_refuse_what_is_no_bank():
    found = fdref.traits(np.ones((2, 1, 3, 3)))
    assert pickle.loads(pickle.dumps(found)) == found  # noqa: S301 - written here
    with pytest.raises(ValueError, match="read-only"):
        found.energy[0] = 1
    assert fdref.traits(np.ones((0, 3, 4, 4))).colour.shape == (0, 3)
    for bank, message in (
        (np.ones((3, 4, 4)), "has shape"),
        (np.ones((3, 0, 4, 4)), "has shape"),
        ([[[[np.nan]]]], "NaN or infinity"),
        ([[[[1j]]]], "dtype complex"),
        ("bank", "expected"),
    ):
        with pytest.raises(fdref.ArgumentError, match=message):
            fdref.traits(bank)

"""Energies, how they are moved, and what is kept; restyling against its formula, written anew."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import seeds

import fdref
from fdref import ArgumentError, Conv, FdrefError, Network, Pool, ReLU
from fdref.engines import engine_named
from fdref.measure.image_search import Objective, View
from fdref.measure.restyling import Both, Content, Style

random = np.random.default_rng(0)


@st.composite
def codes(draw, channels=None):
    """As a ReLU leaves them or signed, some maps without energy, some images without any."""
    rng = np.random.default_rng(draw(seeds))
    shape = (draw(st.integers(1, 3)), channels or draw(st.integers(1, 5)), 2, 3)
    code = rng.standard_normal(shape)
    if draw(st.booleans()):
        code = np.maximum(code, 0)
    code[rng.random(shape[:2]) < draw(st.sampled_from([0, 0.3, 1]))] *= -1
    code[rng.random(shape[:2]) < draw(st.sampled_from([0, 0.5]))] = 0
    return code


def slow_energies(code):
    found = np.zeros(code.shape[:2])
    for n, k, y, x in np.ndindex(code.shape):
        if code[n, k, y, x] > 0:
            found[n, k] += code[n, k, y, x]
    return found


@given(codes())
def test_the_energy_of_a_map_is_the_sum_of_what_is_positive(code):
    np.testing.assert_allclose(fdref.energies(code), slow_energies(code), rtol=1e-14)
    assert fdref.energies(code.astype(np.float32)).dtype == np.float64


@given(codes(), st.data())
def test_one_map_has_the_energy_of_every_position(code, data):
    before = code.copy()
    several = data.draw(st.booleans())
    wanted = st.integers(0, code.shape[1] - 1)
    chosen = data.draw(st.lists(wanted, min_size=len(code), max_size=len(code)))
    moved = fdref.reallocate(code, "one", chosen if several else chosen[0])
    for n in range(len(code)):
        k = chosen[n] if several else chosen[0]
        for y, x in np.ndindex(2, 3):
            expected = sum(max(value, 0) for value in code[n, :, y, x])
            assert moved[n, k, y, x] == pytest.approx(expected, rel=1e-14)
        assert not np.delete(moved[n], k, axis=0).any()
    total = slow_energies(code).sum(axis=1)
    np.testing.assert_allclose(fdref.energies(moved).sum(axis=1), total, rtol=1e-13)
    assert (code == before).all()


def test_of_one_image_any_maps_at_once():
    code = random.uniform(0, 1, (1, 4, 2, 2))
    moved = fdref.reallocate(code, "one", [3, 0, 3, 1, 2])
    assert moved.shape == (5, 4, 2, 2)
    for n, k in enumerate([3, 0, 3, 1, 2]):
        assert (moved[n : n + 1] == fdref.reallocate(code, "one", k)).all()


@given(codes(), seeds)
def test_random_shares_keep_the_whole_and_every_map_s_pattern(code, seed):
    moved = fdref.reallocate(code, "random", seed=seed)
    before, after = slow_energies(code), fdref.energies(moved)
    np.testing.assert_allclose(after.sum(axis=1), before.sum(axis=1), rtol=1e-12)
    for n, k in np.ndindex(before.shape):
        if before[n, k]:
            factor = after[n, k] / before[n, k]
            np.testing.assert_allclose(moved[n, k], factor * code[n, k], rtol=1e-10, atol=1e-300)
        else:  # it has nothing that could be multiplied
            assert (moved[n, k] == code[n, k]).all()
    assert (moved == fdref.reallocate(code, "random", seed=seed)).all()


def test_random_shares_are_flat_dirichlet_s():
    """Mean 1/C and variance (C - 1) / (C^2 (C + 1)), each within five deviations."""
    count, maps = 20_000, 4
    code = random.uniform(0.1, 1, (count, maps, 1, 1))
    after = fdref.energies(fdref.reallocate(code, "random", seed=5))
    shares = after / after.sum(axis=1, keepdims=True)
    variance = (maps - 1) / (maps**2 * (maps + 1))
    assert abs(shares.mean(axis=0) - 1 / maps).max() < 5 * np.sqrt(variance / count)
    squares = (shares - 1 / maps) ** 2
    off = abs(squares.mean(axis=0) - variance) / (squares.std(axis=0) / np.sqrt(count))
    assert off.max() < 5
    other = fdref.energies(fdref.reallocate(code, "random", seed=6))
    assert (other != after).all()


def slow_like(image, style):
    """Rank by rank; of equal energies the first comes first."""
    moved = np.zeros_like(image)
    mine, theirs = list(range(len(image))), list(range(len(style)))
    own, other = slow_energies(image[None])[0], slow_energies(style[None])[0]
    while mine:
        k = max(mine, key=lambda k: (own[k], -k))
        place = max(theirs, key=lambda k: (other[k], -k))
        moved[place] = image[k] - image[k].mean() + style[place].mean()
        mine.remove(k)
        theirs.remove(place)
    return moved


@given(codes(channels=4), codes(channels=4))
def test_like_by_rank(code, style):
    if len(style) != len(code):
        style = style[:1]
    moved = fdref.reallocate(code, "like", style=style)
    for n, image in enumerate(code):
        other = style[n if len(style) > 1 else 0]
        np.testing.assert_allclose(moved[n], slow_like(image, other), atol=1e-12)
    np.testing.assert_allclose(
        moved.mean(axis=(2, 3)),
        np.broadcast_to(style.mean(axis=(2, 3)), moved.shape[:2]),
        atol=1e-12,
    )


def test_a_code_is_like_itself_and_a_style_may_be_of_another_size():
    code = random.uniform(0, 1, (2, 3, 4, 4))
    np.testing.assert_allclose(fdref.reallocate(code, "like", style=code), code, rtol=1e-12)
    style = random.uniform(0, 1, (1, 3, 2, 5))
    moved = fdref.reallocate(code, "like", style=style)
    assert moved.shape == code.shape
    np.testing.assert_allclose(moved.mean(axis=(2, 3))[0], style.mean(axis=(2, 3))[0])


@pytest.mark.parametrize(
    ("given_as", "kept"),
    [(np.float16, np.float32), (np.float32, np.float32), (np.float64, np.float64), (int, float)],
)
def test_precision_is_kept(given_as, kept):
    code = random.uniform(0, 9, (2, 3, 2, 2)).astype(given_as)
    for moved in (
        fdref.reallocate(code, "one", 0),
        fdref.reallocate(code, "random"),
        fdref.reallocate(code, "like", style=code),
    ):
        assert moved.dtype == kept


CODE = random.uniform(0, 1, (2, 3, 2, 2))
NO_CODE = (
    None,
    "abc",
    3,
    CODE[0],
    CODE[:0],
    CODE[:, :0],
    CODE * 1j,
    np.where(CODE.max() == CODE, np.nan, CODE),
)
REALLOCATE = {
    "code": NO_CODE,
    "way": ("", "two", None, 1, ["one"]),
    "filters": (None, -1, 3, True, 1.0, "0", [0, 1, 2], [0, 3], [], [[0, 1]], [0, None]),
    "style": (CODE,),
}
LIKE = {
    "style": (*NO_CODE, CODE[:, :2], np.concatenate([CODE, CODE])),
    "filters": (0,),
}
RANDOM = {"seed": (-1, 1.5, True, None, "0"), "filters": (0,), "style": (CODE,)}


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ({"way": "one", "filters": 0}, REALLOCATE),
        ({"way": "like", "style": CODE}, LIKE),
        ({"way": "random"}, RANDOM),
    ],
)
def test_what_is_no_such_thing_is_refused_in_one_line(right, wrong):
    for name, values in wrong.items():
        for value in values:
            given = {"code": CODE} | right | {name: value}
            with pytest.raises(FdrefError) as caught:
                pytest.fail(f"{name} took {value!r}: {fdref.reallocate(**given)}")
            assert "\n" not in str(caught.value), value
            assert len(str(caught.value)) < 400, value


@pytest.mark.parametrize("value", NO_CODE)
def test_what_has_no_energies_is_refused(value):
    with pytest.raises(ArgumentError):
        fdref.energies(value)


def conv(*shape):
    return Conv(random.standard_normal(shape) / np.sqrt(np.prod(shape[1:])), np.ones(shape[0]))


NET = Network(
    [conv(4, 1, 3, 3), ReLU(), Pool(2, 2), conv(5, 4, 2, 2), ReLU()],
    input_size=(8, 8),
    average=np.full((1, 8, 8), 100.0),
)
PICTURES = random.uniform(0, 255, (3, 8, 8))


def costs(pixels, content, style, layer, layers, weight):
    """Both parts of the cost of one image, as they are defined."""
    maps, own, other = (
        fdref.forward(NET, NET.prepare(image.reshape(1, 8, 8)), "reference")
        for image in (pixels, content, style)
    )
    positions = maps[layer].shape[2] * maps[layer].shape[3]
    kept = weight / (2 * positions) * ((maps[layer] - own[layer]) ** 2).sum()
    moved = 0.0
    for number in layers:
        _, count, height, width = maps[number].shape
        energy, wanted = slow_energies(maps[number])[0], slow_energies(other[number])[0]
        moved += ((energy - wanted) ** 2).sum() / (2 * count * height * width)
    return kept, moved


def test_what_is_left_is_told_by_the_definition(engine):
    content, style = PICTURES[:2], PICTURES[2:]
    options = {"layer": 5, "layers": [2, 5], "weight": 3.0, "engine": engine}
    found = fdref.restyle(NET, content, style, iterations=4, seed=1, **options)
    more = fdref.restyle(NET, content, style, iterations=60, seed=1, **options)
    for result in (found, more):
        for n in range(2):
            kept, moved = costs(result.images[n], content[n], style[0], 5, (2, 5), 3.0)
            assert result.content[n] == pytest.approx(kept, rel=1e-9)
            assert result.style[n] == pytest.approx(moved, rel=1e-9)
    assert (more.content + more.style < found.content + found.style).all()
    assert more.images.min() >= 0
    assert more.images.max() <= 255


def test_the_content_weighs_against_the_style():
    """The more it does, the less of it is lost; alone, an image is its own."""
    left = [
        fdref.restyle(NET, PICTURES[:1], PICTURES[1:2], 5, [2, 5], weight=weight, iterations=200)
        for weight in (0.01, 1, 100)
    ]
    assert left[0].content[0] * 100 > left[1].content[0] > left[2].content[0] / 100
    assert left[0].style[0] < left[1].style[0] < left[2].style[0]
    same = fdref.restyle(NET, PICTURES[:1], PICTURES[:1], 5, start=PICTURES[:1])
    assert (same.images[0, 0] == PICTURES[0]).all()
    assert same.content[0] == same.style[0] == 0
    assert same.evaluations[0] == 1


def test_the_gradient_of_both_parts_is_that_of_finite_differences(engine):
    operations = engine_named(engine)
    maps = [fdref.forward(NET, NET.prepare(PICTURES[n : n + 1]), engine) for n in range(2)]
    style = {n: Style(maps[1][n], maps[0][n].shape, 1) for n in (2, 5)}
    terms = {2: style[2], 5: Both(Content(maps[0][5], 3.0), style[5])}
    objective = Objective(View(NET, terms, operations), terms)
    image = PICTURES[2].reshape(1, 8, 8)
    found = objective(image[None], [0])[1][0]
    moves = 1e-4 * np.eye(64).reshape(64, 1, 8, 8)
    up, down = (objective(image + sign * moves, [0] * 64)[0] for sign in (1, -1))
    expected = ((up - down) / 2e-4).reshape(1, 8, 8)
    np.testing.assert_allclose(found, expected, atol=1e-6 * abs(expected).max())


RESTYLE = {
    "net": (None, 5),
    "content": (None, "a", PICTURES[0], PICTURES[:0], PICTURES[:, 1:], PICTURES * np.nan),
    "style": (None, "a", PICTURES[0], PICTURES[:0], PICTURES, PICTURES[:, 1:]),
    "layer": (0, 6, True, "a", None),
    "layers": (0, 6, True, "a", [], [0], [True]),
    "start": (PICTURES, PICTURES[:2, 1:], 5),
    "bounds": (None, (1, 0), (0, np.nan)),
    "smooth": (-1, np.nan, "0"),
    "weight": (-1, np.nan, "0", True, None),
    "iterations": (0, 1.5, True),
    "seed": (-1, True),
    "engine": ("", None),
    "progress": (1, "print"),
}


@pytest.mark.parametrize("name", RESTYLE)
def test_what_is_no_such_thing_is_not_restyled(name):
    right = {"net": NET, "content": PICTURES[:2], "style": PICTURES[:1], "layer": 5}
    for value in RESTYLE[name]:
        with pytest.raises(FdrefError) as caught:
            pytest.fail(f"{name} took {value!r}: {fdref.restyle(**right | {name: value})}")
        assert "\n" not in str(caught.value), value
        assert len(str(caught.value)) < 400, value

"""Inversion: gradients by finite differences, recovery, other solvers, bounds, seeds, refusals."""

from __future__ import annotations

import sys
import threading

import numpy as np
import pytest
from graph_strategies import graphs
from hypothesis import assume, given, settings
from scipy import optimize
from strategies import seeds
from threadpoolctl import threadpool_info

import fdref
from fdref import (
    ArgumentError,
    BatchNorm,
    Concat,
    Conv,
    DependencyError,
    Elementwise,
    FdrefError,
    Network,
    NetworkError,
    Normalize,
    Pool,
    ReLU,
    Softmax,
    Sum,
    Unknown,
)
from fdref.engines import engine_named, patched
from fdref.measure import image_search
from fdref.measure.image_search import Objective, Range, View, starts_of, variation
from fdref.measure.inversion import Mismatch
from fdref.network.fields import ancestors

random = np.random.default_rng(0)


def conv(*shape, bias=True, **options):
    scale = np.sqrt(1 / np.prod(shape[1:]))
    offsets = random.standard_normal(shape[0]) if bias else None
    return Conv(random.standard_normal(shape) * scale, offsets, **options)


MIXED = Network(
    [
        conv(6, 2, 3, 3, pad=(1, 0, 2, 1), name="first"),
        ReLU(0.1),
        Normalize(3, 1.0, 0.5, 0.75),
        Pool(3, 2, pad=1),
        conv(6, 3, 3, 3, pad=1),  # two groups
        BatchNorm(*random.uniform(0.5, 2, (4, 6))),
        Sum(),
        Pool(2, 1, method="avg"),
        Concat(),
        Elementwise("tanh"),
        conv(4, 12, 2, 2, stride=2, name="top"),
        Softmax(),
    ],
    wiring={7: [4, 6], 9: [8, 8]},
    input_size=(9, 8),
    average=random.uniform(100, 150, (2, 9, 8)),
)
"""In float64, with branches."""


def picture(net, count=1, seed=1, size=None):
    shape = (count, net.channels[0], *(size or net.input_size))
    return np.random.default_rng(seed).uniform(0, 255, shape)


def code_of(net, images, layer, engine="compiled"):
    return fdref.forward(net, net.prepare(images), engine, last=layer)[-1]


def objective_of(net, number, code, engine, smooth=0.0):
    view = View(net, [number], engine_named(engine))
    return Objective(view, {number: Mismatch(code)}, smooth)


def by_differences(function, pixels, step):
    """The gradient of a function of many images at once, in each pixel of one."""
    moves = step * np.eye(pixels.size).reshape(-1, *pixels.shape)
    up, down = (function(pixels + sign * moves)[0] for sign in (1, -1))
    return ((up - down) / (2 * step)).reshape(pixels.shape)


@pytest.mark.parametrize("layer", [1, 4, 9, 11, 12])
def test_the_gradient_is_that_of_finite_differences(layer, engine):
    images = picture(MIXED, 2)
    code = code_of(MIXED, picture(MIXED, 3, seed=2), layer, engine)
    objective = objective_of(MIXED, layer, code, engine, smooth=1e-6)
    which = [2, 0]  # codes belong to images by number
    found = objective(images, which)[1]
    for n, image in enumerate(images):
        expected = by_differences(
            lambda moved, own=which[n]: objective(moved, [own] * len(moved)), image, 1e-4
        )
        np.testing.assert_allclose(found[n], expected, rtol=0, atol=1e-7 * abs(expected).max())


@given(graphs(linear=False, most=6), seeds)
@settings(max_examples=30)
def test_on_any_graph_too(net, seed):
    """Along one direction; but where a step crosses a kink, or overflows."""
    assume(net.inputs == 1)
    number = len(net)
    assume(0 in ancestors(net, number))
    rng = np.random.default_rng(seed)
    images, other, way = rng.standard_normal((3, 1, net.channels[0], 13, 12))
    code = fdref.forward(net, other)[-1]
    assume(code.any())
    objective = objective_of(net, number, code, "compiled")
    slopes = []
    for step in (1e-6, 5e-7):
        up, down = (objective(images + sign * step * way, [0])[0][0] for sign in (1, -1))
        slopes.append((up - down) / (2 * step))
    scale = max(1.0, abs(slopes[0]), objective(images, [0])[0][0])
    assume(abs(slopes[0] - slopes[1]) <= 1e-5 * scale)
    found = (objective(images, [0])[1] * way).sum()
    assert found == pytest.approx(slopes[0], rel=1e-4, abs=1e-4 * scale)


def test_total_variation_is_the_mean_of_squared_differences():
    images = random.uniform(0, 255, (2, 3, 4, 5))
    values, gradients = variation(images)
    for n, image in enumerate(images):
        total = 0.0
        for c, y, x in np.ndindex(3, 4, 5):
            total += (image[c, y + 1, x] - image[c, y, x]) ** 2 if y < 3 else 0
            total += (image[c, y, x + 1] - image[c, y, x]) ** 2 if x < 4 else 0
        assert values[n] == pytest.approx(total / 60, rel=1e-12)
        expected = by_differences(variation, image, 1e-3)
        np.testing.assert_allclose(gradients[n], expected, atol=1e-8 * abs(expected).max())


def test_images_of_a_linear_network_are_recovered(engine):
    """To the square root of the error, over the least that an image changes its code by."""
    net = Network([conv(8, 2, 3, 3, pad=1), conv(9, 8, 2, 2)], input_size=(6, 5))
    images = picture(net, 2)
    found = fdref.invert(net, code_of(net, images, 2), 2, engine=engine, iterations=2000)
    matrix, offset = matrix_of(net)
    codes = np.array([matrix @ image.ravel() + offset for image in images])
    least = np.linalg.svd(matrix, compute_uv=False)[-1]
    for n in range(2):
        assert found.errors[n] < 1e-20
        most = np.sqrt(found.errors[n]) * np.linalg.norm(codes[n]) / least
        assert np.linalg.norm(found.images[n] - images[n]) <= most * 1.01 + 1e-9
    assert abs(found.images - images).max() < 1e-5
    assert not found.dead.any()
    assert not found.restarted.any()


def matrix_of(net):
    """A linear network's matrix, and what it answers nothing with."""
    shape = (net.channels[0], *net.input_size)
    basis = np.eye(np.prod(shape)).reshape(-1, *shape)
    offset = fdref.forward(net, np.zeros((1, *shape)), "reference")[-1].ravel()
    answers = fdref.forward(net, basis, "reference")[-1].reshape(len(basis), -1)
    return (answers - offset).T, offset


def test_the_least_within_bounds_is_another_solvers(engine):
    """Of a code that no image has; many pixels are at a bound."""
    net = Network([conv(3, 1, 3, 3), conv(3, 3, 2, 2)], input_size=(7, 6))
    code = 300 * random.standard_normal((1, 3, 4, 3))
    found = fdref.invert(net, code, 2, bounds=(10, 90), engine=engine, iterations=1000)
    matrix, offset = matrix_of(net)
    target = code.ravel() - offset
    expected = optimize.lsq_linear(matrix, target, (10, 90), method="bvls", tol=1e-14)
    least = 2 * expected.cost / (code**2).sum()
    assert found.errors[0] == pytest.approx(least, rel=1e-9)
    pixels = found.images.ravel()
    assert pixels.min() == 10
    assert pixels.max() == 90
    assert np.mean((pixels == 10) | (pixels == 90)) > 0.2


def test_smoothness_is_weighed_against_the_error():
    """Without bounds the least is where a system of linear equations says."""
    net = Network([conv(3, 1, 3, 3)], input_size=(5, 5))
    code, smooth = 300 * random.standard_normal((1, 3, 3, 3)), 3e-4
    bounds = (-np.inf, np.inf)
    found = fdref.invert(net, code, 1, bounds=bounds, smooth=smooth, iterations=3000)
    matrix, offset = matrix_of(net)
    rows = []
    for y, x in np.ndindex(5, 5):
        for below, right in ((y + 1, x), (y, x + 1)):
            if below < 5 and right < 5:
                row = np.zeros((5, 5))
                row[y, x], row[below, right] = -1, 1
                rows.append(row.ravel())
    differences, norm = np.array(rows), (code**2).sum()
    left = matrix.T @ matrix / norm + smooth / 25 * differences.T @ differences
    expected = np.linalg.solve(left, matrix.T @ (code.ravel() - offset) / norm)
    np.testing.assert_allclose(found.images.ravel(), expected, atol=1e-4 * abs(expected).max())
    # what is told is the error alone
    off = matrix @ expected + offset - code.ravel()
    assert found.errors[0] == pytest.approx((off**2).sum() / norm, rel=1e-5)


def test_bounds_are_kept_whatever_the_code(engine):
    code = 50 * random.standard_normal((3, *code_of(MIXED, picture(MIXED), 9).shape[1:]))
    for bounds in ((0, 255), (100, 101), (-np.inf, 120), (130, np.inf)):
        found = fdref.invert(MIXED, code, 9, bounds=bounds, engine=engine, iterations=20)
        assert found.images.min() >= bounds[0]
        assert found.images.max() <= bounds[1]


def test_a_seed_decides_all():
    code = code_of(MIXED, picture(MIXED, 2), "top")
    one, again, other = (
        fdref.invert(MIXED, code, "top", seed=seed, iterations=15) for seed in (1, 1, 2)
    )
    assert (one.images == again.images).all()
    assert (one.errors == again.errors).all()
    assert (one.evaluations == again.evaluations).all()
    assert (one.images != other.images).any()


def test_it_starts_at_the_average_plus_noise_of_deviation_20():
    net, size = Network([conv(1, 1, 1, 1)]), (200, 200)
    coloured = Network([conv(1, 1, 1, 1)], average=[90.0])
    for known, bounds, middle, deviation in [
        (coloured, (-9999, 9999), 90, 20 * 19998 / 255),
        (coloured, (-np.inf, 300), 90, 20),
        (net, (0, 255), 127.5, 20),
        (net, (0, 1), 0.5, 20 / 255),
        (net, (-np.inf, np.inf), 0, 20),
        (net, (-np.inf, -200), -200, 20),
    ]:
        pixels = starts_of(known, 2, None, size, Range.read(bounds), 0)
        inside = (pixels > bounds[0]) & (pixels < bounds[1])
        if bounds[1] == -200:  # half of it is cut off
            assert inside.mean() == pytest.approx(0.5, abs=0.01)
            assert np.sqrt(((pixels - middle) ** 2)[inside].mean()) == pytest.approx(20, rel=0.02)
            continue
        assert pixels.mean() == pytest.approx(middle, abs=5 * deviation / np.sqrt(pixels.size))
        assert pixels.std() == pytest.approx(deviation, rel=0.02)
        assert pixels.shape == (2, 1, *size)


def test_engines_find_the_same():
    code = code_of(MIXED, picture(MIXED, 2), 9)
    one, other = (
        fdref.invert(MIXED, code, 9, engine=engine, iterations=10)
        for engine in ("compiled", "reference")
    )
    np.testing.assert_allclose(one.images, other.images, rtol=1e-6)
    np.testing.assert_allclose(one.errors, other.errors, rtol=1e-6)


def test_every_image_is_searched_by_itself(monkeypatch):
    """Alone, among others, or in parts."""
    images, begin = picture(MIXED, 5), picture(MIXED, 5, seed=9)
    code = code_of(MIXED, images, 9)
    whole = fdref.invert(MIXED, code, 9, start=begin, iterations=12)
    monkeypatch.setattr(image_search, "TOGETHER", 2)
    parts = fdref.invert(MIXED, code, 9, start=begin, iterations=12)
    monkeypatch.setattr(image_search, "NUMBERS", 1)
    ones = fdref.invert(MIXED, code, 9, start=begin, iterations=12)
    alone = fdref.invert(MIXED, code[3:4], 9, start=begin[3:4], iterations=12)
    for found in (parts, ones):
        np.testing.assert_allclose(found.images, whole.images, rtol=1e-7)
        np.testing.assert_allclose(found.errors, whole.errors, rtol=1e-7)
        assert (found.evaluations == whole.evaluations).all()
    np.testing.assert_allclose(alone.images[0], whole.images[3], rtol=1e-7)


def test_a_search_is_scipys(engine):
    """One image after the other, each alone with SciPy, is the same."""
    begin = picture(MIXED, 3, seed=9)
    code = code_of(MIXED, picture(MIXED, 3), 9, engine)
    found = fdref.invert(MIXED, code, 9, begin, engine=engine, iterations=12)
    objective = objective_of(MIXED, 9, code, engine)

    def alone(pixels, n):
        value, gradient = objective(pixels.reshape(begin[:1].shape), [n])
        return value[0], gradient.ravel()

    for n, image in enumerate(begin):
        expected = optimize.minimize(
            alone,
            image.ravel(),
            (n,),
            method="L-BFGS-B",
            jac=True,
            bounds=[(0, 255)] * image.size,
            options={"maxiter": 12, "ftol": 0, "gtol": 0},
        )
        np.testing.assert_allclose(found.images[n].ravel(), expected.x, rtol=1e-7, atol=1e-9)
        assert found.evaluations[n] == expected.nfev
        assert found.errors[n] == pytest.approx(expected.fun, rel=1e-7)


@pytest.mark.large
def test_errors_are_those_of_the_images_found(engine):
    net = fdref.load()
    code = code_of(net, fdref.mnist().test.images[:2], 3, engine)
    found = fdref.invert(net, code, 3, iterations=20, engine=engine)
    again = code_of(net, found.images, 3, engine).astype(float)
    expected = ((again - code) ** 2).sum(axis=(1, 2, 3)) / (code.astype(float) ** 2).sum((1, 2, 3))
    np.testing.assert_allclose(found.errors, expected, rtol=1e-3)
    assert found.images.dtype == code.dtype
    assert (found.errors < 0.01).all()


def test_it_starts_where_one_says():
    images = picture(MIXED, 2)
    code = code_of(MIXED, images, 11)
    found = fdref.invert(MIXED, code, 11, start=images)
    assert (found.images == images).all()
    assert (found.errors == 0).all()
    assert (found.evaluations == 1).all()


DEAD = Network([Conv(np.eye(2)[:, :, None, None], [-200.0, 0.0]), ReLU()], input_size=(4, 4))
"""Its first map is dead but for pixels above 200, of the first channel."""


def test_a_dead_map_is_woken_from_the_image(engine):
    images = random.uniform(10, 255, (3, 2, 4, 4))
    images[1, 0] = 60  # no pixel of this one is above 200
    code = code_of(DEAD, images, 2)
    stuck = fdref.invert(DEAD, code, 2, engine=engine)
    assert stuck.dead.tolist() == [[True, False], [False, False], [True, False]]
    lost = (code[:, 0] ** 2).sum((1, 2)) / (code**2).sum((1, 2, 3))
    np.testing.assert_allclose(stuck.errors, lost, atol=1e-12)
    found = fdref.invert(DEAD, code, 2, restart=images, engine=engine)
    assert found.restarted.tolist() == [True, False, True]
    assert (found.errors < 1e-12).all()
    assert not found.dead.any()
    assert (found.images[1] == stuck.images[1]).all()
    assert (found.evaluations[[0, 2]] > stuck.evaluations[[0, 2]]).all()
    assert found.evaluations[1] == stuck.evaluations[1]


def test_what_is_worse_from_the_image_is_not_taken():
    code = np.zeros((1, 2, 4, 4))
    code[0, 0], code[0, 1] = 1, 60
    found = fdref.invert(DEAD, code, 2, restart=np.zeros((1, 2, 4, 4)), bounds=(0, 150))
    assert found.dead.tolist() == [[True, False]]
    assert not found.restarted.any()


def test_evaluations_are_counted(engine):
    count = 0

    def counting(correlate, *arguments):
        nonlocal count
        count += len(arguments[0])
        return correlate(*arguments)

    net = Network([conv(3, 1, 2, 2)], input_size=(4, 4))
    code = code_of(net, picture(net, 3), 1)
    found = fdref.invert(net, code, 1, engine=patched(engine, correlate=counting), iterations=9)
    assert found.evaluations.sum() == count - 3  # the last of each tells its error
    assert (found.evaluations >= 9).all()


def test_progress_is_all_that_may_be_made():
    told = []
    fdref.invert(MIXED, CODE, 9, iterations=50, progress=told.append)
    assert sum(told) == 100
    assert all(made > 0 for made in told)
    assert len(told) > 20
    told.clear()
    code = np.ones((1, 2, 4, 4))
    dark = 0 * picture(DEAD)
    fdref.invert(DEAD, code, 2, iterations=50, progress=told.append, restart=dark)
    assert sum(told) == 100


def test_an_interruption_leaves_nobody_waiting():
    def interrupt(made):
        raise KeyboardInterrupt

    before = threading.active_count()
    code = code_of(MIXED, picture(MIXED, 4), 9)
    with pytest.raises(KeyboardInterrupt):
        fdref.invert(MIXED, code, 9, progress=interrupt)
    assert threading.active_count() == before


def test_threads_of_all_libraries_are_as_before():
    def counts():
        return [(library["filepath"], library["num_threads"]) for library in threadpool_info()]

    code = code_of(MIXED, picture(MIXED, 2), 1)
    fdref.invert(MIXED, code, 1, iterations=2)  # all is loaded
    before = counts()
    fdref.invert(MIXED, code, 1, iterations=2)
    assert counts() == before


def test_without_scipy_it_is_told_how_to_get_it(monkeypatch):
    code = code_of(MIXED, picture(MIXED), 1)
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    with pytest.raises(DependencyError, match=r"pip install 'fdref\[invert\]'"):
        fdref.invert(MIXED, code, 1)


def test_sizes_that_the_network_does_not_tell():
    net = Network([conv(4, 2, 3, 3)])
    image = picture(net, size=(6, 7))
    code = code_of(net, image, 1)
    with pytest.raises(ArgumentError, match="size="):
        fdref.invert(net, code, 1)
    assert fdref.invert(net, code, 1, size=(6, 7), iterations=1).images.shape == image.shape
    assert fdref.invert(net, code, 1, start=image).errors[0] == 0
    with pytest.raises(ArgumentError, match=r"images of 7x7") as refusal:
        fdref.invert(net, code, 1, size=7)
    assert "(N, 4, 5, 5)" in str(refusal.value)


def test_what_sees_no_image_or_more_is_refused_by_name():
    two = Network(
        [conv(2, 1, 2, 2, name="a"), conv(2, 3, 2, 2, name="b"), Sum(name="both")],
        wiring={"a": 0, "b": -1, "both": ["a", "b"]},
        input_channels=(1, 3),
        input_size=4,
    )
    code = np.ones((1, 2, 3, 3))
    assert fdref.invert(two, code, "a", iterations=3).images.shape == (1, 1, 4, 4)
    for name, inputs in (("b", "[-1]"), ("both", "[0, -1]")):
        with pytest.raises(ArgumentError, match=f"'{name}'") as refusal:
            fdref.invert(two, code, name)
        assert f"inputs {inputs}" in str(refusal.value)
    beyond = Network([conv(2, 1, 2, 2), Unknown("loss", 2)], input_size=4)
    with pytest.raises(NetworkError, match="layer 2"):
        fdref.invert(beyond, code, 2)


def test_numbers_too_large_are_refused():
    net = Network([Conv(np.full((1, 1, 1, 1), 1e300))] * 2, input_size=2)
    with pytest.raises(NetworkError, match="too large"):
        fdref.invert(net, np.ones((1, 1, 2, 2)), 2)


CODE = code_of(MIXED, picture(MIXED, 2), 9)
WRONG = {
    "net": (None, 5, [conv(1, 1, 1, 1)]),
    "code": (
        None,
        "abc",
        CODE[0],
        CODE[:, :3],
        CODE[:, :, 1:],
        CODE[:0],
        CODE * 1j,
        np.where(CODE.max() == CODE, np.nan, CODE),
        CODE * np.inf,
        CODE * 0,
        np.concatenate([CODE[:1], 0 * CODE[1:]]),
    ),
    "layer": (0, 13, -1, True, 1.0, "nobody", None, [9]),
    "start": (picture(MIXED), picture(MIXED, 2)[:, :1], picture(MIXED, 2) * np.nan, "a", 3),
    "bounds": (
        None,
        0,
        (0,),
        (0, 1, 2),
        (255, 0),
        (1, 1),
        (np.nan, 1),
        ("0", "1"),
        (False, True),
        (None, 1),
        (0, 1j),
        "01",
        (np.inf, np.inf),
        {0: 1},
    ),
    "smooth": (-1, np.nan, np.inf, "0", True, None, [0.1]),
    "iterations": (0, -1, 1.5, True, None, "9"),
    "size": (0, (9, 8, 7), 1.5, "9", True, (8, 9)),
    "restart": (picture(MIXED), picture(MIXED, 2)[:, :1], picture(MIXED, 2) * np.inf, "a"),
    "seed": (-1, 1.5, True, None, "0"),
    "engine": ("", "numpy", None, 1),
    "progress": ("print", 1, True, [print]),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_no_such_thing_is_refused_in_one_line(name):
    right = {"net": MIXED, "code": CODE, "layer": 9, "iterations": 1}
    for value in WRONG[name]:
        with pytest.raises(FdrefError) as caught:
            pytest.fail(f"{name} took {value!r}: {fdref.invert(**right | {name: value})}")
        assert "\n" not in str(caught.value), value
        assert len(str(caught.value)) < 400, value


EXPECTED = {3: (1e-9, 0.999), 5: (2e-8, 0.999), 6: (3e-7, 0.99), 7: (1e-12, 0.0)}
"""Errors at most, correlations at least, as far as the noise lets either vary."""


@pytest.mark.slow
@pytest.mark.large
@pytest.mark.parametrize("layer", EXPECTED)
def test_digits_are_recovered_below_the_last_layer(layer):
    net, digits = fdref.load(), fdref.mnist().test.images[:6]
    found = fdref.invert(net, code_of(net, digits, layer), layer)
    most, least = EXPECTED[layer]
    alike = [
        np.corrcoef(one.ravel(), other.ravel())[0, 1]
        for one, other in zip(found.images, digits, strict=True)
    ]
    assert found.errors.mean() < most
    assert np.mean(alike) > least
    if layer == 7:  # ten numbers do not tell an image
        assert np.mean(alike) < 0.6

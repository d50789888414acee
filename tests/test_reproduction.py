"""The paper's table, figures and claims: computed, never written down."""

from __future__ import annotations

import numpy as np
import pytest

import fdref
from fdref import ArgumentError, Conv, Network, Pad, ReLU
from fdref.engines.resize import PAPERS
from fdref.measure.ceiling import ALIKE, Best, best_filters, judges, weakest
from fdref.measure.evaluation import compare
from fdref.measure.nonlinearities import AFFINE, LINEAR
from fdref.measure.ridge import STRENGTHS, fit, moments, predictions
from fdref.measure.survey import AFTER_RELU, EQ3, PER_FILTER, RAW_PIXELS, survey
from fdref.paper.reproduction import reproduce
from fdref.paper.subject import Subject

pytestmark = pytest.mark.large


def subject(net, count=200, step=5):
    """Every fifth of the shipped digits, fitted and tested on halves."""
    digits = fdref.mnist().test
    images, labels = digits.images[::step][:count], digits.labels[::step][:count]
    half = len(images) // 2
    first, second = slice(0, half), slice(half, None)
    return Subject(net, images, labels, [(first, second), (second, first)])


@pytest.fixture(scope="module")
def found():
    return reproduce(subject(fdref.load()))


def named(found):
    return {exhibit.stem: exhibit for exhibit in found.exhibits}


def verdicts(found, stem):
    return [claim.holds for claim in named(found)[stem].claims]


@pytest.mark.slow
def test_table_1_is_what_evaluate_finds(found):
    net, shown = fdref.load(), subject(fdref.load())
    x = net.prepare(shown.images)
    for row in found.table:
        expected = fdref.evaluate(net, x, [row.layer], row.unpool)[row.layer]
        assert row.n == 200
        assert row.mean == pytest.approx(expected.mean, rel=1e-5, abs=1e-12)
        assert row.std == pytest.approx(expected.std, rel=1e-5, abs=1e-12)
        assert row.correlation == pytest.approx(expected.correlation, rel=1e-5)
        assert row.compared == 200
    cells = {(row.layer, row.unpool) for row in found.table}
    assert cells == {(1, "bicubic"), *((n, m) for n in (3, 5, 7) for m in PAPERS)}


@pytest.mark.slow
def test_the_lenet_supports_the_papers_claims(found):
    assert verdicts(found, "table1") == [True, True, True]
    assert all(verdicts(found, "figure1"))
    assert verdicts(found, "figure6") == [True, True, True]
    assert verdicts(found, "figure7") == [True]
    assert verdicts(found, "nonlinearities") == [True] * 4
    assert verdicts(found, "decoded_filter") == [True] * 5
    assert verdicts(found, "zeiler_fergus") == [True] * 3
    assert verdicts(found, "occlusion") == [True] * 4
    assert verdicts(found, "inversion") == [True] * 2
    # The spectrum of a texture is not nearest to that of its own decoded filter.
    assert verdicts(found, "textures") == [True, True, True, False]


@pytest.mark.slow
def test_a_network_that_learnt_nothing_does_not():
    """The same code on noise must say that claims do not hold."""
    random = np.random.default_rng(0)
    layers = []
    for layer in fdref.load():
        if isinstance(layer, Conv):
            shape = layer.filters.shape
            layers.append(
                Conv(random.standard_normal(shape).astype(np.float32), 50 * random.random(shape[0]))
            )
        else:
            layers.append(layer)
    noise = reproduce(subject(Network(layers, average=fdref.load().average)))
    assert False in verdicts(noise, "table1")
    assert False in verdicts(noise, "figure1")


@pytest.mark.slow
def test_a_claim_is_judged_by_the_numbers_beside_it(found):
    """Every verdict follows from what is measured, the relation and the threshold."""
    relations = {">": np.greater, ">=": np.greater_equal, "<=": np.less_equal, "==": np.equal}
    claims = [claim for exhibit in found.exhibits for claim in exhibit.claims]
    assert len(claims) == 36
    for claim in claims:
        assert claim.quantity
        assert claim.holds == bool(relations[claim.relation](claim.measured, claim.threshold))


@pytest.mark.slow
def test_claims_that_make_no_sense_for_a_network_say_so():
    random = np.random.default_rng(0)
    net = Network(
        [
            Conv(random.standard_normal((6, 1, 5, 5))),
            ReLU(),
            Conv(random.standard_normal((3, 6, 3, 3))),
        ]
    )
    other = reproduce(subject(net, count=60))
    assert verdicts(other, "table1")[0] is None
    assert verdicts(other, "figure1") == [None]
    assert named(other)["figure1"].draw is None
    assert all(named(other)[f"figure{n}"].draw is not None for n in (2, 3, 4, 5))


@pytest.mark.slow
def test_every_exhibit_is_there_with_its_numbers_and_its_drawing(found):
    figures = [f"figure{n}" for n in range(1, 8)]
    beyond = [  # the paper
        *("nonlinearities", "decoded_filter", "zeiler_fergus", "occlusion", "inversion"),
        "textures",
    ]
    assert [exhibit.stem for exhibit in found.exhibits] == ["table1", *figures, *beyond]
    assert [exhibit.stem for exhibit in found.exhibits if exhibit.draw] == figures + beyond
    for exhibit in found.exhibits:
        title = exhibit.title.partition(":")[0]
        assert exhibit.stem in (*beyond, title.lower().replace(" ", ""))
        assert exhibit.numbers
        assert all(np.isfinite(a).all() for a in exhibit.numbers.values())
        if exhibit.draw is not None:
            assert exhibit.alt
            assert exhibit.draw().axes[0].texts[0].get_text().startswith(title)
    assert named(found)["figure1"].numbers["matrix"].shape == (10, 10)
    assert named(found)["figure2"].numbers["stage0"].shape == (1, 50, 4, 4)


def test_the_best_images_are_the_best():
    net, shown = fdref.load(), subject(fdref.load(), count=60)
    seen = survey(net, shown.images, shown.labels)
    x = net.prepare(shown.images)
    acts = fdref.forward(net, x)
    for layer in (3, 5):
        peaks = acts[layer].max(axis=(2, 3))
        for k in (0, 17):
            assert peaks[seen.best[layer][k], k].tolist() == sorted(peaks[:, k])[::-1][:4]
        predicted = fdref.respond(net, layer, seen.banks[layer, "bicubic"], x).max(axis=(2, 3))
        assert (seen.guesses[layer] == predicted.argmax(axis=0)).all()
    means = [acts[5][shown.labels == c].max(axis=(2, 3)).mean(axis=0) for c in range(10)]
    np.testing.assert_allclose(seen.by_class[5], means, rtol=1e-5)


def test_each_filter_by_itself_is_eq_3_of_each_map():
    net, shown = fdref.load(), subject(fdref.load(), count=3)
    seen = survey(net, shown.images, shown.labels)
    x = net.prepare(shown.images)
    response = fdref.forward(net, x)[3]
    predicted = fdref.respond(net, 3, seen.banks[3, "bicubic"], x)
    errors = []
    for i in range(3):
        maps = []
        for r, q in zip(response[i], predicted[i], strict=True):
            unit = [(m - m.min()) / (m.max() - m.min()) for m in (r, q)]
            maps.append(((unit[0] - unit[1]) ** 2).mean())
        errors.append(np.mean(maps))
    np.testing.assert_allclose(seen.table[PER_FILTER, 3, "bicubic"].errors, errors, rtol=1e-4)
    assert (PER_FILTER, 7, "bicubic") not in seen.table
    assert (EQ3, 1, "nearest") not in seen.table


def test_raw_pixels_are_raw():
    """That reading shows the decoded filters the picture without the average subtracted."""
    net, shown = fdref.load(), subject(fdref.load(), count=3)
    seen = survey(net, shown.images, shown.labels)
    response = fdref.forward(net, net.prepare(shown.images))[3]
    pixels = shown.images[:, None].astype(np.float32)
    predicted = fdref.respond(net, 3, seen.banks[3, "bicubic"], pixels)
    found = seen.table[RAW_PIXELS, 3, "bicubic"]
    sides = (side.reshape(3, -1).astype(float) for side in (response, predicted))
    one, other = ((s - s.min(1)[:, None]) / np.ptp(s, axis=1)[:, None] for s in sides)
    np.testing.assert_allclose(found.errors, ((one - other) ** 2).mean(1), rtol=1e-5)
    assert (abs(found.errors / seen.table[EQ3, 3, "bicubic"].errors - 1) > 0.1).all()


def test_dead_maps_are_left_out_of_each_filter_by_itself():
    net = Network([Conv(np.array([1.0, 0]).reshape(2, 1, 1, 1))])  # the second answers nothing
    images = np.random.default_rng(0).integers(0, 256, (3, 4, 4))
    images[1] = 7  # nor does the first tell anything of this image
    seen = survey(net, images, np.arange(3))
    errors = seen.table[PER_FILTER, 1, "bicubic"].errors
    np.testing.assert_array_equal(errors, [0, np.nan, 0])
    assert seen.choosy[1].tolist() == [True, False]


def test_images_say_nothing_of_a_filter_that_decodes_to_zero():
    """|x| is made of two opposite filters: the network prefers some images, its picture none."""
    last = np.array([[1.0, 1], [1, 0]]).reshape(2, 2, 1, 1)
    net = Network([Conv(np.array([1.0, -1]).reshape(2, 1, 1, 1)), ReLU(), Conv(last)])
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4))
    seen = survey(net, images, np.arange(5))
    assert {layer: row.tolist() for layer, row in seen.choosy.items()} == {
        1: [True, True],
        3: [False, True],
    }
    peaks = images.max(axis=(1, 2))
    np.testing.assert_array_equal(seen.scores, np.stack([0 * peaks, peaks], axis=1))


def test_after_the_relu_both_sides_are_rectified():
    random = np.random.default_rng(0)
    first, second = (Conv(random.standard_normal(s)) for s in ((3, 1, 2, 2), (2, 3, 2, 2)))
    net, images = Network([first, ReLU(), second, ReLU()]), random.integers(0, 256, (4, 7, 6))
    table = survey(net, images, np.arange(4)).table
    x = net.prepare(images)
    response, predicted = fdref.forward(net, x)[3], fdref.respond(net, 3, fdref.decode(net, 3), x)
    sides = np.maximum(response, 0), np.maximum(predicted, 0)
    found = table[AFTER_RELU, 3, "bicubic"].errors
    np.testing.assert_allclose(found, compare(*sides)[0], rtol=1e-9)
    assert (found != table[EQ3, 3, "bicubic"].errors).all()


def test_of_few_solutions_least_squares_takes_the_smallest():
    """Pixels that are sums of others, as those that are always alike are."""
    random = np.random.default_rng(0)
    pixels = random.standard_normal((30, 3)) @ random.standard_normal((3, 7))
    answers = random.standard_normal((30, 2))
    expected = np.linalg.lstsq(pixels, answers)[0]
    found = fit(moments(pixels, answers), 0.0, "linear").filters
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_judges_are_chosen_evenly_among_every_other_image():
    images = np.arange(11)
    assert judges(images, 500).tolist() == [1, 3, 5, 7, 9]
    assert judges(images, 2).tolist() == [1, 7]


def test_large_maps_have_fewer_judges(monkeypatch):
    """What pixels of maps see is held for all judges at once: 1,024 patches of 25 numbers each."""
    asked = []

    def choose(images, most):
        asked.append(most)
        return images

    monkeypatch.setattr("fdref.measure.ceiling.judges", choose)
    net = Network([Conv(np.ones((2, 1, 5, 5)), pad=2)])
    for size, room in ((32, 2**27), (32, 8 * 1024 * 25 * 60), (32, 2**20), (5, 2**20)):
        monkeypatch.setattr("fdref.measure.ceiling.ROOM", room)
        best_filters(net, np.zeros((4, size, size)), 1)
    assert asked == [500, 60, 50, 209]


def test_the_weakest_of_the_ridges_with_the_least_error():
    errors = [np.nan, 3, 1, 1 + ALIKE / 2, 1 + 3 * ALIKE]
    assert weakest(errors) == (1, STRENGTHS[3])
    assert weakest([np.nan] * len(STRENGTHS)) == weakest([]) == (np.inf, 0)


def test_half_of_the_images_choose_the_ridge_and_all_are_fitted():
    """A network that is not linear, and more pixels than a half of the images have patches."""
    random = np.random.default_rng(0)
    layers = [
        Conv(random.standard_normal((4, 1, 3, 3))),
        ReLU(),
        Conv(random.standard_normal((2, 4, 3, 3))),
    ]
    net, images = Network(layers), random.uniform(-1, 1, (9, 6, 6))
    x = net.prepare(images)
    response = fdref.forward(net, x)[3]
    seen = np.lib.stride_tricks.sliding_window_view(x[:, 0], (5, 5), (1, 2)).reshape(36, 25)
    answers = response.transpose(0, 2, 3, 1).reshape(36, 2)
    of = np.repeat(np.arange(9), 4)  # the image of each patch
    first, others = of % 2 == 0, of % 2 == 1
    half, every = moments(seen[first], answers[first]), moments(seen, answers)
    expected = {}
    for kind in ("linear", "slopes", "affine"):
        errors = []
        for strength in STRENGTHS:
            filters, constant = fit(half, strength, kind)
            sides = (answers[others], seen[others] @ filters + constant)
            errors.append(compare(*(side.reshape(4, 8) for side in sides))[0].mean())
        least, strength = weakest(errors)
        assert 0 < strength < STRENGTHS[0]
        expected[kind] = least, fit(every, strength, kind)
    linear, affine = best_filters(net, images, [3])[3]
    better = min(expected["linear"], expected["slopes"], key=lambda pair: pair[0])[1]
    for found, wanted in ((linear, better), (affine, expected["affine"][1])):
        np.testing.assert_allclose(found.bank.reshape(2, 25).T, wanted.filters, atol=1e-9)
        np.testing.assert_allclose(found.offset, wanted.offset, atol=1e-9)


@pytest.mark.parametrize("better", ["linear", "slopes"])
def test_the_better_of_two_ways_to_fit_is_taken(better, monkeypatch):
    def fitted(net, group, halves, x, acts, kind):
        best = Best(np.full((2, 1, 2, 2), ["linear", "slopes", "affine"].index(kind)), np.zeros(2))
        return dict.fromkeys(group, (0.1 if kind == better else 0.2, best))

    monkeypatch.setattr("fdref.measure.ceiling.fitted", fitted)
    linear, affine = best_filters(Network([Conv(np.ones((2, 1, 2, 2)))]), np.ones((3, 4, 4)), [1])[
        1
    ]
    assert (linear.bank == ["linear", "slopes"].index(better)).all()
    assert (affine.bank == 2).all()


def test_layers_of_one_field_and_maps_of_other_sizes_are_fitted_apart():
    random = np.random.default_rng(0)
    layers = [
        Conv(random.standard_normal((2, 1, 3, 3))),
        Pad((0, -1, 0, -2)),
        Conv(np.ones((1, 2, 1, 1))),
    ]
    net, images = Network(layers), random.uniform(0, 255, (12, 8, 8))
    together = best_filters(net, images, [1, 3])
    for layer in (1, 3):
        (alone, _), (found, _) = best_filters(net, images, [layer])[layer], together[layer]
        np.testing.assert_allclose(found.bank, alone.bank, atol=1e-9)
        np.testing.assert_allclose(found.bank, fdref.decode(net, layer), atol=1e-9)


@pytest.mark.parametrize("kind", ["linear", "slopes", "affine"])
@pytest.mark.parametrize("strength", [0.0, 1e-3, 1.0])
def test_ridge_regression_is_least_squares_with_more_rows(strength, kind):
    """Twin: a row for each weight, as far from zero as the ridge is strong; none for the offset."""
    random = np.random.default_rng(0)
    pixels, answers = random.standard_normal((30, 7)) + 3, random.standard_normal((30, 2)) - 5
    halves = moments(pixels[:11], answers[:11]), moments(pixels[11:], answers[11:])
    sums, offset = halves[0].and_of(halves[1]), kind != "linear"
    ridge = strength * ((pixels - offset * pixels.mean(axis=0)) ** 2).sum(axis=0).mean()
    rows = np.hstack([pixels, np.full((30, 1), float(offset))])
    more = np.hstack([np.sqrt(ridge) * np.eye(7), np.zeros((7, 1))])
    twin = np.linalg.lstsq(np.vstack([rows, more]), np.vstack([answers, np.zeros((7, 2))]))[0]
    found = fit(sums, strength, kind)
    np.testing.assert_allclose(found.filters, twin[:-1], atol=1e-9)
    np.testing.assert_allclose(found.offset, twin[-1] * (kind == "affine"), atol=1e-9)
    other = random.standard_normal((4, 7))
    for ridge, predicted in zip(STRENGTHS, predictions(sums, other, kind), strict=True):
        own = fit(sums, ridge, kind)
        np.testing.assert_allclose(predicted, other @ own.filters + own.offset, atol=1e-9)


def test_the_best_filter_of_what_is_linear_is_found():
    """A network that is one convolution, padded and strided, is found again to rounding."""
    random = np.random.default_rng(0)
    filters, bias = random.standard_normal((4, 1, 3, 5)), 300 * random.standard_normal(4)
    images = random.uniform(0, 255, (30, 12, 13))
    for own in (None, bias):
        net = Network([Conv(filters, own, stride=(2, 1), pad=(1, 0, 2, 1))])
        linear, affine = best_filters(net, images, [1])[1]
        top = fdref.nonlinearities(net, images, images, [1])[1].predicted
        if own is None:
            np.testing.assert_allclose(linear.bank, filters, atol=1e-9)
            assert top[LINEAR].mean < 1e-15
        else:
            np.testing.assert_allclose(affine.offset, bias, atol=1e-6)
            assert top[LINEAR].mean > 1e-4  # no filter makes a bias
        assert not linear.offset.any()
        np.testing.assert_allclose(affine.bank, filters, atol=1e-9)
        assert top[AFFINE].mean < 1e-15


@pytest.mark.slow
def test_best_filters_bound_the_decoded_ones(found):
    """With 100 images for 784 weights, too: least squares alone is far above them.

    At layer 3 a decoded filter is about as good as a linear one can be, in eq. 3.
    """
    rows = [row for row in found.table if row.unpool == "nearest"]
    assert [row.layer for row in rows] == [3, 5, 7]
    for row in rows:
        for kind in ("ceiling", "affine_ceiling"):
            assert getattr(row, kind) < row.mean * (1.1 if row.layer == 3 else 1)
            assert getattr(row, f"{kind}_correlation") > row.correlation
        if row.layer < 7:  # where a few images suffice for the offset, too
            assert row.affine_ceiling < row.ceiling


@pytest.mark.slow
def test_best_filters_are_evaluated_on_images_they_have_not_seen():
    net, images = fdref.load(), fdref.mnist().test.images
    fitted = best_filters(net, images[:60], [7])[7]
    other = images[60:80]
    before, again = (
        fdref.nonlinearities(net, images[:60], shown, [7], points=1)[7].predicted
        for shown in (other, other[:7])
    )
    np.testing.assert_allclose(before[LINEAR].errors[:7], again[LINEAR].errors, rtol=1e-5)
    x = net.prepare(other)
    for name, (bank, offset) in zip((LINEAR, AFFINE), fitted, strict=True):
        predicted = fdref.respond(net, 7, bank, x) + offset[:, None, None]
        expected = compare(fdref.forward(net, x)[7], predicted)
        np.testing.assert_allclose(before[name].errors, expected[0], rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("count", [1, 2, 3])
def test_best_filters_of_very_few_images(count):
    """With a single image nothing judges, and the smallest exact filters are taken."""
    net, images = fdref.load(), fdref.mnist().test.images
    few = images[:count]
    top = fdref.nonlinearities(net, few, few, [7], points=1)[7].predicted
    assert 0 <= top[AFFINE].mean < 0.2
    if count == 1:
        assert top[LINEAR].mean < 1e-10


def test_images_and_labels_must_be_as_many():
    with pytest.raises(ArgumentError, match="3 images and 2 labels"):
        survey(fdref.load(), fdref.mnist().test.images[:3], np.array([0, 1]))

"""The paper's table, figures and claims: computed, never written down."""

from __future__ import annotations

import numpy as np
import pytest

import fdref
from fdref import ArgumentError, Conv, Network, ReLU
from fdref.paper.ceiling import ceiling, linear_filters
from fdref.paper.claims import reproduce
from fdref.paper.subject import Subject
from fdref.paper.survey import EQ3, PER_FILTER, survey
from fdref.resize import METHODS

pytestmark = [pytest.mark.large, pytest.mark.slow]


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


def verdicts(found, title):
    section = next(s for s in found.sections if s.title.startswith(title))
    return [claim.holds for claim in section.claims]


def test_table_1_is_what_evaluate_finds(found):
    net, shown = fdref.load(), subject(fdref.load())
    x = net.prepare(shown.images)
    for row in found.table1:
        expected = fdref.evaluate(net, x, [row["layer"]], row["unpool"])[row["layer"]]
        assert row["n"] == 200
        assert row["mean"] == pytest.approx(expected.mean, rel=1e-5, abs=1e-12)
        assert row["std"] == pytest.approx(expected.std, rel=1e-5, abs=1e-12)
        assert row["correlation"] == pytest.approx(expected.correlation, rel=1e-5)
    cells = {(row["layer"], row["unpool"]) for row in found.table1}
    assert cells == {(1, "bicubic"), *((n, m) for n in (3, 5, 7) for m in METHODS)}


def test_the_lenet_supports_the_papers_claims(found):
    assert verdicts(found, "Table 1") == [True, True, True]
    assert all(verdicts(found, "Figure 1"))
    assert verdicts(found, "Figure 6") == [True, True, True]
    assert verdicts(found, "Figure 7") == [True]


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
    assert False in verdicts(noise, "Table 1")
    assert False in verdicts(noise, "Figure 1")


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
    assert verdicts(other, "Table 1")[0] is None
    assert verdicts(other, "Figure 1") == [None]
    assert "figure1" not in other.drawings
    assert {"figure2", "figure3", "figure4", "figure5"} <= set(other.drawings)


def test_every_figure_has_its_numbers_and_its_section(found):
    assert set(found.drawings) == {f"figure{n}" for n in range(1, 8)}
    assert {s.picture for s in found.sections} - {""} == set(found.drawings)
    assert found.numbers["figure1/matrix"].shape == (10, 10)
    assert found.numbers["figure2/stage0"].shape == (1, 50, 4, 4)
    assert all(np.isfinite(a).all() for a in found.numbers.values())


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


def test_least_squares_finds_a_linear_filter():
    """A network that is one convolution, padded and strided, is found again to rounding."""
    random = np.random.default_rng(0)
    net = Network([Conv(random.standard_normal((4, 1, 3, 5)), stride=(2, 1), pad=(1, 0, 2, 1))])
    images = random.uniform(0, 255, (30, 12, 13))
    np.testing.assert_allclose(linear_filters(net, images, [1])[1], net[1].filters, atol=1e-9)
    assert ceiling(net, images, images, [1])[1].mean < 1e-15


def test_no_linear_filter_is_beaten_where_it_was_fitted():
    """On its own images the least-squares filter differs least, by definition."""
    net, images = fdref.load(), fdref.mnist().test.images
    x = net.prepare(images)
    response = fdref.forward(net, x)[7][:, :, 0, 0].astype(float)
    best = fdref.respond(net, 7, linear_filters(net, images, [7])[7], x)[:, :, 0, 0]
    decoded = fdref.respond(net, 7, fdref.decode(net, 7), x)[:, :, 0, 0].astype(float)
    scaled = decoded * (decoded * response).sum(axis=0) / (decoded**2).sum(axis=0)
    assert (((response - best) ** 2).sum(axis=0) < ((response - scaled) ** 2).sum(axis=0)).all()


def test_images_and_labels_must_be_as_many():
    with pytest.raises(ArgumentError, match="3 images and 2 labels"):
        survey(fdref.load(), fdref.mnist().test.images[:3], np.array([0, 1]))

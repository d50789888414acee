"""The chapters beyond the paper: verdicts at their thresholds, and what is measured for them."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import numpy as np
import pytest
from small_chapters import Small, chapters, chapters_of

import fdref
from fdref import Conv, Network, Pool, ReLU, Softmax, Sum
from fdref.measure.ranks import rank_correlation
from fdref.measure.specificity import Specificity
from fdref.measure.spectra import spectra, told
from fdref.measure.theorem import Agreement
from fdref.paper import (
    comparisons,
    decoded_filter,
    hidden_parts,
    inversions,
    occlusion,
    xia,
    zeiler_fergus,
)
from fdref.paper.excited import visible
from fdref.paper.inversions import Textured
from fdref.paper.subject import MANY, QUICK, THOROUGH, Subject

NAN = float("nan")


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# What the decoded filter is


@pytest.mark.parametrize(
    ("surprise", "holds"), [(1.09, True), (1.11, False), (0.0, None), (0.1, True)]
)
def test_means_over_switches_are_off_by_chance(surprise, holds):
    assert decoded_filter.switches_claim({3: 0.9 * surprise, 5: surprise}).holds is holds


@pytest.mark.parametrize(("worst", "holds"), [(0.901, True), (0.899, False), (NAN, None)])
def test_the_worst_layer_tells_whether_filters_are_the_best_for_noise(worst, holds):
    assert decoded_filter.noise_claim({3: 1.0, 5: worst}).holds is holds


@pytest.mark.parametrize(
    ("gain", "holds"),
    [(2**0.24, True), (2**0.26, False), (2**-0.24, True), (2**-0.26, False), (-1.0, False),
     (0.0, False), (NAN, None)],
)  # fmt: skip
def test_weighted_by_what_relus_let_through_the_gain_is_one(gain, holds):
    claim = decoded_filter.gain_claim({3: 1.0, 5: gain}, {5: 0.25})
    assert claim.holds is holds
    assert claim.found.endswith("; without weights: layer 5 0.250")


def known(count: int, own: float = 1.0) -> Specificity:
    """Of ten pictures so many are nearest to their own filters."""
    correlations = own * np.eye(10)
    correlations[count:, 0] = 2
    correlations[0, 1] = 0 if count else 2
    return Specificity(np.arange(10), correlations, np.eye(10))


@pytest.mark.parametrize(("count", "holds"), [(5, False), (6, True), (10, True)])
def test_more_than_half_of_the_pictures_know_their_neuron(count, holds):
    rules = {"gradient": known(10), "deconvnet": known(count)}
    claim, _ = decoded_filter.specificity_claims({3: rules | {"deconvnet": known(10)}, 5: rules})
    assert (claim.measured, claim.holds) == (count / 10, holds)


@pytest.mark.parametrize(("gradient", "holds"), [(0.49, False), (0.5, False), (0.51, True)])
def test_gradients_are_nearer_to_decoded_filters_in_the_last_layer(gradient, holds):
    one = {"gradient": known(10, 0.9), "deconvnet": known(10, 0.1)}
    last = {"gradient": known(10, gradient), "deconvnet": known(10, 0.5)}
    assert decoded_filter.specificity_claims({3: one, 5: last})[1].holds is holds
    assert [claim.holds for claim in decoded_filter.specificity_claims({})] == [None, None]


def test_correlations_are_corrected_for_noise_of_known_variance():
    """An estimate that is the filter and noise would be the filter without it."""
    decoded, noise = random(6, 1, 60, 60), random(6, 1, 60, 60, seed=1)
    for scale in (0.1, 1.0, 2.0):
        deviations = np.full(decoded.shape, scale)
        agreement = Agreement(np.arange(6), decoded, decoded + scale * noise, deviations, 9)
        np.testing.assert_allclose(comparisons.corrected(agreement), 1, atol=0.08 * scale)
        assert (agreement.correlations < 1 / np.sqrt(1 + 0.9 * scale**2)).all()
    silent = Agreement(np.arange(6), decoded, 0.1 * noise, np.full(decoded.shape, 0.2), 9)
    assert np.isnan(comparisons.corrected(silent)).all()


def test_correlations_of_several_filters_are_corrected_together():
    """Where noise is nearly all of each estimate, too."""
    decoded, noise = random(40, 1, 20, 20), random(40, 1, 20, 20, seed=1)
    other = random(40, 1, 20, 20, seed=2)
    for angle, scale in ((0, 0.1), (0, 3.0), (0.6, 3.0), (2.5, 1.0)):
        true = np.cos(angle) * decoded + np.sin(angle) * other
        deviations = np.full(decoded.shape, scale)
        agreement = Agreement(np.arange(40), decoded, true + scale * noise, deviations, 9)
        assert comparisons.together(agreement) == pytest.approx(np.cos(angle), abs=0.07)
    nothing = Agreement(np.arange(40), decoded, 0 * noise, np.full(decoded.shape, 0.2), 9)
    assert np.isnan(comparisons.together(nothing))
    assert np.isnan(comparisons.together(Agreement(*[np.zeros((1, 1, 2, 2))] * 4, 9)))


def test_relus_are_counted_on_the_way_with_the_most():
    one = np.ones((1, 1, 1, 1))
    layers = [Conv(one), ReLU(), Conv(one), ReLU(), Conv(one), Sum(), Conv(one), Pool(2, 2)]
    net = Network(layers, wiring={6: [2, 5]})
    assert [comparisons.rectifiers(net, n) for n in (1, 3, 5, 7)] == [0, 1, 2, 2]
    assert not comparisons.above_max_pools(net, 7)
    assert comparisons.above_max_pools(fdref.load(), 3)


# Zeiler & Fergus


@pytest.mark.parametrize(("last", "holds"), [(0.74, False), (0.75, False), (0.76, True)])
def test_deep_layers_have_fewer_classes(last, holds):
    assert zeiler_fergus.classes_claim({1: 0.5, 3: 0.1, 7: last}, 10).holds is holds


def test_one_class_or_one_layer_says_nothing_of_classes():
    assert zeiler_fergus.classes_claim({1: 1.0, 3: 1.0}, 1).holds is None
    assert zeiler_fergus.classes_claim({1: 0.5}, 10).holds is None


@pytest.mark.parametrize(
    ("projections", "holds"), [(0.49, False), (0.5, False), (0.51, True), (NAN, True)]
)
def test_patches_vary_more_in_every_layer_that_can_be_compared(projections, holds):
    claim = zeiler_fergus.variation_claim({1: (1.0, 0.1), 3: (projections, 0.5)})
    assert claim.holds is holds
    assert zeiler_fergus.variation_claim({3: (NAN, 0.5)}).holds is None


@pytest.mark.parametrize(("beyond", "holds"), [(0.0, True), (1e-30, False), (NAN, None)])
def test_projections_lie_within_fields(beyond, holds):
    assert zeiler_fergus.field_claim({1: beyond, 3: NAN}).holds is holds


def test_pictures_are_compared_two_by_two():
    """Twin: NumPy's correlation of each two."""
    pictures = random(3, 4, 2, 5, 5)
    expected = [
        np.corrcoef(pictures[k, i].ravel(), pictures[k, j].ravel())[0, 1]
        for k in range(3)
        for i in range(4)
        for j in range(i)
    ]
    assert zeiler_fergus.pairwise(pictures) == pytest.approx(np.mean(expected))
    assert zeiler_fergus.pairwise(pictures[:, :1].repeat(3, axis=1)) == pytest.approx(1)
    assert np.isnan(zeiler_fergus.pairwise(pictures[:, :1]))
    assert np.isnan(zeiler_fergus.pairwise(np.ones((3, 4, 1, 2, 2))))


def test_what_lies_outside_the_field_is_seen(monkeypatch):
    """Zero for projections; a picture that has anything outside has a share."""
    small = chapters()
    shares = [zeiler_fergus.outside(small.subject, one) for one in small.excited.values()]
    assert shares[:2] == [0, 0]  # the others see all of the image
    assert np.isnan(shares[2:]).all()

    def smeared(net, acts, layer, kept, rule):
        pictures = fdref.project(net, acts, layer, kept, rule)
        return pictures + 0.25 * pictures.max(axis=(1, 2, 3), keepdims=True) * (pictures == 0)

    monkeypatch.setattr(zeiler_fergus, "project", smeared)
    assert zeiler_fergus.outside(small.subject, small.excited[3]) == pytest.approx(0.25)


def test_what_a_unit_sees_is_cut_to_the_image():
    net = Network([Conv(random(1, 1, 5, 5), pad=2)])
    part = visible(net, 1, (0, 3), (8, 8))
    assert (part.rows, part.columns) == (slice(2, 5), slice(0, 5))


def test_excited_neurons_are_those_of_strongest():
    small = chapters()
    net, images = small.subject.net, small.subject.images
    which = Subject.some(500, 12)
    top = fdref.strongest(net, images, 5, which)
    found = small.excited[5]
    np.testing.assert_array_equal(found.images, top.images)
    np.testing.assert_array_equal(found.pixels, top.patches())
    np.testing.assert_array_equal(found.projections["guided"], top.projections("guided"))
    own = fdref.specificity(net, top.projections("guided").mean(axis=1), 5, which)
    np.testing.assert_array_equal(found.specific["guided"].correlations, own.correlations)
    np.testing.assert_allclose(found.prepared[:, 0], net.prepare(images[top.images[:, 0]]))


# Occlusion


def hidden(**changed: object) -> hidden_parts.Hidden:
    follows = {"background": 0.7, "grey": 0.2}
    same, other = np.full(3, 0.2), np.full(3, 0.4)
    images = np.zeros((1, 1, 8, 8))
    found = hidden_parts.Hidden(2, follows, 0.6, True, same, other, {}, images)
    return found._replace(**changed)


@pytest.mark.parametrize(
    ("number", "changed", "holds"),
    [
        (0, {"follows": {"background": 0.5, "grey": 0}}, True),
        (0, {"follows": {"background": 0.499, "grey": 0}}, False),
        (0, {"follows": {"background": NAN, "grey": 0}}, None),
        (1, {"follows": {"background": 0.75, "grey": 0.5}}, False),
        (1, {"follows": {"background": 0.751, "grey": 0.5}}, True),
        (2, {"watched": 0.5}, True),
        (2, {"watched": 0.499}, False),
        (2, {"watched": NAN}, None),
        (3, {"same": np.array([0.2, 0.4])}, True),
        (3, {"same": np.array([0.2, 0.401])}, False),
        (3, {"same": np.array([]), "random": np.array([])}, None),
    ],
)
def test_what_is_hidden_matters(number, changed, holds):
    assert occlusion.claims(hidden(**changed))[number].holds is holds


@pytest.mark.parametrize(
    ("left", "holds"), [(0.749, True), (0.751, False), (0.8, False), (0.1, True)]
)
def test_it_matters_where_photographs_are_hidden(left, holds):
    """Of two images the probabilities at one place; all others are 0.25 and 0.75."""
    probability = np.full((2, 3, 3), [[[0.25]], [[0.75]]])
    probability[0, 1, 1], probability[1, 2, 0] = 0.05, left - 0.05
    assert occlusion.place_claim(probability).holds is holds
    assert occlusion.place_claim(0 * probability).holds is None
    photographs = hidden(
        plain=False, every={"background": SimpleNamespace(probability=probability)}
    )
    assert len(occlusion.claims(photographs)) == 2


def test_photographs_have_no_plain_background():
    images = np.random.default_rng(0).integers(0, 256, (20, 1, 16, 16))
    layers = [Conv(random(2, 1, 16, 16))]
    for drawn in (False, True):
        if drawn:
            images[:, :, :, 4:] = 30
        subject = Small(Network(layers, input_size=16), images, np.arange(20) % 2, [])
        found = hidden_parts.hide(subject)
        assert found.plain is drawn
        assert len(found.same) == (2 * hidden_parts.PLACES if drawn else 0)


def test_the_map_that_is_watched_is_rectified_and_has_several_positions():
    convs = [Conv(random(2, c, 3, 3)) for c in (1, 2, 2, 2)]
    layers = [convs[0], ReLU(), convs[1], ReLU(), convs[2], ReLU(), convs[3]]
    for count, size, layer in ((7, 10, 6), (7, 9, 6), (5, 7, 4), (3, 5, 2), (1, 8, 1)):
        subject = Subject(Network(layers[:count]), np.zeros((2, size, size)), np.zeros(2, int), [])
        assert hidden_parts.watched_layer(subject) == layer
    lenet = Subject(fdref.load(), np.zeros((2, 28, 28)), np.zeros(2, int), [])
    assert hidden_parts.watched_layer(lenet) == 5


@pytest.mark.parametrize("seed", range(5))
def test_rank_correlation_is_the_correlation_of_ranks(seed):
    """Twin: ranks counted one by one, equal ones in the middle of theirs."""
    pair = np.random.default_rng(seed).integers(0, 6, (2, 30))
    ranks = [[(own < x).sum() + ((own == x).sum() - 1) / 2 for x in own] for own in pair]
    assert rank_correlation(*pair) == pytest.approx(np.corrcoef(ranks)[0, 1])


# Xia et al.


@pytest.mark.parametrize(("error", "holds"), [(0.01, True), (0.0101, False)])
def test_inversions_are_accurate_in_every_layer(error, holds):
    assert xia.accuracy_claim({3: 1e-9, 5: error}).holds is holds


@pytest.mark.parametrize(("last", "holds"), [(0.75, False), (0.749, True), (NAN, None)])
def test_deep_layers_know_less_of_the_image(last, holds):
    assert xia.loss_claim({3: 1.0, 5: 0.0, 7: last}).holds is holds
    assert xia.loss_claim({3: 1.0}).holds is None


@pytest.mark.parametrize(
    ("number", "changed", "holds"),
    [
        (0, {"map_told": 0.5}, False), (0, {"map_told": 0.501}, True),
        (1, {"image_told": 0.5}, True), (1, {"image_told": 0.501}, False),
        (2, {"after": 0.2}, False), (2, {"after": 0.201}, True),
        (3, {"decoded_told": 0.5}, False), (3, {"decoded_told": 0.501}, True),
    ],
)  # fmt: skip
def test_textures_are_the_filters(number, changed, holds):
    pictures = np.zeros((3, 2, 1, 4, 4))
    good = Textured(np.arange(3), pictures, pictures[:, 0], 0.1, 0.3, 1.0, 0.0, 1.0)
    claims = xia.texture_claims({3: good, 5: good._replace(**changed)})
    assert claims[number].holds is holds
    assert all(own.holds for own in xia.texture_claims({3: good}))


def test_textures_are_told_wherever_they_stand_and_images_are_not():
    """Stripes, one direction a filter, moved from image to image."""
    y, x = np.mgrid[:12, :12] * 2 * np.pi / 12
    waves = [(1, 2), (3, 0), (0, 4), (2, 2)]
    pictures = np.array(
        [[[np.cos(a * y + b * x + phase)] for phase in (0, 1, 2.5)] for a, b in waves]
    )
    rows = spectra(pictures, (12, 12))
    np.testing.assert_allclose((rows**2).sum(axis=-1), 1)
    assert told(rows) == 1
    assert told(rows.swapaxes(0, 1)) < 1
    assert told(np.zeros((3, 2, 5))) == 0


def test_of_what_is_larger_the_middle_counts():
    small = random(2, 3, 5, 6)
    large = np.pad(small, ((0, 0), (0, 0), (2, 3), (1, 1)), constant_values=9)
    np.testing.assert_array_equal(spectra(large, (5, 6)), spectra(small, (5, 6)))


def test_textures_are_of_what_follows_a_layers_filters():
    convs = [Conv(random(2, c, 3, 3), pad=1) for c in (1, 2, 2)]
    layers = [convs[0], Pool(2, 2), ReLU(), convs[1], ReLU(), convs[2]]
    subject = Subject(Network(layers), np.zeros((2, 8, 8)), np.zeros(2, int), [])
    assert inversions.texture_layers(subject) == (3, 5, 6)
    assert [inversions.owner(subject.net, n) for n in (3, 5, 6)] == [1, 4, 6]
    lenet = Subject(fdref.load(), np.zeros((2, 28, 28)), np.zeros(2, int), [])
    assert inversions.texture_layers(lenet) == (3,)


def test_without_scipy_these_two_say_what_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy.optimize", None)
    subject = chapters().subject
    for exhibit in xia.exhibits(subject, xia.find(subject)):
        assert "not installed: pip install 'fdref[invert]'" in exhibit.text
        assert exhibit.text.count("\n") == 0
        assert not exhibit.claims
        assert exhibit.draw is None


# All


def test_progress_is_what_was_promised():
    for name, (done, promised) in chapters().progress.items():
        assert done == promised, name


def test_every_chapter_has_claims_numbers_and_a_drawing():
    for stem, exhibit in chapters().exhibits.items():
        assert exhibit.claims, stem
        assert exhibit.numbers, stem
        assert exhibit.draw is not None, stem
        assert exhibit.alt
        assert all(np.isfinite(values).all() for values in exhibit.numbers.values())


def colour(*layers: object) -> Subject:
    images = np.random.default_rng(0).integers(0, 256, (12, 3, 16, 16))
    return Small(Network(list(layers), input_size=16), images, np.arange(12) % 2, [])


@pytest.mark.parametrize(
    "layers",
    [
        [Conv(random(4, 3, 3, 3), pad=1), Pool(2, 2), ReLU(), Conv(random(2, 4, 8, 8, seed=1))],
        [Conv(np.zeros((4, 3, 3, 3))), Pool(2, 2), Conv(np.zeros((2, 4, 7, 7)))],
        [Conv(random(1, 3, 16, 16))],
        [Conv(random(2, 3, 3, 3)), ReLU()],
        [ReLU(), Conv(random(2, 3, 3, 3)), Softmax(), Conv(random(2, 2, 14, 14))],
    ],
    ids=["colours", "zeros", "one filter", "one layer", "softmax below"],
)
def test_other_networks_get_chapters_too(layers):
    found = chapters_of(colour(*layers))
    for exhibit in found.exhibits.values():
        if exhibit.draw is not None:
            assert exhibit.draw().axes[0].images
        told = [claim.found for claim in exhibit.claims] + [exhibit.text]
        told += [cell for table in exhibit.tables for row in table.rows for cell in row]
        assert not any("nan" in text for text in told)
    for done, promised in found.progress.values():
        assert done <= promised


def test_who_shows_many_images_has_time():
    images = np.zeros((MANY, 1, 1))
    net = Network([Conv(np.ones((1, 1, 1, 1)))])
    assert Subject(net, images, np.zeros(MANY, int), []).effort == THOROUGH
    assert Subject(net, images[1:], np.zeros(MANY - 1, int), []).effort == QUICK

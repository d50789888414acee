"""Verdicts just below and just above their thresholds, from numbers made for it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import fdref
from fdref import Conv, Network, Nonlinearities, Pool, ReLU
from fdref.engines.resize import PAPERS
from fdref.measure.evaluation import Evaluation
from fdref.measure.nonlinearities import LINEAR, MEAN_GRADIENT
from fdref.measure.replacing import nonlinear_below
from fdref.measure.survey import EQ3, PAPER, Survey, survey, wins
from fdref.paper import figure1, figure3, figure4, nonlinearities, table1
from fdref.paper.exhibit import judged
from fdref.paper.subject import Subject

CLASSES = 10


def cell(mean: float, images: int = 4) -> Evaluation:
    return Evaluation(np.full(images, mean), np.ones(images))


def table(means: dict[tuple[int, str], float]) -> Survey:
    """A survey that has nothing but eq. 3's means."""
    return Survey({}, {(EQ3, *key): cell(mean) for key, mean in means.items()}, {}, {}, {}, {}, {})


def flat(layers: dict[int, float], **lifted: float) -> dict[tuple[int, str], float]:
    """The same mean for each unpooling, but for those that are lifted."""
    return {(n, m): mean + lifted.get(m, 0.0) for n, mean in layers.items() for m in PAPERS}


def shown(filters: np.ndarray, labels: np.ndarray) -> Subject:
    """A layer of filters as large as the images, so that decoded filters are the filters."""
    images = np.zeros((len(labels), *filters.shape[2:]))
    return Subject(Network([Conv(filters)]), images, labels, [])


def one_hot(count: int = CLASSES) -> np.ndarray:
    return np.eye(count).reshape(count, 1, 2, count // 2)


def scored(scores: np.ndarray, labels: np.ndarray, dead: int = 0) -> tuple[Subject, Survey]:
    """A last layer whose decoded filters have these scores (N, K) in labelled images."""
    choosy = np.arange(CLASSES) >= dead
    subject = shown(one_hot(), labels)
    found = Survey({}, {}, {}, {1: scores.argmax(axis=0)}, {1: choosy}, scores, {})
    return subject, found


@pytest.mark.parametrize(
    ("off", "holds"),
    [(0.999, True), (1.001, False), (-0.999, True), (-1.001, False), (9.0, False), (np.nan, None)],
)
@pytest.mark.parametrize("which", [(3, "bilinear"), (7, "nearest")])
def test_the_means_are_the_papers_within_one_standard_deviation(off, holds, which):
    means = {key: mean for key, (mean, _) in PAPER.items()}
    means[which] += off * PAPER[which][1]
    claim = table1.figures_claim(table(means))
    assert claim.holds is holds
    assert f"layer {which[0]} {which[1]}" in claim.found
    if holds is not None:
        assert claim.measured == pytest.approx(abs(off))
        assert (claim.relation, claim.threshold) == ("<=", 1)


@pytest.mark.parametrize(
    ("last", "holds"), [(0.2001, True), (0.2, False), (0.1999, False), (np.nan, None)]
)
def test_the_error_grows_at_every_step(last, holds):
    subject = Subject(fdref.load(), np.zeros((1, 28, 28)), np.zeros(1, int), [])
    layers = {3: 0.1, 5: 0.2, 7: last}
    deeper, _ = table1.table1_claims(subject, table(flat(layers)), lenet=False)
    assert deeper.holds is holds


@pytest.mark.parametrize(("bilinear", "bicubic", "holds"), [
    (0.001, 0.0, True), (0.001, 0.0009, True), (0.001, 0.001, False), (0.001, 0.0011, False),
    (-0.001, -0.002, False), (np.nan, 0, None),
])  # fmt: skip
def test_bilinear_is_worse_than_each_other_in_every_layer(bilinear, bicubic, holds):
    subject = Subject(fdref.load(), np.zeros((1, 28, 28)), np.zeros(1, int), [])
    means = flat({3: 0.1, 5: 0.2}, bilinear=0.001)
    means |= flat({7: 0.3}, bilinear=bilinear, bicubic=bicubic)
    _, worst = table1.table1_claims(subject, table(means), lenet=False)
    assert worst.holds is holds


@pytest.mark.parametrize(("own", "holds"), [(0, False), (1, False), (5, False), (6, True)])
def test_more_than_half_of_the_images_are_of_their_filters_class(own, holds):
    labels = np.arange(CLASSES)
    scores = np.roll(np.eye(CLASSES), 1, axis=0)  # each filter likes the next class
    scores[:, :own] = np.eye(CLASSES)[:, :own]
    claim = figure1.claims(*scored(scores, labels))[0]
    assert (claim.measured, claim.holds) == (own, holds)
    assert (claim.relation, claim.threshold) == (">", 5)


@pytest.mark.parametrize(("dead", "holds"), [(4, True), (5, False)])
def test_a_dead_filter_has_no_image(dead, holds):
    """All images are alike to it: the first of them says nothing, whatever it shows."""
    labels = np.arange(CLASSES)
    claim = figure1.claims(*scored(np.eye(CLASSES), labels, dead))[0]
    assert (claim.measured, claim.holds) == (CLASSES - dead, holds)


@pytest.mark.parametrize(("diagonal", "holds"), [(0, False), (1, False), (5, False), (6, True)])
def test_more_than_half_of_the_diagonal_is_the_largest_of_its_column(diagonal, holds):
    """Equal is not larger."""
    scores = np.eye(CLASSES)
    for image in range(diagonal, CLASSES):
        scores[image, image - 1] = 1 if image % 2 else 1.5
    subject, found = scored(scores, np.arange(CLASSES))
    found.guesses[1] = np.arange(CLASSES)
    claim = figure1.claims(subject, found)[1]
    assert (claim.measured, claim.holds) == (diagonal, holds)


@pytest.mark.parametrize(("right", "holds"), [(3, False), (4, False), (5, True)])
def test_a_classifier_is_better_than_naming_the_largest_class(right, holds):
    labels = np.array([0, 0, 0, 0, *range(1, CLASSES)])
    named = np.where(np.arange(len(labels)) < right, labels, labels + 1)
    claim = figure1.claims(*scored(np.eye(CLASSES + 1)[named, :CLASSES], labels))[2]
    assert claim.threshold == 4 / 13
    assert (claim.measured, claim.holds) == (right / 13, holds)


@pytest.mark.parametrize(("own", "holds"), [(0, False), (1, False), (5, False), (6, True)])
def test_more_than_half_of_the_filters_excite_themselves(own, holds):
    """Shown at the same contrast, a weaker copy of a filter excites the original more."""
    filters = one_hot()
    filters[own:] = 0.5 * filters[0] if own else 0
    subject = shown(filters, np.arange(CLASSES))
    found = replace(table({}), banks={(1, "bicubic"): filters})
    claim = figure1.excitation(subject, found, 1)
    assert claim.holds is holds
    assert (claim.measured, claim.threshold) == (own / CLASSES, 0.5)


def test_filters_that_are_all_alike_or_alone_excite_nothing_most():
    ones = np.ones((CLASSES, 1, 2, 5))
    labels = np.arange(CLASSES)
    for filters, measured in ((ones, 0), (0 * ones, 0), (ones[:1], None)):
        found = replace(table({}), banks={(1, "bicubic"): filters})
        claim = figure1.excitation(shown(filters, labels), found, 1)
        assert claim.measured == measured
        assert not claim.holds


@pytest.mark.parametrize(("correlation", "holds"), [(0.499, False), (0.501, True)])
def test_figure_3_holds_for_a_correlation_above_a_half(correlation, holds):
    """Filters of one pixel are what they answer: here two sides with that correlation."""
    random = np.random.default_rng(0)
    columns = np.column_stack([np.ones(40), *random.standard_normal((2, 40))])
    one, other = np.linalg.qr(columns)[0].T[1:]  # of mean 0, unit length, and uncorrelated
    net = Network([Conv(one.reshape(40, 1, 1, 1))])
    subject = Subject(net, np.full((2, 1, 1), 3.0), np.zeros(2, int), [])
    seen = correlation * one + np.sqrt(1 - correlation**2) * other
    found = replace(table({}), banks={(1, "bicubic"): seen.reshape(40, 1, 1, 1)})
    (claim,) = figure3.exhibit(subject, found).claims
    assert claim.measured == pytest.approx(correlation)
    assert claim.holds is holds


def test_a_filter_larger_than_the_images_is_shown_as_the_unit_sees_it():
    """Padded, so that nine tenths of the filters look beyond the borders."""
    random = np.random.default_rng(0)
    filters = random.standard_normal((4, 1, 5, 5))
    net = Network([Conv(filters, pad=2), Conv(random.standard_normal((4, 4, 3, 3)))], input_size=3)
    subject = Subject(net, np.zeros((4, 3, 3)), np.arange(4), [])
    bank = fdref.decode(net, 2)
    at, pictures = figure1.on_images(subject, 2, bank)
    assert bank.shape == (4, 1, 7, 7)
    assert at == (0, 0)
    np.testing.assert_array_equal(pictures, fdref.decode(net, 2, position=(0, 0)))
    claim = figure1.excitation(subject, replace(table({}), banks={(2, "bicubic"): bank}), 2)
    assert claim.holds is True  # a linear network: the larger, the more alike


def test_a_filter_smaller_than_the_images_is_shown_where_the_middle_unit_looks():
    filters = np.eye(4).reshape(4, 1, 2, 2)
    subject = Subject(Network([Conv(filters)], input_size=5), np.zeros((4, 5, 5)), np.arange(4), [])
    at, pictures = figure1.on_images(subject, 1, filters)
    assert at == (2, 2)
    np.testing.assert_array_equal(pictures[:, :, 2:4, 2:4], filters)
    assert pictures.sum() == 4
    claim = figure1.excitation(subject, replace(table({}), banks={(1, "bicubic"): filters}), 1)
    assert claim.measured == 1


def test_figure_3_says_that_there_is_nothing_to_compare():
    net = Network([Conv(np.ones((4, 1, 1, 1)))])
    subject = Subject(net, np.full((2, 1, 1), 3.0), np.zeros(2, int), [])
    found = replace(table({}), banks={(1, "bicubic"): net[1].filters})
    (claim,) = figure3.exhibit(subject, found).claims
    assert claim.holds is None
    assert claim.found == "layer 1: nothing to compare"


@pytest.mark.parametrize(("same", "dead", "holds"), [
    (0, 0, False), (1, 0, False), (5, 0, False), (6, 0, True),
    (10, 4, True), (10, 5, False), (10, 10, None),
])  # fmt: skip
def test_more_than_half_of_the_filters_pick_the_networks_class(same, dead, holds):
    """Of dead filters both pick the first image, which says nothing."""
    labels = np.arange(CLASSES)
    subject, found = scored(np.eye(CLASSES), labels, dead)
    best = np.where(labels < same, found.guesses[1], (found.guesses[1] + 1) % CLASSES)
    claim = figure4.claim(subject, replace(found, best={1: best[:, None]}))
    assert claim.holds is holds
    assert claim.threshold == (None if holds is None else 0.5)


def test_images_of_one_class_say_nothing_of_classes():
    subject, found = scored(np.eye(CLASSES), np.zeros(CLASSES, int))
    claim = figure4.claim(subject, replace(found, best={1: found.guesses[1][:, None]}))
    assert claim.holds is None


def test_figure_4_shows_the_filters_that_a_class_excites_most():
    """Of more than a hundred filters, those with the highest activations for class 3."""
    count = 120
    random = np.random.default_rng(0)
    first = random.standard_normal((count, 1, 2, 2))
    net = Network([Conv(first), Conv(random.standard_normal((5, count, 1, 1)))])
    images = random.integers(0, 256, (12, 4, 4))
    labels = np.arange(12) % 5
    subject = Subject(net, images, labels, [])
    exhibit = figure4.exhibit(subject, survey(net, images, labels))
    acts = fdref.forward(net, net.prepare(images))[1].max(axis=(2, 3))
    wanted = np.argsort(-acts[labels == figure3.CLASS].mean(axis=0))[: figure4.SHOWN]
    assert exhibit.numbers["layer1/filters"].tolist() == wanted.tolist()


def test_a_tie_is_no_win():
    answers = np.array([[2.0, 1, 1], [3, 3, 0], [0, 0, -1]])
    assert wins(answers).tolist() == [True, False, False]


@pytest.mark.parametrize(
    ("relation", "below", "at", "above"),
    [(">", False, False, True), (">=", False, True, True), ("<=", True, True, False),
     ("==", False, True, False)],
)  # fmt: skip
def test_relations_at_their_thresholds(relation, below, at, above):
    def holds(measured):
        return judged("", "", "q", measured, relation, 0.5).holds

    half = 0.5
    assert holds(np.nextafter(half, 0)) is below
    assert holds(half) is at
    assert holds(np.nextafter(half, 1)) is above
    assert holds(np.nan) is None


def test_what_was_measured_stands_beside_the_verdict():
    claim = judged("Text.", "found", "share of filters", 0.8125, ">", 0.5)
    assert claim.criterion == "share of filters: 0.8125; holds for more than 0.5"
    assert judged("Text.", "none", "share", np.nan, ">", 0.5).criterion == ""


NET = Network(
    [
        Conv(np.ones((2, 1, 2, 2))),
        Pool(2, 2),
        Conv(np.ones((2, 2, 1, 1))),
        ReLU(),
        Conv(np.ones((2, 2, 1, 1))),
    ]
)


def linearised(net: Network, number: int, **changed: float) -> Nonlinearities:
    """Correlations of which every claim holds, but for those that are changed."""
    own = {"decoded": 0.8, "gradient": 0.7, "best": 0.9, "pools": 0.95, "relus": 0.85, "all": 1.0}
    own |= changed
    below = nonlinear_below(net, number)
    predicted = {"decoded, nearest": own["decoded"], MEAN_GRADIENT: own["gradient"]}
    if not np.isnan(own["best"]):
        predicted[LINEAR] = own["best"]
    replaced = {(): own["decoded"], (2,): own["pools"], (4,): own["relus"], below: own["all"]}

    def correlated(value: float) -> Evaluation:
        return Evaluation(np.array([0.1]), np.array([value]))

    return Nonlinearities(
        {}, *({key: correlated(r) for key, r in each.items()} for each in (predicted, replaced))
    )


@pytest.mark.parametrize(("which", "changed", "holds"), [
    (0, {"all": 0.9801}, True), (0, {"all": 0.9799}, False), (0, {"all": np.nan}, None),
    (1, {"gradient": 0.8}, True), (1, {"gradient": 0.8001}, False), (1, {"gradient": np.nan}, None),
    (2, {"best": 0.8 / 0.75}, True), (2, {"best": 1.07}, False), (2, {"best": np.nan}, None),
    (2, {"best": 0.0}, None), (2, {"decoded": 0.9 * 0.7499, "gradient": 0.0}, False),
])  # fmt: skip
def test_what_non_linearities_do_at_the_thresholds(which, changed, holds):
    claims = nonlinearities.claims(NET, {5: linearised(NET, 5, **changed)})
    verdicts = [claim.holds for claim in claims]
    assert verdicts[which] is holds
    assert all(holds for k, holds in enumerate(verdicts) if k != which)


@pytest.mark.parametrize(("changed", "holds"), [
    ({"pools": 0.8501}, True), ({"pools": 0.85}, False), ({"pools": 0.8}, False),
    ({"relus": np.nan}, None),
])  # fmt: skip
def test_pools_do_more_than_relus_or_not(changed, holds):
    assert nonlinearities.pools_claim(NET, 5, linearised(NET, 5, **changed)).holds is holds


def test_what_only_lenets_are_said_to_do_is_not_asked_of_others():
    net, zeros = fdref.load(), np.zeros((1, 28, 28))
    subject = Subject(net, zeros, np.zeros(1, int), [])
    other = Subject(Network(list(net)[:5], input_size=28), zeros, np.zeros(1, int), [])
    means = table(flat({3: 0.1, 5: 0.2, 7: 0.3}) | {key: mean for key, (mean, _) in PAPER.items()})
    assert len(table1.table1_claims(subject, means, lenet=True)) == 3
    assert len(table1.table1_claims(other, means, lenet=False)) == 2
    assert len(nonlinearities.claims(NET, {5: linearised(NET, 5)})) == 3


def test_the_worst_layer_counts():
    """All of layer 3's pools is all that is not linear below it."""
    bad = {"all": 0.9, "gradient": 0.9, "best": 2.0, "pools": 0.9, "relus": 0.95}
    found = {3: linearised(NET, 3, **bad), 5: linearised(NET, 5)}
    assert [claim.holds for claim in nonlinearities.claims(NET, found)] == [False, False, False]


def test_pools_and_relus_are_compared_where_there_are_both():
    net = Network([Conv(np.ones((2, 1, 2, 2))), Pool(2, 2), Conv(np.ones((2, 2, 1, 1)))])
    claim = nonlinearities.pools_claim(net, 3, linearised(net, 3))
    assert claim.holds is None
    assert claim.found == "there are not both"


def test_a_network_that_is_linear_has_no_such_chapter():
    subject = Subject(Network([Conv(np.ones((2, 1, 2, 2)))]), np.zeros((2, 4, 4)), np.zeros(2), [])
    exhibit = nonlinearities.exhibit(subject, {})
    assert (exhibit.claims, exhibit.tables, exhibit.draw) == ((), (), None)


def test_overlapping_pools_are_undone_by_windows():
    def unpooling(*pools: Pool) -> str:
        return nonlinearities.unpooling(Network([Conv(np.ones((1, 1, 1, 1))), *pools]))

    assert unpooling() == unpooling(Pool(2, 2), Pool((3, 2), (3, 2))) == "nearest"
    assert unpooling(Pool(2, 2), Pool(3, 2)) == unpooling(Pool(2, 3)) == "window"

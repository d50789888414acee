"""Every mistake is built, and told apart from every other: a diagonal confusion matrix."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from fdref.conformance.cases import cases
from fdref.conformance.comparison import equal, judge
from fdref.conformance.compute import compute
from fdref.conformance.diagnosis import diagnose
from fdref.conformance.examination import no_bar
from fdref.conformance.layouts import Attempt
from fdref.conformance.mistakes import MISTAKES, Mistake
from fdref.conformance.mistakes.mistake import NETWORKS
from fdref.conformance.mistakes.resizing import UNPOOL, by, keys, resized
from fdref.conformance.trial import Predictions, try_on
from fdref.walk.projection import RULES

pytestmark = pytest.mark.large
CASES = [case for case in cases() if not case.refused]
SMALL = sorted(
    (case for case in CASES if "lenet" not in case.id), key=lambda case: case.operation in NETWORKS
)
ALONE = [case for case in SMALL if case.operation not in NETWORKS]
NAMED = {mistake.name: mistake for mistake in MISTAKES}


@pytest.fixture(scope="module")
def predictions():
    """What mistakes give, computed when it is asked for, once."""
    return Predictions()


@pytest.fixture(scope="module")
def shown(predictions):
    """The cases that a mistake makes wrong."""

    def of(name):
        return {case.id for case in CASES if predictions.of(NAMED[name], case)}

    return of


def attempts_of(predictions, mistake, chosen=SMALL):
    """What somebody answers who makes a mistake; single operations come first."""
    wrong = [(case, predictions.of(mistake, case)) for case in chosen]
    return [Attempt(c, got or c.expected, bool(got)) for c, got in wrong if got != {}]


SINGLE = {case.operation for case in ALONE}
QUESTIONS = [
    *(pytest.param(m.name, ALONE, id=m.name) for m in MISTAKES if SINGLE & {*m.operations}),
    *(pytest.param(m.name, SMALL, id=f"{m.name}-all", marks=pytest.mark.slow) for m in MISTAKES),
]


@pytest.mark.parametrize(("name", "chosen"), QUESTIONS)
def test_the_diagnosis_names_the_mistake_and_no_other(name, chosen, predictions):
    """It explains every failure, nothing speaks against it, and of no other can that be said."""
    mistake = NAMED[name]
    attempts = attempts_of(predictions, mistake, chosen)
    failed = [attempt.case.id for attempt in attempts if attempt.wrong]
    assert failed, "no case shows it"
    own = try_on(mistake, attempts, predictions)
    assert [*own.explains] == failed
    assert own.borne_out
    for other in MISTAKES:
        if other is not mistake:
            trial = try_on(other, attempts, predictions)
            assert not (trial.borne_out and trial.explains == own.explains), other.name


@pytest.mark.slow
@pytest.mark.parametrize("name", ["border-clamped", "square-black", "float16", "offset-sign"])
def test_the_diagnosis_of_everything_is_that(name, predictions):
    """`diagnose` itself, of all cases."""
    found = diagnose(verdicts(attempts_of(predictions, NAMED[name], CASES)), no_bar)
    assert found.explanations[0].mistake is NAMED[name]
    assert found.explanations[0].sure
    assert [one for one in found.explanations if one.sure] == [found.explanations[0]]


def verdicts(attempts):
    return [judge(attempt.case, attempt.got) for attempt in attempts]


def test_a_right_implementation_is_diagnosed_with_nothing(engine):
    answers = [judge(case, compute(case, engine)) for case in CASES]
    assert diagnose(answers, no_bar) == ({}, ())


def test_what_equals_no_mistake_is_not_given_a_name():
    spoilt = [
        judge(case, {name: values + 1 for name, values in case.expected.items()})
        for case in CASES
        if case.operation in ("correlate", "unpool", "receptive_field")
    ]
    assert diagnose(spoilt, no_bar) == ({}, ())
    assert diagnose([judge(case, {}) for case in CASES[::5]], no_bar) == ({}, ())


def test_shapes_and_nan_are_compared():
    case = next(case for case in CASES if case.id == "correlate-nan")
    ((name, values),) = case.expected.items()
    assert equal(case, case.expected, {name: values.copy()})
    assert not equal(case, case.expected, {name: values[:, :1]})
    assert not equal(case, case.expected, {name: np.nan_to_num(values)})


def test_the_resizing_that_mistakes_are_made_of_is_right():
    right = Mistake("none", "nothing is wrong", UNPOOL, by(resized))
    finite = [case for case in CASES if "nan" not in case.id]  # matrices spread NaN
    assert not [case.id for case in finite if right.compute(case)]
    zero = Mistake("none", "it is another method", UNPOOL, by(partial(resized, cubic=keys(0))))
    shown = {
        case.parameters["method"] for case in finite if zero.compute(case) and case.id[:3] == "unp"
    }
    assert shown == {"bicubic"}


def test_what_goes_wrong_with_window_and_what_does_not(shown):
    """Its own mistakes show in all of its cases where they can, and in no others."""
    own = {c.id for c in CASES if "window" in (c.parameters.get(k) for k in ("method", "unpool"))}
    assert len(own) == 18
    # Windows as large as strides.
    alike = {"unpool-window-even", "decode-lenet5-window", "decode-graph-copies-window"}
    assert shown("window-not-divided") == own - {"unpool-window-point"}
    assert shown("window-divided-by-stride") == own - alike
    apart = {"unpool-window-narrow", "unpool-window-point"}
    assert shown("window-overlaps-overwritten") == own - alike - apart
    assert shown("window-ignored") & own == own - alike - {"evaluate-window"}
    assert shown("unpooled-with-zeros") > own
    for mistake in MISTAKES:
        if mistake.operations == UNPOOL and "window" not in mistake.name:
            assert mistake.name == "unpooled-with-zeros" or not shown(mistake.name) & own


def test_what_goes_wrong_with_projections_and_where(predictions):
    """Each shows where its rule, layer or tie is, and nowhere else."""

    def shown(name):
        return {
            case.id.removeprefix("project-")
            for case in CASES
            if case.operation == "project" and predictions.of(NAMED[name], case)
        }

    own = {case.id: case for case in CASES if case.operation == "project"}
    rules = {
        rule: {c.id[8:] for c in own.values() if c.parameters["rule"] == rule} for rule in RULES
    }
    assert shown("mask-of-the-way-up") <= rules["deconvnet"] | rules["guided"]
    assert shown("both-masks") <= rules["deconvnet"]
    assert shown("guided-without-the-way-up") <= rules["guided"]
    assert shown("gradient-rectified") <= rules["gradient"]
    assert not shown("not-rectified-on-the-way-down") & rules["linear"]
    assert shown("leak-once") == {"leak-guided", "real-guided", "own-relu"}
    assert shown("switches-after-relu") == {"pool-relu"}
    assert shown("switches-before-relu") & {"relu-pool", "pool-relu"} == {"relu-pool"}
    overlapping = {"pool", "overlap", "pad", "negative", "integers", "group"}
    assert shown("last-switch-stays") <= overlapping
    assert {"overlap", "integers"} <= shown("last-switch-stays")
    assert shown("ties-by-columns") == {"ties", "pad", "negative"}
    assert {"ties", "relu-pool"} <= shown("ties-all")
    assert "average" not in shown("unpooled-to-the-centre") | shown("ties-all")
    normalized = {name for name in shown("alpha-divided") if name.startswith("real-")}
    gradients = {"real-gradient", "real-softmax"}
    assert shown("normalize-differentiated") == normalized - gradients | {"normalize"}
    assert shown("normalize-passed-by-the-gradient") == gradients | {"normalize-odd"}
    every = {name.removeprefix("project-") for name in own}
    assert shown("all-kept") == shown("one-for-the-activation") == every
    one_pixel = {name for name in every if name.startswith(("lenet5", "lenet7"))}
    assert shown("map-kept") == every - one_pixel


def test_what_goes_wrong_with_occlusion_and_where(predictions):
    def shown(name):
        return {
            case.id
            for case in CASES
            if case.operation == "occlude" and predictions.of(NAMED[name], case)
        }

    own = {case.id for case in CASES if case.operation == "occlude"}
    for name in ("squares-beyond-the-border", "drop-for-activity", "maximum-watched"):
        assert shown(name) == own
    assert shown("square-black") == own - {"occlude-lenet"}  # whose square is black
    assert shown("background-by-the-mean") == {"occlude-background"}
    assert (
        shown("softmax-twice")
        == {"occlude-real", "occlude-lenet"}
        == own - shown("scores-for-probabilities")
    )
    several = {"occlude-integers", "occlude-ties", "occlude-large"}  # pixels of the output
    assert shown("averaged-before-softmax") == several


def test_names_and_sentences_are_fit_for_a_report():
    names = [mistake.name for mistake in MISTAKES]
    assert len(set(names)) == len(names)
    for mistake in MISTAKES:
        assert "; " in mistake.sentence or ", " in mistake.sentence
        assert not mistake.sentence.endswith(".")

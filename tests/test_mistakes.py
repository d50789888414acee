"""Every mistake is built, and told apart from every other: a diagonal confusion matrix."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from fdref.conformance.cases import cases
from fdref.conformance.comparison import equal
from fdref.conformance.compute import compute
from fdref.conformance.diagnosis import diagnose, summary
from fdref.conformance.mistakes import MISTAKES, Mistake
from fdref.conformance.mistakes.unpooling import UNPOOL, by, resized
from fdref.walk.projection import RULES

pytestmark = pytest.mark.large
CASES = [case for case in cases() if not case.refused]
OPERATIONS = [(mistake, own) for mistake in MISTAKES for own in mistake.operations]


@pytest.fixture(scope="module")
def wrong():
    """Each mistake's outputs of each case where they are not what is expected."""
    made = {}
    for mistake in MISTAKES:
        for case in CASES:
            outputs = mistake.compute(case)
            if outputs is not None:
                made[mistake.name, case.id] = outputs
    return made


def named_by(wrong, case, got):
    """What `diagnose` finds, from outputs that were computed once."""
    return [
        mistake
        for mistake in MISTAKES
        if (mistake.name, case.id) in wrong and equal(case, wrong[mistake.name, case.id], got)
    ]


@pytest.mark.parametrize(
    ("mistake", "operation"), OPERATIONS, ids=[f"{m.name}-{own}" for m, own in OPERATIONS]
)
def test_the_diagnosis_names_the_mistake_and_no_other(mistake, operation, wrong):
    """Over all cases of an operation it explains every failure, and nothing else does."""
    failed = [c for c in CASES if c.operation == operation and (mistake.name, c.id) in wrong]
    assert failed, f"no case of {operation} shows it"
    findings = [(case, named_by(wrong, case, wrong[mistake.name, case.id])) for case in failed]
    first, *others = summary(findings)
    assert first == (mistake, tuple(case.id for case in failed), ())
    assert all(len(explained) < len(failed) for _, explained, _ in others)


@pytest.mark.slow
def test_the_diagnosis_looks_at_all_mistakes(wrong):
    """`diagnose` itself, on the first failure of each mistake."""
    for mistake in MISTAKES:
        case = next(case for case in CASES if (mistake.name, case.id) in wrong)
        got = wrong[mistake.name, case.id]
        assert diagnose(case, got) == named_by(wrong, case, got)
        assert mistake in diagnose(case, got)


def test_a_right_implementation_is_diagnosed_with_nothing(wrong, engine):
    for case in CASES:
        assert named_by(wrong, case, compute(case, engine)) == []


def test_what_equals_no_mistake_is_not_given_a_name(wrong):
    for case in CASES[::5]:
        got = {name: values + 1 for name, values in compute(case, "reference").items()}
        assert named_by(wrong, case, got) == []
        assert diagnose(case, {}) == []


def test_shapes_and_nan_are_compared():
    case = next(case for case in CASES if case.id == "correlate-nan")
    ((name, values),) = case.expected.items()
    assert equal(case, case.expected, {name: values.copy()})
    assert not equal(case, case.expected, {name: values[:, :1]})
    assert not equal(case, case.expected, {name: np.nan_to_num(values)})


def test_the_resizing_that_mistakes_are_made_of_is_right():
    right = Mistake("none", "nothing is wrong", UNPOOL, by(resized))
    finite = [case for case in CASES if "nan" not in case.id]  # matrices spread NaN
    assert not [case.id for case in finite if right.compute(case) is not None]
    zero = Mistake("none", "it is another method", UNPOOL, by(partial(resized, a=0)))
    shown = {
        case.parameters["method"] for case in finite if zero.compute(case) and case.id[:3] == "unp"
    }
    assert shown == {"bicubic"}


def test_what_goes_wrong_with_window_and_what_does_not(wrong):
    """Its own mistakes show in all of its cases where they can, and in no others."""

    def shown(name):
        return {case for mistake, case in wrong if mistake == name}

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


def test_what_goes_wrong_with_projections_and_where(wrong):
    """Each shows where its rule, layer or tie is, and nowhere else."""

    def shown(name):
        return {case.removeprefix("project-") for mistake, case in wrong if mistake == name}

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
    assert shown("normalize-passed-by-the-gradient") == gradients
    every = {name.removeprefix("project-") for name in own}
    assert shown("all-kept") == shown("one-for-the-activation") == every
    one_pixel = {name for name in every if name.startswith(("lenet5", "lenet7"))}
    assert shown("map-kept") == every - one_pixel


def test_what_goes_wrong_with_occlusion_and_where(wrong):
    def shown(name):
        return {case for mistake, case in wrong if mistake == name and case.startswith("occlude")}

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
    assert shown("averaged-before-softmax") == {"occlude-integers", "occlude-ties"}


def test_names_and_sentences_are_fit_for_a_report():
    names = [mistake.name for mistake in MISTAKES]
    assert len(set(names)) == len(names)
    for mistake in MISTAKES:
        assert "; " in mistake.sentence or ", " in mistake.sentence
        assert not mistake.sentence.endswith(".")

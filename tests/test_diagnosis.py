"""What a diagnosis says: orders of axes, two mistakes at once, doubts, and when it is silent."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
from judging import question
from naming import Naming, named
from witness_mutants import MUTANTS

from fdref.conformance.cases import cases
from fdref.conformance.comparison import Problem, judge
from fdref.conformance.diagnosis import diagnose
from fdref.conformance.examination import Report, examine, no_bar
from fdref.conformance.layouts import LAYOUTS
from fdref.conformance.mistakes import MISTAKES
from fdref.conformance.mistakes.pairs import both
from fdref.conformance.report import as_json, text
from fdref.conformance.trial import Predictions

CASES = [case for case in cases() if not case.refused and "lenet" not in case.id]
NAMED = {mistake.name: mistake for mistake in MISTAKES}
FOUR = {"correlate", "pool", "substitute", "unpool"}


@pytest.fixture(scope="module")
def predictions():
    return Predictions()


def report_on(answer, predictions, operations):
    """Diagnose what a function of a case gives for some operations."""
    verdicts = tuple(judge(case, answer(case)) for case in CASES if case.operation in operations)
    found = diagnose(verdicts, no_bar, predictions=predictions)
    return Report("it", "", verdicts, found.mistakes, found.explanations)


def making(*names):
    """Answer with mistakes."""
    mistake = NAMED[names[0]] if len(names) == 1 else both(*(NAMED[name] for name in names))
    return lambda case: mistake.compute(case) or case.expected


def sure(report):
    return [one.mistake.name for one in report.causes() if one.sure]


def written(name):
    """How each layout would write an array."""
    return {
        "outputs-nhwc": lambda a: a.transpose(0, 2, 3, 1),
        "outputs-hwcn": lambda a: a.transpose(2, 3, 1, 0),
        "outputs-reversed": lambda a: a.transpose(3, 2, 1, 0),
        "outputs-chwn": lambda a: a.transpose(1, 2, 3, 0),
        "outputs-transposed": lambda a: a.swapaxes(2, 3),
        "outputs-channels-first": lambda a: a.swapaxes(0, 1),
        "outputs-squeezed": np.squeeze,
        "outputs-flat": np.ravel,
        "outputs-in-fortran-order": lambda a: a.ravel(order="F").reshape(a.shape),
    }[name]


class TestLayouts:
    @pytest.mark.parametrize("name", [layout.name for layout in LAYOUTS])
    def test_an_order_is_told_where_the_numbers_are_right(self, name, predictions):
        def answer(case):
            return {key: written(name)(values) for key, values in case.expected.items()}

        report = report_on(answer, predictions, FOUR)
        assert sure(report) == [name]
        failed = {one.case.id for one in report.verdicts if one.failed}
        assert set(report.causes()[0].explains) == failed
        assert report.unexplained() == []

    @pytest.mark.parametrize("name", ["outputs-nhwc", "outputs-reversed", "outputs-squeezed"])
    def test_and_a_mistake_beside_it(self, name, predictions):
        wrong = making("border-clamped")

        def answer(case):
            return {key: written(name)(values) for key, values in wrong(case).items()}

        assert set(sure(report_on(answer, predictions, {"unpool"}))) == {name, "border-clamped"}

    def test_and_numbers_that_nothing_explains(self, predictions):
        def answer(case):
            return {key: written("outputs-nhwc")(a + 1) for key, a in case.expected.items()}

        report = report_on(answer, predictions, {"unpool"})
        assert sure(report) == ["outputs-nhwc"]

    def test_a_shape_of_two_swapped_numbers_is_no_order(self, predictions):
        report = report_on(making("dilation-swapped"), predictions, {"correlate"})
        assert sure(report) == ["dilation-swapped"]


class TestPairs:
    @pytest.mark.parametrize(
        ("names", "operations"),
        [
            (("filters-flipped", "stride-swapped"), {"correlate"}),
            (("border-clamped", "odd-pixel-before"), {"unpool", "decode"}),
            (("alpha-divided", "beta-is-one"), {"normalize"}),
            (("substitution-flipped", "substitution-stride-ignored"), {"substitute"}),
            (("square-black", "activity-averaged"), {"occlude"}),
        ],
    )
    def test_two_at_once_are_both_named(self, names, operations, predictions):
        report = report_on(making(*names), predictions, operations)
        told = {part for name in sure(report) for part in name.split(" and ")}
        assert told == set(names)
        assert report.unexplained() == []


class TestDoubts:
    def test_what_passes_speaks_against_a_name(self, predictions):
        """The mistake is made in one case alone, of two kinds."""
        wrong, right = making("filters-flipped"), lambda case: case.expected
        some = ("correlate-basic", "correlate-pad", "correlate-stride", "correlate-impulse")

        def answer(case):
            return (right if case.id == "correlate-impulse" else wrong)(case)

        report = report_on(answer, predictions, {"correlate"})
        [cause] = report.causes()
        assert (cause.mistake.name, cause.sure) == ("filters-flipped", False)
        assert cause.refuted_by == ("correlate-impulse",)
        told = text(report)
        assert "perhaps filters-flipped: " in told
        assert "but it would make wrong what passes: correlate-impulse" in told
        assert as_json(report)["diagnosis"][0]["refuted_by"] == ["correlate-impulse"]
        assert set(some) <= {case.id for case in CASES}

    def test_another_shape_speaks_against_a_name(self, predictions):
        wrong = making("filters-flipped")

        def answer(case):
            got = wrong(case)
            return {"response": got["response"][:, :, :-1]} if case.id == "correlate-pad" else got

        [cause] = report_on(answer, predictions, {"correlate"}).causes()
        assert not cause.sure
        assert cause.refuted_by == ("correlate-pad",)

    def test_a_mistake_of_one_operation_alone_is_told_with_those_that_are_free(self, predictions):
        """Who substitutes rightly and decodes wrongly has two ways to do it."""
        wrong = making("substitution-flipped")

        def answer(case):
            return wrong(case) if case.operation == "decode" else case.expected

        report = report_on(answer, predictions, {"substitute", "decode"})
        [cause] = report.causes()
        assert cause.sure
        assert cause.spares == ("substitute",)
        assert "not in substitute" in text(report)

    def test_names_that_a_few_cases_do_not_tell_apart_are_both_doubted(self, predictions):
        case = next(case for case in CASES if case.id == "correlate-dilate")
        wrong = NAMED["bias-ignored"].compute(next(c for c in CASES if c.id == "correlate-basic"))
        verdicts = (
            judge(case, case.expected),
            judge(next(c for c in CASES if c.id == "correlate-basic"), wrong),
        )
        found = diagnose(verdicts, no_bar, predictions=predictions)
        assert [one.mistake.name for one in found.explanations if one.sure] == ["bias-ignored"]


class TestEvaluate:
    def test_the_forward_pass_explains_a_response_though_the_prediction_is_right(self, predictions):
        from fdref.conformance.compute import judged

        wrong = making("bias-twice")

        def answer(case):
            got = wrong(case)
            if case.operation != "evaluate":
                return got
            response = got["response"]
            return judged(response, case.expected["predicted"])

        report = report_on(answer, predictions, {"correlate", "evaluate"})
        assert sure(report) == ["bias-twice"]
        assert report.unexplained() == []
        assert any(one.startswith("evaluate") for one in report.causes()[0].explains)


class TestSilence:
    def report(self, case, got):
        return examine("it", "", [case], lambda asked: got)

    def test_an_unknown_mistake_is_said_to_be_one(self):
        case = question(a=[1.0, 2.0])
        assert self.report(case, {"a": np.array([1.0, 3.0])}).unexplained() == ["one"]

    @pytest.mark.parametrize(
        "got",
        [{"b": np.array([1.0, 2.0])}, {}, Problem("raised an error"), {"a": np.array(["x"])}],
        ids=["misnamed", "missing", "raised", "text"],
    )
    def test_what_the_failure_says_is_not_called_unknown(self, got):
        report = self.report(question(a=[1.0, 2.0]), got)
        assert report.verdicts[0].failed
        assert report.unexplained() == []

    def test_nor_what_its_note_has_named(self):
        case = question(a=np.array([1 / 3]))
        assert self.report(case, {"a": np.float32([1 / 3])}).unexplained() == []

    def test_a_missing_output_does_not_hide_the_mistake_in_the_others(self, predictions):
        case = next(case for case in CASES if case.id == "evaluate-real")
        got = NAMED["sample-deviation"].compute(case)
        less = {name: values for name, values in got.items() if name != "errors"}
        found = diagnose([judge(case, less)], no_bar, predictions=predictions)
        assert [one.mistake.name for one in found.explanations] == ["sample-deviation"]

    def test_a_refusal_that_failed_has_no_diagnosis(self):
        case = replace(question(refused=np.array(1)), refused=True)
        assert self.report(case, {"refused": np.array(0)}).unexplained() == []


class TestMutants:
    """Changes of an implementation that shares no line with ours."""

    @pytest.mark.parametrize("number", range(50, len(MUTANTS), 48))
    def test_some_are_found_and_none_is_named_wrongly(self, number):
        assert named(MUTANTS[number])[0] not in (Naming.PASSED, Naming.WRONGLY)

    @pytest.mark.slow
    def test_of_one_in_ten_most_are_named(self):
        """Of all, `benchmarks/mutants.py` counts them; that takes minutes."""
        some = MUTANTS[4::10]
        kinds = Counter(named(mutant)[0] for mutant in some)
        assert not kinds[Naming.PASSED]
        assert not kinds[Naming.WRONGLY]
        assert kinds[Naming.RIGHTLY] + kinds[Naming.NEARLY] >= 0.7 * len(some)
        assert kinds[Naming.RIGHTLY] >= 0.6 * len(some)

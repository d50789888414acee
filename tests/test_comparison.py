"""The judge: every verdict of a comparison, and what excuses one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from judging import question

from fdref.conformance.case import EXACT, Tolerance
from fdref.conformance.comparison import Outcome, Problem, equal, excused, judge
from fdref.conformance.expectations import excuses
from fdref.errors import ArgumentError

NEAR = Tolerance(1e-3, 1e-6, "a thousandth")


def numbers(expected: Any, got: Any, tolerance: Tolerance = EXACT):
    """Judge one output; return what is said about its numbers."""
    verdict = judge(question(tolerance=tolerance, a=expected), {"a": np.asarray(got)})
    assert verdict.outcome is Outcome.FAIL
    return verdict.differences[0].numbers


def passes(expected: Any, got: Any, tolerance: Tolerance = EXACT) -> bool:
    verdict = judge(question(tolerance=tolerance, a=expected), {"a": np.asarray(got)})
    return verdict.outcome is Outcome.PASS


class TestComparison:
    @pytest.mark.parametrize(
        ("expected", "got"),
        [
            ([0.0, 1.0], [-0.0, 1.0]),
            ([np.nan, 1.0], [-np.nan, 1.0]),
            ([np.inf, -np.inf], [np.inf, -np.inf]),
            (np.float32([1, 2]), np.array([1, 2], np.int8)),
            (np.array([1, 2]), np.float16([1, 2])),
            (np.float32([0, 1]), np.array([False, True])),
            (3.0, [[3.0]]),
            (np.zeros((0, 3)), np.zeros((0, 3))),
        ],
    )
    def test_the_same(self, expected, got):
        assert passes(expected, got)

    @pytest.mark.parametrize(
        ("expected", "got"),
        [
            ([1.0], [np.nan]),
            ([np.nan], [1.0]),
            ([np.inf], [1e308]),
            ([np.inf], [-np.inf]),
            ([0.0], [5e-324]),
            (np.float32([1]), np.float64([1 + 1e-15])),
        ],
    )
    def test_not_the_same(self, expected, got):
        assert not passes(expected, got)
        assert not passes(expected, got, Tolerance(1e-20, 0, "tiny"))

    def test_a_tolerance_that_passes_anything_or_nothing_is_none(self):
        for bound in (np.inf, np.nan, -1e-9):
            for bounds in ((bound, 0, ""), (0, bound, ""), (0, 0, "", {"a": bound})):
                with pytest.raises(ValueError, match="passes anything or nothing"):
                    Tolerance(*bounds)

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_what_is_not_finite_is_no_mistake_s_result_but_its_own(self, bad):
        case = question(tolerance=NEAR, a=[1.0, 2.0])
        assert equal(case, {"a": np.array([bad, 2.0])}, {"a": np.array([bad, 2.0])})
        for other in {0.0, 1.0, -np.inf, np.inf, np.nan} - {bad}:
            if not (np.isnan(bad) and np.isnan(other)):
                assert not equal(case, {"a": np.array([bad, 2.0])}, {"a": np.array([other, 2.0])})
                assert not passes([bad, 2.0], [other, 2.0], NEAR)

    def test_infinities_are_within_no_tolerance(self):
        assert not passes([np.inf], [0.0], NEAR)
        assert not passes([np.inf], [np.nan], NEAR)

    def test_the_tolerance_is_that_of_numpy(self):
        rng = np.random.default_rng(0)
        expected = rng.standard_normal(1000)
        got = expected * (1 + 2e-3 * rng.standard_normal(1000))
        off = int((~np.isclose(got, expected, NEAR.rtol, NEAR.atol)).sum())
        assert numbers(expected, got, NEAR).off == off > 100
        assert passes(got[:0], got[:0])

    def test_an_output_may_have_a_tolerance_of_its_own(self):
        case = question(tolerance=replace(NEAR, outputs={"b": 1.0}), a=[0.0], b=[0.0])
        got = {"a": np.array([0.5]), "b": np.array([0.5])}
        assert [one.output for one in judge(case, got).differences] == ["a"]

    def test_the_worst_place_and_the_largest_errors(self):
        expected = np.float32([[1, 0, 100], [4, 5, 6]])
        got = np.float32([[1, 0.5, 101], [4, 5.25, 6]])
        found = numbers(expected, got)
        assert (found.index, found.expected, found.got) == ((0, 2), 100, 101)
        assert (found.off, found.count, found.absolute, found.relative) == (3, 6, 1, 0.25 / 5)
        assert found.ulp == 0x3F000000  # from 0 to 0.5
        # Beyond its tolerance most is another place than the largest error.
        assert numbers(expected, got, Tolerance(0.01, 0, "")).index == (0, 1)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_ulps(self, dtype):
        one = dtype(1)
        above, tiny = np.nextafter(one, dtype(2)), np.nextafter(dtype(0), one)
        assert numbers([one], [above]).ulp == 1
        assert numbers([-one], [-above]).ulp == 1
        assert numbers([-tiny], [tiny]).ulp == 2
        largest = np.finfo(dtype).max
        everything = 2 * int(largest.view(f"i{largest.itemsize}"))
        assert numbers([-largest], [largest]).ulp == everything

    def test_errors_that_have_no_number(self):
        found = numbers([np.nan, 1.0], [1.0, 1.0])
        assert (found.index, found.absolute, found.relative, found.ulp) == (
            (0,),
            np.inf,
            None,
            None,
        )
        assert numbers(np.array([1]), np.array([2])).ulp is None
        assert numbers([0.0], [1.0]).relative is None

    def test_float32_where_float64_is_asked(self):
        third = np.array([1 / 3, 2 / 3])
        near = Tolerance(1e-12, 0, "float64")
        for got in (third.astype(np.float32), third.astype(np.float32).astype(np.float64)):
            (found,) = judge(question(tolerance=near, a=third), {"a": got}).differences
            assert "rounded to float32" in found.note
        (found,) = judge(question(tolerance=near, a=third), {"a": np.float32([1, 2])}).differences
        assert found.note == "the result is float32; expected float64, the type of the inputs"

    def test_the_first_stage_that_differs(self):
        case = question(stage1=[1.0], stage2=[2.0], stage3=[3.0])
        got = {"stage3": np.array([0.0]), "stage2": np.zeros((2, 2)), "stage1": np.array([1.0])}
        assert [one.output for one in judge(case, got).differences] == ["stage2", "stage3"]

    def test_what_is_no_answer(self):
        case = question(a=[1.0])
        assert judge(case, None).outcome is Outcome.NOT_ATTEMPTED
        assert judge(case, Problem("is broken")).problem == "is broken"
        assert judge(case, {}).differences[0].problem == "is missing"
        assert "complex" in judge(case, {"a": np.array([1j])}).differences[0].problem

    def test_outputs_that_nobody_asked_for_are_told_and_not_judged(self):
        case = question(a=[1.0])
        verdict = judge(case, {"a": np.array([1.0]), "b\x1b": np.array(1)})
        assert verdict.outcome is Outcome.PASS
        assert verdict.warnings == ("has `b?`, which nobody asked for",)
        verdict = judge(case, {"A": np.array([1.0])})
        assert verdict.outcome is Outcome.FAIL
        assert verdict.warnings == ("has `A`, which nobody asked for",)

    def test_of_stages_the_last_alone_will_do(self):
        case = replace(question(stage1=[1.0], stage2=[2.0], stage3=[3.0]), operation="decode")
        last = {"stage3": np.array([3.0])}
        verdict = judge(case, last)
        assert verdict.outcome is Outcome.PASS
        assert verdict.warnings == ("gives the last stage alone, of which the others are steps",)
        wrong = judge(case, {"stage3": np.array([4.0])})
        assert [one.output for one in wrong.differences] == ["stage3"]
        for stages in ({"stage1": np.array([1.0])}, {**last, "stage1": np.array([1.0])}, {}):
            assert judge(case, stages).outcome is Outcome.FAIL
            assert not judge(case, stages).warnings
        others = replace(case, operation="evaluate")
        assert [one.output for one in judge(others, last).differences] == ["stage1", "stage2"]

    def test_a_mistake_is_known_by_what_was_given(self):
        case = question(a=[1.0], b=[2.0])
        wrong = {"a": np.array([3.0]), "b": np.array([4.0])}
        assert equal(case, wrong, {"b": np.array([4.0]), "c": np.array([0.0])})
        assert not equal(case, wrong, {"a": np.array([3.0]), "b": np.array([2.0])})
        assert not equal(case, wrong, {"c": np.array([4.0])})
        assert not equal(case, wrong, {})

    def test_what_must_be_refused(self):
        case = question(refused=True, refused_=0)
        case = replace(case, expected={"refused": np.array(1)})
        assert judge(case, {"refused": np.array([[True]])}).outcome is Outcome.PASS
        (found,) = judge(case, {"refused": np.array(0)}).differences
        assert "must be refused" in found.problem

    def test_excuses(self):
        case = question(a=[1.0])
        for got, outcome, good in (
            ({"a": np.array([2.0])}, Outcome.EXPECTED_FAILURE, True),
            ({"a": np.array([1.0])}, Outcome.UNEXPECTEDLY_PASSED, False),
            (None, Outcome.NOT_ATTEMPTED, True),
        ):
            verdict = excused(judge(case, got), "so it is")
            assert (verdict.outcome, verdict.good, verdict.excuse) == (outcome, good, "so it is")


class TestExcuses:
    ids = ("unpool-1", "unpool-2", "pool-1", "lrn")

    def test_comments_are_reasons(self):
        lines = ["", "# two", "# lines", "unpool-*  ", "lrn", "", "pool-1 # its own", "", "lrn"]
        assert excuses(lines, self.ids) == {
            "unpool-1": "two lines",
            "unpool-2": "two lines",
            "lrn": "two lines",
            "pool-1": "its own",
        }

    def test_a_comment_ends_with_its_block(self):
        found = excuses(["# a", "lrn", "# b", "pool-1", "", "unpool-1"], self.ids)
        assert found == {"lrn": "a", "pool-1": "b", "unpool-1": ""}

    def test_what_matches_nothing_is_refused(self):
        with pytest.raises(ArgumentError, match="line 2, 'unpol-\\*', matches no case"):
            excuses(["lrn", "unpol-*"], self.ids)

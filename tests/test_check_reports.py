"""The judge's report as text, JSON and HTML: a verdict of every kind, and its pictures."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from html_checker import Checker
from judging import question
from report_schema import check_schema

from fdref.conformance.comparison import Problem, judge
from fdref.conformance.diagnosis import Explanation
from fdref.conformance.examination import Circumstances, examine
from fdref.conformance.failures import groups
from fdref.conformance.html import page
from fdref.conformance.report import as_json, text
from fdref.conformance.slices import HIGH, LOW, NOT_A_NUMBER, ZERO, pictures

if TYPE_CHECKING:
    from fdref.conformance.case import Case

NASTY = "<script>alert('&')</script> \"quoted\""


def report_of(*answers: tuple[Case, Any], excused: dict[str, str] | None = None):
    given = {case.id: answer for case, answer in answers}
    asked = [case for case, _ in answers]
    return examine(NASTY, "9.9", asked, lambda case: given[case.id], None, excused, [NASTY])


def picture_case(name: str, **more: Any) -> Case:
    expected = np.arange(2 * 3 * 4 * 5, dtype=np.float32).reshape(2, 3, 4, 5)
    return question(name=name, pictures=expected, **more)


def every_verdict():
    """Make a report in which there is one of everything, and nothing is finite or harmless."""
    right, wrong, known, odd, open_, broken, staged, nan = (
        picture_case(name)
        for name in ("right", "wrong", "known", "odd", "open", "broken", "staged", "nan")
    )
    picture = right.expected["pictures"]
    bad = picture.copy()
    bad[1, 2, 0, 0] += 1
    bad[1, 2, 3, 4] -= 2
    holes = bad.copy()
    holes[1, 2, 1, 1], holes[1, 2, 2, 2] = np.nan, -np.inf
    staged = replace(staged, about=NASTY, expected={"stage1": picture, "stage2": picture})
    return report_of(
        (right, {"pictures": picture}),
        (wrong, {"pictures": bad}),
        (known, {"pictures": bad}),
        (odd, {"pictures": picture}),
        (open_, None),
        (broken, Problem(NASTY)),
        (staged, {"stage1": picture, "stage2": bad}),
        (nan, {"pictures": holes}),
        excused={"known": NASTY, "odd": NASTY},
    )


@pytest.mark.usefixtures("no_mistakes")
class TestReports:
    def test_json_of_everything(self):
        data = as_json(every_verdict())
        check_schema(data)
        assert data["cases"][1]["differences"][0]["numbers"]["of_largest"] == 2 / 119
        assert set(data["counts"].values()) == {1, 4}
        again = json.loads(json.dumps(data, allow_nan=False))
        assert again == data
        assert data["cases"][-1]["differences"][0]["numbers"]["absolute"] == "inf"

    def test_text_of_everything(self):
        told = text(every_verdict())
        for said in (
            "wrong (unpool, section 4): A question.",
            "pictures[1, 2, 3, 4] is 117; expected 119",
            "2 of 120 values off, at most by 2, 0.0168 of the largest value",
            "first to differ: stage2, of stage1, stage2",
            "NaN or infinite where the other is not",
            "does not conform: of 8 cases, 1 pass, 4 fail, 1 not attempted, 1 expected failure",
        ):
            assert said in told

    def test_numbers_that_look_the_same_are_written_out(self):
        got = np.float64([1 + 1e-12])
        told = text(report_of((question(a=[1.0]), {"a": got})))
        assert "a[0] is 1.000000000001; expected 1.0" in told

    def test_the_page_is_whole_and_asks_nobody(self):
        told = page(every_verdict())
        checker = Checker(told)
        assert checker.open == []
        assert not checker.all("script")
        identifiers = [given["id"] for _, given in checker.seen if "id" in given]
        assert len(identifiers) == len(set(identifiers))
        links = {given["href"].removeprefix("#") for given in checker.all("a")}
        assert links
        assert links <= set(identifiers)
        for tag, given in checker.seen:
            for name in ("src", "href", "srcset", "data", "poster"):
                if tag != "a" and given.get(name):
                    assert given[name].startswith("data:")
        assert not re.search(r"https?:|url\(|@import", re.sub(r'"data:[^"]*"', "", told))
        assert told == page(every_verdict())
        assert "prefers-color-scheme: dark" in told

    def test_the_page_shows_every_case_and_every_failure(self):
        checker = Checker(page(every_verdict()))
        marks = [
            given["class"].split()[1]
            for _, given in checker.seen
            if (given.get("class") or "").startswith("mark ") and "title" in given
        ]
        assert Counter(marks) == {"pass": 1, "fail": 4, "known": 1, "odd": 1, "open": 1}
        assert len(checker.all("article")) == 5
        images = checker.all("img")
        assert len(images) == 4 * 3  # all but the broken one
        assert images[0]["alt"] == "expected: pictures[1][2]"
        assert (images[0]["width"], images[0]["height"]) == ("165", "132")

    def test_the_page_names_mistakes_and_links_to_what_they_explain(self):
        one, other = (
            SimpleNamespace(name=f"{n} {NASTY}", sentence=NASTY, made_of=()) for n in (1, 2)
        )
        report = every_verdict()
        explained = {"wrong": (one,), "nan": (one, other), "staged": (other,)}
        explanations = (
            Explanation(one, ("wrong", "nan"), ("known",)),
            Explanation(other, ("nan", "staged"), ()),
        )
        mistakes = {**report.mistakes, **explained}
        told = page(replace(report, mistakes=mistakes, explanations=explanations))
        checker = Checker(told)
        assert checker.open == []
        assert not checker.all("script")
        diagnosis = told[told.index('<section id="diag') : told.index('<section id="cov')]
        lines = [" ".join(text.split()) for _, text in Checker(diagnosis).texts]
        said = " ".join(filter(None, lines))
        assert f"1 {NASTY} {NASTY} Gives the result of wrong , nan ; not of known ." in said
        assert f"2 {NASTY} {NASTY} Gives the result of nan , staged ." in said
        assert "No mistake known to the kit gives the result of these cases. known" in said
        assert ("strong", f"2 {NASTY}") in checker.texts
        assert told.count("The result of: ") == 3

    def test_failures_of_one_mistake_stand_together_with_one_example_open(self):
        mistake = SimpleNamespace(name="a-mistake", sentence="is made", made_of=())
        report = every_verdict()
        tiny = replace(report.verdicts[1].case, id="tiny", expected={"a": np.zeros(1)})
        tiny = judge(tiny, {"a": np.ones(1)})
        mistakes = {**report.mistakes, "wrong": (mistake,), "tiny": (mistake,)}
        explanations = (Explanation(mistake, ("wrong", "tiny"), ()),)
        report = replace(
            report,
            verdicts=(*report.verdicts, tiny),
            mistakes=mistakes,
            explanations=explanations,
        )
        failed = [one for one in report.verdicts if one.failed]
        found = [(one.reason, [v.case.id for v in one.verdicts]) for one in groups(report, failed)]
        assert found[0] == ("a-mistake", ["tiny", "wrong"])
        assert [names for _, names in found[1:]] == [["known"], ["broken"], ["staged"], ["nan"]]
        told = text(report)
        assert "fail: tiny (unpool, section 4): A question.\n" in told
        assert "  1 more, a-mistake: wrong\n" in told
        assert "fail: wrong" not in told
        checker = Checker(page(report))
        assert checker.open == []
        assert len(checker.all("article")) == 6
        assert len(checker.all("details")) == 3  # all cases, those like the first, the one of them
        assert all("open" not in given for given in checker.all("details"))

    def test_the_same_problem_is_told_once(self):
        answers = [(question(name=name, a=[1.0]), Problem("raised E: no")) for name in "abc"]
        told = text(report_of(*answers))
        assert told.count("raised E: no") == 2
        assert "  2 more, raised E: no: b, c\n" in told

    @pytest.mark.parametrize(("ulps", "shown"), [(9_999, True), (10_000, False)])
    def test_few_floating_point_numbers_are_counted(self, ulps, shown):
        one = np.float32([1])
        got = (one.view(np.int32) + ulps).view(np.float32)
        told = text(report_of((question(a=one), {"a": got})))
        assert (f", {ulps} ulp\n" in told) == shown

    def test_parameters_are_told_the_network_last_and_cut_off(self):
        network = [{"type": "relu", "leak": 0}] * 40
        case = replace(question(a=[1.0]), parameters={"network": network, "layer": 3})
        told = text(report_of((case, {"a": np.zeros(1)})))
        assert '  with layer 3, network [{"type": "relu", "leak": 0}, ' in told
        assert max(map(len, told.splitlines())) < 300

    def test_the_report_says_what_was_judged_by_what_and_when(self):
        about = Circumstances(
            "forward", "2.0", "ab" * 32, "2026-11-26", ("2026-11-24", "2026-11-25")
        )
        case = picture_case("right")
        report = replace(report_of((case, case.expected)), circumstances=about)
        told = text(report)
        assert f"\nspecification 2.0, manifest sha256 {'ab' * 32}\n" in told
        assert "results of 2026-11-24 to 2026-11-25\n" in told
        assert told.endswith("conforms for forward: 1 of 1 cases pass")
        said = " ".join(" ".join(words.split()) for _, words in Checker(page(report)).texts)
        for words in (
            "Part forward",
            "Results of 2026-11-24 to 2026-11-25",
            "Judged 2026-11-26 by",
        ):
            assert words in " ".join(said.split())

    def test_a_page_where_all_is_well(self):
        case = picture_case("right")
        told = page(report_of((case, case.expected)))
        assert Checker(told).open == []
        assert "Diagnosis" not in told
        assert "1 of 1 cases pass" in told

    def test_pictures_show_the_worst_slice(self):
        report = every_verdict()
        verdict = report.verdicts[-1]
        expected, got, difference = pictures(verdict, verdict.differences[0])
        assert expected.colours.shape == (4, 5, 3)
        assert expected.colours[0, 0].tolist() == [0, 0, 0]
        assert expected.colours[3, 4].tolist() == [255] * 3
        assert tuple(got.colours[1, 1]) == NOT_A_NUMBER
        assert tuple(difference.colours[3, 4]) == LOW
        assert tuple(difference.colours[0, 1]) == ZERO
        assert np.abs(difference.colours[0, 0].astype(int) - HIGH).sum() < 300
        assert "not finite" in difference.scale

    def test_png_files_can_be_read(self, tmp_path):
        from matplotlib.image import imread

        verdict = every_verdict().verdicts[1]
        for picture in pictures(verdict, verdict.differences[0]):
            (tmp_path / "a.png").write_bytes(picture.png())
            read = np.rint(imread(tmp_path / "a.png") * 255).astype(np.uint8)
            np.testing.assert_array_equal(read, picture.colours)

    def test_extreme_values_are_drawn(self):
        largest = np.finfo(np.float64).max
        for values in ([largest, -largest], [np.nan, np.inf], [0.0, 0.0]):
            case = question(a=np.array([values]))
            verdict = judge(case, {"a": np.array([[1.0, 5e-324]])})
            assert len(pictures(verdict, verdict.differences[0])) == 3

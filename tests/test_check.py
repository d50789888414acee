"""The judge: every verdict, the report as text, JSON and HTML, and `fdref check`."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from test_report import Checker

import fdref
import fdref.compiled
import fdref.reference
from fdref.commands import main
from fdref.conformance.case import EXACT, OPERATIONS, Case, Tolerance
from fdref.conformance.cases import cases
from fdref.conformance.comparison import Outcome, Problem, excused, judge
from fdref.conformance.examination import Explanation, Report, examine
from fdref.conformance.expectations import excuses
from fdref.conformance.html import page
from fdref.conformance.kit import write_kit
from fdref.conformance.mistakes import MISTAKES
from fdref.conformance.report import as_json, text
from fdref.conformance.slices import HIGH, LOW, NOT_A_NUMBER, ZERO, pictures
from fdref.engine import Engine
from fdref.errors import ArgumentError

if TYPE_CHECKING:
    from pathlib import Path

NASTY = "<script>alert('&')</script> \"quoted\""
NEAR = Tolerance(1e-3, 1e-6, "a thousandth")


def question(
    *, tolerance: Tolerance = EXACT, refused: bool = False, name: str = "one", **expected: Any
) -> Case:
    arrays = {key: np.asarray(value) for key, value in expected.items()}
    return Case(name, "unpool", "4", "A question.", {}, {}, arrays, tolerance, refused)


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
        assert "`b`" in judge(case, {"a": np.array([1.0]), "b": np.array(1)}).problem

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


@pytest.fixture(scope="session")
def kit(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kit") / "kit"
    write_kit(folder)
    return folder


@pytest.fixture
def results(kit, tmp_path) -> Path:
    """Return a copy of the answers."""
    folder = tmp_path / "results"
    shutil.copytree(kit / "expected", folder)
    return folder


def change(path: Path, **arrays: np.ndarray) -> None:
    """Change outputs in a file of results."""
    with np.load(path) as file:
        before = dict(file)
    np.savez(path, **(before | arrays))


def some(operation: str, **what: Any) -> Case:
    """Return a case of the kit."""
    return next(
        case
        for case in cases()
        if case.operation == operation
        and not case.refused
        and all(case.parameters.get(key) == value for key, value in what.items())
    )


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


class TestCommand:
    def test_the_kits_own_answers_pass(self, kit, results, capsys):
        assert run("check", kit, results) == 0
        output = capsys.readouterr()
        assert output.err == ""
        assert output.out.endswith(f"conforms: {len(cases())} of {len(cases())} cases pass\n")
        rows = [line.split() for line in output.out.splitlines()]
        for operation, count in Counter(case.operation for case in cases()).items():
            (row,) = [row for row in rows if row[:1] == [operation]]
            assert row[-4:] == [str(count), str(count), "0", "0"]

    def test_nothing_attempted(self, kit, tmp_path, capsys):
        assert run("check", kit, tmp_path) == 1
        text = capsys.readouterr().out
        assert "not attempted:" in text
        assert f"{len(cases())} not attempted" in text

    def test_a_failure_is_told_in_text_json_and_html(self, kit, results, tmp_path, capsys):
        case = some("unpool", method="bicubic")
        wrong = np.array(case.expected["pictures"])
        wrong[0, 0, 0, 1] += 7
        change(results / f"{case.id}.npz", pictures=wrong)
        staged = next(case for case in cases() if case.id == "decode-integers")
        last = list(staged.expected)[-1]
        change(results / f"{staged.id}.npz", **{last: staged.expected[last] + 1})
        (results / f"{some('pool').id}.npz").unlink()
        (results / "poool.npz").touch()
        files = tmp_path / "report.json", tmp_path / "report.html"
        assert run("check", kit, results, "--json", files[0], "--html", files[1]) == 1
        told = capsys.readouterr().out
        assert f"fail: {case.id} (unpool, section {case.section}): {case.about}" in told
        assert "pictures[0, 0, 0, 1] is" in told
        assert f"1 of {wrong.size} values off, at most by 7 absolute" in told
        assert f"first to differ: {last}, of" in told
        assert f"pool: {some('pool').id}" in told
        assert "poool.npz belongs to no case" in told
        data = json.loads(files[0].read_text())
        check_schema(data)
        assert not data["conforms"]
        assert data["counts"] == {
            "pass": len(cases()) - 3,
            "fail": 2,
            "not attempted": 1,
            "expected failure": 0,
            "unexpectedly passed": 0,
        }
        entries = {entry["id"]: entry for entry in data["cases"]}
        assert entries[case.id]["differences"][0]["numbers"]["index"] == [0, 0, 0, 1]
        assert entries[staged.id]["first_difference"] == last
        assert f'id="case-{case.id}"' in files[1].read_text()

    def test_a_list_of_known_failures(self, kit, results, tmp_path, capsys):
        case, other = some("relu"), some("unpool")
        (results / f"{case.id}.npz").write_bytes(b"broken")
        (results / f"{other.id}.npz").unlink()
        known = tmp_path / "xfail.txt"
        known.write_text(f"# not done yet\n{case.id}\n{other.id}  # later\n")
        assert run("check", kit, results, "--xfail", known) == 0
        told = capsys.readouterr().out
        assert f"expected failures:\n  {case.id} (not done yet)" in told
        assert "2 excused" in told
        known.write_text("relu*\n")
        assert run("check", kit, results, "--xfail", known) == 1
        assert "unexpectedly passed:\n  relu" in capsys.readouterr().out

    def test_results_from_a_stranger_cannot_command_the_terminal(self, kit, results, capsys):
        np.savez(results / f"{some('relu').id}.npz", **{"\x1b[31mred": np.ones(1)})
        (results / "\x1b[31m.npz").touch()
        assert run("check", kit, results) == 1
        assert "\x1b" not in capsys.readouterr().out

    @pytest.mark.parametrize("engine", ["compiled", "reference"])
    def test_both_of_our_engines_pass(self, kit, engine, capsys):
        assert run("check", kit, "--engine", engine) == 0
        assert f"{len(cases())} of {len(cases())} cases pass" in capsys.readouterr().out

    def test_an_engine_that_raises_fails(self, kit, monkeypatch, capsys):
        def pool(*all_: Any) -> np.ndarray:
            raise IndexError("out of bounds")

        bad = copy_with_a_bug(fdref.reference, "pool", lambda real: pool)
        monkeypatch.setitem(sys.modules, "fdref.reference", bad)
        assert run("check", kit, "--engine", "reference") == 1
        assert "raised IndexError: out of bounds" in capsys.readouterr().out

    def test_a_kit_of_hdf5_files(self, tmp_path, capsys):
        write_kit(tmp_path / "kit", "h5")
        assert run("check", tmp_path / "kit", tmp_path / "kit" / "expected") == 0
        assert f"{len(cases())} of {len(cases())} cases pass" in capsys.readouterr().out

    def test_progress_counts_every_case(self, no_mistakes):
        done: list[int] = []
        asked = cases()[:7]
        examine("", "", asked, lambda case: None, progress=done.append)
        assert done == [1] * len(asked)

    def test_bad_usage_is_one_line_and_leaves_nothing(self, kit, results, tmp_path, capsys):
        missing = tmp_path / "xfail.txt"
        wrong = tmp_path / "wrong.txt"
        wrong.write_text("no-such-case\n")
        report = tmp_path / "report.json"
        for arguments, said in (
            ([kit], "expected either RESULTS or --engine"),
            ([kit, results, "--engine", "compiled"], "expected either RESULTS or --engine"),
            ([kit, "--engine", "fast"], "invalid choice"),
            ([tmp_path / "none", results], "cannot be read"),
            ([kit, tmp_path / "none"], "expected a folder of results"),
            ([kit, results, "--xfail", missing], "cannot be read"),
            ([kit, results, "--xfail", wrong], "wrong.txt: line 1, 'no-such-case', matches no"),
            ([kit, results, "--html", tmp_path / "none" / "a.html"], "cannot be written"),
        ):
            options = [] if "--html" in arguments else ["--json", report]
            assert run("check", *arguments, *options) == 2
            output = capsys.readouterr()
            assert output.out == ""
            assert output.err.startswith("fdref: ")
            assert output.err.count("\n") == 1
            assert said in output.err
        assert not report.exists()


KEYS = {
    "schema": int,
    "fdref": str,
    "kit": str,
    "subject": str,
    "conforms": bool,
    "counts": dict,
    "coverage": list,
    "cases": list,
    "diagnosis": list,
    "strays": list,
}
CASE_KEYS = {
    "id": str,
    "operation": str,
    "section": str,
    "about": str,
    "tolerance": dict,
    "outcome": str,
    "excuse": str | None,
    "problem": str,
    "first_difference": str | None,
    "differences": list,
    "mistakes": list,
}
NUMBERS_KEYS = {
    "index": list,
    "expected": float | str,
    "got": float | str,
    "off": int,
    "count": int,
    "absolute": float | str,
    "relative": float | str | None,
    "ulp": int | None,
}


def check_keys(found: dict[str, Any], keys: dict[str, Any]) -> None:
    assert list(found) == list(keys)
    for name, kind in keys.items():
        assert isinstance(found[name], kind), name


def check_schema(data: dict[str, Any]) -> None:
    """Hold a report against what `as_json` documents."""
    check_keys(data, KEYS)
    assert data["schema"] == 1
    outcomes = {outcome.value for outcome in Outcome}
    assert set(data["counts"]) == outcomes
    for row in data["coverage"]:
        check_keys(row, {"operation": str, "sections": list, "cases": int, "counts": dict})
        assert sum(row["counts"].values()) == row["cases"]
    ids = [entry["id"] for entry in data["cases"]]
    assert len(set(ids)) == len(ids) == sum(data["counts"].values())
    for entry in data["cases"]:
        check_keys(entry, CASE_KEYS)
        assert entry["outcome"] in outcomes
        assert set(entry["tolerance"]) == {"rtol", "atol", "reason", "outputs"}
        for one in entry["differences"]:
            check_keys(one, {"output": str, "problem": str, "note": str, "numbers": dict | None})
            if one["numbers"]:
                check_keys(one["numbers"], NUMBERS_KEYS)
    for found in data["diagnosis"]:
        check_keys(found, {"mistake": str, "sentence": str, "explains": list, "leaves": list})
        assert {*found["explains"], *found["leaves"]} <= set(ids)


def report_of(*answers: tuple[Case, Any], excused: dict[str, str] | None = None):
    given = {case.id: answer for case, answer in answers}
    asked = [case for case, _ in answers]
    return examine(NASTY, "9.9", asked, lambda case: given[case.id], None, excused, [NASTY])


@pytest.fixture
def no_mistakes(monkeypatch):
    """Look for no mistakes: it takes its time, and cases made here are none of the kit's."""
    monkeypatch.setattr("fdref.conformance.examination.diagnose", lambda *case: [])


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
        assert set(data["counts"].values()) == {1, 4}
        again = json.loads(json.dumps(data, allow_nan=False))
        assert again == data
        assert data["cases"][-1]["differences"][0]["numbers"]["absolute"] == "inf"

    def test_text_of_everything(self):
        told = text(every_verdict())
        for said in (
            "wrong (unpool, section 4): A question.",
            "pictures[1, 2, 3, 4] is 117; expected 119",
            "2 of 120 values off, at most by 2 absolute, 0.0168 relative, 262144 ulp",
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


class TestDiagnosis:
    def test_the_report_names_the_mistake(self, kit, results, capsys, tmp_path):
        mistake = next(one for one in MISTAKES if one.name == "bicubic-three-quarters")
        wrong = {}
        for case in cases():
            if case.operation == "unpool" and (found := mistake.compute(case)):
                wrong[case.id] = found
                np.savez(results / f"{case.id}.npz", **found)
        assert run("check", kit, results, "--json", tmp_path / "a", "--html", tmp_path / "b") == 1
        told = capsys.readouterr().out
        first = told.partition("diagnosis:\n")[2].splitlines()[0].strip()
        assert first == f"{mistake.name}: {mistake.sentence}"
        data = json.loads((tmp_path / "a").read_text())
        check_schema(data)
        assert data["diagnosis"][0]["mistake"] == mistake.name
        assert set(data["diagnosis"][0]["explains"]) == set(wrong)
        assert data["diagnosis"][0]["leaves"] == []
        page = (tmp_path / "b").read_text()
        assert (
            page.index("Diagnosis") < page.index(f"<strong>{mistake.name}") < page.index("<table")
        )

    def test_a_mistake_that_explains_a_part_of_anothers_is_not_told(self):
        found = [("a", "123", "4"), ("b", "12", "34"), ("c", "34", "12"), ("d", "34", "12")]
        explanations = tuple(
            Explanation(SimpleNamespace(name=name), tuple(yes), tuple(no))
            for name, yes, no in found
        )
        report = Report("", "", (), {}, explanations)
        assert [(one.mistake.name, one.leaves) for one in report.causes()] == [
            ("a", ()),
            ("c", ()),
            ("d", ()),
        ]


def flip(filters: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(filters[:, :, ::-1, ::-1])


def without_last_column(pictures: np.ndarray) -> np.ndarray:
    pictures[..., -1] = 0
    return pictures


BUGS = {
    ("precision", "too short"): lambda real: lambda weights: np.dtype(np.float32),
    ("correlate", "flipped"): lambda real: lambda x, w, *more: real(x, flip(w), *more),
    ("correlate", "no bias"): lambda real: lambda x, w, b, *more: real(x, w, None, *more),
    ("correlate", "shifted by one"): lambda real: lambda *all_: np.roll(real(*all_), 1, axis=3),
    ("pool", "always the maximum"): lambda real: lambda *all_: real(*all_[:-1], "max"),
    ("pool", "NaN loses"): lambda real: lambda x, *more: real(np.nan_to_num(x), *more),
    ("substitute", "a lost overlap"): lambda real: lambda *all_: without_last_column(real(*all_)),
    ("substitute", "flipped"): lambda real: lambda y, w, *more: real(y, flip(w), *more),
    ("unpool", "shifted by one"): lambda real: lambda *all_: np.roll(real(*all_), 1, axis=2),
    ("unpool", "always nearest"): lambda real: lambda *all_: real(*all_[:-1], "nearest"),
}
"""Wrong operations of an engine, made from the right ones."""

GRADIENTS = {"filter_gradient", "pool_gradient"}
"""The trainer's operations, of which a kit does not ask."""


def copy_with_a_bug(module: Any, operation: str, wrong: Any) -> SimpleNamespace:
    """Copy an engine, one of its operations replaced."""
    names = {name for name in vars(Engine) if not name.startswith("_")}
    copy = SimpleNamespace(**{name: getattr(module, name) for name in names})
    setattr(copy, operation, wrong(getattr(module, operation)))
    return copy


class TestDeliberateBugs:
    def test_each_operation_of_an_engine_has_one(self):
        operations = {name for name in vars(Engine) if not name.startswith("_")}
        assert {operation for operation, _ in BUGS} == operations - GRADIENTS

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_every_operation_has_cases(self, operation):
        assert some(operation)

    @pytest.mark.large
    @pytest.mark.usefixtures("no_mistakes")
    @pytest.mark.parametrize(("operation", "name"), BUGS)
    def test_a_copy_of_an_engine_with_a_bug_fails(
        self, engine, operation, name, kit, monkeypatch, tmp_path, capsys
    ):
        right = sys.modules[f"fdref.{engine}"]
        bad = copy_with_a_bug(right, operation, BUGS[operation, name])
        monkeypatch.setitem(sys.modules, f"fdref.{engine}", bad)
        assert run("check", kit, "--engine", engine, "--json", tmp_path / "report.json") == 1
        data = json.loads((tmp_path / "report.json").read_text())
        failed = {entry["operation"] for entry in data["cases"] if entry["outcome"] == "fail"}
        assert operation == "precision" or operation in failed
        assert fdref.__version__ in capsys.readouterr().out

    @pytest.mark.large
    def test_the_copy_without_a_bug_passes(self, engine, kit, monkeypatch):
        right = sys.modules[f"fdref.{engine}"]
        same = copy_with_a_bug(right, "pool", lambda real: real)
        monkeypatch.setitem(sys.modules, f"fdref.{engine}", same)
        assert run("check", kit, "--engine", engine) == 0

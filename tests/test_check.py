"""`fdref check`: what it says, writes and refuses, and the mistakes that it names."""

from __future__ import annotations

import json
from collections import Counter
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from judging import report_on, run, some
from report_schema import check_schema

from fdref.conformance.cases import cases
from fdref.conformance.diagnosis import Explanation
from fdref.conformance.examination import Report
from fdref.conformance.kit import write_kit
from fdref.conformance.mistakes import MISTAKES
from fdref.conformance.report import text
from fdref.engines import patched

if TYPE_CHECKING:
    from pathlib import Path


def change(path: Path, **arrays: np.ndarray) -> None:
    """Change outputs in a file of results."""
    with np.load(path) as file:
        before = dict(file)
    np.savez(path, **(before | arrays))


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
        assert f"1 of {wrong.size} values off, at most by 7, " in told
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

    @pytest.mark.slow
    @pytest.mark.parametrize("engine", ["compiled", "reference"])
    def test_both_of_our_engines_pass(self, kit, engine, capsys):
        assert run("check", kit, "--engine", engine) == 0
        assert f"{len(cases())} of {len(cases())} cases pass" in capsys.readouterr().out

    def test_an_engine_that_raises_fails(self, kit):
        def pool(*all_: Any) -> np.ndarray:
            raise IndexError("out of bounds")

        report = report_on(kit, patched("reference", pool=pool))
        assert not report.conforms
        assert "raised IndexError: out of bounds" in text(report)

    def test_a_kit_of_hdf5_files(self, tmp_path, capsys):
        write_kit(tmp_path / "kit", "h5")
        assert run("check", tmp_path / "kit", tmp_path / "kit" / "expected") == 0
        assert f"{len(cases())} of {len(cases())} cases pass" in capsys.readouterr().out

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
            Explanation(SimpleNamespace(name=name, made_of=()), tuple(yes), tuple(no))
            for name, yes, no in found
        )
        report = Report("", "", (), {}, explanations)
        assert [(one.mistake.name, one.leaves) for one in report.causes()] == [
            ("a", ()),
            ("c", ()),
            ("d", ()),
        ]

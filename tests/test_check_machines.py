"""What `fdref check` tells machines: JSON by its schema, JUnit XML, GitHub's runner, a badge."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from judging import question, run, some
from report_schema import check_schema, validate
from test_check_reports import every_verdict, picture_case, report_of

import fdref.conformance
from fdref.commands import _parser
from fdref.conformance.annotations import MOST, command, runner_commands, shielded
from fdref.conformance.badge import badge
from fdref.conformance.cases import cases
from fdref.conformance.comparison import Problem
from fdref.conformance.diagnosis import Explanation
from fdref.conformance.examination import Circumstances, examine
from fdref.conformance.html import page
from fdref.conformance.junit import junit
from fdref.conformance.report import as_json, text

ABOUT = Circumstances(
    "forward, unpool-*", "2.0", "0f" * 32, "2026-11-26", ("2026-11-25",), ("the kit is odd",)
)
ESCAPES = "\x1b[31mred\x07 \u202egnorw\r\n::error title=a::b"


@pytest.fixture
def everything(no_mistakes):
    report = every_verdict()
    mistake = SimpleNamespace(name="a-mistake", sentence="is made", made_of=())
    return replace(
        report,
        circumstances=ABOUT,
        mistakes={**report.mistakes, "wrong": (mistake,), "nan": (mistake,)},
        explanations=(Explanation(mistake, ("wrong", "nan"), ("staged",)),),
    )


class TestJson:
    def test_it_is_as_the_schema_says(self, everything):
        for report in (everything, replace(everything, circumstances=Circumstances())):
            data = json.loads(json.dumps(as_json(report), allow_nan=False))
            check_schema(data)
            validate(data)

    def test_whoever_reads_it_can_tell_what_was_judged(self, kit, results, capsys):
        assert run("check", kit, results, "--json", "-", "--subject", "mine 1.2") == 0
        data = json.loads(capsys.readouterr().out)
        validate(data)
        assert data["subject"] == "mine 1.2"
        assert data["specification"] == "2.0"
        digest = hashlib.sha256((kit / "manifest.json").read_bytes()).hexdigest()
        assert data["manifest_sha256"] == digest
        assert data["warnings"] == []
        assert re.fullmatch(r"\d{4}-\d\d-\d\d", data["judged"])


def parsed(document: bytes | str) -> ET.Element:
    return ET.fromstring(document)  # noqa: S314 - our own


ATTRIBUTES = {
    "testsuites": {"name", "tests", "errors", "failures", "skipped"},
    "testsuite": {"name", "tests", "errors", "failures", "skipped"},
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"classname", "name"},
    "failure": {"type", "message"},
    "skipped": {"message"},
    "system-out": set(),
}
CHILDREN = {
    "testsuites": ["testsuite"],
    "testsuite": ["properties", "testcase"],
    "properties": ["property"],
    "testcase": ["skipped", "failure", "system-out"],
}
"""Of JUnit XML as Jenkins and GitLab read it: what stands in what, in this order."""


def check_junit(element: ET.Element) -> None:
    assert set(element.attrib) == ATTRIBUTES[element.tag]
    order = [CHILDREN.get(element.tag, []).index(child.tag) for child in element]
    assert order == sorted(order)
    if element.tag == "testcase":
        assert len({child.tag for child in element}) == len(element)
    if element.tag in ("testsuite", "testsuites"):
        tests = list(element.iter("testcase"))
        assert int(element.get("tests")) == len(tests)
        for kind, tag in {"failures": "failure", "skipped": "skipped", "errors": "error"}.items():
            assert int(element.get(kind)) == sum(test.find(tag) is not None for test in tests)
    for child in element:
        check_junit(child)


class TestJunit:
    def test_its_structure(self, everything):
        root = parsed(junit(everything))
        check_junit(root)
        assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("8", "5", "2")
        found = {test.get("name"): test for test in root.iter("testcase")}
        assert list(found) == [verdict.case.id for verdict in everything.verdicts]
        assert list(found["right"]) == []
        assert found["wrong"].find("failure").get("message").startswith("pictures[1, 2, 3, 4] is")
        assert "A question." in found["wrong"].find("failure").text
        assert found["odd"].find("failure").get("type") == "unexpected"
        assert found["open"].find("skipped").get("message") == "not attempted"
        assert "<script>" in found["known"].find("skipped").get("message")
        properties = {one.get("name"): one.get("value") for one in root.iter("property")}
        assert properties["specification"] == "2.0"
        assert properties["manifest_sha256"] == "0f" * 32
        assert properties["warnings"] == "the kit is odd"

    def test_the_command_writes_it(self, kit, results, tmp_path):
        case = some("relu")
        np.savez(results / f"{case.id}.npz", **case.expected, more=1.0)
        (results / f"{some('pool').id}.npz").unlink()
        assert run("check", kit, results, "--junit", tmp_path / "a.xml", "--quiet") == 1
        root = parsed((tmp_path / "a.xml").read_bytes())
        check_junit(root)
        counted = {suite.get("name"): int(suite.get("tests")) for suite in root}
        assert counted == Counter(case.operation for case in cases())
        (noted,) = (test for test in root.iter("testcase") if test.find("system-out") is not None)
        assert noted.get("name") == case.id
        assert noted.find("system-out").text == "has `more`, which nobody asked for"


class TestGithub:
    def test_failures_of_one_mistake_are_one_annotation(self, everything):
        told = list(runner_commands(everything))
        assert sum(line.startswith("::error ") for line in told) == 5  # a mistake, 2, odd, the sum
        (line,) = (line for line in told if "a-mistake" in line)
        assert line.startswith("::error title=a-mistake%2C 2 cases::wrong: pictures[1, 2, 3, 4] ")
        assert line.endswith("; as well: nan")
        assert "::warning title=" in told[-1]
        assert any(line.endswith("::the kit is odd") for line in told)

    def test_where_all_is_well_it_is_a_notice(self, no_mistakes):
        case = picture_case("right")
        (line,) = list(runner_commands(report_of((case, case.expected))))[:-1]
        assert line.startswith("::notice title=")
        assert line.endswith("::conforms: 1 of 1 cases pass")

    @pytest.mark.parametrize(("failing", "told"), [(MOST + 1, MOST + 1), (MOST + 2, MOST)])
    def test_no_more_than_are_shown(self, failing, told, no_mistakes):
        answers = [(picture_case(f"c{n}"), Problem(f"problem {n}")) for n in range(failing)]
        lines = [line for line in runner_commands(report_of(*answers)) if ": problem" in line]
        assert len(lines) == told

    def test_nothing_is_a_command_but_ours(self):
        told = command("error", "100%, a: b", "1%\r\n::set-output::x")
        assert told == "::error title=100%25%2C a%3A b::1%25%0D%0A::set-output::x"
        first, *inside, last = shielded("a\n::error::b").splitlines()
        assert inside == ["a", "::error::b"]
        token = first.removeprefix("::stop-commands::")
        assert last == f"::{token}::"
        assert shielded("a") != shielded("a")

    def test_the_command_tells_the_runner(self, kit, results, capsys):
        (results / "::error::mine.npz").touch()
        assert run("check", kit, results, "--github") == 0
        lines = capsys.readouterr().out.splitlines()
        start, end = (i for i, line in enumerate(lines) if lines[0].split("::")[2] in line)
        assert start == 0
        assert any("::error::mine.npz" in line for line in lines[start:end])
        assert not any(line.startswith("::error") for line in lines)
        assert [line.partition(" ")[0] for line in lines[end + 1 :]] == ["::notice", "::warning"]
        assert run("check", kit, results, "--github", "--json", "-") == 0
        output = capsys.readouterr()
        check_schema(json.loads(output.out))
        assert output.err.startswith("::notice title=conformance of the results in ")


class TestBadge:
    @pytest.mark.parametrize(
        ("right", "part", "words", "colour"),
        [
            (True, "", ["filter decoding", "conforms, 1 of 1"], "#2a7d4a"),
            (True, "forward", ["forward", "conforms, 1 of 1"], "#2a7d4a"),
            (False, "x" * 99, ["x" * 39 + "…", "0 of 1 pass"], "#b3261e"),
        ],
    )
    def test_what_it_says(self, right, part, words, colour, no_mistakes):
        case = picture_case("one")
        answer = case.expected if right else Problem("is broken")
        report = report_of((case, answer))
        root = parsed(badge(replace(report, circumstances=Circumstances(part))))
        svg = "{http://www.w3.org/2000/svg}"
        assert [one.text for one in root.iter(f"{svg}text")] == words
        rects = [one for one in root.iter(f"{svg}rect") if one.get("fill")]
        assert rects[1].get("fill") == colour
        left, right_ = (int(one.get("width")) for one in rects)
        assert int(root.get("width")) == left + right_
        first, second = root.iter(f"{svg}text")
        assert int(first.get("x")) + int(first.get("textLength")) < left
        assert left < int(second.get("x"))
        assert int(second.get("x")) + int(second.get("textLength")) < left + right_
        assert report.subject in root.find(f"{svg}title").text

    def test_the_command_draws_it(self, kit, results, tmp_path):
        place = tmp_path / "badge.svg"
        assert run("check", kit, results, "--only", "relu", "--badge", place, "--quiet") == 0
        count = sum(case.operation == "relu" for case in cases())
        assert f">conforms, {count} of {count}</text>" in place.read_text()


def test_no_stranger_commands_terminal_or_page(no_mistakes):
    """Whatever is said, and by whom: names, problems, reasons, files."""
    broken, extra, known = (question(name=name, a=[1.0]) for name in ("broken", "extra", "known"))
    answers = {
        "broken": Problem(ESCAPES),
        "extra": {"a": np.array([2.0]), ESCAPES: np.array(1)},
        "known": {"a": np.array([2.0])},
    }
    report = examine(
        ESCAPES, ESCAPES, [broken, extra, known], lambda case: answers[case.id], None,
        {"known": ESCAPES}, [ESCAPES], circumstances=ABOUT,
    )  # fmt: skip
    told = [text(report), page(report), junit(report).decode(), badge(report).decode()]
    told += [*runner_commands(report), *strings(as_json(report))]
    for each in told:
        assert "red" in each or "\x1b" not in each
        assert all(line.isprintable() for line in each.splitlines())
        assert "\n::error" not in each
    assert all("[31mred" in each for each in told[:4])
    parsed(junit(report))


def strings(value):
    """Yield all text in what JSON can hold."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in [*value, *value.values()] if isinstance(value, dict) else value:
            yield from strings(one)


def test_the_workflow_to_copy_uses_what_there_is(kit):
    text = (kit / "workflow.yml").read_text()
    assert text == Path(fdref.conformance.__file__).with_name("workflow.yml").read_text()
    (line,) = re.findall(r"fdref check [^\n]*(?:\n {10}[^ \n][^\n]*)*", text)
    options = _parser().parse_args(shlex.split(line)[1:])
    assert options.github
    assert options.junit == "conformance.xml"
    assert options.subject == "${{ github.repository }} ${{ github.sha }}"
    assert "\t" not in text

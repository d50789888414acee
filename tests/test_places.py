"""Where commands write single files: `-` and other names of standard output, pipes, refusals."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from command_line import ROOT, everything_in, refusal, run, small_model
from judging import some

from fdref.commands.places import check_places
from fdref.errors import ArgumentError, FileError
from fdref.weights import SHIPPED


@pytest.fixture
def model(tmp_path):
    return small_model(tmp_path)


def shell(command: str, folder) -> subprocess.CompletedProcess[bytes]:
    program = f"{sys.executable} -m fdref"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        ["bash", "-c", command.replace("fdref", program)],
        cwd=folder,
        env=environment,
        capture_output=True,
        check=False,
    )


class TestStandardOutput:
    @pytest.mark.parametrize(
        ("command", "place"),
        [
            ("info", "-"),
            ("info", "/dev/stdout"),
            ("info", "/dev/fd/1"),
            ("decode --plan", "-"),
            pytest.param("decode", "/proc/self/fd/1", marks=pytest.mark.slow),
        ],
    )
    def test_programs_read_json_and_nothing_else(self, command, place, model, tmp_path):
        before = set(everything_in(tmp_path))
        done = shell(f"fdref {command} small.mat --json {place} | cat", tmp_path)
        assert (done.returncode, done.stderr) == (0, b"")
        assert json.loads(done.stdout)["model"] == "small.mat"
        new = {"decoded", "decoded/decoded.h5", "decoded/layer1.png", "decoded/layer4.png"}
        assert set(everything_in(tmp_path)) - before == (new if command == "decode" else set())

    def test_a_file_that_standard_output_is_sent_to(self, model, tmp_path):
        done = shell("fdref info small.mat --json told.json > told.json", tmp_path)
        assert (done.returncode, done.stderr) == (0, b"")
        assert json.loads((tmp_path / "told.json").read_bytes())["model"] == "small.mat"

    def test_another_pipe_and_people_are_told_beside(self, model, tmp_path):
        done = shell("fdref info small.mat --json >(cat >&2)", tmp_path)
        assert done.stdout.startswith(b"model    small.mat\n")
        assert json.loads(done.stderr)["model"] == "small.mat"

    def test_a_device_that_is_full(self, model, tmp_path):
        done = shell("fdref info small.mat --json /dev/full", tmp_path)
        message = b"fdref: /dev/full cannot be written: No space left on device\n"
        assert (done.returncode, done.stdout, done.stderr) == (2, b"", message)

    def test_a_reader_that_has_seen_enough(self, model, tmp_path):
        done = shell("fdref info small.mat --json - | true; exit ${PIPESTATUS[0]}", tmp_path)
        assert (done.returncode, done.stderr) == (0, b"")

    def test_nobody_reads_the_verdict_but_the_status_tells(self, kit, tmp_path):
        reading, writing = os.pipe()
        os.close(reading)
        for options in (["--json", "-"], []):
            command = [sys.executable, "-m", "fdref", "check", kit, tmp_path, *options]
            done = subprocess.run(
                command, cwd=ROOT, stdout=writing, stderr=subprocess.PIPE, check=False
            )
            assert (done.returncode, done.stderr) == (1, b"")
        os.close(writing)

    def test_standard_output_that_is_closed_or_full(self, model, tmp_path):
        done = shell("fdref info small.mat --json - >&-", tmp_path)
        message = b"fdref: --json -: standard output is closed\n"
        assert (done.returncode, done.stderr) == (2, message)
        done = shell("fdref info small.mat --json - >/dev/full", tmp_path)
        message = b"fdref: standard output: No space left on device\n"
        assert (done.returncode, done.stderr) == (2, message)

    @pytest.mark.parametrize("option", ["--json", "--html"])
    def test_the_verdict_of_a_check(self, option, kit, results, capsys):
        (results / f"{some('relu').id}.npz").write_bytes(b"broken")
        assert run("check", kit, results, option, "-") == 1
        told = capsys.readouterr().out
        if option == "--json":
            assert not json.loads(told)["conforms"]
        else:
            assert told.startswith("<!DOCTYPE html>")
            assert told.rstrip().endswith("</html>")

    def test_whatever_the_encoding_a_page_is_utf_8(self, kit, tmp_path):
        done = shell(
            f"PYTHONIOENCODING=ascii fdref check {kit} {kit}/expected --html - > page.html;"
            f"fdref check {kit} {kit}/expected --html same.html --quiet",
            tmp_path,
        )
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        assert (tmp_path / "page.html").read_bytes() == (tmp_path / "same.html").read_bytes()

    @pytest.mark.parametrize(
        "command", ["decode -o -", "kit -", "reproduce -o -", "train --mnist . -o -"]
    )
    def test_it_takes_no_folder_and_no_network(self, command, capsys, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert "'-' is standard output; expected a name" in refusal(capsys, *command.split())
        assert not everything_in(tmp_path)

    def test_a_file_of_that_name_can_be_meant(self, model, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        assert run("info", model, "--json", "./-") == 0
        assert json.loads((tmp_path / "-").read_bytes())["model"] == "small.mat"


class TestOneFileTwice:
    @pytest.mark.parametrize(
        ("one", "other"),
        [
            ("a", "a"),
            ("a", "./a"),
            ("a", "sub/../a"),
            ("a", "link"),  # to what is not there yet
            ("there", "hard"),
            ("there", "soft"),
            ("sub/a", "folder/a"),
            ("-", "-"),
        ],
    )
    def test_of_two_options(self, one, other, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        (tmp_path / "sub").mkdir()
        (tmp_path / "there").touch()
        (tmp_path / "hard").hardlink_to("there")
        for name, target in {"link": "a", "soft": "there", "folder": "sub"}.items():
            (tmp_path / name).symlink_to(target)
        for pair in ((one, other), (other, one)):
            with pytest.raises(ArgumentError, match="are the same file; name two"):
                check_places(dict(zip(("--json", "--html"), pair, strict=True)))
        check_places({"--json": one, "--html": "b"})

    def test_standard_output_by_two_names(self, kit, tmp_path):
        command = f"fdref check {kit} {kit}/expected --json - --html /dev/stdout | cat"
        done = shell(f"{command}; exit ${{PIPESTATUS[0]}}", tmp_path)
        assert (done.returncode, done.stdout) == (2, b"")
        assert b"are the same file" in done.stderr

    def test_nothing_that_is_read_is_replaced(self, kit, results, model, tmp_path, capsys):
        answer = results / f"{some('relu').id}.npz"
        (tmp_path / "list").write_text("relu*\n")
        (tmp_path / "again").symlink_to(answer)
        before = everything_in(tmp_path) | everything_in(kit)
        for place in (answer, tmp_path / "again", kit / "manifest.json", tmp_path / "list"):
            options = ("--xfail", tmp_path / "list", "--json", place)
            assert "read or written, too" in refusal(capsys, "check", kit, results, *options)
        assert "read or written" in refusal(capsys, "info", model, "--json", model)
        assert "read or written" in refusal(capsys, "decode", model, "--json", model)
        assert "read or written" in refusal(capsys, "info", "--json", SHIPPED)
        assert everything_in(tmp_path) | everything_in(kit) == before

    @pytest.mark.parametrize("name", ["", "decoded.h5", "layer1.png"])
    @pytest.mark.parametrize("there", [False, True])
    def test_no_result_is_replaced(self, name, there, model, tmp_path, capsys):
        out = tmp_path / "out"
        if there:
            out.mkdir()
        refusal(capsys, "decode", model, "-o", out, "--json", out / name)
        assert list(everything_in(out)) == []

    @pytest.mark.parametrize("there", [False, True])
    def test_beside_the_results_there_is_room(self, there, model, tmp_path):
        out = tmp_path / "out"
        if there:
            out.mkdir()
        assert run("decode", model, "-o", out, "--json", out / "told.json", "--quiet") == 0
        told = json.loads((out / "told.json").read_bytes())
        assert told["file"] == str(out / "decoded.h5")


@pytest.mark.parametrize("place", ["", ".", "none/a", "there/a", "x" * 300, "nul\0", "/dev/null/a"])
def test_what_cannot_be_written_is_refused_before_anything_is_computed(
    place, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "there").touch()
    with pytest.raises(FileError):
        check_places({"--json": place})
    assert list(everything_in(tmp_path)) == ["there"]


def test_no_case_is_judged_for_a_report_that_cannot_be_kept(kit, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("fdref.conformance.examination.judge", lambda *case: pytest.fail("judged"))
    message = refusal(capsys, "check", kit, kit / "expected", "--json", tmp_path / "none" / "a")
    assert "cannot be written, choose another place: No such file or directory" in message

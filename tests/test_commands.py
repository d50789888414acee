"""All commands: bad usage, and what happens to standard output and error."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import numpy as np
import pytest
from command_line import ROOT, everything_in, refusal, run

import fdref
from fdref.commands.decode import memory
from fdref.commands.messages import compiling_told, printable
from fdref.engines.first_use import tell_of_compiling


def test_printable_replaces_and_shortens():
    assert printable("a\tb\ud800Ä") == "a?b?Ä"
    assert printable("x" * 9, most=8) == "xxxxx..."
    assert printable("x" * 8, most=8) == "x" * 8


USAGE = {
    "": "COMMAND",
    "bogus": "'bogus'",
    "info a b": "unrecognized arguments: b",
    "decode --unpool lanczos": "'lanczos' (choose from",
    "decode --engine gpu": "'gpu' (choose from",
    "decode --filters": "expected one argument",
    "decode --filters -1": "'-1' cannot be read; expected for example 0-9,12",
    "decode --filters 3-1": "'3-1' cannot be read",
    "decode --filters 1,,2": "'1,,2' cannot be read",
    "decode --filters 1.5": "'1.5' cannot be read",
    "decode --filters ²": "'²' cannot be read",
    "decode --layers 1 --filters 20": "has no filter 20; its filters are 0 to 19",
    "decode --filters 0-999999999": "has no filter 999999999",
    f"decode --filters {'9' * 5000}": "cannot be read",
    f"decode --layers {'9' * 5000}": "no layer is named",
    "decode --layers 1,": "'1,' cannot be read; expected for example 1,3-7",
    "decode --layers 7-3": "'7-3' cannot be read; expected for example 0-9,12; the smaller first",
    "decode --layers 1-9": "there is no layer 9; the layers are 1 to 8",
    "decode --layers 0-3": "there is no layer 0",
    "decode --layers 1-999999999": "there is no layer 999999999",
    "decode --layers 2-2": "layer 2 (pool 'pool1') has no filters",
    "decode --layers 1-3,3": "names a layer twice",
    "decode --layers 1-conv2": "no layer is named '1-conv2'",
    "decode --layers 1-3-5": "no layer is named '1-3-5'",
    "decode --max-memory 2X": "argument --max-memory: '2X' is no size; expected such as 500M",
    "decode --max-memory -1": "--max-memory",
    "decode --max-memory 1,5G": "'1,5G' is no size",
    "decode --max-memory iB": "'iB' is no size",
    "decode --max-memory nan": "'nan' is no size",
    "decode --max-memory 1e9": "'1e9' is no size",
    f"decode --max-memory {'9' * 5000}": "is no size",
    "decode --max-memory 1": "--max-memory is 1 bytes; expected at least",
    "decode --bogus": "unrecognized arguments: --bogus (see fdref decode --help)",
    "decode --unpool no": "(see fdref decode --help)",
    "kit": "the following arguments are required: DIR (see fdref kit --help)",
    "check a b c": "unrecognized arguments: c (see fdref check --help)",
    "--bogus info": "unrecognized arguments: --bogus (see fdref",
    "decode --layers 0": "there is no layer 0; the layers are 1 to 8",
    "decode --layers 9": "there is no layer 9",
    "decode --layers -1": "no layer is named '-1'",
    "decode --layers conv9": "the names are 'conv1'",
    "decode --layers 1,conv1": "names a layer twice",
    "train": "--mnist",
    "train --mnist x --epochs 0": "--epochs 0",
    "train --mnist x --epochs many": "'many'",
    "train --mnist x --seed -1": "--seed -1",
    "train --mnist x --seed 9223372036854775808": "--seed 9223372036854775808",
    "train --mnist nowhere": "nowhere has neither train-images-idx3-ubyte",
    "train --mnist x -o nowhere/lenet.mat": "nowhere/lenet.mat cannot be written, choose",
    "train --mnist x -o .": ". is a folder",
    "train --mnist x -o /": "/ is a folder",
    f"train --mnist {'x' * 300}": "File name too long",
    f"train --mnist x -o {'x' * 300}": "File name too long",
    f"decode -o {'x' * 300}": "File name too long",
    "decode -o nowhere/out": "nowhere/out cannot be written, choose another place: No such file",
    "decode -o /dev/null": "/dev/null is a file; choose a folder",
    "decode -o /dev/null/out": "/dev/null/out cannot be written, choose another place: Not a dir",
    "decode -o /proc/out": "/proc/out cannot be written",
}


@pytest.mark.parametrize("command", USAGE, ids=lambda command: command[:50])
def test_bad_usage_is_said_in_one_line_and_leaves_nothing(command, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert USAGE[command] in refusal(capsys, *command.split())
    assert not everything_in(tmp_path)


def test_an_empty_name_is_not_the_shipped_net(capsys):
    assert "expected a network of MatConvNet's" in refusal(capsys, "info", "")
    assert "expected a network of MatConvNet's" in refusal(capsys, "decode", "")
    assert "'' cannot be read" in refusal(capsys, "decode", "--layers", "")
    assert "'' cannot be read" in refusal(capsys, "decode", "--filters", "")


def test_a_command_may_run_in_any_thread(capsys):
    found = []
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    for command in ("info", "info missing.mat"):
        thread = threading.Thread(
            target=lambda words: found.append(run(*words)), args=[command.split()]
        )
        thread.start()
        thread.join(timeout=60)
    assert found == [0, 2]
    assert capsys.readouterr().err.startswith("fdref: missing.mat cannot be read")
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


def test_that_loops_are_compiled_is_said_once_where_somebody_looks(capsys, monkeypatch):
    terminal = sys.stderr
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    with compiling_told():
        tell_of_compiling()
        tell_of_compiling()
    tell_of_compiling()
    assert capsys.readouterr().err.count("compiling") == 1
    with compiling_told(quiet=True):
        tell_of_compiling()
    monkeypatch.setattr(terminal, "isatty", lambda: False)
    with compiling_told():
        tell_of_compiling()
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("2G", 2**31),
        ("2GiB", 2**31),
        ("2GB", 2 * 10**9),
        ("500 MB", 500 * 10**6),
        (" 1.5g ", 3 * 2**29),
        ("0.5kib", 512),
        ("1K", 1024),
        ("1kb", 1000),
        ("3t", 3 * 2**40),
        ("100000", 100_000),
        ("100000B", 100_000),
        ("1.1GB", 1_100_000_000),  # exactly, which floating point is not
    ],
)
def test_sizes_as_people_write_them(text, size):
    assert memory(text) == size


def test_a_message_is_never_longer_than_a_few_lines(tmp_path, capsys):
    convs = [fdref.Conv(np.ones((1, 1, 1, 1)), name=f"layer number {n}") for n in range(100)]
    fdref.save(fdref.Network(convs), tmp_path / "net.mat")
    message = refusal(capsys, "decode", tmp_path / "net.mat", "--layers", "none")
    assert message.startswith("no layer is named 'none'; the names are 'layer number 0'")
    assert message.endswith("'layer number 99'")
    assert len(message) < 1020


@pytest.mark.parametrize("width", ["1", "20", "80"])
def test_help_on_a_terminal_of_any_width(width, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", width)
    for command in ("info", "decode", "train", "reproduce", "kit", "check"):
        assert run(command, "--help") == 0
        text = capsys.readouterr().out
        assert "--quiet" in text
        assert ("--json" in text) == (command in ("info", "decode", "check"))


class TestQuiet:
    def test_says_nothing_but_writes_and_tells_by_its_status(self, kit, tmp_path, capsys):
        assert run("info", "--quiet") == 0
        assert run("decode", "--quiet", "--layers", "1", "-o", tmp_path / "out") == 0
        assert run("kit", "--quiet", tmp_path / "kit") == 0
        assert run("check", "--quiet", kit, kit / "expected") == 0
        assert run("check", "--quiet", kit, tmp_path) == 1
        assert capsys.readouterr() == ("", "")
        assert {path.name for path in tmp_path.iterdir()} == {"out", "kit"}

    def test_but_errors_are_said(self, capsys):
        assert "there is no layer 9" in refusal(capsys, "decode", "--quiet", "--layers", "9")


@pytest.mark.parametrize("unbuffered", ["", "1"])
class TestStreams:
    @pytest.fixture(autouse=True)
    def buffering(self, unbuffered, monkeypatch):
        """A write fails when it is made, or when what has been kept is written at last."""
        monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)

    def shell(self, command: str) -> subprocess.CompletedProcess[bytes]:
        program = f"{sys.executable} -m fdref"
        command = command.replace("fdref", program, 1)
        return subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, check=False)

    @pytest.mark.parametrize("command", ["info", "--help"])
    def test_a_reader_that_has_seen_enough(self, command):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "fdref", command],
            cwd=ROOT,
            stdout=writing,
            stderr=subprocess.PIPE,
            check=False,
        )
        os.close(writing)
        assert (done.returncode, done.stderr) == (0, b"")

    def test_closed_standard_output(self):
        done = self.shell("fdref info >&-")
        assert (done.returncode, done.stderr) == (0, b"")

    def test_full_standard_output(self):
        done = self.shell("fdref info >/dev/full")
        message = b"fdref: standard output: No space left on device\n"
        assert (done.returncode, done.stderr) == (2, message)

    @pytest.mark.parametrize("closed", ["2>&-", "2>&- >&-", "<&- 2>&-", "<&- >&- 2>&-"])
    def test_what_is_meant_for_a_closed_stream_goes_to_no_other(self, closed):
        for command, status in (("info missing.mat", 2), ("info --bogus", 2), ("info", 0)):
            done = self.shell(f"fdref {command} {closed}")
            assert (done.returncode, done.stderr) == (status, b"")
            assert bool(done.stdout) == (status == 0 and ">&-" not in closed.split())
        done = self.shell("fdref --help >&-")
        assert (done.returncode, done.stderr) == (0, b"")

    @pytest.mark.parametrize("stderr", ["&-", "/dev/full"])
    def test_nobody_to_complain_to(self, stderr, tmp_path):
        assert self.shell(f"fdref info {tmp_path}/missing.mat 2>{stderr}").returncode == 2
        assert self.shell(f"fdref decode --layers 1 -o {tmp_path}/out 2>{stderr}").returncode == 0

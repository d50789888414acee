"""All commands: bad usage, and what happens to standard output and error."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from command_line import ROOT, everything_in, refusal

from fdref.commands.table import printable


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
    "decode --filters 20": "layer 1 (conv 'conv1') has no filter 20; its filters are 0 to 19",
    "decode --filters 0-999999999": "has no filter 999999999",
    f"decode --filters {'9' * 5000}": "cannot be read",
    f"decode --layers {'9' * 5000}": "no layer is named",
    "decode --layers 1,": "'1,' cannot be read; expected for example 1,3,5",
    "decode --layers 0": "there is no layer 0; the layers are 1 to 8",
    "decode --layers 9": "there is no layer 9",
    "decode --layers -1": "no layer is named '-1'",
    "decode --layers 2": "layer 2 (pool 'pool1') has no filters",
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
    assert "expected a MATLAB v7.3 file" in refusal(capsys, "info", "")
    assert "expected a MATLAB v7.3 file" in refusal(capsys, "decode", "")
    assert "'' cannot be read" in refusal(capsys, "decode", "--layers", "")
    assert "'' cannot be read" in refusal(capsys, "decode", "--filters", "")


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

    @pytest.mark.parametrize("stderr", ["&-", "/dev/full"])
    def test_nobody_to_complain_to(self, stderr, tmp_path):
        assert self.shell(f"fdref info {tmp_path}/missing.mat 2>{stderr}").returncode == 2
        assert self.shell(f"fdref decode --layers 1 -o {tmp_path}/out 2>{stderr}").returncode == 0

"""What a command leaves behind when it fails: nothing, or all that was there before."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from importlib import import_module
from math import inf
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from command_line import bank, everything_in, python, run, small_model

import fdref
from fdref.commands.output import RECORD, SafeFile, new_files
from fdref.errors import FileError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return small_model(tmp_path_factory.mktemp("model"))


class TestNothingHalfWritten:
    @pytest.mark.parametrize("existing", [True, False])
    @pytest.mark.parametrize(
        ("failure", "status", "said"),
        [
            (OSError(errno.ENOSPC, "full"), 2, "cannot write to {}: No space left on device"),
            (MemoryError("4 TiB"), 2, "out of memory: 4 TiB; ask for fewer filters or layers"),
            (FileError("no\nway"), 2, "no way"),
            (KeyboardInterrupt(), 130, "interrupted"),
            (signal.SIGINT, 130, "interrupted"),
            (signal.SIGTERM, 143, None),
        ],
        ids=repr,
    )
    def test_when_it_fails_with_the_first_layer_done(
        self, failure, status, said, existing, model, tmp_path, capsys, monkeypatch
    ):
        out = tmp_path / "out"
        if existing:
            out.mkdir()

        def draw(path, job, *rest):
            assert path.parent.parent == (out if existing else tmp_path)
            if job.number == 4:
                if isinstance(failure, signal.Signals):
                    os.kill(os.getpid(), failure)
                raise failure if isinstance(failure, BaseException) else AssertionError
            path.write_bytes(b"picture")

        handler = signal.getsignal(signal.SIGTERM)
        monkeypatch.setattr("fdref.commands.decoded_file.EVERY", inf)  # little is not worth keeping
        monkeypatch.setattr("fdref.commands.decode.draw", draw)
        assert run("decode", model, "-o", out) == status
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err == ("" if said is None else f"fdref: {said.format(out)}\n")
        assert everything_in(tmp_path) == ({"out": b""} if existing else {})
        assert signal.getsignal(signal.SIGTERM) == handler

    def test_after_sigkill_the_next_run_works(self, model, tmp_path):
        done = python(
            "-c",
            "import os, signal, sys\n"
            "from fdref.commands import decode, main\n"
            "decode.draw = lambda *rest: os.kill(os.getpid(), signal.SIGKILL)\n"
            f"main(['decode', {str(model)!r}, '-o', {str(tmp_path / 'out')!r}])",
        )
        assert done.returncode == -signal.SIGKILL
        assert not (tmp_path / "out").exists()
        assert run("decode", model, "-o", tmp_path / "out") == 0

    @pytest.mark.parametrize("when", ["before", "after"])
    def test_of_two_processes_the_second_is_refused(self, when, tmp_path):
        """Another process puts its files in place while we still work on ours."""
        out = tmp_path / "out"
        if when == "before":
            out.mkdir()
        with pytest.raises(FileError, match="cannot write to"):
            write_while_another_does(out)
        assert everything_in(tmp_path) == {"out": b"", "out/b": b"theirs"}

    def test_of_two_with_the_same_job_the_second_is_refused_at_once(self, tmp_path):
        out = tmp_path / "out"
        with new_files(out, ["a"], "job") as mine:
            (mine / "a").write_text("mine")
            message = f"another process is writing the same to {out}; wait for it or choose"
            with pytest.raises(FileError, match=message), new_files(out, ["a"], "job"):
                pass
            with new_files(tmp_path / "other", ["a"], "another job") as other:
                (other / "a").write_text("other")
        assert everything_in(tmp_path) == {
            "out": b"",
            "out/a": b"mine",
            "other": b"",
            "other/a": b"other",
        }

    def test_whoever_comes_when_the_first_is_just_done_does_it_no_harm(self, tmp_path, monkeypatch):
        """Its folder is moved between the moments when we open and when we lock it."""
        lock = fcntl.flock

        def late(held, how):
            (tmp_path / ".job.part").rename(tmp_path / "out")
            lock(held, how)

        monkeypatch.setattr(fcntl, "flock", late)
        with (
            pytest.raises(FileError, match="another process is writing the same"),
            new_files(tmp_path / "out", ["a"], "job"),
        ):
            pass
        assert everything_in(tmp_path) == {"out": b""}

    def test_a_file_system_may_know_no_locks(self, tmp_path, monkeypatch):
        def unknown(held, how):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", unknown)
        with new_files(tmp_path / "out", ["a"], "job") as folder:
            (folder / "a").write_text("mine")
        assert everything_in(tmp_path) == {"out": b"", "out/a": b"mine"}

    @pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit, MemoryError])
    def test_only_a_record_is_worth_keeping_and_only_when_interrupted(self, interruption, tmp_path):
        part = tmp_path / ".job.part"
        for names, kept in ((["a"], False), (["a", RECORD], interruption is not MemoryError)):
            with pytest.raises(interruption):
                write_until(interruption, tmp_path / "out", names)
            assert part.exists() == kept
        with new_files(tmp_path / "out", ["a"], "job") as folder:
            assert (folder / "a").exists() == kept
            (folder / "a").write_text("all")
        assert everything_in(tmp_path) == {"out": b"", "out/a": b"all"}

    @pytest.mark.parametrize("size", [0, 1000, 3000, 5000, 8000, 12000])
    def test_on_a_full_disk(self, size, tmp_path):
        """A limit on the size of files stands for the disk; HDF5 crashes if it hears of it."""
        import_module("fdref.pictures")  # or matplotlib's list of fonts does not fit either
        conv = fdref.Conv(bank(40, 1, 6, 6))
        fdref.save(fdref.Network([conv, fdref.Conv(bank(3, 40, 2, 2))]), tmp_path / "net.mat")
        done = python(
            "-c",
            "import resource, sys\n"
            "from fdref.commands import main\n"
            f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))\n"
            f"sys.exit(main(['decode', {str(tmp_path / 'net.mat')!r}, '--engine', 'reference',\n"
            f"               '-o', {str(tmp_path / 'out')!r}]))",
        )
        message = f"fdref: cannot write to {tmp_path / 'out'}: File too large\n"
        assert (done.returncode, done.stderr.decode()) == (2, message)
        assert list(everything_in(tmp_path)) == ["net.mat"]

    def test_a_safe_file_keeps_failures_to_itself_until_asked(self):
        with SafeFile("/dev/full", "r+") as file:
            assert file.write(b"12345") == 5
            assert file.truncate(3) == 3
            with pytest.raises(OSError, match="No space left"):
                file.check()

    def test_a_safe_file_is_what_hdf5_writes_otherwise(self, tmp_path):
        with SafeFile(tmp_path / "a", "w+") as disk:
            for opened in (disk, tmp_path / "b"):
                with h5py.File(opened, "w") as file:
                    file.create_dataset("x", data=bank(1000))
            disk.check()
        with h5py.File(tmp_path / "a") as safe, h5py.File(tmp_path / "b") as plain:
            assert np.array_equal(safe["x"], plain["x"])


def write_until(interruption: type[BaseException], folder: Path, names: list[str]) -> None:
    with new_files(folder, ["a"], "job") as part:
        for name in names:
            (part / name).write_text("half")
        raise interruption


def write_while_another_does(folder: Path) -> None:
    with new_files(folder, ["a", "b"]) as mine:
        (mine / "a").write_text("mine")
        (mine / "b").write_text("mine")
        folder.mkdir(exist_ok=True)
        (folder / "b").write_text("theirs")

"""What is written appears whole, as its user wants it, and goes nowhere that another user says."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import threading
from importlib import import_module
from types import SimpleNamespace
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from command_line import bank, everything_in, python, refusal, run, small_model
from kills import hidden, visible

import fdref
from fdref.errors import FileError
from fdref.files.folder import Folder
from fdref.files.laid_out import SafeFile
from fdref.files.whole import check_file, check_folder, folder_for, replace_file, write_folder
from fdref.training.recipe import LENET

if TYPE_CHECKING:
    from pathlib import Path

ANOTHER = 12345
"""A user who is not us."""

FILES = {"a": b"1", "below/b": b"2", "c": b"3"}


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    return small_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def mask():
    """Set what the umask says, for as long as a test takes."""
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestModes:
    @pytest.mark.parametrize(
        ("umask", "file", "folder"),
        [(0o022, 0o644, 0o755), (0o077, 0o600, 0o700), (0, 0o666, 0o777)],
    )
    def test_new_ones_obey_the_umask(self, umask, file, folder, mask, model, tmp_path):
        mask(umask)
        replace_file(tmp_path / "file", b"new")
        write_folder(tmp_path / "new", FILES)
        (tmp_path / "there").mkdir()
        write_folder(tmp_path / "there", FILES)
        assert run("decode", model, "--engine", "reference", "-o", tmp_path / "decoded") == 0
        found = {mode(path) for path in tmp_path.rglob("*") if path.is_file()}
        assert found == {file}
        assert {mode(path) for path in tmp_path.rglob("*") if path.is_dir()} == {folder}
        assert os.umask(umask) == umask

    @pytest.mark.parametrize("before", [0o600, 0o640, 0o664, 0o755])
    def test_one_that_is_replaced_keeps_its_mode(self, before, mask, tmp_path):
        (tmp_path / "file").write_text("old")
        (tmp_path / "file").chmod(before)
        fdref.save(fdref.Network([fdref.Conv(bank(1, 1, 2, 2))]), tmp_path / "file")
        assert mode(tmp_path / "file") == before

    def test_decoded_filters_keep_theirs(self, model, tmp_path):
        options = ("decode", model, "--engine", "reference", "-o", tmp_path, "--layers")
        assert run(*options, 1) == 0
        for name in ("decoded.h5", "layer1.png"):
            (tmp_path / name).chmod(0o600)
        assert run(*options, "1,4") == 0
        modes = {path.name: mode(path) for path in tmp_path.iterdir()}
        assert modes == {"decoded.h5": 0o600, "layer1.png": 0o600, "layer4.png": 0o644}

    def test_nobody_else_reads_what_is_not_ready(self, mask, tmp_path, monkeypatch):
        mask(0)
        seen = []
        monkeypatch.setattr(
            "os.fsync",
            lambda held: seen.extend(map(mode, tmp_path.glob(".fdref-*"))),
        )
        write_folder(tmp_path / "new", FILES)
        assert set(seen) == {0o700}

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
    def test_its_owner_too(self, tmp_path):
        (tmp_path / "file").write_text("old")
        os.chown(tmp_path / "file", ANOTHER, ANOTHER)
        replace_file(tmp_path / "file", b"new")
        status = (tmp_path / "file").stat()
        assert (status.st_uid, status.st_gid) == (ANOTHER, ANOTHER)


def test_the_disk_has_all_of_it_before_it_gets_its_name(model, tmp_path, monkeypatch):
    """Else a machine without power leaves files of 0 bytes; and the name is synced, too."""
    synced, named = [], []

    def fsync(held: int) -> None:
        synced.append(os.fstat(held).st_ino)

    def watched(real):
        def name(old, new, *, src_dir_fd, dst_dir_fd):
            if not new.startswith(".fdref-"):
                named.append(new)
                assert os.stat(old, dir_fd=src_dir_fd).st_ino in synced, new
                synced.clear() if real is os.replace else None
            real(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)

        return name

    monkeypatch.setattr("os.fsync", fsync)
    for function in ("replace", "link"):
        monkeypatch.setattr(os, function, watched(getattr(os, function)))
    (tmp_path / "there").mkdir()
    for write in (
        lambda: replace_file(tmp_path / "file", b"new"),
        lambda: write_folder(tmp_path / "new", FILES),
        lambda: write_folder(tmp_path / "there", FILES),
        lambda: run("decode", model, "--no-pictures", "-o", tmp_path),
    ):
        write()
        assert synced[-1] in {tmp_path.stat().st_ino, (tmp_path / "there").stat().st_ino}
    assert named == ["file", "new", "a", "b", "c", "decoded.h5"]


class TestLinks:
    def test_a_link_stays_one(self, tmp_path):
        (tmp_path / "below").mkdir()
        (tmp_path / "below" / "file").write_text("old")
        (tmp_path / "link").symlink_to("below/file")
        (tmp_path / "links").symlink_to("link")
        replace_file(tmp_path / "links", b"new")
        assert (tmp_path / "links").is_symlink()
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "below" / "file").read_bytes() == b"new"
        (tmp_path / "below" / "file").unlink()
        replace_file(tmp_path / "links", b"newer")
        assert (tmp_path / "below" / "file").read_bytes() == b"newer"

    def test_a_folder_may_be_a_link_but_not_to_nothing(self, model, tmp_path, capsys):
        (tmp_path / "there").mkdir()
        (tmp_path / "link").symlink_to("there")
        (tmp_path / "nothing").symlink_to("not there")
        (tmp_path / "loop").symlink_to("loop")
        write_folder(tmp_path / "link", FILES)
        assert set(everything_in(tmp_path / "there")) == {*FILES, "below"}
        commands = (("decode", model), ("reproduce", model), ("kit",))
        for name, problem in (("nothing", "is a link to nothing"), ("loop", "is a link to itself")):
            for command in commands:
                option = () if command == ("kit",) else ("-o",)
                said = refusal(capsys, *command, *option, tmp_path / name)
                assert said.startswith(f"{tmp_path / name} {problem}")
            assert (tmp_path / name).is_symlink()

    @pytest.mark.skipif(os.geteuid() != 0, reason="only root may give links away")
    def test_another_users_is_not_followed(self, model, tmp_path, capsys):
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "file").write_text("mine")
        for name, target in (("file", "precious/file"), ("folder", "precious")):
            (tmp_path / name).symlink_to(target)
            os.lchown(tmp_path / name, ANOTHER, ANOTHER)
        for refused in (
            lambda: replace_file(tmp_path / "file", b"new"),
            lambda: check_file(tmp_path / "file"),
            lambda: write_folder(tmp_path / "folder", FILES),
            lambda: check_folder(tmp_path / "folder"),
        ):
            with pytest.raises(FileError, match="is a link of another user"):
                refused()
        said = refusal(capsys, "decode", model, "-o", tmp_path / "folder")
        assert "is a link of another user" in said
        assert everything_in(tmp_path / "precious") == {"file": b"mine"}


def plant(folder: Path, name: str, kind: str, precious: Path) -> None:
    """Put something of another user under a name."""
    path = folder / name
    match kind:
        case "link to a folder" | "link to a file":
            path.symlink_to(precious if kind.endswith("folder") else precious / "file")
        case "FIFO":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
            (path / "file").symlink_to(precious / "file")
        case "file":
            path.write_text("theirs")
    os.lchown(path, ANOTHER, ANOTHER)


KINDS = ["link to a folder", "link to a file", "FIFO", "folder", "file"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give files away")
class TestPlanted:
    """Whoever may write beside a result guesses every name that can be guessed."""

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("suffix", ["part", "done", "decoding"])
    def test_hidden_names(self, suffix, kind, model, tmp_path):
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "file").write_text("mine")
        name = f".fdref-0123456789abcdef.{suffix}"
        (tmp_path / "out").mkdir()
        for folder in (tmp_path, tmp_path / "out"):
            plant(folder, name, kind, tmp_path / "precious")
        write_folder(tmp_path / "new", FILES)
        write_folder(tmp_path / "out", FILES)
        replace_file(tmp_path / "out" / "file", b"new")
        options = ("--engine", "reference", "--no-pictures")
        assert run("decode", model, *options, "-o", tmp_path / "out") == 0
        assert everything_in(tmp_path / "precious") == {"file": b"mine"}
        assert (tmp_path / "out" / name).lstat().st_uid == ANOTHER

    @pytest.mark.parametrize("kind", KINDS)
    def test_the_result_itself(self, kind, model, tmp_path, capsys):
        (tmp_path / "precious").mkdir()
        (tmp_path / "precious" / "file").write_text("mine")
        (tmp_path / "out").mkdir()
        plant(tmp_path / "out", "decoded.h5", kind, tmp_path / "precious")
        options = ("--engine", "reference", "--no-pictures", "-o", tmp_path / "out")
        said = refusal(capsys, "decode", model, *options)
        assert said.startswith(f"{tmp_path / 'out' / 'decoded.h5'} is ")
        assert everything_in(tmp_path / "precious") == {"file": b"mine"}
        assert not hidden(tmp_path / "out")

    @pytest.mark.parametrize("kind", KINDS)
    def test_a_checkpoint(self, kind, tmp_path):
        training = import_module("fdref.training.sgd")
        training.save_checkpoint(training.start(LENET, 0), tmp_path / "file")
        plant(tmp_path, "net.mat.checkpoint", kind, tmp_path)
        with pytest.raises(FileError):
            training.read_checkpoint(LENET, tmp_path / "net.mat.checkpoint")


class TestSwept:
    def left(self, folder: Path) -> None:
        """Leave what processes leave that are killed, and what looks like it."""
        for suffix in ("part", "done"):
            (folder / f".fdref-0123456789abcdef.{suffix}").write_bytes(b"half")
        (folder / ".fdref-00000000000000ff.part").mkdir()
        (folder / ".fdref-00000000000000ff.part" / "file").write_bytes(b"half")
        (folder / ".0123456789abcdef.part").write_bytes(b"not ours")

    def test_by_whoever_writes_there_next(self, model, tmp_path):
        ways = {
            "file": lambda folder: replace_file(folder / "file", b"new"),
            "folder": lambda folder: write_folder(folder, FILES),
            "decode": lambda folder: run("decode", model, "--engine", "reference", "-o", folder),
        }
        for name, write in ways.items():
            (tmp_path / name).mkdir()
            self.left(tmp_path / name)
            write(tmp_path / name)
            assert hidden(tmp_path / name) == [".0123456789abcdef.part"], name

    @pytest.mark.parametrize("kind", ["file", "folder"])
    def test_but_not_what_is_being_written(self, kind, tmp_path):
        with Folder(tmp_path) as one, Folder(tmp_path) as other:
            if kind == "file":
                name, held = one.new_file()
            else:
                part = one.new_folder()
                name, held = part.path.name, part.held
            other.sweep()
            assert hidden(tmp_path) == [name]
            os.close(held)
            other.sweep()
            assert not hidden(tmp_path)

    def test_nor_where_it_cannot_be_known(self, tmp_path, monkeypatch):
        def unknown(held, how):
            raise OSError(errno.ENOLCK, "No locks available")

        monkeypatch.setattr(fcntl, "flock", unknown)
        self.left(tmp_path)
        before = hidden(tmp_path)
        write_folder(tmp_path / "out", FILES)
        replace_file(tmp_path / "file", b"new")
        assert hidden(tmp_path) == before
        assert visible(tmp_path / "out") == FILES


class TestAtOnce:
    @pytest.mark.parametrize("existing", [True, False])
    def test_of_many_who_write_the_same_one_does_it(self, existing, tmp_path):
        if existing:
            (tmp_path / "out").mkdir()
        done, refused = [], []

        def write(number: int) -> None:
            try:
                write_folder(tmp_path / "out", dict.fromkeys(FILES, b"%d" % number))
                done.append(number)
            except FileError as error:
                refused.append(str(error))

        threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert (len(done), len(refused)) == (1, 7)
        assert visible(tmp_path / "out") == dict.fromkeys(FILES, b"%d" % done[0])
        assert not hidden(tmp_path)

    def test_many_who_replace_a_file_leave_one_of_theirs(self, tmp_path):
        threads = [
            threading.Thread(target=replace_file, args=(tmp_path / "file", b"%d" % n * 9999))
            for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(set((tmp_path / "file").read_bytes())) == 1
        assert list(everything_in(tmp_path)) == ["file"]


class TestKnownAtTheStart:
    @pytest.fixture(autouse=True)
    def nothing_is_computed(self, monkeypatch):
        never = lambda *about, **more: pytest.fail("too late")  # noqa: E731
        monkeypatch.setattr("fdref.decoding.decoded_file.DecodedFile.fill", never)
        monkeypatch.setattr("fdref.paper.reproduction.reproduce", never)
        monkeypatch.setattr("fdref.commands.check.examination", never)

    @pytest.mark.parametrize("option", ["--json", "--html"])
    def test_where_a_verdict_goes(self, option, kit, tmp_path, capsys):
        (tmp_path / "file").touch()
        for path in (tmp_path / "no" / "a", tmp_path / "file" / "a", tmp_path):
            said = refusal(capsys, "check", kit, "--engine", "compiled", option, path)
            assert said.startswith(str(path))
        assert list(everything_in(tmp_path)) == ["file"]

    @pytest.mark.parametrize("command", ["decode", "reproduce"])
    def test_where_a_folder_goes(self, command, model, tmp_path, capsys):
        (tmp_path / "file").touch()
        for path, problem in (
            (tmp_path / "no" / "out", "cannot be written, choose another place: No such file"),
            (tmp_path / "file", "is a file; choose a folder"),
            (tmp_path / "file" / "out", "cannot be written, choose another place: Not a directory"),
            ("a\0b", "cannot be written, choose another place: no system has such a name"),
        ):
            said = refusal(capsys, command, model, "-o", path)
            assert problem in said
        assert list(everything_in(tmp_path)) == ["file"]

    @pytest.mark.parametrize("command", ["decode", "reproduce"])
    def test_a_folder_that_takes_nothing(self, command, model, tmp_path, capsys, monkeypatch):
        def refuse(*about):
            raise PermissionError(errno.EACCES, "no")

        monkeypatch.setattr(Folder, "new_file", refuse)
        tmp_path.joinpath("out").mkdir()
        said = refusal(capsys, command, model, "-o", tmp_path / "out")
        assert said.endswith("cannot be written, choose another place: Permission denied")

    def test_a_disk_that_is_too_small(self, model, tmp_path, capsys, monkeypatch):
        takes = 2 * 6 * 6 * 4
        usage = SimpleNamespace(free=takes - 1)
        monkeypatch.setattr("shutil.disk_usage", lambda place: usage)
        options = ("decode", model, "--layers", 4, "--no-pictures", "-o", tmp_path / "out")
        said = refusal(capsys, *options)
        assert f"has {takes - 1} bytes free, the decoded filters take {takes}; make room" in said
        assert not everything_in(tmp_path)
        usage.free = takes
        with pytest.raises(pytest.fail.Exception, match="too late"):
            run(*options)

    @pytest.mark.slow
    @pytest.mark.parametrize("command", ["decode", "reproduce"])
    @pytest.mark.parametrize("broken", ["settings", "package"])
    def test_a_broken_matplotlib(self, broken, command, model, tmp_path):
        """Settings in another encoding, or a package that cannot be imported."""
        (tmp_path / "matplotlibrc").write_bytes("# Zürich\n".encode("latin-1"))
        (tmp_path / "matplotlib.py").write_text("import nothing_of_that_name")
        environment = {**os.environ, "MATPLOTLIBRC": str(tmp_path), "PYTHONPATH": str(tmp_path)}
        del environment["PYTHONPATH" if broken == "settings" else "MATPLOTLIBRC"]
        out = tmp_path / "out"
        done = python("-m", "fdref", command, model, "-o", out, env=environment)
        assert done.returncode == 2
        said = done.stderr.decode()
        assert said.startswith("fdref: matplotlib cannot be imported (")
        assert said.count("\n") == 1
        assert not out.exists()
        if command == "decode":
            assert "--no-pictures" in said
            more = ("--no-pictures", "-o", out)
            assert python("-m", "fdref", command, model, *more, env=environment).returncode == 0


def too_large() -> MemoryError:
    """Return NumPy's own error, which is made of something else than a text."""
    try:
        np.empty(2**56)
    except MemoryError as error:
        return error
    raise AssertionError


class TestNothingHalfWritten:
    @pytest.mark.parametrize("existing", [True, False])
    @pytest.mark.parametrize(
        ("failure", "status", "said"),
        [
            (OSError(errno.ENOSPC, "full"), 2, "cannot be written, choose another place: No space"),
            (MemoryError("4 TiB"), 2, "out of memory: 4 TiB; ask for fewer filters or layers"),
            (FileError("no\nway"), 2, "no?way"),
            (KeyboardInterrupt(), 130, "interrupted"),
            (signal.SIGINT, 130, "interrupted"),
            (signal.SIGTERM, 143, None),
        ],
        ids=repr,
    )
    def test_when_decoding_fails(
        self, failure, status, said, existing, model, tmp_path, capsys, monkeypatch
    ):
        out = tmp_path / "out"
        if existing:
            out.mkdir()

        def put(*about):
            if isinstance(failure, signal.Signals):
                os.kill(os.getpid(), failure)
            raise failure if isinstance(failure, BaseException) else AssertionError

        handler = signal.getsignal(signal.SIGTERM)
        monkeypatch.setattr("fdref.decoding.decoded_file.DecodedFile._put", put)
        assert run("decode", model, "-o", out) == status
        output = capsys.readouterr()
        assert output.out == ""
        assert output.err == "" if said is None else said in output.err
        assert everything_in(tmp_path) == ({"out": b""} if existing else {})
        assert signal.getsignal(signal.SIGTERM) == handler

    @pytest.mark.parametrize(
        ("failure", "status", "said"),
        [
            (OSError(errno.ENOSPC, "full"), 2, "layer4.png cannot be drawn: full; "),
            (RuntimeError("no font"), 2, "layer4.png cannot be drawn: RuntimeError: no font; "),
            (MemoryError("4 TiB"), 2, "out of memory: 4 TiB; "),
            (too_large(), 2, "out of memory: Unable to allocate "),
            (KeyboardInterrupt(), 130, "interrupted; "),
            (SystemExit(143), 143, "stopped; "),
        ],
        ids=repr,
    )
    def test_when_drawing_fails_the_numbers_are_there(
        self, failure, status, said, model, tmp_path, capsys, monkeypatch
    ):
        import fdref.drawing.sheets

        def page_of(bank, words, *how, real=fdref.drawing.sheets.page_of):
            if "layer 4" in words.title:
                raise failure
            return real(bank, words, *how)

        with monkeypatch.context() as patch:
            patch.setattr("fdref.drawing.sheets.page_of", page_of)
            assert run("decode", model, "-o", tmp_path) == status
        output = capsys.readouterr().err
        assert output.startswith(f"fdref: {said}")
        assert "; decoded.h5 is written; the same command draws what is missing" in output
        assert sorted(everything_in(tmp_path)) == ["decoded.h5", "layer1.png"]
        numbers = (tmp_path / "decoded.h5").stat()
        assert run("decode", model, "-o", tmp_path) == 0
        assert sorted(everything_in(tmp_path)) == ["decoded.h5", "layer1.png", "layer4.png"]
        assert (tmp_path / "decoded.h5").stat() == numbers

    @pytest.mark.slow
    @pytest.mark.parametrize("size", [0, 1000, 3000, 5000, 8000, 12000])
    def test_on_a_full_disk(self, size, tmp_path):
        """A limit on the size of files stands for the disk; HDF5 crashes if it hears of it."""
        import_module("fdref.drawing.sheets")  # or matplotlib's list of fonts does not fit either
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
        problem = "cannot be written, choose another place: File too large"
        message = f"fdref: {tmp_path / 'out'} {problem}\n"
        assert (done.returncode, done.stderr.decode()) == (2, message)
        assert list(everything_in(tmp_path)) == ["net.mat"]

    @pytest.mark.parametrize("number", range(4))
    @pytest.mark.parametrize("existing", [True, False])
    def test_a_folder_whose_files_cannot_be_written(self, existing, number, tmp_path, monkeypatch):
        """The n-th sync fails: of a file, or when they are in their place."""
        if existing:
            (tmp_path / "out").mkdir()
        syncs = iter(range(100))

        def sync(held):
            if next(syncs) == number:
                raise KeyboardInterrupt

        monkeypatch.setattr("os.fsync", sync)
        with pytest.raises(KeyboardInterrupt):
            write_folder(tmp_path / "out", FILES)
        assert everything_in(tmp_path) == ({"out": b""} if existing else {})

    def test_what_is_there_is_never_replaced(self, tmp_path):
        (tmp_path / "below").mkdir()
        (tmp_path / "below" / "b").write_text("precious")
        with pytest.raises(FileError, match="File exists"):
            write_folder(tmp_path, FILES)
        assert visible(tmp_path) == {"below/b": b"precious"}
        assert not hidden(tmp_path)

    def test_where_a_file_has_one_name_only(self, tmp_path, monkeypatch):
        """As on FAT, which knows no hard links."""

        def refuse(*about, **more):
            raise PermissionError(errno.EPERM, "no links here")

        monkeypatch.setattr("os.link", refuse)
        (tmp_path / "c").write_text("precious")
        with pytest.raises(FileError):
            write_folder(tmp_path, FILES)
        assert (tmp_path / "c").read_text() == "precious"
        (tmp_path / "out").mkdir()
        write_folder(tmp_path / "out", FILES)
        assert visible(tmp_path / "out") == FILES

    def test_a_folder_that_was_moved_meanwhile(self, model, tmp_path, monkeypatch):
        """What was opened stays open, wherever it is."""
        from fdref.decoding.decoded_file import DecodedFile

        def fill(file, plan, work, real=DecodedFile.fill):
            (tmp_path / "one").rename(tmp_path / "other")
            real(file, plan, work=work)

        (tmp_path / "one").mkdir()
        monkeypatch.setattr(DecodedFile, "fill", fill)
        assert run("decode", model, "-o", tmp_path / "one" / "out") == 0
        expected = ["decoded.h5", "layer1.png", "layer4.png"]
        assert sorted(everything_in(tmp_path / "other" / "out")) == expected

    def test_a_folder_made_for_nothing_is_taken_away(self, tmp_path):
        with pytest.raises(KeyError), folder_for(tmp_path / "out"):
            raise KeyError
        assert not everything_in(tmp_path)

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


ENDING = """
import threading, sys
from fdref.files.whole import write_folder

def write():
    threading.main_thread().join()
    write_folder(sys.argv[1], {f"{number}": b"all" for number in range(20)})

threading.Thread(target=write).start()
"""
FEW = """
import sys, threading
from fdref.files.whole import write_folder

left, start = int(sys.argv[2]), threading._start_new_thread

def refuse(*arguments):
    global left
    left -= 1
    if left < 0:
        raise RuntimeError("can't start new thread")
    return start(*arguments)

threading._start_new_thread = refuse
write_folder(sys.argv[1], {f"{number}": b"all" for number in range(20)})
"""


@pytest.mark.parametrize(("program", "threads"), [(ENDING, ""), (FEW, "0"), (FEW, "1")])
def test_a_folder_is_written_where_no_more_threads_are_had(program, threads, tmp_path):
    done = python("-c", program, tmp_path / "made", threads)
    assert (done.returncode, done.stderr) == (0, b"")
    assert everything_in(tmp_path / "made") == {f"{number}": b"all" for number in range(20)}

"""The command line: what it prints, what it writes, and what it leaves behind when it cannot."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
from importlib import import_module
from pathlib import Path

import h5py
import matplotlib as mpl
import numpy as np
import pytest

import fdref
from fdref.commands import main
from fdref.commands.decode import compact, ranges
from fdref.commands.output import SafeFile, new_files
from fdref.commands.progress import progress_bar
from fdref.commands.table import printable
from fdref.errors import FileError

ROOT = Path(__file__).parents[1]


def bank(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


@pytest.fixture(scope="session")
def model(tmp_path_factory) -> Path:
    """A net so small that every command is quick: decodes to 3 and 2 filters of 3x3 and 6x6."""
    layers = [
        fdref.Conv(bank(3, 1, 3, 3), name="low"),
        fdref.ReLU(name="bend"),
        fdref.Pool(2, 2, name="shrink"),
        fdref.Conv(bank(2, 3, 2, 2, seed=1), name="high"),
    ]
    path = tmp_path_factory.mktemp("model") / "small.mat"
    fdref.save(fdref.Network(layers), path)
    return path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def refusal(capsys, *arguments: object) -> str:
    """Run a command that must be refused as every command is; return what it says."""
    status = run(*arguments)
    output = capsys.readouterr()
    assert status == 2
    assert output.out == ""
    assert output.err.startswith("fdref: ")
    assert output.err.count("\n") == 1
    assert output.err.endswith("\n")
    return output.err.removeprefix("fdref: ").rstrip("\n")


def everything_in(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


class TestInfo:
    def test_of_the_lenet(self, capsys):
        assert run("info") == 0
        lines = capsys.readouterr().out.splitlines()
        rows = [" ".join(line.split()) for line in lines]
        assert "input 1 x 28x28, average to subtract: image" in rows
        assert "weights 430,500 in filters, float32" in rows
        assert "classes 10: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9" in rows
        table = rows[rows.index("") + 1 :]
        assert table == [
            "layer name type filters details output field jump decodes to",
            "1 conv1 conv 20x1x5x5 20 x 24x24 5x5 1x1 1 x 5x5",
            "2 pool1 pool max 2x2, stride 2x2 20 x 12x12 6x6 2x2",
            "3 conv2 conv 50x20x5x5 50 x 8x8 14x14 2x2 1 x 14x14",
            "4 pool2 pool max 2x2, stride 2x2 50 x 4x4 16x16 4x4",
            "5 conv3 conv 500x50x4x4 500 x 1x1 28x28 4x4 1 x 28x28",
            "6 relu3 relu 500 x 1x1 28x28 4x4",
            "7 conv4 conv 10x500x1x1 10 x 1x1 28x28 4x4 1 x 28x28",
            "8 prob softmax 10 x 1x1 28x28 4x4",
        ]

    def test_tells_what_is_not_as_in_the_simplest_layer(self, tmp_path, capsys):
        layers = [
            fdref.Conv(bank(4, 3, 3, 2), stride=(2, 1), pad=(1, 0, 2, 1), dilate=(1, 2)),
            fdref.BatchNorm(np.ones(4), np.zeros(4), np.zeros(4), np.ones(4)),
            fdref.ReLU(leak=0.1),
            fdref.Normalize(5, 2, 0.01, 0.75),
            fdref.Pool((3, 2), 2, method="avg"),
            fdref.Dropout(),
        ]
        fdref.save(fdref.Network(layers, average=np.ones(3)), tmp_path / "net.mat")
        assert run("info", tmp_path / "net.mat") == 0
        text = " ".join(capsys.readouterr().out.split())
        assert "input 3 x any size, average to subtract: colour" in text
        for details in (
            "stride 2x1, pad 1 0 2 1, dilate 1x2",
            "bnorm 4 channels",
            "leak 0.1",
            "5 channels, kappa 2, alpha 0.01, beta 0.75",
            "avg 3x2, stride 2x2",
        ):
            assert details in text

    def test_names_from_a_file_cannot_command_the_terminal(self, tmp_path, capsys):
        name = "\x1b[31mred\n\0\N{RIGHT-TO-LEFT OVERRIDE}" + "x" * 5000
        conv = fdref.Conv(bank(1, 1, 2, 2), name=name)
        net = fdref.Network([conv], classes=[name], provenance=name)
        fdref.save(net, tmp_path / "net.mat")
        assert run("info", tmp_path / "net.mat") == 0
        assert run("decode", tmp_path / "net.mat", "-o", tmp_path / "out") == 0
        lines = capsys.readouterr().out.splitlines()
        assert sum("[31mred" in line for line in lines) == 4
        assert all(line.isprintable() and len(line) < 250 for line in lines)

    def test_on_a_terminal_that_knows_ascii_only(self, tmp_path):
        fdref.save(fdref.Network([fdref.Conv(bank(1, 1, 2, 2), name="Kern Ä")]), tmp_path / "a.mat")
        environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
        done = python("-m", "fdref", "info", tmp_path / "a.mat", env=environment)
        assert (done.returncode, done.stderr) == (0, b"")
        assert b"Kern ?" in done.stdout


class TestDecode:
    def test_writes_what_decode_returns(self, tmp_path, capsys):
        assert run("decode", "--layers", "1,7", "-o", tmp_path / "out") == 0
        assert sorted(everything_in(tmp_path / "out")) == ["decoded.h5", "layer1.png", "layer7.png"]
        with h5py.File(tmp_path / "out" / "decoded.h5") as file:
            assert sorted(file) == ["layer1", "layer7"]
            for layer in (1, 7):
                expected = fdref.decode(fdref.load(), layer)
                assert file[f"layer{layer}"].dtype == expected.dtype
                assert np.array_equal(file[f"layer{layer}"], expected)
            shipped = Path(fdref.weights.SHIPPED).read_bytes()
            attributes = dict(file["layer7"].attrs)
            numbers = {key: attributes.pop(f"receptive_field_{key}") for key in ("size", "stride")}
            assert {key: value.tolist() for key, value in numbers.items()} == {
                "size": [28, 28],
                "stride": [4, 4],
            }
            assert attributes.pop("receptive_field_offset").tolist() == [0, 0]
            assert attributes == {
                "method": "filter decoding with substitution, arXiv 1511.05084",
                "unpool": "bicubic",
                "engine": "compiled",
                "fdref_version": fdref.__version__,
                "model": "lenet.mat",
                "model_sha256": hashlib.sha256(shipped).hexdigest(),
                "layer": 7,
                "layer_name": "conv4",
                "filters": "0-9",
            }
        summary = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
        assert summary[0] == "layer filters pixels smallest largest seconds dataset picture"
        assert summary[1].startswith("layer 1 (conv 'conv1') 20 1 x 5x5 -0.1")
        assert summary[1].endswith("layer1 layer1.png")
        assert summary[-1] == f"wrote {tmp_path / 'out' / 'decoded.h5'} and the pictures"

    def test_filters_layers_unpooling_and_engine_are_those_asked_for(self, model, tmp_path):
        out = tmp_path / "out"
        options = ("--unpool", "nearest", "--engine", "reference", "--no-pictures", "-o", out)
        assert run("decode", model, "--layers", " high ,1", "--filters", "1, 0-1", *options) == 0
        assert list(everything_in(out)) == ["decoded.h5"]
        net = fdref.load(model)
        with h5py.File(out / "decoded.h5") as file:
            for layer in (1, 4):
                expected = fdref.decode(net, layer, [1, 0, 1], "nearest", "reference")
                assert file[f"layer{layer}"].dtype == np.float64
                assert np.array_equal(file[f"layer{layer}"], expected)
                assert file[f"layer{layer}"].attrs["filters"] == "1,0-1"
                assert file[f"layer{layer}"].attrs["unpool"] == "nearest"
                assert file[f"layer{layer}"].attrs["engine"] == "reference"

    def test_every_convolution_by_default_beside_what_is_there(self, model, tmp_path):
        (tmp_path / "notes.txt").write_text("mine")
        assert run("decode", model, "-o", tmp_path) == 0
        names = ["decoded.h5", "layer1.png", "layer4.png", "notes.txt"]
        assert sorted(everything_in(tmp_path)) == names
        assert (tmp_path / "notes.txt").read_text() == "mine"

    def test_same_input_same_bytes_whatever_the_users_matplotlibrc(self, model, tmp_path):
        assert run("decode", model, "-o", tmp_path / "a") == 0
        hostile = {
            "savefig.dpi": 11,
            "savefig.bbox": "tight",
            "figure.facecolor": "green",
            "font.family": "serif",
            "font.size": 30,
            "text.color": "red",
            "text.antialiased": False,
            "image.origin": "lower",
            "path.sketch": (5, 100, 2),
        }
        with mpl.rc_context(hostile):
            assert run("decode", model, "-o", tmp_path / "b") == 0
            assert mpl.rcParams["savefig.dpi"] == 11
        assert everything_in(tmp_path / "a") == everything_in(tmp_path / "b")

    def test_whatever_window_matplotlib_is_told_to_open(self, model, tmp_path):
        command = ("-m", "fdref", "decode", model, "-o", tmp_path / "out")
        done = python(*command, env={**os.environ, "MPLBACKEND": "none that exists"})
        assert (done.returncode, done.stderr) == (0, b"")
        assert (tmp_path / "out" / "layer1.png").stat().st_size > 0

    def test_a_name_with_strange_bytes(self, model, tmp_path, capsys):
        copy = tmp_path / os.fsdecode(b"net\xff\x1b.mat")
        copy.write_bytes(model.read_bytes())
        assert run("decode", copy, "-o", tmp_path / os.fsdecode(b"out\xff")) == 0
        assert capsys.readouterr().out.splitlines()[-1].isprintable()
        with h5py.File(tmp_path / os.fsdecode(b"out\xff") / "decoded.h5") as file:
            assert file["layer1"].attrs["model"] == "net??.mat"

    def test_progress_on_a_terminal_counts_every_filter(self, monkeypatch):
        counted = []

        class Bar:
            def __init__(self, *, total, **style):
                counted.append(total)

            def __enter__(self):
                return self

            def __exit__(self, *exception):
                pass

            def update(self, count):
                counted.append(count)

        with progress_bar(60, "filters") as advance:
            assert advance is None  # not a terminal
        monkeypatch.setattr("tqdm.tqdm", Bar)
        monkeypatch.setattr("sys.stderr", type("Terminal", (), {"isatty": lambda self: True})())
        monkeypatch.setattr("fdref.blocks.PICTURES", 1)
        with progress_bar(20, "filters") as advance:
            fdref.decode(fdref.load(), 1, progress=advance)
        assert counted == [20] + [1] * 20


@pytest.mark.parametrize("text", ["0", "7,7,3", "0-3,12", "5,0-2,1-4"])
def test_ranges_and_compact_are_each_others_inverse(text):
    numbers = [k for part in ranges(text) for k in part]
    assert [k for part in ranges(compact(numbers)) for k in part] == numbers


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
    "train --mnist x -o nowhere/lenet.mat": "nowhere is no folder",
    "train --mnist x -o .": ". is a folder",
    "train --mnist x -o /": "/ is a folder",
    f"train --mnist {'x' * 300}": "File name too long",
    f"train --mnist x -o {'x' * 300}": "File name too long",
    f"decode -o {'x' * 300}": "File name too long",
    "decode -o nowhere/out": "cannot write to nowhere/out: No such file or directory",
    "decode -o /dev/null": "/dev/null is a file; choose a folder with -o",
    "decode -o /dev/null/out": "cannot write to /dev/null/out: Not a directory",
    "decode -o /proc/out": "cannot write to /proc/out",
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


@pytest.mark.parametrize("name", ["decoded.h5", "layer4.png"])
def test_an_existing_result_is_never_replaced(name, model, capsys, tmp_path):
    (tmp_path / name).write_text("precious")
    message = refusal(capsys, "decode", model, "-o", tmp_path)
    assert message == f"{tmp_path / name} exists already; delete it or choose another -o"
    assert everything_in(tmp_path) == {name: b"precious"}


def bad_models(model: Path, folder: Path) -> dict[str, str]:
    """Write one file for every way to be bad; return what must be said about each."""
    good = model.read_bytes()
    files = {
        "empty": b"",
        "cut": good[: len(good) // 2],
        "header": good[:512],
        "text": b"weights\n" * 100,
        "old": b"MATLAB 5.0 MAT-file".ljust(128) + bytes(100),
    }
    for name, content in files.items():
        (folder / f"{name}.mat").write_bytes(content)
    for name, change in {
        "none": lambda file: file.pop("net"),
        "nan": lambda file: weights(file).__setitem__((0, 0, 0), np.nan),
        "inf": lambda file: weights(file).__setitem__((0, 0, 0), np.inf),
        "elsewhere": link_to_another_file,
        "outside": store_in_another_file,
        "huge": claim_a_huge_array,
        "misfit": swap_filters,
    }.items():
        (folder / f"{name}.mat").write_bytes(good)
        with h5py.File(folder / f"{name}.mat", "r+") as file:
            change(file)
    (folder / "folder.mat").mkdir()
    os.mkfifo(folder / "pipe.mat")
    return {
        "missing": "No such file",
        "empty": "is empty",
        "cut": "",
        "header": "",
        "text": "not HDF5",
        "old": "v5",
        "none": "no network",
        "nan": "layer 1 (conv 'low')",
        "inf": "layer 1 (conv 'low')",
        "elsewhere": "link",
        "outside": "another file",
        "huge": "claims",
        "misfit": "layer 4 (conv 'high')",
        "folder": "is a folder",
        "pipe": "",
    }


def weights(file: h5py.File, layer: int = 0) -> h5py.Dataset:
    """Find a layer's filters: MATLAB stores cells as references."""
    struct = file[np.asarray(file["net/layers"]).flat[layer]]
    return file[np.asarray(struct["weights"]).flat[0]]


def replace_weights(file: h5py.File, layer: int, make) -> None:
    """Let a layer's cell of weights refer to something else for the filters."""
    cell = file[np.asarray(file["net/layers"]).flat[layer]]["weights"]
    dataset = make(file["#refs#"])
    dataset.attrs["MATLAB_class"] = np.bytes_("single")
    references = cell[()]
    references.flat[0] = dataset.ref
    cell[...] = references


def link_to_another_file(file: h5py.File) -> None:
    del file["net"]
    file["net"] = h5py.ExternalLink("/etc/passwd", "/net")


def store_in_another_file(file: h5py.File) -> None:
    def make(group):
        outside = [("/etc/passwd", 0, 36)]
        return group.create_dataset("x", (3, 3), "f4", external=outside)

    replace_weights(file, 0, make)


def claim_a_huge_array(file: h5py.File) -> None:
    def make(group):
        return group.create_dataset("x", (10**6, 10**6), "f4", chunks=(1000, 1000))

    replace_weights(file, 0, make)


def swap_filters(file: h5py.File) -> None:
    replace_weights(file, 3, lambda group: group.create_dataset("x", data=bank(2, 7, 2, 2)))


def test_bad_models_are_refused_each_with_its_own_message(model, tmp_path, capsys, monkeypatch):
    expected = bad_models(model, tmp_path)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    said = set()
    for name, fragment in expected.items():
        path = tmp_path / f"{name}.mat"
        message = refusal(capsys, "info", path)
        assert str(path) in message
        assert fragment in message, name
        assert refusal(capsys, "decode", path) == message
        said.add(message.replace(str(path), ""))
    assert len(said) >= len(expected) - 3  # cut and header, nan and inf, folder and pipe are alike
    assert not everything_in(tmp_path / "work")


def test_weights_that_overflow_are_refused(tmp_path, capsys):
    large = fdref.Conv(np.full((1, 1, 2, 2), 1e30, np.float32))
    fdref.save(fdref.Network([large, large]), tmp_path / "net.mat")
    message = refusal(capsys, "decode", tmp_path / "net.mat", "-o", tmp_path / "out")
    assert message == "layer 2 (conv) has decoded filters too large for float32"
    assert list(everything_in(tmp_path)) == ["net.mat"]


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


def write_while_another_does(folder: Path) -> None:
    with new_files(folder, ["a", "b"]) as mine:
        (mine / "a").write_text("mine")
        (mine / "b").write_text("mine")
        folder.mkdir(exist_ok=True)
        (folder / "b").write_text("theirs")


def python(*arguments: object, **options) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, check=False, **options)


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


def test_many_threads_may_decode_at_once():
    net = fdref.load()
    expected = fdref.decode(net, 3, range(10))
    results = []
    threads = [
        threading.Thread(target=lambda: results.append(fdref.decode(net, 3, range(10))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8
    assert all(np.array_equal(result, expected) for result in results)


def test_the_plan_is_shown_and_nothing_is_written(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["decode", "--plan", "--unpool", "nearest"]) == 0
    lines = capsys.readouterr().out.splitlines()
    taken = [line.split() for line in lines if line.endswith("taken")]
    assert [line[1] for line in taken] == ["1", "3", "5", "7"]
    assert "meets layer 4" in next(line for line in lines if "conv3" in line and "taken" in line)
    assert not list(tmp_path.iterdir())


def test_the_plan_of_few_filters_shows_the_banks_they_stand_on(capsys):
    assert (
        main(["decode", "--plan", "--layers", "5", "--filters", "0-99", "--unpool", "nearest"]) == 0
    )
    taken = [line for line in capsys.readouterr().out.splitlines() if line.endswith("taken")]
    assert ["conv1" in taken[0], "conv2" in taken[1], "conv3" in taken[2]] == [True] * 3


def test_less_memory_gives_the_same_filters(tmp_path):
    for name, limit in {"free": [], "narrow": ["--max-memory", "1M"]}.items():
        command = ["decode", "--no-pictures", *limit, "-o", str(tmp_path / name)]
        assert main(command) == 0
    with (
        h5py.File(tmp_path / "free" / "decoded.h5") as free,
        h5py.File(tmp_path / "narrow" / "decoded.h5") as narrow,
    ):
        for name, bank in free.items():
            assert abs(bank[()] - narrow[name][()]).max() <= 1e-5 * abs(bank[()]).max()

"""Files made part by part: wherever a command is stopped, the same command makes the same file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager

import h5py
import numpy as np
import pytest
from command_line import ROOT, everything_in, refusal, run, small_model
from kills import survives, visible

import fdref
from fdref.files import parts
from fdref.files.folder import Folder
from fdref.files.parts import PartsFile, file_of_parts

COMMANDS = {
    "project": ("projected.h5", "--count", 2),
    "occlude": ("occluded.h5", "--size", "3x4", "--stride", 4),
    "invert": ("inverted.h5", "--layer", "bend", "--iterations", 3),
}
IMAGES = np.random.default_rng(3).integers(0, 256, (4, 12, 13), np.uint8)


@pytest.fixture(scope="module")
def inputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("inputs")
    np.savez(folder / "images.npz", images=IMAGES)
    return small_model(folder), folder / "images.npz"


@pytest.fixture(autouse=True)
def a_record_for_every_part(monkeypatch):
    monkeypatch.setattr(parts, "EVERY", 0)
    monkeypatch.setattr("fdref.commands.project.AT_ONCE", 1)  # neuron by neuron
    monkeypatch.setattr("fdref.commands.invert.TOGETHER", 1)
    for drawer in ("neurons.sheet", "occlusions.maps", "inversions.sheet"):
        monkeypatch.setattr(f"fdref.drawing.{drawer}", lambda *about: repr(about).encode())


def command(name, inputs, out, *more):
    model, images = inputs
    return [name, model, "--images", images, *COMMANDS[name][1:], "-o", out, *more]


@contextmanager
def stopped_after(count, failure, monkeypatch):
    """Fail once so many parts are there."""

    def write(file, *about, real=PartsFile.write):
        if file.done >= count:
            raise failure
        real(file, *about)

    with monkeypatch.context() as patch:
        patch.setattr(PartsFile, "write", write)
        yield


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    ("failure", "status"),
    [(KeyboardInterrupt(), 130), (MemoryError("4 TiB"), 2), (OSError(28, "No space"), 2)],
    ids=["Ctrl-C", "memory", "disk"],
)
def test_stopped_and_typed_again_the_bytes_are_the_same(
    name, failure, status, inputs, tmp_path, capsys, monkeypatch
):
    assert run(*command(name, inputs, tmp_path / "whole")) == 0
    whole = everything_in(tmp_path / "whole")
    out = tmp_path / "out"
    for count in (1, 2):
        with stopped_after(count, failure, monkeypatch):
            assert run(*command(name, inputs, out)) == status
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"{count} of " in said
        assert "the same command goes on with them" in said
        assert not visible(out)
    (kept,) = out.iterdir()
    assert kept.name.endswith(COMMANDS[name][0].replace(".h5", "")), "others leave it alone"
    assert run(*command(name, inputs, out)) == 0
    assert "going on with 2 of" in capsys.readouterr().err
    assert everything_in(out) == whole


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_there_is_not_made_again_but_drawn(name, inputs, tmp_path, monkeypatch):
    out = tmp_path / "out"
    assert run(*command(name, inputs, out, "--no-pictures")) == 0
    file = COMMANDS[name][0]
    assert list(everything_in(out)) == [file]
    before = (out / file).stat()
    monkeypatch.setattr(PartsFile, "fill", lambda *about: pytest.fail("written"))
    assert run(*command(name, inputs, out)) == 0
    assert len(everything_in(out)) > 1
    assert (out / file).stat().st_mtime_ns == before.st_mtime_ns


@pytest.mark.parametrize("name", COMMANDS)
def test_something_else_is_replaced_by_force_only(name, inputs, tmp_path, capsys):
    out = tmp_path / "out"
    assert run(*command(name, inputs, out)) == 0
    before = everything_in(out)
    capsys.readouterr()
    other = [*command(name, inputs, out)]
    np.savez(tmp_path / "others.npz", images=IMAGES[:2])
    other[3] = tmp_path / "others.npz"
    message = refusal(capsys, *other)
    assert "differs in images_sha256: " in message
    assert message.endswith("; choose another -o, or replace it by --force")
    assert everything_in(out) == before
    assert run(*other, "--force") == 0
    after = everything_in(out)
    assert run(*other[:-1], tmp_path / "fresh") == 0
    assert after == everything_in(tmp_path / "fresh"), "nothing of the first is left"


def test_pictures_are_called_by_the_images_numbers_and_go_with_their_file(inputs, tmp_path):
    """Of whatever images are chosen; a picture that no file of ours has is left alone."""
    for only, pictures in (("1,3", ["image1.png", "image3.png"]), ("2", ["image2.png"])):
        assert run(*command("occlude", inputs, tmp_path, "--only", only, "--force")) == 0
        assert sorted(everything_in(tmp_path)) == [*pictures, "occluded.h5"]
        with h5py.File(tmp_path / "occluded.h5") as file:
            assert file["numbers"][()].tolist() == [int(n) for n in only.split(",")]
    with h5py.File(tmp_path / "occluded.h5", "r+") as file:
        del file["numbers"]
        file["numbers"] = [[0.5]]
    assert run(*command("occlude", inputs, tmp_path, "--only", "0", "--force")) == 0
    assert sorted(everything_in(tmp_path)) == ["image0.png", "image2.png", "occluded.h5"]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("kind", ["h5", "png"])
def test_what_is_somebody_elses_is_not_replaced(name, kind, inputs, tmp_path, capsys):
    assert run(*command(name, inputs, tmp_path / "names")) == 0
    taken = next(path for path in everything_in(tmp_path / "names") if path.endswith(kind))
    out = tmp_path / "out"
    out.mkdir()
    (out / taken).write_text("precious")
    capsys.readouterr()
    assert str(out / taken) in refusal(capsys, *command(name, inputs, out))
    assert everything_in(out) == {taken: b"precious"}
    assert run(*command(name, inputs, out, "--force")) == 0
    assert everything_in(out) == everything_in(tmp_path / "names")


@pytest.mark.parametrize("change", ["images", "option", "network"])
def test_what_is_left_of_something_else_is_left_alone(
    change, inputs, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "out"
    with stopped_after(1, KeyboardInterrupt(), monkeypatch):
        run(*command("project", inputs, out))
    left = everything_in(out)
    other = command("project", inputs, out, "--no-pictures")
    if change == "option":
        other += ["--rule", "guided"]
    elif change == "images":
        np.savez(tmp_path / "others.npz", images=255 - IMAGES)
        other[3] = tmp_path / "others.npz"
    else:
        net = fdref.load(inputs[0])
        fdref.save(fdref.Network(list(net), average=np.ones((1, 1, 1))), tmp_path / "net.mat")
        other[1] = tmp_path / "net.mat"
    capsys.readouterr()
    assert run(*other) == 0
    assert "going on" not in capsys.readouterr().err
    (out / "projected.h5").unlink()
    assert everything_in(out) == left


@pytest.mark.parametrize("damage", ["cut", "no record", "nothing"])
def test_what_is_left_and_damaged_is_of_no_use(damage, inputs, tmp_path, monkeypatch):
    assert run(*command("project", inputs, tmp_path / "whole")) == 0
    out = tmp_path / "out"
    with stopped_after(2, KeyboardInterrupt(), monkeypatch):
        run(*command("project", inputs, out))
    (left,) = out.iterdir()
    size = left.stat().st_size
    if damage == "no record":
        left.write_bytes(left.read_bytes()[: size - 2**21] + bytes(2**21))
    else:
        os.truncate(left, 0 if damage == "nothing" else size // 2)
    assert run(*command("project", inputs, out)) == 0
    assert everything_in(out) == everything_in(tmp_path / "whole")


def test_bad_input_leaves_nothing(inputs, tmp_path, capsys):
    model, images = inputs
    (tmp_path / "in").mkdir()
    shutil.copy(images, tmp_path / "in" / "a.png")
    for bad in (tmp_path / "in", tmp_path / "missing.npz", model):
        refusal(capsys, "project", model, "--images", bad, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_at_once(inputs, tmp_path, capsys, monkeypatch):
    def write(file, *about):
        assert "is being written to by another process" in refusal(
            capsys, *command("project", inputs, tmp_path / "out")
        )
        raise KeyboardInterrupt

    monkeypatch.setattr(PartsFile, "write", write)
    assert run(*command("project", inputs, tmp_path / "out")) == 130


def test_a_terminated_process_goes_on(inputs, tmp_path):
    script = (
        "import sys, time\n"
        "from fdref.commands import main\n"
        "from fdref.files import parts\n"
        "parts.EVERY = 0\n"
        "def write(file, *about, real=parts.PartsFile.write):\n"
        "    real(file, *about); print(file.done, flush=True); time.sleep(0.2)\n"
        "parts.PartsFile.write = write\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    words = [sys.executable, "-c", script, *map(str, command("occlude", inputs, tmp_path / "out"))]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as made:
        made.stdout.readline()
        made.stdout.readline()
        made.send_signal(signal.SIGTERM)
        said = made.stderr.read().decode()
        assert made.wait(60) == 143
    assert "stopped; " in said
    assert "the same command goes on with them" in said
    assert run(*command("occlude", inputs, tmp_path / "out")) == 0
    assert run(*command("occlude", inputs, tmp_path / "whole")) == 0
    assert everything_in(tmp_path / "out") == everything_in(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_killed_anywhere_it_works_once_more(inputs, tmp_path, monkeypatch):
    monkeypatch.setattr("os.fsync", lambda held: None)
    model, _ = inputs
    np.savez(tmp_path / "few.npz", images=IMAGES[:2])
    words = ("project", model, "--images", tmp_path / "few.npz", "--layers", "low")
    options = ("--filters", 0, "--engine", "reference", "-o")
    survives(tmp_path, lambda _: None, lambda folder: run(*words, *options, folder / "out"))


def test_rows_text_and_what_differs(tmp_path):
    text = np.array([name.encode() for name in ("a", "Ä")])
    described = {
        "group/values": ((2, 3), np.dtype(np.float32), {"rule": "a", "sizes": [1, 2]}),
        "names": (text.shape, h5py.string_dtype("utf-8", text.itemsize), {"rule": "a"}),
        "none": ((0, 4), np.dtype(np.int64), {}),
    }
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    with Folder(tmp_path) as folder:
        with file_of_parts(folder, "file.h5", described, 2) as file:
            file.fill({"names": text, "none": np.zeros((0, 4))})
            file.write({"group/values": values[1:]}, 1)
            file.write({"group/values": values[:1]}, {"group/values": 0})
            assert np.array_equal(file.rows("group/values", 1, 1), values[1:])
            file.publish("file.h5")
        with file_of_parts(folder, "file.h5", described, 2) as file:
            assert file.done == 2
            assert file.rows("names").tolist() == text.tolist()
        described["none"] = ((0, 5), np.dtype(np.int64), {})
        with (
            pytest.raises(fdref.FileError, match=r"has none of shape \(0, 4\) and int64, not"),
            file_of_parts(folder, "file.h5", described, 2),
        ):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["file.h5"]
    with h5py.File(tmp_path / "file.h5") as hdf5:
        assert np.array_equal(hdf5["group/values"], values)
        assert hdf5["names"].asstr()[()].tolist() == ["a", "Ä"]
        assert hdf5["group/values"].attrs["sizes"].tolist() == [1, 2]

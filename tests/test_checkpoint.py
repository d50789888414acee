"""`fdref evaluate --checkpoint`: what was interrupted goes on, to the bit, and on nothing else."""

from __future__ import annotations

import json
import os
import signal
import time
from math import inf

import numpy as np
import pytest
from command_line import everything_in, refusal, run, small_model, started_evaluation
from PIL import Image

import fdref
from fdref.commands import checkpoint
from fdref.measure.running import Watching

IMAGES = np.random.default_rng(0).integers(0, 256, (530, 9, 9)).astype(np.uint8)


@pytest.fixture
def model(tmp_path):
    return small_model(tmp_path)


@pytest.fixture(params=["npz", "npy", "folder"])
def images(request, tmp_path):
    place = tmp_path / f"in.{request.param}"
    match request.param:
        case "npz":
            np.savez_compressed(place, images=IMAGES)
        case "npy":
            np.save(place, IMAGES)
        case "folder":
            place.mkdir()
            for n, pixels in enumerate(IMAGES):
                Image.fromarray(pixels).save(place / f"{n:03}.png")
    return place


@pytest.fixture
def array(tmp_path):
    np.save(tmp_path / "in.npy", IMAGES)
    return tmp_path / "in.npy"


@pytest.fixture
def watched(monkeypatch):
    """The first image of each chunk that is evaluated; stops at one that is asked for."""
    seen, stop = [], []

    def watch(self, chunk, rows=Watching.__call__):
        if chunk.first in stop:
            raise KeyboardInterrupt
        seen.append(chunk.first)
        return rows(self, chunk)

    monkeypatch.setattr(Watching, "__call__", watch)
    monkeypatch.setattr("fdref.engines.blas.threads", lambda: 2)  # chunks that go side by side
    return seen, stop


def found_by(path, *arguments):
    assert run("evaluate", *arguments, "--quiet", "--json", path) == 0
    told = json.loads(path.read_text())
    assert told.pop("seconds") > 0
    return told


@pytest.mark.parametrize("unpool", ["bicubic", "nearest"])
def test_it_goes_on_to_the_same_bits(model, images, tmp_path, watched, capsys, unpool):
    seen, stop = watched
    asked = [model, "--images", images, "--unpool", unpool]
    wanted = found_by(tmp_path / "a.json", *asked)
    assert sorted(seen) == [0, 100, 200, 300, 400, 500]
    kept = ["--checkpoint", tmp_path / "kept"]
    before = 0
    for until in (300, 500):
        stop[:] = [until]
        assert run("evaluate", *asked, *kept, "--quiet") == 130
        done = count_in(tmp_path / "kept")
        assert before < done <= until  # as many go side by side as there are threads
        assert done % 100 == 0
        before = done
    seen.clear()
    stop.clear()
    capsys.readouterr()
    assert run("evaluate", *asked, *kept) == 0
    output = capsys.readouterr()
    assert f"{tmp_path / 'kept'}: going on after {before} of 530 images" in output.err
    assert "530 images in" in output.out
    for _ in range(2):  # once it is done, it is only told
        assert found_by(tmp_path / "b.json", *asked, *kept) == wanted
    assert sorted(seen) == list(range(before, 530, 100))


def count_in(path):
    (count,) = {own[0] for own in json.loads(path.read_text())["sums"].values()}
    return count


def test_so_do_processes(model, array, tmp_path, watched):
    asked = [model, "--images", array]
    wanted = found_by(tmp_path / "a.json", *asked)
    watched[1][:] = [300]
    kept = ["--checkpoint", tmp_path / "kept"]
    assert run("evaluate", *asked, *kept, "--quiet") == 130
    assert found_by(tmp_path / "b.json", *asked, *kept, "--workers", 1) == wanted


def test_a_killed_command_goes_on(model, tmp_path):
    """As if the machine had lost its power: nothing was written at the end."""
    np.save(tmp_path / "in.npy", np.tile(IMAGES, (40, 1, 1)))
    asked = [model, "--images", tmp_path / "in.npy"]
    kept = tmp_path / "kept"
    often = "import fdref.commands.checkpoint as c; c.OFTEN = 0.05"
    command = started_evaluation(*asked, "--checkpoint", kept, first=often)
    while not kept.exists():
        assert command.poll() is None, command.communicate()
        time.sleep(0.01)
    os.kill(command.pid, signal.SIGKILL)
    command.communicate()
    assert 0 < count_in(kept) < 21_200
    wanted = found_by(tmp_path / "a.json", *asked)
    assert found_by(tmp_path / "b.json", *asked, "--checkpoint", kept) == wanted


@pytest.mark.parametrize(("often", "times"), [(0.0, 7), (inf, 1)])
def test_it_is_written_from_time_to_time(model, array, tmp_path, monkeypatch, often, times):
    written = []
    monkeypatch.setattr(checkpoint, "OFTEN", often)
    monkeypatch.setattr(checkpoint, "replace_file", lambda path, data: written.append(data))
    found_by(tmp_path / "a.json", model, "--images", array, "--checkpoint", tmp_path / "kept")
    assert len(written) == times
    assert len(set(written)) == times  # seconds alone differ in the last two


def test_time_is_added_up(model, array, tmp_path):
    kept = tmp_path / "kept"
    found_by(tmp_path / "a.json", model, "--images", array, "--checkpoint", kept)
    told = json.loads(kept.read_text())
    told["seconds"] += 3600
    kept.write_text(json.dumps(told))
    asked = ["evaluate", model, "--images", array, "--checkpoint", kept, "--quiet"]
    assert run(*asked, "--json", tmp_path / "b.json") == 0
    found = json.loads((tmp_path / "b.json").read_text())
    assert 3600 < found["seconds"] < 3660


def test_where_nothing_compares_it_goes_on(tmp_path, watched):
    net = fdref.Network([fdref.Conv(np.zeros((2, 1, 3, 3), np.float32))])
    fdref.save(net, tmp_path / "dead.mat")
    np.save(tmp_path / "in.npy", IMAGES)
    asked = [tmp_path / "dead.mat", "--images", tmp_path / "in.npy"]
    kept = ["--checkpoint", tmp_path / "kept"]
    watched[1][:] = [400]
    assert run("evaluate", *asked, *kept, "--quiet") == 130
    watched[1].clear()
    (layer,) = found_by(tmp_path / "a.json", *asked, *kept)["layers"]
    assert (layer["compared"], layer["mean"]) == (0, None)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--unpool", "nearest"], "its unpool is 'bicubic', here it is 'nearest'; name another"),
        (["--engine", "reference"], "its engine is 'compiled', here it is 'reference'"),
        (["--layers", "high"], "its layers is [1, 4], here it is [4]"),
    ],
)
def test_another_evaluation_does_not_go_on(options, message, model, array, tmp_path, capsys):
    asked = [model, "--images", array, "--checkpoint", tmp_path / "kept"]
    assert run("evaluate", *asked, "--quiet") == 0
    before = everything_in(tmp_path)
    assert message in refusal(capsys, "evaluate", *asked, *options)
    assert everything_in(tmp_path) == before


def test_nor_with_other_images_or_another_network(model, images, tmp_path, capsys):
    asked = [model, "--images", images, "--checkpoint", tmp_path / "kept"]
    assert run("evaluate", *asked, "--quiet") == 0
    file = images / "007.png" if images.is_dir() else images
    os.utime(file, ns=(0, file.stat().st_mtime_ns + 10**9))
    assert "its images_sha256 is '" in refusal(capsys, "evaluate", *asked)
    (tmp_path / "small.mat").unlink()
    net = fdref.Network([fdref.Conv(np.ones((2, 1, 3, 3), np.float32))])
    fdref.save(net, tmp_path / "small.mat")
    assert "its network_sha256 is '" in refusal(capsys, "evaluate", *asked)


def with_sums(*values):
    return lambda told: {**told, "sums": dict.fromkeys(told["sums"], values)}


@pytest.mark.parametrize(
    "damage",
    [
        lambda told: "no JSON",
        lambda told: "[" * 100_000,
        lambda told: "3",
        lambda told: {},
        lambda told: {**told, "kind": "of another"},
        lambda told: {**told, "seconds": "long"},
        lambda told: {**told, "seconds": np.nan},
        lambda told: {**told, "seconds": np.inf},
        lambda told: {**told, "seconds": 10**400},
        lambda told: json.dumps(told).replace('"seconds": ', '"seconds": 1e999, "before": '),
        lambda told: {**told, "sums": {}},
        lambda told: {**told, "sums": {"1": told["sums"]["1"]}},
        lambda told: {**told, "sums": {**told["sums"], "4": [1, 2, 3]}},
        lambda told: {**told, "sums": {**told["sums"], "4": [100, 9, 0.1, 0.5, 0.1]}},
        with_sums(50, 50, 0.1, 0.5, 0.1),
        with_sums(600, 9, 0.1, 0.5, 0.1),
        with_sums(100, 101, 0.1, 0.5, 0.1),
        with_sums(100, 9, None, 0.5, 0.1),
        with_sums(100, 0, 0.1, 0.5, 0.1),
        with_sums(100, 9, 0.1, 0.5, None),
        with_sums(100, 9, np.inf, 0.5, 0.1),
        with_sums(100, 9, 0.1, 10**400, 0.1),
        with_sums(100, 9, 0.1, "0.5", 0.1),
        with_sums(100, 9, 0.1, 0.5, np.nan),
        with_sums(True, 0, None, None, 0),
    ],
)
def test_what_is_no_checkpoint_is_refused(damage, model, array, tmp_path, capsys):
    kept = tmp_path / "kept"
    asked = [model, "--images", array, "--checkpoint", kept]
    assert run("evaluate", *asked, "--quiet") == 0
    damaged = damage(json.loads(kept.read_text()))
    kept.write_text(damaged if isinstance(damaged, str) else json.dumps(damaged))
    before = everything_in(tmp_path)
    told = refusal(capsys, "evaluate", *asked)
    assert f"{kept} is " in told
    assert told.endswith("name another file, or delete it")
    assert everything_in(tmp_path) == before


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("-", "argument --checkpoint: '-' is standard output; expected a name"),
        ("in.npy", "--checkpoint in.npy is in.npy, which is read or written, too"),
        ("a.json", "--json a.json and --checkpoint a.json are the same file; name two"),
        (".", "is a folder"),
        ("none/kept", "none/kept cannot be written"),
    ],
)
def test_places_are_refused_at_once(place, message, model, array, capsys, monkeypatch):
    monkeypatch.chdir(model.parent)
    told = refusal(capsys, "evaluate", model, "--images", "in.npy", "--json", "a.json",
                   "--checkpoint", place)  # fmt: skip
    assert message in told
    assert sorted(everything_in(model.parent)) == ["in.npy", "small.mat"]

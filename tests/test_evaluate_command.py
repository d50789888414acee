"""`fdref evaluate`: the library's digits, whoever computes; little memory; what is refused."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
from command_line import (
    ROOT,
    everything_in,
    refusal,
    run,
    small_model,
    started_evaluation,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from PIL import Image

import fdref
from fdref.decoding.reading import decoded_layers
from fdref.measure.running import Running, of_rows

IMAGES = np.random.default_rng(0).integers(0, 256, (230, 9, 9)).astype(np.uint8)


@pytest.fixture
def model(tmp_path):
    return small_model(tmp_path)


@pytest.fixture
def images(tmp_path):
    np.savez_compressed(tmp_path / "in.npz", images=IMAGES)
    return tmp_path / "in.npz"


def told_by(path):
    told = json.loads(path.read_text())
    assert told.pop("seconds") > 0
    return told


@given(
    arrays(np.float64, (2, 23), elements=st.floats(0, 1) | st.just(np.nan)),
    st.lists(st.integers(1, 22), max_size=5),
)
def test_sums_so_far_are_those_of_all(rows, cuts):
    rows[1, np.isnan(rows[0])] = np.nan
    rows[1] = np.where(np.isnan(rows[1]), rows[0], rows[1])
    found = Running()
    for part in np.split(rows, sorted(cuts), axis=1):
        found = found.and_of(of_rows(part))
    wanted = fdref.Evaluation(*rows)
    assert (found.n, found.compared) == (wanted.n, wanted.compared)
    np.testing.assert_allclose(
        [found.mean, found.std, found.correlation],
        [wanted.mean, wanted.std, wanted.correlation],
        rtol=1e-12,
        atol=1e-15,
    )


@pytest.mark.parametrize("unpool", ["bicubic", "nearest"])
def test_it_says_what_the_library_finds(model, images, tmp_path, capsys, unpool, engine):
    how = ["--unpool", unpool, "--engine", engine, "--json", tmp_path / "a.json"]
    assert run("evaluate", model, "--images", images, *how) == 0
    output = capsys.readouterr()
    net = fdref.load(model)
    wanted = fdref.evaluate(net, net.prepare(IMAGES), unpool=unpool, engine=engine)
    told = told_by(tmp_path / "a.json")
    assert (told["images"], told["unpool"], told["engine"]) == (230, unpool, engine)
    assert [layer["number"] for layer in told["layers"]] == list(wanted)
    for layer, row in zip(told["layers"], output.out.splitlines()[1:], strict=False):
        own = wanted[layer["number"]]
        assert layer["compared"] == own.compared == 230
        values = own.mean, own.std, own.correlation
        np.testing.assert_allclose(
            [layer["mean"], layer["std"], layer["correlation"]], values, rtol=1e-12
        )
        assert f"{own.mean:.4f} +/- {own.std:.4f}  {own.correlation:.4f}" in row
    assert "230 images in " in output.out.splitlines()[-1]
    assert output.err == ""


def test_pictures_arrays_and_the_shipped_digits(model, images, tmp_path):
    for n, pixels in enumerate(IMAGES):
        (tmp_path / "in").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "in" / f"{n:03}.png")
    np.save(tmp_path / "in.npy", IMAGES)
    found = []
    for place in (images, tmp_path / "in", tmp_path / "in.npy"):
        json_ = tmp_path / "a.json"
        assert run("evaluate", model, "--images", place, "--quiet", "--json", json_) == 0
        found.append(told_by(json_)["layers"])
    assert found[0] == found[1] == found[2]
    assert run("evaluate", "--layers", "1", "--quiet", "--json", tmp_path / "a.json") == 0
    assert told_by(tmp_path / "a.json")["images"] == 1000


def test_what_is_decoded_is_not_decoded_again(model, images, tmp_path, monkeypatch, capsys):
    assert run("decode", model, "--no-pictures", "-o", tmp_path, "--quiet") == 0
    before = (tmp_path / "decoded.h5").read_bytes()
    monkeypatch.setattr("fdref.decoding.blocks.Plan.blocks", None)  # nobody may ask
    assert run("evaluate", model, "--images", images, "--decoded", tmp_path / "decoded.h5") == 0
    assert (tmp_path / "decoded.h5").read_bytes() == before
    other = refusal(capsys.readouterr() and capsys, "evaluate", model, "--images", images,
                    "--unpool", "nearest", "--decoded", tmp_path / "decoded.h5")  # fmt: skip
    assert "is of another unpooling, bicubic instead of nearest" in other


def test_where_nothing_compares_there_is_no_number(tmp_path, capsys):
    net = fdref.Network([fdref.Conv(np.zeros((2, 1, 3, 3), np.float32))])
    fdref.save(net, tmp_path / "dead.mat")
    np.save(tmp_path / "in.npy", IMAGES[:3])
    place = ["--images", tmp_path / "in.npy", "--json", tmp_path / "a.json"]
    assert run("evaluate", tmp_path / "dead.mat", *place) == 0
    (layer,) = told_by(tmp_path / "a.json")["layers"]
    assert (layer["compared"], layer["mean"], layer["std"], layer["correlation"]) == (
        *(0, None, None),
        None,
    )
    assert "nothing to compare" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--workers", "0"], "argument --workers: '0' is no number of processes; expected 1 to"),
        (["--workers", "two"], "'two' is no number of processes"),
        (["--workers", "-1"], "'-1' is no number of processes"),
        (["--workers", "2", "--scheduler", "tcp://a:1"], "not allowed with argument --workers"),
        (["--scheduler", "nowhere"], "address is 'nowhere'; expected a scheduler's, such as"),
        (["--layers", "9"], "there is no layer 9"),
        (["--layers", "2"], "layer 2 (relu 'bend') has no filters; layers that"),
        (["--images", "none.npz"], "none.npz cannot be read"),
        (["--images", "."], "has no pictures"),
        (["--decoded", "small.mat"], "is no file of decoded filters"),
        (["--json", "in.npz", "--images", "in.npz"], "is in.npz, which is read or written, too"),
        (["--max-memory", "1"], "--max-memory is 1 bytes; expected at least"),
    ],
)
def test_bad_input_is_refused_in_one_line(options, message, model, images, capsys, monkeypatch):
    monkeypatch.chdir(model.parent)
    (model.parent / "empty").mkdir()
    before = everything_in(model.parent)
    options = ["empty" if option == "." else option for option in options]
    given = [] if "--images" in options else ["--images", images]
    assert message in refusal(capsys, "evaluate", model, *given, *options)
    assert everything_in(model.parent) == before


def test_images_that_do_not_fit_are_refused(model, tmp_path, capsys):
    np.save(tmp_path / "in.npy", np.zeros((3, 3, 9, 9), np.uint8))
    told = refusal(capsys, "evaluate", model, "--images", tmp_path / "in.npy")
    assert "images have shape (1, 3, 9, 9); expected (N, H, W) or (N, 1, H, W); resize" in told
    bright = IMAGES.astype(np.float32)
    bright[217] = 300
    np.save(tmp_path / "in.npy", bright)
    told = refusal(capsys, "evaluate", model, "--images", tmp_path / "in.npy")
    assert "first in image 217; expected pixels from 0 to 255" in told


def workers_of(command):
    """The processes that compute; multiprocessing has another, which looks after resources."""
    found = []
    for child in psutil.Process(command.pid).children():
        with contextlib.suppress(psutil.Error):  # it has ended meanwhile
            found += [child] if "spawn_main" in str(child.cmdline()) else []
    return found


def test_ctrl_c_ends_it_and_its_processes_at_once(model, tmp_path):
    """As from a terminal: the whole group gets it."""
    np.save(tmp_path / "in.npy", np.zeros((3_000_000, 9, 9), np.uint8))
    command = started_evaluation(
        model, "--images", tmp_path / "in.npy", "--workers", "2", start_new_session=True
    )
    children = []
    until = time.monotonic() + 120
    while len(children) < 2 or sum(child.cpu_times().user for child in children) < 1.5:
        assert command.poll() is None, command.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)
        children = workers_of(command)
    began = time.monotonic()
    os.killpg(command.pid, signal.SIGINT)
    out, err = command.communicate(timeout=60)
    assert time.monotonic() - began < 5  # about one on a quiet machine
    assert (command.returncode, out, err) == (130, "", "fdref: interrupted\n")
    assert not any(child.is_running() and child.status() != "zombie" for child in children)


def test_killed_processes_change_no_digit(model, tmp_path):
    """Both, in mid-run."""
    np.save(tmp_path / "in.npy", np.tile(IMAGES, (200, 1, 1)))
    place = tmp_path / "decoded.h5"
    how = ["--workers", "2", "--json", "-", "--decoded", place]
    command = started_evaluation(model, "--images", tmp_path / "in.npy", *how)
    killed = set()
    while len(killed) < 2:
        assert command.poll() is None, command.communicate()
        for child in workers_of(command):
            if child.cpu_times().user > 0.8 and child.pid not in killed:
                child.kill()
                killed.add(child.pid)
        time.sleep(0.02)
    out, err = command.communicate(timeout=300)
    assert (command.returncode, err) == (0, "")
    found = json.loads(out)
    assert run("evaluate", model, "--images", tmp_path / "in.npy", "--quiet",
               "--json", tmp_path / "a.json") == 0  # fmt: skip
    assert found.pop("seconds") > 0
    assert found == told_by(tmp_path / "a.json")
    with decoded_layers(place) as layers:
        assert layers[4].bank.tobytes() == fdref.decode(fdref.load(model), 4).tobytes()


PEAK = """
import sys
from pathlib import Path
from fdref.commands import main
if __name__ == "__main__":
    status = main(["evaluate", *sys.argv[1:], "--quiet"])
    # Not what the system tells at its end, which counts the process that started it.
    lines = Path("/proc/self/status").read_text().splitlines()
    print(status, *(line.split()[1] for line in lines if line.startswith("VmHWM")))
"""


def peak_of(folder, *arguments):
    """Return how many bytes the command takes at most."""
    if not sys.platform.startswith("linux"):
        pytest.skip("only Linux tells how much memory a process has taken")
    (folder / "peak.py").write_text(PEAK)
    command = [sys.executable, folder / "peak.py", *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    status, peak = map(int, done.stdout.split())
    assert status == 0
    return 1024 * peak


@pytest.mark.slow
def test_memory_does_not_grow_with_the_images(shared, model, tmp_path):
    mnist = fdref.mnist(shared / "mnist")
    digits = np.concatenate([mnist.train.images, mnist.test.images])
    peaks = []
    for count in (1_000, 70_000):
        np.savez_compressed(tmp_path / "in.npz", images=digits[:count])
        place = ["--images", tmp_path / "in.npz", "--layers", "high"]
        peaks.append(peak_of(tmp_path, model, *place))
    assert peaks[1] - peaks[0] < 8e6  # the digits alone are 55 MB


@pytest.mark.slow
def test_nor_does_it_with_processes(model, tmp_path):
    peaks = []
    for times in (20, 1000):
        np.save(tmp_path / "in.npy", np.tile(IMAGES, (times, 1, 1)))
        place = ["--images", tmp_path / "in.npy", "--layers", "high", "--engine", "reference"]
        peaks.append(peak_of(tmp_path, model, *place, "--workers", 2))
    assert peaks[1] - peaks[0] < 8e6  # the images alone are 18 MB

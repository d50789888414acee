"""`fdref decode`, killed and typed once more: nothing is decoded twice, and nothing differs."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import h5py
import numpy as np
import pytest
from command_line import ROOT, bank, everything_in, run

import fdref
from fdref.blocks import Plan
from fdref.commands import decode, decoded_file
from fdref.commands.decoded_file import DecodedFile
from fdref.commands.output import RECORD
from fdref.costs import Way, Ways
from fdref.planning import UNASKED

if TYPE_CHECKING:
    from pathlib import Path

NET = fdref.Network(
    [
        fdref.Conv(bank(4, 2, 3, 3)),
        fdref.Pool(2, 2),
        fdref.Conv(bank(5, 4, 2, 2, seed=1)),
        fdref.Pool(2, 2),
        fdref.Conv(bank(6, 5, 2, 2, seed=2)),
    ]
)
FILTERS = 4 + 5 + 6

SLOWLY = """
import sys, time
from fdref.commands import decode, decoded_file, main

def write(self, block, write=decoded_file.DecodedFile.write):
    time.sleep(0.2)
    return write(self, block)

decode.BLOCK = 1
decoded_file.EVERY = 0
decoded_file.DecodedFile.write = write
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def model(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("model") / "net.mat"
    fdref.save(NET, path)
    return path


@pytest.fixture(autouse=True)
def every_filter_a_block_with_a_record(monkeypatch):
    monkeypatch.setattr(decode, "BLOCK", 1)
    monkeypatch.setattr(decoded_file, "EVERY", 0)


def command(model: Path, out: Path, *options: object) -> list[object]:
    return ["decode", model, "--no-pictures", "-o", out, *options]


def states(folder: Path, model: Path, *options: object) -> tuple[bytes, list[Path]]:
    """Decode; return the result, and copies of what a kill would have left at any time."""
    copies: list[Path] = []

    def copy(file: DecodedFile) -> None:
        if (file.folder / RECORD).exists():
            copies.append(folder / f"{len(copies)}")
            shutil.copytree(file.folder, copies[-1] / file.folder.name)

    def save(file: DecodedFile) -> None:
        copy(file)  # there are more filters than the record knows of
        unpatched(file)
        if file.done == file.filters:
            copy(file)

    unpatched = DecodedFile.save
    folder.mkdir(exist_ok=True)
    (folder / "whole").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DecodedFile, "save", save)
        assert run(*command(model, folder / "whole" / "out", *options)) == 0
    return (folder / "whole" / "out" / "decoded.h5").read_bytes(), copies


def ways_with(way, wanted, unpool) -> tuple[Way, ...]:
    """Go one way to its layer, and from above to all others."""
    ways = Ways(NET, unpool, 4)
    others = {*wanted, way.bank} - {0, way.layer}
    above = [ways.from_above(layer, NET.channels[layer]) for layer in sorted(others)]
    return *above, way


@pytest.mark.slow
@pytest.mark.parametrize("asked", ["--layers 3,5", "--layers 5", "--filters 3,0-1 --layers 1,3,5"])
@pytest.mark.parametrize("unpool", ["nearest", "bicubic"])
def test_by_every_way_and_wherever_it_was_killed_the_file_is_the_same(
    asked, unpool, model, tmp_path, capsys, monkeypatch
):
    kinds = set()
    for number, way in enumerate(Ways(NET, unpool, 4).all_to(5, 6)):
        monkeypatch.setattr(
            decode,
            "Plan",
            lambda net, wanted, unpool, engine, *_, by=way: Plan(
                net, wanted, unpool, engine, ways=ways_with(by, wanted, unpool)
            ),
        )
        options = ("--unpool", unpool, *asked.split())
        whole, killed = states(tmp_path / f"{number}", model, *options)
        assert len(killed) >= 3
        for folder in killed[::3]:
            capsys.readouterr()
            assert run(*command(model, folder / "out", *options)) == 0
            assert capsys.readouterr().err.startswith("fdref: going on with ")
            assert list(everything_in(folder)) == ["out", "out/decoded.h5"]
            assert (folder / "out" / "decoded.h5").read_bytes() == whole, way
        kinds.add((way.kind, way.bank > 0))
    assert kinds == {("from above", False), ("atoms", True), ("pixels", False)}


def test_what_was_found_is_told_shown_and_not_decoded_again(model, tmp_path, capsys, monkeypatch):
    _, killed = states(tmp_path, model)
    state = read_record(killed[6])
    done = {layer: bank[0] for layer, bank in state["banks"].items()}
    assert (done, len(killed)) == ({"layer1": 4, "layer3": 3, "layer5": 0}, FILTERS)
    path = next(killed[6].glob(".*.part/decoded.h5"))
    with h5py.File(path, "r+") as file:
        file["layer1"][3] = 42
    bars = []
    monkeypatch.setattr(decode, "progress_bar", lambda *about, **_: bars.append(about) or no_bar())
    capsys.readouterr()
    assert run(*command(model, killed[6] / "out")) == 0
    output = capsys.readouterr()
    assert output.err == f"fdref: going on with 7 of {FILTERS} filters found before\n"
    counts = {layer: range(bank.shape[0]) for layer, bank in fdref.decode_all(NET).items()}
    ways = Plan(NET, counts, "bicubic", "compiled").choice.ways
    before = {1: 4 / len(counts[1]), 3: 3 / len(counts[3]), 5: 0}
    ((what, total, found),) = bars
    assert (what, total) == ("decoding", pytest.approx(sum(way.seconds for way in ways)))
    assert found == pytest.approx(sum(before[way.layer] * way.seconds for way in ways))
    with h5py.File(killed[6] / "out" / "decoded.h5") as file:
        assert (file["layer1"][3] == 42).all()
        for layer, row in zip((3, 5), output.out.splitlines()[2:4], strict=True):
            extremes = (f"{function(file[f'layer{layer}']):.4g}" for function in (np.min, np.max))
            assert row.split()[7:9] == list(extremes)


@contextmanager
def no_bar():
    yield lambda done, note="": None


def read_record(folder: Path) -> dict:
    return json.loads(next(folder.glob(f".*.part/{RECORD}")).read_text())


def test_all_decoded_and_killed_when_drawing(model, tmp_path, capsys, monkeypatch):
    whole, killed = states(tmp_path, model)
    (next(killed[-1].glob(".*.part")) / "layer1.png").write_text("half a picture")
    monkeypatch.setattr(Plan, "blocks", lambda *_: pytest.fail("decoded again"))
    assert run(*command(model, killed[-1] / "out")) == 0
    assert everything_in(killed[-1] / "out") == {"decoded.h5": whole}


DAMAGES = {
    "no record": lambda folder: (folder / RECORD).unlink(),
    "no file": lambda folder: (folder / "decoded.h5").unlink(),
    "nothing": lambda folder: [path.unlink() for path in folder.iterdir()],
    "a folder": lambda folder: (folder / RECORD).unlink() or (folder / RECORD).mkdir(),
    "empty file": lambda folder: (folder / "decoded.h5").write_bytes(b""),
    "another file": lambda folder: (folder / "decoded.h5").write_bytes(b"text" * 1000),
    "cut file": lambda folder: cut(folder / "decoded.h5"),
    "empty record": lambda folder: (folder / RECORD).write_bytes(b""),
    "cut record": lambda folder: cut(folder / RECORD),
    "strange bytes": lambda folder: (folder / RECORD).write_bytes(b"\xff\xfe\x00"),
    "a list": lambda folder: (folder / RECORD).write_text("[]"),
    "another job": lambda folder: rewrite(folder, lambda job: job["job"].update(unpool="nearest")),
    "layer missing": lambda folder: rewrite(folder, lambda job: job["banks"].pop("layer3")),
    "too many": lambda folder: rewrite(folder, lambda job: put(job, [7, 0, 0, 0])),
    "too few": lambda folder: rewrite(folder, lambda job: put(job, [-9, 0, 0, 0])),
    "no number": lambda folder: rewrite(folder, lambda job: put(job, ["x", 0, 0, 0])),
    "NaN": lambda folder: rewrite(folder, lambda job: put(job, [np.nan, 0, 0, 0])),
    "no memory": lambda folder: rewrite(folder, lambda job: job.pop("memory")),
    "dataset missing": lambda folder: replace_dataset(folder, None),
    "other shape": lambda folder: replace_dataset(folder, {"shape": (6, 2, 3, 3), "dtype": "f4"}),
    "other dtype": lambda folder: replace_dataset(folder, {"dtype": "f8"}),
    "in pieces": lambda folder: replace_dataset(folder, {"dtype": "f4", "chunks": True}),
    "compressed": lambda folder: replace_dataset(folder, {"dtype": "f4", "compression": 1}),
}


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def rewrite(folder: Path, change) -> None:
    record = json.loads((folder / RECORD).read_text())
    change(record)
    (folder / RECORD).write_text(json.dumps(record))


def put(record: dict, numbers: list) -> None:
    record["banks"]["layer5"] = numbers


def replace_dataset(folder: Path, by: dict | None) -> None:
    with h5py.File(folder / "decoded.h5", "r+") as file:
        shape = file["layer5"].shape
        del file["layer5"]
        if by is not None:
            file.create_dataset("layer5", **{"shape": shape, **by})


def test_what_is_damaged_is_begun_anew(model, tmp_path, capsys):
    whole, killed = states(tmp_path, model)
    for name, damage in DAMAGES.items():
        shutil.copytree(killed[11], tmp_path / name)
        damage(next((tmp_path / name).glob(".*.part")))
        capsys.readouterr()
        assert run(*command(model, tmp_path / name / "out")) == 0, name
        assert capsys.readouterr().err == "", name
        assert everything_in(tmp_path / name) == {"out": b"", "out/decoded.h5": whole}, name


def test_another_job_starts_anew_and_leaves_the_first_ones_filters_alone(model, tmp_path, capsys):
    _, killed = states(tmp_path, model)
    left = everything_in(killed[6])
    others = [
        ("--unpool", "nearest"),
        ("--layers", "3"),
        ("--filters", "0-3"),
        ("--engine", "reference"),
    ]
    for number, options in enumerate(others):
        capsys.readouterr()
        assert run(*command(model, killed[6] / "out", *options)) == 0
        assert capsys.readouterr().err == ""
        shutil.move(killed[6] / "out", tmp_path / f"other{number}")
        assert everything_in(killed[6]) == left
    changed = fdref.Network([fdref.Conv(NET[1].filters * 2), *list(NET)[1:]])
    fdref.save(changed, tmp_path / model.name)
    assert run(*command(tmp_path / model.name, killed[6] / "out")) == 0
    assert capsys.readouterr().err == ""
    with h5py.File(killed[6] / "out" / "decoded.h5") as file:
        assert np.array_equal(file["layer1"], fdref.decode(changed, 1))


def test_an_unhurt_run_leaves_no_trace_and_a_short_one_makes_no_record(
    model, tmp_path, monkeypatch
):
    assert run(*command(model, tmp_path / "out")) == 0
    assert list(everything_in(tmp_path)) == ["out", "out/decoded.h5"]
    (tmp_path / "there").mkdir()
    assert run(*command(model, tmp_path / "there")) == 0
    assert list(everything_in(tmp_path / "there")) == ["decoded.h5"]
    monkeypatch.setattr(decoded_file, "EVERY", 60)
    monkeypatch.setattr(DecodedFile, "save", lambda self: pytest.fail("recorded"))
    assert run(*command(model, tmp_path / "short")) == 0


def test_an_error_leaves_nothing_however_far_it_came(model, tmp_path, capsys):
    huge = fdref.Conv(np.full((2, 6, 1, 1), 3e38, np.float32))
    fdref.save(fdref.Network([*NET, huge]), tmp_path / "net.mat")
    assert run(*command(tmp_path / "net.mat", tmp_path / "out")) == 2
    assert "too large for float32" in capsys.readouterr().err
    assert list(everything_in(tmp_path)) == ["net.mat"]


def test_a_record_is_made_every_few_seconds_of_decoding(model, tmp_path, monkeypatch):
    clock = itertools.count()  # looked at twice a filter, once before and once after
    monkeypatch.setattr(decoded_file, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(decoded_file, "EVERY", 4)
    saved = []
    monkeypatch.setattr(DecodedFile, "save", lambda self: saved.append(self.done))
    assert run(*command(model, tmp_path / "out")) == 0
    assert saved == [4, 8, 12]


@pytest.mark.slow
@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_stopped_from_outside(number, existing, model, tmp_path, capsys):
    assert run(*command(model, tmp_path / "whole")) == 0
    whole = (tmp_path / "whole" / "decoded.h5").read_bytes()
    (tmp_path / "work" / "out").mkdir(parents=True)
    if not existing:
        (tmp_path / "work" / "out").rmdir()
    out = tmp_path / "work" / "out"
    process = start(model, out)
    part = wait_for_a_record(out if existing else out.parent)
    process.send_signal(number)
    said = process.communicate(timeout=60)[1].decode()
    kept = f"of {FILTERS} filters are kept in {part}; the same command goes on with them\n"
    if number == signal.SIGKILL:
        assert (process.returncode, said) == (-signal.SIGKILL, "")
    elif number == signal.SIGTERM:
        assert process.returncode == 128 + signal.SIGTERM
        assert said.startswith("fdref: stopped; ")
        assert said.endswith(kept)
    else:
        assert process.returncode == 130
        assert said.startswith("fdref: interrupted; ")
        assert said.endswith(kept)
    capsys.readouterr()
    assert run(*command(model, out)) == 0
    assert capsys.readouterr().err.startswith("fdref: going on with ")
    assert everything_in(tmp_path / "work") == {"out": b"", "out/decoded.h5": whole}


def start(model: Path, out: Path) -> subprocess.Popen[bytes]:
    """Decode in another process, filter by filter, each with a record, slowly."""
    arguments = map(str, command(model, out))
    return subprocess.Popen(
        [sys.executable, "-c", SLOWLY, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def wait_for_a_record(folder: Path) -> Path:
    """Return the folder where the other process works, once some filters are done."""
    for _ in range(600):
        for record in folder.glob(f".*.part/{RECORD}"):
            return record.parent
        time.sleep(0.05)
    raise TimeoutError


@pytest.mark.slow
def test_two_at_once(model, tmp_path, capsys):
    """The second of two is told so, and does no harm to the first."""
    out = tmp_path / "out"
    first = start(model, out)
    wait_for_a_record(tmp_path)
    assert run(*command(model, out)) == 2
    assert capsys.readouterr().err == (
        f"fdref: another process is writing the same to {out}; wait for it or choose another -o\n"
    )
    assert run(*command(model, tmp_path / "other")) == 0
    assert capsys.readouterr().err == ""
    assert first.communicate(timeout=60)[1] == b""
    assert first.returncode == 0
    assert everything_in(out) == everything_in(tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


class TestMemory:
    """What is free when the command is typed again is not what was free before."""

    @pytest.fixture
    def killed(self, model, tmp_path, monkeypatch):
        """Killed in the middle, with a plan for 12345678 bytes."""
        monkeypatch.setattr("fdref.planning.UNASKED", 12345678)
        folder = states(tmp_path, model)[1][6]
        assert read_record(folder)["memory"] == 12345678
        monkeypatch.undo()
        return folder

    @pytest.mark.parametrize(
        ("free", "options", "expected"),
        [
            (12345678, (), 12345678),
            (12345677, (), UNASKED),
            (2**40, ("--max-memory", "3M"), 3 * 2**20),
        ],
    )
    def test_the_same_is_taken_if_it_is_there_and_nothing_else_was_said(
        self, free, options, expected, killed, model, monkeypatch
    ):
        plans = []
        monkeypatch.setattr(decode, "free_memory", lambda: free)
        monkeypatch.setattr(decode, "fill", lambda file, plan, **_: plans.append(plan))
        assert run(*command(model, killed / "out", *options)) == 0
        assert [plan.choice.memory for plan in plans] == [expected]

    def test_a_limit_that_was_said_is_not_taken_for_granted_the_next_time(self, model, tmp_path):
        _, killed = states(tmp_path, model, "--max-memory", "1M")
        assert read_record(killed[6])["memory"] == 0

    def test_too_narrow_a_limit_does_not_cost_what_was_found(self, killed, model, capsys):
        left = everything_in(killed)
        assert run(*command(model, killed / "out", "--max-memory", "1")) == 2
        assert "--max-memory is 1 bytes" in capsys.readouterr().err
        assert everything_in(killed) == left

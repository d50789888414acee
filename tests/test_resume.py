"""`fdref decode`, stopped and typed once more: nothing is decoded twice, and nothing differs."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
import weakref
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import h5py
import numpy as np
import pytest
from command_line import ROOT, bank, everything_in, python, run

import fdref
from fdref.commands import decode
from fdref.decoding import blocks, decoded_file
from fdref.decoding.blocks import Plan
from fdref.decoding.decoded_file import DecodedFile
from fdref.decoding.planning import UNASKED
from fdref.decoding.ways import Ways
from fdref.errors import FileError
from fdref.files.laid_out import RECORD, line_of

if TYPE_CHECKING:
    from pathlib import Path

    from fdref.decoding.costs import Way

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
from fdref.decoding import blocks, decoded_file
from fdref.commands import main

def write(self, block, write=decoded_file.DecodedFile.write):
    time.sleep(0.2)
    return write(self, block)

decoded_file.WRITTEN = 1
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
    monkeypatch.setattr(decoded_file, "WRITTEN", 1)
    monkeypatch.setattr(decoded_file, "EVERY", 0)


def command(model: Path, out: Path, *options: object) -> list[object]:
    return ["decode", model, "--no-pictures", "-o", out, *options]


def states(folder: Path, model: Path, *options: object) -> tuple[bytes, list[Path]]:
    """Decode; return the result, and copies of what a kill would have left at any time."""
    copies: list[Path] = []

    def copy(file: DecodedFile) -> None:
        if file.records:
            copies.append(folder / f"{len(copies)}")
            (copies[-1] / "out").mkdir(parents=True)
            shutil.copy(file.folder.path / file.name, copies[-1] / "out")

    def save(file: DecodedFile) -> None:
        copy(file)  # there are more filters than the record knows of
        unpatched(file)
        if file.done == file.filters:
            copy(file)

    unpatched = DecodedFile.save
    (folder / "whole").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DecodedFile, "save", save)
        assert run(*command(model, folder / "whole" / "out", *options)) == 0
    return (folder / "whole" / "out" / "decoded.h5").read_bytes(), copies


def kept(folder: Path) -> Path:
    (path,) = folder.rglob(".fdref-*.decoding")
    return path


def records(path: Path) -> list[dict]:
    data = path.read_bytes()
    return [json.loads(data[start + 8 :].partition(b"\n")[0]) for start in (-2 * RECORD, -RECORD)]


def ways_with(way, wanted, unpool) -> tuple[Way, ...]:
    """Go one way to its layer, and from above to all others."""
    ways = Ways(NET, unpool, 4)
    others = {*wanted, *way.banks} - {way.layer}
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
            "fdref.decoding.contents.Plan",
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
            assert everything_in(folder / "out") == {"decoded.h5": whole}, way
        kinds.add((way.kind, bool(way.banks)))
    assert kinds == {("from above", False), ("atoms", True), ("pixels", False)}


def test_what_was_found_is_told_shown_and_not_decoded_again(model, tmp_path, capsys, monkeypatch):
    _, killed = states(tmp_path, model)
    path = kept(killed[6])
    (last, *_) = sorted(records(path), key=lambda record: -record["records"])
    done = {layer: bank[0] for layer, bank in last["banks"].items()}
    assert (done, len(killed)) == ({"layer1": 4, "layer3": 3, "layer5": 0}, FILTERS)
    with h5py.File(path) as file:
        end = file["layer1"].id.get_offset() + file["layer1"].nbytes
    with path.open("r+b") as file:
        file.seek(end - 18 * 4)
        file.write(np.full(18, 42, "f4").tobytes())
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


def rewrite(path: Path, change) -> None:
    """Change both records."""
    for number, record in enumerate(records(path)):
        change(record)
        put(path, line_of(record), -RECORD * (2 - number))


def put(path: Path, data: bytes, where: int) -> None:
    with path.open("r+b") as file:
        file.seek(where, os.SEEK_END)
        file.write(data)


def set_bank(numbers: list):
    return lambda path: rewrite(path, lambda record: record["banks"].update(layer5=numbers))


def replace_dataset(**by: object):
    def replace(path: Path) -> None:
        tail = path.read_bytes()[-2 * RECORD :]
        with h5py.File(path, "r+") as file:
            data, about = (
                np.zeros(by.pop("shape", file["layer5"].shape)),
                dict(file["layer5"].attrs),
            )
            del file["layer5"]
            if by:
                file.create_dataset("layer5", data=data, **by).attrs.update(about)
        path.write_bytes(path.read_bytes() + tail)

    return replace


DAMAGES = {
    "nothing": lambda path: path.write_bytes(b""),
    "another file": lambda path: path.write_bytes(b"text" * RECORD),
    "cut": lambda path: os.truncate(path, path.stat().st_size - 1),
    "only records": lambda path: path.write_bytes(path.read_bytes()[-2 * RECORD :]),
    "no record": lambda path: [put(path, bytes(99), -RECORD * n) for n in (1, 2)],
    "strange bytes": lambda path: [put(path, b"\xff\xfe\n", -RECORD * n) for n in (1, 2)],
    "a list": lambda path: [put(path, line_of([]), -RECORD * n) for n in (1, 2)],
    "layer missing": lambda path: rewrite(path, lambda record: record["banks"].pop("layer3")),
    "too many": set_bank([7, 0, 0, 0]),
    "too few": set_bank([-9, 0, 0, 0]),
    "no number": set_bank(["x", 0, 0, 0]),
    "NaN": set_bank([np.nan, 0, 0, 0]),
    "no memory": lambda path: rewrite(path, lambda record: record.pop("memory")),
    "in pieces": replace_dataset(dtype="f4", chunks=True),
    "compressed": replace_dataset(dtype="f4", compression=1),
}
OTHERS = {
    "dataset missing": replace_dataset(),
    "other shape": replace_dataset(shape=(6, 2, 3, 3), dtype="f4"),
    "other dtype": replace_dataset(dtype="f8"),
}


@pytest.mark.parametrize("name", [*DAMAGES, *OTHERS])
def test_what_is_damaged_is_begun_anew(name, model, tmp_path, capsys):
    whole, killed = states(tmp_path / "states", model)
    path = kept(killed[11])
    (DAMAGES | OTHERS)[name](path)
    capsys.readouterr()
    assert run(*command(model, killed[11] / "out")) == 0
    assert capsys.readouterr().err == ""
    found = everything_in(killed[11] / "out")
    assert found.pop("decoded.h5") == whole
    assert list(found) == ([path.name] if name in OTHERS else [])


def test_half_a_record_does_not_cost_the_one_before(model, tmp_path, capsys):
    whole, killed = states(tmp_path, model)
    path = kept(killed[6])
    newest = max(range(2), key=lambda number: records(path)[number]["records"])
    put(path, line_of({"records": 99})[:20], -RECORD * (2 - newest))
    capsys.readouterr()
    assert run(*command(model, killed[6] / "out")) == 0
    assert capsys.readouterr().err.startswith("fdref: going on with 6 of ")
    assert everything_in(killed[6] / "out") == {"decoded.h5": whole}


def test_records_are_counted_on(model, tmp_path, monkeypatch):
    """Else an older one, of fewer filters, would be taken for the newest."""
    _, killed = states(tmp_path, model)
    before, counted = max(record["records"] for record in records(kept(killed[6]))), []

    def save(file, right=DecodedFile.save):
        right(file)
        counted.append(max(record["records"] for record in records(file.folder.path / file.name)))

    monkeypatch.setattr(DecodedFile, "save", save)
    assert run(*command(model, killed[6] / "out")) == 0
    assert counted == list(range(before + 1, before + 1 + len(counted)))
    assert counted


def test_what_is_there_is_not_written_again(model, tmp_path, monkeypatch):
    """Where others stand on a bank of which some filters were asked for, these come again."""
    firsts = {}

    def write(file, block, right=DecodedFile.write):
        new = right(file, block)
        again = firsts.setdefault(block.layer, block)
        before = [bank.done for bank in file.asked]
        assert new > 0
        assert right(file, again) == 0
        assert [bank.done for bank in file.asked] == before
        return new

    monkeypatch.setattr(DecodedFile, "write", write)
    assert run(*command(model, tmp_path / "out")) == 0
    assert firsts.keys() == {1, 3, 5}


def test_what_is_written_is_let_go_before_more_is_decoded(tmp_path, monkeypatch):
    written = []

    def write(file, block, right=DecodedFile.write):
        written.append(weakref.ref(block.pictures))
        return right(file, block)

    def reached(known, way, met, right=blocks._Known.reached):  # noqa: SLF001
        assert all(pictures() is None for pictures in written)
        return right(known, way, met)

    monkeypatch.setattr(DecodedFile, "write", write)
    monkeypatch.setattr("fdref.decoding.blocks._Known.reached", reached)
    fdref.decode_to(tmp_path / "decoded.h5", NET)
    assert len(written) == FILTERS


@pytest.mark.parametrize("short", [0, 1])
def test_room_is_looked_for_before_anything_is_decoded(short, model, tmp_path, capsys, monkeypatch):
    takes = sum(bank.nbytes for bank in fdref.decode_all(NET).values())
    usage = SimpleNamespace(free=takes - short)
    monkeypatch.setattr("fdref.files.laid_out.shutil.disk_usage", lambda folder: usage)
    assert run(*command(model, tmp_path / "out")) == (2 if short else 0)
    said = capsys.readouterr().err
    if short:
        assert (
            f"has {takes - 1:,} bytes free, the decoded filters take {takes:,}; make room" in said
        )
    assert list(everything_in(tmp_path)) == ([] if short else ["out", "out/decoded.h5"])


def test_a_disk_that_is_full_when_the_file_is_laid_out_is_told(
    model, tmp_path, capsys, monkeypatch
):
    """HDF5 must not hear of it: it would crash."""

    def write(file, data):
        with file._deferred():  # noqa: SLF001
            raise OSError(28, "No space left on device")
        return len(data)

    monkeypatch.setattr("fdref.files.laid_out.SafeFile.write", write)
    assert run(*command(model, tmp_path / "out")) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert "out/decoded.h5" not in everything_in(tmp_path)


def test_another_job_leaves_the_first_ones_filters_alone(model, tmp_path, capsys):
    _, killed = states(tmp_path, model)
    out = killed[6] / "out"
    left = everything_in(out)
    changed = fdref.Network([fdref.Conv(NET[1].filters * 2), *list(NET)[1:]])
    fdref.save(changed, tmp_path / model.name)
    others = [("--unpool", "nearest"), ("--layers", "3"), ("--filters", "0-3"), ()]
    for options in others:
        capsys.readouterr()
        path = model if options else tmp_path / model.name
        assert run(*command(path, out, *options)) == 0
        assert capsys.readouterr().err == ""
        if not options:
            with h5py.File(out / "decoded.h5") as file:
                assert np.array_equal(file["layer1"], fdref.decode(changed, 1))
        (out / "decoded.h5").unlink()
        assert everything_in(out) == left


def test_a_short_run_makes_no_record(model, tmp_path, monkeypatch):
    monkeypatch.setattr(decoded_file, "EVERY", 60)
    monkeypatch.setattr(DecodedFile, "save", lambda self: pytest.fail("recorded"))
    assert run(*command(model, tmp_path / "short")) == 0
    assert list(everything_in(tmp_path)) == ["short", "short/decoded.h5"]


def test_a_record_is_made_every_few_seconds_of_decoding(model, tmp_path, monkeypatch):
    clock = itertools.count()  # looked at twice a filter, once before and once after
    monkeypatch.setattr(decoded_file, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(decoded_file, "EVERY", 4)
    saved = []

    def save(file):
        saved.append(file.done)
        file.due += 4

    monkeypatch.setattr(DecodedFile, "save", save)
    assert run(*command(model, tmp_path / "out")) == 0
    assert saved == [4, 8, 12]


@pytest.mark.parametrize(
    ("failure", "status"),
    [(MemoryError("4 TiB"), 2), (OSError(28, "full"), 2), (KeyboardInterrupt(), 130)],
    ids=repr,
)
def test_no_error_deletes_what_is_kept(failure, status, model, tmp_path, capsys, monkeypatch):
    """In a first run, when it goes on, and when it looks for what to go on with."""
    out = tmp_path / "out"
    whole, _ = states(tmp_path / "states", model)

    def fails_after(filters: int):
        def put(file, bank, first, pictures, real=DecodedFile._put):  # noqa: SLF001
            if file.done >= filters:
                raise failure
            real(file, bank, first, pictures)

        return put

    for filters in (5, 9):
        with monkeypatch.context() as patch:
            patch.setattr(DecodedFile, "_put", fails_after(filters))
            assert run(*command(model, out)) == status
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"{filters} of {FILTERS} filters are kept in {kept(out)}; the same command" in said
    with monkeypatch.context() as patch:
        patch.setattr(
            "fdref.decoding.unfinished.bank_of",
            lambda *about: next(iter(()), None) or fail(failure),
        )
        assert run(*command(model, out)) == status
    assert kept(out)
    capsys.readouterr()
    assert run(*command(model, out)) == 0
    assert capsys.readouterr().err == f"fdref: going on with 9 of {FILTERS} filters found before\n"
    assert everything_in(out) == {"decoded.h5": whole}


def fail(failure: BaseException):
    raise failure


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells what a process took at most")
def test_going_on_takes_no_more_memory_than_beginning(tmp_path):
    """Below a limit on addresses under which a first run is done."""
    wide = fdref.Network([fdref.Conv(bank(3000, 3, 8, 8)), fdref.Conv(bank(1500, 3000, 1, 1))])
    fdref.save(wide, tmp_path / "net.mat")
    script = (
        "import resource, sys\n"
        "from fdref.decoding import decoded_file, to_disk\n"
        "from fdref.commands import main\n"
        "import h5py, numba, psutil, tqdm, fdref.kernels\n"
        "decoded_file.EVERY = 0\n"
        "stop = int(sys.argv.pop(1))\n"
        "if stop:\n"
        "    def put(file, bank, first, pictures, real=decoded_file.DecodedFile._put):\n"
        "        real(file, bank, first, pictures)\n"
        "        if file.done > stop: raise KeyboardInterrupt\n"
        "    decoded_file.DecodedFile._put = put\n"
        "status = main(sys.argv[1:])\n"
        "used = [l for l in open('/proc/self/status') if l.startswith('VmPeak')][0].split()[1]\n"
        "print(status, used)\n"
    )
    options = ("decode", tmp_path / "net.mat", "--no-pictures", "-o")
    peaks = {}
    for name, stop in (("fresh", 0), ("again", 3500), ("again", 0)):
        done = python("-c", script, stop, *options, tmp_path / name)
        status, peak = done.stdout.split()[-2:]
        assert int(status) == (130 if stop else 0), done.stderr
        peaks[name] = int(peak)
    assert peaks["again"] <= peaks["fresh"] + 1024
    assert everything_in(tmp_path / "fresh") == everything_in(tmp_path / "again")


@pytest.mark.slow
@pytest.mark.parametrize("existing", [True, False])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_stopped_from_outside(number, existing, model, tmp_path, capsys):
    assert run(*command(model, tmp_path / "whole")) == 0
    whole = (tmp_path / "whole" / "decoded.h5").read_bytes()
    out = tmp_path / "out"
    if existing:
        out.mkdir()
    process = start(model, out)
    part = wait_for_a_record(out)
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
    assert everything_in(out) == {"decoded.h5": whole}


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
    """Return the file that the other process fills, once some filters are done."""
    for _ in range(600):
        for path in folder.glob(".fdref-*.decoding"):
            if (
                path.stat().st_size > 2 * RECORD
                and b'"records"' in path.read_bytes()[-2 * RECORD :]
            ):
                return path
        time.sleep(0.05)
    raise TimeoutError


@pytest.mark.slow
@pytest.mark.parametrize("same", [True, False])
def test_two_at_once(same, model, tmp_path, capsys):
    """The second of two is told so, and does no harm to the first."""
    out = tmp_path / "out"
    first = start(model, out)
    wait_for_a_record(out)
    assert run(*command(model, out, *(() if same else ("--layers", "3")))) == 2
    busy = "is being written to by another process; wait for it or choose another folder"
    assert capsys.readouterr().err == f"fdref: {out} {busy}\n"
    assert run(*command(model, tmp_path / "other")) == 0
    assert capsys.readouterr().err == ""
    assert first.communicate(timeout=60)[1] == b""
    assert first.returncode == 0
    assert everything_in(out) == everything_in(tmp_path / "other")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "out"]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_of_many_at_once_none_loses_what_another_has_added(tmp_path, monkeypatch):
    """Who is refused has added nothing; who is not finds the layers of those before."""
    monkeypatch.setattr("os.fsync", lambda held: None)
    for number in range(8):
        path = tmp_path / f"{number}.h5"
        processes = {layer: decoding_in_another_process(path, layer) for layer in (1, 3, 5)}
        status = {layer: os.waitpid(pid, 0)[1] for layer, pid in processes.items()}
        assert set(map(os.waitstatus_to_exitcode, status.values())) <= {0, 2}
        added = [f"layer{layer}" for layer in status if status[layer] == 0]
        assert added
        with h5py.File(path) as file:
            assert sorted(file) == added
    assert not list(tmp_path.glob(".*"))


def decoding_in_another_process(path: Path, layer: int) -> int:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python 3.12 warns of threads; the child uses none
        process = os.fork()
    if process == 0:
        status = 1
        try:
            fdref.decode_to(path, NET, [layer], engine="reference")
            status = 0
        except FileError:
            status = 2
        finally:
            os._exit(status)
    return process


class TestMemory:
    """What is free when the command is typed again is not what was free before."""

    @pytest.fixture
    def killed(self, model, tmp_path, monkeypatch):
        """Killed in the middle, with a plan for 12345678 bytes."""
        monkeypatch.setattr("fdref.decoding.planning.UNASKED", 12345678)
        monkeypatch.setattr("fdref.decoding.planning._PLANS", WeakKeyDictionary())  # made for more
        folder = states(tmp_path, model)[1][6]
        assert records(kept(folder))[0]["memory"] == 12345678
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
        monkeypatch.setattr(decoded_file, "free_memory", lambda: free)
        real = DecodedFile.fill
        monkeypatch.setattr(
            DecodedFile,
            "fill",
            lambda file, plan, **more: plans.append(plan) or real(file, plan, **more),
        )
        assert run(*command(model, killed / "out", *options)) == 0
        assert [plan.choice.memory for plan in plans] == [expected]

    @pytest.mark.parametrize(
        ("limit", "expected"), [(None, 12345678), (3 * 2**20, 3 * 2**20)], ids=["none", "own"]
    )
    def test_so_it_is_from_python(self, limit, expected, tmp_path, monkeypatch):
        def put(file, bank, first, pictures, right=DecodedFile._put):  # noqa: SLF001
            if file.done >= 6:
                raise KeyboardInterrupt
            right(file, bank, first, pictures)

        def fill(file, plan, *more, right=DecodedFile.fill):
            memory.append(plan.choice.memory)
            right(file, plan, *more)

        memory: list[int] = []
        monkeypatch.setattr(DecodedFile, "fill", fill)
        with monkeypatch.context() as patch:
            patch.setattr(DecodedFile, "_put", put)
            patch.setattr("fdref.decoding.planning.UNASKED", 12345678)
            patch.setattr("fdref.decoding.planning._PLANS", WeakKeyDictionary())
            with pytest.raises(KeyboardInterrupt):
                fdref.decode_to(tmp_path / "decoded.h5", NET)
        assert records(kept(tmp_path))
        fdref.decode_to(tmp_path / "decoded.h5", NET, max_memory=limit)
        assert memory == [12345678, expected]

    def test_a_limit_that_was_said_is_not_taken_for_granted_the_next_time(self, model, tmp_path):
        _, killed = states(tmp_path, model, "--max-memory", "1M")
        assert records(kept(killed[6]))[0]["memory"] == 0

    def test_too_narrow_a_limit_does_not_cost_what_was_found(self, killed, model, capsys):
        left = everything_in(killed)
        assert run(*command(model, killed / "out", "--max-memory", "1")) == 2
        assert "--max-memory is 1 bytes" in capsys.readouterr().err
        assert everything_in(killed) == left

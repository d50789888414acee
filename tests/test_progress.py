"""Progress bars: everything that takes long has one, and they count work."""

from __future__ import annotations

import io
import os
import re
from types import SimpleNamespace

import numpy as np
import pytest
from command_line import bank, run, small_model
from progress_bars import Bars

import fdref
from fdref.commands.progress import progress_bar
from fdref.conformance.cases import cases
from fdref.conformance.mistakes import MISTAKES
from fdref.decoding.blocks import Plan
from fdref.drawing.sheets import work


@pytest.fixture
def bars(monkeypatch) -> Bars:
    return Bars(monkeypatch)


def done(bars: Bars) -> list[str]:
    """Return what was shown, once each bar is found to have gone from its start to its end."""
    for bar in bars:
        assert bar.n == pytest.approx(bar.total), bar.what
        assert bar.before + sum(bar.steps) == pytest.approx(bar.total), bar.what
        assert min(bar.steps) >= 0
    return [bar.what for bar in bars]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [0, 20, 60])
def test_what_a_bar_shows_and_when(width, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("tqdm.std.time", lambda: clock[0])
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr("os.get_terminal_size", lambda descriptor: os.terminal_size((width, 0)))
    terminal.fileno = lambda: 2
    with progress_bar("decoding", 10) as advance:
        clock[0] += 1.5
        advance(1)
        assert terminal.getvalue() == ""  # perhaps it is done in a moment
        clock[0] += 1.5
        advance(1, "a note")
        shown = terminal.getvalue().split("\r")[-1]
        assert len(shown) == (width or 80)
        whole = r"decoding  20%\|#+ +\| 00:03<00:1[0-3], a note"
        assert re.fullmatch("decoding  20%.*" if width == 20 else whole, shown)
        clock[0] += 3
        advance(0.01)  # little after much is shown, too
        assert "00:06<" in terminal.getvalue() or width == 20
        assert terminal.getvalue().count("\r") == 2
    assert terminal.getvalue().endswith("\r")  # nothing is left of it


@pytest.mark.parametrize("quiet", [False, True])
def test_where_nobody_sees_it_there_is_none(quiet, monkeypatch):
    monkeypatch.setattr("tqdm.tqdm", None)
    stderr = Terminal() if quiet else io.StringIO()
    monkeypatch.setattr("sys.stderr", stderr)
    with progress_bar("decoding", 10, quiet=quiet) as advance:
        advance(10, "a note")
    monkeypatch.setattr("sys.stderr", None)
    with progress_bar("decoding", 10, quiet=quiet) as advance:
        advance(10)
    assert stderr.getvalue() == ""


def test_what_was_done_before_and_sums_that_are_not_exact(bars):
    with progress_bar("decoding", 0.3, 0.1) as advance:
        for _ in range(3):
            advance(0.1)
    with progress_bar("decoding", 0) as advance:
        pass
    assert (bars[0].before, bars[0].n) == (0.1, 0.3)


class TestDecoding:
    def test_of_decoding_and_drawing(self, bars, tmp_path, monkeypatch):
        monkeypatch.setattr("fdref.decoding.blocks.PICTURES", 1)
        model = small_model(tmp_path)
        net = fdref.load(model)
        assert run("decode", model, "-o", tmp_path / "out") == 0
        assert done(bars) == ["decoding", "drawing"]
        plan = Plan(net, {1: range(3), 4: range(2)}, "bicubic", "compiled").choice
        assert bars[0].total == pytest.approx(plan.seconds)
        assert bars[1].total == sum(work(each.shape) for each in fdref.decode_all(net).values())

    def test_of_filters_that_nobody_asked_for_but_others_stand_on(self, bars, tmp_path):
        """They take nearly all of the time; the bar does not wait for the ten that are told."""
        options = ("--layers", 5, "--filters", "0-99", "--unpool", "nearest", "--no-pictures")
        assert run("decode", *options, "-o", tmp_path / "out") == 0
        assert done(bars) == ["decoding"]
        plan = Plan(fdref.load(), {5: range(100)}, "nearest", "compiled").choice
        assert len(plan.ways) == 3
        assert len(bars[0].steps) >= 3
        assert max(bars[0].steps) <= max(way.seconds for way in plan.ways) * 1.001

    def test_work_counts_what_a_filter_costs(self, bars, tmp_path):
        """As many filters of another layer may take many times as long."""
        fdref.save(
            fdref.Network([fdref.Conv(bank(64, 3, 3, 3)), fdref.Conv(bank(64, 64, 15, 15))]),
            tmp_path / "net.mat",
        )
        options = ("--engine", "reference", "--no-pictures", "-o", tmp_path / "out")
        assert run("decode", tmp_path / "net.mat", *options) == 0
        first, second = bars[0].steps
        net = fdref.load(tmp_path / "net.mat")
        ways = Plan(net, {1: range(64), 2: range(64)}, "bicubic", "reference").choice.ways
        assert [first, second] == pytest.approx([way.seconds for way in ways])
        assert second > 5 * first


class TestJudging:
    def test_of_judging_and_looking_for_mistakes(self, bars, kit, results):
        wrong = [case for case in cases() if case.operation == "relu" and not case.refused][:2]
        for case in wrong:
            changed = {name: array + 1 for name, array in case.expected.items()}
            np.savez(results / f"{case.id}.npz", **changed)
        assert run("check", kit, results) == 1
        two = "looking for two mistakes at once"
        assert done(bars) == ["judging", "looking for mistakes", two]
        assert [bar.total for bar in bars] == [len(cases()), len(wrong) * len(MISTAKES), len(wrong)]
        assert [max(bar.steps) for bar in bars] == [1, 1, 1]


def test_a_quiet_command_shows_none(bars, tmp_path):
    model = small_model(tmp_path)
    assert run("decode", model, "-o", tmp_path / "out", "--quiet") == 0
    assert bars == []


def test_of_training(bars, monkeypatch):
    from fdref.commands.train import train_epoch
    from fdref.training import sgd

    digits = SimpleNamespace(labels=range(300))
    batches = ((100, 2.0, 0.5), (100, 1.0, 0.25), (100, 0.0, 0.0))
    monkeypatch.setattr(
        sgd,
        "train_epoch",
        lambda state, digits, progress: [progress(*batch) for batch in batches],
    )
    with progress_bar("epoch 1", 300) as advance:
        train_epoch(None, digits, advance)
    assert done(bars) == ["epoch 1"]
    assert bars[0].notes == [
        "loss 2.0000, error 50.00%",
        "loss 1.5000, error 37.50%",
        "loss 1.0000, error 25.00%",
    ]

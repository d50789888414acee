"""What is said of costs before the work begins: what the planner estimates, and what is cheaper."""

from __future__ import annotations

import re
from math import prod

import numpy as np
import pytest
from command_line import bank, run, small_model

import fdref
from fdref import Conv, Network, Pool, ReLU
from fdref.commands import costs
from fdref.commands.jobs import read_jobs
from fdref.decoding.contents import Contents
from fdref.decoding.costs import MULTIPLY_ADD

WIDE = Network(
    [
        Conv(bank(40, 1, 5, 5), name="low"),
        *(Pool(2, 2), ReLU(), Pool(3, 3)),
        Conv(bank(30, 40, 5, 5, seed=1), name="high"),
    ],
    input_size=(34, 34),
)
"""Fields of 34 pixels; those of a third convolution would be beyond the image."""


def contents_of(net, layers=None, unpool="bicubic"):
    return Contents(net, read_jobs(net, layers, None)[0], unpool, "compiled", {})


@pytest.fixture
def no_time(monkeypatch):
    """Whatever takes any time is said."""
    monkeypatch.setattr(costs, "MINUTE", 0)


def test_only_what_takes_a_minute_is_said(monkeypatch):
    contents = contents_of(WIDE)
    plan = contents.plan(None)
    for limit, said in ((plan.choice.seconds * 1.001, False), (plan.choice.seconds, True)):
        monkeypatch.setattr(costs, "MINUTE", limit)
        assert bool(costs.costs(contents, plan)) is said


def test_time_room_and_what_is_cheaper(no_time, monkeypatch):
    """As the planner has them, to what is printed of them."""
    monkeypatch.setattr(costs, "duration", lambda seconds: f"{seconds:.9f}")
    contents = contents_of(WIDE)
    told = costs.costs(contents, contents.plan(None))
    banks = fdref.decode_all(WIDE)
    room = sum(own.nbytes for own in banks.values())
    assert f"{costs.size(room)} for the filters" in told
    every = contents.plan(None).choice.seconds
    assert told.startswith(f"decoding takes about {every:.9f} (compiled engine, two cores), ")
    nearest = contents_of(WIDE, unpool="nearest").plan(None).choice.seconds
    assert nearest < 0.7 * every
    assert f"--unpool nearest ({nearest:.9f})" in told
    low = contents_of(WIDE, "1").plan(None).choice.seconds
    assert f"without layer 5 (conv 'high') ({low:.9f})" in told
    few = Contents(WIDE, read_jobs(WIDE, None, "0-9")[0], "bicubic", "compiled", {})
    seconds = few.plan(None).choice.seconds
    assert (f"--filters 0-9 ({seconds:.9f})" in told) is (seconds < 0.7 * every)


def test_what_would_not_be_cheaper_is_not_named(no_time):
    contents = contents_of(WIDE, "1", "nearest")
    told = costs.costs(contents, contents.plan(None))
    assert told
    assert "unpool" not in told
    assert "without" not in told
    assert "position" not in told
    assert "--filters" not in costs.costs(contents, contents.plan(None), filters=False)


def test_fields_beyond_the_image_have_a_position(no_time):
    layers = [*WIDE, Conv(bank(4, 30, 3, 3), pad=1, name="top")]
    net = Network(layers, input_size=(34, 34))
    contents = contents_of(net, "6")
    field = fdref.receptive_field(net, 6).size
    assert field == (46, 46)
    share = f"{34 * 34 / prod(field):.0%} of layer 6 (conv 'top')'s 46x46 pixels"
    told = costs.costs(contents, contents.plan(None))
    assert f"decode(position=...): what lies on the image, {share}" in told


def test_the_first_line_of_a_long_command_says_it(no_time, tmp_path, capsys):
    model = small_model(tmp_path)
    np.save(tmp_path / "in.npy", np.arange(3 * 81, dtype=np.uint8).reshape(3, 9, 9))
    for command in (
        ["decode", model, "--no-pictures", "-o", tmp_path / "out"],
        ["explore", model, "-o", tmp_path / "page.html"],
    ):
        assert run(*command) == 0
        first = capsys.readouterr().err.splitlines()[0]
        assert re.fullmatch(r"fdref: decoding takes about \d+ s \(compiled .* filters.*", first)
        assert ("--filters" in first) <= (command[0] == "decode")
    assert run("evaluate", model, "--images", tmp_path / "in.npy") == 0
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("fdref: 3 images take about 0 s in one process (compiled engine, two")
    assert "--workers or --scheduler" in first
    assert second.startswith("fdref: decoding takes about 0 s")
    assert run("evaluate", model, "--images", tmp_path / "in.npy", "--quiet") == 0
    assert run("decode", model, "--no-pictures", "-o", tmp_path / "out") == 0  # it is there
    assert "takes about" not in capsys.readouterr().err


def test_products_of_an_image_are_counted(monkeypatch, capsys):
    """Both the network's and those with the decoded filters."""
    monkeypatch.setattr(costs, "LONG", 0)
    monkeypatch.setattr(costs, "MINUTE", 0)
    told = []
    monkeypatch.setattr(costs, "duration", lambda seconds: told.append(seconds) or "x")

    class Options:
        workers, scheduler, quiet = 2, None, True

    costs.say_evaluation(Options, contents_of(WIDE), (7, 1, 34, 34))
    network = 40 * 25 * 30 * 30 + 30 * 40 * 25 * 1
    decoded = 40 * 25 * 30 * 30 + 30 * 34 * 34 * 1
    assert told[-1] == pytest.approx(7 * (network + decoded) * MULTIPLY_ADD, rel=1e-12)

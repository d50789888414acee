"""Engines with a bug put into each of their operations: `fdref check` finds every one."""

from __future__ import annotations

import json
import sys

import numpy as np
import pytest
from judging import copy_with_a_bug, run, some

import fdref
import fdref.compiled
import fdref.reference
from fdref.conformance.case import OPERATIONS
from fdref.engine import Engine


def flip(filters: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(filters[:, :, ::-1, ::-1])


def without_last_column(pictures: np.ndarray) -> np.ndarray:
    pictures[..., -1] = 0
    return pictures


BUGS = {
    ("precision", "too short"): lambda real: lambda weights: np.dtype(np.float32),
    ("correlate", "flipped"): lambda real: lambda x, w, *more: real(x, flip(w), *more),
    ("correlate", "no bias"): lambda real: lambda x, w, b, *more: real(x, w, None, *more),
    ("correlate", "shifted by one"): lambda real: lambda *all_: np.roll(real(*all_), 1, axis=3),
    ("pool", "always the maximum"): lambda real: lambda *all_: real(*all_[:-1], "max"),
    ("pool", "NaN loses"): lambda real: lambda x, *more: real(np.nan_to_num(x), *more),
    ("substitute", "a lost overlap"): lambda real: lambda *all_: without_last_column(real(*all_)),
    ("substitute", "flipped"): lambda real: lambda y, w, *more: real(y, flip(w), *more),
    ("unpool", "shifted by one"): lambda real: lambda *all_: np.roll(real(*all_), 1, axis=2),
    ("unpool", "always nearest"): lambda real: lambda *all_: real(*all_[:-1], "nearest"),
}
"""Wrong operations of an engine, made from the right ones."""

GRADIENTS = {"filter_gradient", "pool_gradient"}
"""The trainer's operations, of which a kit does not ask."""


class TestDeliberateBugs:
    def test_each_operation_of_an_engine_has_one(self):
        operations = {name for name in vars(Engine) if not name.startswith("_")}
        assert {operation for operation, _ in BUGS} == operations - GRADIENTS

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_every_operation_has_cases(self, operation):
        assert some(operation)

    @pytest.mark.slow
    @pytest.mark.large
    @pytest.mark.usefixtures("no_mistakes")
    @pytest.mark.parametrize(("operation", "name"), BUGS)
    def test_a_copy_of_an_engine_with_a_bug_fails(
        self, engine, operation, name, kit, monkeypatch, tmp_path, capsys
    ):
        right = sys.modules[f"fdref.{engine}"]
        bad = copy_with_a_bug(right, operation, BUGS[operation, name])
        monkeypatch.setitem(sys.modules, f"fdref.{engine}", bad)
        assert run("check", kit, "--engine", engine, "--json", tmp_path / "report.json") == 1
        data = json.loads((tmp_path / "report.json").read_text())
        failed = {entry["operation"] for entry in data["cases"] if entry["outcome"] == "fail"}
        assert operation == "precision" or operation in failed
        assert fdref.__version__ in capsys.readouterr().out

    @pytest.mark.slow
    @pytest.mark.large
    def test_the_copy_without_a_bug_passes(self, engine, kit, monkeypatch):
        right = sys.modules[f"fdref.{engine}"]
        same = copy_with_a_bug(right, "pool", lambda real: real)
        monkeypatch.setitem(sys.modules, f"fdref.{engine}", same)
        assert run("check", kit, "--engine", engine) == 0

"""Engines with a bug put into each of their operations: `fdref check` finds every one."""

from __future__ import annotations

import numpy as np
import pytest
from judging import report_on, some

from fdref import engines
from fdref.conformance.case import OPERATIONS
from fdref.conformance.comparison import Outcome
from fdref.engines import patched


def flip(filters: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(filters[:, :, ::-1, ::-1])


def without_last_column(pictures: np.ndarray) -> np.ndarray:
    pictures[..., -1] = 0
    return pictures


def not_mapped(real, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.stack([((one - other) ** 2).mean(axis=1), real(one, other)[1]])


def not_centred(real, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    norms = np.sqrt((one**2).sum(axis=1) * (other**2).sum(axis=1))
    return np.stack([real(one, other)[0], (one * other).sum(axis=1) / norms])


BUGS = {
    ("precision", "too short"): lambda real, weights: np.dtype(np.float32),
    ("correlate", "flipped"): lambda real, x, w, *more: real(x, flip(w), *more),
    ("correlate", "no bias"): lambda real, x, w, b, *more: real(x, w, None, *more),
    ("correlate", "shifted by one"): lambda real, *all_: np.roll(real(*all_), 1, axis=3),
    ("pool", "always the maximum"): lambda real, *all_: real(*all_[:-1], "max"),
    ("pool", "NaN loses"): lambda real, x, *more: real(np.nan_to_num(x), *more),
    ("relu", "no leak"): lambda real, x, leak: real(x, 0.0),
    ("relu", "NaN loses"): lambda real, x, leak: real(np.nan_to_num(x), leak),
    ("scale", "no offset"): lambda real, x, factor, offset, mean: real(x, factor, None, mean),
    ("scale", "no mean"): lambda real, x, factor, offset, mean: real(x, factor, offset, None),
    ("normalize", "one channel less"): lambda real, x, size, *more: real(x, size - 1, *more),
    ("normalize", "kappa is 1"): lambda real, x, size, kappa, *more: real(x, size, 1.0, *more),
    ("softmax", "of halves"): lambda real, x: real(x / 2),
    ("substitute", "a lost overlap"): lambda real, *all_: without_last_column(real(*all_)),
    ("substitute", "flipped"): lambda real, y, w, *more: real(y, flip(w), *more),
    ("unpool", "shifted by one"): lambda real, *all_: np.roll(real(*all_), 1, axis=2),
    ("unpool", "always nearest"): lambda real, *all_: real(*all_[:-1], "nearest"),
    ("pool_gradient", "shifted by one"): lambda real, *all_: np.roll(real(*all_), 1, axis=3),
    ("pool_gradient", "always shares"): lambda real, *all_: real(*all_[:-1], "avg"),
    ("compare", "as they are"): not_mapped,
    ("compare", "with their means"): not_centred,
}
"""Wrong operations of an engine, made from the right ones."""

SHOWN_BY = {
    "softmax": "forward",
    "scale": "bnorm",
    "pool_gradient": "project",
    "compare": "evaluate",
}
"""The kit's operation that shows an engine's, where it has another name."""

NOT_ASKED = {"filter_gradient"}
"""The trainer's operation, of which a kit does not ask."""


class TestDeliberateBugs:
    def test_each_operation_of_an_engine_has_one(self):
        assert {operation for operation, _ in BUGS} == set(engines.OPERATIONS) - NOT_ASKED

    @pytest.mark.parametrize("operation", OPERATIONS)
    def test_every_operation_has_cases(self, operation):
        assert some(operation)

    @pytest.mark.slow
    @pytest.mark.large
    @pytest.mark.usefixtures("no_mistakes")
    @pytest.mark.parametrize(("operation", "name"), BUGS)
    def test_an_engine_with_a_bug_fails(self, engine, operation, name, kit):
        bad = patched(engine, **{operation: BUGS[operation, name]})
        report = report_on(kit, bad)
        assert not report.conforms
        failed = {v.case.operation for v in report.verdicts if v.outcome is Outcome.FAIL}
        assert operation == "precision" or SHOWN_BY.get(operation, operation) in failed

    @pytest.mark.slow
    @pytest.mark.large
    def test_the_engine_without_a_bug_passes(self, engine, kit):
        assert report_on(kit, patched(engine, pool=lambda real, *all_: real(*all_))).conforms

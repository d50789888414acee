"""The kit's cases, as parameters of tests, and how far an answer may be off."""

from __future__ import annotations

import numpy as np
import pytest

from fdref.conformance.cases import cases

CASES = cases()
ANSWERED = [case for case in CASES if not case.refused]
SMALL = [case for case in ANSWERED if "lenet" not in case.id]


def named(chosen):
    """Run a test with each case; those of LeNet are slow with the JIT off."""
    return pytest.mark.parametrize(
        "case",
        [
            pytest.param(case, id=case.id, marks=[pytest.mark.large] * ("lenet" in case.id))
            for case in chosen
        ],
    )


def beyond(case, got):
    """The outputs that are not what the case expects; the manifest's rule, written out."""
    assert list(got) == list(case.expected)
    wrong = []
    for name, expected in case.expected.items():
        found, atol = got[name], case.tolerance.of(name).atol
        assert found.shape == expected.shape
        same = (found == expected) | (np.isnan(found) & np.isnan(expected))
        with np.errstate(invalid="ignore"):
            error = np.abs(found.astype(float) - expected)
        if not (same | (error <= atol)).all():
            wrong.append((name, error.max(), atol))
    return wrong

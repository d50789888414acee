"""`fdref.testing`: the kit in somebody else's pytest."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fdref
from fdref.conformance.case import OPERATIONS
from fdref.conformance.cases import cases
from fdref.conformance.compute import call
from fdref.conformance.kit import write_kit
from fdref.conformance.part import PROFILES
from fdref.errors import ArgumentError, FileError
from fdref.testing import assert_conforms

ROOT = Path(__file__).parents[1]


def ours(operation: str, *, as_list: bool = False):
    """Return fdref's own function, taking what the kit gives by name."""
    inputs_of = {name for case in cases() for name in case.inputs}

    def function(**given: Any):
        arrays = {
            name: value
            for name, value in given.items()
            if name in inputs_of and isinstance(value, np.ndarray)
        }
        parameters = {name: value for name, value in given.items() if name not in arrays}
        network, folder = parameters.get("network"), None
        if isinstance(network, dict):
            folder = Path(network["file"]).parent
            assert Path(network["file"]).is_absolute()
            parameters["network"] = {"file": Path(network["file"]).name}
        found = call(operation, arrays, parameters, "reference", folder)
        return list(found.values()) if as_list else found

    return function


def rectify(images, leak):
    with np.errstate(invalid="ignore"):
        return np.where(images < 0, leak and images * images.dtype.type(leak), images)


@pytest.fixture(scope="module")
def kit(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("kit") / "kit"
    write_kit(folder)
    return folder


@pytest.mark.parametrize("operation", OPERATIONS)
def test_our_own_operations_conform(operation):
    assert_conforms(ours(operation), operation)


@pytest.mark.parametrize(
    "operation", ["forward", "decode", "evaluate", "receptive_field", "occlude"]
)
def test_several_outputs_may_be_a_list(operation, kit):
    assert_conforms(ours(operation, as_list=True), operation, kit=kit)


def test_one_output_may_be_an_array_or_what_becomes_one():
    assert_conforms(rectify, "relu")
    assert_conforms(lambda **given: {"rectified": rectify(**given)}, "relu", kit=None)
    assert_conforms(lambda **given: rectify(**given).tolist(), "relu")


def test_the_message_is_the_report():
    def unpool(maps, stride, window, method):
        other = "nearest" if method == "bicubic" else method
        return fdref.unpool(maps, stride, window, other)

    with pytest.raises(AssertionError) as caught:
        assert_conforms(unpool, "unpool")
    told = str(caught.value)
    assert told.startswith(f"unpool, against the conformance kit of fdref {fdref.__version__}\n")
    assert "(unpool, section 4):" in told
    assert "diagnosis:" in told
    assert "correlate" not in told


def test_an_exception_fails_its_case_and_is_chained():
    def broken(images, leak):
        raise KeyError("a bug of theirs")

    with pytest.raises(AssertionError, match="raised KeyError: 'a bug of theirs'") as caught:
        assert_conforms(broken, "relu")
    assert isinstance(caught.value.__cause__, KeyError)


def test_what_must_be_refused_and_is_not():
    def careless(**given: Any):
        try:
            return fdref.pool(**given)
        except ArgumentError:
            return np.zeros((1, 1, 1, 1))

    with pytest.raises(AssertionError, match="must be refused"):
        assert_conforms(careless, "pool")


@pytest.mark.parametrize(
    ("result", "said"),
    [
        (None, "returned None; expected a list or dict of layer1"),
        ([np.zeros(1)] * 99, "returned 99 outputs; expected a list or dict of layer1"),
        ({"layer1": "text"}, "has dtype <U4; expected real numbers"),
        ({"layer0": 1.0}, "layer1 is missing"),
    ],
)
def test_results_that_are_none(result, said):
    with pytest.raises(AssertionError) as caught:
        assert_conforms(lambda **given: result, "forward")
    assert said in str(caught.value)


def test_inputs_are_theirs_to_change():
    def in_place(images, leak):
        images[images < 0] = leak and leak * images[images < 0]
        return images

    assert_conforms(in_place, "relu")
    assert_conforms(rectify, "relu")


def test_known_failures():
    def zero_is_one(images, leak):
        return np.where(images == 0, 1, rectify(images, leak))

    differing = [
        case.id
        for case in cases()
        if case.operation == "relu" and (case.inputs["images"] == 0).any()
    ]
    assert 0 < len(differing) < sum(case.operation == "relu" for case in cases())
    assert_conforms(zero_is_one, "relu", xfail=differing)
    with pytest.raises(AssertionError, match="unexpectedly passed"):
        assert_conforms(rectify, "relu", xfail=differing)
    with pytest.raises(AssertionError, match="expected failure, and nothing passes"):
        assert_conforms(lambda images, leak: images + 1, "relu", xfail=["*"])


def test_some_cases_alone():
    def leaks_only(images, leak):
        if not leak:
            raise NotImplementedError
        return rectify(images, leak)

    assert_conforms(leaks_only, "relu", only=["relu-leak*"])
    with pytest.raises(AssertionError, match=r"does not conform for 2\.3: of "):
        assert_conforms(leaks_only, "relu", only=["2.3"])


def test_several_functions_and_what_they_make_together():
    forward = {name: ours(name) for name in PROFILES["forward"]}
    assert_conforms(forward, profile="forward")
    assert_conforms({name: forward[name] for name in ("relu", "pool")})
    del forward["bnorm"]
    with pytest.raises(AssertionError) as caught:
        assert_conforms(forward, profile="forward")
    said = str(caught.value)
    asked = [case.operation for case in cases() if case.operation in PROFILES["forward"]]
    left_out = asked.count("bnorm")
    assert f"not attempted:\n  bnorm: all {left_out}" in said
    counts = f"{len(asked) - left_out} pass, {left_out} not attempted"
    assert f"does not conform for forward: of {len(asked)} cases, {counts}" in said
    assert "unpool" not in said


def test_bad_arguments(tmp_path):
    with pytest.raises(ArgumentError, match="operation is 'convolve'; expected one of correlate"):
        assert_conforms(rectify, "convolve")
    with pytest.raises(ArgumentError, match="'unpool-\\*', matches no case"):
        assert_conforms(rectify, "relu", xfail=["unpool-*"])
    for given, said in (
        ({"function": 3, "operation": "relu"}, "function is 3; expected a function"),
        ({"function": {"relu": 3}}, "function is 3; expected a function"),
        ({"function": {}}, "expected a function, or some by operation"),
        ({"function": {"Relu": rectify}}, "operation is 'Relu'"),
        ({"function": rectify}, "operation is None for a function"),
        ({"function": {"relu": rectify}, "operation": "relu"}, "is 'relu' for a dict"),
        ({"function": rectify, "operation": "relu", "profile": "full"}, "expected a dict"),
        ({"function": {"relu": rectify}, "profile": "half"}, "expected one of forward, decode"),
        ({"function": rectify, "operation": "relu", "only": "relu"}, "expected a sequence"),
        ({"function": rectify, "operation": "relu", "only": ["pool"]}, "'pool' matches no case"),
    ):
        with pytest.raises(ArgumentError, match=re.escape(said)):
            assert_conforms(**given)
    with pytest.raises(FileError):
        assert_conforms(rectify, "relu", kit=tmp_path / "none")


def test_the_import_is_light():
    heavy = {"numba", "h5py", "scipy", "matplotlib", "fdref.conformance.cases"}
    code = f"import sys, fdref.testing\nprint(*sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []

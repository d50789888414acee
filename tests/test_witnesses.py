"""The witnesses answer the conformance kit through its files, and `fdref check` judges them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from absence import absent

if TYPE_CHECKING:
    from collections.abc import Callable

    Witness = Callable[..., tuple[int, dict[str, Any]]]

ROOT = Path(__file__).parents[1]
WITNESSES = ROOT / "tests" / "witnesses"
FORWARD = {"correlate", "pool", "relu", "normalize", "bnorm", "forward"}
IN_OCTAVE = {"correlate", "pool", "substitute", "unpool", "decode", "respond"}

pytestmark = [
    pytest.mark.large,
    pytest.mark.slow,
]  # LeNet is decoded, and compared with what mistakes would give


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A kit in each format."""
    folder = tmp_path_factory.mktemp("kits")
    for form in ("npz", "h5"):
        run(sys.executable, "-m", "fdref", "kit", folder / form, "--format", form)
    return {form: folder / form for form in ("npz", "h5")}


@pytest.fixture(scope="module")
def answers(
    kits: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Path]:
    """The results of a Python witness, made once."""
    made: dict[str, Path] = {}

    def of(name: str, *packages: str) -> Path:
        missing = [package for package in packages if find_spec(package) is None]
        if missing:
            absent("peers", f"{', '.join(missing)} not installed")
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            run(sys.executable, WITNESSES / f"{name}.py", kits["npz"], folder)
            made[name] = folder
        return made[name]

    return of


def run(*command: object) -> None:
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def check(kit: Path, results: Path, xfail: str | None = None) -> tuple[int, dict[str, Any]]:
    """Return the exit status and the report."""
    report = results.with_suffix(".json")
    command = [sys.executable, "-m", "fdref", "check", kit, results, "--json", report]
    if xfail is not None:
        command += ["--xfail", WITNESSES / xfail]
    done = subprocess.run(
        [str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode in (0, 1), done.stderr
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(report.read_text())


def with_outcome(report: dict[str, Any], outcome: str) -> set[str]:
    return {case["id"] for case in report["cases"] if case["outcome"] == outcome}


def operations(report: dict[str, Any], outcome: str) -> set[str]:
    return {case["operation"] for case in report["cases"] if case["outcome"] == outcome}


def manifest(kit: Path) -> list[dict[str, Any]]:
    return json.loads((kit / "manifest.json").read_text())["cases"]


def test_numpy_and_scipy_pass_everything(kits, answers):
    status, report = check(kits["npz"], answers("numpy_scipy"))
    assert status == 0
    assert with_outcome(report, "pass") == {case["id"] for case in manifest(kits["npz"])}


class TestPyTorch:
    """Its bicubic is another on purpose."""

    @pytest.fixture
    def results(self, answers) -> Path:
        return answers("pytorch", "torch")

    def test_that_only_its_bicubic_differs_and_is_named(self, kits, results):
        status, report = check(kits["npz"], results)
        assert status == 1
        bicubic = {case["id"] for case in manifest(kits["npz"]) if enlarges_bicubically(case)}
        assert with_outcome(report, "fail") == bicubic
        assert not with_outcome(report, "not attempted")
        first = report["diagnosis"][0]
        assert first["mistake"] == "pytorch-bicubic"
        assert set(first["explains"]) == bicubic
        assert not first["leaves"]

    def test_that_its_list_excuses_exactly_that(self, kits, results):
        status, report = check(kits["npz"], results, "pytorch.xfail")
        assert status == 0
        assert not with_outcome(report, "not attempted")
        excused = [case for case in report["cases"] if case["excuse"] is not None]
        assert {case["id"] for case in excused} == with_outcome(report, "expected failure")
        assert all("a = -3/4" in case["excuse"] for case in excused)


def enlarges_bicubically(case: dict[str, Any]) -> bool:
    """Whether a case enlarges by bicubic, and a map of more than one pixel."""
    parameters = case["parameters"]
    if case["refused"]:
        return False
    if case["operation"] == "unpool":
        [maps] = case["inputs"]
        strides, sizes = parameters["stride"], maps["shape"][2:]
        bent = [s > 1 and n > 1 for s, n in zip(strides, sizes, strict=True)]
        return parameters["method"] == "bicubic" and any(bent)
    if parameters.get("unpool") != "bicubic":
        return False
    network = parameters["network"]
    if isinstance(network, dict):
        return parameters["layer"] > 2  # LeNet's first pool
    below = network[: parameters["layer"] - 1]
    return any(layer["type"] == "pool" and max(layer["stride"]) > 1 for layer in below)


class TestOnnxRuntime:
    @pytest.fixture
    def results(self, answers) -> Path:
        return answers("onnx_runtime", "onnx", "onnxruntime")

    def test_that_the_forward_pass_conforms(self, kits, results):
        status, report = check(kits["npz"], results, "onnx_runtime.xfail")
        assert status == 0
        assert operations(report, "pass") == FORWARD
        assert "forward-lenet" in with_outcome(report, "pass")

    def test_what_it_does_otherwise(self, kits, results):
        status, report = check(kits["npz"], results)
        assert status == 1
        assert with_outcome(report, "fail") == {"pool-max-nan", "refuse-pool-window"}

    def test_that_no_more_than_float64_and_even_windows_are_left_out(self, kits, results):
        _, report = check(kits["npz"], results)
        left_out = with_outcome(report, "not attempted")
        for case in manifest(kits["npz"]):
            if case["id"] in left_out and case["operation"] in FORWARD:
                double = any(given["dtype"] == "float64" for given in case["inputs"])
                layers = [case["parameters"], *case["parameters"].get("network", [])]
                assert double or any(layer.get("size", 1) % 2 == 0 for layer in layers)


def test_octave_passes_all_that_it_attempts(kits, tmp_path):
    octave = shutil.which("octave-cli")
    if octave is None:
        absent("octave", "GNU Octave is not installed (Debian: apt-get install octave)")
    results = tmp_path / "results"
    call = f"witness('{kits['h5']}', '{results}')"
    run(octave, "--no-gui", "--norc", "--path", WITNESSES, "--eval", call)
    status, report = check(kits["h5"], results, "witness.xfail")
    assert status == 0
    assert not with_outcome(report, "expected failure")
    assert operations(report, "pass") == IN_OCTAVE
    attempted = {case["id"] for case in manifest(kits["h5"]) if case["operation"] in IN_OCTAVE}
    assert with_outcome(report, "pass") == attempted


def test_that_a_wrong_number_is_found(kits, answers, tmp_path):
    """So that passing means something."""
    results = shutil.copytree(answers("numpy_scipy"), tmp_path / "results")
    path = results / "substitute-basic.npz"
    with np.load(path) as file:
        pictures = file["pictures"]
    pictures[1, 0, 2, 1] += 1
    np.savez(path, pictures=pictures)
    (results / "pool-max.npz").unlink()
    status, report = check(kits["npz"], results)
    assert status == 1
    assert with_outcome(report, "fail") == {"substitute-basic"}
    assert with_outcome(report, "not attempted") == {"pool-max"}
    [case] = [case for case in report["cases"] if case["id"] == "substitute-basic"]
    assert case["differences"][0]["numbers"]["index"] == [1, 0, 2, 1]

"""The witnesses answer the conformance kit through its files, and `fdref check` judges them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from absence import absent

if TYPE_CHECKING:
    from collections.abc import Callable

    Witness = Callable[..., tuple[int, dict[str, Any]]]

ROOT = Path(__file__).parents[1]
WITNESSES = ROOT / "tests" / "witnesses"
JAVASCRIPT = WITNESSES / "javascript" / "main.mjs"
CHAIN = {"conv", "pool", "relu", "normalize", "bnorm", "softmax"}
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


@cache
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


def told(file: str) -> int:
    """How many cases pass, as README.md has it for a file; `cases`: of how many."""
    page = (WITNESSES / "README.md").read_text(encoding="utf-8")
    if file == "cases":
        found = re.search(r"\| of (\d+) cases pass \|", page)
    else:
        found = re.search(rf"^\| `{re.escape(file)}`.*?\| (\d+) \|", page, re.MULTILINE)
    assert found is not None
    return int(found[1])


def test_that_the_page_counts_the_cases(kits):
    assert len(manifest(kits["npz"])) == told("cases")


def test_numpy_and_scipy_pass_everything(kits, answers):
    status, report = check(kits["npz"], answers("numpy_scipy"))
    assert status == 0
    assert len(with_outcome(report, "pass")) == told("numpy_scipy.py")
    assert with_outcome(report, "pass") == {case["id"] for case in manifest(kits["npz"])}


class TestPyTorch:
    """Its bicubic is another on purpose."""

    @pytest.fixture
    def results(self, answers) -> Path:
        return answers("pytorch", "torch")

    def test_that_only_its_bicubic_differs_and_is_named(self, kits, results):
        status, report = check(kits["npz"], results)
        assert status == 1
        cases = manifest(kits["npz"])
        bicubic = {case["id"] for case in cases if enlarges_bicubically(case)}
        spread = {"unpool-bilinear-nan", "unpool-bicubic-nan"}
        assert with_outcome(report, "fail") == bicubic | spread
        beyond = {case["id"] for case in cases if beyond_chains(case)}
        assert with_outcome(report, "not attempted") == beyond
        first = report["diagnosis"][0]
        assert first["mistake"] == "pytorch-bicubic"
        assert len(with_outcome(report, "pass")) == told("pytorch.py")
        assert set(first["explains"]) == bicubic
        assert set(first["leaves"]) <= spread

    def test_that_its_list_excuses_exactly_that(self, kits, results):
        status, report = check(kits["npz"], results, "pytorch.xfail")
        assert status == 0
        _, bare = check(kits["npz"], results)
        excuses = {case["id"]: case["excuse"] for case in report["cases"] if case["excuse"]}
        assert excuses.keys() == with_outcome(bare, "fail") | with_outcome(bare, "not attempted")
        bicubic = {case["id"] for case in manifest(kits["npz"]) if enlarges_bicubically(case)}
        assert all("a = -3/4" in excuses[name] for name in bicubic)


def enlarges_bicubically(case: dict[str, Any]) -> bool:
    """Whether a case enlarges by bicubic, numbers all of them, and a map of more than one pixel."""
    parameters = case["parameters"]
    if case["refused"] or case["id"].endswith("-nan") or beyond_chains(case):
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


def beyond_chains(case: dict[str, Any]) -> bool:
    """Whether a case asks for what is decoded in section 9.2 alone."""
    parameters = case["parameters"]
    if case["operation"] not in {"decode", "evaluate"}:
        return False
    network = parameters["network"]
    is_chain = isinstance(network, dict) or all(
        layer["type"] in CHAIN and "inputs" not in layer for layer in network
    )
    return not is_chain or "position" in parameters or "input_size" in parameters


class TestJax:
    """Of its resize the cubic is another at the border; what else it does otherwise are four."""

    OTHERWISE: ClassVar = {
        "unpool-bilinear-nan",
        "unpool-bicubic-nan",
        "substitute-nan-filter",
        "unpool-window-border",
    }

    @pytest.fixture
    def results(self, answers) -> Path:
        return answers("jax_lax", "jax")

    def test_that_it_fails_its_cubic_resize_and_what_is_named(self, kits, results):
        status, report = check(kits["npz"], results)
        assert status == 1
        cases = manifest(kits["npz"])
        bicubic = {case["id"] for case in cases if enlarges_bicubically(case)}
        assert with_outcome(report, "fail") == bicubic | self.OTHERWISE
        assert len(with_outcome(report, "pass")) == told("jax_lax.py")
        beyond = {case["id"] for case in cases if beyond_chains(case)}
        assert with_outcome(report, "not attempted") == beyond

    def test_that_its_list_excuses_exactly_that(self, kits, results):
        status, report = check(kits["npz"], results, "jax_lax.xfail")
        assert status == 0
        _, bare = check(kits["npz"], results)
        excused = {case["id"] for case in report["cases"] if case["excuse"] is not None}
        assert excused == with_outcome(bare, "fail") | with_outcome(bare, "not attempted")

    @pytest.mark.parametrize("name", ["imresize", "line", "even"])
    def test_that_its_cubic_leaves_out_what_lies_beyond_the_border(self, kits, results, name):
        """The name that its list gives to the difference: the weights inside add up to 1."""
        [case] = [c for c in manifest(kits["npz"]) if c["id"] == f"unpool-bicubic-{name}"]
        with np.load(kits["npz"] / "cases" / f"{case['id']}.npz") as file:
            maps = file["maps"].astype(float)
        with np.load(results / f"{case['id']}.npz") as file:
            pictures = file["pictures"]
        assert case["parameters"]["window"] == case["parameters"]["stride"]  # nothing is cropped
        rows, columns = map(inside_alone, maps.shape[2:], case["parameters"]["stride"])
        np.testing.assert_allclose(pictures, rows @ maps @ columns.T, rtol=1e-5, atol=1e-5)

    def test_that_a_constant_divides_as_its_reciprocal_multiplies(self, kits, results):
        pictures, expected = (
            np.load(folder / "unpool-window-border.npz")["pictures"]
            for folder in (results, kits["npz"] / "expected")
        )
        sums, area = expected * np.float32(28), np.float32(28)
        assert np.array_equal(sums / area, expected)
        assert np.array_equal(sums * (1 / area), pictures)
        assert not np.array_equal(pictures, expected)


def inside_alone(size: int, stride: int) -> np.ndarray:
    """Weights of Keys' kernel, a = -1/2, for each output: those inside, divided by their sum."""
    weights = np.zeros((size * stride, size))
    for o in range(size * stride):
        for i in range(size):
            t = abs((o + 0.5) / stride - 0.5 - i)
            if t <= 1:
                weights[o, i] = 1.5 * t**3 - 2.5 * t**2 + 1
            elif t <= 2:
                weights[o, i] = -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    return weights / weights.sum(axis=1, keepdims=True)


class TestJavaScript:
    """From the kit's pages alone, by Node and nothing else."""

    @pytest.fixture
    def node(self) -> str:
        node = shutil.which("node")
        if node is None:
            absent("node", "Node is not installed (Debian: apt-get install nodejs)")
        return node

    def test_that_it_passes_everything(self, kits, node, tmp_path):
        results = tmp_path / "results"
        run(node, JAVASCRIPT, kits["npz"], results)
        status, report = check(kits["npz"], results)
        assert status == 0
        assert len(with_outcome(report, "pass")) == told("javascript/")
        assert with_outcome(report, "pass") == {case["id"] for case in manifest(kits["npz"])}

    def test_that_it_reads_compressed_files(self, kits, node, tmp_path):
        """NumPy writes them with savez_compressed."""
        (tmp_path / "cases").mkdir()
        cases = [case for case in manifest(kits["npz"]) if case["id"] == "pool-max"]
        (tmp_path / "manifest.json").write_text(json.dumps({"cases": cases}))
        with np.load(kits["npz"] / "cases" / "pool-max.npz") as file:
            np.savez_compressed(tmp_path / "cases" / "pool-max.npz", **file)
        run(node, JAVASCRIPT, tmp_path, tmp_path / "results")
        with (
            np.load(tmp_path / "results" / "pool-max.npz") as got,
            np.load(kits["npz"] / "expected" / "pool-max.npz") as expected,
        ):
            assert np.array_equal(got["pooled"], expected["pooled"])
            assert got["pooled"].dtype == np.float32


class TestOnnxRuntime:
    @pytest.fixture
    def results(self, answers) -> Path:
        return answers("onnx_runtime", "onnx", "onnxruntime")

    def test_that_the_forward_pass_conforms(self, kits, results):
        status, report = check(kits["npz"], results, "onnx_runtime.xfail")
        assert status == 0
        assert operations(report, "pass") == FORWARD
        assert len(with_outcome(report, "pass")) == told("onnx_runtime.py")
        assert "forward-lenet" in with_outcome(report, "pass")

    def test_what_it_does_otherwise(self, kits, results):
        status, report = check(kits["npz"], results)
        assert status == 1
        assert with_outcome(report, "fail") == {
            "pool-max-nan",
            "pool-max-infinity",
            "forward-infinity",
            "refuse-pool-window",
            "refuse-pool-width",
        }

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
    attempted = {
        case["id"]
        for case in manifest(kits["h5"])
        if case["operation"] in IN_OCTAVE and not beyond_chains(case)
    }
    assert with_outcome(report, "pass") == attempted
    assert len(attempted) == told("witness.m")


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

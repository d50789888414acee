"""The script in a kit that judges with NumPy alone: what it needs, and that it says the same."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import packages_distributions

import numpy as np
import pytest
from judging import run

from fdref.conformance.alone import files, script
from fdref.conformance.cases import cases
from fdref.conformance.mistakes import MISTAKES

WITHOUT = """
import runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
sys.path[:] = [folder for folder in sys.path if folder]
sys.argv = {arguments}
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def alone(kit, *arguments, absent=None):
    """Run the script where of all packages NumPy alone can be imported."""
    if absent is None:
        absent = {*packages_distributions()} - {"numpy", "fdref"}
    words = [str(kit / "check.py"), *map(str, arguments)]
    return subprocess.run(
        [sys.executable, "-c", WITHOUT.format(absent=absent, arguments=words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=kit,
    )


def test_its_report_is_that_of_fdref(kit, results, capsys):
    (mistake,) = (one for one in MISTAKES if one.name == "filters-flipped")
    for case in cases():
        if case.operation in ("correlate", "forward"):
            wrong = mistake.compute(case)
            if wrong is not None:
                np.savez(results / f"{case.id}.npz", **wrong)
    asked = "--only", "correlate", "--only", "forward", "--json", "-"
    assert run("check", kit, results, *asked) == 1
    expected = json.loads(capsys.readouterr().out)
    done = alone(kit, results, *asked)
    assert (done.returncode, done.stderr) == (1, "")
    assert json.loads(done.stdout) == expected
    assert [one["mistake"] for one in expected["diagnosis"]] == ["filters-flipped"]
    named = [case["id"] for case in expected["cases"] if case["mistakes"]]
    assert "forward-lenet" in named  # whose network is a file


def test_all_that_passes_passes(kit):
    done = alone(kit, kit / "expected")
    assert (done.returncode, done.stderr) == (0, "")
    assert "conforms" in done.stdout


def test_with_jinja_it_writes_the_page(kit, results, tmp_path):
    page = tmp_path / "page.html"
    done = alone(kit, results, "--html", page, "--badge", tmp_path / "badge.svg", absent={"numba"})
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{len(cases())} of {len(cases())}" in page.read_text()


def test_its_modules_are_those_of_the_package(kit, tmp_path):
    done = alone(kit, "--unpack", tmp_path / "modules")
    assert (done.returncode, done.stderr) == (0, "")
    for name, path in files().items():
        assert (tmp_path / "modules" / name).read_bytes() == path.read_bytes()
    assert "fdref/weights/__init__.py" in files()
    assert "fdref/kernels/__init__.py" in files()


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["nowhere"], 2, "nowhere cannot be read"),
        (["--unheard-of"], 2, "unrecognized arguments"),
        ([], 2, "expected either RESULTS or --engine"),
        (["expected", "--html", "page.html"], 2, "pages take Pillow and Jinja2, which cannot"),
        (["--help"], 0, "usage: check.py"),
    ],
)
def test_what_it_refuses(kit, arguments, status, said):
    done = alone(kit, *arguments)
    assert done.returncode == status
    assert said in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_without_numpy_it_says_so(kit):
    done = alone(kit, "results", absent={"numpy"})
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "pip install numpy" in done.stderr


def test_it_is_text_that_can_be_read(kit):
    text = (kit / "check.py").read_text("ascii")
    assert text.encode() == script()
    compile(text, "check.py", "exec")
    assert max(map(len, text.splitlines())) <= 101

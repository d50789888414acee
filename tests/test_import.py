"""Light imports, running from the checkout, and caches of compiled code that cannot be written."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import fdref

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[1]
HEAVY = {"numba", "llvmlite", "matplotlib", "h5py", "tqdm", "jinja2"}


def python(
    code: str, cwd: Path = ROOT, arguments: Sequence[str] = (), **environment: str | None
) -> subprocess.CompletedProcess[str]:
    """Run a program that finds the package in `cwd`; None takes a variable away."""
    kept = {**os.environ, **environment}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env={name: value for name, value in kept.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "use",
    [
        "fdref.Network([fdref.ReLU(), fdref.Conv([[[[1.0]]]])])",
        "main(['--help'])",
        "main(['decode', '--help'])",
        "main(['--version'])",
        "main(['decode', '--unpool', 'lanczos'])",
    ],
)
def test_nothing_heavy_is_loaded_before_it_is_used(use):
    report = f"print('LOADED', *sorted({HEAVY} & set(sys.modules)))"
    done = python(f"import sys, fdref\nfrom fdref.commands import main\n{use}\n{report}")
    assert done.stdout.splitlines()[-1] == "LOADED"
    assert done.stdout.count("LOADED") == 1


def test_what_is_loaded_is_what_is_used():
    """Reading a net takes h5py; decoding it with the reference engine takes no Numba."""
    report = f"print(*sorted({HEAVY} & set(sys.modules)))"
    use = "fdref.decode(fdref.load(), 1, engine='reference')"
    assert python(f"import sys, fdref\n{use}\n{report}").stdout.split() == ["h5py"]


def test_python_m_works_from_the_checkout(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "fdref", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert all(command in done.stdout for command in ("info", "decode", "train"))
    found = python("import fdref.kernels, fdref.weights\nprint(fdref.kernels.__file__)").stdout
    assert Path(found.strip()) == ROOT / "kernels" / "__init__.py"


def test_a_checkout_adds_two_packages_and_no_more():
    """Whatever else lies beside fdref's folder is no part of it."""
    beside = {path.name for path in ROOT.iterdir() if path.is_dir() and path.name.isidentifier()}
    assert {"fdref", "kernels", "tests", "weights"} <= beside
    code = "import importlib, sys\nfor name in sys.argv[1:]:\n    importlib.import_module(name)"
    assert python(code, arguments=["fdref.kernels.jit", "fdref.weights.files"]).returncode == 0
    for name in beside - {"kernels", "weights"}:
        told = python(code, arguments=[f"fdref.{name}"]).stderr.splitlines()[-1]
        assert told == f"ModuleNotFoundError: No module named 'fdref.{name}'"


def test_a_zip_file_is_refused_before_anything_is_read(tmp_path):
    """Laid out as in a wheel, so that every module would be found."""
    archive = tmp_path / "fdref.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for folder in (ROOT / "fdref", ROOT / "kernels", ROOT / "weights"):
            inside = Path("fdref") / ("" if folder.name == "fdref" else folder.name)
            for path in folder.rglob("*.*"):
                file.write(path, inside / path.relative_to(folder))
    told = python("import fdref", tmp_path, PYTHONPATH=str(archive)).stderr.splitlines()[-1]
    assert told == (
        f"ImportError: fdref does not run from inside {archive}: the networks and images that it "
        "ships must be files; install it with pip, or unpack it"
    )


def test_every_public_name_is_there():
    assert sorted(fdref.__all__) == sorted(set(fdref.__all__))
    assert all(hasattr(fdref, name) for name in fdref.__all__)
    assert not hasattr(fdref, "nothing_of_that_name")


POOL = """
import numpy as np, fdref
x = np.random.default_rng(0).standard_normal((2, 3, 6, 7))
one, other = (fdref.pool(x, 3, 2, 1, engine=engine) for engine in ("compiled", "reference"))
print("right" if np.array_equal(one, other) else "wrong")
"""


def copy_of_the_package(folder: Path) -> Path:
    for name in ("fdref", "kernels", "weights"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    return folder


@pytest.mark.slow
def test_without_any_place_for_a_cache(tmp_path):
    """Files where folders should be: even root cannot write there."""
    copy_of_the_package(tmp_path)
    (tmp_path / "kernels" / "__pycache__").write_text("in the way")
    (tmp_path / "file").write_text("in the way")
    nowhere = str(tmp_path / "file" / "below")
    code = (
        f"{POOL}\nimport numba\nfrom fdref.kernels import max_pool\n"
        "try:\n    numba.njit(max_pool.__wrapped__, cache=True)\n"
        "except RuntimeError as error:\n    print(error)\n"
    )
    done = python(
        code,
        tmp_path,
        HOME=nowhere,
        XDG_CACHE_HOME=nowhere,
        NUMBA_CACHE_DIR=None,
        NUMBA_DISABLE_JIT=None,
        PYTHONDONTWRITEBYTECODE="1",
    )
    assert done.stderr == ""
    right, reason = done.stdout.splitlines()
    assert right == "right"
    assert "no locator available" in reason  # or this test has tried nothing


@pytest.mark.slow
@pytest.mark.parametrize("place", ["a file", "below a file", "/dev/null"])
def test_a_cache_folder_that_is_none(place, tmp_path):
    (tmp_path / "a file").write_text("in the way")
    folder = {"below a file": tmp_path / "a file" / "below"}.get(place, tmp_path / place)
    done = python(POOL, NUMBA_CACHE_DIR=str(folder), NUMBA_DISABLE_JIT=None)
    assert (done.stdout, done.stderr) == ("right\n", "")


@pytest.mark.slow
def test_without_a_home(tmp_path):
    environment = {"HOME": None, "XDG_CACHE_HOME": None, "NUMBA_DISABLE_JIT": None}
    done = python(POOL, NUMBA_CACHE_DIR=str(tmp_path), **environment)
    assert (done.stdout, done.stderr) == ("right\n", "")


@pytest.mark.slow
def test_a_disk_that_is_full_when_the_cache_is_saved(tmp_path):
    """A limit on the size of files stands for the disk."""
    full = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
    done = python(full + POOL, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT=None)
    assert (done.stdout, done.stderr) == ("right\n", "")
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size]


@pytest.fixture(scope="module")
def cached(tmp_path_factory):
    """Files that Numba has kept, of one loop: nobody changes them."""
    folder = tmp_path_factory.mktemp("cache")
    assert python(POOL, NUMBA_CACHE_DIR=str(folder), NUMBA_DISABLE_JIT=None).stdout == "right\n"
    return folder


DAMAGE = {
    "cut off": lambda content: content[:100],
    "empty": lambda content: b"",
    "another pickle": lambda content: pickle.dumps({"another": "pickle"}),
    "random": lambda content: np.random.default_rng(0).bytes(len(content)),
    "random behind the version": lambda content: (
        content[:40] + np.random.default_rng(1).bytes(len(content) - 40)
    ),
    "one bit": lambda content: (
        content[: len(content) // 2]
        + bytes([content[len(content) // 2] ^ 1])
        + content[len(content) // 2 + 1 :]
    ),
}

RECOMPILED = """
from fdref.engines import first_use
first_use.told_of_compiling.append(lambda: print("anew"))
"""


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_damaged_cache_is_written_anew(suffix, damage, cached, tmp_path):
    """The index, or the machine code: what is read of it would be wrong numbers or a crash."""
    shutil.copytree(cached, tmp_path, dirs_exist_ok=True)
    found = list(tmp_path.rglob(f"*.{suffix}"))
    assert found
    for path in found:
        path.write_bytes(DAMAGE[damage](path.read_bytes()))
    environment = {"NUMBA_CACHE_DIR": str(tmp_path), "NUMBA_DISABLE_JIT": None}
    done = python(RECOMPILED + POOL, **environment)
    assert (done.stdout.splitlines()[-1], done.stderr) == ("right", "")
    assert "anew" in done.stdout
    done = python(RECOMPILED + POOL, **environment)
    assert (done.stdout, done.stderr) == ("right\n", "")  # healed


@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
def test_a_cache_that_cannot_be_read_is_done_without(suffix, cached, tmp_path):
    """A folder where a file should be: not even root can read it, nor write another there."""
    shutil.copytree(cached, tmp_path, dirs_exist_ok=True)
    for path in list(tmp_path.rglob(f"*.{suffix}")):
        path.unlink()
        (path / "in the way").mkdir(parents=True)
    done = python(POOL, NUMBA_CACHE_DIR=str(tmp_path), NUMBA_DISABLE_JIT=None)
    assert (done.stdout, done.stderr) == ("right\n", "")


@pytest.mark.parametrize("replaced", [False, True])
def test_a_cache_folder_that_vanishes_meanwhile(replaced, tmp_path):
    folder = tmp_path / "cache"
    gone = "import shutil, fdref.kernels\n" + f"shutil.rmtree({str(folder)!r})\n"
    if replaced:
        gone += f"open({str(folder)!r}, 'w').close()\n"
    done = python(gone + POOL, NUMBA_CACHE_DIR=str(folder), NUMBA_DISABLE_JIT=None)
    assert (done.stdout, done.stderr) == ("right\n", "")
    assert folder.is_file() == replaced


def add_one(numbers: np.ndarray) -> None:
    for i in range(len(numbers)):
        numbers[i] += 1


def test_a_loop_whose_cache_cannot_be_saved_runs_once(monkeypatch):
    """Numba saves after compiling and before running: what `compiled` relies on."""
    from numba.core import config
    from numba.core.caching import FunctionCache

    from fdref.kernels.jit import compiled

    refused = []

    def refuse(self, *overload):
        refused.append(overload)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(FunctionCache, "save_overload", refuse)
    monkeypatch.setattr(FunctionCache, "load_overload", lambda *arguments: None)
    loop = compiled(add_one)
    numbers = np.zeros(3)
    loop(numbers)
    assert numbers.tolist() == [1, 1, 1]
    assert len(refused) == (0 if config.DISABLE_JIT else 1)
    loop(numbers)
    assert numbers.tolist() == [2, 2, 2]
    assert loop.__wrapped__ is add_one


@pytest.mark.parametrize("package", ["h5py", "numba", "threadpoolctl"])
@pytest.mark.parametrize(
    "fault",
    [
        "import what_is_not_there",
        "raise OSError('libx.so: cannot open shared object file')",
        "raise RuntimeError('compiled for another NumPy')",
        "this is no Python",
    ],
)
def test_a_broken_package_is_named_whatever_it_raises(package, fault, tmp_path):
    (tmp_path / f"{package}.py").write_text(fault)
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    command = [sys.executable, "-m", "fdref", "decode", "-o", str(tmp_path / "out")]
    done = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert f"{package}, which cannot be imported (" in done.stderr.replace("Numba", "numba")
    assert done.stderr.endswith(f": pip install --upgrade {package}\n")
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "out").exists()

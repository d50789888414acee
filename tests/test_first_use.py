"""Importing and compiling at first use: interrupted, or forked meanwhile."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from command_line import ROOT, python

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no signals to a process, no fork")

AT_IMPORT = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
"""

MODULES = ["pathlib", "numpy", "fdref.commands", "argparse", "h5py", "numba", "llvmlite.binding"]


@pytest.fixture
def cold(tmp_path):
    """An environment where nothing has been compiled."""
    kept = {name: value for name, value in os.environ.items() if name != "NUMBA_DISABLE_JIT"}
    return {**kept, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}


@pytest.mark.parametrize("module", MODULES)
def test_ctrl_c_while_modules_are_imported(module, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(AT_IMPORT)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "INTERRUPT_AT": module}
    out = tmp_path / "out"
    done = python("-m", "fdref", "decode", "--layers", "1", "-o", out, env=environment)
    if module == "pathlib" and done.returncode == 0:
        pytest.skip("this Python imports pathlib before it runs anything")
    assert (done.returncode, done.stderr) == (130, b"fdref: interrupted\n")
    assert not out.exists()


WHILE_COMPILING = """
import os, signal, sys
from fdref.engines import first_use
from fdref.commands import program
def interrupt():
    first_use.told_of_compiling.remove(interrupt)
    os.kill(os.getpid(), signal.{name})
first_use.told_of_compiling.append(interrupt)
program()
"""


@pytest.mark.parametrize(
    ("command", "name", "status"),
    [("decode", "SIGINT", 130), ("decode", "SIGTERM", 143), ("reproduce", "SIGINT", 130)],
)
def test_a_signal_while_loops_are_compiled_is_not_lost(command, name, status, cold, tmp_path):
    code = WHILE_COMPILING.format(name=name)
    done = python("-c", code, command, "-o", tmp_path / "out", env=cold)
    said = b"fdref: interrupted" if name == "SIGINT" else b""
    assert done.returncode == status
    assert done.stderr.startswith(said)
    assert done.stderr.count(b"\n") == len(said.splitlines())
    assert not (tmp_path / "out").exists()
    assert not list((tmp_path / "cache").rglob("*.nbc"))  # nobody has waited for it


@pytest.mark.slow
def test_ctrl_c_in_a_program_that_uses_fdref_is_raised_there(cold):
    code = WHILE_COMPILING.format(name="SIGINT").replace("program()", "") + (
        "import fdref, numpy as np\n"
        "maps, filters = np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2))\n"
        "try:\n    fdref.substitute(maps, filters)\n"
        "except KeyboardInterrupt:\n    print('raised')\n"
        "print(fdref.substitute(maps, filters).sum())\n"
    )
    done = python("-c", code, env=cold)
    assert (done.stdout, done.stderr) == (b"raised\n36.0\n", b"")


@pytest.mark.parametrize(("name", "status"), [("SIGINT", 130), ("SIGTERM", 143)])
def test_a_signal_that_comes_within_a_finalizer_is_raised_again(name, status):
    code = (
        "import os, signal, time\n"
        "from fdref.commands import info, program\n"
        "class Finalized:\n"
        f"    def __del__(self): os.kill(os.getpid(), signal.{name})\n"
        "def run(options):\n"
        "    Finalized()\n"
        "    time.sleep(60)\n"
        "info.run = run\n"
        "program()\n"
    )
    done = python("-c", code, "info")
    said = b"fdref: interrupted\n" if name == "SIGINT" else b""
    assert (done.returncode, done.stderr) == (status, said)


FORKED = """
import os, signal, sys, threading, time, warnings
import numpy as np, fdref
from fdref.engines import first_use
warnings.simplefilter("ignore", DeprecationWarning)
begun = threading.Event()
class AtImport:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            begun.set()
            time.sleep(0.2)
sys.meta_path.insert(0, AtImport())
first_use.told_of_compiling.append(begun.set)
images = np.random.default_rng(0).integers(-3, 4, (2, 3, 6, 7)).astype(float)
filters = np.ones((3, 1, 2, 2))
expected = fdref.substitute(images, filters, engine="reference")
found = []
def compute():
    found.append(np.array_equal(fdref.substitute(images, filters), expected))
user = threading.Thread(target=compute)
user.start()
begun.wait()
child = os.fork()
signal.alarm(100)
if child == 0:
    compute()
    os._exit(found.count(False))
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
user.join()
print(found)
"""


@pytest.mark.parametrize("module", ["numba", "threadpoolctl"])
def test_a_child_forked_while_another_thread_imports_computes(module):
    done = python("-c", FORKED, module)
    assert (done.stdout, done.stderr) == (b"0\n[True]\n", b"")


@pytest.mark.slow
def test_a_child_forked_while_another_thread_compiles_computes(cold):
    done = python("-c", FORKED, "", env=cold)
    assert (done.stdout, done.stderr) == (b"0\n[True]\n", b"")


@pytest.mark.slow
def test_a_terminal_hears_of_compiling_once_and_never_again(cold, tmp_path):
    for number, said in enumerate([b"compiling for this machine", b""]):
        ours, theirs = os.openpty()
        out = tmp_path / f"out{number}"
        command = [sys.executable, "-m", "fdref", "decode", "--layers", "3", "-o", out]
        subprocess.run(command, cwd=ROOT, env=cold, stderr=theirs, check=True)
        os.write(theirs, b"done")
        os.close(theirs)
        heard = b""
        while not heard.endswith(b"done"):
            heard += os.read(ours, 10_000)
        os.close(ours)
        assert (said in heard, heard.count(b"fdref:")) == (True, bool(said))

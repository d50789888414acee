"""How much memory a process of its own takes for something."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
MEASURE = """
import resource, sys
import fdref, h5py
{prepare}
def attempt(path):
{attempt}
def peak():
    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit
before = peak()
for path in sys.argv[1:]:
    try:
        attempt(path)
    except fdref.FdrefError as error:
        print(f"{{type(error).__name__}}: {{error}}")
    except MemoryError as error:
        print(f"MemoryError: {{error}}")
    else:
        print("done")
print(peak() - before)
"""


def taken(attempt: str, *paths: Path, prepare: str = "") -> tuple[int, list[str]]:
    """Return how many MiB a process grows by, and what became of each path."""
    script = MEASURE.format(attempt=f"    {attempt}", prepare=prepare)
    done = subprocess.run(
        [sys.executable, "-c", script, *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    *outcomes, growth = done.stdout.splitlines()
    assert len(outcomes) == len(paths)
    return int(growth), outcomes

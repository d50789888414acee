"""What every measurement shares: two threads, and what is written down about the machine.

To be imported before NumPy, whose BLAS reads the number of threads once.
"""

from __future__ import annotations

import os
import platform
from datetime import date
from importlib import metadata
from typing import Any

THREADS = 2  # the peers set the same for themselves
NAMES = {
    "numpy": "NumPy",
    "numba": "Numba",
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "scipy": "SciPy",
}

for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = str(THREADS)


def versions() -> dict[str, str]:
    """Return what is installed of all that computes here."""
    installed = {found.name for found in metadata.distributions()}
    return {name: metadata.version(name) for name in NAMES if name in installed}


def conditions(cpu: str, python: str, found: dict[str, str], day: str) -> str:
    """Say what figures depend on."""
    libraries = ", ".join(f"{NAMES[name]} {version}" for name, version in found.items())
    return f"{cpu}, {THREADS} threads on every side; Python {python}, {libraries}; {day}."


def these_conditions() -> str:
    """Say what is measured now and here."""
    from cpuinfo import get_cpu_info

    info: dict[str, Any] = get_cpu_info()
    cpu = info.get("brand_raw", platform.machine())
    return conditions(cpu, platform.python_version(), versions(), date.today().isoformat())  # noqa: DTZ011

"""What every measurement shares: the number of threads, and what is written down about the machine.

To be imported before NumPy, whose BLAS reads the number of threads once.
"""

from __future__ import annotations

import os
import platform
import sys
from datetime import date
from importlib import metadata
from typing import Any

NAMES = {
    "numpy": "NumPy",
    "numba": "Numba",
    "torch": "PyTorch",
    "onnxruntime": "ONNX Runtime",
    "scipy": "SciPy",
}

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")


def chosen_threads() -> int:
    """Read how many threads both sides take, 2 by default, and tell all libraries."""
    given = {name: os.environ[name] for name in VARIABLES if name in os.environ}
    wanted = set(given.values()) or {"2"}
    if len(wanted) > 1 or not min(wanted).isdecimal() or int(min(wanted)) < 1:
        told = ", ".join(f"{name}={value}" for name, value in given.items())
        sys.exit(f"{told}: both sides take as many threads; give all the same number, or none")
    os.environ |= dict.fromkeys(VARIABLES, min(wanted))
    return int(min(wanted))


THREADS = chosen_threads()


def versions() -> dict[str, str]:
    """Return what is installed of all that computes here."""
    installed = {found.name for found in metadata.distributions()}
    return {name: metadata.version(name) for name in NAMES if name in installed}


def blas() -> list[str]:
    """Return the libraries for linear algebra that are loaded, and for which processor."""
    from threadpoolctl import threadpool_info

    return sorted(
        {
            f"{library['internal_api']} {library['version']} for {library.get('architecture', '?')}"
            for library in threadpool_info()
            if library["user_api"] == "blas"
        }
    )


def conditions(
    cpu: str, threads: int, python: str, found: dict[str, str], linear: list[str], day: str
) -> str:
    """Say what figures depend on."""
    libraries = [f"{NAMES[name]} {version}" for name, version in found.items()] + linear
    many = f"{threads} thread{'s' * (threads > 1)} on every side"
    return f"{cpu}, {many}; Python {python}, {', '.join(libraries)}; {day}."


def these_conditions() -> str:
    """Say what is measured now and here."""
    from cpuinfo import get_cpu_info

    info: dict[str, Any] = get_cpu_info()
    cpu = info.get("brand_raw", platform.machine())
    today = date.today().isoformat()  # noqa: DTZ011
    return conditions(cpu, THREADS, platform.python_version(), versions(), blas(), today)

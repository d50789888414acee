"""What both sides of a benchmark share: two threads, and what is written down about the machine."""

from __future__ import annotations

import os
from importlib import metadata
from typing import Any

THREADS = 2  # the peers set the same for themselves
DISTRIBUTIONS = ("numpy", "numba", "torch", "onnxruntime", "scipy")

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = str(THREADS)  # read once, when NumPy is imported: that comes later


def pytest_benchmark_update_machine_info(config: object, machine_info: dict[str, Any]) -> None:
    """Note what the figures depend on, and not whose machine it is."""
    del machine_info["node"]
    machine_info["threads"] = THREADS
    installed = {found.name for found in metadata.distributions()}
    machine_info["versions"] = {
        name: metadata.version(name) for name in DISTRIBUTIONS if name in installed
    }

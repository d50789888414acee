"""What is written down beside every figure; and two threads, set before NumPy is imported."""

from __future__ import annotations

from typing import Any

import machine


def pytest_benchmark_update_machine_info(config: object, machine_info: dict[str, Any]) -> None:
    """Note what the figures depend on, and not whose machine it is."""
    del machine_info["node"]
    machine_info["threads"] = machine.THREADS
    machine_info["versions"] = machine.versions()

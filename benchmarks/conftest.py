"""What is written down beside every figure; the threads, before NumPy is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import machine
import pytest
import trust

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest_benchmark.fixture import BenchmarkFixture

BESIDE: list[str] = []
"""What was timed while others took processors."""


def pytest_benchmark_update_machine_info(config: object, machine_info: dict[str, Any]) -> None:
    """Note what the figures depend on, and not whose machine it is."""
    del machine_info["node"]
    machine_info["threads"] = machine.THREADS
    machine_info["versions"] = machine.versions()
    machine_info["blas"] = machine.blas()


@pytest.fixture(autouse=True)
def watch(request: pytest.FixtureRequest) -> Iterator[None]:
    """Note how many processors others took while something was timed."""
    if "benchmark" not in request.fixturenames:
        yield
        return
    benchmark: BenchmarkFixture = request.getfixturevalue("benchmark")
    begun = trust.Moment()
    yield
    others = begun.others()
    benchmark.extra_info.update(others=others, contended=trust.contended(others))
    if benchmark.enabled and trust.contended(others):
        BESIDE.append(f"{request.node.name}: others kept {others:.1f} processors busy")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which figures mean little."""
    if BESIDE:
        terminalreporter.section("measured on a busy machine: do not compare these times")
        terminalreporter.write("\n".join([*BESIDE, ""]))

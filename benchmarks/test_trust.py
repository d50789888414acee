"""What is written down beside the figures, and what is said of a busy machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from time import perf_counter, sleep
from types import SimpleNamespace

import machine
import psutil
import pytest
import trust

ROOT = Path(__file__).parents[1]


def test_what_others_took_is_everything_less_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ours are this process and those that it has waited for; a host's own work is others'."""
    kinds = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal", "guest")
    after = (104.0, 101.0, 102.0, 200.0, 150.0, 101.0, 101.0, 101.0, 101.0)
    everybody = iter(
        SimpleNamespace(**dict(zip(kinds, seconds, strict=True)))
        for seconds in ((100.0,) * len(kinds), after)
    )
    ours = iter([(1.0, 1.0, 1.0, 1.0, 0.0), (2.0, 1.5, 3.0, 2.0, 60.0)])
    monkeypatch.setattr(psutil, "cpu_times", lambda: next(everybody))
    monkeypatch.setattr(os, "times", lambda: next(ours))
    begun = trust.Moment(time=perf_counter() - 10)
    assert begun.others() == pytest.approx(0.1 * (4 + 1 + 2 + 3 - 4.5), rel=0.01)


def test_another_process_is_seen() -> None:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
        begun = trust.Moment()
        while psutil.Process(other.pid).cpu_times().user < 0.3:
            sleep(0.01)
        taken = begun.others() * (perf_counter() - begun.time)
        other.kill()
    assert taken > 0.2


@pytest.mark.parametrize(
    ("others", "processors", "busy"),
    [(0.24, 2, False), (0.26, 2, True), (6.24, 8, False), (6.26, 8, True), (0.0, 1, True)],
)
def test_others_may_take_what_we_do_not_need(
    others: float, processors: int, busy: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "THREADS", 2)
    assert trust.contended(others, processors) is busy


def benchmarks(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in machine.VARIABLES}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "benchmarks/test_speed.py", *map(str, arguments)],
        cwd=ROOT,
        env=kept | environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_what_is_written_down(tmp_path: Path) -> None:
    """Readable to the last word; threads as they were asked for; the library for products."""
    path = tmp_path / "speed.json"
    done = benchmarks(
        "-k", "unpool and nearest and fdref", "--benchmark-json", path, OMP_NUM_THREADS="1"
    )
    assert done.returncode == 0, done.stdout
    text = path.read_text()
    assert "UNSERIALIZABLE" not in text
    info = json.loads(text)["machine_info"]
    assert info["threads"] == 1
    assert any("openblas" in one or "mkl" in one for one in info["blas"])
    for one in json.loads(text)["benchmarks"]:
        assert one["extra_info"]["others"] >= 0
        assert one["extra_info"]["contended"] in (True, False)


def test_nothing_measured_is_said_in_a_line(tmp_path: Path) -> None:
    done = benchmarks("-k", "nothing", "--benchmark-json", tmp_path / "speed.json")
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "Traceback" not in done.stdout + done.stderr
    assert "Not saving anything, no benchmarks have been run!" in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "given", [{"OMP_NUM_THREADS": "4", "OPENBLAS_NUM_THREADS": "2"}, {"NUMBA_NUM_THREADS": "many"}]
)
def test_threads_that_differ_are_refused(given: dict[str, str]) -> None:
    done = benchmarks("-k", "nothing", **given)
    assert done.returncode != 0
    told = ", ".join(f"{name}={value}" for name, value in given.items())
    assert f"{told}: both sides take as many threads" in done.stderr

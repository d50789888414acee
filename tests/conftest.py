"""What tests share: the two engines, a kit, a MATLAB file, and what may be absent."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
from pathlib import Path

import pytest
from absence import absent
from hypothesis import HealthCheck, settings

from fdref.conformance.diagnosis import Diagnosis
from fdref.conformance.kit import write_kit
from fdref.weights.matlab_write import write

# How fast examples are drawn says more of the machine than of the test.
patient = settings(
    deadline=None,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.register_profile("fdref", patient, derandomize=True)
# Where the same tests have run already, and loops are slow: a quarter of the examples.
settings.register_profile("few", patient, derandomize=True, max_examples=25)
# --hypothesis-profile random: also where Hypothesis sees a CI, and would derandomize
settings.register_profile("random", patient, derandomize=False)
settings.load_profile("fdref")

# They assert, and shall say as much as the tests when it fails.
pytest.register_assert_rewrite(
    "graph_strategies", "html_checker", "kit_cases", "matlab_values", "report_schema"
)


@pytest.hookimpl(tryfirst=True)  # before Hypothesis reads it
def pytest_configure(config: pytest.Config) -> None:
    """Choose a seed for examples that nobody has tried yet, where none is given.

    And hear Ctrl-C, which tests press: a shell lets what it starts in the background ignore it.
    """
    signal.signal(signal.SIGINT, signal.default_int_handler)
    option = config.option
    if option.hypothesis_profile == "random" and option.hypothesis_seed is None:
        option.hypothesis_seed = str(secrets.randbelow(2**32))


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Say how the same examples are tried again."""
    if config.option.hypothesis_profile == "random":
        seed = config.option.hypothesis_seed
        terminalreporter.write_line(f"again: --hypothesis-profile random --hypothesis-seed {seed}")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with `models/` (files that MATLAB wrote) and `mnist/` (all of it)."""
    folder = os.environ.get("FDREF_SHARED")
    if not folder or not Path(folder, "models").is_dir():
        absent("shared", "FDREF_SHARED names no folder with models/ and mnist/")
    return Path(folder)


@pytest.fixture(params=["compiled", "reference"])
def engine(request: pytest.FixtureRequest) -> str:
    """Run a test with each engine."""
    return str(request.param)


@pytest.fixture(scope="session")
def kit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A conformance kit, which nobody changes."""
    folder = tmp_path_factory.mktemp("kit") / "kit"
    write_kit(folder)
    return folder


@pytest.fixture
def results(kit: Path, tmp_path: Path) -> Path:
    """A copy of the kit's answers, to be spoilt."""
    folder = tmp_path / "results"
    shutil.copytree(kit / "expected", folder)
    return folder


@pytest.fixture
def no_mistakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for no mistakes: it takes its time, and cases made here are none of the kit's."""
    nothing = Diagnosis({}, ())
    monkeypatch.setattr("fdref.conformance.examination.diagnose", lambda *verdicts: nothing)


@pytest.fixture
def net_file(tmp_path: Path) -> Path:
    """A small network as a MATLAB file, written by us."""
    from matlab_values import NET  # after it has been registered above

    path = tmp_path / "net.mat"
    write(path, {"net": NET})
    return path


@pytest.fixture(scope="session")
def browser():
    """Chromium, started once."""
    from browsing import FLAGS

    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        absent("browser", "Playwright is not installed: pip install '.[browser]'")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        absent("browser", "there is no Chromium; Debian's package is called chromium")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield started
        started.close()

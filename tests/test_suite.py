"""What the suite says of itself: why it skips, which seed it drew, and what the CI runs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def run(*arguments: str) -> str:
    """Run pytest as a newcomer would, who has no real files; return what it says."""
    left_out = ("FDREF_SHARED", "FDREF_MUST_RUN", "PYTEST_ADDOPTS")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    paths = [str(ROOT / "tests"), *filter(None, [environment.get("PYTHONPATH")])]
    environment["PYTHONPATH"] = os.pathsep.join(paths)
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_what_is_skipped_says_why_and_what_is_slow_waits():
    told = run("tests/test_mnist.py", "tests/test_reproduction.py")
    assert re.search(
        r"^SKIPPED \[\d+\] tests/test_mnist\.py:\d+: FDREF_SHARED names no", told, re.MULTILINE
    )
    assert re.search(r" \d+ deselected", told)


EXAMPLES = """
from hypothesis import given, strategies as st

@given(st.integers())
def test_prints(number):
    print("example", number)
"""


@pytest.mark.slow
@pytest.mark.parametrize("ci", [True, False], ids=["ci", "elsewhere"])
def test_random_examples_come_with_a_seed_that_gives_them_again(tmp_path, monkeypatch, ci):
    """Nobody asked for random ones gets the same each time, wherever."""
    if ci:
        monkeypatch.setenv("CI", "true")
    else:
        monkeypatch.delenv("CI", raising=False)
    (tmp_path / "test_examples.py").write_text(EXAMPLES)
    file = (str(tmp_path / "test_examples.py"), "-s", "-c", "pyproject.toml", "-p", "conftest")

    def examples(*arguments: str) -> tuple[list[str], str | None]:
        told = run(*file, *arguments)
        seed = re.search(
            r"^again: (--hypothesis-profile random --hypothesis-seed \d+)$", told, re.MULTILINE
        )
        return re.findall(r"example (-?\d+)", told), seed and seed[1]

    assert examples() == examples()
    assert examples()[1] is None
    drawn, seed = examples("--hypothesis-profile", "random")
    other, another = examples("--hypothesis-profile", "random")
    assert drawn != other
    assert seed != another
    assert examples(*seed.split()) == (drawn, seed)


def test_the_ci_takes_actions_by_their_commits():
    workflows = list((ROOT / ".github" / "workflows").glob("*.yml"))
    used = [use for path in workflows for use in re.findall(r"uses: (.*)", path.read_text())]
    assert used
    for use in used:
        assert re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v[\d.]+", use), use

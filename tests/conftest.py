"""What tests share: the two engines, and what may be absent."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

MUST_RUN = os.environ.get("FDREF_MUST_RUN", "").split()

settings.register_profile("fdref", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("fdref")


def absent(what: str, reason: str) -> NoReturn:
    """Skip a test for want of something, or fail it where FDREF_MUST_RUN says that it is there."""
    if what in MUST_RUN:
        pytest.fail(f"{reason}, but FDREF_MUST_RUN demands {what!r}", pytrace=False)
    pytest.skip(reason)


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

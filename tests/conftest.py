"""What tests share: the two engines, and what may be absent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from absence import absent
from hypothesis import settings

settings.register_profile("fdref", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("fdref")


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

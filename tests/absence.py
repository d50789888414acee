"""What tests do when something that they need is not there."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest

MUST_RUN = os.environ.get("FDREF_MUST_RUN", "").split()


def absent(what: str, reason: str) -> NoReturn:
    """Skip a test for want of something, or fail it where FDREF_MUST_RUN says that it is there."""
    if what in MUST_RUN:
        pytest.fail(f"{reason}, but FDREF_MUST_RUN demands {what!r}", pytrace=False)
    pytest.skip(reason)

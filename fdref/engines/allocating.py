"""Memory that arrays were made of, kept for the next ones: limits of glibc's.

It gives memory back to the system beyond a limit that grows with the largest array so far, which
may be small; Dask has its workers give back all beyond 64 kB, so that whoever watches them sees
what they use. Every larger array is then mapped anew, page by page: in Dask's workers that took as
long as evaluating the LeNet itself, and here a third of it.
"""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress

import numpy as np

TRIM, MMAP = -1, -3
"""glibc's names of the limits: of free memory that is kept, and of arrays mapped one by one."""
KEPT, MAPPED = 2**30, 2**25
"""Bytes; the second is the largest that glibc takes, and the one that it comes to by itself."""
USUAL = 2**17
"""The limit of both that it begins with."""


def keep() -> None:
    """Keep memory that is free, up to a gigabyte."""
    _limit(KEPT, MAPPED)


def expect_large() -> None:
    """Let glibc come by itself, and at once, to what it comes to with large arrays.

    It keeps twice the largest array that it has mapped and taken back, at most 64 MB.
    """
    np.empty(MAPPED - USUAL, np.uint8)  # never touched, it takes no memory


def as_before() -> None:
    """Give it back, and from now on beyond what the environment says."""
    limit = os.environ.get("MALLOC_TRIM_THRESHOLD_", "")
    _limit(int(limit) if limit.isdecimal() else USUAL, USUAL)


def _limit(kept: int, mapped: int) -> None:
    with suppress(OSError, AttributeError, TypeError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(TRIM, kept)
        libc.mallopt(MMAP, mapped)
        libc.malloc_trim(0)

"""What Dask's workers are taught: a module that imports Dask, and is imported by who uses it."""

from __future__ import annotations

import ctypes
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin

if TYPE_CHECKING:
    from fdref.measure.sending import Function

TRIM, MMAP = -1, -3
"""glibc's names of the limits: of free memory that is kept, and of arrays mapped one by one."""
KEPT, MAPPED = 2**30, 2**25
"""Bytes; the second is the largest that glibc takes, and the one that it comes to by itself."""
USUAL = 2**17
"""The limit of mapped arrays that it begins with."""


def learnt(function: Any) -> bool:
    """Make a function that has arrived at a worker; tell whether that was possible."""
    return function.prepared() is not None


class Teaching(WorkerPlugin):
    """Has every worker, those that join later, too, make a function before it does anything.

    Parameters
    ----------
    function
        Of `fdref.measure.sending.Sent`.
    """

    idempotent = True

    def __init__(self, function: Function) -> None:
        self.function = function

    def setup(self, worker: object) -> None:  # noqa: ARG002 - as Dask calls it
        """Make it."""
        limit_memory(KEPT, MAPPED)
        learnt(self.function)

    def teardown(self, worker: object) -> None:  # noqa: ARG002
        """Leave the worker as it was."""
        limit_memory(None, USUAL)


def limit_memory(kept: int | None, mapped: int) -> None:
    """Set limits of glibc's, where the environment has limited what it keeps; None: to that.

    Dask has its workers give back all memory beyond 64 kB, so that whoever watches them sees what
    they use. Then every larger array is mapped anew, page by page: that took as long as evaluating
    the LeNet itself.
    """
    limit = os.environ.get("MALLOC_TRIM_THRESHOLD_", "")
    if limit.isdecimal():
        with suppress(OSError, AttributeError):  # another C library
            libc = ctypes.CDLL(None)
            libc.mallopt(TRIM, int(limit) if kept is None else kept)
            libc.mallopt(MMAP, mapped)
            libc.malloc_trim(0)

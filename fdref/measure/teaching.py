"""What Dask's workers are taught: a module that imports Dask, and is imported by who uses it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distributed import WorkerPlugin

from fdref.engines import allocating

if TYPE_CHECKING:
    from fdref.measure.sending import Function


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
        allocating.keep()
        learnt(self.function)

    def teardown(self, worker: object) -> None:  # noqa: ARG002
        """Leave the worker as it was."""
        allocating.as_before()

"""Machines of a Dask cluster: reached, asked what they have, and sent what they lack."""

from __future__ import annotations

import re
from contextlib import suppress
from math import inf
from pkgutil import resolve_name
from time import monotonic
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

import fdref
from fdref.arguments import shown
from fdref.errors import ArgumentError, FdrefError, one_line
from fdref.imports import imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from types import TracebackType
    from typing import Self

    from fdref.measure.sending import InFile, Sent

Task = TypeVar("Task")
Result = TypeVar("Result")

USE = "clusters are reached with dask.distributed"
ADDRESS = re.compile(
    r"(?:(?:tcp|tls|ucx|wss?)://)?[^\s/:]+:[0-9]{1,5}|(?:tcp|tls)://\[[0-9a-f:]+\]:[0-9]+"
)
TOGETHER = 8
"""Tasks that are handed over together, at least: of one by itself a scheduler makes as much ado, 7
milliseconds of them."""
PATIENCE = 5.0
"""Seconds to wait for an answer."""
ALONE = 30.0
"""Seconds to wait for workers once all are gone; what restarts them takes some."""


class Cluster:
    """Workers of a Dask cluster, to be passed as ``executor=``.

    A worker that is killed costs what it was doing, which another does again; no digit changes.
    What is computed goes to each worker once, also to those that join later. Needs the extra
    ``dask``, here and there.

    Parameters
    ----------
    address : str
        The scheduler's, such as ``"tcp://10.0.0.1:8786"``.

    Attributes
    ----------
    notes : list of str
        What there is to be said about the workers.

    Raises
    ------
    ArgumentError
        If that is no address.
    FdrefError
        If no scheduler answers there, it has no workers, or these have no fdref or another one.
    DependencyError
        If ``distributed`` cannot be imported.
    """

    def __init__(self, address: str) -> None:
        if not isinstance(address, str) or not ADDRESS.fullmatch(address):
            raise ArgumentError(
                f"address is {shown(address)}; expected a scheduler's, such as tcp://10.0.0.1:8786"
            )
        distributed = imported("distributed", USE, "dask")
        self.address, self.notes = one_line(address), list[str]()
        self.files: list[tuple[object, InFile]] = []
        """what lies in files that the workers may be able to read, too"""
        self._taught: str | None = None
        self._width, self._asked = TOGETHER, -inf
        self._dask = imported("dask", USE, "dask")
        try:
            self._client = distributed.Client(address, timeout=PATIENCE, set_as_default=False)
        except (OSError, ValueError, TypeError, RuntimeError) as error:
            raise FdrefError(
                f"no scheduler answers at {self.address} ({_told(error)}); expected that of "
                "`dask scheduler`, which prints its address, such as tcp://10.0.0.1:8786"
            ) from None
        try:
            self._check_workers()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave the cluster, which goes on."""
        self.close()

    def close(self) -> None:
        """Leave the cluster; what it was doing for us is given up."""
        with suppress(Exception):
            self._forget()
        with suppress(Exception):
            self._client.close(1)

    @property
    def width(self) -> int:
        """How many tasks the workers do at a time, or a few, as of a second ago."""
        now = monotonic()
        if now - self._asked > 1:
            threads: dict[str, int] = self._client.nthreads()
            self._width, self._asked = max(TOGETHER, sum(threads.values())), now
        return self._width

    def teach(self, sent: Sent) -> None:
        """Have each worker make a function, from files where it has them; later ones, too."""
        from fdref.measure.teaching import Teaching, learnt  # noqa: PLC0415 - it imports Dask

        there = self._client.run(learnt, sent.of_files)
        wanted = sent.of_files if all(there.values()) else sent.whole
        self._forget()
        self._taught = f"fdref-{sent.digest.hex()}"
        self._client.register_plugin(Teaching(wanted), name=self._taught)

    def _forget(self) -> None:
        """Have workers that join from now on not learn any more what was taught last."""
        if self._taught is not None:
            name, self._taught = self._taught, None
            self._client.unregister_worker_plugin(name)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task], /) -> Iterator[Result]:
        """Return the results in the order of the tasks, which begin at once.

        Raises
        ------
        FdrefError
            If the cluster is gone, or so many workers died over a task that Dask gave it up.
        """
        # Images go with their tasks: what is scattered is lost with the worker that holds it.
        with self._dask.config.set({"distributed.admin.large-graph-warning-threshold": "1TB"}):
            futures = self._client.map(function, list(tasks), pure=False)
        return self._results(futures)

    def _results(self, futures: list[Any]) -> Iterator[Any]:
        try:
            for future in futures:
                yield self._result(future)
        finally:
            with suppress(Exception):
                self._client.cancel(futures)

    def _result(self, future: Any) -> Any:
        """Wait for a result as long as there is a worker."""
        seen = monotonic()
        while True:
            try:
                return future.result(timeout=1)
            except FdrefError:
                raise
            except TimeoutError:
                if self._client.status != "running":
                    raise FdrefError(f"the scheduler at {self.address} is gone") from None
                if self._client.nthreads():
                    seen = monotonic()
                elif monotonic() - seen > ALONE:
                    raise self._nobody("has had no workers for half a minute") from None
            except Exception as error:  # noqa: BLE001 - whatever was raised there
                raise self._failed(error) from None

    def _failed(self, error: Exception) -> FdrefError:
        kind = type(error).__name__
        if kind == "KilledWorker":
            return FdrefError(
                f"several workers of {self.address} died over the same images; expected some that "
                "live: give each more memory"
            )
        if "Cancelled" in kind:
            return FdrefError(f"the scheduler at {self.address} is gone, or has cancelled the work")
        return FdrefError(f"a worker of {self.address}: {_told(error)}")

    def _nobody(self, problem: str) -> FdrefError:
        return FdrefError(
            f"the scheduler at {self.address} {problem}; start some: dask worker {self.address}"
        )

    def _check_workers(self) -> None:
        """Refuse a cluster whose workers cannot compute what is computed here."""
        with suppress(TimeoutError):
            self._client.wait_for_workers(1, timeout=PATIENCE)
        if not self._client.nthreads():
            raise self._nobody("has no workers")
        for worker, found in self._on_each("fdref:__version__").items():
            if isinstance(found, BaseException):
                raise FdrefError(
                    f"the worker {worker} cannot import fdref ({_told(found)}); expected fdref "
                    f"{fdref.__version__} there: pip install 'fdref[dask]=={fdref.__version__}'"
                )
            if found != fdref.__version__:
                raise FdrefError(
                    f"the worker {worker} has fdref {found}; expected {fdref.__version__}, as "
                    f"here: pip install 'fdref[dask]=={fdref.__version__}' there"
                )
        other = {str(found) for found in self._on_each("numpy:__version__").values()}
        if other != {np.__version__}:
            self.notes.append(
                f"workers have NumPy {', '.join(sorted(other))}, here is {np.__version__}: last "
                "digits may differ from those of this machine"
            )

    def _on_each(self, name: str) -> dict[str, Any]:
        """Return what something is on each worker, or the error."""
        found: dict[str, Any] = self._client.run(resolve_name, name, on_error="return")
        return found


def _told(error: BaseException) -> str:
    text = " ".join(str(error).split())
    return one_line(f"{type(error).__name__}: {text}" if text else type(error).__name__, 200)

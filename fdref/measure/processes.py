"""Processes on this machine that may die: each is replaced, and its work is done again.

`concurrent.futures` gives a pool up, with all that is under way in it, when one of its processes is
killed, as by a system that runs out of memory; so do loky and joblib. Here each process has a
thread that waits for it, and knows what it was doing.
"""

from __future__ import annotations

import os
import pickle
import signal
import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any, TypeVar

from fdref.arguments import shown, whole_number
from fdref.engines import allocating
from fdref.errors import ArgumentError, FdrefError
from fdref.imports import imported

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from multiprocessing.connection import Connection
    from types import TracebackType
    from typing import Self

    from fdref.measure.sending import InFile

Task = TypeVar("Task")
Result = TypeVar("Result")

DEATHS = 3
"""Processes that may die over the same task; then it is the task."""


MOST = 1024
"""Processes that may be asked for: each has a thread here, and takes some 100 MB."""


class Processes:
    """Processes on this machine, to be passed as ``executor=``.

    One that is killed costs what it was doing, which another does again; no digit changes. Each
    takes its share of the machine's threads. They are started when they are needed, and end with
    the ``with`` block; a script that starts processes does so below
    ``if __name__ == "__main__":``.

    Parameters
    ----------
    count : int, optional
        How many; by default as many as there are CPUs.

    Raises
    ------
    ArgumentError
        If that is no whole number from 1 to 1024.

    Examples
    --------
    >>> import fdref
    >>> net, digits = fdref.load(), fdref.mnist().test.images[:300]
    >>> x, layers = net.prepare(digits), [1]
    >>> with fdref.Processes(2) as workers:
    ...     found = fdref.evaluate(net, x, layers, executor=workers)
    >>> (found[1].errors == fdref.evaluate(net, x, layers)[1].errors).all()
    np.True_
    """

    def __init__(self, count: int | None = None) -> None:
        cpus = os.cpu_count() or 1
        self.width = cpus if count is None else whole_number(count, "count", 1, MOST)
        self.files: list[tuple[object, InFile]] = []
        """what lies in files that the processes can read, too"""
        self._threads = ThreadPoolExecutor(self.width, "fdref-process")
        self._own = threading.local()
        self._changing = threading.Lock()
        self._alive: set[_Process] = set()
        self._closed = False

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the processes, whatever they are doing."""
        self.close()

    def close(self) -> None:
        """End the processes, whatever they are doing."""
        with self._changing:
            self._closed = True
            for process in self._alive:
                process.kill()
        self._threads.shutdown(cancel_futures=True)

    def map(self, function: Callable[[Task], Result], tasks: Iterable[Task], /) -> Iterator[Result]:
        """Return the results in the order of the tasks, which begin at once.

        Raises
        ------
        ArgumentError
            If the processes have ended.
        FdrefError
            If several processes died over a task.
        """
        if self._closed:
            raise ArgumentError(
                f"{shown(self)} have ended; expected to be used in their with block"
            )
        return self._threads.map(partial(self._do, function), tasks)

    def _do(self, function: Callable[[Task], Result], task: Task) -> Result:
        """Have a task done by this thread's process, by another one if it dies."""
        call = pickle.dumps((function, task), pickle.HIGHEST_PROTOCOL)
        for _ in range(DEATHS):
            process = self._process()
            try:
                done, result = process.ask(call)
            except (EOFError, OSError):  # it is dead
                self._bury(process)
                continue
            if not done:
                raise result
            return result  # type: ignore[no-any-return]
        raise FdrefError(
            f"{DEATHS} processes died, one after the other, over images from "
            f"{getattr(task, 'first', 0)} on; expected one that lives: start fewer, so that each "
            'has more memory; a script starts processes below `if __name__ == "__main__":`'
        )

    def _process(self) -> _Process:
        """Return this thread's process, a new one if it has none."""
        found: _Process | None = getattr(self._own, "process", None)
        if found is None:
            if hasattr(signal, "pthread_sigmask"):  # Ctrl-C is for us; a process inherits that
                signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            with self._changing:
                if self._closed:
                    raise CancelledError
                found = _Process(max(1, (os.cpu_count() or 1) // self.width))
                self._alive.add(found)
            self._own.process = found
        return found

    def _bury(self, process: _Process) -> None:
        self._own.process = None
        with self._changing:
            process.kill()
            self._alive.discard(process)


class _Process:
    """One process, that does what it is asked."""

    def __init__(self, threads: int) -> None:
        context = get_context("spawn")  # forks of a process with threads may hang
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs, threads), daemon=True)
        self._process.start()
        theirs.close()  # or nobody would hear that it is dead

    def ask(self, call: bytes) -> tuple[bool, Any]:
        """Have it call a function; return whether it could, and the result or the error."""
        self._ours.send_bytes(call)
        found: tuple[bool, Any] = pickle.loads(self._ours.recv_bytes())  # noqa: S301 - our own
        return found

    def kill(self) -> None:
        """End it, whatever it is doing."""
        self._process.kill()
        self._process.join()


def serve(connection: Connection, threads: int) -> None:
    """Do what is asked, until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threadpoolctl = imported("threadpoolctl", "threads are limited with threadpoolctl")
    threadpoolctl.threadpool_limits(threads)
    allocating.keep()
    while True:
        try:
            call = connection.recv_bytes()
        except EOFError:
            return
        connection.send_bytes(answer(call))


def answer(call: bytes) -> bytes:
    """Call a function, and return what came of it."""
    try:
        function, task = pickle.loads(call)  # noqa: S301 - our own
        return pickle.dumps((True, function(task)), pickle.HIGHEST_PROTOCOL)
    except FdrefError as error:
        return pickle.dumps((False, error))
    except MemoryError as error:
        return pickle.dumps((False, MemoryError(f"in a worker process: {error}")))
    except Exception as error:  # noqa: BLE001 - whatever a network of somebody's own raises
        return pickle.dumps(
            (False, FdrefError(f"a worker process: {type(error).__name__}: {error}"))
        )

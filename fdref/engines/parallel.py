"""Independent parts of a computation on as many threads as NumPy's BLAS may take.

Each part is computed by one thread, its matrix products included. So neither who computes a part
nor how many there are can change a bit of it. (BLAS's own threads share every product and wait,
spinning, for the next: they leave the loops between two products to a single core.)
"""

from __future__ import annotations

from collections import deque
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import copy_context
from functools import partial
from math import prod
from queue import SimpleQueue
from threading import RLock, Thread, local
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from fdref.engines import blas, forking

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from fdref.arrays import Array

Part = TypeVar("Part")

# Compiling a loop takes up to some seconds and cannot be stopped: whoever has pressed Ctrl-C does
# not wait longer than this.
PATIENCE = 1.0
"""Seconds that an interruption waits for parts that others compute; these may be compiling."""


# Handing work over took 20 to 29 microseconds, and both threads wait for some of that.
WORTH_SHARING = 1e-4
"""Seconds of work from which more than one thread computes it."""


def each(
    work: Callable[[Part], None], parts: Iterable[Part], seconds: float = WORTH_SHARING
) -> None:
    """Do the work on every part; after an error those that nobody has begun are left out.

    Work that is itself in parts does them on the thread that computes it.

    Parameters
    ----------
    work : callable
        Of a part.
    parts : iterable
    seconds : float
        How long one thread would take for all of them, as estimated: what is soon done is done
        here.
    """
    several = list(parts)
    if getattr(_own, "computing", False):  # whoever waits for this part holds the lock
        for part in several:
            work(part)
        return
    if not getattr(_own, "threads", 0):
        with together():
            each(work, several, seconds)
        return
    helpers = min(_own.threads, len(several)) - 1 if seconds >= WORTH_SHARING else 0
    if helpers > 0:
        _share(_tasks(work, several), helpers)
        return
    _own.computing = True
    try:
        for part in several:
            work(part)
    finally:
        _own.computing = False


@contextmanager
def together() -> Iterator[int]:
    """Keep BLAS to one thread for several computations after each other; yield how many we take.

    So that what is soon computed does not take as long to be prepared. Nobody else computes
    meanwhile: nothing of the user's own may be called within.
    """
    threads = getattr(_own, "threads", 0) or int(getattr(_own, "computing", False))
    if threads:  # within another, or on a thread that computes a part, while another holds the lock
        yield threads
        return
    with _one_at_a_time:
        before = blas.counts()
        _own.threads = min(before, default=1)
        try:
            blas.limit(before)
            yield _own.threads
        finally:
            blas.free(before)
            _own.threads = 0


def _compute(waiting: Tasks) -> None:
    """Take turns as one who is computing parts."""
    _own.computing = True
    try:
        _take_turns(waiting)
    finally:
        _own.computing = False


Tasks = deque["Callable[[], None]"]
"""What is left to do. Its popleft is atomic: threads take turns without a lock.

Nothing else holds the work, and with it the arrays: once it is empty, helpers that a busy machine
has not let begin, nor clear up, keep none of them alive.
"""


def _tasks(work: Callable[[Part], None], parts: Iterable[Part]) -> Tasks:
    return deque(partial(work, part) for part in parts)


def _share(waiting: Tasks, helpers: int) -> None:
    def help_out() -> None:
        blas.limit_this_thread()
        _compute(waiting)

    helping = team.send(help_out, helpers)
    try:
        _compute(waiting)
    except Exception:
        _finish(waiting, helping)  # else helpers would go on, with BLAS freed
        raise
    except BaseException:  # an interruption, which a helper's error must not hide
        _finish(waiting, helping, PATIENCE)
        raise
    for helper in _finish(waiting, helping):
        helper.result()


def _finish(
    waiting: Tasks, helping: list[Future[None]], patience: float | None = None
) -> set[Future[None]]:
    """Begin nothing more, wait for what has been begun, and return it."""
    waiting.clear()
    return wait([helper for helper in helping if not helper.cancel()], patience).done


def _take_turns(waiting: Tasks) -> None:
    while waiting:
        try:
            task = waiting.popleft()
        except IndexError:  # somebody else was quicker
            return
        task()
        del task


class Team:
    """Threads that wait for errands.

    They are daemons, unlike those of `concurrent.futures`: so they go on helping threads that
    outlive the main thread, and functions that are called at exit.
    """

    def __init__(self) -> None:
        self._errands: SimpleQueue[tuple[Future[None], Callable[[], None]] | None] = SimpleQueue()
        self._count = 0

    def send(self, errand: Callable[[], None], wanted: int) -> list[Future[None]]:
        """Have so many threads do it; fewer, where no more threads can be started.

        In the sender's context: what NumPy is not to warn of here, it does not warn of there.
        """
        while self._count < wanted:
            try:
                Thread(target=self._serve, name="fdref", daemon=True).start()
            except RuntimeError:
                break
            self._count += 1
        sent: list[Future[None]] = [Future() for _ in range(min(wanted, self._count))]
        for one in sent:
            self._errands.put((one, partial(copy_context().run, errand)))
        return sent

    def _serve(self) -> None:
        while (waiting := self._errands.get()) is not None:
            done, errand = waiting
            if done.set_running_or_notify_cancel():
                try:
                    errand()
                except BaseException as error:  # noqa: BLE001 - whoever waits for it raises it
                    done.set_exception(error)
                else:
                    done.set_result(None)
            del waiting, done, errand  # a failed one holds what it failed with

    def dismiss(self) -> None:
        """Let all go, and their scratch memory."""
        for _ in range(self._count):
            self._errands.put(None)
        self._count = 0


team = Team()


def each_at_once(work: Callable[[Part], None], parts: Iterable[Part], helpers: int) -> None:
    """Do what rather waits than computes, as for a disk, on every part, with that many helpers."""
    waiting, own = _tasks(work, parts), Team()
    helping = own.send(partial(_take_turns, waiting), helpers)
    try:
        _take_turns(waiting)
    finally:
        _finish(waiting, helping)
        own.dismiss()
    for helper in helping:
        if not helper.cancelled():
            helper.result()


def scratch(purpose: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return an array of this thread's own, filled with anything, until it asks for the next.

    Memory fresh from the system is cleared page by page, which takes longer than most products.
    """
    size = prod(shape) * dtype.itemsize
    kept: dict[str, Any] = _scratch.__dict__  # of a `local`: another one in each thread
    if purpose not in kept or kept[purpose].nbytes < size:
        kept.pop(purpose, None)  # before there is the next one: both are more than was counted
        kept[purpose] = np.empty(size, np.uint8)
    array: Array = kept[purpose][:size].view(dtype).reshape(shape)
    return array


_scratch = local()

_own = local()
"""Whether this thread is computing a part, and how many threads its computations may take."""

_one_at_a_time = RLock()
"""Whoever else computed meanwhile would find BLAS limited, and might free it too early."""


def _start_anew() -> None:
    """Begin anew in a forked child, where no thread of the parent's goes on."""
    global _one_at_a_time, team  # noqa: PLW0603
    _one_at_a_time = RLock()  # another thread may hold the old one, and is not here to release it
    team = Team()


forking.in_child.append(_start_anew)

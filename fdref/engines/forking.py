"""What a fork waits for, and what a child begins anew.

A child has the forking thread alone, and a copy of every lock as it was. So nobody there would
finish what another thread of the parent's has begun: who asks for the same module, or for the same
lock, would wait forever. Everything is registered in one place, because what is imported while a
fork waits would take part only in the second half of it.
"""

from __future__ import annotations

import logging  # noqa: F401 - it registers locks of its own, and is to do so before any fork waits
import os
from threading import RLock
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


class Lock(Protocol):
    """Any of `threading`'s, or Numba's."""

    def acquire(self) -> object:
        """Wait for it."""

    def release(self) -> object:
        """Let others have it."""


importing = RLock()
"""Held by whoever imports, at first use, what another thread may ask for as well."""

locks: list[Lock] = [importing]
"""Each is held while a process forks, in this order."""

in_child: list[Callable[[], object]] = []
"""Called in a child, with the locks free."""

_held: list[Lock] = []


def _wait() -> None:
    # Always in this order, so that two who fork at the same time do not wait for each other.
    for lock in locks:  # what is imported meanwhile may append another
        lock.acquire()
        _held.append(lock)


def _go_on() -> None:
    while _held:
        _held.pop().release()


def _start_anew() -> None:
    _go_on()
    for start in in_child:
        start()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_wait, after_in_parent=_go_on, after_in_child=_start_anew)

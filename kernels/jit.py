"""How the loops are compiled: lazily, without the GIL, and cached where that is possible.

The main thread leaves compiling to another. It would lose Ctrl-C meanwhile: Numba and LLVM call
Python back in places where an exception cannot be raised.
"""

from __future__ import annotations

import atexit
from contextlib import suppress
from functools import wraps
from threading import Thread, current_thread, main_thread
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numba import njit
from numba.core import event
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import is_jitted

from fdref.engines import forking
from fdref.engines.first_use import tell_of_compiling
from fdref.kernels.cache import SealedCache

if TYPE_CHECKING:
    from collections.abc import Callable

Loop = TypeVar("Loop", bound="Callable[..., None]")


def compiled(loop: Loop) -> Loop:
    """Compile a loop for each dtype it is called with; the plain loop stays ``__wrapped__``."""
    dispatcher = njit(loop, nogil=True)
    jitted = is_jitted(dispatcher)  # if not, NUMBA_DISABLE_JIT is set
    if jitted:
        # Where neither the installation nor the user's cache folder can be written, there is none.
        with suppress(RuntimeError, OSError):
            dispatcher._cache = SealedCache(loop)  # noqa: SLF001 - njit(cache=True) seals nothing
    ready: set[tuple[object, ...]] = set()

    @wraps(loop)
    def run(*arguments: Any) -> None:
        # Asked here, for a dispatcher would compile by itself what is new, in this very thread.
        kinds = tuple([_kind(argument) for argument in arguments])
        if jitted and kinds not in ready:
            _compile(dispatcher, tuple(map(dispatcher.typeof_pyval, arguments)))
            ready.add(kinds)
        dispatcher(*arguments)

    return run  # type: ignore[return-value]  # wraps() keeps the signature, mypy cannot see it


def _kind(argument: Any) -> object:
    """Return what a loop is compiled for; finer is no harm."""
    if isinstance(argument, np.ndarray):
        return argument.dtype, argument.ndim, argument.flags.num
    return type(argument)


def _compile(dispatcher: Any, types: tuple[Any, ...]) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            _compile_here(dispatcher, types)
        except BaseException as error:  # noqa: BLE001 - raised by whoever waits for it
            failures.append(error)

    thread = Thread(target=work, name="fdref compiling", daemon=True)
    if current_thread() is not main_thread() or not _started(thread):
        _compile_here(dispatcher, types)
        return
    _compiling.append(thread)
    while thread.is_alive():
        thread.join(0.1)  # without a limit, Windows would keep Ctrl-C waiting
    _compiling.remove(thread)
    for failure in failures:
        raise failure


_compiling: list[Thread] = []
"""Threads that compile, those that nobody waits for any more included."""


@atexit.register
def _finish() -> None:
    """Wait for what was left when it was interrupted: LLVM must not be taken down under it."""
    for thread in _compiling:
        thread.join()


def _started(thread: Thread) -> bool:
    try:
        thread.start()
    except RuntimeError:  # the system gives no more threads
        return False
    return True


def _compile_here(dispatcher: Any, types: tuple[Any, ...]) -> None:
    try:
        dispatcher.compile(types)
    except OSError:
        # The cache could not be saved (a full disk). That happens after compiling, so that a second
        # call finds the loop compiled.
        dispatcher.compile(types)


class _Teller(event.Listener):
    def on_start(self, _: object) -> None:
        tell_of_compiling()

    def on_end(self, _: object) -> None:
        pass


event.register("numba:compile", _Teller())

# Fork waits until nobody compiles, be it a loop of ours or not; nobody ever would again in a child.
forking.locks.append(global_compiler_lock)
forking.in_child.append(_compiling.clear)

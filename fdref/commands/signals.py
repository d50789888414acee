"""Ctrl-C and SIGTERM as exceptions, so that whoever is writing cleans up."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from threading import Timer, main_thread
from typing import TYPE_CHECKING, NoReturn

from fdref.startup import leave

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


@contextmanager
def signals_raised() -> Iterator[None]:
    """Raise KeyboardInterrupt for Ctrl-C and SystemExit for SIGTERM, here in the main thread.

    Other threads get no signals, and may not say what becomes of them.
    """
    wanted: dict[signal.Signals, Callable[[int, FrameType | None], object]]
    wanted = {signal.SIGTERM: _stop}
    if signal.getsignal(signal.SIGINT) is leave:
        wanted[signal.SIGINT] = signal.default_int_handler
    before = {number: signal.getsignal(number) for number in wanted}
    before = {number: handler for number, handler in before.items() if handler is not None}
    hook = sys.unraisablehook
    try:
        for number in before:
            signal.signal(number, wanted[number])
    except ValueError:  # not the main thread
        yield
        return
    sys.unraisablehook = lambda lost: _raise_later(lost) or hook(lost)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook


def _raise_later(lost: sys.UnraisableHookArgs) -> bool:
    """Have a signal raised again that came within a finalizer or a callback, where it was lost."""
    if lost.exc_type is KeyboardInterrupt:
        number = signal.SIGINT
    elif isinstance(lost.exc_value, SystemExit) and lost.exc_value.code == 128 + signal.SIGTERM:
        number = signal.SIGTERM
    else:
        return False
    again = Timer(0.01, _send, [number])
    again.daemon = True
    again.start()
    return True


def _send(number: int) -> None:
    thread = main_thread().ident
    if sys.platform != "win32" and thread is not None:
        signal.pthread_kill(thread, number)  # which wakes it, too
    else:
        signal.raise_signal(number)


def _stop(number: int, frame: object) -> NoReturn:  # noqa: ARG001 - a signal handler's parameters
    sys.exit(128 + number)

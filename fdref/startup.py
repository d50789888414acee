"""Ctrl-C while the command is being imported: one line and an exit status, as later on.

Importing the package is the first that `fdref` and `python -m fdref` do, and most of it lies before
`fdref.commands.main` is called. Programs that use fdref keep their own handling of signals.
"""

from __future__ import annotations

import os  # and no more than these: until they are there, Ctrl-C has Python's traceback
import signal
import sys

INTERRUPTED = 130


def leave(number: int, frame: object) -> None:  # noqa: ARG001 - a signal handler's parameters
    """End the process at once: there is nothing yet that needs cleaning up."""
    try:
        os.write(2, b"fdref: interrupted\n")
    finally:  # whether anybody listens or not
        os._exit(INTERRUPTED)


def is_the_command() -> bool:
    """Return whether this process is `fdref` or `python -m fdref`, and about to be it."""
    if sys.argv[:1] == ["-m"]:  # while Python looks for the module
        return sys.orig_argv[-len(sys.argv)].removeprefix("-m") == "fdref"
    name = os.path.basename(sys.argv[0]) if sys.argv else ""  # noqa: PTH119 - a light import
    return os.path.splitext(name)[0].removesuffix("-script") == "fdref"  # noqa: PTH122


def watch() -> None:
    """Have Ctrl-C end the process at once, if it is the command and Ctrl-C not ignored."""
    if is_the_command() and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, leave)

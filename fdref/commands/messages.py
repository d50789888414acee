"""What a command says beside its result."""

from __future__ import annotations

import io
import os
import sys
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from fdref.commands.table import printable
from fdref.first_use import told_of_compiling

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO


def say(message: str) -> None:
    """Print one line on standard error, if anybody listens."""
    try:
        print(f"fdref: {printable(' '.join(message.split()))}", file=sys.stderr, flush=True)
    except OSError:  # nobody listens; the exit status still tells
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Forget what a stream does not take, or Python complains once more when it exits."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


@contextmanager
def streams_to_write_to() -> Iterator[None]:
    """Have closed streams forget what they are told; Python would tell another one instead."""
    with ExitStack() as stack:
        for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            if stream is None:
                nowhere = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - the stack's
                stack.enter_context(redirect(stack.enter_context(nowhere)))
        if isinstance(sys.stdout, io.TextIOWrapper):  # names of layers on an ASCII terminal
            sys.stdout.reconfigure(errors="replace")
        yield


@contextmanager
def compiling_told() -> Iterator[None]:
    """Say on a terminal, once, that loops are compiled, for it may take a while."""

    def tell() -> None:
        if tell in told_of_compiling:
            told_of_compiling.remove(tell)
            say("compiling for this machine; that takes some seconds, the first time only")

    if sys.stderr.isatty():
        told_of_compiling.append(tell)
    try:
        yield
    finally:
        if tell in told_of_compiling:
            told_of_compiling.remove(tell)

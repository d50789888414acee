"""What a command says: to people, on standard output, and about what went wrong."""

from __future__ import annotations

import io
import os
import sys
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

from fdref.commands.places import is_standard_output
from fdref.engines.first_use import told_of_compiling
from fdref.errors import FdrefError, one_line

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import TextIO

LONGEST = 1000
"""Characters of a message; of longer ones, such as those that list names, the middle is left out"""

LONGEST_NAME = 60
"""Characters of a layer's name that are shown."""


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the option by which a command says nothing."""
    parser.add_argument(
        "--quiet", action="store_true", help="print nothing but errors; the exit status tells"
    )


def tell(options: argparse.Namespace, text: str) -> None:
    """Print for people, unless they want to hear nothing or programs read standard output."""
    results = (getattr(options, name, None) for name in ("json", "html", "junit", "badge"))
    if not options.quiet and not any(place and is_standard_output(place) for place in results):
        print(text, flush=True)


def note(options: argparse.Namespace, message: str) -> None:
    """Print one line on standard error that nobody has to know."""
    if not options.quiet:
        say(message)


def say(message: str) -> None:
    """Print one line on standard error, if anybody listens."""
    line = " ".join(message.split())
    if len(line) > LONGEST:
        line = f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
    try:
        print(f"fdref: {printable(line)}", file=sys.stderr, flush=True)
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
def telling_what_is_kept() -> Iterator[None]:
    """Say beside the error what it has not cost."""
    try:
        yield
    except BaseException as error:
        kept = "; ".join(getattr(error, "__notes__", ()))
        if kept and isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"; {kept}") from None
        if kept and isinstance(error, (FdrefError, MemoryError)):
            kind = MemoryError if isinstance(error, MemoryError) else type(error)
            raise kind(f"{error}; {kept}") from None
        if kept and isinstance(error, SystemExit):
            say(f"stopped; {kept}")
        raise


@contextmanager
def compiling_told(*, quiet: bool = False) -> Iterator[None]:
    """Say on a terminal, once, that loops are compiled, for it may take a while."""

    def tell() -> None:
        if tell in told_of_compiling:
            told_of_compiling.remove(tell)
            say("compiling for this machine; that takes some seconds, the first time only")

    if sys.stderr.isatty() and not quiet:
        told_of_compiling.append(tell)
    try:
        yield
    finally:
        if tell in told_of_compiling:
            told_of_compiling.remove(tell)


def printable(text: str, most: int | None = None) -> str:
    r"""Make text from a stranger's file safe for any terminal, at most so many characters long.

    >>> printable("\x1b[31mKlasse Ä", most=10)
    '?[31mKl...'
    """
    if most is not None and len(text) > most:
        text = f"{text[: most - 3]}..."
    return one_line(text, None)

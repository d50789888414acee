"""What a command says: to people, on standard output, and about what went wrong."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from fdref.commands.places import is_standard_output
from fdref.commands.table import printable

if TYPE_CHECKING:
    import argparse
    from typing import TextIO

LONGEST = 1000
"""Characters of a message; of longer ones, such as those that list names, the middle is left out"""


def add_quiet(parser: argparse.ArgumentParser) -> None:
    """Add the option by which a command says nothing."""
    parser.add_argument(
        "--quiet", action="store_true", help="print nothing but errors; the exit status tells"
    )


def tell(options: argparse.Namespace, text: str) -> None:
    """Print for people, unless they want to hear nothing or programs read standard output."""
    results = (getattr(options, name, None) for name in ("json", "html"))
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

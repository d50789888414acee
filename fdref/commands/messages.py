"""What a command says beside its result."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from fdref.commands.table import printable

if TYPE_CHECKING:
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

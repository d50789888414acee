"""The command line: `fdref info`, `fdref decode`, `fdref train`."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn

from fdref import __version__
from fdref.commands import decode, info, train
from fdref.errors import FdrefError

if TYPE_CHECKING:
    from collections.abc import Sequence

BAD_INPUT = 2
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command."""

    def error(self, message: str) -> NoReturn:
        self.exit(BAD_INPUT, f"fdref: {message} (see {self.prog} --help)\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 when done, 2 for bad usage or bad input."""
    parser = _Parser(
        prog="fdref",
        description="Filter decoding with substitution: any neuron of a trained convolutional "
        "network as a filter in image space (Rafegas & Vanrell, arXiv 1511.05084).",
    )
    parser.add_argument("--version", action="version", version=f"fdref {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (info, decode, train):
        command.add_to(commands)
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _stop)
    try:
        options.run(options)
        sys.stdout.flush()
    except FdrefError as error:
        return _say(str(error), BAD_INPUT)
    except MemoryError as error:
        return _say(f"out of memory: {error}; ask for fewer filters or layers", BAD_INPUT)
    except KeyboardInterrupt:
        return _say("interrupted", INTERRUPTED)
    except BrokenPipeError:  # `fdref info | head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0


def _stop(number: int, frame: object) -> NoReturn:  # noqa: ARG001 - a signal handler's parameters
    """Turn a signal into an exception, so that whoever is writing cleans up."""
    sys.exit(128 + number)


def _say(message: str, status: int) -> int:
    print(f"fdref: {' '.join(message.split())}", file=sys.stderr)
    return status

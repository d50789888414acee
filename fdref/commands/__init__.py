"""The command line: `fdref info`, `fdref decode`, `fdref reproduce`, `fdref check`, ..."""

from __future__ import annotations

import argparse
import io
import signal
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from fdref import __version__
from fdref.commands import check, decode, info, kit, reproduce, train
from fdref.commands.messages import discard, say
from fdref.errors import FdrefError

if TYPE_CHECKING:
    from collections.abc import Sequence

BAD_INPUT = 2
INTERRUPTED = 130


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command."""

    def error(self, message: str) -> NoReturn:
        say(f"{message} (see {self.prog} --help)")
        self.exit(BAD_INPUT)

    def parse_known_args(self, *arguments: Any, **more: Any) -> Any:
        """Parse what is all known: of what is not, the command says so whose help tells more."""
        options, unknown = super().parse_known_args(*arguments, **more)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return options, unknown


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 when done, 2 for bad usage or bad input, 130 when interrupted."""
    default = signal.signal(signal.SIGTERM, _stop)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of layers on an ASCII terminal
        sys.stdout.reconfigure(errors="replace")
    try:
        status = _run(arguments)
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:  # `fdref info | head` has seen enough
        status = 0
        discard(sys.stdout)
    except OSError as error:  # such as a full disk under standard output
        status = BAD_INPUT
        discard(sys.stdout)
        say(f"{error.filename or 'standard output'}: {error.strerror or error}")
    finally:
        signal.signal(signal.SIGTERM, default)
    return status


def _run(arguments: Sequence[str] | None) -> int:
    options = argparse.Namespace()
    try:
        options = _parser().parse_args(arguments)
        options.run(options)
    except SystemExit as stop:  # argparse's, or a signal's
        return int(stop.code or 0)
    except FdrefError as error:
        say(str(error))
        return BAD_INPUT
    except MemoryError as error:
        say(f"out of memory: {error}{getattr(options, 'less', '')}")
        return BAD_INPUT
    except KeyboardInterrupt as interruption:
        say(f"interrupted{interruption}")
        return INTERRUPTED
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="fdref",
        description="Filter decoding with substitution: any neuron of a trained convolutional "
        "network as a filter in image space (Rafegas & Vanrell, arXiv 1511.05084).",
    )
    parser.add_argument("--version", action="version", version=f"fdref {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (info, decode, train, reproduce, kit, check):
        command.add_to(commands)
    return parser


def _stop(number: int, frame: object) -> NoReturn:  # noqa: ARG001 - a signal handler's parameters
    """Turn a signal into an exception, so that whoever is writing cleans up."""
    sys.exit(128 + number)

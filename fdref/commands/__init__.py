"""The command line: `fdref info`, `fdref decode`, `fdref reproduce`, `fdref check`, ..."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from fdref import __version__
from fdref.commands import (
    check,
    convert,
    decode,
    draw,
    evaluate,
    explore,
    info,
    invert,
    kit,
    occlude,
    project,
    reproduce,
    train,
)
from fdref.commands.messages import compiling_told, discard, say, streams_to_write_to
from fdref.commands.signals import signals_raised
from fdref.errors import FdrefError
from fdref.startup import INTERRUPTED

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

COMMANDS = (
    info,
    decode,
    draw,
    explore,
    evaluate,
    project,
    occlude,
    invert,
    convert,
    train,
    reproduce,
    kit,
    check,
)
"""As help lists them."""

BAD_INPUT = 2
STOPPED = 128
"""Beyond it, an exit status is a signal's."""


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


def program() -> NoReturn:
    """Be the process `fdref`, from its first moment to its last."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:  # closed; a file opened later would get messages that are not its own
            os.open(os.devnull, os.O_RDWR)
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # all is done
    if status > STOPPED:
        os._exit(status)  # Python would wait for what is still being compiled
    sys.exit(status)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; return 0 when done, 2 for bad usage or bad input, 130 when interrupted."""
    return _status(_parser, arguments)


def judge(kit: str, arguments: Sequence[str]) -> int:
    """Run `fdref check` for the script that lies in a kit; return what `main` returns."""

    def parser() -> argparse.ArgumentParser:
        alone = _Parser(prog="check.py", description=check.DESCRIPTION)
        check.add_options(alone)
        alone.set_defaults(kit=Path(kit))
        return alone

    return _status(parser, arguments)


def _status(parser: Callable[[], argparse.ArgumentParser], arguments: Sequence[str] | None) -> int:
    with streams_to_write_to(), signals_raised():
        try:
            status = _run(parser, arguments)
            sys.stdout.flush()
        except BrokenPipeError:  # `fdref info | head` has seen enough
            status = 0
            discard(sys.stdout)
        except OSError as error:  # such as a full disk under standard output
            status = BAD_INPUT
            discard(sys.stdout)
            say(f"{error.filename or 'standard output'}: {error.strerror or error}")
        except KeyboardInterrupt:  # while somebody takes their time to read
            status = INTERRUPTED
            say("interrupted")
        except SystemExit as stop:  # a signal's
            status = int(stop.code or 0)
    return status


def _run(parser: Callable[[], argparse.ArgumentParser], arguments: Sequence[str] | None) -> int:
    options = argparse.Namespace()
    try:
        options = parser().parse_args(arguments)
        with compiling_told(quiet=options.quiet):
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
    for command in COMMANDS:
        command.add_to(commands)
    return parser

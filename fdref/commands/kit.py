"""`fdref kit`: cases that another implementation can be checked with."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fdref.commands.messages import add_quiet, printable, tell
from fdref.commands.models import FILES, add_edits, load
from fdref.commands.places import named
from fdref.commands.progress import progress_bar
from fdref.errors import FdrefError

if TYPE_CHECKING:
    import argparse

    from fdref.conformance.model import Model


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "kit",
        help="write the conformance kit",
        description="Write the conformance kit: cases with inputs, parameters and the results to "
        "expect, to check another implementation with. DIR/README.md tells how.",
    )
    parser.add_argument("folder", metavar="DIR", type=named, help="a folder that is new or empty")
    parser.add_argument(
        "--format",
        choices=("npz", "h5"),
        default="npz",
        help="of the arrays: NumPy's or HDF5 (npz)",
    )
    parser.add_argument(
        "--model", metavar="MODEL", help=f"a network to be asked about as well: {FILES}"
    )
    add_edits(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the kit, whole or not at all."""
    from fdref.conformance.kit import check_place, write_kit  # noqa: PLC0415 - takes a moment

    model = None
    if options.model is not None:
        check_place(options.folder)
        model = asked_about(options)
    count = write_kit(options.folder, options.format, model)
    for line in () if model is None else model.left_out:
        tell(options, printable(f"model.mat: {line}"))
    folder = printable(str(options.folder))
    tell(options, f"wrote {count} cases to {folder}; begin with its README.md")


def asked_about(options: argparse.Namespace) -> Model:
    """Read a network, and ask about it."""
    from fdref.conformance.model import model_of  # noqa: PLC0415 - takes a moment

    net = load(options)
    try:
        return model_of(net, partial(progress_bar, quiet=options.quiet))
    except FdrefError as error:
        raise type(error)(f"{options.model}: {error}") from None

"""`fdref kit`: cases that another implementation can be checked with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.commands.messages import add_quiet, printable, tell
from fdref.commands.places import named

if TYPE_CHECKING:
    import argparse


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
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Write the kit, whole or not at all."""
    from fdref.conformance.kit import write_kit  # noqa: PLC0415 - the cases take a moment

    count = write_kit(options.folder, options.format)
    folder = printable(str(options.folder))
    tell(options, f"wrote {count} cases to {folder}; begin with its README.md")

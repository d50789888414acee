"""`fdref convert`: a network from one kind of file to another."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import fdref
from fdref.commands.messages import add_quiet, printable, tell
from fdref.commands.models import add_model, load, source_of
from fdref.commands.places import named
from fdref.errors import ArgumentError, FdrefError
from fdref.files.whole import check_file

if TYPE_CHECKING:
    import argparse

KINDS = (".mat", ".onnx")
"""How the names of files end that can be written; a .h5 or .keras would be MATLAB's inside."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "convert",
        help="write a network to another kind of file",
        description="Write the network in MODEL to FILE: MATLAB v7.3 (a chain as SimpleNN, another "
        "graph as DagNN), or ONNX if FILE ends in .onnx. What is written is read back and compared "
        "before it takes its place.",
    )
    add_model(parser, needed=True)
    parser.add_argument("target", metavar="FILE", type=named, help="where to; .mat or .onnx")
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Read, write, and compare."""
    source, target = source_of(options), Path(options.target)
    if target.exists() and source.exists() and source.samefile(target):
        raise ArgumentError(f"{target} is what is read; expected another file")
    if target.suffix.lower() not in KINDS:
        raise ArgumentError(f"FILE is {target}; expected a name that ends in .mat or .onnx")
    check_file(target)
    net = load(options)
    try:
        fdref.save(net, target)
    except FdrefError as error:
        raise type(error)(str(error).replace("leave it out", "leave it out with --drop")) from None
    tell(options, f"wrote {printable(str(target))}, {len(net)} layers")

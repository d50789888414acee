"""Which network a command is about: its file, and what the file does not say."""

from __future__ import annotations

import argparse
import re
from typing import TYPE_CHECKING

import fdref
from fdref.errors import FdrefError
from fdref.weights import NETWORKS, network_file

if TYPE_CHECKING:
    from pathlib import Path

    from fdref.network.graph import Network

NAMES = " or ".join(NETWORKS)
FILES = f"a network's file (MatConvNet's, ONNX or Keras), or {NAMES}, which ship: ./NAME is a file"
SIZE = re.compile(r"\s*([1-9][0-9]{0,8})\s*(?:[xX,]\s*([1-9][0-9]{0,8})\s*)?")
OPTIONS = {"input_size": "--input-size", "input_channels": "--input-channels", "drop": "--drop"}
"""Parameters of `fdref.load`, and the options by which a command has them."""


def add_model(parser: argparse.ArgumentParser, *, needed: bool = False) -> None:
    """Add the model and what may have to be said of it."""
    add = parser.add_argument
    if needed:
        add("model", metavar="MODEL", help=FILES)
    else:
        add("model", metavar="MODEL", nargs="?", help=f"{FILES} (lenet)")
    add_edits(parser)


def add_edits(parser: argparse.ArgumentParser) -> None:
    """Add what may have to be said of a model."""
    add = parser.add_argument
    add(
        "--drop",
        metavar="LAYER",
        action="append",
        default=[],
        help="leave out a layer, by number or name; as often as need be",
    )
    add(
        "--input-size",
        metavar="224x224",
        type=size,
        help="height and width of the images, where the file does not say",
    )
    add("--input-channels", metavar="N", type=int, help="their channels, likewise")


def size(text: str) -> tuple[int, int]:
    """Read a size, such as 224 or 32x14: height and width.

    >>> size("224"), size("32x14")
    ((224, 224), (32, 14))
    """
    match = SIZE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no size; expected such as 224 or 32x14")
    return int(match[1]), int(match[2] or match[1])


def source_of(options: argparse.Namespace) -> Path:
    """Return the network's file."""
    return network_file(options.model)


def load(options: argparse.Namespace) -> Network:
    """Load the network that a command is about."""
    try:
        return fdref.load(
            options.model,
            drop=drops(options),
            input_size=options.input_size,
            input_channels=options.input_channels,
        )
    except FdrefError as error:
        raise type(error)(_in_options(str(error))) from None


def drops(options: argparse.Namespace) -> list[int | str]:
    """Return the numbers and names of the layers that are left out."""
    return [int(one) if one.isascii() and one.isdigit() else one for one in options.drop]


def _in_options(message: str) -> str:
    """Name the options instead of the parameters that they stand for."""
    for parameter, option in OPTIONS.items():
        message = re.sub(rf"\b{parameter}\b(?!['`.])", option, message)
    return message

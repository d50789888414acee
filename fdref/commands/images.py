"""Which images a command is about."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import fdref
from fdref.commands.jobs import ranges
from fdref.commands.messages import note
from fdref.commands.progress import progress_bar
from fdref.errors import ArgumentError
from fdref.weights.image_sets import images_in
from fdref.weights.pixels import ImageSet

if TYPE_CHECKING:
    import argparse

    from fdref.network.graph import Network

IMAGES = (
    "a .npz or .npy file of images from 0 to 255, a PNG or JPEG, or a folder of such pictures "
    "or of MNIST (the 1,000 digits shipped)"
)
FEW = 10
"""Of the shipped digits, where each has a picture of its own."""


def add_images(parser: argparse.ArgumentParser, *, each: bool) -> None:
    """Add the images, and which of them, where each has a picture of its own."""
    add = parser.add_argument
    add("--images", metavar="FILE|DIR", type=Path, help=IMAGES)
    if each:
        add("--only", metavar="0-9,12", help="numbers of images, from 0 (all; ten of the shipped)")
    add(
        "--channels",
        choices=("rgb", "bgr"),
        default="rgb",
        help="the order of colours that the network takes, for picture files and for drawing (rgb)",
    )


def read_images(net: Network, options: argparse.Namespace, *, once: bool = False) -> ImageSet:
    """Read the images that were asked for, and make sure that the network takes them.

    Those that are gone through once are read as that happens.
    """
    if net.inputs > 1:
        raise ArgumentError(f"the network has {net.inputs} inputs; expected one that takes images")
    place, out = options.images, getattr(options, "folder", None)
    if place is not None and out is not None and place.is_dir() and _are_one(place, out):
        raise ArgumentError(f"-o {out} is the folder of the images; choose another -o")
    only = getattr(options, "only", None)
    if options.images is None:
        digits = fdref.mnist().test
        images = ImageSet(digits.images[:, None], None, digits.labels.astype(np.int64))
        if only is None and hasattr(options, "only"):
            images = images.only(range(FEW))
    else:
        images = images_at(options.images, net, options, once=once)
    if only is not None:
        images = images.only(_numbers(only, len(images)))
    name = "the shipped digits" if options.images is None else options.images
    try:
        net.prepare(images.take([0]))
    except ArgumentError as error:
        remedy = "name its own with --images" if options.images is None else "resize or cut them"
        raise ArgumentError(f"{name}: {error}; {remedy}") from None
    for message in images.notes:
        note(options, message)
    return images


def _are_one(folder: Path, other: Path) -> bool:
    """Tell whether two folders, of which the second may not be there, are one."""
    return other.exists() and folder.samefile(other)


def images_at(
    path: Path, net: Network, options: argparse.Namespace, *, once: bool = False
) -> ImageSet:
    """Read images of a network's colours."""
    with progress_bar("reading", 1, quiet=options.quiet) as advance:
        channels, told = net.channels[0], lambda done, of: advance(done / of)
        return images_in(path, channels, options.channels, told, once=once)


def _numbers(text: str, count: int) -> list[int]:
    """Read which images are meant."""
    parts = ranges("--only", text)
    last = max(part[-1] for part in parts)
    if last >= count:
        raise ArgumentError(
            f"--only {text}: there is no image {last}; the images are 0 to {count - 1}"
        )
    return [number for part in parts for number in part]

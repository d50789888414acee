"""Labelled images that `fdref reproduce` shows to a network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import fdref
from fdref.commands.messages import printable
from fdref.commands.progress import progress_bar
from fdref.errors import ArgumentError, FileError
from fdref.layers import Softmax
from fdref.weights.bounded import Budget, contents
from fdref.weights.files import refusal
from fdref.weights.image_sets import images_in
from fdref.weights.npz import arrays_of
from fdref.weights.pixels import check_pixels

if TYPE_CHECKING:
    import argparse

    from fdref.network.graph import Network

    Labels = np.ndarray[Any, np.dtype[np.integer[Any]]]

ARCHIVE = "a .npz file of `images` (N, H, W) or (N, C, H, W) from 0 to 255 and `labels` (N,)"
IMAGES = (
    f"{ARCHIVE}; a folder that has a folder of pictures (PNG, JPEG) for each class; or CIFAR-10, "
    "JPEGs test/CLASS/*.jpg and train/CLASS/*.jpg or the binary version, in a folder or a .tar, "
    ".tar.gz or .tar.xz: its test images"
)
PACKED = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz")
OF_CIFAR = ("test", "test_batch.bin")
"""Files and folders of which a folder of CIFAR-10 has one."""


class Shown(NamedTuple):
    """Labelled images, which they are, and where filters are fitted and tested."""

    images: Any  # pixels of any dtype
    labels: Labels
    name: str
    folds: tuple[tuple[slice, slice], ...]


HALVES = ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2)))
"""Every other image: files are often sorted by class."""


def add_labelled(parser: argparse.ArgumentParser) -> None:
    """Add which images are shown."""
    which = parser.add_mutually_exclusive_group()
    add = which.add_argument
    add("--mnist", metavar="DIR", type=Path, help="all of MNIST (the 1,000 digits shipped)")
    add("--full", action="store_true", help="the same, fetched if it has not been yet")
    add("--images", metavar="FILE|DIR", type=Path, help=IMAGES)
    parser.add_argument(
        "--each",
        metavar="N",
        type=int,
        help="so many images of each class, from one end to the other (all)",
    )


def shown_images(net: Network, options: argparse.Namespace) -> Shown:
    """Read the images that were asked for, and make sure that the network takes them."""
    if options.each is not None and options.each < 2:
        raise ArgumentError(f"--each is {options.each}; expected at least 2 images of each class")
    if options.images is not None:
        shown = halved(labelled(net, options.images, quiet=options.quiet), options.each)
    elif options.full or options.mnist is not None:
        loud = not options.quiet and on_a_terminal()
        shown = whole_mnist(options.mnist, options.each, progress=loud)
    else:
        name = "MNIST, the sample that ships with fdref"
        shown = halved(Found(*fdref.mnist().test, name), options.each)
    try:
        net.prepare(shown.images[:1])
    except ArgumentError as error:
        raise ArgumentError(f"{shown.name}: {error}; name its own with --images") from None
    return shown


class Found(NamedTuple):
    """Labelled images, and which they are."""

    images: Any  # pixels of any dtype
    labels: Labels
    name: str

    def each(self, most: int | None) -> Found:
        """Leave so many of each class, as far from each other as can be."""
        if most is None:
            return self
        kept = np.sort(np.concatenate([
            which[np.linspace(0, len(which) - 1, min(most, len(which))).round().astype(np.intp)]
            for which in (np.flatnonzero(self.labels == label) for label in np.unique(self.labels))
        ]))  # fmt: skip
        return Found(self.images[kept], self.labels[kept], self.name)


def halved(found: Found, most: int | None) -> Shown:
    """Fit filters to one half of the images, and test them on the other, in turn."""
    return Shown(*found.each(most), HALVES)


def labelled(net: Network, path: Path, *, quiet: bool) -> Found:
    """Read the images that a file or a folder holds."""
    if path.is_dir() and not any((path / name).exists() for name in OF_CIFAR):
        return of_classes(net, path, quiet=quiet)
    if not path.is_dir() and not path.name.lower().endswith(PACKED):
        return archive(net, path)
    with progress_bar("reading", 60_000, quiet=quiet) as advance:
        every = fdref.cifar(path, advance)
    (images, labels), name = every.test, f"{every.version}, test images"
    del every  # with five times as many that are not shown
    return Found(images, check_labels(path, net, labels, len(images)), name)


def of_classes(net: Network, folder: Path, *, quiet: bool) -> Found:
    """Read a folder of folders, one for each class: called as the network's, or by name."""
    try:
        names = sorted(place.name for place in folder.iterdir() if place.is_dir())
    except OSError as error:
        raise refusal(f"{folder}", f"cannot be read: {error.strerror}") from error
    names = [name for name in names if not name.startswith(".")]
    if not names:
        raise refusal(f"{folder}", f"has no folders of pictures; expected {IMAGES}")
    known = set(names) <= set(net.classes)
    classes = list(net.classes) if known else names
    images, labels = [], []
    with progress_bar("reading", len(names), quiet=quiet) as advance:
        for name in names:
            found = images_in(folder / name, net.channels[0])
            images.append(found.take(range(len(found))))
            labels += [classes.index(name)] * len(found)
            if images[-1].shape[1:] != images[0].shape[1:]:
                one, first = (
                    "x".join(map(str, several.shape[:1:-1])) for several in (images[-1], images[0])
                )
                problem = f"has pictures of {one} pixels, {names[0]} of {first}"
                raise refusal(f"{folder / name}", f"{problem}; expected all of one size")
            advance(1)
    whole = check_labels(folder, net, np.array(labels), len(labels))
    return Found(np.concatenate(images), whole, printable(folder.name))


def whole_mnist(folder: Path | None, most: int | None, *, progress: bool) -> Shown:
    """Read all of MNIST, fetched where no folder is named: the test images come last."""
    if folder is None:
        from fdref.weights.fetch import fetch_mnist  # noqa: PLC0415 - only where it is used

        try:
            folder = fetch_mnist(progress=progress)
        except FileError as error:
            raise FileError(f"{error}; --mnist DIR takes MNIST from a folder") from None
    train, test = (Found(*part, "").each(most) for part in fdref.mnist(folder))
    cut = len(train.labels)
    images, labels = (np.concatenate(both) for both in zip(train[:2], test[:2], strict=True))
    folds = ((slice(0, cut), slice(cut, None)),)
    return Shown(images, labels, "MNIST, training and test images", folds)


def archive(net: Network, path: Path) -> Found:
    """Read and check somebody's images."""
    data = contents(path, ARCHIVE)
    try:
        arrays = arrays_of(data, f"{path}", Budget(), ("images", "labels"))
    except FileError as error:
        raise FileError(f"{error}; expected {IMAGES}") from None
    for name in ("images", "labels"):
        if name not in arrays:
            raise FileError(f"{path} has no array `{name}`; expected {ARCHIVE}")
    images, labels = arrays["images"], arrays["labels"]
    check_pixels(f"{path}: `images`", images, 2)
    whole = check_labels(path, net, labels, len(images))
    return Found(images, whole, printable(path.name))


def check_labels(path: Path, net: Network, labels: Labels, count: int) -> Labels:
    """Return labels as whole numbers, of which none is left out."""
    if labels.shape != (count,):
        raise ArgumentError(
            f"{path}: `labels` have shape {labels.shape}; expected ({count},), one for each image"
        )
    numbers = labels.dtype.kind in "fiu" and np.isfinite(labels).all()
    if not numbers or (labels % 1).any():
        raise ArgumentError(
            f"{path}: `labels` of dtype {labels.dtype} are not whole numbers; expected classes "
            "from 0"
        )
    found = np.unique(labels)
    if found[0] < 0:
        raise ArgumentError(f"{path}: `labels` start at {found[0]}; expected classes from 0")
    classes = len(net.classes)
    if isinstance(net[len(net)], Softmax):
        classes = net.channels[-1]
    gap = next((i for i, label in enumerate(found) if label != i), len(found))
    if gap < max(classes, len(found)):
        last = max(classes - 1, int(found[-1]))
        raise ArgumentError(
            f"{path}: no image is labelled {gap}; expected at least one of each class, 0 to {last}"
        )
    return labels.astype(np.int64)


def on_a_terminal() -> bool:
    """Tell whether somebody sees a progress bar."""
    return sys.stderr is not None and sys.stderr.isatty()

"""`fdref reproduce`: the paper's table and figures, recomputed, as a report."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import platform
import sys
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import fdref
from fdref.commands.drawing import drawing
from fdref.commands.progress import progress_bar
from fdref.commands.table import print_table, printable
from fdref.errors import ArgumentError, FileError
from fdref.layers import Softmax
from fdref.weights import SHIPPED
from fdref.whole_files import check_folder, write_folder

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from fdref.arrays import Array
    from fdref.network import Network
    from fdref.paper.subject import Reproduction

    Labels = np.ndarray[Any, np.dtype[np.integer[Any]]]

TITLE = "Filter decoding with substitution: the paper's table and figures, recomputed"
FIGURES = tuple(f"figure{number}" for number in range(1, 8))
NAMES = (
    *("report.html", "report.h5", "table1.json", "table1.csv"),
    *(f"{stem}.{kind}" for stem in FIGURES for kind in ("png", "svg")),
)
COLUMNS = ("layer", "unpool", "paper", "here", "correlation", "linear filter")
ARCHIVE = "a .npz file of `images` (N, H, W) or (N, C, H, W) from 0 to 255 and `labels` (N,)"


class Shown(NamedTuple):
    """Labelled images, which they are, and where the linear ceiling is fitted and tested."""

    images: Any  # pixels of any dtype
    labels: Labels
    name: str
    folds: tuple[tuple[slice, slice], ...]


HALVES = ((slice(0, None, 2), slice(1, None, 2)), (slice(1, None, 2), slice(0, None, 2)))
"""Every other image: files are often sorted by class."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "reproduce",
        help="recompute the paper's table and figures",
        description="Recompute the paper's table and figures and say which of its claims hold. "
        "Writes DIR/report.html, with the table as JSON and CSV, the figures as PNG and SVG, and "
        "the numbers behind them as HDF5.",
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="a SimpleNN .mat file, v7.3 (the shipped LeNet)"
    )
    which = parser.add_mutually_exclusive_group()
    add = which.add_argument
    add("--mnist", metavar="DIR", type=Path, help="all of MNIST (the 1,000 digits shipped)")
    add("--full", action="store_true", help="the same, fetched if it has not been yet")
    add("--images", metavar="FILE", type=Path, help=ARCHIVE)
    parser.add_argument(
        "-o", dest="folder", metavar="DIR", type=Path, default=Path("reproduction"),
        help="(reproduction)",
    )  # fmt: skip
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Check everything, then compute, then write."""
    from fdref.paper import claims  # noqa: PLC0415 - only where it is used
    from fdref.paper.subject import Subject  # noqa: PLC0415

    source = SHIPPED if options.model is None else Path(options.model)
    net = fdref.load(source)
    check_folder(options.folder, NAMES)
    drawing("fdref.paper.figures")
    shown = shown_images(net, options)
    facts = describe(source, net, shown)
    subject = Subject(net, shown.images, shown.labels, shown.folds)
    with progress_bar(subject.work, "images") as advance:
        result = claims.reproduce(subject, advance)
    try:
        write_folder(options.folder, files_of(result, facts))
    finally:  # if the disk is full, the table is not lost, too
        tell(result)
    print(f"wrote {printable(str(options.folder / 'report.html'))}, the figures and the numbers")


def shown_images(net: Network, options: argparse.Namespace) -> Shown:
    """Read the images that were asked for, and make sure that the network takes them."""
    if options.images is not None:
        shown = archive(net, options.images)
    elif options.full or options.mnist is not None:
        shown = whole_mnist(options.mnist)
    else:
        images, labels = fdref.mnist().test
        shown = Shown(images, labels, "MNIST, the sample that ships with fdref", HALVES)
    try:
        net.prepare(shown.images[:1])
    except ArgumentError as error:
        raise ArgumentError(f"{shown.name}: {error}; name its own with --images") from None
    return shown


def whole_mnist(folder: Path | None) -> Shown:
    """Read all of MNIST, fetched where no folder is named: the test images come last."""
    if folder is None:
        from fdref.weights.fetch import fetch_mnist  # noqa: PLC0415 - only where it is used

        folder = fetch_mnist(progress=on_a_terminal())
    train, test = fdref.mnist(folder)
    cut = len(train.labels)
    images, labels = (np.concatenate(parts) for parts in zip(train, test, strict=True))
    folds = ((slice(0, cut), slice(cut, None)),)
    return Shown(images, labels, "MNIST, training and test images", folds)


def archive(net: Network, path: Path) -> Shown:
    """Read and check somebody's images."""
    try:
        with path.open("rb") as file:
            if file.read(4) != b"PK\3\4":
                raise FileError(f"{path} is no .npz file; expected {ARCHIVE}")
            file.seek(0)
            with np.load(file, allow_pickle=False) as arrays:
                for name in ("images", "labels"):
                    if name not in arrays:
                        raise FileError(f"{path} has no array `{name}`; expected {ARCHIVE}")
                images, labels = arrays["images"], arrays["labels"]
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, zlib.error) as error:
        reason = getattr(error, "strerror", None) or error
        raise FileError(f"{path} cannot be read: {reason}; expected {ARCHIVE}") from None
    check_images(path, images)
    whole = check_labels(path, net, labels, len(images))
    return Shown(images, whole, printable(path.name), HALVES)


def check_images(path: Path, images: Array) -> None:
    """Refuse what is no set of pictures."""
    if images.dtype.kind not in "fiu":
        raise ArgumentError(f"{path}: `images` have dtype {images.dtype}; expected numbers")
    if images.ndim not in (3, 4):
        raise ArgumentError(
            f"{path}: `images` have shape {images.shape}; expected (N, H, W) or (N, C, H, W)"
        )
    if len(images) < 2 or not images.size:
        raise ArgumentError(
            f"{path}: `images` have shape {images.shape}; expected at least two images"
        )
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 255):  # NaN is neither
        raise ArgumentError(
            f"{path}: `images` have values from {low} to {high}; expected pixels from 0 to 255"
        )
    if high <= 1 and images.dtype.kind == "f":
        raise ArgumentError(
            f"{path}: `images` have values from {low} to {high}; expected pixels from 0 to 255, "
            "not from 0 to 1: multiply them by 255"
        )


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


def describe(source: Path, net: Network, shown: Shown) -> dict[str, str]:
    """Say what is run, on what and where; not when, so that the same input gives the same file."""
    from importlib.metadata import version  # noqa: PLC0415 - so that other commands are quick

    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = " × ".join(map(str, shown.images.shape[1:]))
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba"))
    return {
        "Method": "Rafegas & Vanrell, arXiv 1511.05084",
        "Model": f"{printable(source.name)}: {', '.join(layer.kind for layer in net)}",
        "SHA-256": digest,
        "Images": f"{shown.name}: {len(shown.images):,} of {size} pixels",
        "Versions": f"fdref {fdref.__version__}, Python {platform.python_version()}, {libraries}",
        "Machine": f"{processor()}, {os.cpu_count()} CPUs, {platform.system()}",
    }


def processor() -> str:
    """Name the processor; on Linux Python itself does not know it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return printable((names or [platform.processor()])[0]) or platform.machine()


def files_of(result: Reproduction, facts: Mapping[str, str]) -> dict[str, bytes]:
    """Return all files by their names."""
    from fdref.paper import figures, report  # noqa: PLC0415 - matplotlib takes its time
    from fdref.paper.page import encoded  # noqa: PLC0415

    files, pictures = {}, {}
    for stem, arguments in result.drawings.items():
        for kind, data in encoded(getattr(figures, stem)(*arguments)).items():
            files[f"{stem}.{kind}"] = data
        pictures[stem] = files[f"{stem}.png"]
    files["report.h5"] = numbers_of(result, facts)
    files["table1.json"] = f"{json.dumps(result.table1, indent=1, allow_nan=False)}\n".encode()
    text = io.StringIO(newline="")
    rows = csv.DictWriter(text, list(result.table1[0]), lineterminator="\n")
    rows.writeheader()
    rows.writerows(result.table1)
    files["table1.csv"] = text.getvalue().encode()
    files["report.html"] = report.page(TITLE, facts, result.sections, pictures).encode()
    return files


def numbers_of(result: Reproduction, facts: Mapping[str, str]) -> bytes:
    """Return the HDF5 file of the numbers behind table and figures."""
    import h5py  # noqa: PLC0415 - only where it is used, so that --help is quick

    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs.update(facts)
        for name, values in result.numbers.items():
            file.create_dataset(name, data=values)
    return buffer.getvalue()


def tell(result: Reproduction) -> None:
    """Print table 1 beside the paper's, and how many claims hold."""
    rows = []
    for cell in result.table1:
        paper, here = (
            "" if mean is None else f"{mean:.4f} +/- {std:.4f}"
            for mean, std in (
                (cell["paper_mean"], cell["paper_std"]),
                (cell["mean"], cell["std"]),
            )
        )
        ceiling = "" if cell["ceiling"] is None else f"{cell['ceiling']:.4f}"
        correlation = f"{cell['correlation']:.3f}"
        rows.append((str(cell["layer"]), str(cell["unpool"]), paper, here, correlation, ceiling))
    print_table(COLUMNS, rows)
    verdicts = [claim.holds for section in result.sections for claim in section.claims]
    yes, no, moot = (sum(found is verdict for found in verdicts) for verdict in (True, False, None))
    print(f"\nof {len(verdicts)} claims, hold: {yes}, do not hold: {no}, do not apply: {moot}")


def on_a_terminal() -> bool:
    """Tell whether somebody sees a progress bar."""
    return sys.stderr is not None and sys.stderr.isatty()

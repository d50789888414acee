"""`fdref reproduce`: the paper's table and figures, recomputed, as a report."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

import fdref
from fdref.commands.drawing import drawing
from fdref.commands.messages import add_quiet, printable
from fdref.commands.models import add_model, load, source_of
from fdref.commands.places import named
from fdref.commands.progress import progress_bar
from fdref.drawing.text_table import table
from fdref.errors import ArgumentError, FileError
from fdref.files.whole import check_folder, write_folder
from fdref.layers import Softmax
from fdref.weights.bounded import Budget, contents, opened
from fdref.weights.image_sets import check_pixels
from fdref.weights.npz import arrays_of

if TYPE_CHECKING:
    import argparse

    from fdref.network.graph import Network
    from fdref.paper.exhibit import Claim
    from fdref.paper.reproduction import Reproduction

    Labels = np.ndarray[Any, np.dtype[np.integer[Any]]]

FIGURES = (
    *(f"figure{number}" for number in range(1, 8)),
    *("nonlinearities", "decoded_filter", "zeiler_fergus", "occlusion", "inversion", "textures"),
)
NAMES = (
    *("report.html", "report.h5", "table1.json", "table1.csv"),
    *(f"{stem}.{kind}" for stem in FIGURES for kind in ("png", "svg")),
)
COLUMNS = ("layer", "unpool", "paper", "here", "correlation", "linear filter", "affine filter")
ARCHIVE = "a .npz file of `images` (N, H, W) or (N, C, H, W) from 0 to 255 and `labels` (N,)"


class Shown(NamedTuple):
    """Labelled images, which they are, and where filters are fitted and tested."""

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
    add_model(parser)
    which = parser.add_mutually_exclusive_group()
    add = which.add_argument
    add("--mnist", metavar="DIR", type=Path, help="all of MNIST (the 1,000 digits shipped)")
    add("--full", action="store_true", help="the same, fetched if it has not been yet")
    add("--images", metavar="FILE", type=Path, help=ARCHIVE)
    parser.add_argument(
        "-o", dest="folder", metavar="DIR", type=named, default=Path("reproduction"),
        help="(reproduction)",
    )  # fmt: skip
    add_quiet(parser)
    parser.set_defaults(run=run, less="; show it fewer images")


def run(options: argparse.Namespace) -> None:
    """Check everything, then compute, then write."""
    source = source_of(options)
    net = load(options)
    check_folder(options.folder, NAMES)
    drawing("fdref.drawing.canvas")
    from fdref.paper.files import files_of  # noqa: PLC0415 - matplotlib takes its time
    from fdref.paper.reproduction import reproduce, work  # noqa: PLC0415 - only where it is used
    from fdref.paper.subject import Subject  # noqa: PLC0415

    shown = shown_images(net, options)
    facts = describe(source, net, shown)
    subject = Subject(net, shown.images, shown.labels, shown.folds)
    with progress_bar("computing", work(subject), quiet=options.quiet) as advance:
        result = reproduce(subject, advance)
    try:
        drawn = sum(exhibit.draw is not None for exhibit in result.exhibits)
        with progress_bar("drawing", drawn, quiet=options.quiet) as advance:
            files = files_of(result, facts, advance)
        write_folder(options.folder, files)
    finally:  # if the disk is full, the table is not lost, too
        if not options.quiet:
            tell(result)
    if not options.quiet:
        path = printable(str(options.folder / "report.html"))
        print(f"wrote {path}, the figures and the numbers")


def shown_images(net: Network, options: argparse.Namespace) -> Shown:
    """Read the images that were asked for, and make sure that the network takes them."""
    if options.images is not None:
        shown = archive(net, options.images)
    elif options.full or options.mnist is not None:
        shown = whole_mnist(options.mnist, progress=not options.quiet and on_a_terminal())
    else:
        images, labels = fdref.mnist().test
        shown = Shown(images, labels, "MNIST, the sample that ships with fdref", HALVES)
    try:
        net.prepare(shown.images[:1])
    except ArgumentError as error:
        raise ArgumentError(f"{shown.name}: {error}; name its own with --images") from None
    return shown


def whole_mnist(folder: Path | None, *, progress: bool) -> Shown:
    """Read all of MNIST, fetched where no folder is named: the test images come last."""
    if folder is None:
        from fdref.weights.fetch import fetch_mnist  # noqa: PLC0415 - only where it is used

        try:
            folder = fetch_mnist(progress=progress)
        except FileError as error:
            raise FileError(f"{error}; --mnist DIR takes MNIST from a folder") from None
    train, test = fdref.mnist(folder)
    cut = len(train.labels)
    images, labels = (np.concatenate(parts) for parts in zip(train, test, strict=True))
    folds = ((slice(0, cut), slice(cut, None)),)
    return Shown(images, labels, "MNIST, training and test images", folds)


def archive(net: Network, path: Path) -> Shown:
    """Read and check somebody's images."""
    data = contents(path, ARCHIVE)
    try:
        arrays = arrays_of(data, f"{path}", Budget(), ("images", "labels"))
    except FileError as error:
        raise FileError(f"{error}; expected {ARCHIVE}") from None
    for name in ("images", "labels"):
        if name not in arrays:
            raise FileError(f"{path} has no array `{name}`; expected {ARCHIVE}")
    images, labels = arrays["images"], arrays["labels"]
    check_pixels(f"{path}: `images`", images, 2)
    whole = check_labels(path, net, labels, len(images))
    return Shown(images, whole, printable(path.name), HALVES)


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

    with opened(source, "the network again") as file:
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


def tell(result: Reproduction) -> None:
    """Print table 1 beside the paper's, what became of each claim, and how many hold."""
    rows = [
        (
            str(row.layer),
            row.unpool,
            plus_minus(row.paper_mean, row.paper_std),
            plus_minus(row.mean, row.std) or "nothing to compare",
            short(row.correlation, ".3f"),
            short(row.ceiling),
            short(row.affine_ceiling),
        )
        for row in result.table
    ]
    print(table(COLUMNS, rows))
    print()
    claims = [claim for exhibit in result.exhibits for claim in exhibit.claims]
    header = ("verdict", "measured", "threshold", "claim")
    print(table(header, [judgement(claim) for claim in claims]))
    verdicts = [claim.holds for claim in claims]
    yes, no, moot = (sum(found is verdict for found in verdicts) for verdict in (True, False, None))
    print(f"\nof {len(verdicts)} claims, hold: {yes}, do not hold: {no}, do not apply: {moot}")


def plus_minus(mean: float | None, std: float | None) -> str:
    """Write a mean and a standard deviation, if there are any, for any terminal."""
    return "" if mean is None else f"{mean:.4f} +/- {std:.4f}"


def short(value: float | None, form: str = ".4f") -> str:
    """Write a number, if there is one."""
    return "" if value is None else f"{value:{form}}"


def judgement(claim: Claim) -> tuple[str, str, str, str]:
    """Return a claim's verdict, what it was judged by, and what it is."""
    if claim.measured is None or claim.threshold is None:
        why = f" ({claim.found})" if claim.holds is None else ""
        return claim.verdict, "", "", f"{claim.text}{why}"
    threshold = f"{claim.relation} {claim.threshold:.4g}"
    return claim.verdict, f"{claim.measured:.4g}", threshold, claim.text


def on_a_terminal() -> bool:
    """Tell whether somebody sees a progress bar."""
    return sys.stderr is not None and sys.stderr.isatty()

"""`fdref reproduce`: the paper's table and figures, recomputed, as a report."""

from __future__ import annotations

import hashlib
import os
import platform
from pathlib import Path
from typing import TYPE_CHECKING

import fdref
from fdref.commands.drawing import drawing
from fdref.commands.labelled import add_labelled, shown_images
from fdref.commands.messages import add_quiet, printable
from fdref.commands.models import add_model, load, source_of
from fdref.commands.places import named
from fdref.commands.progress import progress_bar
from fdref.drawing.text_table import table
from fdref.files.whole import check_folder, write_folder
from fdref.weights.bounded import opened

if TYPE_CHECKING:
    import argparse

    from fdref.commands.labelled import Shown
    from fdref.network.graph import Network
    from fdref.paper.exhibit import Claim
    from fdref.paper.reproduction import Reproduction

FIGURES = (
    *(f"figure{number}" for number in range(1, 8)),
    *("nonlinearities", "decoded_filter", "zeiler_fergus", "occlusion", "inversion", "textures"),
)
NAMES = (
    *("report.html", "report.h5", "table1.json", "table1.csv"),
    *(f"{stem}.{kind}" for stem in FIGURES for kind in ("png", "svg")),
)
OTHERS = (
    "the papers', made of other networks and images: what does not hold here is not refuted there, "
    "and what is about their networks alone is left out"
)
COLUMNS = ("layer", "unpool", "paper", "here", "correlation", "linear filter", "affine filter")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "reproduce",
        help="recompute the paper's table and figures",
        description="Recompute the paper's table and figures, and those of Zeiler & Fergus and of "
        "Xia et al., and say which of their claims hold: for the LeNet on its digits; for the "
        "network of photographs by `fdref reproduce cifar --images cifar10.tar.xz --each 100`; for "
        "a network of your own on your own images. Writes DIR/report.html, with the table as JSON "
        "and CSV, the figures as PNG and SVG, and the numbers behind them as HDF5.",
    )
    add_model(parser)
    add_labelled(parser)
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


def describe(source: Path, net: Network, shown: Shown) -> dict[str, str]:
    """Say what is run, on what and where; not when, so that the same input gives the same file."""
    from importlib.metadata import version  # noqa: PLC0415 - so that other commands are quick

    with opened(source, "the network again") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = " × ".join(map(str, shown.images.shape[1:]))
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "numba"))
    from fdref.paper.table1 import is_lenet  # noqa: PLC0415

    others = {} if is_lenet(net) else {"Claims": OTHERS}
    return {
        "Method": "Rafegas & Vanrell, arXiv 1511.05084",
        "Model": f"{printable(source.name)}: {', '.join(layer.kind for layer in net)}",
        "SHA-256": digest,
        "Images": f"{shown.name}: {len(shown.images):,} of {size} pixels",
        "Versions": f"fdref {fdref.__version__}, Python {platform.python_version()}, {libraries}",
        "Machine": f"{processor()}, {os.cpu_count()} CPUs, {platform.system()}",
    } | others


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

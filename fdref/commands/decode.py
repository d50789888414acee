"""`fdref decode`: a network's filters as numbers and pictures."""

from __future__ import annotations

import hashlib
import io
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import fdref
from fdref.commands.drawing import drawing
from fdref.commands.info import by
from fdref.commands.jobs import read_jobs
from fdref.commands.messages import say
from fdref.commands.progress import progress_bar
from fdref.commands.table import LONGEST_NAME, print_table, printable
from fdref.contents import Contents
from fdref.errors import FdrefError, FileError
from fdref.open_folder import refusal
from fdref.resize import METHODS
from fdref.to_disk import decoded_file
from fdref.weights import SHIPPED
from fdref.whole_files import folder_for

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from fdref.contents import Job
    from fdref.decoded_file import Bank, DecodedFile
    from fdref.network import Network
    from fdref.open_folder import Folder
    from fdref.planning import Plan

NAME = "decoded.h5"
COLUMNS = ("layer", "filters", "pixels", "smallest", "largest", "seconds", "dataset", "picture")
PLANNED = ("layer", "filters", "way", "multiply-adds", "memory", "seconds", "")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "decode",
        help="decode filters to image space",
        description="Decode filters to image space. Writes DIR/decoded.h5, one dataset a layer, "
        "and one picture a layer: each filter on its own contrast, grey is zero. Layers are added "
        "to what DIR holds of the same network, unpooling and engine. After a long run was "
        "interrupted or killed, the same command goes on where it stopped.",
    )
    add = parser.add_argument
    add("model", metavar="MODEL", nargs="?", help="a SimpleNN .mat file, v7.3 (the shipped LeNet)")
    add("--layers", metavar="1,3,5", help="numbers or names of layers (every convolution)")
    add("--filters", metavar="0-9,12", help="numbers of filters, from 0 (all)")
    add("--unpool", choices=METHODS, default="bicubic", help="how pooling is undone (bicubic)")
    add(
        "--engine",
        choices=("compiled", "reference"),
        default="compiled",
        help="Numba in the weights' precision, or plain NumPy in float64 (compiled)",
    )
    add("--plan", action="store_true", help="show the ways to decode and what they cost; no more")
    add(
        "--max-memory", metavar="2G", type=memory, help="bytes beside the result (half of the free)"
    )
    add("--no-pictures", action="store_true", help="write decoded.h5 alone")
    add("--force", action="store_true", help="replace what DIR holds of something else")
    add("-o", dest="folder", metavar="DIR", type=Path, default=Path("decoded"), help="(decoded)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Decode and write; nothing is written before all that was asked for is found to exist."""
    source = SHIPPED if options.model is None else Path(options.model)
    net = fdref.load(source)
    jobs = read_jobs(net, options.layers, options.filters)
    contents = Contents(net, jobs, options.unpool, options.engine, describe(source))
    plan = contents.plan(options.max_memory)
    if options.plan:
        print_plan(net, plan)
        return
    if not options.no_pictures:
        drawing("fdref.pictures", "mend it, or use --no-pictures")
    with telling_what_is_kept(), folder_for(options.folder) as folder:
        rows = write(contents, plan, options, folder)
    print_table(COLUMNS, rows)
    pictures = "" if options.no_pictures else " and the pictures"
    print(f"wrote {printable(str(options.folder / NAME))}{pictures}")


def describe(source: Path) -> dict[str, str]:
    """Say where the network comes from."""
    with source.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"model": printable(source.name), "model_sha256": digest}


def write(
    contents: Contents, plan: Plan, options: argparse.Namespace, folder: Folder
) -> list[tuple[str, ...]]:
    """Decode into a folder, and draw; return what to tell about each layer."""
    with decoded_file(folder, NAME, contents, force=options.force) as file:
        pictures = {} if options.no_pictures else {j.stem: f"{j.stem}.png" for j in contents.jobs}
        if not options.force:
            refuse_taken(file, [pictures[stem] for stem in pictures if stem not in file.present])
        if file.done:
            say(f"going on with {file.done:,} of {file.filters:,} filters found before")
        if file.done < file.filters:
            with progress_bar(file.filters, "filters", file.done) as advance:
                file.fill(plan, options.max_memory, advance)
        stale = [f"{stem}.png" for stem in file.replaced if stem not in file.banks]
        file.publish(NAME)
        for name in stale:
            folder.remove(name)
        for job in contents.jobs if pictures else ():
            draw(file, job, pictures[job.stem])
        return [
            summary(job, file.banks[job.stem], pictures.get(job.stem, "")) for job in contents.jobs
        ]


def refuse_taken(file: DecodedFile, names: list[str]) -> None:
    """Refuse to replace pictures that are not of the layers in a file."""
    for name in names:
        if file.folder.status(name) is not None:
            remedy = "delete it, choose another -o, or replace it by --force"
            raise refusal(file.folder.path / name, f"exists already; {remedy}")


@contextmanager
def telling_what_is_kept() -> Iterator[None]:
    """Say beside the error what it has not cost."""
    try:
        yield
    except BaseException as error:
        kept = "; ".join(getattr(error, "__notes__", ()))
        if kept and isinstance(error, KeyboardInterrupt):
            raise KeyboardInterrupt(f"; {kept}") from None
        if kept and isinstance(error, (FdrefError, MemoryError)):
            kind = MemoryError if isinstance(error, MemoryError) else type(error)
            raise kind(f"{error}; {kept}") from None
        if kept and isinstance(error, SystemExit):
            say(f"stopped; {kept}")
        raise


def print_plan(net: Network, plan: Plan) -> None:
    """Show every way to each layer's filters, and which are taken."""
    others = [way for way in plan.ways if way not in plan.considered]
    rows = []
    for way in sorted([*plan.considered, *others], key=lambda way: way.layer):
        met = f", meets layer {way.boundary}" if way.boundary else ""
        rows.append(
            (
                printable(net.describe(way.layer), LONGEST_NAME),
                str(way.filters),
                f"{way.kind}{met}",
                f"{way.cost.multiplied:.3g}",
                f"{way.memory / 2**20:.1f} MiB",
                f"{way.seconds:.4f}",
                "taken" if way in plan.ways else "",
            )
        )
    print_table(PLANNED, rows)
    print(f"estimated for the compiled engine on two cores: {plan.seconds:.4f} s")


def memory(text: str) -> int:
    """Read a size in bytes, such as 500M or 2G.

    >>> memory("2G")
    2147483648
    """
    match = re.fullmatch(r"([0-9]{1,12})([KMGT]?)", text.strip().upper())
    if match is None:
        raise ValueError(text)
    factor: int = 1024 ** " KMGT".index(match[2] or " ")
    return int(match[1]) * factor


def summary(job: Job, bank: Bank, picture: str) -> tuple[str, ...]:
    """Say what was decoded, in the order of `COLUMNS`."""
    return (
        printable(job.label, LONGEST_NAME),
        str(bank.done),
        f"{bank.shape[1]} x {by(bank.shape[2:])}",
        f"{bank.smallest:.4g}",
        f"{bank.largest:.4g}",
        f"{bank.seconds:.3f}",
        job.stem,
        picture,
    )


def draw(file: DecodedFile, job: Job, name: str) -> None:
    """Draw one layer's decoded filters."""
    from fdref.pictures import save_filters  # noqa: PLC0415 - matplotlib takes its time

    try:
        bank = file.pictures(job)
        label = printable(job.label, LONGEST_NAME)
        filters = "filter" if len(bank) == 1 else "filters"
        size, unpool = by(bank.shape[2:]), file.contents.unpool
        title = f"{label}: {len(bank)} decoded {filters} of {size} pixels, {unpool}"
        picture = io.BytesIO()
        save_filters(picture, bank, title, [str(k) for k in job.filters])
        file.folder.replace(name, picture.getvalue())
    except BaseException as error:
        kept = f"{NAME} is written; the same command draws what is missing"
        if isinstance(error, (FdrefError, MemoryError)) or not isinstance(error, Exception):
            error.add_note(kept)
            raise
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise FileError(f"{name} cannot be drawn: {reason}; {kept}") from error

"""`fdref decode`: a network's filters as numbers and pictures."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import fdref
from fdref.blocks import Plan
from fdref.commands.decoded_file import NAME, Contents, decoded_file
from fdref.commands.info import by
from fdref.commands.jobs import read_jobs
from fdref.commands.messages import say
from fdref.commands.output import new_files
from fdref.commands.progress import progress_bar
from fdref.commands.table import LONGEST_NAME, print_table, printable
from fdref.planning import free_memory
from fdref.resize import METHODS
from fdref.weights import SHIPPED
from fdref.weights.bounded import opened

if TYPE_CHECKING:
    import argparse

    from fdref.arrays import Array
    from fdref.commands.decoded_file import Bank, DecodedFile
    from fdref.commands.jobs import Job
    from fdref.network import Network
    from fdref.planning import Choice

METHOD = "filter decoding with substitution, arXiv 1511.05084"
COLUMNS = ("layer", "filters", "pixels", "smallest", "largest", "seconds", "dataset", "picture")
PLANNED = ("layer", "filters", "way", "multiply-adds", "memory", "seconds", "")
BLOCK = 2**23
"""Numbers that are written at a time."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "decode",
        help="decode filters to image space",
        description="Decode filters to image space. Writes DIR/decoded.h5, one dataset a layer, "
        "and one picture a layer: each filter on its own contrast, grey is zero. After a long run "
        "was interrupted or killed, the same command goes on where it stopped.",
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
    add("-o", dest="folder", metavar="DIR", type=Path, default=Path("decoded"), help="(decoded)")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Decode and write; nothing is written before all that was asked for is found to exist."""
    source = SHIPPED if options.model is None else Path(options.model)
    net = fdref.load(source)
    jobs = read_jobs(net, options.layers, options.filters)
    contents = Contents(net, jobs, describe(source, options))
    plan = plan_within(contents, options.max_memory)
    if options.plan:
        print_plan(net, plan.choice)
        return
    names = [NAME]
    if not options.no_pictures:
        names += [f"{job.stem}.png" for job in jobs]
    with new_files(options.folder, names, contents.name_for(options.folder)) as folder:
        rows = write(contents, plan, options, folder)
    print_table(COLUMNS, rows)
    pictures = " and the pictures" if len(names) > 1 else ""
    print(f"wrote {printable(str(options.folder / NAME))}{pictures}")


def describe(source: Path, options: argparse.Namespace) -> dict[str, str]:
    """Say what every dataset is the result of."""
    with opened(source, "the network again") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {
        "method": METHOD,
        "unpool": options.unpool,
        "engine": options.engine,
        "fdref_version": fdref.__version__,
        "model": printable(source.name),
        "model_sha256": digest,
    }


def plan_within(contents: Contents, max_memory: int | None) -> Plan:
    """Plan how to decode the filters of all jobs."""
    unpool, engine = contents.facts["unpool"], contents.facts["engine"]
    return Plan(contents.net, contents.wanted, unpool, engine, max_memory)


def write(
    contents: Contents, plan: Plan, options: argparse.Namespace, folder: Path
) -> list[tuple[str, ...]]:
    """Decode into a folder, and draw; return what to tell about each layer."""
    rows = []
    with decoded_file(folder, contents) as file:
        if file.done:
            say(f"going on with {file.done:,} of {file.filters:,} filters found before")
        if options.max_memory is None:
            plan = plan_as_before(file, plan)
        if file.done < file.filters:
            fill(file, plan)
        for number, bank in file.banks.items():
            picture = ""
            if not options.no_pictures:
                picture = f"{bank.job.stem}.png"
                draw(folder / picture, bank.job, file.read(number), options.unpool)
            rows.append(summary(bank, picture))
    return rows


def plan_as_before(file: DecodedFile, plan: Plan) -> Plan:
    """Return the plan by which what was found before was decoded, unless memory is too scarce."""
    if file.memory not in {0, plan.choice.memory} and file.memory <= free_memory():
        plan = plan_within(file.contents, file.memory)
    file.memory = plan.choice.memory
    return plan


def fill(file: DecodedFile, plan: Plan) -> None:
    """Decode what is not there yet, and write it block by block."""
    with (
        progress_bar(file.filters, "filters", file.done) as advance,
        np.errstate(all="ignore"),
    ):
        for block in plan.blocks(BLOCK, file.found):
            new = file.write(block)
            if advance is not None:
                advance(new)


def print_plan(net: Network, plan: Choice) -> None:
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


def summary(bank: Bank, picture: str) -> tuple[str, ...]:
    """Say what was decoded, in the order of `COLUMNS`."""
    return (
        printable(bank.job.label, LONGEST_NAME),
        str(bank.done),
        f"{bank.shape[1]} x {by(bank.shape[2:])}",
        f"{bank.smallest:.4g}",
        f"{bank.largest:.4g}",
        f"{bank.seconds:.3f}",
        bank.job.stem,
        picture,
    )


def draw(path: Path, job: Job, bank: Array, unpool: str) -> None:
    """Draw one layer's decoded filters."""
    os.environ["MPLBACKEND"] = "agg"  # with one that it does not know, matplotlib does not load
    from fdref.pictures import save_filters  # noqa: PLC0415 - matplotlib takes its time

    label = printable(job.label, LONGEST_NAME)
    filters = "filter" if len(bank) == 1 else "filters"
    title = f"{label}: {len(bank)} decoded {filters} of {by(bank.shape[2:])} pixels, {unpool}"
    save_filters(path, bank, title, [str(k) for k in job.filters])

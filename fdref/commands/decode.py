"""`fdref decode`: a network's filters as numbers and pictures."""

from __future__ import annotations

import argparse
import hashlib
import os
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import fdref
from fdref.blocks import Decoder
from fdref.commands.decode_report import decoded_json, decoded_table, plan_json, plan_table
from fdref.commands.decoded_file import NAME, Contents, decoded_file
from fdref.commands.info import by
from fdref.commands.jobs import read_jobs
from fdref.commands.messages import add_quiet, note, tell
from fdref.commands.output import new_files
from fdref.commands.places import add_json, check_places, named, write_json
from fdref.commands.progress import progress_bar
from fdref.commands.table import LONGEST_NAME, printable
from fdref.decoding import plan_for
from fdref.engine import engine_named
from fdref.errors import ArgumentError
from fdref.planning import free_memory
from fdref.resize import METHODS
from fdref.weights import SHIPPED

if TYPE_CHECKING:
    from fdref.arrays import Array
    from fdref.commands.decode_report import Decoded
    from fdref.commands.decoded_file import DecodedFile
    from fdref.commands.jobs import Job
    from fdref.commands.progress import Advance
    from fdref.planning import Plan

METHOD = "filter decoding with substitution, arXiv 1511.05084"
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
    add("--layers", metavar="1,3-7", help="numbers, ranges or names of layers (all with filters)")
    add("--filters", metavar="0-9,12", help="numbers of filters, from 0 (all)")
    add("--unpool", choices=METHODS, default="bicubic", help="how pooling is undone (bicubic)")
    add(
        "--engine",
        choices=("compiled", "reference"),
        default="compiled",
        help="Numba in the weights' precision, or plain NumPy in float64 (compiled)",
    )
    add("--plan", action="store_true", help="show the ways to decode and what they cost; no more")
    add("--max-memory", metavar="2GB", type=memory, help="beside the result (half of the free)")
    add("--no-pictures", action="store_true", help="write decoded.h5 alone")
    add("-o", dest="folder", metavar="DIR", type=named, default=Path("decoded"), help="(decoded)")
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=run, less="; ask for fewer filters or layers")


def run(options: argparse.Namespace) -> None:
    """Decode and write; nothing is written before all that was asked for is found to exist."""
    source = SHIPPED if options.model is None else Path(options.model)
    out = None if options.plan else options.folder
    check_places({"--json": options.json}, [source] if out is None else [source, out], out)
    net = fdref.load(source)
    jobs = read_jobs(net, options.layers, options.filters)
    contents = Contents(net, jobs, describe(source, options))
    plan = plan_within(contents, options.max_memory)
    if out is None:
        write_json(options.json, plan_json(net, contents.facts, plan))
        tell(options, plan_table(net, plan))
        return
    names = [NAME]
    if not options.no_pictures:
        names += [f"{job.stem}.png" for job in jobs]
    check_places({"--json": options.json}, [out / name for name in names], out)
    with new_files(options.folder, names, contents.name_for(options.folder)) as folder:
        decoded = write(contents, plan, options, folder)
    path = str(options.folder / NAME)
    write_json(options.json, decoded_json(net, contents.facts, path, decoded))
    pictures = " and the pictures" if len(names) > 1 else ""
    tell(options, f"{decoded_table(decoded)}\nwrote {printable(path)}{pictures}")


def describe(source: Path, options: argparse.Namespace) -> dict[str, str]:
    """Say what every dataset is the result of."""
    with source.open("rb") as file:
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
    try:
        return plan_for(contents.net, contents.wanted, unpool, engine, max_memory)
    except ArgumentError as error:
        raise ArgumentError(str(error).replace("max_memory", "--max-memory")) from None


def write(contents: Contents, plan: Plan, options: argparse.Namespace, folder: Path) -> Decoded:
    """Decode into a folder, and draw; return what there is to tell about."""
    with decoded_file(folder, contents) as file:
        if file.done:
            note(options, f"going on with {file.done:,} of {file.filters:,} filters found before")
        if options.max_memory is None:
            plan = plan_as_before(file, plan)
        if file.done < file.filters:
            fill(file, plan, quiet=options.quiet)
        if options.no_pictures:
            return [(bank, "") for bank in file.banks.values()]
        decoded = []
        with progress_bar("drawing", to_draw(file), quiet=options.quiet) as advance:
            for number, bank in file.banks.items():
                picture = f"{bank.job.stem}.png"
                draw(folder / picture, bank.job, file.read(number), options.unpool, advance)
                decoded.append((bank, picture))
    return decoded


def to_draw(file: DecodedFile) -> int:
    """Count the work that drawing all layers' filters is."""
    os.environ["MPLBACKEND"] = "agg"
    from fdref.pictures import work  # noqa: PLC0415 - matplotlib takes its time

    return sum(work(bank.shape) for bank in file.banks.values())


def plan_as_before(file: DecodedFile, plan: Plan) -> Plan:
    """Return the plan by which what was found before was decoded, unless memory is too scarce."""
    if file.memory not in {0, plan.memory} and file.memory <= free_memory():
        plan = plan_within(file.contents, file.memory)
    file.memory = plan.memory
    return plan


def fill(file: DecodedFile, plan: Plan, *, quiet: bool) -> None:
    """Decode what is not there yet, and write it block by block."""
    net, wanted, facts = file.contents.net, file.contents.wanted, file.contents.facts
    engine = engine_named(facts["engine"])
    done = {n: bank.done / bank.shape[0] for n, bank in file.banks.items()}
    found = sum(way.seconds * done.get(way.layer, 0) for way in plan.ways)
    with (
        progress_bar("decoding", plan.seconds, found, quiet=quiet) as advance,
        np.errstate(all="ignore"),
    ):
        unpool = facts["unpool"]
        for block in Decoder(net, wanted, plan, unpool, engine, BLOCK, file.found, advance):
            file.write(block)


def memory(text: str) -> int:
    """Read a size in bytes, such as 500M, 1.5GB or 2 GiB; a B alone makes units decimal, as usual.

    >>> memory("2G"), memory("2GiB"), memory("2 gb")
    (2147483648, 2147483648, 2000000000)
    """
    number, units = r"[0-9]{1,15}(?:\.[0-9]{1,9})?", "([KMGT]?)(|B|IB)"
    match = re.fullmatch(f"({number}) *{units}", text.strip().upper())
    if match is None or (match[3] == "IB" and not match[2]):
        raise argparse.ArgumentTypeError(f"{text!r} is no size; expected such as 500M or 1.5GB")
    unit = 1000 if match[3] == "B" else 1024
    return int(Fraction(match[1]) * unit ** " KMGT".index(match[2] or " "))


def draw(path: Path, job: Job, bank: Array, unpool: str, progress: Advance) -> None:
    """Draw one layer's decoded filters."""
    os.environ["MPLBACKEND"] = "agg"  # with one that it does not know, matplotlib does not load
    from fdref.pictures import save_filters  # noqa: PLC0415 - matplotlib takes its time

    label = printable(job.label, LONGEST_NAME)
    filters = "filter" if len(bank) == 1 else "filters"
    title = f"{label}: {len(bank)} decoded {filters} of {by(bank.shape[2:])} pixels, {unpool}"
    save_filters(path, bank, title, [str(k) for k in job.filters], progress)

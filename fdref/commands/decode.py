"""`fdref decode`: a network's filters as numbers and pictures."""

from __future__ import annotations

import argparse
import hashlib
import re
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from fdref.commands.costs import say_costs
from fdref.commands.decode_report import decoded_json, decoded_table, plan_json, plan_table
from fdref.commands.jobs import read_jobs
from fdref.commands.looks import add_look, only_place, style_of
from fdref.commands.messages import (
    add_quiet,
    note,
    printable,
    tell,
    telling_what_is_kept,
)
from fdref.commands.models import add_model, load, source_of
from fdref.commands.one_picture import decoded_picture, needed, read_job
from fdref.commands.places import add_json, check_places, named, write_json, write_to
from fdref.commands.progress import progress_bar
from fdref.decoding.contents import Contents
from fdref.decoding.reading import is_decoded
from fdref.decoding.to_disk import decoded_file
from fdref.drawing.formats import FORMATS
from fdref.engines.resize import METHODS
from fdref.errors import ArgumentError, FdrefError, FileError
from fdref.files.folder import refusal, refuse_special
from fdref.files.whole import folder_for
from fdref.weights.bounded import opened

if TYPE_CHECKING:
    from fdref.commands.decode_report import Decoded
    from fdref.commands.looks import Style
    from fdref.commands.progress import Advance
    from fdref.decoding.blocks import Plan
    from fdref.decoding.contents import Job
    from fdref.decoding.decoded_file import DecodedFile
    from fdref.files.folder import Folder

NAME, FOLDER = "decoded.h5", Path("decoded")
DO_WITHOUT = "mend it, or use --no-pictures"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "decode",
        help="decode filters to image space",
        description="Decode filters to image space. Writes DIR/decoded.h5, one dataset a layer, "
        "and one picture a layer: each filter on its own contrast, grey is zero. Layers are added "
        "to what DIR holds of the same network, unpooling and engine. After a long run was "
        "interrupted or killed, the same command goes on where it stopped. With --only, it writes "
        "one picture alone. `fdref draw` draws what is decoded in other ways.",
    )
    add = parser.add_argument
    add_model(parser)
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
    add("--force", action="store_true", help="replace what DIR holds of something else")
    add_look(parser)
    add("-o", dest="output", metavar="DIR", type=named, help="(decoded; with --only, the picture)")
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=run, less="; ask for fewer filters or layers")


def run(options: argparse.Namespace) -> None:
    """Decode and write; nothing is written before all that was asked for is found to exist."""
    source = source_of(options)
    refuse_decoded(source)
    out = None if options.plan or options.only else options.output or FOLDER
    check_places({"--json": options.json}, [source] if out is None else [source, out], out)
    net = load(options)
    only = None if options.only is None else read_job(options, net)
    jobs, missing = (
        read_jobs(net, options.layers, options.filters)
        if only is None
        else ([needed(only, net, options)], [])
    )
    for message in missing:
        note(options, message)
    contents = Contents(net, jobs, options.unpool, options.engine, describe(source))
    if only is not None and not options.plan:
        write_only(contents, only, options, source)
        return
    plan = plan_within(contents, options.max_memory)
    if out is None:
        write_json(options.json, plan_json(net, contents.facts, plan))
        tell(options, plan_table(net, plan))
        return
    results = [out / NAME, *(out / picture_of(n, options) for n in net.decodable)]
    check_places({"--json": options.json}, results, out)
    style = None if options.no_pictures else style_of(options, remedy=DO_WITHOUT)
    with telling_what_is_kept(), folder_for(out) as folder:
        decoded = write(contents, plan, options, folder, style)
    path, pictures = str(out / NAME), "" if style is None else " and the pictures"
    try:
        write_json(options.json, decoded_json(net, contents.facts, path, decoded))
    finally:  # if the disk is full, people are still told
        tell(options, f"{decoded_table(decoded)}\nwrote {printable(path)}{pictures}")


def write_only(contents: Contents, job: Job, options: argparse.Namespace, source: Path) -> None:
    """Write one picture of some filters."""
    place = only_place(options, job.number, job.filters)
    check_places({"-o": str(place), "--json": options.json}, [source])
    style = style_of(options, place)
    plan = plan_within(contents, options.max_memory)
    picture, bank = decoded_picture(contents, plan, job, style, options)
    write_to(str(place), picture)
    decoded = [(job, bank, str(place))]
    try:
        write_json(options.json, decoded_json(contents.net, contents.facts, None, decoded))
    finally:
        tell(options, f"{decoded_table(decoded, written=False)}\nwrote {printable(str(place))}")


def refuse_decoded(source: Path) -> None:
    """Say what draws filters that are decoded.

    Raises
    ------
    ArgumentError
        If a file holds such.
    """
    if source.suffix.lower() in {".h5", ".hdf5"} and is_decoded(source):
        raise ArgumentError(
            f"{printable(str(source))} holds decoded filters; expected a network: `fdref draw` "
            "draws them"
        )


def picture_of(layer: int, options: argparse.Namespace) -> str:
    """Name the picture of a layer."""
    return f"layer{layer}.{options.format or 'png'}"


def describe(source: Path) -> dict[str, str]:
    """Say where the network comes from."""
    with opened(source, "the network again") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"model": printable(source.name), "model_sha256": digest}


def plan_within(contents: Contents, max_memory: int | None) -> Plan:
    """Plan how to decode the filters of all jobs."""
    try:
        return contents.plan(max_memory)
    except ArgumentError as error:
        raise ArgumentError(str(error).replace("max_memory", "--max-memory")) from None


def write(
    contents: Contents,
    plan: Plan,
    options: argparse.Namespace,
    folder: Folder,
    style: Style | None,
) -> Decoded:
    """Decode into a folder, and draw; return what there is to tell about."""
    with decoded_file(folder, NAME, contents, force=options.force) as file:
        pictures = {j.stem: picture_of(j.number, options) for j in contents.jobs if style}
        for name in pictures.values():
            refuse_special(folder, name)  # whatever is forced
        if not options.force:
            refuse_taken(file, [pictures[stem] for stem in pictures if stem not in file.present])
        if file.done < file.filters:
            say_costs(options, contents, plan)
        if file.done:
            note(options, f"going on with {file.done:,} of {file.filters:,} filters found before")
        fill(file, plan, options)
        replaced = [stem for stem in file.replaced if stem not in file.banks]
        file.publish(NAME)
        for stem in replaced:
            for kind in FORMATS:
                folder.remove(f"{stem}.{kind}")
        if style is not None:
            draw_all(file, pictures, options, style)
        return [(job, file.banks[job.stem], pictures.get(job.stem, "")) for job in contents.jobs]


def refuse_taken(file: DecodedFile, names: list[str]) -> None:
    """Refuse to replace pictures that are not of the layers in a file."""
    for name in names:
        if file.folder.status(name) is not None:
            remedy = "delete it, choose another -o, or replace it by --force"
            raise refusal(file.folder.path / name, f"exists already; {remedy}")


def fill(file: DecodedFile, plan: Plan, options: argparse.Namespace) -> None:
    """Decode what is not there yet."""
    if options.max_memory is None:
        plan = file.plan_as_before(plan)
    if file.done < file.filters:
        seconds, saved = plan.choice.seconds, file.seconds_saved(plan)
        with progress_bar("decoding", seconds, saved, quiet=options.quiet) as advance:
            file.fill(plan, work=advance)


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


def draw_all(
    file: DecodedFile, pictures: dict[str, str], options: argparse.Namespace, style: Style
) -> None:
    """Draw every layer's decoded filters."""
    from fdref.drawing.sheets import work  # noqa: PLC0415 - matplotlib takes its time

    amount = sum(work(bank.shape) for bank in file.asked)
    with progress_bar("drawing", amount, quiet=options.quiet) as advance:
        for job in file.contents.jobs:
            draw(file, job, pictures[job.stem], style, advance)


def draw(file: DecodedFile, job: Job, name: str, style: Style, progress: Advance) -> None:
    """Draw one layer's decoded filters."""
    try:
        about = file.banks[job.stem].about
        picture = style.draw(file.pictures(job), about, job.filters, progress=progress)
        file.folder.replace(name, picture)
    except BaseException as error:
        kept = f"{NAME} is written; the same command draws what is missing"
        if isinstance(error, (FdrefError, MemoryError)) or not isinstance(error, Exception):
            error.add_note(kept)
            raise
        reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
        raise FileError(f"{name} cannot be drawn: {reason}; {kept}") from error

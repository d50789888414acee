"""`fdref evaluate`: how well decoded filters predict their neurons, over any number of images."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import fdref
from fdref.commands.costs import duration, say_costs, say_evaluation
from fdref.commands.decode import describe, fill, memory, plan_within
from fdref.commands.images import add_images, read_images
from fdref.commands.jobs import read_jobs
from fdref.commands.messages import LONGEST_NAME, add_quiet, note, printable, tell
from fdref.commands.models import add_model, load, source_of
from fdref.commands.places import add_json, check_places, named, write_json
from fdref.commands.progress import progress_bar
from fdref.commands.workers import add_workers, workers
from fdref.decoding.contents import Contents
from fdref.decoding.reading import decoded_layers
from fdref.decoding.to_disk import decoded_file
from fdref.drawing.text_table import table
from fdref.engines.resize import METHODS
from fdref.errors import ArgumentError
from fdref.files.whole import failures, place_of
from fdref.measure.in_files import BankFile
from fdref.measure.running import evaluate_running

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from fdref.commands.workers import Workers
    from fdref.decoding.contents import Job
    from fdref.decoding.reading import Decoded
    from fdref.measure.running import Running
    from fdref.network.graph import Network
    from fdref.weights.pixels import ImageSet

COLUMNS = ("layer", "filters", "pixels", "images", "error, eq. 3", "correlation")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "evaluate",
        help="how well decoded filters predict what layers respond",
        description="Compare, for every image, what layers respond with what their decoded filters "
        "predict (the paper's eq. 3), and print the mean error, its standard deviation and the "
        "correlation. Images are gone through once, a few at a time: there may be more than fit "
        "into memory. Processes on this machine (--workers) or a Dask cluster (--scheduler) "
        "compute the same digits; one that is killed costs what it was doing.",
    )
    add_model(parser)
    add_images(parser, each=False)
    add = parser.add_argument
    add("--layers", metavar="1,3-7", help="numbers, ranges or names of layers (all with filters)")
    add("--unpool", choices=METHODS, default="bicubic", help="how pooling is undone (bicubic)")
    add(
        "--engine",
        choices=("compiled", "reference"),
        default="compiled",
        help="Numba in the weights' precision, or plain NumPy in float64 (compiled)",
    )
    add_workers(parser)
    add(
        "--decoded",
        metavar="FILE",
        type=named,
        help="a file of decoded filters, as `fdref decode` writes it: what it lacks is decoded "
        "into it (a temporary file); workers that see it read it",
    )
    add("--max-memory", metavar="2GB", type=memory, help="for decoding (half of the free)")
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=run, less="; ask for fewer layers")


def run(options: argparse.Namespace) -> None:
    """Check everything, decode, and go through the images."""
    source = source_of(options)
    read = [source, *(place for place in (options.images, options.decoded) if place is not None)]
    check_places({"--json": options.json}, read)
    net = load(options)
    jobs, missing = read_jobs(net, options.layers, None)
    for message in missing:
        note(options, message)
    if not jobs:
        raise ArgumentError("there is no layer to evaluate; expected a network with filters")
    images = read_images(net, options, once=True)
    contents = Contents(net, jobs, options.unpool, options.engine, describe(source))
    say_evaluation(options, contents, images.shape)
    with workers(options, net) as executor, banks_of(contents, options, executor) as decoded:
        begun = perf_counter()
        found = evaluated(net, images, decoded, options, executor)
        seconds = perf_counter() - begun
    for message in images.notes:
        note(options, message)
    try:
        write_json(options.json, as_json(contents, images, found, seconds))
    finally:  # if the disk is full, people are still told
        rate = (
            f"{len(images):,} images in {duration(seconds)}, {len(images) / seconds:,.0f} a second"
        )
        tell(options, f"{as_table(jobs, decoded, found)}\n{rate}")


def evaluated(
    net: Network,
    images: ImageSet,
    decoded: dict[int, Decoded],
    options: argparse.Namespace,
    executor: Workers,
) -> dict[int, Running]:
    """Go through the images."""
    banks = {number: one.bank for number, one in decoded.items()}
    with progress_bar("evaluating", len(images), quiet=options.quiet) as advance:
        return evaluate_running(net, images.chunks(), banks, options.engine, advance, executor)


@contextmanager
def banks_of(
    contents: Contents, options: argparse.Namespace, executor: Workers
) -> Iterator[dict[int, Decoded]]:
    """Decode into a file, which workers may read, too, what is not there yet."""
    with tempfile.TemporaryDirectory(prefix="fdref-") as scratch:
        path = options.decoded or Path(scratch) / "decoded.h5"
        plan = plan_within(contents, options.max_memory)
        with (
            failures(path),
            place_of(path) as (folder, name),
            decoded_file(folder, name, contents) as file,
        ):
            if file.done < file.filters:
                say_costs(options, contents, plan)
            fill(file, plan, options)
            file.publish(name)
        with decoded_layers(path) as layers:
            wanted = {job.number: layers[job.number] for job in contents.jobs}
        if executor is not None:
            whole = str(path.resolve())
            executor.files += [
                (one.bank, BankFile(whole, number, one.bank.shape, dict(one.about)))
                for number, one in wanted.items()
            ]
        yield wanted


def as_table(jobs: list[Job], decoded: dict[int, Decoded], found: dict[int, Running]) -> str:
    """Say how well each layer's filters predict."""
    rows = []
    for job in jobs:
        own, shape = found[job.number], decoded[job.number].bank.shape
        none = "nothing to compare"
        rows.append(
            (
                printable(job.label, LONGEST_NAME),
                str(shape[0]),
                f"{shape[1]} x {shape[2]}x{shape[3]}",
                f"{own.compared:,}",
                f"{own.mean:.4f} +/- {own.std:.4f}" if own.compared else none,
                f"{own.correlation:.4f}" if own.compared else "",
            )
        )
    return table(COLUMNS, rows)


def as_json(
    contents: Contents, images: ImageSet, found: dict[int, Running], seconds: float
) -> dict[str, Any]:
    """Say the same to programs; docs/files.md documents the keys."""
    asked = ("method", "unpool", "engine", "model", "model_sha256")
    return {
        "fdref": fdref.__version__,
        **{key: contents.facts[key] for key in asked},
        "images": len(images),
        "seconds": seconds,
        "layers": [
            {
                "number": job.number,
                "name": contents.net[job.number].name,
                "filters": len(job.filters),
                "compared": own.compared,
                "mean": number_or_none(own.mean),
                "std": number_or_none(own.std),
                "correlation": number_or_none(own.correlation),
            }
            for job in contents.jobs
            for own in (found[job.number],)
        ],
    }


def number_or_none(value: float) -> float | None:
    """Return a number as JSON has it."""
    return None if isnan(value) else value

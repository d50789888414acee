"""`fdref evaluate`: how well decoded filters predict their neurons, over any number of images."""

from __future__ import annotations

import tempfile
from contextlib import contextmanager
from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fdref
from fdref.commands.checkpoint import Checkpoint
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
        "compute the same digits; one that is killed costs what it was doing. With --checkpoint an "
        "evaluation that was interrupted goes on.",
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
    add(
        "--checkpoint",
        metavar="FILE",
        type=named,
        help="keep in FILE how far it is, every ten seconds; the same command goes on from there",
    )
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=run, less="; ask for fewer layers")


def run(options: argparse.Namespace) -> None:
    """Check everything, decode, and go through the images."""
    source = source_of(options)
    read = [source, *(place for place in (options.images, options.decoded) if place is not None)]
    kept = None if options.checkpoint is None else str(options.checkpoint)
    check_places({"--json": options.json, "--checkpoint": kept}, read)
    net = load(options)
    jobs, missing = read_jobs(net, options.layers, None)
    for message in missing:
        note(options, message)
    if not jobs:
        raise ArgumentError("there is no layer to evaluate; expected a network with filters")
    images = read_images(net, options, once=True)
    contents = Contents(net, jobs, options.unpool, options.engine, describe(source))
    state = Checkpoint(options.checkpoint, contents, images)
    if state.done:
        note(
            options,
            f"{options.checkpoint}: going on after {state.done:,} of {len(images):,} images",
        )
    say_evaluation(options, contents, (len(images) - state.done, *images.shape[1:]))
    with workers(options, net) as executor, banks_of(contents, options, executor) as decoded:
        evaluated(net, images, decoded, state, options, executor)
    for message in images.notes:
        note(options, message)
    try:
        write_json(options.json, as_json(contents, images, state))
    finally:  # if the disk is full, people are still told
        rate = len(images) / state.seconds
        took = f"{len(images):,} images in {duration(state.seconds)}, {rate:,.0f} a second"
        tell(options, f"{as_table(jobs, decoded, state.found)}\n{took}")


def evaluated(
    net: Network,
    images: ImageSet,
    decoded: dict[int, Decoded],
    state: Checkpoint,
    options: argparse.Namespace,
    executor: Workers,
) -> None:
    """Go through the images, from where the state is to where it is left."""
    banks, how = {number: one.bank for number, one in decoded.items()}, options.engine
    rest = images.chunks(state.done)
    bar = progress_bar("evaluating", len(images), state.done, quiet=options.quiet)
    with state.kept(), bar as advance:
        if state.done < len(images):
            evaluate_running(net, rest, banks, how, advance, executor, state.found, state.note)


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


def as_json(contents: Contents, images: ImageSet, state: Checkpoint) -> dict[str, Any]:
    """Say the same to programs; docs/files.md documents the keys."""
    asked = ("method", "unpool", "engine", "model", "model_sha256")
    return {
        "fdref": fdref.__version__,
        **{key: contents.facts[key] for key in asked},
        "images": len(images),
        "seconds": state.seconds,
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
            for own in (state.found[job.number],)
        ],
    }


def number_or_none(value: float) -> float | None:
    """Return a number as JSON has it."""
    return None if isnan(value) else value

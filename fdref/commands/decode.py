"""`fdref decode`: a network's filters as numbers and pictures."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

import fdref
from fdref.blocks import Decoder
from fdref.commands.info import by
from fdref.commands.output import SafeFile, new_files
from fdref.commands.progress import progress_bar
from fdref.commands.table import LONGEST_NAME, print_table, printable
from fdref.decoding import decodable_number, filter_indices, plan_for
from fdref.engine import engine_named
from fdref.errors import ArgumentError, NetworkError
from fdref.from_above import picture_shapes
from fdref.resize import METHODS
from fdref.weights import SHIPPED

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence

    import h5py

    from fdref.arrays import Array
    from fdref.blocks import Wanted
    from fdref.network import Network
    from fdref.planning import Plan

METHOD = "filter decoding with substitution, arXiv 1511.05084"
COLUMNS = ("layer", "filters", "pixels", "smallest", "largest", "seconds", "dataset", "picture")
PLANNED = ("layer", "filters", "way", "multiply-adds", "memory", "seconds", "")
BLOCK = 2**23
"""Numbers that are written at a time."""
NUMBERS = re.compile(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "decode",
        help="decode filters to image space",
        description="Decode filters to image space. Writes DIR/decoded.h5, one dataset a layer, "
        "and one picture a layer: each filter on its own contrast, grey is zero.",
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


@dataclass(frozen=True)
class Job:
    """Filters of one layer to be decoded."""

    number: int
    label: str
    filters: Sequence[int]

    @property
    def stem(self) -> str:
        """The name of the dataset and of the picture, less its ending."""
        return f"layer{self.number}"


def run(options: argparse.Namespace) -> None:
    """Decode and write; nothing is written before all that was asked for is found to exist."""
    source = SHIPPED if options.model is None else Path(options.model)
    net = fdref.load(source)
    jobs = read_jobs(net, options.layers, options.filters)
    if options.plan:
        print_plan(net, jobs, options)
        return
    shared = attributes(source, options)
    names = ["decoded.h5"]
    if not options.no_pictures:
        names += [f"{job.stem}.png" for job in jobs]
    with new_files(options.folder, names) as folder:
        rows = write(net, jobs, options, shared, folder)
    print_table(COLUMNS, rows)
    pictures = " and the pictures" if len(names) > 1 else ""
    print(f"wrote {printable(str(options.folder / 'decoded.h5'))}{pictures}")


def read_jobs(net: Network, layers: str | None, filters: str | None) -> list[Job]:
    """Read which filters of which layers are meant."""
    wanted: Sequence[str | int] = net.decodable
    if layers is not None:
        parts = [part.strip() for part in layers.split(",")]
        if not all(parts):
            raise ArgumentError(f"--layers {layers!r} cannot be read; expected for example 1,3,5")
        wanted = [int(part) if re.fullmatch("[0-9]{1,9}", part) else part for part in parts]
    numbers = [decodable_number(net, layer) for layer in wanted]
    if len(set(numbers)) < len(numbers):
        raise ArgumentError(f"--layers {layers} names a layer twice")
    jobs = []
    for number in numbers:
        chosen: Sequence[int] = range(net.channels[number])
        if filters is not None:
            parts_of = ranges(filters)
            filter_indices(net, number, [end for part in parts_of for end in (part[0], part[-1])])
            chosen = [k for part in parts_of for k in part]
        jobs.append(Job(number, net.describe(number), chosen))
    return jobs


def ranges(text: str) -> list[range]:
    """Read numbers and ranges of filters.

    >>> ranges("0-3,12")
    [range(0, 4), range(12, 13)]
    """
    found = []
    for part in text.split(","):
        match = NUMBERS.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            raise ArgumentError(f"--filters {text!r} cannot be read; expected for example 0-9,12")
        found.append(range(first, last + 1))
    return found


def attributes(source: Path, options: argparse.Namespace) -> dict[str, str]:
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


def write(
    net: Network,
    jobs: Sequence[Job],
    options: argparse.Namespace,
    shared: dict[str, str],
    folder: Path,
) -> list[tuple[str, ...]]:
    """Decode into a folder, block by block; return what to tell about each layer."""
    import h5py  # noqa: PLC0415 - only where it is used, so that --help is quick

    rows = []
    with (
        progress_bar(sum(len(job.filters) for job in jobs), "filters") as advance,
        SafeFile(folder / "decoded.h5", "w+") as disk,
    ):
        with h5py.File(disk, "w") as file:
            for job in jobs:
                create(file, job, net, options.engine, shared)
            seconds = fill(file, net, jobs, options, advance)
            disk.check()
            for job in jobs:
                bank, picture = file[job.stem][()], ""
                if not options.no_pictures:
                    picture = f"{job.stem}.png"
                    draw(folder / picture, job, bank, options.unpool)
                rows.append(summary(job, bank, seconds[job.number], picture))
        disk.check()
    return rows


def fill(
    file: h5py.File,
    net: Network,
    jobs: Sequence[Job],
    options: argparse.Namespace,
    advance: Callable[[int], object] | None,
) -> dict[int, float]:
    """Write every layer's decoded filters as they are found; return each layer's seconds.

    Weights so large that a result overflows are refused.
    """
    labels = {job.number: job.label for job in jobs}
    seconds = dict.fromkeys(labels, 0.0)
    wanted, plan = ways(net, jobs, options)
    engine = engine_named(options.engine)
    begin = perf_counter()
    with np.errstate(all="ignore"):
        for block in Decoder(net, wanted, plan, options.unpool, engine, largest=BLOCK):
            if not np.isfinite(block.pictures).all():
                raise NetworkError(
                    f"{labels[block.layer]} has decoded filters too large for "
                    f"{block.pictures.dtype}"
                )
            count = len(block.pictures)
            file[f"layer{block.layer}"][block.first : block.first + count] = block.pictures
            now = perf_counter()
            seconds[block.layer] += now - begin
            begin = now
            if advance is not None:
                advance(count)
    return seconds


def ways(net: Network, jobs: Sequence[Job], options: argparse.Namespace) -> tuple[Wanted, Plan]:
    """Plan how to decode the filters of all jobs."""
    wanted = {job.number: job.filters for job in jobs}
    return wanted, plan_for(net, wanted, options.unpool, options.engine, options.max_memory)


def print_plan(net: Network, jobs: Sequence[Job], options: argparse.Namespace) -> None:
    """Show every way to each layer's filters, and which are taken."""
    _, plan = ways(net, jobs, options)
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


def summary(job: Job, bank: Array, seconds: float, picture: str) -> tuple[str, ...]:
    """Say what was decoded, in the order of `COLUMNS`."""
    return (
        printable(job.label, LONGEST_NAME),
        str(len(bank)),
        f"{bank.shape[1]} x {by(bank.shape[2:])}",
        f"{bank.min():.4g}",
        f"{bank.max():.4g}",
        f"{seconds:.3f}",
        job.stem,
        picture,
    )


def create(file: h5py.File, job: Job, net: Network, engine: str, shared: dict[str, str]) -> None:
    """Make room for one layer's decoded filters, (K, C0, Rh, Rw), and say what they are."""
    shape = (len(job.filters), *picture_shapes(net, job.number)[-1])
    dataset = file.create_dataset(job.stem, shape, engine_named(engine).precision(net.dtype))
    field = fdref.receptive_field(net, job.number)
    dataset.attrs.update(shared)
    dataset.attrs["layer"] = job.number
    dataset.attrs["layer_name"] = printable(net[job.number].name)
    dataset.attrs["filters"] = compact(job.filters)
    dataset.attrs["receptive_field_size"] = field.size
    dataset.attrs["receptive_field_stride"] = field.stride
    dataset.attrs["receptive_field_offset"] = field.offset


def compact(numbers: Sequence[int]) -> str:
    """Write numbers as `ranges` reads them.

    >>> compact([0, 1, 2, 3, 12])
    '0-3,12'
    """
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1][1:] = [number]
        else:
            runs.append([number])
    return ",".join("-".join(map(str, run)) for run in runs)


def draw(path: Path, job: Job, bank: Array, unpool: str) -> None:
    """Draw one layer's decoded filters."""
    os.environ["MPLBACKEND"] = "agg"  # with one that it does not know, matplotlib does not load
    from fdref.pictures import save_filters  # noqa: PLC0415 - matplotlib takes its time

    label = printable(job.label, LONGEST_NAME)
    filters = "filter" if len(bank) == 1 else "filters"
    title = f"{label}: {len(bank)} decoded {filters} of {by(bank.shape[2:])} pixels, {unpool}"
    save_filters(path, bank, title, [str(k) for k in job.filters])

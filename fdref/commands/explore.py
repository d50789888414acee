"""`fdref explore`: every neuron of a network on one page."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import fdref
from fdref.commands.costs import say_costs
from fdref.commands.images import IMAGES, images_at
from fdref.commands.jobs import read_jobs
from fdref.commands.messages import add_quiet, note, printable, tell
from fdref.commands.models import FILES, add_model, load, source_of
from fdref.commands.places import named
from fdref.commands.progress import progress_bar
from fdref.decoding.contents import Contents
from fdref.engines.resize import METHODS
from fdref.errors import ArgumentError
from fdref.files.whole import check_file
from fdref.measure.matching import counterparts
from fdref.weights import network_file

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence

DEFAULT = "lenet"


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explore",
        help="put every neuron on one page, to be looked at in a browser",
        description="Write one page that needs nothing else: no network and no data. "
        "Of every neuron it shows the decoded filter, what it is made of and what it is part of, "
        "and which others are like it. Where one file would be larger than 20 MB, the pictures "
        "are written to a folder beside it.",
    )
    add = parser.add_argument
    add_model(parser)
    add(
        "-o",
        dest="page",
        metavar="FILE",
        type=named,
        default=Path("explore.html"),
        help="(explore.html)",
    )
    add("--layers", metavar="1,3-7", help="numbers, ranges or names of layers (all with filters)")
    add("--unpool", choices=METHODS, default="bicubic", help="how pooling is undone (bicubic)")
    add(
        "--engine",
        choices=("compiled", "reference"),
        default="compiled",
        help="Numba in the weights' precision, or plain NumPy in float64 (compiled)",
    )
    add("--images", metavar="FILE|DIR", type=Path, help=f"show what excites neurons: {IMAGES}")
    add("--against", metavar="MODEL2", help=f"match its neurons with another network's: {FILES}")
    add(
        "--channels",
        choices=("rgb", "bgr"),
        default="rgb",
        help="the order of colours that the networks take (rgb)",
    )
    add_quiet(parser)
    parser.set_defaults(run=run, less="; ask for fewer layers")


def run(options: argparse.Namespace) -> None:
    """Read everything that is read, and see that the page can be written, before the work."""
    read = [source_of(options), *([options.images] if options.images is not None else [])]
    if options.against is not None:
        read.append(network_file(options.against))
    if any(
        place.exists() and options.page.exists() and place.samefile(options.page) for place in read
    ):
        raise ArgumentError(f"-o {options.page} is what is read; expected another file")
    if options.page.suffix.lower() not in (".html", ".htm"):
        raise ArgumentError(f"-o {options.page}: expected a name that ends in .html")
    check_file(options.page)
    net = load(options)
    against = None if options.against is None else fdref.load(options.against)
    images = None
    if options.images is not None:
        if net.inputs > 1:
            raise ArgumentError(f"the network has {net.inputs} inputs; expected one for --images")
        images = images_at(options.images, net, options)
        for message in images.notes:
            note(options, message)
    jobs, missing = read_jobs(net, options.layers, None)
    for message in missing:
        note(options, message)
    contents = Contents(net, jobs, options.unpool, options.engine, {})
    say_costs(options, contents, contents.plan(None))
    layers = [job.number for job in jobs]
    if against is not None and (alone := without_counterpart(net, layers, against)):
        whose = printable(name_of(options.against))
        note(options, f"{whose} has no layer that decodes to pictures of the size of {alone}'s")
    from fdref.explorer.contents import work  # noqa: PLC0415 - it imports what draws

    total = work(net, layers, images=images is not None)
    with progress_bar("looking at neurons", total, quiet=options.quiet) as advance:
        page = fdref.explore(
            net,
            layers=layers,
            unpool=options.unpool,
            engine=options.engine,
            images=images,
            against=against,
            name=name_of(options.model),
            against_name=name_of(options.against),
            channels=options.channels,
            progress=advance,
        )
    page = replace(page, told={**page.told, "command": command_of(options)})
    page.save(options.page)
    if (folder := page.folder(options.page)) is not None:
        note(options, f"the pictures are in {folder}, which must lie beside the page")
    count = sum(net.channels[layer] for layer in layers)
    tell(
        options,
        f"wrote {count:,} neurons of {len(layers)} layers to {printable(str(options.page))}",
    )


def without_counterpart(net: fdref.Network, layers: Sequence[int], other: fdref.Network) -> str:
    """Name the layers that another network has nothing to be compared with."""
    paired = dict(counterparts(net, other))
    if not paired:  # which is refused
        return ""
    return ", ".join(net.describe(number) for number in layers if number not in paired)


def command_of(options: argparse.Namespace) -> list[str]:
    """Return how `fdref decode` is told the same network, as the page offers it."""
    command = ["fdref", "decode", *([] if options.model is None else [options.model])]
    for layer in options.drop:
        command += ["--drop", layer]
    if options.input_size is not None:
        command += ["--input-size", "{}x{}".format(*options.input_size)]
    if options.input_channels is not None:
        command += ["--input-channels", str(options.input_channels)]
    for option, usual in (("unpool", "bicubic"), ("engine", "compiled"), ("channels", "rgb")):
        if (asked := getattr(options, option)) != usual:
            command += [f"--{option}", asked]
    return command


def name_of(model: str | None) -> str:
    """Return what a page calls a network: its file's name; where it lies is nobody's business."""
    return printable(DEFAULT if model is None else Path(model).name)

"""What a command costs, said before it begins where it is much, with what would be cheaper."""

from __future__ import annotations

from dataclasses import replace
from math import prod
from typing import TYPE_CHECKING

from fdref.commands.messages import note
from fdref.decoding.costs import LONG, MULTIPLY_ADD
from fdref.errors import ArgumentError
from fdref.layers import Conv, ConvTranspose
from fdref.network.sizes import sizes_from
from fdref.network.units import receptive_field

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from fdref.decoding.blocks import Plan
    from fdref.decoding.contents import Contents

MINUTE = 60.0
"""Seconds from which a cost is said."""
FEW = 10
"""Filters of each layer that would be fewer."""
CHEAPER = 0.7
"""What would take more of the time is not worth to be named."""


def say_costs(options: argparse.Namespace, contents: Contents, plan: Plan) -> None:
    """Say of decoding that takes more than a minute what it does, and what would be cheaper."""
    told = costs(contents, plan, filters=hasattr(options, "filters"))
    if told:
        note(options, told)


def costs(contents: Contents, plan: Plan, *, filters: bool = True) -> str:
    """Say what decoding takes; nothing where that is less than a minute.

    Whether a command can be asked for some filters of a layer alone is told by `filters`.
    """
    seconds = plan.choice.seconds
    if seconds < MINUTE:
        return ""
    room = sum(prod(shape) * dtype.itemsize for shape, dtype, _ in contents.described().values())
    beside = max(way.memory for way in plan.choice.ways)
    ways = cheaper(contents, seconds, filters=filters)
    instead = f"; cheaper: {', '.join(ways)}" if ways else ""
    return (
        f"decoding takes about {duration(seconds)} (compiled engine, two cores), {size(beside)} of "
        f"memory at least, {size(room)} for the filters{instead}"
    )


def cheaper(contents: Contents, seconds: float, *, filters: bool) -> list[str]:
    """Name what is asked for in a way that would take less, and how long that would."""
    found = []
    if contents.unpool != "nearest":
        own = _seconds(replace(contents, unpool="nearest"))
        if own < CHEAPER * seconds:
            found.append(f"--unpool nearest ({duration(own)})")
    few = [replace(job, filters=job.filters[:FEW]) for job in contents.jobs]
    own = _seconds(replace(contents, jobs=few)) if filters else seconds
    if own < CHEAPER * seconds:
        found.append(f"--filters 0-{FEW - 1} ({duration(own)})")
    if len(contents.jobs) > 1:
        own = _seconds(replace(contents, jobs=contents.jobs[:-1]))
        if own < CHEAPER * seconds:
            found.append(f"without {contents.jobs[-1].label} ({duration(own)})")
    beyond = _beyond_images(contents)
    if beyond and filters:
        found.append(f"in Python, decode(position=...): {beyond}")
    return found


def _seconds(contents: Contents) -> float:
    try:
        return contents.plan(None).choice.seconds
    except ArgumentError:  # no way fits
        return float("inf")


def _beyond_images(contents: Contents) -> str:
    """Say by how much fields are larger than the images."""
    net = contents.net
    if net.input_size is None or not contents.jobs:
        return ""
    last = max(contents.jobs, key=lambda job: prod(receptive_field(net, job.number).size))
    field = receptive_field(net, last.number).size
    inside = prod(min(one, other) for one, other in zip(field, net.input_size, strict=True))
    if inside > CHEAPER * prod(field):
        return ""
    part = f"{inside / prod(field):.0%}"
    return f"what lies on the image, {part} of {last.label}'s {field[0]}x{field[1]} pixels"


def say_evaluation(
    options: argparse.Namespace, contents: Contents, images: tuple[int, ...]
) -> None:
    """Say of many images (N, C, H, W) how long they take, where that is more than a minute."""
    count, *_, height, width = images
    sizes = sizes_from(contents.net, [(height, width)])
    layers = {
        job.label: count * _seconds_of(contents, job.number, sizes[job.number])
        for job in contents.jobs
    }
    through = count * _forward(contents, sizes)
    seconds = through + sum(layers.values())
    if seconds < MINUTE:
        return
    most = max(layers, key=lambda label: layers[label])
    ways = [] if options.workers or options.scheduler else ["--workers or --scheduler"]
    if len(layers) > 1 and seconds - layers[most] < CHEAPER * seconds:
        ways.append(f"without {most} ({duration(seconds - layers[most])})")
    instead = f"; cheaper: {', '.join(ways)}" if ways else ""
    note(
        options,
        f"{count:,} images take about {duration(seconds)} in one process (compiled engine, two "
        f"cores){instead}",
    )


def _seconds_of(contents: Contents, number: int, size_: tuple[int, int]) -> float:
    """Estimate for one image how long it takes to correlate it with a layer's filters, to compare.

    Comparing goes some ten times through the responses, in float64.
    """
    (one,) = (job for job in contents.jobs if job.number == number)
    field = receptive_field(contents.net, number).size
    responses = len(one.filters) * prod(size_)
    products = responses * contents.net.channels[0] * prod(field)
    return products * MULTIPLY_ADD * contents.dtype.itemsize / 4 + 10 * responses * LONG


def _forward(contents: Contents, sizes: Mapping[int, tuple[int, int]]) -> float:
    """Estimate how long the network itself takes for an image."""
    last = max(job.number for job in contents.jobs)
    products = sum(
        layer.filters.size * prod(sizes[number])
        for number, layer in enumerate(contents.net, 1)
        if number <= last and number in sizes and isinstance(layer, Conv | ConvTranspose)
    )
    return products * MULTIPLY_ADD * contents.dtype.itemsize / 4


def duration(seconds: float) -> str:
    """Write a time roughly.

    >>> duration(45), duration(600), duration(9000), duration(10 * 86400)
    ('45 s', '10 min', '2.5 h', '10 days')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    if seconds < 172_800:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86_400:.0f} days"


def size(count: float) -> str:
    """Write a number of bytes.

    >>> size(5e6), size(2.5e9), size(3e12)
    ('5 MB', '2.5 GB', '3,000.0 GB')
    """
    return f"{count / 1e6:.0f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"

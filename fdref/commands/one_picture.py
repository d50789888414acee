"""`fdref decode --only`: some filters of one layer as a picture, and no more."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np

from fdref.commands.jobs import layer_of
from fdref.commands.looks import read_only
from fdref.commands.progress import progress_bar
from fdref.decoding.contents import Job
from fdref.decoding.decoded_file import WRITTEN, Bank
from fdref.errors import ArgumentError, NetworkError
from fdref.selection import filter_indices

if TYPE_CHECKING:
    import argparse

    from fdref.arrays import Array
    from fdref.commands.looks import Style
    from fdref.decoding.blocks import Plan
    from fdref.decoding.contents import Contents
    from fdref.network.graph import Network


def read_job(options: argparse.Namespace, net: Network) -> Job:
    """Read which filters of a layer `--only` means."""
    for option in ("layers", "filters"):
        if getattr(options, option) is not None:
            raise ArgumentError(f"--only says which filters; expected no --{option} beside it")
    layer, filters = read_only(options.only)
    number = net.number(layer_of(layer))
    return Job(number, net.describe(number), filter_indices(net, number, filters))


def needed(job: Job, net: Network, options: argparse.Namespace) -> Job:
    """Return what is to be decoded: for the contrast of the layer, all of it."""
    every = range(net.channels[job.number])
    return replace(job, filters=every) if options.contrast == "layer" else job


def decoded_picture(
    contents: Contents, plan: Plan, job: Job, style: Style, options: argparse.Namespace
) -> tuple[bytes, Bank]:
    """Decode what a plan says, and draw the filters of a job; return what there is to tell, too.

    Raises
    ------
    NetworkError
        If weights are so large that the filters overflow.
    """
    (wanted,) = contents.jobs
    (shape, dtype, about), *_ = contents.described().values()
    bank = np.empty((len(job.filters), *shape[1:]), dtype)
    told = Bank(bank.shape, dtype, about, 0, len(bank))
    begun, scale = perf_counter(), 0.0
    with (
        np.errstate(all="ignore"),
        progress_bar("decoding", plan.choice.seconds, quiet=options.quiet) as advance,
    ):
        for block in plan.blocks(WRITTEN, progress=advance):
            if not np.isfinite(block.pictures).all():
                raise NetworkError(f"{job.label} has decoded filters too large for {dtype}")
            scale = max(scale, -float(block.pictures.min()), float(block.pictures.max()))
            _take(bank, job, wanted, block.first, block.pictures)
    told.seconds = perf_counter() - begun
    told.smallest, told.largest = (
        (float(bank.min()), float(bank.max())) if len(bank) else (inf, -inf)
    )
    return style.draw(bank, about, job.filters, scale), told


def _take(bank: Array, job: Job, wanted: Job, first: int, pictures: Array) -> None:
    """Put those pictures of a block into a bank that a job is about."""
    numbers = wanted.filters[first : first + len(pictures)]
    if wanted is job:
        bank[first : first + len(pictures)] = pictures
        return
    for row, k in enumerate(job.filters):
        if k in numbers:
            bank[row] = pictures[numbers.index(k)]

"""Who computes: this process, processes on this machine, or the workers of a cluster."""

from __future__ import annotations

import argparse
import logging
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeAlias

from fdref.commands.decode import describe
from fdref.commands.messages import note
from fdref.commands.models import drops, source_of
from fdref.decoding.contents import digest
from fdref.measure.cluster import Cluster
from fdref.measure.in_files import NetworkFile
from fdref.measure.processes import Processes
from fdref.weights import NETWORKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from fdref.network.graph import Network

    Workers: TypeAlias = Processes | Cluster | None

MOST = 1024
"""Processes on one machine."""


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Add the options by which others compute."""
    add = parser.add_mutually_exclusive_group().add_argument
    add("--workers", metavar="N", type=count, help="compute in N processes on this machine")
    add(
        "--scheduler",
        metavar="tcp://HOST:PORT",
        help="compute on a cluster: the address that `dask scheduler` prints (extra: dask)",
    )


def count(text: str) -> int:
    """Read how many processes.

    >>> count("4")
    4
    """
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:9]) <= MOST):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of processes; expected 1 to {MOST}"
        )
    return int(text)


@contextmanager
def workers(options: argparse.Namespace, net: Network) -> Iterator[Workers]:
    """Have what a command was asked to compute with; None is this process.

    Raises
    ------
    FdrefError
        If a cluster cannot be reached, or its workers are of no use.
    """
    if options.workers is None and options.scheduler is None:
        yield None
        return
    with _quiet(), _made(options) as found:
        found.files.append((net, file_of(options, net)))
        for message in getattr(found, "notes", ()):
            note(options, message)
        yield found


def _made(options: argparse.Namespace) -> Processes | Cluster:
    return Cluster(options.scheduler) if options.workers is None else Processes(options.workers)


def file_of(options: argparse.Namespace, net: Network) -> NetworkFile:
    """Say where workers find the network."""
    model = "lenet" if options.model is None else options.model
    return NetworkFile(
        model if model in NETWORKS else str(source_of(options).resolve()),
        describe(source_of(options))["model_sha256"],
        digest(net),
        tuple(drops(options)),
        options.input_size,
        options.input_channels,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Dask from saying what we say in one line."""
    log = logging.getLogger("distributed")
    before = log.level
    log.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="distributed")
            yield
    finally:
        log.setLevel(before)

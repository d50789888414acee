"""What a file of decoded filters is to hold, and what it says of how they came about."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

import fdref
from fdref.decoding.blocks import Plan
from fdref.engines import engine_named, name_of
from fdref.errors import one_line
from fdref.layers import Pool
from fdref.network.units import receptive_field

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fdref.decoding.blocks import Wanted
    from fdref.engines import Engine
    from fdref.engines.resize import Method
    from fdref.files.laid_out import Described
    from fdref.network.graph import Network

METHOD = "filter decoding with substitution, arXiv 1511.05084"


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


@dataclass(frozen=True)
class Contents:
    """What the file is to hold."""

    net: Network
    jobs: Sequence[Job]
    unpool: Method
    engine: Engine | str
    about: Mapping[str, str]
    """attributes of every dataset beside those that tell how it came about"""

    @cached_property
    def facts(self) -> dict[str, str]:
        """What every dataset says of how it came about."""
        return {
            "method": METHOD,
            "unpool": self.unpool,
            "engine": name_of(self.engine),
            "fdref_version": fdref.__version__,
            "network_sha256": digest(self.net),
            **self.about,
        }

    @property
    def wanted(self) -> Wanted:
        """Which filters."""
        return {job.number: job.filters for job in self.jobs}

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of the decoded filters' elements."""
        return engine_named(self.engine).precision(self.net.dtype)

    def plan(self, max_memory: int | None) -> Plan:
        """Plan how to decode it."""
        return Plan(self.net, self.wanted, self.unpool, self.engine, max_memory)

    def described(self) -> Described:
        """Describe the datasets."""
        datasets: Described = {}
        for job in self.jobs:
            field = receptive_field(self.net, job.number)
            name = self.net[job.number].name
            about = {
                **self.facts,
                "layer": job.number,
                "layer_name": one_line(name, None),
                "filters": compact(job.filters),
                "pools": pools_below(self.net, job.number),
                "receptive_field_size": list(field.size),
                "receptive_field_stride": [
                    n if isinstance(n, int) else float(n) for n in field.stride
                ],
                "receptive_field_offset": list(field.offset),
            }
            size = receptive_field(self.net, job.number).size
            shape = len(job.filters), self.net.channels[0], *size
            datasets[job.stem] = shape, self.dtype, about
        return datasets


def pools_below(net: Network, number: int) -> int:
    """Return how many pools lie between a layer and the image: 0 where no unpooling is used.

    >>> pools_below(fdref.load(), 1), pools_below(fdref.load(), 5)
    (0, 2)
    """
    below, waiting = set[int](), [number]
    while waiting:
        for taken in net.takes[waiting.pop()]:
            if taken > 0 and taken not in below:
                below.add(taken)
                waiting.append(taken)
    return sum(isinstance(net[taken], Pool) for taken in below)


def digest(net: Network) -> str:
    """Return the hash of all that makes a network's filters what they are."""
    hashed = hashlib.sha256(f"{net.channels[0]}".encode())
    if not net.is_chain:
        hashed.update(f"{net.takes} {net.input_channels}".encode())
    for layer in net.decoded_as.values():  # a pool of one position depends on the images' size
        hashed.update(layer.kind.encode())
        for field in fields(layer):
            value = getattr(layer, field.name)
            if isinstance(value, np.ndarray):
                hashed.update(f"{field.name} {value.dtype.str} {value.shape}".encode())
                hashed.update(np.ascontiguousarray(value).data)
            else:
                hashed.update(f"{field.name} {value!r}".encode())
    return hashed.hexdigest()


def compact(numbers: Sequence[int]) -> str:
    """Write numbers as `fdref.commands.jobs.ranges` reads them.

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

"""Which filters of which layers a command means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fdref.contents import Job
from fdref.decoding import decodable_number, filter_indices
from fdref.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.network import Network

NUMBERS = re.compile(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?")


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

"""Which filters of which layers a command means."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from fdref.decoding.contents import Job
from fdref.errors import ArgumentError
from fdref.layers import Conv, ConvTranspose
from fdref.network.fields import check_has_filters
from fdref.selection import decodable_number, filter_indices

if TYPE_CHECKING:
    from fdref.network.graph import Network

NUMBER = re.compile("[0-9]{1,9}")
NUMBERS = re.compile(r"\s*([0-9]{1,9})\s*(?:-\s*([0-9]{1,9})\s*)?")
"""A number, or a range, its last number included."""
WITH_FILTERS = Conv | ConvTranspose


def read_jobs(net: Network, layers: str | None, filters: str | None) -> tuple[list[Job], list[str]]:
    """Read which filters of which layers are meant, and what is to be said of those missing.

    A filter that some layers have and others do not is left out of the others.
    """
    numbers = list(net.decodable) if layers is None else layer_numbers(net, layers)
    told = out_of_sight(net) if layers is None else []
    if len(set(numbers)) < len(numbers):
        raise ArgumentError(f"--layers {layers} names a layer twice")
    if filters is None:
        return [Job(n, net.describe(n), range(net.channels[n])) for n in numbers], told
    parts = ranges("--filters", filters)
    if numbers:
        most = max(numbers, key=lambda number: net.channels[number])
        filter_indices(net, most, [end for part in parts for end in (part[0], part[-1])])
    chosen = [k for part in parts for k in part]
    jobs = [Job(n, net.describe(n), [k for k in chosen if k < net.channels[n]]) for n in numbers]
    short = [job for job in jobs if len(job.filters) < len(chosen)]
    return [job for job in jobs if job.filters], [*told, *_told(net, short)]


def out_of_sight(net: Network) -> list[str]:
    """Say which layer is in the way of those that are left out where nobody names any."""
    decodable = set(net.decodable)
    lost = [
        number
        for number, layer in enumerate(net, 1)
        if isinstance(layer, WITH_FILTERS) and number not in decodable
    ]
    if not lost:
        return []
    try:
        check_has_filters(net, lost[0])
    except ArgumentError as error:
        more = f"; {len(lost) - 1} more left out, too" if len(lost) > 1 else ""
        return [f"{error}{more}"]
    return []


def _told(net: Network, short: list[Job]) -> list[str]:
    """Say which layers have less filters than were asked for."""
    if not short:
        return []
    which = ", ".join(f"{job.label} has {net.channels[job.number]}" for job in short[:3])
    more = f", and {len(short) - 3} more" if len(short) > 3 else ""
    return [f"filters that a layer does not have are left out: {which}{more}"]


def layer_numbers(net: Network, text: str) -> list[int]:
    """Read numbers, ranges and names of layers; in a range, those without filters are passed by.

    A name that looks like a range is the layer of that name; what looks like a number is a number.

    >>> import fdref
    >>> layer_numbers(fdref.load(), "conv4, 1-4")
    [7, 1, 3]
    """
    named = {layer.name for layer in net}
    numbers: list[int] = []
    for part in map(str.strip, text.split(",")):
        if not part:
            raise ArgumentError(f"--layers {text!r} cannot be read; expected for example 1,3-7")
        if part in named or NUMBERS.fullmatch(part) is None:
            numbers.append(net.number(int(part) if NUMBER.fullmatch(part) else part))
            continue
        (own,) = ranges("--layers", part)
        for end in (own[0], own[-1]):
            net.number(end)
        within = [number for number in own if isinstance(net[number], WITH_FILTERS)]
        numbers += within or [decodable_number(net, own[0])]  # which says what there is
    return numbers


def layer_of(text: str) -> int | str:
    """Read one layer, a number or a name.

    >>> layer_of("3"), layer_of("conv2")
    (3, 'conv2')
    """
    return int(text) if NUMBER.fullmatch(text) else text


def ranges(option: str, text: str) -> list[range]:
    """Read numbers and ranges.

    >>> ranges("--filters", "0-3,12")
    [range(0, 4), range(12, 13)]
    """
    found = []
    for part in text.split(","):
        match = NUMBERS.fullmatch(part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if first > last:
            example = "; the smaller first" if match else ""
            raise ArgumentError(
                f"{option} {text!r} cannot be read; expected for example 0-9,12{example}"
            )
        found.append(range(first, last + 1))
    return found

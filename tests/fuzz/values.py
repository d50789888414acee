"""What may come of a MATLAB file: values of few types, or a network that runs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import fdref
from fdref.weights import matlab

if TYPE_CHECKING:
    from pathlib import Path

SMALL = 10**6
"""Numbers in the maps of networks that are run."""


def load(path: Path) -> str:
    """Read a MATLAB file as values, and as a network."""
    check(matlab.read(path))
    try:
        net = fdref.load(path)
    except fdref.NetworkError as error:
        if not str(error).isprintable():
            raise AssertionError("several lines") from error
        return "values, no network"
    return run_network(net)


def check(value: Any) -> None:
    """Check that a value is of the few types that there are."""
    if isinstance(value, dict):
        assert all(isinstance(name, str) for name in value)
        for inner in value.values():
            check(inner)
    elif isinstance(value, list):
        for inner in value:
            check(inner)
    elif isinstance(value, np.ndarray):
        assert value.dtype.kind in "biuf"
        assert value.dtype.isnative
        assert value.flags.aligned
    else:
        assert isinstance(value, str | matlab.Unsupported)


def run_network(net: fdref.Network) -> str:
    """Check that a network's maps have the shapes that it says, where that is soon done."""
    size = net.input_size or (32, 32)
    try:
        sizes = net.map_sizes(size)
        shapes = [(1, count, *size) for count, size in zip(net.channels, sizes, strict=True)]
        if sum(map(np.prod, shapes)) > SMALL:
            return "network, too large to run"
        maps = fdref.forward(net, np.zeros(shapes[0], net.dtype), "reference")  # compiles nothing
    except fdref.ArgumentError:
        return "network, for other images"
    assert [found.shape for found in maps] == shapes
    return "network"

"""SciPy's side of the table: one channel and one filter, a batch of images as one volume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scipy import signal

if TYPE_CHECKING:
    from collections.abc import Callable

    from fdref.arrays import Array

    Run = Callable[[], Array]


def correlate(images: Array, filters: Array) -> Run:
    return lambda: signal.correlate(images[:, 0], filters[0], "valid", "direct")[:, None]


def substitute(maps: Array, filters: Array) -> Run:
    return lambda: signal.convolve(maps[:, 0], filters[0], "full", "direct")[:, None]

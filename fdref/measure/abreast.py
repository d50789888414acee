"""Chunks of images side by side, on the threads that otherwise share every operation.

Threads that share an operation wait for each other at its end, and find in their caches what the
last one left there in part. Where each computes a chunk from beginning to end, neither is so.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, TypeVar

from fdref.engines import blas, engine_named
from fdref.errors import FdrefError
from fdref.network.sizes import sizes_from

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.network.graph import Network

Item = TypeVar("Item")
Result = TypeVar("Result")

HELD = 2**30
"""Bytes of the maps of all images that are computed at a time, unless a single chunk has more."""


@dataclass(frozen=True)
class Abreast:
    """A network, run by an engine on several chunks of images at a time.

    Engines whose operations may run at the same time say so by `each`, which does work on parts on
    several threads; others compute one chunk after the other.
    """

    net: Network
    engine: Engine | str

    def width(self, images: Array) -> int:
        """Return how many chunks of as many images, (N, C, H, W) or (N, H, W), go side by side."""
        if self._each is None or images.ndim < 3:
            return 1
        try:
            sizes = sizes_from(self.net, [images.shape[-2:]] * self.net.inputs)
        except FdrefError:  # they do not fit the network, as whoever takes them will say
            return 1
        numbers = sum(self.net.channels_of(n) * prod(size) for n, size in sizes.items())
        one = len(images) * numbers * engine_named(self.engine).precision(self.net.dtype).itemsize
        return max(1, min(blas.threads(), HELD // max(1, one)))

    def results(
        self, function: Callable[[Item], Result], items: Sequence[Item]
    ) -> Iterator[Result]:
        """Yield what a function of ours makes of each, in order; of errors, the first item's."""
        found: dict[int, Result] = {}

        def find(number: int) -> None:
            found[number] = function(items[number])

        if self._each is not None and len(items) > 1:
            with suppress(Exception):  # whichever came first: below they come in order
                self._each(find, range(len(items)))
        for number, item in enumerate(items):
            yield found.pop(number) if number in found else function(item)

    @property
    def _each(self) -> Callable[[Callable[[Any], None], Sequence[Any]], None] | None:
        return getattr(engine_named(self.engine), "each", None)

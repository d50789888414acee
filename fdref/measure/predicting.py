"""How well filters predict a layer, and decoded filters that layer in networks made linear."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fdref.measure.evaluation import compare, respond
from fdref.measure.finite import QUIET, check_response, finite_forward, prepare
from fdref.measure.replacing import replace_nonlinear
from fdref.walk.forward import forward

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.engines import Engine
    from fdref.measure.ceiling import Best
    from fdref.measure.chunks import Chunk
    from fdref.measure.replacing import Replaced
    from fdref.network.graph import Network

    Filters = Mapping[str, Best]
    """by name; the first are the decoded filters that replaced networks are predicted by"""


@dataclass(frozen=True, eq=False)
class Predicting:
    """Compares responses to a chunk of images, of networks made linear, too, with predictions."""

    net: Network
    filters: Mapping[int, Filters]
    variants: Mapping[int, Sequence[Replaced]]
    engine: Engine | str

    @QUIET
    def __call__(self, chunk: Chunk) -> dict[tuple[int, str | Replaced], NDArray[np.float64]]:
        """Return `compare`'s rows for each layer, by the filters' name or what is replaced."""
        net = self.net
        rows: dict[tuple[int, str | Replaced], NDArray[np.float64]] = {}
        decoded: dict[int, Array] = {}
        x = prepare(net, chunk.images, chunk.first)
        last = max(self.filters, default=None)
        acts = finite_forward(net, x, chunk.first, self.engine, last)
        for n, filters in self.filters.items():
            for name, (bank, offset) in filters.items():
                predicted = respond(net, n, bank, x, self.engine) + offset[:, None, None]
                check_response(net, n, predicted, chunk.first)
                rows[n, name] = compare(acts[n], predicted, engine=self.engine)
                decoded.setdefault(n, predicted)
        for replaced in dict.fromkeys(r for several in self.variants.values() for r in several):
            asked = [n for n, several in self.variants.items() if replaced in several]
            maps = (
                forward(replace_nonlinear(net, replaced), x, self.engine, max(asked))
                if replaced
                else acts
            )
            for n in asked:
                rows[n, replaced] = compare(maps[n], decoded[n], engine=self.engine)
                # A map that overflowed may look like numbers again further up.
                rows[n, replaced][:, ~_finite(maps[: n + 1])] = np.nan
        return rows


def _finite(maps: Iterable[Array]) -> NDArray[np.bool_]:
    """Tell of which images all maps are finite."""
    known = [np.isfinite(values).all(axis=(1, 2, 3)) for values in maps]
    every: NDArray[np.bool_] = np.logical_and.reduce(known)
    return every

"""A computation that other libraries do too, and how far results may lie apart."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import import_module
from math import sqrt
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fdref.arrays import Array

    Result = Array | Sequence[Array]
    """One array or several; a peer's own kind of array will do."""
    Run = Callable[[], Result]

_asked = os.environ.get("OMP_NUM_THREADS", "")
THREADS = int(_asked) if _asked.isdecimal() else 2
"""On every side, here and in the benchmarks."""

PRECISIONS = {
    "PyTorch": ("float32", "float64"),
    "ONNX Runtime": ("float32",),  # its Conv knows no other
    "SciPy": ("float32", "float64"),
}
MODULES = {"PyTorch": "pytorch", "ONNX Runtime": "onnx_runtime", "SciPy": "scipy_signal"}
ALL = tuple(PRECISIONS)
BOTH = ("PyTorch", "ONNX Runtime")


@dataclass(frozen=True)
class Task:
    """A computation, and who else can do it.

    A result may differ by 2 * sqrt(roundings) units of rounding, relative to the largest magnitude
    in it: two libraries add the same terms in different orders, each addition rounds by at most
    half a unit of a partial sum, and as errors are as often up as down they grow with the root of
    their number. None at all may differ where nothing is rounded.
    """

    name: str
    ours: Callable[..., Result]
    """Takes the arguments and an engine."""
    given: Mapping[str, Any]
    """Arguments; a callable makes one of a dtype."""
    peers: tuple[str, ...]
    roundings: int
    """Operations that round on the way to one number of the result, ours and theirs alike."""
    why: str
    """What they are."""
    engines: tuple[str, ...] = ("compiled", "reference")
    precisions: tuple[str, ...] = ("float32", "float64")
    timed: bool = False
    large: bool = False
    batches: tuple[int, ...] = ()
    """Instead of all filters or images at once, a peer can take so many at a time."""
    differs: bool = False
    """The peer's result is known to be another one, and only the time is comparable."""

    def arguments(self, dtype: str) -> dict[str, Any]:
        """Return the arguments, made once and shared by all who compute with them."""
        return {
            name: value(dtype) if callable(value) else value for name, value in self.given.items()
        }

    def prepare(self, peer: str, arguments: Mapping[str, Any], batch: int | None = None) -> Run:
        """Return a peer's run. Raises ModuleNotFoundError where the peer is not installed."""
        module = import_module(f"peers.{MODULES[peer]}")
        size = {} if batch is None else {"batch": batch}
        run: Run = getattr(module, self.ours.__name__)(**arguments, **size)
        return run

    def check(self, ours: Result, theirs: Result, dtype: str, engine: str = "compiled") -> None:
        """Hold two results against each other. Raises AssertionError."""
        found, most = deviation(ours, theirs), 2 * sqrt(self.roundings) * np.finfo(dtype).eps
        if self.differs:
            assert most < found < 1, f"{engine} engine: {found}; it should differ"
        else:
            assert found <= most, f"{engine} engine: {found}; what rounds: {self.why}"


def deviation(ours: Result, theirs: Result) -> float:
    """Return the largest difference, relative to the largest magnitude of each array."""
    found = []
    for own, other in zip(arrays(ours), arrays(theirs), strict=True):
        assert own.shape == other.shape, f"shapes {own.shape} and {other.shape}"
        found.append(np.abs(own - other).max() / np.abs(other).max())
    return float(np.max(found))  # unlike max(), it lets no NaN slip through


def arrays(result: Result) -> list[Array]:
    """Return the arrays of a result as NumPy's."""
    parts = result if isinstance(result, list | tuple) else [result]
    return [np.asarray(part) for part in parts]

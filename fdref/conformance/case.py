"""What a conformance kit is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    Arrays = Mapping[str, NDArray[Any]]
    """Arrays by name."""

SPECIFICATION_VERSION = "2.0"
"""Of SPECIFICATION.md and the cases: the minor number grows with new cases, the major one where an
expectation changes."""

OPERATIONS = (
    "correlate",
    "pool",
    "relu",
    "normalize",
    "bnorm",
    "substitute",
    "unpool",
    "receptive_field",
    "respond",
    "forward",
    "decode",
    "project",
    "evaluate",
    "occlude",
)


@dataclass(frozen=True)
class Tolerance:
    """How far a result may be from what is expected: |got - expected| <= atol + rtol*|expected|."""

    rtol: float
    atol: float
    reason: str
    outputs: Mapping[str, float] = field(default_factory=dict)
    """The `atol` of outputs that have one of their own."""

    def __post_init__(self) -> None:
        bounds = (self.rtol, self.atol, *self.outputs.values())
        if not all(0 <= bound < inf for bound in bounds):
            raise ValueError(f"a tolerance of {max(bounds)} passes anything or nothing")

    def of(self, output: str) -> Tolerance:
        """Return the tolerance of one output."""
        return Tolerance(self.rtol, self.outputs.get(output, self.atol), self.reason)


EXACT = Tolerance(0.0, 0.0, "small integers: every order of adding gives the same bits")


@dataclass(frozen=True)
class Case:
    """One question to an implementation, and its answer."""

    id: str
    operation: str
    section: str
    """Of SPECIFICATION.md, such as "3.1"."""
    about: str
    """In one sentence, what the case is there for."""
    inputs: Arrays
    parameters: Mapping[str, Any]
    """What JSON can hold."""
    expected: Arrays
    """The outputs, in the order in which stages follow each other."""
    tolerance: Tolerance = field(default=EXACT)
    refused: bool = False
    """The case cannot be computed; `expected` is {"refused": 1}."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type that results are rounded to."""
        return result_type(self.inputs)


def result_type(inputs: Arrays) -> np.dtype[Any]:
    """Return the type that results are rounded to: that of the inputs; LeNet's is float32."""
    return np.result_type(*inputs.values()) if inputs else np.dtype(np.float32)

"""How cases are put together: the answer comes from the reference engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.case import EXACT, Case, Tolerance
from fdref.conformance.cases.tolerances import tolerance_of
from fdref.conformance.compute import Library, call, result_type

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    Named = dict[str, NDArray[Any]]
    Entry = dict[str, Any]

SECTIONS = {
    "correlate": "2.1",
    "pool": "2.2",
    "relu": "2.3",
    "normalize": "2.4",
    "bnorm": "2.5",
    "forward": "2.6",
    "substitute": "3.1",
    "decode": "3.2",
    "unpool": "4",
    "receptive_field": "5.1",
    "respond": "5.2",
    "evaluate": "6",
}
"""Of SPECIFICATION.md."""

SIZES = Tolerance(0.0, 0.0, "whole numbers")


def exact(
    id: str,  # noqa: A002 - what the manifest calls it
    operation: str,
    about: str,
    inputs: Mapping[str, NDArray[Any]],
    tolerance: Tolerance = EXACT,
    **parameters: Any,
) -> Case:
    """Make a case that must match bit for bit."""
    answer = call(operation, inputs, parameters, "reference")
    return Case(id, operation, SECTIONS[operation], about, inputs, parameters, answer, tolerance)


def rounded(
    id: str,  # noqa: A002
    operation: str,
    about: str,
    inputs: Mapping[str, NDArray[Any]],
    **parameters: Any,
) -> Case:
    """Make a case of real numbers, with the tolerance that its roundings need."""
    found = Library("reference").outputs(operation, inputs, parameters)
    dtype = result_type(inputs)
    answer = {name: settled(values).astype(dtype) for name, values in found.items()}
    case = Case(id, operation, SECTIONS[operation], about, inputs, parameters, answer)
    return replace(case, tolerance=tolerance_of(case))


def settled(values: NDArray[Any]) -> NDArray[Any]:
    """Drop the last 12 of the 52 bits of a float64.

    They depend on the machine's order of adding, and would decide which float32 a number in the
    middle of two becomes.
    """
    fractions, exponents = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(fractions, 40)), exponents - 40))


def refused(
    id: str,  # noqa: A002
    operation: str,
    about: str,
    inputs: Mapping[str, NDArray[Any]],
    **parameters: Any,
) -> Case:
    """Make a case that cannot be computed."""
    answer = {"refused": np.array(1)}
    return Case(id, operation, "7", about, inputs, parameters, answer, refused=True)


def windows(
    stride: Sequence[int] = (1, 1),
    pad: Sequence[int] = (0, 0, 0, 0),
    dilate: Sequence[int] = (1, 1),
    groups: int = 1,
) -> Entry:
    """Return the parameters of a correlation."""
    return {"stride": [*stride], "pad": [*pad], "dilate": [*dilate], "groups": groups}


def spread(
    stride: Sequence[int] = (1, 1), dilate: Sequence[int] = (1, 1), groups: int = 1
) -> Entry:
    """Return the parameters of a substitution."""
    return {"stride": [*stride], "dilate": [*dilate], "groups": groups}


def pooling(
    window: Sequence[int],
    stride: Sequence[int],
    pad: Sequence[int] = (0, 0, 0, 0),
    method: str = "max",
) -> Entry:
    """Return the parameters of a pool."""
    return {"window": [*window], "stride": [*stride], "pad": [*pad], "method": method}


def conv(filters: str, bias: str | None = None, **parameters: Any) -> Entry:
    """Describe a convolution of a network."""
    return {"type": "conv", "filters": filters, "bias": bias, **windows(**parameters)}


def pool(*sizes: Any, **parameters: Any) -> Entry:
    """Describe a pool of a network."""
    return {"type": "pool", **pooling(*sizes, **parameters)}


def relu(leak: float = 0) -> Entry:
    """Describe a ReLU of a network."""
    return {"type": "relu", "leak": leak}


def normalize(size: int, kappa: float, alpha: float, beta: float) -> Entry:
    """Describe a local response normalisation of a network."""
    return {"type": "normalize", "size": size, "kappa": kappa, "alpha": alpha, "beta": beta}


def bnorm(gain: str, bias: str, moments: str) -> Entry:
    """Describe a batch normalisation of a network."""
    return {"type": "bnorm", "gain": gain, "bias": bias, "moments": moments}

"""How cases are put together: the answer comes from the reference engine."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.conformance.case import EXACT, OPERATIONS, Case, Tolerance
from fdref.conformance.cases import disturbed
from fdref.conformance.cases.tolerances import of_errors, tolerance_of
from fdref.conformance.compute import Library, call
from fdref.conformance.networks import is_graph, network_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.geometry import Pair

    Named = Mapping[str, NDArray[Any]]
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
    "project": "3.3",
    "unpool": "4",
    "receptive_field": "5.1",
    "respond": "5.2",
    "evaluate": "6",
    "occlude": "10",
}
"""Of SPECIFICATION.md."""

IN_GRAPHS = {"forward": "9.1", "decode": "9.2", "evaluate": "9.2"}
"""Those of cases whose networks are no chain, or known to be for images of one size."""

DEFAULTS: dict[str, Entry] = {
    "correlate": {"stride": [1, 1], "pad": [0, 0, 0, 0], "dilate": [1, 1], "groups": 1},
    "substitute": {"stride": [1, 1], "dilate": [1, 1], "groups": 1},
    "pool": {"window": [2, 2], "stride": [2, 2], "pad": [0, 0, 0, 0], "method": "max"},
}
"""Parameters that a case need not say."""

SIZES = Tolerance(0.0, 0.0, "whole numbers")


def exact(id: str, about: str, inputs: Named, tolerance: Tolerance = EXACT, **given: Any) -> Case:  # noqa: A002 - what the manifest calls it
    """Make a case that must match bit for bit."""
    case = refused(id, about, inputs, **given)
    answer = call(case.operation, inputs, case.parameters, "reference")
    section = section_of(case)
    return replace(case, section=section, expected=answer, tolerance=tolerance, refused=False)


def rounded(id: str, about: str, inputs: Named, **given: Any) -> Case:  # noqa: A002
    """Make a case of real numbers, with the tolerance that its roundings need."""
    case = refused(id, about, inputs, **given)
    found = Library("reference").outputs(case.operation, inputs, case.parameters)
    answer = {
        name: values if values.dtype.kind == "i" else settled(values).astype(case.dtype)
        for name, values in found.items()
    }
    section = section_of(case)
    case = replace(case, section=section, expected=answer, refused=False)
    # What chooses is no sum, and has no such bound; nor are ways that join counted.
    if case.operation in ("project", "occlude") or is_graph(case.parameters):
        net = network_of(case.parameters, inputs, None)
        tolerance = disturbed.tolerance_of(case, net)
        if case.operation == "evaluate":
            bounds = dict(tolerance.outputs)
            bounds |= of_errors(case, bounds, float(np.finfo(case.dtype).eps))
            tolerance = replace(tolerance, outputs=bounds)
        return replace(case, tolerance=tolerance)
    tolerance = tolerance_of(case)
    if "origin" in answer:
        tolerance = replace(tolerance, outputs={**tolerance.outputs, "origin": 0.0})
    return replace(case, tolerance=tolerance)


def section_of(case: Case) -> str:
    """Return the section that says what a case computes."""
    if is_graph(case.parameters) or "input_size" in case.parameters:
        return IN_GRAPHS[case.operation]
    return SECTIONS[case.operation]


def refused(id: str, about: str, inputs: Named, **given: Any) -> Case:  # noqa: A002
    """Make a case that cannot be computed; its ID begins with the operation."""
    name = id.removeprefix("refuse-").replace("-", "_")
    (operation,) = (one for one in OPERATIONS if name.startswith(one))
    known = DEFAULTS.get(operation, {}) | lists(given)
    return Case(id, operation, "7", about, inputs, known, {"refused": np.array(1)}, refused=True)


def lists(parameters: Entry) -> Entry:
    """Return parameters as JSON has them."""
    return {k: [*v] if isinstance(v, tuple | range) else v for k, v in parameters.items()}


def settled(values: NDArray[Any]) -> NDArray[Any]:
    """Drop the last 12 of the 52 bits of a float64.

    They depend on the machine's order of adding, and would decide which float32 a number in the
    middle of two becomes.
    """
    fractions, exponents = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(fractions, 40)), exponents - 40))


def conv(filters: str, bias: str | None = None, **given: Any) -> Entry:
    """Describe a convolution of a network."""
    own = DEFAULTS["correlate"] | lists(given)
    return {"type": "conv", "filters": filters, "bias": bias, **own}


def pool(
    window: Pair, stride: Pair, pad: Sequence[int] = (0, 0, 0, 0), method: str = "max"
) -> Entry:
    """Describe a pool of a network."""
    own = {"window": [*window], "stride": [*stride], "pad": [*pad], "method": method}
    return {"type": "pool", **own}


def relu(leak: float = 0) -> Entry:
    """Describe a ReLU of a network."""
    return {"type": "relu", "leak": leak}


def normalize(size: int, kappa: float, alpha: float, beta: float) -> Entry:
    """Describe a local response normalisation of a network."""
    return {"type": "normalize", "size": size, "kappa": kappa, "alpha": alpha, "beta": beta}


def bnorm(gain: str, bias: str, moments: str) -> Entry:
    """Describe a batch normalisation of a network."""
    return {"type": "bnorm", "gain": gain, "bias": bias, "moments": moments}


def convt(filters: str, bias: str | None = None, **given: Any) -> Entry:
    """Describe a transposed convolution of a network."""
    own = {"upsample": [1, 1], "crop": [0, 0, 0, 0], "groups": 1} | lists(given)
    return {"type": "convt", "filters": filters, "bias": bias, **own}


def taking(layer: Entry | str, *maps: int) -> Entry:
    """Describe a layer that does not take the map before, or more than one; 0 is the input."""
    return ({"type": layer} if isinstance(layer, str) else layer) | {"inputs": [*maps]}

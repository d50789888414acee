"""How far results may be off: the tolerances of cases, derived."""

from __future__ import annotations

from math import ceil, floor, log10, prod, sqrt
from typing import TYPE_CHECKING

import numpy as np

from fdref.conformance.case import Tolerance
from fdref.conformance.compute import call
from fdref.conformance.networks import layer_of, network_of
from fdref.layers import (
    BatchNorm,
    Conv,
    ConvTranspose,
    Elementwise,
    Normalize,
    Pool,
    Scale,
    Softmax,
    Sum,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from fdref.conformance.case import Case
    from fdref.engines.resize import Method
    from fdref.layers import Layer
    from fdref.network.graph import Network

UNPOOLING = {"nearest": 0, "bilinear": 12, "bicubic": 24}
"""Roundings of an enlarged pixel: along each axis the products, the sums, and the weights' own."""

OVERSHOOT = {"nearest": 1.0, "bilinear": 1.0, "bicubic": 1.25**2}
"""What the absolute values of an enlarged pixel's weights add up to, at most.

None for `window`: its weights are positive, and it adds up absolute values by itself.
"""


def tolerance_of(case: Case) -> Tolerance:
    """Derive how far the outputs of a case of real numbers may be from what is expected.

    A sum in any order is off by no more than the number of its roundings, times eps, times the sum
    of the absolute values. Through several layers that bound grows beyond use: there, it is the
    largest value of the output that roundings are relative to.
    """
    eps = float(np.finfo(case.dtype).eps)
    counts = {name: n for name, n in roundings(case).items() if name in case.expected}
    most = max(counts.values())
    how = f"{most} roundings" if in_line(most) == most else f"4*sqrt({most}) roundings"
    if case.operation in ("forward", "decode", "evaluate"):
        sizes = {name: float(np.abs(case.expected[name]).max()) for name in counts}
        relative = "the largest value of each output"
    else:
        sizes = dict.fromkeys(counts, added_up(case))
        relative = f"{added_up(case):.3g}, the largest sum of absolute values"
    bounds = {name: rounded_up(in_line(n) * eps * sizes[name]) for name, n in counts.items()}
    reason = f"at most {how}, each eps = {eps:.2g} of {relative}"
    if case.operation == "evaluate":
        bounds |= of_errors(case, bounds, eps)
        reason += "; errors and correlations move with the responses"
    outputs = bounds if len(bounds) > 1 else {}
    return Tolerance(0.0, max(bounds.values()), reason, outputs)


def in_line(roundings: int) -> float:
    """Return how many roundings in the same direction so many amount to.

    Many of them go up as often as down and add up to about the square root of their number; four
    times that is enough.
    """
    return min(float(roundings), 4 * sqrt(roundings))


def rounded_up(number: float) -> float:
    """Return two digits of a number, and no less.

    >>> rounded_up(0.00123456)
    0.0013
    """
    if number == 0:
        return 0.0
    exponent = floor(log10(number)) - 1
    return float(f"{ceil(number / 10.0**exponent)}e{exponent}")


def added_up(case: Case) -> float:
    """Return the largest sum of absolute values under the output of a single operation."""
    inputs = {name: np.abs(values) for name, values in case.inputs.items()}
    known = case.parameters
    match case.operation:
        case "unpool" if known["method"] in OVERSHOOT:
            return float(np.nanmax(inputs["maps"])) * OVERSHOOT[known["method"]]
        case "normalize":  # an error of the divisor counts beta times, that of the squares twice
            amplified = (1 + 2 * known["beta"]) / known["kappa"] ** known["beta"]
            return float(inputs["images"].max()) * float(amplified)
        case "bnorm":
            inputs["moments"] *= np.array([-1, 1], inputs["moments"].dtype)
    (sums,) = call(case.operation, inputs, known, "reference").values()
    return float(sums.max())


def roundings(case: Case) -> dict[str, int]:
    """Count the roundings on the longest way to each output."""
    known, inputs = case.parameters, case.inputs
    match case.operation:
        case "correlate":
            return {"response": inputs["filters"][0].size + 1}
        case "respond":
            return {"response": inputs["bank"][0].size}
        case "substitute":
            filters = inputs["filters"]
            return {"pictures": filters[:, 0].size // known["groups"]}
        case "unpool":
            return {"pictures": unpooled(**known)}
        case "pool" | "relu" | "normalize":
            layer = layer_of({"type": case.operation, **known}, inputs)
            return {next(iter(case.expected)): upwards(layer)}
        case "bnorm":
            return {"normalized": 4}
    net = network_of(known, inputs, None)
    up = totals(map(upwards, net))
    if case.operation == "forward":
        return {f"layer{number}": count for number, count in enumerate(up, 1)}
    number, method = known["layer"], known["unpool"]
    down = totals(downwards(net, n, method) for n in range(number, 0, -1))
    if case.operation == "decode":
        return {f"stage{stage}": count for stage, count in enumerate(down, 1)}
    predicted = down[-1] + int(np.prod(case.expected["predicted"].shape[1:2]))
    return {"response": up[number - 1], "predicted": predicted}


def upwards(layer: Layer) -> int:
    """Count the roundings of one pixel of a layer's output."""
    match layer:
        case Conv(filters=filters):
            return int(filters[0].size) + 1
        case ConvTranspose(filters=filters, groups=groups):
            return int(filters[:, 0].size) // groups + 1
        case Pool(method="avg", window=window):
            return int(window[0] * window[1])
        case Normalize(size=size):
            return 2 * size + 8
        case Softmax() | Elementwise():
            return 16
        case BatchNorm():
            return 4
        case Scale():
            return 2
        case _:
            return 1


def downwards(net: Network, number: int, method: Method) -> int:
    """Count the roundings of one pixel of a picture when it goes down through a layer."""
    match net[number]:
        case Conv(filters=filters):
            return int(filters[:, 0].size)
        case ConvTranspose(filters=filters):
            return int(filters[0].size)
        case Pool(stride=stride, window=window):
            return unpooled(stride, window, method)
        case BatchNorm():
            return 2
        case Scale() | Sum():
            return 1
        case _:
            return 0


def unpooled(stride: Sequence[int], window: Sequence[int], method: Method) -> int:
    """Count the roundings of an unpooled pixel; a share has two along each axis, then they add."""
    if method in UNPOOLING:
        return UNPOOLING[method]
    return 3 + prod(ceil(size / step) for size, step in zip(window, stride, strict=True))


def totals(counts: Iterable[int]) -> list[int]:
    """Add up, keeping every sum on the way."""
    return [int(total) for total in np.cumsum(list(counts))]


def of_errors(case: Case, bounds: dict[str, float], eps: float) -> dict[str, float]:
    """Bound the errors of eq. 3, given how far the two responses may be off."""
    moved = turned = 0.0
    for name in ("response", "predicted"):
        values = case.expected[name].reshape(len(case.expected[name]), -1).astype(np.float64)
        values = values[np.ptp(values, axis=1) > 0]  # of the others nothing is compared
        if not len(values):
            continue
        span = float(np.ptp(values, axis=1).min())
        moved += 4 * bounds[name] / span
        turned += 2 * bounds[name] / float(values.std(axis=1).min())
    error = rounded_up(2 * moved + 16 * eps)
    correlation = rounded_up(turned + 16 * eps)
    return {"errors": error, "correlations": correlation, "mean": error, "std": error}

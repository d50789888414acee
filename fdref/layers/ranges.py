"""Numbers that the precision of a network cannot hold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arrays import in_precision
from fdref.errors import NetworkError
from fdref.layers import (
    BatchNorm,
    Conv,
    ConvTranspose,
    Elementwise,
    Normalize,
    PReLU,
    ReLU,
    Scale,
    Sum,
)

if TYPE_CHECKING:
    from fdref.layers import Layer


def check_range(layer: Layer, dtype: np.dtype[Any]) -> None:
    """Raise NetworkError or ArgumentError if a layer's numbers are infinite in a precision."""
    match layer:
        case Conv(bias=bias) | ConvTranspose(bias=bias):
            numbers = {"biases": 0.0 if bias is None else bias}
        case BatchNorm(gain=gain, bias=bias, mean=mean, deviation=deviation):
            numbers = {"gains": gain, "biases": bias, "means": mean, "deviations": deviation}
        case Normalize(kappa=kappa, alpha=alpha, beta=beta):
            numbers = {"kappa, alpha and beta": np.array([kappa, alpha, beta])}
        case Scale(factor=factor, offset=offset):
            numbers = {"factors": factor, "offsets": 0.0 if offset is None else offset}
        case Elementwise(constants=numbers_of) | Sum(factors=tuple() as numbers_of):
            numbers = {"constants": np.array(numbers_of)}
        case ReLU(leak=leak) | PReLU(leak=leak):
            numbers = {"leaks": leak}
        case _:
            numbers = {}
    for what, values in numbers.items():
        in_precision(np.atleast_1d(values), dtype, what)
    if isinstance(layer, BatchNorm) and not np.isfinite(layer.scale(dtype)).all():
        raise NetworkError(
            f"a gain divided by its deviation is more than {dtype} holds; expected larger "
            "deviations"
        )

"""MatConvNet's types of layers, translated into ours: what its functions compute with the fields.

What is missing means what `vl_simplenn_tidy` would fill in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError, one_line
from fdref.layers import (
    BatchNorm,
    Conv,
    ConvTranspose,
    Dropout,
    Elementwise,
    Normalize,
    Pool,
    ReLU,
    Softmax,
)
from fdref.weights.structs import described, from_matlab, matlab_size, numbers, take, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from fdref.layers import Layer
    from fdref.weights.bounded import Budget
    from fdref.weights.structs import Struct

    Translation = Callable[[Struct, str, Budget], Layer]


def arrays(struct: Struct, budget: Budget) -> list[NDArray[Any]]:
    """Return the arrays in `weights`, or in older nets' `filters` and `biases`."""
    values = struct.get("weights")
    if isinstance(values, np.ndarray) and values.size:  # filters alone, not in a cell
        values = [values]
    if isinstance(values, np.ndarray | None) or values == []:
        values = [struct[key] for key in ("filters", "biases", "moments") if key in struct]
    values = values if isinstance(values, list) else [values]
    found = []
    for value in values:
        if not isinstance(value, np.ndarray):
            problem = f"the weights are {described(value)}"
            raise NetworkError(f"{problem}; expected `weights` {{filters, biases}}")
        found.append(value)
    if not found:
        raise NetworkError("there are no weights; expected `weights` {filters, biases}")
    for array in found:
        take(budget, "weights", array)
    return [*found, np.zeros(0)] if len(found) == 1 else found


def _conv(struct: Struct, name: str, budget: Budget) -> Layer:
    filters, bias = arrays(struct, budget)[:2]
    return Conv(
        from_matlab(filters, 4),
        bias.ravel() if bias.size else None,
        whole(struct, "stride", 1),
        whole(struct, "pad", 0),
        whole(struct, "dilate", 1),
        name,
    )


def _transposed(struct: Struct, name: str, budget: Budget) -> Layer:
    """Make a transposed convolution, whose filters are FH x FW x outputs x inputs in MATLAB."""
    filters, bias = arrays(struct, budget)[:2]
    return ConvTranspose(
        from_matlab(filters, 4),
        bias.ravel() if bias.size else None,
        whole(struct, "upsample", 1),
        whole(struct, "crop", 0),
        whole(struct, "numGroups", 1)[0],
        name,
    )


def _pool(struct: Struct, name: str, _: Budget) -> Layer:
    window, stride = whole(struct, "pool"), whole(struct, "stride", 1)
    return Pool(window, stride, whole(struct, "pad", 0), _method(struct), name)


def _method(struct: Struct) -> str:
    """Return the method of pooling, which vl_nnpool, and only it, reads in any case."""
    found = struct.get("method", "")
    if isinstance(found, np.ndarray | list) and not len(found):
        found = ""
    if not isinstance(found, str):
        raise NetworkError(f"`method` is {described(found)}; expected 'max' or 'avg'")
    method = one_line(found or "max")
    return method.lower() if method.lower() in ("max", "avg") else method


def _relu(struct: Struct, name: str, _: Budget) -> Layer:
    return ReLU(float(numbers(struct, "leak", 1, 0.0)[0]), name)


def _normalize(struct: Struct, name: str, _: Budget) -> Layer:
    param = numbers(struct, "param", 4)
    if len(param) != 4 or param[0] % 1:
        raise NetworkError(f"`param` is {param.tolist()}; expected [channels kappa alpha beta]")
    kappa, alpha, beta = map(float, param[1:])
    return Normalize(int(param[0]), kappa, alpha, beta, name)


def _batch_norm(struct: Struct, name: str, budget: Budget) -> Layer:
    gain, bias, *more = arrays(struct, budget)
    if not more:
        raise NetworkError(
            "there are no moments; expected weights {gain, bias, moments}: training had not "
            "stored them, save the net that `cnn_train` returns, or leave the layer out"
        )
    moments = more[0] if more[0].ndim == 2 else more[0].reshape(-1, 1)
    if len(moments) != 2:
        raise NetworkError(
            f"the moments have MATLAB size {matlab_size(moments)}; expected one mean and one "
            "standard deviation for each channel"
        )
    return BatchNorm(gain.ravel(), bias.ravel(), moments[0], moments[1], name)


def _dropout(struct: Struct, name: str, _: Budget) -> Layer:
    return Dropout(float(numbers(struct, "rate", 1, 0.5)[0]), name)


TRANSLATIONS: dict[str, Translation] = {
    "conv": _conv,
    "convt": _transposed,
    "pool": _pool,
    "relu": _relu,
    "sigmoid": lambda _, name, __: Elementwise("sigmoid", name=name),
    "normalize": _normalize,
    "lrn": _normalize,
    "bnorm": _batch_norm,
    "dropout": _dropout,
    "softmax": lambda _, name, __: Softmax(name),
    "softmaxloss": lambda _, name, __: Softmax(name),
}
"""By SimpleNN's `type`."""

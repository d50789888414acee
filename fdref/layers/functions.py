"""Layers that put each number, or each channel's, through a function."""

from __future__ import annotations

from dataclasses import dataclass
from math import erf, pi, sqrt
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from fdref.arguments import one_of, real_number, real_numbers, text
from fdref.errors import NetworkError
from fdref.layers.base import Pointwise
from fdref.layers.numbers import weights
from fdref.values import Value, hands_out_views

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array


@dataclass(frozen=True, eq=False, repr=False)
class ReLU(Pointwise, Value):
    """``max(x, 0)``, or ``leak * x`` where x is negative."""

    kind: ClassVar[str] = "relu"
    leak: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        self.__dict__.update(leak=real_number(self.leak, "leak"), name=text(self.name, "name"))


@hands_out_views("leak")
@dataclass(frozen=True, eq=False, repr=False, init=False)
class PReLU(Pointwise, Value):
    """``max(x, 0)``, or ``leak * x`` where x is negative, with a leak for each channel.

    Parameters
    ----------
    leak : (C,) array
    name : str
    """

    kind: ClassVar[str] = "prelu"
    leak: Array
    name: str

    def __init__(self, leak: ArrayLike, name: str = "") -> None:
        self.__dict__.update(leak=weights(leak, "leaks", ndim=1), name=text(name, "name"))

    def channels_after(self, channels: int) -> int:
        """Return as many, if there is a leak for each."""
        if channels != len(self.leak):
            raise NetworkError(f"{len(self.leak)} leaks do not fit maps of {channels} channels")
        return channels


class Function(NamedTuple):
    """A function of one number, with constants, and its derivative."""

    value: Callable[..., Array]
    slope: Callable[..., Array]
    constants: dict[str, float]
    """names and what they are by default"""


def _sigmoid(x: Array) -> Array:
    sigmoid: Array = 1 / (1 + np.exp(-np.clip(x, -700, 700)))
    return sigmoid


def _normal(x: Array) -> Array:
    """Return the standard normal distribution function."""
    half = np.frompyfunc(lambda z: 0.5 * (1 + erf(z / sqrt(2))), 1, 1)
    return np.asarray(half(x.astype(np.float64)), np.float64)


def _gelu_tanh(x: Array) -> Array:
    gelu: Array = 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))
    return gelu


def _gelu_tanh_slope(x: Array) -> Array:
    inner = np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))
    outer = sqrt(2 / pi) * (1 + 0.134145 * x**2)
    slope: Array = 0.5 * (1 + inner) + 0.5 * x * (1 - inner**2) * outer
    return slope


def _hard_sigmoid(x: Array, alpha: float, beta: float) -> Array:
    clipped: Array = np.clip(alpha * x + beta, 0, 1)
    return clipped


def _inside(x: Array, low: float, high: float) -> Array:
    return ((x > low) & (x < high)).astype(x.dtype)


FUNCTIONS = {
    "clip": Function(np.clip, _inside, {"low": 0.0, "high": 6.0}),
    "sigmoid": Function(_sigmoid, lambda x: _sigmoid(x) * (1 - _sigmoid(x)), {}),
    "tanh": Function(np.tanh, lambda x: 1 - np.tanh(x) ** 2, {}),
    "swish": Function(
        lambda x: x * _sigmoid(x),
        lambda x: _sigmoid(x) * (1 + x * (1 - _sigmoid(x))),
        {},
    ),
    "gelu": Function(
        lambda x: x * _normal(x),
        lambda x: _normal(x) + x * np.exp(-(x**2) / 2) / sqrt(2 * pi),
        {},
    ),
    "gelu_tanh": Function(_gelu_tanh, _gelu_tanh_slope, {}),
    "hard_sigmoid": Function(
        _hard_sigmoid,
        lambda x, alpha, beta: alpha * _inside(alpha * x + beta, 0, 1),
        {"alpha": 1 / 6, "beta": 0.5},
    ),
    "hard_swish": Function(
        lambda x: x * _hard_sigmoid(x, 1 / 6, 0.5),
        lambda x: np.where(x >= 3, 1.0, np.where(x <= -3, 0.0, (2 * x + 3) / 6)),
        {},
    ),
    "elu": Function(
        lambda x, alpha: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0))),
        lambda x, alpha: np.where(x > 0, 1.0, alpha * np.exp(np.minimum(x, 0))),
        {"alpha": 1.0},
    ),
    "softplus": Function(lambda x: np.logaddexp(0, x), _sigmoid, {}),
    "abs": Function(np.abs, np.sign, {}),
}
"""By name; each takes the array, then its constants in this order."""


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Elementwise(Pointwise, Value):
    """A function of each number by itself; in decoding it passes, as every non-linearity does.

    Parameters
    ----------
    function : str
        "clip" (constants `low`, `high`), "sigmoid", "tanh", "swish", "gelu", "gelu_tanh",
        "hard_sigmoid" (`alpha`, `beta`), "hard_swish", "elu" (`alpha`), "softplus" or "abs".
    constants : sequence of numbers
        In this order; the first ones may do.
    name : str

    Examples
    --------
    >>> Elementwise("clip", (0, 6)).constants
    (0.0, 6.0)
    """

    kind: ClassVar[str] = "elementwise"
    function: str
    constants: tuple[float, ...]
    name: str

    def __init__(self, function: str, constants: Sequence[float] = (), name: str = "") -> None:
        one_of(function, "function", tuple(FUNCTIONS))
        known = FUNCTIONS[function].constants
        given = real_numbers(constants, f"constants of {function}")
        if len(given) > len(known):
            expected = ", ".join(known) or "none"
            raise NetworkError(f"{function} has constants {given}; expected {expected}")
        own = (*given, *tuple(known.values())[len(given) :])
        self.__dict__.update(function=function, constants=own, name=text(name, "name"))

    def value(self, x: Array) -> Array:
        """Return the function of each number, in the array's dtype."""
        return self._call(FUNCTIONS[self.function].value, x)

    def slope(self, x: Array) -> Array:
        """Return the derivative at each number, in the array's dtype."""
        return self._call(FUNCTIONS[self.function].slope, x)

    def _call(self, function: Callable[..., Any], x: Array) -> Array:
        values: Array = np.asarray(function(x, *self.constants), x.dtype)
        return values


@dataclass(frozen=True, eq=False, repr=False)
class Dropout(Pointwise, Value):
    """Passes through: it acts in training only."""

    kind: ClassVar[str] = "dropout"
    rate: float = 0.5
    name: str = ""

    def __post_init__(self) -> None:
        rate = real_number(self.rate, "dropout rate", 0, 1)
        self.__dict__.update(rate=rate, name=text(self.name, "name"))


@dataclass(frozen=True, eq=False, repr=False)
class Softmax(Pointwise, Value):
    """Probabilities over the channels of each pixel."""

    kind: ClassVar[str] = "softmax"
    name: str = ""

    def __post_init__(self) -> None:
        self.__dict__.update(name=text(self.name, "name"))

"""The layers of a network: immutable values that are right in themselves."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fdref.arrays import Array, common_precision, in_precision, real_array
from fdref.errors import ArgumentError, NetworkError
from fdref.geometry import Margins, Pair, extent, margins, pair

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


def weights(values: ArrayLike, what: str, ndim: int) -> Array:
    """Copy weights into a read-only array of float32 or float64 that holds finite numbers."""
    array = real_array(values, what)
    if array.ndim != ndim or 0 in array.shape:
        raise NetworkError(f"{what} have shape {array.shape}; expected {ndim} axes, none empty")
    array = np.array(in_precision(array, common_precision(array.dtype), what))
    if not np.isfinite(array).all():
        worst = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        raise NetworkError(f"{what} hold {array[worst]} at {list(worst)}; expected finite numbers")
    array.flags.writeable = False
    return array


def finite(value: float, what: str) -> float:
    """Read one finite number."""
    number = float(value)
    if not isfinite(number):
        raise NetworkError(f"{what} is {value}; expected a finite number")
    return number


def per_channel(values: ArrayLike, what: str, count: int) -> Array:
    """Read one number for each of `count` channels."""
    array = weights(values, what, ndim=1)
    if len(array) != count:
        raise NetworkError(f"{what} are {len(array)} numbers; expected one for each of {count}")
    return array


@dataclass(frozen=True, eq=False, init=False)
class Conv:
    """Correlation of the padded maps with a bank of filters: MatConvNet's ``vl_nnconv``.

    Parameters
    ----------
    filters : (K, C/groups, kh, kw) array of float32 or float64
    bias : (K,) array, optional
    stride, dilate : int or (vertical, horizontal)
    pad : int, (vertical, horizontal) or (top, bottom, left, right)
    name : str

    Raises
    ------
    NetworkError, ArgumentError
        For wrong shapes, NaN or infinite weights, numbers below 1 (pad: below 0).

    Examples
    --------
    >>> import numpy as np
    >>> Conv(np.ones((20, 1, 5, 5)), stride=2).window
    (5, 5)
    """

    kind: ClassVar[str] = "conv"
    filters: Array
    bias: Array | None
    stride: Pair
    pad: Margins
    dilate: Pair
    name: str

    def __init__(
        self,
        filters: ArrayLike,
        bias: ArrayLike | None = None,
        stride: int | Sequence[int] = 1,
        pad: int | Sequence[int] = 0,
        dilate: int | Sequence[int] = 1,
        name: str = "",
    ) -> None:
        bank = weights(filters, "filters", ndim=4)
        offsets = None if bias is None else per_channel(bias, "biases", len(bank))
        self.__dict__.update(
            filters=bank,
            bias=offsets,
            stride=pair(stride, "stride"),
            pad=margins(pad),
            dilate=pair(dilate, "dilate"),
            name=name,
        )

    @property
    def window(self) -> Pair:
        """Rows and columns that one output pixel sees, dilation included."""
        return extent((self.filters.shape[2], self.filters.shape[3]), self.dilate)


@dataclass(frozen=True, eq=False, init=False)
class Pool:
    """Maximum or average of windows that are clipped to the map: ``vl_nnpool``.

    Parameters
    ----------
    window : int or (height, width)
    stride : int or (vertical, horizontal)
    pad : int, (vertical, horizontal) or (top, bottom, left, right), smaller than the window
    method : "max" or "avg"
    name : str

    Raises
    ------
    ArgumentError
        For an unknown method, numbers below 1 (pad: below 0), or padding that a
        window could lie in entirely.
    """

    kind: ClassVar[str] = "pool"
    window: Pair
    stride: Pair
    pad: Margins
    method: Literal["max", "avg"]
    name: str

    def __init__(
        self,
        window: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        pad: int | Sequence[int] = 0,
        method: str = "max",
        name: str = "",
    ) -> None:
        if method not in ("max", "avg"):
            raise ArgumentError(f"pooling method is {method!r}; expected 'max' or 'avg'")
        size, edges = pair(window, "window"), margins(pad)
        if max(edges[:2]) >= size[0] or max(edges[2:]) >= size[1]:
            raise ArgumentError(
                f"pad {list(edges)} is not smaller than the pooling window {list(size)}: "
                "a window could lie outside the map"
            )
        self.__dict__.update(
            window=size, stride=pair(stride, "stride"), pad=edges, method=method, name=name
        )


@dataclass(frozen=True)
class ReLU:
    """``max(x, 0)``, or ``leak * x`` where x is negative."""

    kind: ClassVar[str] = "relu"
    leak: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        finite(self.leak, "leak")


@dataclass(frozen=True)
class Normalize:
    """Local response normalisation over `size` channels: ``vl_nnnormalize``."""

    kind: ClassVar[str] = "normalize"
    size: int
    kappa: float
    alpha: float
    beta: float
    name: str = ""

    def __post_init__(self) -> None:
        pair(self.size, "the normalisation's number of channels")
        for parameter in ("kappa", "alpha", "beta"):
            finite(getattr(self, parameter), parameter)


@dataclass(frozen=True, eq=False, init=False)
class BatchNorm:
    """Batch normalisation in test mode: ``gain * (x - mean) / deviation + bias``.

    Parameters
    ----------
    gain, bias, mean, deviation : (C,) arrays
        `deviation` is the standard deviation, MatConvNet's second moment, epsilon already inside.
    name : str

    Raises
    ------
    NetworkError
        For lengths that differ, NaN or infinite numbers, a deviation that is not positive.
    """

    kind: ClassVar[str] = "bnorm"
    gain: Array
    bias: Array
    mean: Array
    deviation: Array
    name: str

    def __init__(
        self,
        gain: ArrayLike,
        bias: ArrayLike,
        mean: ArrayLike,
        deviation: ArrayLike,
        name: str = "",
    ) -> None:
        scale = weights(gain, "gains", ndim=1)
        spread = per_channel(deviation, "deviations", len(scale))
        if not (spread > 0).all():
            raise NetworkError(
                f"a standard deviation is {spread.min()}; expected positive numbers "
                "(the moments are [mean, standard deviation])"
            )
        self.__dict__.update(
            gain=scale,
            bias=per_channel(bias, "biases", len(scale)),
            mean=per_channel(mean, "means", len(scale)),
            deviation=spread,
            name=name,
        )

    def scale(self, dtype: np.dtype[Any]) -> Array:
        """Return ``gain / deviation`` (C, 1, 1), the linear part, computed in a dtype."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # see check_range
            ratio: Array = self.gain.astype(dtype) / self.deviation.astype(dtype)
        return ratio[:, None, None]


@dataclass(frozen=True)
class Dropout:
    """Passes through: it acts in training only."""

    kind: ClassVar[str] = "dropout"
    rate: float = 0.5
    name: str = ""

    def __post_init__(self) -> None:
        if not 0 <= self.rate <= 1:
            raise NetworkError(f"dropout rate is {self.rate}; expected a number from 0 to 1")


@dataclass(frozen=True)
class Softmax:
    """Probabilities over the channels of each pixel."""

    kind: ClassVar[str] = "softmax"
    name: str = ""


Layer = Conv | Pool | ReLU | Normalize | BatchNorm | Dropout | Softmax


def check_range(layer: Layer, dtype: np.dtype[Any]) -> None:
    """Raise NetworkError or ArgumentError if a layer's numbers are infinite in a precision."""
    match layer:
        case Conv(bias=bias):
            numbers = {"biases": 0.0 if bias is None else bias}
        case BatchNorm(gain=gain, bias=bias, mean=mean, deviation=deviation):
            numbers = {"gains": gain, "biases": bias, "means": mean, "deviations": deviation}
        case Normalize(kappa=kappa, alpha=alpha, beta=beta):
            numbers = {"kappa, alpha and beta": np.array([kappa, alpha, beta])}
        case ReLU(leak=leak):
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

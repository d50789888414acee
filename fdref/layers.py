"""The layers of a network: immutable values that are right in themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from fdref.arguments import one_of, real_number, text, whole_number
from fdref.arrays import Array, common_precision, in_precision, real_array
from fdref.errors import ArgumentError, NetworkError
from fdref.geometry import LARGEST_NUMBER, Margins, Pair, extent, margins, pair
from fdref.values import Value, hands_out_views, read_only

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike


def weights(values: ArrayLike, what: str, ndim: int) -> Array:
    """Copy weights into a read-only array of float32 or float64 that holds finite numbers."""
    array = real_array(values, what)
    if array.dtype == bool:
        raise NetworkError(f"{what} are truth values; expected real numbers")
    if array.ndim != ndim or 0 in array.shape:
        raise NetworkError(f"{what} have shape {array.shape}; expected {ndim} axes, none empty")
    array = np.array(in_precision(array, common_precision(array.dtype), what))
    if not np.isfinite(array).all():
        first = np.unravel_index(np.isfinite(array).argmin(), array.shape)  # of many, one
        worst = tuple(map(int, first))
        raise NetworkError(f"{what} hold {array[worst]} at {list(worst)}; expected finite numbers")
    return read_only(array)


def per_channel(values: ArrayLike, what: str, count: int) -> Array:
    """Read one number for each of `count` channels."""
    array = weights(values, what, ndim=1)
    if len(array) != count:
        raise NetworkError(f"{what} are {len(array)} numbers; expected one for each of {count}")
    return array


@hands_out_views("filters", "bias")
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Conv(Value):
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
            name=text(name, "name"),
        )

    @property
    def window(self) -> Pair:
        """Rows and columns that one output pixel sees, dilation included."""
        return extent((self.filters.shape[2], self.filters.shape[3]), self.dilate)


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Pool(Value):
    """Maximum or average of windows that are clipped to the map: ``vl_nnpool``.

    Parameters
    ----------
    window : int or (height, width)
    stride : int or (vertical, horizontal)
        To be said: without one, MatConvNet moves by 1 and other frameworks by the window.
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
        stride: int | Sequence[int],
        pad: int | Sequence[int] = 0,
        method: str = "max",
        name: str = "",
    ) -> None:
        one_of(method, "pooling method", ("max", "avg"))
        size, edges = pair(window, "window"), margins(pad)
        if max(edges[:2]) >= size[0] or max(edges[2:]) >= size[1]:
            raise ArgumentError(
                f"pad {list(edges)} is not smaller than the pooling window {list(size)}: "
                "a window could lie outside the map"
            )
        self.__dict__.update(
            window=size,
            stride=pair(stride, "stride"),
            pad=edges,
            method=str(method),
            name=text(name, "name"),
        )


@dataclass(frozen=True, eq=False, repr=False)
class ReLU(Value):
    """``max(x, 0)``, or ``leak * x`` where x is negative."""

    kind: ClassVar[str] = "relu"
    leak: float = 0.0
    name: str = ""

    def __post_init__(self) -> None:
        self.__dict__.update(leak=real_number(self.leak, "leak"), name=text(self.name, "name"))


@dataclass(frozen=True, eq=False, repr=False)
class Normalize(Value):
    """Local response normalisation over `size` channels: ``vl_nnnormalize``."""

    kind: ClassVar[str] = "normalize"
    size: int
    kappa: float
    alpha: float
    beta: float
    name: str = ""

    def __post_init__(self) -> None:
        what = "the normalisation's number of channels"
        self.__dict__.update(
            size=whole_number(self.size, what, 1, LARGEST_NUMBER), name=text(self.name, "name")
        )
        for parameter in ("kappa", "alpha", "beta"):
            self.__dict__[parameter] = real_number(getattr(self, parameter), parameter)


@hands_out_views("gain", "bias", "mean", "deviation")
@dataclass(frozen=True, eq=False, repr=False, init=False)
class BatchNorm(Value):
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
        middle = per_channel(mean, "means", len(scale))
        moments = np.result_type(middle, spread)  # they are one array in a file
        self.__dict__.update(
            gain=scale,
            bias=per_channel(bias, "biases", len(scale)),
            mean=read_only(middle.astype(moments)),
            deviation=read_only(spread.astype(moments)),
            name=text(name, "name"),
        )

    def scale(self, dtype: np.dtype[Any]) -> Array:
        """Return ``gain / deviation`` (C, 1, 1), the linear part, computed in a dtype."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # see check_range
            ratio: Array = self.gain.astype(dtype) / self.deviation.astype(dtype)
        return ratio[:, None, None]


@dataclass(frozen=True, eq=False, repr=False)
class Dropout(Value):
    """Passes through: it acts in training only."""

    kind: ClassVar[str] = "dropout"
    rate: float = 0.5
    name: str = ""

    def __post_init__(self) -> None:
        rate = real_number(self.rate, "dropout rate", 0, 1)
        self.__dict__.update(rate=rate, name=text(self.name, "name"))


@dataclass(frozen=True, eq=False, repr=False)
class Softmax(Value):
    """Probabilities over the channels of each pixel."""

    kind: ClassVar[str] = "softmax"
    name: str = ""

    def __post_init__(self) -> None:
        self.__dict__.update(name=text(self.name, "name"))


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

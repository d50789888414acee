"""Layers that scale: batch normalisation, a factor a channel, local response normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from fdref.arguments import real_number, text, whole_number
from fdref.errors import NetworkError
from fdref.geometry import LARGEST_NUMBER
from fdref.layers.base import Pointwise
from fdref.layers.numbers import per_channel, weights
from fdref.values import Value, hands_out_views, read_only

if TYPE_CHECKING:
    from numpy.typing import ArrayLike

    from fdref.arrays import Array


@hands_out_views("gain", "bias", "mean", "deviation")
@dataclass(frozen=True, eq=False, repr=False, init=False)
class BatchNorm(Pointwise, Value):
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
        """Return ``gain / deviation`` (C,), the linear part, computed in a dtype."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # see check_range
            ratio: Array = self.gain.astype(dtype) / self.deviation.astype(dtype)
        return ratio

    def channels_after(self, channels: int) -> int:
        """Return as many, if there is a gain for each."""
        if len(self.gain) != channels:
            raise NetworkError(f"{len(self.gain)} gains do not fit maps of {channels} channels")
        return channels


@hands_out_views("factor", "offset")
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Scale(Pointwise, Value):
    """A factor for each channel, and an offset.

    Parameters
    ----------
    factor : (C,) array
    offset : (C,) array, optional
    name : str
    """

    kind: ClassVar[str] = "scale"
    factor: Array
    offset: Array | None
    name: str

    def __init__(self, factor: ArrayLike, offset: ArrayLike | None = None, name: str = "") -> None:
        own = weights(factor, "factors", ndim=1)
        shift = None if offset is None else per_channel(offset, "offsets", len(own))
        self.__dict__.update(factor=own, offset=shift, name=text(name, "name"))

    def channels_after(self, channels: int) -> int:
        """Return as many, if there is a factor for each."""
        if channels != len(self.factor):
            raise NetworkError(f"{len(self.factor)} factors do not fit maps of {channels} channels")
        return channels


@dataclass(frozen=True, eq=False, repr=False)
class Normalize(Pointwise, Value):
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

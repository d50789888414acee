"""Layers that scale: batch normalisation, a factor a channel, local response normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from fdref.errors import NetworkError
from fdref.geometry import pair
from fdref.layers.base import Pointwise
from fdref.layers.numbers import finite, per_channel, weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike

    from fdref.arrays import Array


@dataclass(frozen=True, eq=False, init=False)
class BatchNorm(Pointwise):
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
        ratio: Array = self.gain.astype(dtype) / self.deviation.astype(dtype)
        return ratio[:, None, None]

    def channels_after(self, channels: int) -> int:
        """Return as many, if there is a gain for each."""
        if len(self.gain) != channels:
            raise NetworkError(f"{len(self.gain)} gains do not fit maps of {channels} channels")
        return channels


@dataclass(frozen=True, eq=False, init=False)
class Scale(Pointwise):
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
        self.__dict__.update(factor=own, offset=shift, name=name)

    def channels_after(self, channels: int) -> int:
        """Return as many, if there is a factor for each."""
        if channels != len(self.factor):
            raise NetworkError(f"{len(self.factor)} factors do not fit maps of {channels} channels")
        return channels


@dataclass(frozen=True)
class Normalize(Pointwise):
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

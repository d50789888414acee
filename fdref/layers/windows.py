"""Layers whose windows slide over the map: convolution, pooling, transposed convolution."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Literal

from fdref.arguments import one_of, text, whole_number
from fdref.errors import ArgumentError, NetworkError
from fdref.geometry import LARGEST_NUMBER, extent, margins, pair, signed_margins
from fdref.layers.base import Pointwise, Sliding
from fdref.layers.numbers import per_channel, weights
from fdref.values import Value, hands_out_views

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.geometry import Margins, Pair
    from fdref.layers.base import Span


@hands_out_views("filters", "bias")
@dataclass(frozen=True, eq=False, repr=False, init=False)
class Conv(Sliding, Value):
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
    def window(self) -> Pair:  # type: ignore[override]  # computed, where others keep it
        """Rows and columns that one output pixel sees, dilation included."""
        return extent((self.filters.shape[2], self.filters.shape[3]), self.dilate)

    def channels_after(self, channels: int) -> int:
        """Return the number of filters, if they are made for so many channels, or for groups."""
        filters, own = len(self.filters), self.filters.shape[1]
        groups = channels // own
        if channels % own or filters % groups:
            raise NetworkError(
                f"{filters} filters of {own} channels do not fit maps of {channels} channels; "
                f"expected filters of {channels} channels, or of {channels}/groups"
            )
        return filters


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Pool(Sliding, Value):
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


@hands_out_views("filters", "bias")
@dataclass(frozen=True, eq=False, repr=False, init=False)
class ConvTranspose(Pointwise, Value):
    """Transposed convolution, substitution of pixels by filters: MatConvNet's ``vl_nnconvt``.

    Every pixel is replaced by its channel's filter times its value, `upsample` pixels apart;
    overlaps add. Then the borders are cropped.

    Parameters
    ----------
    filters : (C, K/groups, kh, kw) array of float32 or float64
        For C channels of the input and K of the output: PyTorch's order of axes.
    bias : (K,) array, optional
    upsample : int or (vertical, horizontal)
    crop : int, (vertical, horizontal) or (top, bottom, left, right)
        Negative numbers add a border, which the bias alone fills (PyTorch's output padding).
    groups : int
    name : str

    Raises
    ------
    NetworkError, ArgumentError
        For wrong shapes, NaN or infinite weights, an upsampling below 1.

    Examples
    --------
    >>> import numpy as np
    >>> ConvTranspose(np.ones((8, 3, 4, 4)), upsample=2, crop=1).size_after((5, 5))
    (10, 10)
    """

    kind: ClassVar[str] = "convt"
    filters: Array
    bias: Array | None
    upsample: Pair
    crop: Margins
    groups: int
    name: str

    def __init__(
        self,
        filters: ArrayLike,
        bias: ArrayLike | None = None,
        upsample: int | Sequence[int] = 1,
        crop: int | Sequence[int] = 0,
        groups: int = 1,
        name: str = "",
    ) -> None:
        bank = weights(filters, "filters", ndim=4)
        count = whole_number(groups, "groups", 1, LARGEST_NUMBER)
        if len(bank) % count:
            raise NetworkError(f"{len(bank)} filters are not {count} groups of as many")
        made = bank.shape[1] * count
        self.__dict__.update(
            filters=bank,
            bias=None if bias is None else per_channel(bias, "biases", made),
            upsample=pair(upsample, "upsample"),
            crop=signed_margins(crop, "crop"),
            groups=count,
            name=text(name, "name"),
        )

    def channels_after(self, channels: int) -> int:
        """Return the channels of the filters of all groups."""
        if channels != len(self.filters):
            raise NetworkError(
                f"{len(self.filters)} filters do not fit maps of {channels} channels; "
                "expected one for each channel"
            )
        return int(self.filters.shape[1]) * self.groups

    def size_after(self, size: Pair) -> Pair:
        """Return the enlarged size, cropped; 0 where nothing is left."""
        height, width = (
            (size[a] - 1) * self.upsample[a]
            + self.filters.shape[2 + a]
            - self.crop[2 * a]
            - self.crop[2 * a + 1]
            for a in (0, 1)
        )
        return max(height, 0), max(width, 0)

    def sees(self, span: Span, axis: int) -> Span:
        """Return the pixels whose filters reach there; where none does, one all the same."""
        taps, step, crop = self.filters.shape[2 + axis], self.upsample[axis], self.crop[2 * axis]
        first, last = -((taps - 1 - span[0] - crop) // step), (span[1] + crop) // step
        return min(first, last), last

    @property
    def jump(self) -> tuple[Fraction, Fraction]:
        """A fraction of a pixel."""
        return Fraction(1, self.upsample[0]), Fraction(1, self.upsample[1])

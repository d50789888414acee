"""Layers that move numbers and compute none: channels, shuffles, padding, enlarging."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

import numpy as np

from fdref.arguments import elements, one_of, shown, text, truth, whole_number
from fdref.errors import NetworkError
from fdref.geometry import LARGEST_NUMBER, pair, signed_margins
from fdref.layers.base import Pointwise
from fdref.values import Value

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from fdref.geometry import Margins, Pair
    from fdref.layers.base import Span

Order = Literal["DCR", "CRD", "MATLAB"]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Channels(Pointwise, Value):
    """A selection of channels, in any order, also more than once: slice, split, shuffle.

    Parameters
    ----------
    indices : sequence of int
        Counted from 0; channel i of the output is channel ``indices[i]`` of the input.
    name : str
    """

    kind: ClassVar[str] = "channels"
    indices: tuple[int, ...]
    name: str

    def __init__(self, indices: Sequence[int], name: str = "") -> None:
        chosen = elements(indices)
        if not chosen:
            raise NetworkError(
                f"channels are {shown(indices)}; expected a sequence of at least one"
            )
        numbers = tuple(whole_number(n, "a channel", 0, LARGEST_NUMBER) for n in chosen)
        self.__dict__.update(indices=numbers, name=text(name, "name"))

    def channels_after(self, channels: int) -> int:
        """Return how many are chosen."""
        if max(self.indices) >= channels:
            raise NetworkError(
                f"it takes channel {max(self.indices)} of maps of {channels}; "
                f"expected numbers from 0 to {channels - 1}"
            )
        return len(self.indices)


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Pad(Pointwise, Value):
    """Zeros around the map; negative numbers crop it.

    Parameters
    ----------
    pad : int, (vertical, horizontal) or (top, bottom, left, right)
    name : str
    """

    kind: ClassVar[str] = "pad"
    pad: Margins
    name: str

    def __init__(self, pad: int | Sequence[int], name: str = "") -> None:
        self.__dict__.update(pad=signed_margins(pad, "pad"), name=text(name, "name"))

    def size_after(self, size: Pair) -> Pair:
        """Return the size with the borders; 0 where nothing is left."""
        height, width = (size[a] + self.pad[2 * a] + self.pad[2 * a + 1] for a in (0, 1))
        return max(height, 0), max(width, 0)

    def sees(self, span: Span, axis: int) -> Span:
        """Return the same pixels, counted without the border."""
        return span[0] - self.pad[2 * axis], span[1] - self.pad[2 * axis]


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Upsample(Pointwise, Value):
    """Every pixel repeated: nearest neighbour, by whole factors.

    Parameters
    ----------
    factor : int or (vertical, horizontal)
    name : str
    """

    kind: ClassVar[str] = "upsample"
    factor: Pair
    name: str

    def __init__(self, factor: int | Sequence[int], name: str = "") -> None:
        self.__dict__.update(factor=pair(factor, "factor"), name=text(name, "name"))

    def size_after(self, size: Pair) -> Pair:
        """Return the enlarged size."""
        return size[0] * self.factor[0], size[1] * self.factor[1]

    def sees(self, span: Span, axis: int) -> Span:
        """Return the pixels that were repeated."""
        return span[0] // self.factor[axis], span[1] // self.factor[axis]

    @property
    def jump(self) -> tuple[Fraction, Fraction]:
        """A fraction of a pixel."""
        return Fraction(1, self.factor[0]), Fraction(1, self.factor[1])


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Shuffle(Pointwise, Value):
    """Depth to space: r x r channels become blocks of r x r pixels; or the reverse.

    Output pixel ``(y * r + i, x * r + j)`` of channel c comes from pixel (y, x) of the channel

    - ``c * r * r + i * r + j`` in the order "CRD" (PyTorch's pixel shuffle),
    - ``(i * r + j) * C + c`` in the order "DCR" (TensorFlow's, C channels of the output),
    - ``c * r * r + j * r + i`` in the order "MATLAB", down the columns first.

    Parameters
    ----------
    block : int
        r.
    order : "CRD", "DCR" or "MATLAB"
    reverse : bool
        Space to depth, such that it undoes the other.
    name : str
    """

    kind: ClassVar[str] = "shuffle"
    block: int
    order: Order
    reverse: bool
    name: str

    def __init__(
        self, block: int, order: Order = "CRD", *, reverse: bool = False, name: str = ""
    ) -> None:
        one_of(order, "order", get_args(Order))
        side = whole_number(block, "block", 1, LARGEST_NUMBER)
        self.__dict__.update(
            block=side, order=order, reverse=truth(reverse, "reverse"), name=text(name, "name")
        )

    def channels_after(self, channels: int) -> int:
        """Return the channels that are left, or that there come to be."""
        square = self.block**2
        if self.reverse:
            return channels * square
        if channels % square:
            raise NetworkError(
                f"{channels} channels are not blocks of {self.block} x {self.block}; "
                f"expected a multiple of {square}"
            )
        return channels // square

    def size_after(self, size: Pair) -> Pair:
        """Return the larger, or smaller, size."""
        if not self.reverse:
            return size[0] * self.block, size[1] * self.block
        if size[0] % self.block or size[1] % self.block:
            raise NetworkError(
                f"a map of {size[0]}x{size[1]} is not whole blocks of {self.block} x {self.block}"
            )
        return size[0] // self.block, size[1] // self.block

    def sees(self, span: Span, axis: int) -> Span:  # noqa: ARG002 - both alike
        """Return the pixel that a block comes from, or the block of a pixel."""
        first, last = span
        if self.reverse:
            return first * self.block, last * self.block + self.block - 1
        return first // self.block, last // self.block

    @property
    def jump(self) -> tuple[Fraction, Fraction]:
        """The block's side, or a fraction of a pixel."""
        side = Fraction(self.block) if self.reverse else Fraction(1, self.block)
        return side, side

    def sources(self, channels: int) -> NDArray[np.intp]:
        """Return the deep channel (C, r, r) of each place in a block, for C shallow channels."""
        r = self.block
        number = np.arange(channels * r * r)
        if self.order == "DCR":
            return number.reshape(r, r, channels).transpose(2, 0, 1)
        if self.order == "CRD":
            return number.reshape(channels, r, r)
        return number.reshape(channels, r, r).transpose(0, 2, 1)

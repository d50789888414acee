"""What a layer knows of itself: the maps it takes, what it makes of their channels and sizes.

Geometry is asked along one axis at a time (0 vertical, 1 horizontal): an output pixel, or a run of
them, sees a run of input pixels.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, ClassVar

from fdref.errors import NetworkError

if TYPE_CHECKING:
    from fdref.geometry import Margins, Pair

Span = tuple[int, int]
"""The first and the last of some rows or columns."""


class Pointwise:
    """A layer of one map that treats each pixel by itself, and keeps the channels."""

    takes: ClassVar[tuple[int, int]] = (1, 1)
    """how many maps it takes, at least and at most"""

    def channels_after(self, channels: int) -> int:
        """Return the channels of the output."""
        return channels

    def size_after(self, size: Pair) -> Pair:
        """Return the size of the output."""
        return size

    def sees(self, span: Span, axis: int) -> Span:  # noqa: ARG002 - other layers need it
        """Return which rows or columns of the input some of the output see."""
        return span

    @property
    def jump(self) -> tuple[Fraction, Fraction]:
        """By how many pixels of the input the receptive fields of neighbours differ."""
        return Fraction(1), Fraction(1)


class Sliding(Pointwise):
    """A layer of one map over which a window slides."""

    window: Pair
    stride: Pair
    pad: Margins

    def size_after(self, size: Pair) -> Pair:
        """Return the number of the window's positions; 0 where it does not fit."""
        height, width = (
            (size[a] + self.pad[2 * a] + self.pad[2 * a + 1] - self.window[a]) // self.stride[a] + 1
            for a in (0, 1)
        )
        return max(height, 0), max(width, 0)

    def sees(self, span: Span, axis: int) -> Span:
        """Return what the windows cover, padding included (numbers below 0)."""
        first, last = (n * self.stride[axis] - self.pad[2 * axis] for n in span)
        return first, last + self.window[axis] - 1

    @property
    def jump(self) -> tuple[Fraction, Fraction]:
        """The stride."""
        return Fraction(self.stride[0]), Fraction(self.stride[1])


class Joining(Pointwise):
    """A layer of several maps of one size."""

    takes: ClassVar[tuple[int, int]] = (2, 2**20)

    def channels_after(self, *channels: int) -> int:
        """Return the channels of the output, which all maps share."""
        if len(set(channels)) > 1:
            raise NetworkError(
                f"its maps have {', '.join(map(str, channels))} channels; expected the same number"
            )
        return channels[0]

    def size_after(self, *sizes: Pair) -> Pair:
        """Return the size of the output, which all maps share."""
        if len(set(sizes)) > 1:
            found = ", ".join(f"{height}x{width}" for height, width in sizes)
            raise NetworkError(f"its maps are of {found} pixels; expected one size")
        return sizes[0]

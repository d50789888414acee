"""What a value of an ONNX graph is of a network's map: the same numbers, arranged otherwise.

Reshaping and transposing compute nothing. A value is followed as an arrangement of a map's numbers:
every axis of the value is a sequence of digits, and a digit is a part of one of the map's axes
(batch, channels, rows, columns). Channel shuffles, pixel shuffles, flattening and other orders of
axes are then told by what they do, however many nodes a writer takes for them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.errors import NetworkError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

N, C, H, W = range(4)
"""The axes of a map."""
BATCH = 2**31 - 1
"""Stands for the number of images where a file leaves it open: a prime, divided by nothing else."""
DEEPEST = 16
"""Axes of a value."""
UNKNOWN = "the size of the images is not known, and the graph depends on it; give input_size"


class Digit(NamedTuple):
    """A part of an index along an axis of the map: ``index // step % size``."""

    axis: int
    size: int | None
    """None: not known"""
    step: int = 1


Axis = tuple[Digit, ...]
"""From the slowest digit to the fastest; of an axis of length 1, none."""


class Lengths(NamedTuple):
    """Of a map."""

    batch: int
    channels: int
    rows: int | None
    columns: int | None


@dataclass(frozen=True)
class View:
    """The numbers of a map, in the arrangement of a value."""

    map: int
    """the layer's number; 0, -1, ... for an input"""
    shape: Lengths
    """of the map"""
    axes: tuple[Axis, ...]

    @property
    def lengths(self) -> tuple[int | None, ...]:
        """The value's own shape."""
        return tuple(length_of(axis) for axis in self.axes)

    @property
    def channels(self) -> int:
        """Channels of the map."""
        return self.shape.channels

    def axis(self, number: int, more: int = 0) -> int:
        """Return the number of an axis, which may be counted from the end."""
        rank = len(self.axes) + more
        if not -rank <= number < rank:
            raise NetworkError(f"axis {number} is none of a value of {rank} axes")
        return number % rank

    def transposed(self, order: Sequence[int]) -> View:
        """Return the view with its axes in another order."""
        if sorted(order) != list(range(len(self.axes))):
            raise NetworkError(f"axes {list(order)[:32]} are no order of {len(self.axes)}")
        return replace(self, axes=tuple(self.axes[n] for n in order))

    def flattened(self, axis: int) -> View:
        """Return two axes: what comes before an axis, and the rest."""
        before = sum(self.axes[:axis], ())
        return replace(self, axes=(merged(before), merged(sum(self.axes[axis:], ()))))

    def without(self, axes: Sequence[int]) -> View:
        """Return the view less axes of length 1."""
        for axis in axes:
            if self.axes[axis]:
                found = self.lengths[axis]
                what = "of unknown length" if found is None else f"{found} long"
                raise NetworkError(f"axis {axis} is {what}; expected 1, as it is squeezed")
        return replace(self, axes=tuple(a for n, a in enumerate(self.axes) if n not in axes))

    def with_new(self, axes: Sequence[int]) -> View:
        """Return the view with new axes of length 1, at these places of the result."""
        old = iter(self.axes)
        rank = len(self.axes) + len(axes)
        if rank > DEEPEST:
            raise NetworkError(f"a value has {rank} axes; expected at most {DEEPEST}")
        return replace(self, axes=tuple(() if n in axes else next(old) for n in range(rank)))

    def reshaped(self, target: Sequence[int]) -> View:
        """Return the view in another shape of as many numbers.

        Raises
        ------
        NetworkError
            If lengths are not known, do not fit, or cut an axis at no whole part.
        """
        if len(target) > DEEPEST:
            raise NetworkError(f"a value has {len(target)} axes; expected at most {DEEPEST}")
        digits = list(sum(self.axes, ()))
        found: list[Axis] = []
        for length in target:
            taken: list[Digit] = []
            while length > 1 and digits:
                part, rest, length = _cut(digits.pop(0), length)  # noqa: PLW2901 - what is left
                taken.append(part)
                if rest is not None:
                    digits.insert(0, rest)
            if length != 1:
                raise NetworkError(_misfit(self.lengths, target))
            found.append(merged(taken))
        if digits:
            raise NetworkError(_misfit(self.lengths, target))
        return replace(self, axes=tuple(found))

    def complete(self, target: Sequence[int], *, zero_copies: bool) -> list[int]:
        """Return a shape to reshape to, its 0 and -1 replaced."""
        lengths = self.lengths
        if None in lengths:
            raise NetworkError(UNKNOWN)
        shape = list(target)
        for n, length in enumerate(target):
            if length == 0 and zero_copies and n < len(lengths):
                shape[n] = lengths[n] or 0
        rest = prod(n for n in shape if n != -1)
        total = prod(length for length in lengths if length is not None)
        if shape.count(-1) == 1 and rest > 0 and total % rest == 0:
            shape[shape.index(-1)] = total // rest
        if min(shape, default=1) < 1 or prod(shape) != total:
            raise NetworkError(_misfit(lengths, target))
        return shape


def plain(number: int, shape: Lengths) -> View:
    """Return a map as it is."""
    axes = tuple(merged((Digit(axis, shape[axis]),)) for axis in range(4))
    return View(number, shape, axes)


def merged(digits: Sequence[Digit]) -> Axis:
    """Join digits that follow each other in one axis of the map, and leave out those of 1."""
    found: list[Digit] = []
    for digit in digits:
        last = found[-1] if found else None
        if digit.size == 1:
            continue
        if (
            last is not None
            and last.axis == digit.axis
            and last.size is not None
            and digit.size is not None
            and last.step == digit.step * digit.size
        ):
            found[-1] = Digit(last.axis, last.size * digit.size, digit.step)
        else:
            found.append(digit)
    return tuple(found)


def length_of(axis: Axis) -> int | None:
    """Return the length of an axis, if it is known."""
    known = [digit.size for digit in axis if digit.size is not None]
    return prod(known) if len(known) == len(axis) else None


def numbers_along(axis: Axis) -> NDArray[np.int64]:
    """Return the indices in one axis of the map that digits of it alone run through."""
    found = np.zeros(1, np.int64)
    for digit in axis:
        found = (found[:, None] + digit.step * np.arange(digit.size or 0)).ravel()
    return found


def only(axis: Axis, *allowed: int) -> bool:
    """Tell whether all digits are of some axes of the map."""
    return all(digit.axis in allowed for digit in axis)


def _cut(digit: Digit, length: int) -> tuple[Digit, Digit | None, int]:
    """Take a digit, or its upper part, for an axis; return what is left of it and of the length."""
    size = digit.size
    if size is None:
        raise NetworkError(UNKNOWN)
    if length % size == 0:
        return digit, None, length // size
    if digit.axis != N and size % length == 0:
        lower = Digit(digit.axis, size // length, digit.step)
        return Digit(digit.axis, length, digit.step * (size // length)), lower, 1
    raise NetworkError(f"an axis of {size} is cut at {length}, which is no whole part of it")


def _misfit(lengths: Sequence[int | None], target: Sequence[int]) -> str:
    return f"a value of shape {shown(lengths)} is reshaped to {shown(target)}; expected as many"


def shown(lengths: Sequence[int | None]) -> str:
    """Write a shape for messages.

    >>> shown((2**31 - 1, 3, None, None))
    '(N, 3, ?, ?)'
    """
    written = ("N" if n == BATCH else "?" if n is None else str(n) for n in lengths[:DEEPEST])
    return f"({', '.join(written)})"

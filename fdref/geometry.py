"""Sizes: of windows, of maps, and of what one pixel of a map sees of the input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fdref.arguments import elements, shown, whole
from fdref.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

Pair = tuple[int, int]
"""vertical, horizontal"""
Margins = tuple[int, int, int, int]
"""top, bottom, left, right, in MatConvNet's order"""

LARGEST_NUMBER = 2**20
"""Beyond this a stride, a window or a padding is a damaged file, not a network."""


def whole_numbers(
    value: int | Sequence[int], what: str, counts: tuple[int, ...], least: int
) -> tuple[int, ...]:
    """Read one number, or as many as one of `counts`, none below `least`."""
    several = elements(value)
    numbers = [
        number
        for number in map(whole, [value] if several is None else several)
        if number is not None and least <= number <= LARGEST_NUMBER
    ]
    expected = " or ".join(map(str, counts))
    if len(numbers) not in counts or len(numbers) != len([value] if several is None else several):
        raise ArgumentError(
            f"{what} is {shown(value)}; expected {expected} whole numbers from {least} "
            f"to {LARGEST_NUMBER}"
        )
    return tuple(numbers)


def pair(value: int | Sequence[int], what: str) -> Pair:
    """Read a size or a step, one number for both axes or (vertical, horizontal).

    >>> pair(2, "stride"), pair([2, 3], "stride")
    ((2, 2), (2, 3))
    """
    numbers = whole_numbers(value, what, (1, 2), least=1)
    return numbers[0], numbers[-1]


def margins(value: int | Sequence[int]) -> Margins:
    """Read a padding: 1 number for all sides, 2 for (vertical, horizontal), or all 4.

    >>> margins(1), margins([1, 2]), margins([1, 2, 3, 4])
    ((1, 1, 1, 1), (1, 1, 2, 2), (1, 2, 3, 4))
    """
    numbers = whole_numbers(value, "pad", (1, 2, 4), least=0)
    if len(numbers) == 4:
        top, bottom, left, right = numbers
        return top, bottom, left, right
    vertical, horizontal = numbers[0], numbers[-1]
    return vertical, vertical, horizontal, horizontal


def signed_margins(value: int | Sequence[int], what: str) -> Margins:
    """Read a border whose numbers may be negative: 1 for all sides, 2 or all 4.

    >>> signed_margins((0, -1), "pad")
    (0, 0, -1, -1)
    """
    numbers = whole_numbers(value, what, (1, 2, 4), least=-LARGEST_NUMBER)
    if len(numbers) == 4:
        top, bottom, left, right = numbers
        return top, bottom, left, right
    return numbers[0], numbers[0], numbers[-1], numbers[-1]


def extent(size: tuple[int, ...], dilate: Pair) -> Pair:
    """Return the size of a filter with `dilate` - 1 zeros between its taps.

    >>> extent((3, 5), (2, 1))
    (5, 5)
    """
    return (size[0] - 1) * dilate[0] + 1, (size[1] - 1) * dilate[1] + 1


def padded_size(size: tuple[int, ...], pad: Margins) -> Pair:
    """Return the size of a map with its padding.

    >>> padded_size((28, 28), (1, 1, 2, 0))
    (30, 30)
    """
    return size[0] + pad[0] + pad[1], size[1] + pad[2] + pad[3]


def output_size(size: tuple[int, ...], window: Pair, stride: Pair, pad: Margins) -> Pair:
    """Return how many positions a sliding window has on a map; 0 where it does not fit.

    >>> output_size((28, 28), (5, 5), (2, 2), (0, 0, 0, 0))
    (12, 12)
    """
    rows, columns = padded_size(size, pad)
    height = (rows - window[0]) // stride[0] + 1
    width = (columns - window[1]) // stride[1] + 1
    return max(height, 0), max(width, 0)


def substituted_size(size: tuple[int, ...], stride: Pair, window: Pair) -> Pair:
    """Return the size of a picture whose pixels have grown to windows: the field of its map.

    >>> substituted_size((14, 14), (1, 1), (5, 5))
    (18, 18)
    """
    return (size[0] - 1) * stride[0] + window[0], (size[1] - 1) * stride[1] + window[1]


@dataclass(frozen=True)
class ReceptiveField:
    """What pixels of one layer's map see of the input; every field is (vertical, horizontal).

    The pixel (y, x) of the map depends on the input's rows
    ``offset[0] + stride[0] * y`` to ``offset[0] + stride[0] * y + size[0] - 1``, counted from 0,
    and likewise on its columns. Rows outside the input are padding, so `offset` is negative where
    the network pads.
    """

    size: Pair
    """pixels of the input"""
    stride: Pair
    """the jump: pixels of the input between the fields of neighbours"""
    offset: Pair
    """the input's first row and column in the field of pixel (0, 0)"""


def stack_windows(windows: Iterable[tuple[Pair, Pair, Margins]]) -> ReceptiveField:
    """Combine sliding windows, from the input upwards, each as (size, stride, pad).

    >>> stack_windows([((5, 5), (1, 1), (0, 0, 0, 0)), ((2, 2), (2, 2), (0, 0, 0, 0))])
    ReceptiveField(size=(6, 6), stride=(2, 2), offset=(0, 0))
    """
    size, jump, offset = (1, 1), (1, 1), (0, 0)
    for window, stride, pad in windows:
        size = (size[0] + (window[0] - 1) * jump[0], size[1] + (window[1] - 1) * jump[1])
        offset = (offset[0] - pad[0] * jump[0], offset[1] - pad[2] * jump[1])
        jump = (jump[0] * stride[0], jump[1] * stride[1])
    return ReceptiveField(size, jump, offset)

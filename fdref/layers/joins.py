"""Layers of several maps: sums, concatenations, products, maxima."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fdref.arguments import real_numbers, text
from fdref.errors import NetworkError
from fdref.layers.base import Joining
from fdref.values import Value

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, eq=False, repr=False, init=False)
class Sum(Joining, Value):
    """The sum of maps, each times a factor of its own.

    Parameters
    ----------
    factors : sequence of numbers, optional
        One for each map, such as ``(1, -1)`` for a difference; all 1 by default.
    name : str

    Examples
    --------
    >>> Sum((1, -1)).factors
    (1.0, -1.0)
    """

    kind: ClassVar[str] = "sum"
    factors: tuple[float, ...] | None
    name: str

    def __init__(self, factors: Sequence[float] | None = None, name: str = "") -> None:
        own = None if factors is None else real_numbers(factors, "factors")
        self.__dict__.update(factors=own, name=text(name, "name"))

    def channels_after(self, *channels: int) -> int:
        """Return the channels of the output, which all summands share."""
        if self.factors is not None and len(self.factors) != len(channels):
            raise NetworkError(
                f"it has {len(self.factors)} factors for {len(channels)} maps; expected one each"
            )
        return super().channels_after(*channels)

    def factor(self, position: int) -> float:
        """Return what a summand is multiplied with."""
        return 1.0 if self.factors is None else self.factors[position]


@dataclass(frozen=True, eq=False, repr=False)
class Concat(Joining, Value):
    """The channels of all maps, one map's after the other's."""

    kind: ClassVar[str] = "concat"
    takes: ClassVar[tuple[int, int]] = (1, 2**20)
    name: str = ""

    def __post_init__(self) -> None:
        text(self.name, "name")

    def channels_after(self, *channels: int) -> int:
        """Return how many there are in all."""
        return sum(channels)


@dataclass(frozen=True, eq=False, repr=False)
class Product(Joining, Value):
    """The product of maps, pixel by pixel: attention. It has no filter; forward only."""

    kind: ClassVar[str] = "product"
    name: str = ""

    def __post_init__(self) -> None:
        text(self.name, "name")


@dataclass(frozen=True, eq=False, repr=False)
class Maximum(Joining, Value):
    """The largest of maps, pixel by pixel: maxout. It has no filter; forward only."""

    kind: ClassVar[str] = "maximum"
    name: str = ""

    def __post_init__(self) -> None:
        text(self.name, "name")

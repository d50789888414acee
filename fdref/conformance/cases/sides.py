"""Cases of sections 2.1 and 2.2 that pad one side alone: what is wrong there, nothing makes up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.conformance.cases.making import exact
from fdref.conformance.cases.numbers import integers

if TYPE_CHECKING:
    from fdref.conformance.case import Case

SIDES = ("top", "bottom", "left", "right")
"""In the order of paddings."""

WHOLE = 24
"""What 2, 4, 6 and 8 pixels divide."""


def alone(side: str, width: int) -> list[int]:
    """Return the padding of one side.

    >>> alone("left", 3)
    [0, 0, 3, 0]
    """
    return [width if side == own else 0 for own in SIDES]


def along(side: str, across: int, length: int) -> tuple[int, int]:
    """Return a window that is long where a side is padded.

    >>> along("left", 2, 4), along("top", 2, 4)
    ((2, 4), (4, 2))
    """
    return (length, across) if side in SIDES[:2] else (across, length)


def cases() -> list[Case]:
    """Return them all."""
    images = {"images": integers(81, (2, 1, 4, 5), 1, 9), "filters": integers(82, (1, 1, 2, 3))}
    maps = integers(83, (2, 1, 5, 6), -9, -1)
    found = [
        exact(f"correlate-pad-{side}", f"padded at the {side} alone: one channel, one filter",
            images, pad=alone(side, 2))
        for side in SIDES
    ]  # fmt: skip
    for method, own in (("max", maps), ("avg", maps * WHOLE)):
        found += [
            exact(f"pool-{method}-pad-{side}",
                f"padded at the {side} alone, by more than the window is across",
                {"images": own}, window=along(side, 2, 4), stride=(1, 1), pad=alone(side, 3),
                method=method)
            for side in SIDES
        ]  # fmt: skip
    return found

"""What a kit asks: the cases, each operation of SPECIFICATION.md with its awkward ones."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from fdref.conformance.case import OPERATIONS
from fdref.conformance.cases import (
    decoding,
    enlarging,
    graphs,
    layers,
    lenet,
    networks,
    occlusions,
    projections,
    refusals,
    sides,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from fdref.conformance.case import Case


PARTS = (
    layers,
    sides,
    decoding,
    networks,
    graphs,
    enlarging,
    projections,
    occlusions,
    lenet,
    refusals,
)


def cases() -> list[Case]:
    """Return all cases, the same each time, in the order of `OPERATIONS`."""
    return list(_cases())


@cache
def _cases() -> tuple[Case, ...]:
    found = [case for part in PARTS for case in part.cases()]
    for case in found:
        for array in (*case.inputs.values(), *case.expected.values()):
            array.flags.writeable = False
    return tuple(in_order(found))


def in_order(found: Iterable[Case]) -> list[Case]:
    """Sort cases as `OPERATIONS`."""
    return sorted(found, key=lambda case: OPERATIONS.index(case.operation))

"""Who is told that loops are compiled, which takes its time at first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

told_of_compiling: list[Callable[[], None]] = []
"""Called, in any thread, when a loop is compiled that no cache has."""


def tell_of_compiling() -> None:
    """Call those who want to be told."""
    for listener in tuple(told_of_compiling):
        listener()

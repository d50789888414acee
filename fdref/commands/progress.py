"""How far a long computation is, on a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress_bar(
    total: int, unit: str, before: int = 0
) -> Iterator[Callable[[int], object] | None]:
    """Show on a terminal how many units are done, once that has taken two seconds.

    Some may have been done before; they say nothing about the time left.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm  # noqa: PLC0415 - only where it is used, so that --help is quick

    with tqdm(total=total, unit=f" {unit}", delay=2, leave=False, initial=before) as bar:
        yield bar.update

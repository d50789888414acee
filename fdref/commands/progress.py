"""How far a long computation is, on a terminal."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def progress_bar(total: int, unit: str) -> Iterator[Callable[[int], object] | None]:
    """Show on a terminal how many units are done, once that has taken two seconds."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    from tqdm import tqdm  # noqa: PLC0415 - only where it is used, so that --help is quick

    with tqdm(total=total, unit=f" {unit}", delay=2, leave=False) as bar:
        yield bar.update

"""How far a long computation is, on a terminal."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

from fdref.imports import imported

if TYPE_CHECKING:
    from collections.abc import Iterator


class Advance(Protocol):
    """Called with how much more is done, and what else there is to say."""

    def __call__(self, done: float, note: str = "") -> None:
        """Count it."""


@contextmanager
def progress_bar(
    what: str, total: float, before: float = 0, *, quiet: bool = False
) -> Iterator[Advance]:
    """Show on a terminal how much of some work is done, once that has taken two seconds.

    Work is counted in whatever takes time in proportion, so that the time left can be told. Some of
    it may have been done before; that says nothing about the time left.
    """
    if quiet or sys.stderr is None or not sys.stderr.isatty():
        yield _count_nothing
        return
    style = "{desc} {percentage:3.0f}%|{bar}| {elapsed}<{remaining}{postfix}"
    with imported("tqdm", "progress is shown with tqdm").tqdm(
        desc=what,
        total=max(total, before) or 1,
        initial=before,
        bar_format=style,
        delay=2,
        miniters=0,  # pieces of work differ; by default, small ones after large ones are not shown
        ncols=_width(),
        nrows=24,  # any: there is one bar
        leave=False,
    ) as bar:

        def advance(done: float, note: str = "") -> None:
            if note:
                bar.set_postfix_str(note, refresh=False)
            bar.update(min(done, bar.total - bar.n))  # sums of fractions may be a little more

        yield advance


def _width() -> int:
    """Return the terminal's columns; where it says that it has none, tqdm would show nothing."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns or 80
    except (OSError, ValueError, AttributeError):  # it is no file
        return 80


def _count_nothing(done: float, note: str = "") -> None:
    """Show nobody how much is done."""

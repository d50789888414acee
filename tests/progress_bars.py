"""Progress bars that note what they are told, in place of tqdm's."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Self


class Bars(list):
    """All bars shown, each with what it shows, its total, where it began, its steps and notes."""

    def __init__(self, monkeypatch) -> None:
        terminal = SimpleNamespace(isatty=lambda: True)
        monkeypatch.setattr("fdref.commands.progress.sys", SimpleNamespace(stderr=terminal))
        monkeypatch.setattr("tqdm.tqdm", self.show)

    def show(self, *, desc: str, total: float, initial: float, **style: object) -> Bar:
        self.append(Bar(desc, total, initial))
        return self[-1]


class Bar:
    def __init__(self, what: str, total: float, before: float) -> None:
        self.what, self.total, self.n, self.before = what, total, before, before
        self.steps, self.notes = [], []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def update(self, count: float) -> None:
        self.n += count
        self.steps.append(count)

    def set_postfix_str(self, text: str, refresh: bool) -> None:
        self.notes.append(text)

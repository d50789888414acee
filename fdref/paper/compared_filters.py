"""Filters of several kinds for the same neurons, drawn beside how well each predicts them."""

from __future__ import annotations

from math import isnan
from operator import mul
from typing import TYPE_CHECKING, NamedTuple

from fdref.drawing.canvas import (
    ACCENT,
    GREY,
    HEAD,
    MARGIN,
    OWN_CONTRAST,
    PALE,
    Page,
    about,
    coloured,
    plain_style,
)
from fdref.paper.table1 import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from fdref.arrays import Array

FILTERS, ROOM = 8, 500
"""Of each layer at most, and pixels that a row of them takes at most."""

SIDE, SEAM, LINE, BAR = 56, 6, 24, 120
"""Pixels: of a picture, between pictures, of a row without any, of a whole bar."""

LABEL, WIDE_LABEL, VALUE = 170, 210, 60
"""Pixels for what stands before pictures, before bars, and behind bars."""


class Strip(NamedTuple):
    """What is drawn of one layer.

    Attributes
    ----------
    title : str
    filters : {name: (k, C, h, w) array}
    predicted : {name: float}
        The correlation of what each predicts.
    replaced : {what is replaced: float}
        The correlation of what the decoded filter predicts.
    """

    title: str
    filters: Mapping[str, Array]
    predicted: Mapping[str, float]
    replaced: Mapping[str, float]


@plain_style()
def draw(strips: Sequence[Strip]) -> Figure:
    """Draw filters of several kinds, and how well each predicts.

    Parameters
    ----------
    strips : sequence of Strip
    """
    page = Page(
        "The role of the non-linearities",
        f"Bars: correlation of responses with what a filter predicts, from 0 to 1. {OWN_CONTRAST}",
    )
    shown = [
        {name: [about(coloured(f), SIDE) for f in bank] for name, bank in one.filters.items()}
        for one in strips
    ]
    steps = [max(p.shape[1] for row in one.values() for p in row) + SEAM for one in shown]
    counts = [max(1, min(FILTERS, ROOM // step)) for step in steps]
    bars = MARGIN + LABEL + max(map(mul, counts, steps)) + 16
    names = bars + BAR + VALUE + 40
    top = HEAD
    for one, pictures, step, count in zip(strips, shown, steps, counts, strict=True):
        page.write(one.title, MARGIN, top, size=14, weight="bold")
        page.write("the network made linear", names, top, size=14, weight="bold")
        y = top + 28
        for name, value in one.predicted.items():
            row = pictures.get(name, [])[:count]
            height = max((p.shape[0] + SEAM for p in row), default=LINE)
            middle = y + (height - SEAM) / 2 if row else y + LINE / 2
            page.write(name.replace(" at ", "\nat "), MARGIN, middle, va="center", color=GREY)
            for k, picture in enumerate(row):
                page.show(picture, MARGIN + LABEL + k * step, y)
            _bar(page, bars, middle, value, decoded=name.startswith("decoded"))
            y += height
        low = top + 28
        for name, value in one.replaced.items():
            page.write(name, names, low + LINE / 2, va="center", color=GREY)
            _bar(page, names + WIDE_LABEL, low + LINE / 2, value, decoded=name == "as it is")
            low += LINE
        top = max(y, low) + 24
    return page.finished(names + WIDE_LABEL + BAR + VALUE + MARGIN, top - 24)


def _bar(page: Page, left: float, middle: float, value: float, *, decoded: bool) -> None:
    """Draw a correlation as a bar on its scale from 0 to 1, with its number."""
    if isnan(value):
        page.write(NOTHING, left, middle, va="center", color=GREY)
        return
    page.bar(left, middle, BAR, PALE)
    page.bar(left, middle, BAR * max(value, 0), ACCENT if decoded else GREY)
    page.write(f"{value:.3f}", left + BAR + 8, middle, va="center", color="black")

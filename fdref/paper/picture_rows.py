"""Rows of pictures, such as of the same neurons in several ways, in groups below each other."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from fdref.drawing.canvas import GREY, HEAD, MARGIN, Page, plain_style

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from fdref.drawing.canvas import Shades

LABEL, SEAM, HIGH, NARROWEST = 230, 8, 18, 760
"""Pixels: before pictures, between them, of a line above them, of a page that holds a note."""


class Group(NamedTuple):
    """Pictures of the same things, one below another.

    Attributes
    ----------
    title : str
    columns : sequence of str
        What stands above each column; may be empty.
    rows : {name: pictures}
    """

    title: str
    columns: Sequence[str]
    rows: Mapping[str, Sequence[Shades]]


@plain_style()
def draw(title: str, note: str, groups: Sequence[Group]) -> Figure:
    """Draw groups of rows.

    Parameters
    ----------
    title, note : str
    groups : sequence of Group
    """
    page = Page(title, note)
    top, right = HEAD, NARROWEST
    for group in groups:
        if group.title:
            page.write(group.title, MARGIN, top, size=14, weight="bold")
        pictures = [picture for row in group.rows.values() for picture in row]
        width = max(picture.shape[1] for picture in pictures) + SEAM
        left = MARGIN + LABEL
        if any(group.columns):
            for k, text in enumerate(group.columns):
                middle = left + k * width + (width - SEAM) / 2
                page.write(text, middle, top + 3, ha="center", color=GREY)
        top += 26 * bool(group.title)
        for name, row in group.rows.items():
            height = max(picture.shape[0] for picture in row)
            page.write(name, MARGIN, top + height / 2, va="center", color=GREY)
            for k, picture in enumerate(row):
                indent = (width - SEAM - picture.shape[1]) // 2
                page.show(picture, left + k * width + indent, top)
            top += height + SEAM
            right = max(right, left + len(row) * width - SEAM)
        top += HIGH
    return page.finished(right + MARGIN, top - HIGH - SEAM)

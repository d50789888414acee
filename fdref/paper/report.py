"""The report of `fdref reproduce`: claims, tables and figures as one web page."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from fdref.drawing.web_page import data_uri, render
from fdref.paper.exhibit import VERDICTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from fdref.paper.exhibit import Exhibit

PLURAL = {True: "hold", False: "do not hold", None: "do not apply"}
COLOURS = {True: "yes", False: "no", None: "moot"}
"""Of verdicts, by their name in the style."""

SIZE = re.compile(rb'<svg [^>]*?width="([0-9.]+)pt" height="([0-9.]+)pt"')
POINT = 96 / 72
"""Pixels of a page."""


class Picture(NamedTuple):
    """A picture in the page; its size is told, so that nothing jumps while one reads."""

    source: str
    width: int
    height: int


def page(
    title: str,
    facts: Mapping[str, str],
    exhibits: Sequence[Exhibit],
    pictures: Mapping[str, bytes],
) -> str:
    """Set a report as one HTML document, the same for the same input.

    Parameters
    ----------
    title : str
    facts : dict
        What was run, on what: ``{name: value}``.
    exhibits : sequence of Exhibit
    pictures : dict
        The exhibits' figures, ``{stem: bytes of an SVG file}``, sized in points.

    Returns
    -------
    str

    Examples
    --------
    >>> from fdref.paper.exhibit import Claim, Exhibit
    >>> claim = Claim("Strokes are thin.", "2 pixels on average, of 28", True)
    >>> exhibit = Exhibit("strokes", "Strokes", "", (claim,))
    >>> text = page("A report", {"Model": "lenet.mat"}, [exhibit], {})
    >>> text.count("2 pixels on average, of 28")
    1
    """
    return render(
        "report.html",
        title=title,
        facts=facts,
        exhibits=exhibits,
        verdicts=[claim.holds for exhibit in exhibits for claim in exhibit.claims],
        pictures={stem: _picture(svg) for stem, svg in pictures.items()},
        words=VERDICTS,
        plural=PLURAL,
        colours=COLOURS,
    )


def _picture(svg: bytes) -> Picture:
    found = SIZE.search(svg)
    assert found is not None, svg[:200]  # noqa: S101 - matplotlib's, and ours
    width, height = (round(float(size) * POINT) for size in found.groups())
    return Picture(data_uri(svg, "svg+xml"), width, height)

"""Sections of a report, with a claim of every kind and text that wants to be code."""

from __future__ import annotations

import numpy as np

from fdref.drawing.canvas import Page, encoded, for_dark_pages_too
from fdref.paper.exhibit import Claim, Exhibit, Table, judged

NASTY = "<script>alert('&')</script> \"quoted\" & déjà vu"


def svg(height: int, width: int) -> bytes:
    """Draw a page of so many pixels with a picture in its middle."""
    page = Page("A figure", "with a note")
    page.show(np.random.default_rng(0).integers(0, 256, (50, 60, 3), np.uint8), 100, 100)
    figure = page.finished(width, height, margin=0)
    return for_dark_pages_too(encoded(figure)["svg"])


SECTIONS = (
    Exhibit(
        "table1",
        "Table 1",
        "How far responses are from predictions.",
        (
            judged(
                "The figures are the paper's.",
                "0.1 standard deviations off",
                "deviations",
                0.1,
                "<=",
                1,
            ),
            Claim("Bilinear is the worst.", "layer 3: nearest", False),
            Claim("The error grows.", "there is one layer only", None),
        ),
        (
            Table(
                "Eq. 3",
                ("layer", *(f"a column with a long name, {i}" for i in range(9))),
                tuple((str(n), *["0.0020 ± 0.0010"] * 9) for n in (1, 3, 5, 7)),
                "Mean and deviation.",
            ),
        ),
    ),
    Exhibit("figure1", "Figure 1", "Filters.", alt="Filters in a row"),
    Exhibit(
        "nasty", NASTY, NASTY, (Claim(NASTY, NASTY, True),), (Table(NASTY, (NASTY,), ((NASTY,),)),)
    ),
    Exhibit("words", "Words only", "w" * 400, (Claim("w" * 400, "9" * 400, True),)),
)
FACTS = {"Model": "lenet.mat", "SHA-256": "0123456789abcdef" * 4, NASTY: NASTY}
PICTURES = {"figure1": svg(300, 1500)}

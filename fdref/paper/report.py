"""What was found, as one HTML page that needs nothing else: no script, no style, no network."""

from __future__ import annotations

import struct
from base64 import b64encode
from dataclasses import dataclass
from html import escape
from math import isnan
from operator import eq, ge, gt, le
from typing import TYPE_CHECKING, Literal

from fdref import web_page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

STYLE = """
.summary { width: 100%; max-width: 44rem; }
.summary td, .summary thead th + th { width: 6rem; padding: 0 0 0 .75rem; text-align: right; }
.summary td a { display: block; padding: .35rem 0; font-weight: 600; text-decoration: none; }

.claims { margin: 0; padding: 0; list-style: none; max-width: 50rem; }
.claims li { display: flex; gap: 1.25rem; padding: .6rem 0; scroll-margin-top: 1rem; }
.claims li + li { border-top: 1px solid var(--rule); }
.claims strong { flex: 0 0 7.25rem; font-size: .875rem; line-height: 1.9; }
.claims strong::before { content: "\\25CF"; margin-right: .5em; }
.claims .no::before { content: "\\25A0"; }
.claims .moot::before { content: "\\25CB"; }
.claims p { margin: 0; }
.claims .found, .claims .criterion { color: var(--soft); }
.claims .criterion { font-size: .875rem; }
@media (max-width: 36rem) {
  .claims li { display: block; }
  .summary thead th + th, .summary td { width: 4.25rem; font-size: .75rem; }
  .summary tbody th { padding-right: 0; }
}
@media print { .claims li { break-inside: avoid; } }
"""

VERDICTS: dict[bool | None, str] = {True: "holds", False: "does not hold", None: "does not apply"}
PLURAL: dict[bool | None, str] = {True: "hold", False: "do not hold", None: "do not apply"}
COLOURS: dict[bool | None, str] = {True: "yes", False: "no", None: "moot"}
"""Of verdicts, by their name in `STYLE`."""

Relation = Literal[">", ">=", "<=", "=="]

RELATIONS: dict[Relation, tuple[Callable[[float, float], bool], str]] = {
    ">": (gt, "more than"),
    ">=": (ge, "at least"),
    "<=": (le, "at most"),
    "==": (eq, "exactly"),
}
"""How a measured value must stand to a threshold, and the words for it."""

DENSITY = 2
"""Pixels of a picture to one of a screen, so that letters are sharp on paper and on phones."""


@dataclass(frozen=True)
class Claim:
    """One thing that the paper says, and whether it is so.

    Attributes
    ----------
    text : str
        What the paper claims.
    found : str
        What we see, with the numbers.
    holds : bool or None
        None: does not apply to this network or these images; `found` says why.
    quantity : str
        What was measured to tell, in words.
    measured : float or None
        Its value; None where the claim does not apply.
    relation : ">", ">=", "<=" or "=="
        How `measured` stands to `threshold` where the claim holds.
    threshold : float or None
    """

    text: str
    found: str
    holds: bool | None
    quantity: str = ""
    measured: float | None = None
    relation: Relation = ">"
    threshold: float | None = None


def judged(
    text: str, found: str, quantity: str, measured: float, relation: Relation, threshold: float
) -> Claim:
    """Judge a claim by a number and what it is held against; NaN is judged by nothing.

    Examples
    --------
    >>> judged("Strokes are thin.", "of 28 pixels", "pixels across a stroke", 2, "<=", 3).holds
    True
    >>> judged("Strokes are thin.", "there are none", "", float("nan"), "<=", 3).holds is None
    True
    """
    if isnan(measured):
        return Claim(text, found, None)
    holds = bool(RELATIONS[relation][0](measured, threshold))
    return Claim(text, found, holds, quantity, float(measured), relation, float(threshold))


def criterion(claim: Claim) -> str:
    """Say what was measured and what it is held against; nothing where a claim does not apply."""
    if claim.measured is None or claim.threshold is None:
        return ""
    words = RELATIONS[claim.relation][1]
    return f"{claim.quantity}: {claim.measured:.4g}; holds for {words} {claim.threshold:.4g}"


@dataclass(frozen=True)
class Table:
    """Rows of text under a header; the first cell of a row names it."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Section:
    """One table or figure of the paper.

    Attributes
    ----------
    title : str
        Such as 'Table 1' or 'Figure 1: what the last layer looks for'.
    text : str
        What is shown.
    claims : tuple of Claim
    tables : tuple of Table
    picture : str
        Stem of the figure's files, such as 'figure1'; '' where there is none.
    alt : str
        What to read out in place of the picture.
    """

    title: str
    text: str
    claims: tuple[Claim, ...] = ()
    tables: tuple[Table, ...] = ()
    picture: str = ""
    alt: str = ""


def page(
    title: str,
    facts: Mapping[str, str],
    sections: Sequence[Section],
    pictures: Mapping[str, bytes],
) -> str:
    """Set a report as one HTML document, the same for the same input.

    Parameters
    ----------
    title : str
    facts : dict
        What was run, on what: ``{name: value}``.
    sections : sequence of Section
    pictures : dict
        The sections' pictures, ``{stem: bytes of a PNG file}``.

    Returns
    -------
    str

    Examples
    --------
    >>> claim = Claim("Strokes are thin.", "2 pixels on average, of 28", True)
    >>> text = page("A report", {"Model": "lenet.mat"}, [Section("Strokes", "", (claim,))], {})
    >>> text.count("2 pixels on average, of 28")
    1
    """
    body = [
        f"<header>\n<h1>{escape(title)}</h1>",
        *_summary(sections),
        *web_page.facts(facts),
        "</header>\n<main>",
        *(
            line
            for number, section in enumerate(sections, start=1)
            for line in _section(number, section, pictures)
        ),
        "</main>",
    ]
    return web_page.document(title, body, STYLE)


def _summary(sections: Sequence[Section]) -> Iterator[str]:
    """Count verdicts, each count a link to the first claim with it."""
    claims = [claim for section in sections for claim in section.claims]
    parts = []
    for verdict in VERDICTS:
        count = sum(claim.holds is verdict for claim in claims)
        words = (VERDICTS if count == 1 else PLURAL)[verdict]
        colour = COLOURS[verdict] if count else "moot"
        parts.append(f'<span class="{colour}">{count} {words}</span>')
    yield f'<p class="sum">Of {len(claims)} claims, {", ".join(parts)}.</p>'
    yield '<div class="wide"><table class="summary">\n<thead><tr><th scope="col">Section</th>'
    yield "".join(f'<th scope="col">{word}</th>' for word in VERDICTS.values())
    yield "</tr></thead>\n<tbody>"
    for number, section in enumerate(sections, start=1):
        head = f'<th scope="row"><a href="#section{number}">{escape(section.title)}</a></th>'
        yield f"<tr>{head}{''.join(_count(number, section, verdict) for verdict in VERDICTS)}</tr>"
    yield "</tbody>\n</table></div>"


def _count(number: int, section: Section, verdict: bool | None) -> str:  # noqa: FBT001 - a value
    places = [i for i, claim in enumerate(section.claims, 1) if claim.holds is verdict]
    if not places:
        return "<td></td>"
    link = f'<a class="{COLOURS[verdict]}" href="#claim{number}.{places[0]}">{len(places)}</a>'
    return f"<td>{link}</td>"


def _section(number: int, section: Section, pictures: Mapping[str, bytes]) -> Iterator[str]:
    yield f'<section id="section{number}">\n<h2>{escape(section.title)}</h2>'
    if section.picture:
        yield f"<figure>\n{_image(pictures[section.picture], section.alt)}"
        yield f"<figcaption>{escape(section.text)}</figcaption>\n</figure>"
    elif section.text:
        yield f"<p>{escape(section.text)}</p>"
    if section.claims:
        yield '<ul class="claims">'
        yield from (_claim(f"claim{number}.{i}", c) for i, c in enumerate(section.claims, 1))
        yield "</ul>"
    for table in section.tables:
        yield from _table(table)
    yield "</section>"


def _image(png: bytes, alt: str) -> str:
    """Embed a picture; its size is told, so that the page does not jump when it is read."""
    width, height = (size // DENSITY for size in struct.unpack(">2I", png[16:24]))
    source = f"data:image/png;base64,{b64encode(png).decode()}"
    return f'<img src="{source}" width="{width}" height="{height}" alt="{escape(alt)}">'


def _claim(identifier: str, claim: Claim) -> str:
    verdict = f'<strong class="{COLOURS[claim.holds]}">{VERDICTS[claim.holds]}</strong>'
    held = criterion(claim)
    return (
        f'<li id="{identifier}">{verdict}<div><p>{escape(claim.text)}</p>'
        f'<p class="found">{escape(claim.found)}</p>'
        + (f'<p class="criterion">{escape(held)}</p>' if held else "")
        + "</div></li>"
    )


def _table(table: Table) -> Iterator[str]:
    """Set a table in a box of its own, in which it scrolls where the page is too narrow."""
    label = escape(table.title)
    yield f'<div class="wide" role="region" aria-label="{label}" tabindex="0"><table>'
    yield f"<caption>{label}</caption>\n<thead><tr>"
    yield "".join(f'<th scope="col">{escape(cell)}</th>' for cell in table.header)
    yield "</tr></thead>\n<tbody>"
    for first, *rest in table.rows:
        cells = "".join(f"<td>{escape(cell)}</td>" for cell in rest)
        yield f'<tr><th scope="row">{escape(first)}</th>{cells}</tr>'
    yield "</tbody>\n</table></div>"
    if table.note:
        yield f'<p class="note">{escape(table.note)}</p>'

"""A report as a badge: one small picture that says how it went."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from fdref.conformance.comparison import Outcome
from fdref.conformance.report import verdict_on

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

    from fdref.conformance.examination import Report

DARK, GOOD, BAD = "#4a4a46", "#2a7d4a", "#b3261e"
NARROW, WIDE = "fijlrt .,:;'|!()[]I1", "mwMW%@"
MARGIN, HEIGHT, BASELINE = 7, 20, 14
LONGEST = 40
"""Characters of the name of what was judged."""


def badge(report: Report) -> bytes:
    """Draw a report as SVG, 20 pixels high; the same for the same report."""
    part = report.circumstances.part or "filter decoding"
    label = f"{part[: LONGEST - 1]}…" if len(part) > LONGEST else part
    passed = f"{report.count(Outcome.PASS)} of {len(report.verdicts)}"
    said = f"conforms, {passed}" if report.conforms else f"{passed} pass"
    title = f"{report.subject} {verdict_on(report)}"
    middle = width(label) + 2 * MARGIN
    whole = middle + width(said) + 2 * MARGIN
    root = ET.Element(
        "svg",
        {"xmlns": "http://www.w3.org/2000/svg", "role": "img", "aria-label": title},
        width=f"{whole}",
        height=f"{HEIGHT}",
    )
    ET.SubElement(root, "title").text = title
    clip = ET.SubElement(root, "clipPath", id="round")
    _box(clip, 0, whole, rx="3")
    boxes = ET.SubElement(root, "g", {"clip-path": "url(#round)"})
    _box(boxes, 0, middle, fill=DARK)
    _box(boxes, middle, whole, fill=GOOD if report.conforms else BAD)
    face = {"font-family": "Verdana, 'DejaVu Sans', system-ui, sans-serif", "font-size": "11"}
    words = ET.SubElement(root, "g", {"fill": "#fff", "aria-hidden": "true", **face})
    for left, text in ((MARGIN, label), (middle + MARGIN, said)):
        place = {"x": f"{left}", "y": f"{BASELINE}", "textLength": f"{width(text)}"}
        ET.SubElement(words, "text", place).text = text
    document: bytes = ET.tostring(root, encoding="utf-8")
    return document + b"\n"


def _box(parent: Element, left: int, right: int, **more: str) -> None:
    place = {"x": f"{left}", "width": f"{right - left}", "height": f"{HEIGHT}"}
    ET.SubElement(parent, "rect", place | more)


def width(text: str) -> int:
    """Return the pixels that text takes at a size of 11; the picture has letters keep to it."""
    return round(sum(3.8 if c in NARROW else 10 if c in WIDE else 6.7 for c in text))

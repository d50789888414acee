"""Figure 1: whether decoded filters of the last layer show classes and excite their neurons."""

from __future__ import annotations

from functools import partial
from math import nan
from typing import TYPE_CHECKING

import numpy as np

from fdref.drawing.canvas import (
    ACCENT,
    GREY,
    HEAD,
    MARGIN,
    OWN_CONTRAST,
    Page,
    coloured,
    fitted,
    plain_style,
)
from fdref.measure.finite import finite_forward
from fdref.measure.survey import wins
from fdref.paper.exhibit import Claim, Exhibit, judged

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.measure.survey import Survey
    from fdref.paper.subject import Subject

CONTRAST = 128
"""A decoded filter shown as an image is scaled to this largest magnitude."""


def exhibit(subject: Subject, found: Survey) -> Exhibit:
    """Show the last layer's decoded filters and the images that correlate most with them."""
    title = "Figure 1: what the last layer looks for"
    if not subject.classes:
        why = "the outputs of the last convolution are not the classes of the images"
        return Exhibit("figure1", title, "", (Claim("Decoded filters show classes.", why, None),))
    best = found.guesses[subject.last]
    bank = found.banks[subject.last, "bicubic"]
    images = subject.net.prepare(subject.images[best])
    matrix = found.scores[best].T
    named = [subject.classes[label] for label in subject.labels[best]]
    return Exhibit(
        "figure1",
        title,
        "The decoded filters of the last layer, their positive parts, the images of the whole "
        "set that correlate most with them, and the correlation of every filter with every one "
        "of these images.",
        (
            *claims(subject, found),
            excitation(subject, found, subject.last),
            *(excitation(subject, found, n) for n in subject.net.decodable[-2:-1]),
        ),
        numbers={"matrix": matrix, "image": best, "decoded": bank},
        draw=partial(draw, bank, images, matrix, subject.classes, named),
        alt="Decoded filters, their positive parts, images, and a matrix of correlations",
    )


def claims(subject: Subject, found: Survey) -> tuple[Claim, ...]:
    """Hold the last layer's decoded filters against the classes of images."""
    best, labels = found.guesses[subject.last], subject.labels
    count = len(best)
    right = float((found.scores.argmax(axis=1) == labels).mean())
    chance = float(np.bincount(labels).max() / len(labels))
    own = int((found.choosy[subject.last] & (labels[best] == np.arange(count))).sum())
    diagonal = int(wins(found.scores[best]).sum())
    alone = "there is one filter only"
    return (
        judged(
            "The image that correlates most with a decoded filter is of its class.",
            f"{own} of {count}" if count > 1 else alone,
            "filters whose image is",
            own if count > 1 else nan,
            ">",
            count / 2,
        ),
        judged(
            "It correlates most with the filter of its own class: the diagonal is the largest of "
            "its column.",
            f"{diagonal} of {count}" if count > 1 else alone,
            "images that do",
            diagonal if count > 1 else nan,
            ">",
            count / 2,
        ),
        judged(
            "As a linear classifier, the decoded filters name more images rightly than chance.",
            f"{right:.1%} of {len(labels):,}; the largest class has {chance:.1%}",
            "share named rightly",
            right,
            ">",
            chance,
        ),
    )


def excitation(subject: Subject, found: Survey, layer: int) -> Claim:
    """Show the network a layer's decoded filters as images."""
    bank = found.banks[layer, "bicubic"]
    text = f"A decoded filter of layer {layer}, shown as an image, excites its own neuron most."
    if bank.shape[2:] != subject.images.shape[-2:]:
        return Claim(text, "the filters are not as large as the images", None)
    if len(bank) == 1:
        return Claim(text, "there is one filter only", None)
    peaks = np.abs(bank).max(axis=(1, 2, 3), keepdims=True)
    shown = bank / np.where(peaks > 0, peaks, 1) * bank.dtype.type(CONTRAST)
    acts = finite_forward(subject.net, shown, last=layer)
    own = float(wins(acts[layer][:, :, 0, 0]).mean())
    return judged(text, f"{own:.1%} of {len(bank)}", "share that does", own, ">", 0.5)


@plain_style()
def draw(
    decoded: Array, images: Array, matrix: Array, labels: Sequence[str], found: Sequence[str]
) -> Figure:
    """Draw decoded filters, the images that correlate most with them, and all correlations.

    Parameters
    ----------
    decoded : (K, C, h, w) array
    images : (K, C, h, w) array
        The image for each filter.
    matrix : (K, K) array
        The correlation of filter i (row) with image j (column).
    labels, found : sequences of K str
        The classes of the filters, and those of the images.
    """
    side, cell, left = 84, 100, 190
    page = Page(
        "Figure 1: decoded filters of the last layer, and the images that correlate most with them",
        f"{OWN_CONTRAST} Framed: the largest value of its column; bold: the diagonal.",
    )
    rows = (
        ("decoded filter", decoded, labels),
        ("its positive part", np.maximum(decoded, 0), labels),
        ("image with the\nlargest correlation", images, found),
    )
    top = HEAD
    for title, pictures, texts in rows:
        page.write(title, MARGIN, top + side / 2, color=GREY, va="center")
        for k, picture in enumerate(pictures):
            shades = fitted(coloured(picture), side)
            page.show(shades, left + k * cell, top)
            page.write(texts[k], left + k * cell + side / 2, top + side + 4, ha="center")
        top += side + 34
    page.write("correlation of the\nfilter of class\nwith the image above", MARGIN, top, color=GREY)
    largest = matrix.argmax(axis=0)
    for i, row in enumerate(matrix):
        y = top + i * 24
        page.write(labels[i], left - 14, y, ha="right", color=GREY)
        for j, value in enumerate(row):
            weight = "bold" if i == j else "normal"
            x = left + j * cell + side / 2
            page.write(f"{value:.0f}", x, y, ha="center", weight=weight)
            if largest[j] == i:
                page.frame(np.zeros((20, side), np.uint8), left + j * cell, y - 4, ACCENT, 1.5)
    return page.finished(left + len(decoded) * cell + MARGIN, top + len(matrix) * 24)

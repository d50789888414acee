"""Figure 1: whether decoded filters of the last layer show classes and excite their neurons."""

from __future__ import annotations

from functools import partial
from math import ceil, nan
from typing import TYPE_CHECKING

import numpy as np

from fdref.drawing.canvas import (
    ACCENT,
    GREY,
    HEAD,
    MARGIN,
    OWN_CONTRAST,
    Page,
    about,
    coloured,
    fitted,
    plain_style,
)
from fdref.drawing.colours import shades_of, table
from fdref.measure.finite import finite_forward
from fdref.measure.survey import wins
from fdref.network.fields import Box
from fdref.network.units import Unit, boxes
from fdref.paper.exhibit import Claim, Exhibit, judged
from fdref.walk.pictures import Picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.geometry import Pair
    from fdref.measure.survey import Survey
    from fdref.paper.subject import Subject

FEW, MOST = 13, 120
"""Classes whose correlations are written as numbers, and that are drawn at all."""

LEFT, WIDE = 190, 1300
"""Pixels to the left of pictures, and for those in a line."""

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
    large = max(bank.shape[2:]) > max(images.shape[2:])
    shown = on_images(subject, subject.last, bank)[1] if large else bank
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
        draw=partial(draw, shown, images, matrix, subject.classes, named),
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
    if len(bank) == 1:
        return Claim(text, "there is one filter only", None)
    at, pictures = on_images(subject, layer, bank)
    peaks = np.abs(pictures).max(axis=(1, 2, 3), keepdims=True)
    shown = pictures / np.where(peaks > 0, peaks, 1) * bank.dtype.type(CONTRAST)
    acts = finite_forward(subject.net, shown, last=layer)
    own = float(wins(acts[layer][:, :, *at]).mean())
    return judged(text, f"{own:.1%} of {len(bank)}", "share that does", own, ">", 0.5)


def on_images(subject: Subject, layer: int, bank: Array) -> tuple[Pair, Array]:
    """Lay decoded filters where the unit in the middle of a layer's maps sees images.

    Returns the unit's row and column, and pictures (K, C, H, W): zero where it sees nothing, and
    without what it would see beyond the borders.
    """
    height, width = subject.images.shape[-2:]
    rows, columns = subject.net.map_sizes((height, width))[layer]
    at = rows // 2, columns // 2
    origin = boxes(subject.net, layer, Unit(at))[0].origin
    return at, Picture(bank, origin).over(Box(0, 0, height - 1, width - 1)).values


@plain_style()
def draw(
    decoded: Array, images: Array, matrix: Array, labels: Sequence[str], found: Sequence[str]
) -> Figure:
    """Draw decoded filters, the images that correlate most with them, and all correlations.

    Of more than `MOST` classes the first are drawn.

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
    count = min(len(decoded), MOST)
    some = f"The first {count} of {len(decoded)} classes. " if count < len(decoded) else ""
    diagonal = "; bold: the diagonal" if count <= FEW else ""
    page = Page(
        "Figure 1: decoded filters of the last layer, and the images that correlate most with them",
        f"{some}{OWN_CONTRAST} Framed: the largest value of its column{diagonal}.",
    )
    fits = 84 if count <= FEW else 56
    side = max(about(coloured(one[0]), fits).shape[0] for one in (decoded, images))
    cell = side + 16
    rows = (
        ("decoded filter", decoded, labels),
        ("its positive part", np.maximum(decoded, 0), labels),
        ("image with the\nlargest correlation", images, found),
    )
    lines = ceil(count / (WIDE // cell))
    columns = ceil(count / lines)
    top = HEAD
    for first in range(0, count, columns):
        for title, pictures, texts in rows:
            page.write(title, MARGIN, top + side / 2, color=GREY, va="center")
            for place, k in enumerate(range(first, min(first + columns, count))):
                left = LEFT + place * cell
                page.show(fitted(coloured(pictures[k]), side), left, top)
                text = shortened(texts[k], cell)
                page.write(text, left + side / 2, top + side + 4, ha="center")
            top += side + 34 if count <= FEW else side + 24
        top += 0 if count <= FEW else 20
    told = "correlation of the filter of each class (row) with each of the images above (column)"
    page.write(told, MARGIN, top, color=GREY)
    top += 28
    matrix = matrix[:count, :count]
    if count <= FEW:
        bottom = _numbers(page, matrix, labels, top, (side, cell))
    else:
        bottom = _shaded(page, matrix, labels[:count], found[:count], top)
    wide = max(columns * cell, page.head_width - LEFT, count * _cell(count) * (count > FEW))
    return page.finished(LEFT + wide + MARGIN, bottom)


def shortened(text: str, wide: float, letters: float = 12) -> str:
    """Cut a class's name to about so many pixels.

    >>> shortened("cat", 72), shortened("Egyptian cat", 72)
    ('cat', 'Egyptian…')
    """
    most = int(wide / (0.64 * letters))
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _numbers(
    page: Page, matrix: Array, labels: Sequence[str], top: float, sizes: tuple[int, int]
) -> float:
    """Write the correlations of few classes; return where that ends."""
    side, cell = sizes
    largest = matrix.argmax(axis=0)
    for i, row in enumerate(matrix):
        y = top + i * 24
        page.write(shortened(labels[i], LEFT - MARGIN - 14), LEFT - 14, y, ha="right", color=GREY)
        for j, value in enumerate(row):
            weight = "bold" if i == j else "normal"
            x = LEFT + j * cell + side / 2
            page.write(f"{value:.0f}", x, y, ha="center", weight=weight)
            if largest[j] == i:
                page.frame(np.zeros((20, side), np.uint8), LEFT + j * cell, y - 4, ACCENT, 1.5)
    return top + len(matrix) * 24


def _cell(count: int) -> int:
    """Return how many pixels a correlation takes, of so many classes."""
    return min(36, max(11, 910 // count))


def _shaded(
    page: Page, matrix: Array, labels: Sequence[str], found: Sequence[str], top: float
) -> float:
    """Paint the correlations of many classes; return where that ends."""
    cell = _cell(len(matrix))
    letters, above = min(11, cell - 2), 64
    colours = table("diverging")[shades_of(matrix)].repeat(cell, axis=0).repeat(cell, axis=1)
    scale = float(np.abs(matrix).max())
    told = f"{-scale:.3g} blue\n0 white\n{scale:.3g} orange"
    page.write(told, MARGIN, top + above, color=GREY)
    page.show(colours, LEFT, top + above)
    for i, (label, other) in enumerate(zip(labels, found, strict=True)):
        middle = (i + 0.5) * cell
        row, column = shortened(label, 90, letters), shortened(other, above, letters)
        left, under = LEFT - 5, top + above + middle
        page.write(row, left, under, letters, color=GREY, ha="right", va="center_baseline")
        x, over = LEFT + middle, top + above - 5
        page.write(column, x, over, letters, color=GREY, ha="center", va="bottom", rotation=90)
    for j, i in enumerate(matrix.argmax(axis=0)):
        box = np.zeros((cell - 2, cell - 2), np.uint8)
        page.frame(box, LEFT + j * cell + 1, top + above + int(i) * cell + 1, "black", 1.25)
    return top + above + len(matrix) * cell

"""The paper's figures, drawn from plain numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.paper.composition_figures import figure6, figure7
from fdref.paper.page import (
    ACCENT,
    GREY,
    HEAD,
    MARGIN,
    channels_of,
    coloured,
    count_of,
    finished,
    fitted,
    frame,
    mosaic,
    new_page,
    place,
    plain_style,
    sheet_of,
    write,
)
from fdref.pictures import shades_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.paper.page import Shades
    from fdref.paper.survey import Strip

    Line = tuple[str, int] | tuple[()]
    """Colour and width of a frame, or nothing for the plain one."""

__all__ = [
    "DECODED_FRAME",
    "NET_FRAME",
    "figure1",
    "figure2",
    "figure3",
    "figure4",
    "figure5",
    "figure6",
    "figure7",
]

OWN_CONTRAST = "Each picture has its own contrast; grey is zero."

NET_FRAME, DECODED_FRAME = "#d62020", "#e8b400"
"""Figure 4's frames, in the paper's red and yellow."""


@plain_style()
def figure1(
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

    Returns
    -------
    Figure
    """
    side, cell, left = 84, 100, 190
    page = new_page(
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
        write(page, title, MARGIN, top + side / 2, color=GREY, va="center")
        for k, picture in enumerate(pictures):
            shades = fitted(coloured(picture), side)
            place(page, shades, left + k * cell, top)
            frame(page, shades, left + k * cell, top)
            write(page, texts[k], left + k * cell + side / 2, top + side + 4, ha="center")
        top += side + 34
    write(
        page, "correlation of the\nfilter of class\nwith the image above", MARGIN, top, color=GREY
    )
    largest = matrix.argmax(axis=0)
    for i, row in enumerate(matrix):
        y = top + i * 24
        write(page, labels[i], left - 14, y, ha="right", color=GREY)
        for j, value in enumerate(row):
            weight = "bold" if i == j else "normal"
            x = left + j * cell + side / 2
            write(page, f"{value:.0f}", x, y, ha="center", weight=weight)
            if largest[j] == i:
                frame(page, np.zeros((20, side), np.uint8), left + j * cell, y - 4, ACCENT, 1.5)
    return finished(page, left + len(decoded) * cell + MARGIN, top + len(matrix) * 24)


@plain_style()
def figure2(stages: Sequence[Array], titles: Sequence[str]) -> Figure:
    """Draw the way of one filter from its own layer down to the image.

    Parameters
    ----------
    stages : list of (1, C, h, w) arrays
        What ``decode(..., steps=True)`` returned for the filter.
    titles : sequence of str
        What was done to get each stage.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import fdref
    >>> stages = fdref.decode(fdref.load(), layer=3, filters=0, steps=True)
    >>> len(figure2(stages, ["filter", "unpooled", "substituted"]).axes[0].images)
    41
    """
    page = new_page(
        "Figure 2: the steps of decoding one filter", "Each stage has one contrast; grey is zero."
    )
    left, bottom = MARGIN, HEAD
    for stage, title in zip(stages, titles, strict=True):
        channels, height, width = stage.shape[1:]
        write(page, title, left, HEAD, weight="bold")
        write(page, f"{count_of(stage[0], 'channel')}", left, HEAD + 18, color=GREY)
        columns = 5 if channels > 30 else 4 if channels > 1 else 1
        side = 168 if channels == 1 else max(44, 2 * max(height, width))
        for c, shades in enumerate(shades_of(stage[0])):
            picture = fitted(shades, side)
            x = left + c % columns * (side + 6)
            y = HEAD + 44 + c // columns * (side + 6)
            place(page, picture, x, y)
            frame(page, picture, x, y)
            bottom = max(bottom, y + side)
        left += max(columns * (side + 6), 190) + 30
    return finished(page, left - 30 + MARGIN, bottom)


@plain_style()
def figure3(
    image: Array, layers: Mapping[int, tuple[Array, Array]], columns: Mapping[int, int]
) -> Figure:
    """Draw what layers respond to one image, in the network and by correlation.

    Parameters
    ----------
    image : (C, h, w) array
    layers : dict
        ``{layer: (response, predicted)}``, arrays (K, h, w): the network's maps and those of the
        correlation with the decoded filters, in the same order.
    columns : dict
        ``{layer: maps in a row}``.

    Returns
    -------
    Figure
    """
    page = new_page(
        "Figure 3: responses to one image, in the network and by correlation",
        "Left: the network's maps. Right: correlations with the decoded filters, in the same "
        "order. Each side of a layer is mapped to the range of its own values.",
    )
    write(page, "image", MARGIN, HEAD, color=GREY)
    place(page, picture := fitted(coloured(image), 140), MARGIN, HEAD + 20)
    frame(page, picture, MARGIN, HEAD + 20)
    start, top, right = MARGIN + 180, HEAD, 0
    for layer, sides in layers.items():
        x = start
        titles = (f"layer {layer}: {count_of(sides[0], 'map')}", "by correlation")
        for maps, title in zip(sides, titles, strict=True):
            write(page, title, x, top, color=GREY)
            low, high = maps.min(), maps.max()
            shades = np.rint(255 * (maps - low) / ((high - low) or 1)).astype(np.uint8)
            sheet = mosaic(shades, columns[layer], 420)
            place(page, sheet, x, top + 20)
            frame(page, sheet, x, top + 20)
            x += sheet.shape[1] + 40
        right, top = max(right, x), top + 20 + sheet.shape[0] + 24
    return finished(page, right - 40 + MARGIN, top - 24)


@plain_style()
def figure4(strips: Sequence[Strip]) -> Figure:
    """Draw decoded filters of several layers beside the images that excite them.

    Parameters
    ----------
    strips : sequence of Strip

    Returns
    -------
    Figure
    """
    side, cell, left = 84, 104, 150
    page = new_page(
        "Figure 4: decoded filters and the images that excite them most",
        f"{OWN_CONTRAST} Red: the image with the highest activation in the network; yellow: with "
        "the highest correlation with the decoded filter.",
    )
    top, width = HEAD, 0
    for strip in strips:
        write(page, strip.title, MARGIN, top, size=14, weight="bold")
        top += 24
        for title, pictures, line in _rows_of(strip, side):
            write(page, title, MARGIN, top + side / 2, color=GREY, va="center")
            for k, shades in enumerate(pictures):
                place(page, shades, left + k * cell, top)
                frame(page, shades, left + k * cell, top, *line)
            top += side + 12
        for k, label in enumerate(strip.labels):
            write(page, label, left + k * cell + side / 2, top - 6, ha="center", color=GREY)
        top += 30
        width = max(width, len(strip.labels) * cell)
    return finished(page, left + width + MARGIN, top - 20)


def _rows_of(strip: Strip, side: int) -> Iterator[tuple[str, list[Shades], Line]]:
    """Return figure 4's rows for one layer: title, pictures, colour and width of the frames."""

    def pictures(bank: Array) -> list[Shades]:
        return [fitted(coloured(filters), side) for filters in bank]

    if strip.originals is not None:
        yield "before\ndecoding", [channels_of(filters, side) for filters in strip.originals], ()
    yield "decoded", pictures(strip.decoded), ()
    yield "its positive\npart", pictures(np.maximum(strip.decoded, 0)), ()
    yield "most in the\nnetwork", pictures(strip.best[:, 0]), (NET_FRAME, 4)
    yield "most by\ncorrelation", pictures(strip.guess), (DECODED_FRAME, 4)
    for images in strip.best.swapaxes(0, 1)[1:]:
        yield "next in\nthe network", pictures(images), ()


@plain_style()
def figure5(banks: Mapping[str, Mapping[int, Array]]) -> Figure:
    """Draw all decoded filters of networks.

    Parameters
    ----------
    banks : dict
        ``{name of the network: {layer: (K, C, h, w) array}}``, such as `decode_all` returns.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import fdref
    >>> from fdref.weights.handmade import handmade
    >>> figure = figure5({"hand-made": fdref.decode_all(handmade())})
    >>> [text.get_text() for text in figure.axes[0].texts][-2:]
    ['layer 2: 14 filters of 9×9', 'layer 4: 8 filters of 14×14']
    """
    width = 1400
    page = new_page("Figure 5: all decoded filters", OWN_CONTRAST)
    bottom = HEAD
    for network, layers in banks.items():
        write(page, network, MARGIN, bottom, size=15, weight="bold")
        left, top = MARGIN, bottom + 26
        for number, bank in layers.items():
            sheet = sheet_of(bank, width - 2 * MARGIN)
            if left + sheet.shape[1] > width - MARGIN:
                left, top = MARGIN, bottom
            title = f"layer {number}: {count_of(bank, 'filter')}"
            write(page, title, left, top, color=GREY)
            place(page, sheet, left, top + 18)
            left += sheet.shape[1] + MARGIN
            bottom = max(bottom, top + sheet.shape[0] + 30)
        bottom += 10
    return finished(page, width, bottom)

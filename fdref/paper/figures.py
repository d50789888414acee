"""The paper's figures, drawn from plain numbers."""

from __future__ import annotations

from textwrap import fill
from typing import TYPE_CHECKING

import numpy as np

from fdref.paper.composition_graph import named_and_strongest
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

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.paper.composition_graph import Graph, Node
    from fdref.paper.page import Shades
    from fdref.paper.survey import Strip

    Line = tuple[str, int] | tuple[()]
    """Colour and width of a frame, or nothing for the plain one."""

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


@plain_style()
def figure6(graph: Graph, banks: Mapping[int, Array], names: Mapping[int, Sequence[str]]) -> Figure:
    """Draw what a filter is made of, with the decoded filter at every node.

    Parameters
    ----------
    graph : dict
        What `composition_graph.graph_of` returned; those of several filters of a layer, joined by
        ``|``, show what they share.
    banks : dict
        ``{layer: (K, C, h, w) array}``, the decoded filters.
    names : dict
        ``{layer: what its K filters are called}``.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import fdref
    >>> from fdref.paper.composition_graph import graph_of
    >>> from fdref.weights.handmade import NAMES, handmade
    >>> net = handmade()
    >>> figure = figure6(graph_of(net, 4, 0), fdref.decode_all(net), NAMES)
    >>> len(figure.axes[0].images), len(figure.axes[0].lines)
    (7, 12)
    """
    cell, gap, text, aside = 150, 64, 15, 70
    rows = _rows(graph)
    zoom = max(1, 112 // max(max(bank.shape[2:]) for bank in banks.values()))
    inner = max(cell * max(map(len, rows)), 610)
    tops = " and ".join(names[layer][k] for layer, k in rows[0])
    page = new_page(
        f"Figure 6: what {tops} {'is' if len(rows[0]) == 1 else 'are'} made of",
        "The thicker a line, the larger the share of the absolute weights. " + OWN_CONTRAST,
    )
    top, ends = HEAD, {}
    for row in rows:
        layer = row[0][0]
        height, width = (size * zoom for size in banks[layer].shape[2:])
        write(page, f"layer {layer}", MARGIN, top + height / 2, color=GREY, va="center")
        for spot, (_, k) in enumerate(row):
            x = round(MARGIN + aside + inner * (spot + 0.5) / len(row))
            picture = fitted(coloured(banks[layer][k]), max(height, width))
            place(page, picture, x - width / 2, top)
            frame(page, picture, x - width / 2, top)
            shares = [f"{share:.0%} {names[below][j]}" for (below, j), share in graph[layer, k]]
            write(page, names[layer][k], x, top + height + 6, ha="center", weight="bold")
            write(page, "\n".join(shares), x, top + height + 6 + text, ha="center", color=GREY)
            ends[layer, k] = x, top, top + height + 10 + text * (1 + len(shares))
        top = max(ends[node][2] for node in row) + gap
    for node, made_of in graph.items():
        for part in made_of:
            _join(page, ends[node], ends[part.node], part.share)
    return finished(page, 2 * MARGIN + aside + inner, top - gap)


@plain_style()
def figure7(graph: Graph, acts: Sequence[Array], names: Mapping[int, Sequence[str]]) -> Figure:
    """Draw all activation maps for one image, those pointed out that a filter is made of.

    Parameters
    ----------
    graph : dict
        What `composition_graph.graph_of` returned for the filter.
    acts : list of (1, C, h, w) arrays
        What `forward` returned for the image, such as the decoded filter.
    names : dict
        ``{layer: what its filters are called}``, for the convolutions.

    Returns
    -------
    Figure

    Examples
    --------
    >>> import fdref
    >>> from fdref.paper.composition_graph import graph_of
    >>> from fdref.weights.handmade import NAMES, handmade
    >>> net = handmade()
    >>> acts = fdref.forward(net, fdref.decode(net, 4, 0))
    >>> figure = figure7(graph_of(net, 4, 0), acts, NAMES)
    >>> len(figure.axes[0].images)
    41
    """
    side, cell, columns = 60, 80, 14
    highest, k = next(iter(graph))
    page = new_page(
        f"Figure 7: all activation maps when the input is the decoded {names[highest][k]}",
        "Each layer has one contrast, grey is zero; below a map, its largest value in per cent of "
        "the layer's. Framed: what figure 6 names.",
    )
    height, width = acts[0].shape[2:]
    write(page, f"input of {height}×{width}", MARGIN, HEAD, color=GREY)
    place(page, picture := fitted(coloured(acts[0][0]), 2 * side), MARGIN, HEAD + 20)
    frame(page, picture, MARGIN, HEAD + 20)
    left, bottom = MARGIN + 2 * cell, HEAD
    for number, (named, _) in named_and_strongest(graph, acts).items():
        maps, top = acts[number][0], bottom + 20
        own = names[max(layer for layer in names if layer <= number)]
        peaks = maps.max(axis=(1, 2))
        write(page, f"layer {number}: {count_of(maps, 'map')}", left, bottom, color=GREY)
        for j, shades in enumerate(shades_of(maps)):
            x, y = left + j % columns * cell, top + j // columns * (side + 60)
            label = f"{fill(own[j], 12)}\n{peaks[j] / (np.abs(peaks).max() or 1):.0%}"
            place(page, picture := fitted(shades, side), x, y)
            if j in named:
                frame(page, picture, x, y, ACCENT, 3)
                write(page, label, x, y + side + 6, size=10.5, color=ACCENT, weight="bold")
            else:
                frame(page, picture, x, y)
                write(page, label, x, y + side + 6, size=10.5, color=GREY)
            bottom = y + side + 64
    return finished(page, left + columns * cell - (cell - side) + MARGIN, bottom - 20)


def _join(
    page: Axes, upper: tuple[float, float, float], lower: tuple[float, float, float], share: float
) -> None:
    """Draw a line from under a node to the top of one below; nodes are (x, top, bottom)."""
    ends = (upper[0], lower[0]), (upper[2], lower[1] - 4)
    page.plot(*ends, color="0.55", lw=0.5 + 5 * share, solid_capstyle="round", zorder=0)


def _rows(graph: Graph) -> list[list[Node]]:
    """Return the nodes layer by layer, top first, each below those that it is part of."""
    rows: list[list[Node]] = []
    above: list[Node] = []
    for layer in sorted({layer for layer, _ in graph}, reverse=True):
        users = {
            node: [i for i, user in enumerate(above) if node in dict(graph[user])]
            for node in graph
            if node[0] == layer
        }
        above = sorted(users, key=lambda node: float(np.mean(users[node] or 0)))
        rows.append(above)
    return rows

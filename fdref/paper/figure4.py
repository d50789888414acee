"""Figure 4: decoded filters of several layers beside the images that excite them."""

from __future__ import annotations

from functools import partial
from math import isnan, nan
from typing import TYPE_CHECKING

import numpy as np

from fdref.drawing.canvas import (
    GREY,
    HEAD,
    MARGIN,
    OWN_CONTRAST,
    Page,
    coloured,
    fitted,
    plain_style,
    strongest_channels,
)
from fdref.layers import Conv
from fdref.measure.survey import Strip
from fdref.paper.exhibit import Claim, Exhibit, judged
from fdref.paper.figure3 import CLASS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.drawing.canvas import Shades
    from fdref.measure.survey import Survey
    from fdref.paper.subject import Subject

    Line = tuple[str, int] | tuple[()]
    """Colour and width of a frame, or nothing for the plain one."""

SHOWN = 10
"""Filters of a layer that are shown."""

CHANNELS = 4
"""Channels that are shown of a filter before decoding, those with most energy: more are specks."""

NET_FRAME, DECODED_FRAME = "#d62020", "#e8b400"
"""In the paper's red and yellow."""


def exhibit(subject: Subject, found: Survey) -> Exhibit:
    """Show decoded filters beside the images that excite them."""
    net, strips, numbers = subject.net, [], {}
    for layer in net.decodable:
        own, order = net[layer], np.arange(net.channels[layer])
        title = f"layer {layer}"
        featured = layer != subject.last and net.channels[layer] > 10 * SHOWN
        if featured and len(found.by_class[layer]) > CLASS:
            order = np.argsort(-found.by_class[layer][CLASS], kind="stable")
            title += ": the filters with the highest activations for class "
            title += subject.class_names[CLASS]
        shown = order[:SHOWN]
        best, guess = found.best[layer][shown], found.guesses[layer][shown]
        strips.append(
            Strip(
                title,
                [str(k) for k in shown],
                found.banks[layer, "bicubic"][shown],
                own.filters[shown] if featured and isinstance(own, Conv) else None,
                np.stack([net.prepare(subject.images[row]) for row in best]),
                net.prepare(subject.images[guess]),
            )
        )
        numbers[f"layer{layer}/filters"] = shown
        numbers[f"layer{layer}/network"] = best
        numbers[f"layer{layer}/correlation"] = guess
    return Exhibit(
        "figure4",
        "Figure 4: filters and the images that excite them",
        "Decoded filters of each layer, their positive parts, the images with the highest "
        "activation in the network (the first framed red), and the image with the highest "
        "correlation with the decoded filter (framed yellow).",
        (claim(subject, found),),
        numbers=numbers,
        draw=partial(draw, strips),
        alt="Rows of decoded filters and images",
    )


def claim(subject: Subject, found: Survey) -> Claim:
    """Compare the classes of the images that the network and the decoded filters pick."""
    text = (
        "The image that a decoded filter of the last layer picks is of the same class as the "
        "network's."
    )
    if len(np.unique(subject.labels)) == 1:
        return Claim(text, "all images are of one class", None)
    share = {}
    for layer, choosy in found.choosy.items():
        classes = (subject.labels[rows] for rows in (found.best[layer][:, 0], found.guesses[layer]))
        share[layer] = float((choosy & np.equal(*classes)).mean()) if choosy.any() else nan
    told = [
        f"layer {n}: " + ("every image is answered alike" if isnan(same) else f"{same:.0%}")
        for n, same in share.items()
    ]
    return judged(
        text,
        "same class, all filters: " + ", ".join(told),
        "share of the last layer's filters",
        share[subject.last],
        ">",
        0.5,
    )


@plain_style()
def draw(strips: Sequence[Strip]) -> Figure:
    """Draw decoded filters of several layers beside the images that excite them.

    Parameters
    ----------
    strips : sequence of Strip
    """
    side, cell, left = 84, 104, 150
    page = Page(
        "Figure 4: decoded filters and the images that excite them most",
        f"{OWN_CONTRAST} Red: the image with the highest activation in the network; yellow: with "
        "the highest correlation with the decoded filter.",
    )
    top, width = HEAD, 0
    for strip in strips:
        page.write(strip.title, MARGIN, top, size=14, weight="bold")
        top += 24
        for title, pictures, line in _rows_of(strip, side):
            page.write(title, MARGIN, top + side / 2, color=GREY, va="center")
            for k, shades in enumerate(pictures):
                page.show(shades, left + k * cell, top, *line)
            top += side + 12
        for k, label in enumerate(strip.labels):
            page.write(label, left + k * cell + side / 2, top - 6, ha="center", color=GREY)
        top += 30
        width = max(width, len(strip.labels) * cell)
    return page.finished(left + width + MARGIN, top - 20)


def _rows_of(strip: Strip, side: int) -> Iterator[tuple[str, list[Shades], Line]]:
    """Yield the rows for one layer: title, pictures, colour and width of the frames."""

    def pictures(bank: Array) -> list[Shades]:
        return [fitted(coloured(filters), side) for filters in bank]

    if strip.originals is not None:
        count = strip.originals.shape[1]
        some = f",\n{CHANNELS} of {count}\nchannels" if count > CHANNELS else ""
        originals = [strongest_channels(one, CHANNELS, side) for one in strip.originals]
        yield f"before\ndecoding{some}", originals, ()
    yield "decoded", pictures(strip.decoded), ()
    yield "its positive\npart", pictures(np.maximum(strip.decoded, 0)), ()
    yield "most in the\nnetwork", pictures(strip.best[:, 0]), (NET_FRAME, 4)
    yield "most by\ncorrelation", pictures(strip.guess), (DECODED_FRAME, 4)
    for images in strip.best.swapaxes(0, 1)[1:]:
        yield "next in\nthe network", pictures(images), ()

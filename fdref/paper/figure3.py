"""Figure 3: responses to one image, in the network and by correlation with decoded filters."""

from __future__ import annotations

from functools import partial
from math import isnan
from typing import TYPE_CHECKING

import numpy as np

from fdref.drawing.canvas import (
    GREY,
    HEAD,
    MARGIN,
    Page,
    coloured,
    count_of,
    fitted,
    mosaic,
    plain_style,
)
from fdref.measure.evaluation import compare, respond
from fdref.paper.exhibit import Exhibit, judged
from fdref.walk.forward import forward

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.drawing.canvas import Shades
    from fdref.measure.survey import Survey
    from fdref.paper.subject import Subject

CLASS = 3
"""Figures 3 and 4 look at this class, as the paper does."""


def exhibit(subject: Subject, found: Survey) -> Exhibit:
    """Show responses to one image, in the network and by correlation."""
    net = subject.net
    chosen = np.flatnonzero(subject.labels == CLASS)
    index = int(chosen[0]) if len(chosen) else 0
    x = net.prepare(subject.images[index : index + 1])
    acts = forward(net, x, last=max(net.decodable))
    sides, columns, numbers, seen = {}, {}, {}, []
    for layer in net.decodable[:3]:
        predicted = respond(net, layer, found.banks[layer, "bicubic"], x)
        sides[layer] = acts[layer][0], predicted[0]
        pixels = acts[layer].shape[2] * acts[layer].shape[3]
        columns[layer] = 25 if pixels == 1 else 10 if len(predicted[0]) > 25 else 5
        seen.append(float(compare(acts[layer], predicted)[1, 0]))
        numbers[f"layer{layer}/network"] = acts[layer][0]
        numbers[f"layer{layer}/correlation"] = predicted[0]
    told = [
        f"layer {n}: " + ("nothing to compare" if isnan(r) else f"correlation coefficient {r:.3f}")
        for n, r in zip(sides, seen, strict=True)
    ]
    return Exhibit(
        "figure3",
        "Figure 3: responses in the network and by correlation",
        f"Image {index}, of class {subject.class_names[subject.labels[index]]}: the maps of the "
        "first convolutions in the network, and by correlation with their decoded filters.",
        (
            judged(
                "Correlation with the decoded filters gives responses like the network's.",
                ", ".join(told),
                "the smallest correlation coefficient",
                float(np.min(seen)),
                ">",
                0.5,
            ),
        ),
        numbers=numbers,
        draw=partial(draw, x[0], sides, columns),
        alt="Activation maps side by side",
    )


@plain_style()
def draw(
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
    """
    page = Page(
        "Figure 3: responses to one image, in the network and by correlation",
        "Left: the network's maps. Right: correlations with the decoded filters, in the same "
        "order. Each side of a layer is mapped to the range of its own values.",
    )
    page.write("image", MARGIN, HEAD, color=GREY)
    page.place(picture := fitted(coloured(image), 140), MARGIN, HEAD + 20)
    page.frame(picture, MARGIN, HEAD + 20)
    sheets = {
        layer: [_sheet(maps, columns[layer]) for maps in sides] for layer, sides in layers.items()
    }
    wide = max(sheet.shape[1] for pair in sheets.values() for sheet in pair)
    places, top = (MARGIN + 180, MARGIN + 180 + wide + 40), HEAD
    for layer, pair in sheets.items():
        titles = (f"layer {layer}: {count_of(layers[layer][0], 'map')}", "by correlation")
        for sheet, title, x in zip(pair, titles, places, strict=True):
            page.write(title, x, top, color=GREY)
            page.show(sheet, x, top + 20)
        top += 20 + pair[0].shape[0] + 24
    right = max(places[1] + wide, MARGIN + page.head_width)
    return page.finished(right + MARGIN, top - 24)


def _sheet(maps: Array, columns: int) -> Shades:
    """Lay maps (K, h, w) out, from the least of all values, black, to the largest, white."""
    low, high = maps.min(), maps.max()
    shades = np.rint(255 * (maps - low) / ((high - low) or 1)).astype(np.uint8)
    return mosaic(shades, columns, 420)

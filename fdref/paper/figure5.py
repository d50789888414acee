"""Figure 5: all decoded filters of the network, and of the supplement's hand-made one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fdref.decoding.decode import decode_all
from fdref.drawing.canvas import (
    GREY,
    HEAD,
    MARGIN,
    OWN_CONTRAST,
    Page,
    contact_sheet,
    count_of,
    plain_style,
)
from fdref.paper.exhibit import Exhibit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.paper.subject import Subject
    from fdref.paper.supplement import Supplement


def exhibit(subject: Subject, supplement: Supplement) -> Exhibit:
    """Show every decoded filter of both networks."""
    banks = {"the network": decode_all(subject.net), "hand-made": supplement.banks}
    return Exhibit(
        "figure5",
        "Figure 5: all decoded filters",
        "Every decoded filter of the network and of the hand-made one.",
        numbers={f"handmade/layer{n}": bank for n, bank in supplement.banks.items()},
        draw=partial(draw, banks),
        alt="Sheets of decoded filters, layer by layer",
    )


@plain_style()
def draw(banks: Mapping[str, Mapping[int, Array]]) -> Figure:
    """Draw all decoded filters of networks.

    Parameters
    ----------
    banks : dict
        ``{name of the network: {layer: (K, C, h, w) array}}``, such as `decode_all` returns.

    Examples
    --------
    >>> import fdref
    >>> from fdref.weights.handmade import handmade
    >>> figure = draw({"hand-made": fdref.decode_all(handmade())})
    >>> [text.get_text() for text in figure.axes[0].texts][-2:]
    ['layer 2: 14 filters of 9×9', 'layer 4: 8 filters of 14×14']
    """
    width = 1400
    page = Page("Figure 5: all decoded filters", OWN_CONTRAST)
    bottom = HEAD
    for network, layers in banks.items():
        page.write(network, MARGIN, bottom, size=15, weight="bold")
        left, top = MARGIN, bottom + 26
        for number, bank in layers.items():
            sheet = contact_sheet(bank, width - 2 * MARGIN)
            if left + sheet.shape[1] > width - MARGIN:
                left, top = MARGIN, bottom
            title = f"layer {number}: {count_of(bank, 'filter')}"
            page.write(title, left, top, color=GREY)
            page.place(sheet, left, top + 18)
            left += sheet.shape[1] + MARGIN
            bottom = max(bottom, top + sheet.shape[0] + 30)
        bottom += 10
    return page.finished(width, bottom)

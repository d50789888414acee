"""Figure 2: the steps of decoding one filter."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from fdref.decoding.decode import stages as stages_of
from fdref.drawing.canvas import GREY, HEAD, MARGIN, Page, count_of, fitted, plain_style
from fdref.drawing.colours import shades_of
from fdref.errors import NetworkError
from fdref.layers import Conv, Pool
from fdref.measure.finite import first_bad
from fdref.paper.exhibit import Exhibit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from fdref.arrays import Array
    from fdref.paper.subject import Subject


def exhibit(subject: Subject) -> Exhibit:
    """Show how one filter is decoded: of the last convolution that sees more than a pixel."""
    net = subject.net
    wide = [n for n in net.decodable if isinstance(own := net[n], Conv) and max(own.window) > 1]
    layer, k = (wide or [subject.last])[-1], 0
    stages, titles, numbers = [], [], {}
    for depth, stage in enumerate(stages_of(net, layer, k)):
        below = layer - depth
        kind = "substituted" if isinstance(net[below], Conv) else "unpooled"
        if depth == 0:
            titles.append(f"filter {k} of layer {layer}")
        elif isinstance(net[below], Conv | Pool):
            titles.append(f"{kind} (layer {below})")
        else:
            continue  # the picture is the same
        if first_bad(stage) is not None:
            raise NetworkError(
                f"filter {k} of {net.describe(layer)}, decoded down to {net.describe(below)}, is "
                f"too large for {stage.dtype}; expected smaller weights"
            )
        stages.append(stage)
        numbers[f"stage{depth}"] = stage
    return Exhibit(
        "figure2",
        "Figure 2: decoding, step by step",
        f"Filter {k} of layer {layer} on its way down to the image, from a real run.",
        numbers=numbers,
        draw=partial(draw, stages, titles),
        alt="Pictures of all channels at every step of decoding",
    )


@plain_style()
def draw(stages: Sequence[Array], titles: Sequence[str]) -> Figure:
    """Draw the way of one filter from its own layer down to the image.

    Parameters
    ----------
    stages : list of (1, C, h, w) arrays
        What `fdref.stages` returned for the filter.
    titles : sequence of str
        What was done to get each stage.

    Examples
    --------
    >>> import fdref
    >>> stages = fdref.stages(fdref.load(), layer=3, filters=0)
    >>> len(draw(stages, ["filter", "unpooled", "substituted"]).axes[0].images)
    41
    """
    page = Page(
        "Figure 2: the steps of decoding one filter", "Each stage has one contrast; grey is zero."
    )
    left, bottom = MARGIN, HEAD
    for stage, title in zip(stages, titles, strict=True):
        channels, height, width = stage.shape[1:]
        page.write(title, left, HEAD, weight="bold")
        page.write(f"{count_of(stage[0], 'channel')}", left, HEAD + 18, color=GREY)
        columns = 5 if channels > 30 else 4 if channels > 1 else 1
        side = 168 if channels == 1 else max(44, 2 * max(height, width))
        for c, shades in enumerate(shades_of(stage[0])):
            picture = fitted(shades, side)
            x = left + c % columns * (side + 6)
            y = HEAD + 44 + c // columns * (side + 6)
            page.show(picture, x, y)
            bottom = max(bottom, y + side)
        left += max(columns * (side + 6), 190) + 30
    return page.finished(left - 30 + MARGIN, bottom)

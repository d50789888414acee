"""A page of pictures, texts and lines, laid out by hand in pixels.

There are 96 pixels to the inch, counted from the page's top left corner. Nothing depends on the
user's matplotlibrc, and what `encoded` returns is bit for bit the same each time.
"""

from __future__ import annotations

import io
import re
from contextlib import contextmanager
from math import ceil, sqrt
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fdref.drawing.colours import shades_of
from fdref.drawing.formats import written

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from matplotlib.text import Text
    from numpy.typing import NDArray

    from fdref.arrays import Array

    Shades = NDArray[np.uint8]

PIXELS_PER_INCH, PNG_DPI = 96, 192
MARGIN, HEAD, SEAM = 24, 78, 2
"""Around a page; for its title; between the pictures of a sheet."""

GREY, ACCENT, LINE = "0.35", "#c44e00", 200
"""Of texts beside; of what is pointed out; the shade around pictures, that white ones be seen."""

PALE = f"{LINE / 255}"
"""That shade as matplotlib has it."""

PAINTED = ("fill", "stroke")
"""Properties of SVG by which something has a colour."""

OWN_CONTRAST = "Each picture has its own contrast; grey is zero."

SIDES = ((10, 56), (100, 42), (10**9, 28))
"""Up to so many filters on a sheet: pixels that the side of a picture may have."""


@contextmanager
def plain_style() -> Iterator[None]:
    """Draw as matplotlib does by itself, whatever the user's settings."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams["svg.hashsalt"] = "fdref"
        mpl.rcParams["image.composite_image"] = False  # else SVG has one resampled image
        mpl.rcParams["pdf.fonttype"] = 42  # TrueType; many journals refuse Type 3
        yield


def encoded(figure: Figure) -> dict[str, bytes]:
    """Return a figure as PNG and as SVG, bit for bit the same each time.

    >>> list(encoded(Page("A figure", "with a note").finished(200, 100)))
    ['png', 'svg']
    """
    found = {}
    with plain_style():
        for kind, how in (
            ("png", {"dpi": PNG_DPI, "metadata": {"Software": None}}),
            ("svg", {"metadata": {"Creator": None, "Date": None}}),
        ):
            file = io.BytesIO()
            figure.savefig(file, format=kind, **how)
            found[kind] = file.getvalue()
    return found


def for_dark_pages_too(svg: bytes) -> bytes:
    """Have a page as SVG show its words in light letters where the page around it is dark.

    Pictures stay as they are, and so does everything on paper.

    >>> figure = Page("A figure", "with a note").finished(200, 100)
    >>> for_dark_pages_too(encoded(figure)["svg"]).count(b"prefers-color-scheme: dark")
    1
    """
    rules = ["svg{fill:#e6e5e0}", "#figure_1>#patch_1 path{fill:none!important}"]  # black, white
    for colour, lighter in ((GREY, "#a5a49d"), (ACCENT, "#f2935c")):
        name = to_hex(colour)
        rules += [f'[style*="{how}: {name}"]{{{how}:{lighter}!important}}' for how in PAINTED]
    style = f"<style>@media (prefers-color-scheme: dark){{{''.join(rules)}}}</style>"
    head, defs, rest = svg.partition(b"<defs>")
    return head + style.encode() + defs + rest


def png(figure: Figure) -> bytes:
    """Return a figure as PNG, a pixel of the page as one of the picture."""
    file = io.BytesIO()
    with plain_style():
        figure.savefig(file, format="png", dpi=PIXELS_PER_INCH, metadata={"Software": "fdref"})
    return file.getvalue()


def text_width(texts: Sequence[str], size: float = 12) -> float:
    """Return how many pixels the widest of some texts takes, of letters of so many.

    Digits are all of one width, so that of thousands of numbers few are measured.

    >>> text_width(["1", "12", "5"]) == 2 * text_width(["1"])
    True
    """
    with plain_style():
        page, kinds = Page("", ""), {re.sub("[0-9]", "0", text) for text in texts}
        return max(page.write(text, 0, 0, size).get_window_extent().width for text in kinds)


class Drawing(Figure):
    """A figure that notebooks show, whether or not they have heard of pyplot."""

    def _repr_png_(self) -> bytes:
        return written(self, "png", "fdref")


class Page:
    """An empty page with a title and a note, whose size is still to be found.

    Both are `scale` times as large as on a page of `PIXELS_PER_INCH` that is shown as it is.
    """

    def __init__(self, title: str, note: str, scale: float = 1) -> None:
        self.figure = Drawing(dpi=PIXELS_PER_INCH)
        FigureCanvasAgg(self.figure)
        self.axes = self.figure.add_axes(
            (0, 0, 1, 1), frameon=False, xticks=[], yticks=[], autoscale_on=False
        )
        self._head = (
            self.write(title, MARGIN, 18 * scale, size=18 * scale, weight="bold"),
            self.write(note, MARGIN, 45 * scale, size=12 * scale, color=GREY),
        )

    @property
    def head_width(self) -> int:
        """Pixels that title and note take."""
        return ceil(max(text.get_window_extent().width for text in self._head))

    def write(self, text: str, x: float, y: float, size: float = 12, **style: Any) -> Text:
        """Write a text of so many pixels; its upper left corner, where not said otherwise."""
        points = size * 72 / PIXELS_PER_INCH
        return self.axes.text(
            x, y, text, **{"va": "top", "fontsize": points, "parse_math": False, **style}
        )

    def place(self, shades: Shades, left: float, top: float) -> None:
        """Lay a picture (h, w), (h, w, 3) or (h, w, 4) on the page, pixel by pixel."""
        height, width = shades.shape[:2]
        extent = (left, left + width, top + height, top)
        self.axes.imshow(
            shades, "gray", vmin=0, vmax=255, extent=extent, aspect="auto", interpolation="none"
        )

    def frame(
        self, shades: Shades, left: float, top: float, color: str = PALE, line: float = 1
    ) -> None:
        """Draw a line around a picture, so many pixels wide."""
        height, width = shades.shape[:2]
        box = (left - line / 2, top - line / 2), width + line, height + line
        points = line * 72 / PIXELS_PER_INCH
        self.axes.add_patch(Rectangle(*box, fill=False, color=color, linewidth=points))

    def bar(self, left: float, middle: float, length: float, color: str, line: float = 12) -> None:
        """Draw a bar from left to right, so many pixels thick."""
        box = (left, middle - line / 2), length, line
        self.axes.add_patch(Rectangle(*box, facecolor=color, linewidth=0))

    def show(
        self, shades: Shades, left: float, top: float, color: str = PALE, line: float = 1
    ) -> None:
        """Lay a picture on the page, in a frame."""
        self.place(shades, left, top)
        self.frame(shades, left, top, color, line)

    def finished(self, width: float, bottom: float, margin: int = MARGIN) -> Drawing:
        """Cut the page to its size, so many pixels below what is lowest."""
        height = round(bottom) + margin
        self.axes.set(xlim=(0, width), ylim=(height, 0))
        self.figure.set_size_inches(width / PIXELS_PER_INCH, height / PIXELS_PER_INCH)
        return self.figure


def coloured(filters: Array) -> Shades:
    """Turn a picture (C, h, w) into shades (h, w, 3): C = 3 in colour, else the channels' sum."""
    if len(filters) != 3:
        filters = filters.sum(axis=0, keepdims=True)
    return np.broadcast_to(shades_of(filters), (3, *filters.shape[1:])).transpose(1, 2, 0)


def fitted(shades: Shades, side: int) -> Shades:
    """Magnify by the largest whole factor that keeps within a square."""
    zoom = max(1, side // max(shades.shape[:2]))
    return shades.repeat(zoom, axis=0).repeat(zoom, axis=1)


def about(shades: Shades, side: int) -> Shades:
    """Magnify by the whole factor that brings it nearest to filling a square."""
    return fitted(shades, side + max(shades.shape[:2]) // 2)


def contact_sheet(bank: Array, most: int) -> Shades:
    """Lay a bank (K, C, h, w) out as one picture at most so many pixels wide, each in a frame.

    In between it is transparent, (height, width, 4). The last row is as full as can be.
    """
    side = next(side for most_filters, side in SIDES if len(bank) <= most_filters)
    pictures = [fitted(coloured(filters), side) for filters in bank]
    height, width = pictures[0].shape[0] + 2 + SEAM, pictures[0].shape[1] + 2 + SEAM
    fit = min(len(bank), max(1, (most + SEAM) // width))
    columns = min(range(fit, fit * 2 // 3, -1), key=lambda columns: -len(bank) % columns)
    sheet = np.zeros((ceil(len(bank) / columns) * height, columns * width, 4), np.uint8)
    for k, picture in enumerate(pictures):
        cell = sheet[k // columns * height :, k % columns * width :]
        cell[: height - SEAM, : width - SEAM] = LINE, LINE, LINE, 255
        cell[1 : height - SEAM - 1, 1 : width - SEAM - 1, :3] = picture
    return sheet[:-SEAM, :-SEAM]


def mosaic(shades: Shades, columns: int, most: int) -> Shades:
    """Lay maps (K, h, w) out in rows, as large as fits into so many pixels."""
    count, height, width = shades.shape
    seam = 1 if height * width > 1 else 0
    zoom = max(1, most // (columns * (width + seam)))
    large = shades.repeat(zoom, axis=1).repeat(zoom, axis=2)
    height, width = large.shape[1] + seam, large.shape[2] + seam
    sheet = np.full((ceil(count / columns) * height, columns * width), 255, np.uint8)
    for k, one in enumerate(large):
        cell = sheet[k // columns * height :, k % columns * width :]
        cell[: height - seam, : width - seam] = one
    return sheet[: len(sheet) - seam, : sheet.shape[1] - seam]


def strongest_channels(filters: Array, most: int, side: int) -> Shades:
    """Lay those channels of a filter (C, h, w) that have most energy out in about a square."""
    energies = np.square(filters, dtype=np.float64).sum(axis=(1, 2))
    chosen = np.sort(np.argsort(-energies, kind="stable")[:most])
    return fitted(mosaic(shades_of(filters[chosen]), ceil(sqrt(len(chosen))), 0), side)


def count_of(pictures: Array, what: str) -> str:
    """Return such as ``8 filters of 14×14``."""
    height, width = pictures.shape[-2:]
    return f"{len(pictures)} {what}{'s' * (len(pictures) > 1)} of {height}×{width}"

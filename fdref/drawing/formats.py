"""Figures as files of every format, bit for bit the same each time."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Literal
from zlib import Z_RLE

import numpy as np

from fdref.errors import DependencyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from fdref.drawing.colours import Shades

Format = Literal["png", "svg", "pdf", "webp"]

FORMATS: tuple[Format, ...] = ("png", "svg", "pdf", "webp")
"""Pixels as they are in the first and the last; letters as outlines in the others."""


def check_format(kind: Format) -> None:
    """Refuse, before anything is drawn, a format that cannot be written.

    Raises
    ------
    DependencyError
        If Pillow was built without WebP.
    """
    from PIL import features  # noqa: PLC0415 - takes its time

    if kind == "webp" and not features.check("webp"):
        raise DependencyError(
            "WebP is written with Pillow, which was built without it: pip install --upgrade pillow"
        )


def written(figure: Figure, kind: Format, title: str) -> bytes:
    """Return a figure as a file, a pixel of the page as one of the picture.

    Parameters
    ----------
    figure : Figure
        A finished `Page`.
    kind : "png", "svg", "pdf" or "webp"
        WebP without loss.
    title : str
        For the file, beside what is drawn.

    Examples
    --------
    >>> from fdref.drawing.canvas import Page
    >>> figure = Page("A figure", "with a note").finished(200, 100)
    >>> written(figure, "webp", "A figure")[8:12]
    b'WEBP'
    """
    from PIL import Image  # noqa: PLC0415 - takes its time, as matplotlib does
    from PIL.PngImagePlugin import PngInfo  # noqa: PLC0415

    from fdref.drawing.canvas import PIXELS_PER_INCH, plain_style  # noqa: PLC0415

    file = io.BytesIO()
    with plain_style():
        if kind in ("svg", "pdf"):
            about: dict[str, Any] = {"Creator": None, "Title": title}
            about |= {"Date": None} if kind == "svg" else {"CreationDate": None, "Producer": None}
            figure.savefig(file, format=kind, metadata=about)
            return file.getvalue()
        image = Image.fromarray(_pixels(figure))
    if kind == "webp":
        image.save(file, "webp", lossless=True, quality=50)
    else:
        told = PngInfo()
        told.add_text("Software", "fdref")
        told.add_text("Title", title)
        # On filtered rows of smooth pictures, runs compress as well as level 6 in a third of the
        # time.
        dpi = (PIXELS_PER_INCH, PIXELS_PER_INCH)
        image.save(file, "png", dpi=dpi, pnginfo=told, compress_level=1, compress_type=Z_RLE)
    return file.getvalue()


def _pixels(figure: Figure) -> Shades:
    """Draw a figure: (height, width) where all is grey, else (height, width, 3).

    Pictures stand on whole pixels, as `Page` places them, and are copied there: matplotlib would
    resample them into the same, for ten times their memory and time.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415 - takes its time

    pictures = [image for axes in figure.axes for image in axes.images if image.get_visible()]
    canvas: Any = FigureCanvasAgg(figure)  # matplotlib types its methods no further
    try:
        for image in pictures:
            image.set_visible(False)
        canvas.draw()
    finally:
        for image in pictures:
            image.set_visible(True)
    page = np.asarray(canvas.buffer_rgba())[:, :, :3]  # its own memory, to be written to
    for image in pictures:
        left, right, bottom, top = map(round, image.get_extent())
        beneath = page[top:bottom, left:right]  # white, but for what is written between pictures
        np.minimum(beneath, _opaque(np.asarray(image.get_array())), out=beneath)
    grey = page[:, :, 0]
    same = all(np.array_equal(grey, page[:, :, c]) for c in (1, 2))
    return np.ascontiguousarray(grey if same else page)


def _opaque(shades: Shades) -> Shades:
    """Lay a picture (h, w), (h, w, 3) or (h, w, 4) on white."""
    if shades.ndim == 2:
        return shades[:, :, None]
    return shades if shades.shape[2] == 3 else np.where(shades[:, :, 3:] > 0, shades[:, :, :3], 255)

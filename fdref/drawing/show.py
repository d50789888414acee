"""`fdref.show`: decoded filters as a figure."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from fdref.arguments import one_of, text, texts, truth, whole_number
from fdref.arrays import common_precision, in_precision, real_array
from fdref.drawing.colours import CMAPS
from fdref.drawing.grid import CONTRASTS, LONGEST_PAGE, Look, largest_of
from fdref.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure
    from numpy.typing import ArrayLike

    from fdref.drawing.colours import Cmap
    from fdref.drawing.grid import Contrast


def show(
    bank: ArrayLike,
    title: str = "",
    labels: Sequence[str] | None = None,
    *,
    size: int | None = None,
    columns: int | None = None,
    contrast: Contrast = "own",
    cmap: Cmap = "grey",
    bare: bool = False,
) -> Figure:
    """Draw filters, such as `decode` returns, as a labelled grid with the scale of its shades.

    Notebooks show the figure; ``figure.savefig("filters.pdf")`` writes it in any of matplotlib's
    formats. It has 96 pixels to the inch.

    Parameters
    ----------
    bank : (K, C, h, w) array
        Finite numbers, of at least one filter. One channel is drawn in grey, three as a colour
        picture (red, green, blue), any other number side by side. Of more than 5,000 filters, the
        first are drawn.
    title : str
    labels : sequence of K str, optional
        What stands under each filter; their numbers, from 0, by default. Under a single one nothing
        does.
    size : int, optional
        Pixels of the longer side of each picture. Enlarged, pixels become rectangles; made smaller,
        averages. By default it depends on how many there are.
    columns : int, optional
        By default, the page is about four wide by three high, and the last row as full as can be.
    contrast : "own" or "layer"
        What is shown as black or white: each filter's largest magnitude, or that of all.
    cmap : "grey" or "diverging"
        Black to white, grey is zero; or blue to orange, white is zero, which colour-blind people
        can read, too: then channels always stand side by side.
    bare : bool
        The pictures alone: no words, no scale, no frames.

    Returns
    -------
    matplotlib.figure.Figure
        That pyplot does not know of: there is no window, and nothing to be closed.

    Raises
    ------
    ArgumentError
        For other shapes, dtypes and words; if numbers are not finite; if there are not as many
        labels as filters; if the picture would have too many pixels.
    DependencyError
        If matplotlib cannot be imported.

    Examples
    --------
    >>> import fdref
    >>> figure = fdref.show(fdref.decode(fdref.load(), layer=3), "LeNet, layer 3")
    >>> [text.get_text() for text in figure.axes[0].texts][:2]
    ['LeNet, layer 3', '50 filters of 14×14 pixels']
    """
    array = real_array(bank, "filters")
    if array.ndim != 4 or 0 in array.shape:
        raise ArgumentError(
            f"filters have shape {array.shape}; expected four axes, none of them empty: (filters, "
            "channels, height, width)"
        )
    array = in_precision(array, common_precision(array.dtype), "filters")
    if not isfinite(largest_of(array)):
        raise ArgumentError("filters hold NaN or infinite numbers; expected finite ones")
    look = Look(
        None if size is None else whole_number(size, "size", 1, LONGEST_PAGE),
        None if columns is None else whole_number(columns, "columns", 1),
        one_of(contrast, "contrast", CONTRASTS),
        one_of(cmap, "cmap", CMAPS),
        truth(bare, "bare"),
    )
    named = [str(k) for k in range(len(array))] if labels is None else list(texts(labels, "labels"))
    if len(named) != len(array):
        raise ArgumentError(
            f"there are {len(named)} labels and {len(array)} filters; expected as many"
        )
    from fdref.drawing.sheets import Words, page_of  # noqa: PLC0415 - matplotlib takes its time

    return page_of(array, Words(text(title, "title"), "", named), look)

"""What a network says of an image while a square hides a part of it: Zeiler & Fergus's figure 7."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from fdref.drawing.canvas import ACCENT, GREY, PALE, PIXELS_PER_INCH, coloured, plain_style, png
from fdref.drawing.neurons import pixels

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from numpy.typing import NDArray

SIDE, GAP, BAR = 230, 28, 62
"""Pixels of the larger side of a map, between maps, and for the numbers beside one."""

NARROWEST, LOWEST = 170, 170
"""Pixels that a title takes, and all names of classes."""

LEFT, TOP, BOTTOM = 24, 108, 24
"""Pixels around the maps."""

MOST = 8
"""Classes that are named; further ones share a colour."""

OTHERS = "0.85"
"""Their shade."""


class Maps(NamedTuple):
    """An image, and what an `Occlusion` says of it."""

    image: NDArray[Any]
    """(C, H, W), from 0 to 255"""
    activity: NDArray[Any]
    """(rows, columns), as all that follow but the projection"""
    projection: NDArray[Any] | None
    """(C, H, W), if there is one"""
    probability: NDArray[Any]
    label: NDArray[Any]


def maps(
    found: Maps,
    size: Sequence[int],
    stride: Sequence[int],
    title: str,
    watched: str,
    true: int,
    classes: Sequence[str],
) -> bytes:
    """Draw an image and its maps as PNG: a map's pixel stands where the square's middle was.

    Parameters
    ----------
    found : Maps
    size, stride : (vertical, horizontal)
        Of the square.
    title : str
    watched : str
        Which map's activity it is.
    true : int
        The class whose probability is shown.
    classes : sequence of str
        Their names, if there are any.
    """
    height, width = found.image.shape[1:]
    zoom = SIDE / max(height, width)
    sides = width * zoom, height * zoom
    with plain_style():
        figure = Figure(dpi=PIXELS_PER_INCH)
        FigureCanvasAgg(figure)
        panels = 5 if found.projection is not None else 4
        page = LEFT + panels * _column(sides), TOP + max(sides[1], LOWEST) + BOTTOM
        figure.set_size_inches(page[0] / PIXELS_PER_INCH, page[1] / PIXELS_PER_INCH)
        _write(figure, page, title, 18, size=18, weight="bold")
        note = "a pixel of a map stands where the middle of the square was, which is outlined"
        _write(figure, page, f"{note} in its first place", 45, size=12, color=GREY)
        name = _name(true, classes)
        over = _reach(size, stride, found.activity.shape)
        titles = {
            "image": "the image",
            "activity": f"activity of\n{watched}",
            "projection": "projection of that map\n(deconvnet)",
            "probability": f"probability of\nclass {name}",
            "label": "most probable class",
        }
        if found.projection is None:
            del titles["projection"]
        axes = {
            which: _panel(figure, page, sides, n, text)
            for n, (which, text) in enumerate(titles.items())
        }
        _show_pixels(figure, page, axes, found, size)
        _show_maps(figure, page, axes, found, over, classes)
        for one in axes.values():
            one.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
        return png(figure)


def _show_pixels(
    figure: Figure,
    page: tuple[float, float],
    axes: Mapping[str, Axes],
    found: Maps,
    size: Sequence[int],
) -> None:
    """Show the image with the square in its first place, and the projection."""
    height, width = found.image.shape[1:]
    whole = (-0.5, width - 0.5, height - 0.5, -0.5)
    axes["image"].imshow(pixels(found.image), extent=whole, interpolation="none")
    outline = Rectangle((-0.5, -0.5), size[1], size[0], edgecolor=ACCENT, facecolor="none")
    outline.set_linewidth(1.5)
    axes["image"].add_patch(outline)
    if found.projection is not None:
        shades = coloured(found.projection)
        axes["projection"].imshow(shades, extent=whole, interpolation="none")
        largest = float(np.abs(found.projection).max())
        _scale(figure, page, axes["projection"], largest)


def _show_maps(
    figure: Figure,
    page: tuple[float, float],
    axes: Mapping[str, Axes],
    found: Maps,
    over: tuple[float, float, float, float],
    classes: Sequence[str],
) -> None:
    """Show what there is a number of for each place of the square."""
    shown = axes["activity"].imshow(found.activity, "viridis", extent=over)
    _bar(figure, page, axes["activity"], shown)
    shown = axes["probability"].imshow(found.probability, "viridis", vmin=0, vmax=1, extent=over)
    _bar(figure, page, axes["probability"], shown)
    _labels(axes["label"], found.label, over, classes)


def _reach(
    size: Sequence[int], stride: Sequence[int], places: Sequence[int]
) -> tuple[float, float, float, float]:
    """Return where a map lies over an image: left, right, bottom and top."""
    (top, bottom), (left, right) = (
        ((side - 1) / 2 - step / 2, (side - 1) / 2 + (count - 0.5) * step)
        for side, step, count in zip(size, stride, places, strict=True)
    )
    return left, right, bottom, top


def _write(
    figure: Figure, page: tuple[float, float], text: str, top: float, size: float, **style: Any
) -> None:
    """Write a line, so many pixels large and from the top."""
    points = size * 72 / PIXELS_PER_INCH
    style |= {"va": "top", "fontsize": points, "parse_math": False}
    figure.text(LEFT / page[0], 1 - top / page[1], text, **style)


def _column(sides: tuple[float, float]) -> float:
    """Return how many pixels a map takes, with its title and what stands beside it."""
    return max(sides[0], NARROWEST) + GAP + BAR


def _panel(
    figure: Figure, page: tuple[float, float], sides: tuple[float, float], n: int, title: str
) -> Axes:
    """Add room for the n-th picture, under a title of up to two lines."""
    left = LEFT + n * _column(sides) - (BAR - GAP) * (n > 0)  # beside the image there is no bar
    bottom = page[1] - TOP - sides[1]
    place = (left / page[0], bottom / page[1], sides[0] / page[0], sides[1] / page[1])
    axes = figure.add_axes(place, xticks=[], yticks=[], facecolor="0.95")
    for spine in axes.spines.values():
        spine.set_edgecolor(PALE)
    axes.set_title(title, fontsize=9, loc="left", parse_math=False)
    return axes


def _bar(figure: Figure, page: tuple[float, float], axes: Axes, shown: AxesImage) -> None:
    """Tell which colour is which number."""
    shown.set_interpolation("none")
    bar = figure.colorbar(shown, cax=_beside(figure, page, axes))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2, color=PALE)


def _scale(figure: Figure, page: tuple[float, float], axes: Axes, largest: float) -> None:
    """Tell which shade is which number, about zero."""
    norm = mpl.colors.Normalize(-largest or -1, largest or 1)
    shades = mpl.cm.ScalarMappable(norm, "gray")
    bar = figure.colorbar(shades, cax=_beside(figure, page, axes))
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=8, length=2, color=PALE)


def _beside(figure: Figure, page: tuple[float, float], axes: Axes) -> Axes:
    """Add room for a bar beside a picture."""
    place = axes.get_position()
    return figure.add_axes((place.x1 + 6 / page[0], place.y0, 10 / page[0], place.height))


def _labels(
    axes: Axes,
    label: NDArray[Any],
    over: tuple[float, float, float, float],
    classes: Sequence[str],
) -> None:
    """Colour each class that occurs, the most frequent first, and name it."""
    found, counts = np.unique(label, return_counts=True)
    ranked = found[np.argsort(-counts, kind="stable")]
    named = ranked[:MOST]
    colours = [*mpl.color_sequences["tab10"][: len(named)], OTHERS]
    number = np.full(label.shape, len(named))
    for place, one in enumerate(named):
        number[label == one] = place
    norm = BoundaryNorm(np.arange(len(colours) + 1) - 0.5, len(colours))
    axes.imshow(number, ListedColormap(colours), norm, extent=over, interpolation="none")
    texts = [_name(int(one), classes) for one in named]
    if len(ranked) > MOST:
        texts.append(f"{len(ranked) - MOST} more")
    patches = [Rectangle((0, 0), 1, 1, color=colour) for colour in colours[: len(texts)]]
    axes.legend(
        patches, texts, loc="upper left", bbox_to_anchor=(1, 1), frameon=False, fontsize=8,
        handlelength=1, handleheight=1,
    )  # fmt: skip


def _name(label: int, classes: Sequence[str]) -> str:
    """Return a class's name, or its number."""
    return classes[label] if label < len(classes) else str(label)

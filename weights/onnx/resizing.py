"""Resize and Upsample, by whole factors."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
from typing import TYPE_CHECKING

from fdref.errors import NetworkError
from fdref.geometry import LARGEST_NUMBER
from fdref.layers import Pool, Upsample
from fdref.weights.onnx.arranging import as_map
from fdref.weights.onnx.calls import whole_numbers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from fdref.geometry import Pair
    from fdref.weights.onnx.model import Node
    from fdref.weights.onnx.translation import Translation
    from fdref.weights.onnx.views import View

PLACES: dict[str, Callable[[int, int], Fraction]] = {
    "asymmetric": Fraction,
    "half_pixel": lambda x, u: Fraction(2 * x + 1, 2 * u) - Fraction(1, 2),
    "half_pixel_symmetric": lambda x, u: Fraction(2 * x + 1, 2 * u) - Fraction(1, 2),
    "pytorch_half_pixel": lambda x, u: Fraction(2 * x + 1, 2 * u) - Fraction(1, 2),
    "tf_half_pixel_for_nn": lambda x, u: Fraction(2 * x + 1, 2 * u),
}
"""Where a pixel of a map enlarged by u lies in the map, by coordinate_transformation_mode."""
ROUNDED: dict[str, Callable[[Fraction], int]] = {
    "floor": floor,
    "ceil": ceil,
    "round_prefer_floor": lambda place: ceil(place - Fraction(1, 2)),
    "round_prefer_ceil": lambda place: floor(place + Fraction(1, 2)),
}
"""By nearest_mode."""
MOST = 1024
"""Beyond this factor, no network enlarges."""


def resize(t: Translation, node: Node) -> Sequence[View]:
    """Translate what enlarges maps by whole factors: nearest, or linear between pixels' centres."""
    view = as_map(t, node, t.view(node))
    factor = _factors(t, node, view)
    mode = node.word("mode", "nearest")
    plain = node.op == "Upsample" or t.model.opset < 11
    places = "asymmetric" if plain else node.word("coordinate_transformation_mode", "half_pixel")
    if node.word("keep_aspect_ratio_policy", "stretch") != "stretch":
        raise NetworkError("it keeps the aspect ratio; expected factors or sizes as they are")
    if factor == (1, 1):
        return [view]
    if mode == "nearest":
        rounded = "floor" if plain else node.word("nearest_mode", "round_prefer_floor")
        if not all(_repeats(places, rounded, own) for own in factor):
            raise NetworkError(
                f"{places!r} with {rounded!r} by {factor} does not repeat pixels; expected "
                "'asymmetric' with 'floor', or 'half_pixel' with rounding"
            )
        return [t.add(node, Upsample(factor, t.name(node)), view)]
    if mode in ("linear", "bilinear") and places in ("half_pixel", "pytorch_half_pixel"):
        return [_linear(t, node, view, factor)]
    raise NetworkError(
        f"it is {mode!r} with {places!r}; expected 'nearest', or 'linear' with 'half_pixel'"
    )


def _repeats(places: str, rounded: str, factor: int) -> bool:
    """Tell whether every pixel becomes `factor` of its own."""
    place, whole = PLACES.get(places), ROUNDED.get(rounded)
    if factor == 1:
        return True
    return bool(place and whole) and all(
        whole(place(x, factor)) == x // factor  # type: ignore[misc]  # neither is None
        for x in range(2 * factor)
    )


def _linear(t: Translation, node: Node, view: View, factor: Pair) -> View:
    """Interpolate between pixels' centres, with averages of pixels that were repeated.

    Of a map enlarged by u, the average over u neighbours, and of two of these, is the linear
    interpolation; for an odd u the first alone. At borders windows that are clipped to the map
    average the border's pixel alone, which is what its repetition beyond the border would give.
    """
    even = [1 - own % 2 for own in factor]
    half = [own // 2 for own in factor]
    view = t.add(node, Upsample(factor, t.name(node, part="repeated")), view)
    edges = (half[0], half[0], half[1], half[1])
    part = "averaged" if any(even) else ""
    view = t.add(node, Pool(factor, 1, edges, "avg", t.name(node, part=part)), view)
    if any(even):
        window = [1 + own for own in even]
        view = t.add(node, Pool(window, 1, 0, "avg", t.name(node)), view)
    return view


def _factors(t: Translation, node: Node, view: View) -> Pair:
    """Return the factors of rows and columns, which are whole."""
    old = node.op == "Upsample" or t.model.opset < 11
    scales = t.constant(node, 1 if old else 2, "scales")
    sizes = None if old else t.constant(node, 3, "sizes")
    axes = node.integers("axes") or [0, 1, 2, 3]
    axes = [view.axis(axis) for axis in axes]
    if sizes is not None and sizes.size:
        wanted = dict(zip(axes, whole_numbers(sizes, "sizes"), strict=False))
        now = view.shape[:2] + t.size_of(view)
        found = {axis: Fraction(wanted[axis], now[axis] or 1) for axis in wanted}
    else:
        given = node.attributes.get("scales") if scales is None else scales.ravel().tolist()
        if not isinstance(given, tuple | list) or len(given) != len(axes):
            raise NetworkError(f"its scales are {given!r:.80}; expected one for each axis")
        if not all(isinstance(own, int | float) and 0 < own < LARGEST_NUMBER for own in given):
            raise NetworkError(f"its scales are {given!r:.80}; expected whole factors")
        found = {axis: Fraction(float(own)) for axis, own in zip(axes, given, strict=True)}
    batch, channels, rows, columns = (found.get(axis, Fraction(1)) for axis in range(4))
    factors = [round(own) for own in (rows, columns)]
    exact = all(
        abs(own - whole) < Fraction(1, 10**5)
        for own, whole in zip((rows, columns), factors, strict=True)
    )
    if batch != 1 or channels != 1 or not exact or not 1 <= min(factors) <= max(factors) <= MOST:
        shown = [float(own) for own in (batch, channels, rows, columns)]
        raise NetworkError(f"it resizes by {shown}; expected rows and columns by whole factors")
    return factors[0], factors[1]


RESIZING = {"Resize": resize, "Upsample": resize}

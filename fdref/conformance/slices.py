"""The report's pictures: what is expected, what was got, and the difference, pixel by pixel."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from fdref.conformance.comparison import beyond

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.conformance.comparison import Difference, Verdict

    Values = NDArray[np.float64]
    Colours = NDArray[np.uint8]

NOT_A_NUMBER, INFINITE = (194, 24, 131), (240, 150, 0)
"""Colours of what lies on no scale."""

LOW, ZERO, HIGH = (24, 86, 178), (247, 247, 245), (190, 32, 26)
"""Colours of a difference: less than expected, equal, more."""

LARGEST = 512
"""Pixels of a side; of larger pictures the part around the worst pixel is shown."""


@dataclass(frozen=True)
class Picture:
    """A slice of an output in colours (height, width, 3), and what they mean."""

    title: str
    colours: Colours
    scale: str

    def png(self) -> bytes:
        """Return the picture as a PNG file, the same bytes each time."""
        file = BytesIO()
        Image.fromarray(self.colours).save(file, "png", compress_level=9)
        return file.getvalue()


def pictures(verdict: Verdict, difference: Difference) -> tuple[Picture, ...]:
    """Draw the slice with the worst value: expected, got, difference.

    Where the difference is white, values are within the tolerance. There are no pictures where
    shapes differ, and none of a single pixel.
    """
    expected = np.asarray(verdict.case.expected[difference.output], np.float64)
    if difference.numbers is None or expected.ndim < 2:
        return ()
    with np.errstate(all="ignore"):
        got = np.asarray(verdict.got[difference.output]).astype(np.float64).reshape(expected.shape)
        *place, row, column = difference.numbers.index
        rows, columns = _around(row, expected.shape[-2]), _around(column, expected.shape[-1])
        right, found = (values[tuple(place)][rows, columns] for values in (expected, got))
        error = np.where(
            beyond(right, found, verdict.case.tolerance.of(difference.output)), found - right, 0
        )
    if right.size == 1:
        return ()
    low, high = _range(right)
    most = max(map(abs, _range(error)))
    grey = f"black {low:.4g}, white {high:.4g}"
    return (
        Picture("expected", _greys(right, low, high), grey),
        Picture("got", _greys(found, low, high), grey),
        Picture("difference", _diverging(error, most), _scale(error, most)),
    )


def _scale(error: Values, most: float) -> str:
    """Say what the colours of a difference mean."""
    scale = f"blue {-most:.3g}, red {most:.3g}" if most else "white: near enough"
    return scale if np.isfinite(error).all() else f"{scale}, purple and orange: not finite"


def _around(place: int, size: int) -> slice:
    start = min(max(0, place - LARGEST // 2), max(0, size - LARGEST))
    return slice(start, min(size, start + LARGEST))


def _range(values: Values) -> tuple[float, float]:
    """Return the least and the largest of the finite values."""
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def _greys(values: Values, low: float, high: float) -> Colours:
    """Colour values from black to white; what lies beyond is black or white as well."""
    span = high / 2 - low / 2  # the difference may overflow
    with np.errstate(all="ignore"):
        share = (values / 2 - low / 2) / span if span else np.full(values.shape, 0.5)
    shade = np.clip(np.nan_to_num(share, nan=0.5), 0, 1) * 255
    return _marked(values, np.repeat(shade[..., None], 3, axis=-1))


def _diverging(values: Values, most: float) -> Colours:
    """Colour values from blue through white to red; even a small one is seen to be one."""
    with np.errstate(all="ignore"):
        share = np.clip(np.nan_to_num(values / most), -1, 1) if most else np.zeros(values.shape)
    strength = np.where(share == 0, 0, 0.15 + 0.85 * np.abs(share))[..., None]
    end = np.where(share[..., None] < 0, LOW, HIGH)
    return _marked(values, np.array(ZERO) * (1 - strength) + end * strength)


def _marked(values: Values, colours: NDArray[Any]) -> Colours:
    """Mark what is no finite number."""
    marked: Colours = np.rint(colours).astype(np.uint8)
    marked[np.isnan(values)] = NOT_A_NUMBER
    marked[np.isinf(values)] = INFINITE
    return marked

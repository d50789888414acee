"""Shades and colours of signed numbers: zero stands in the middle, x and -x as far from it."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from fdref.arrays import Array

    Shades = NDArray[np.uint8]

Cmap = Literal["grey", "diverging"]

CMAPS: tuple[Cmap, ...] = ("grey", "diverging")
"""Black to white; blue to orange, whose lightness tells how far from zero, and whose hue the sign.

Blue and orange are told apart by whoever does not see red, or green, as others do.
"""

ZERO = 128
"""The shade of zero; a number's is 127 times its share of the scale away."""

WHITE, DARK = 0.97, 0.45
"""Lightness (OKLab's) of zero and of the largest magnitude."""

BLUE, ORANGE, CHROMA, FULL = 255.0, 50.0, 0.12, 0.8
"""Hues in degrees, their chroma, and the share of the scale from which on they have all of it."""


def shades_of(filters: Array, scale: float | None = None) -> Shades:
    """Turn numbers into shades from 1 to 255: zero is 128, and x as far from it as -x.

    Parameters
    ----------
    filters : array of any shape
        Finite numbers.
    scale : float, optional
        The magnitude that is shown as black or white, and all beyond it; the largest by default.

    Examples
    --------
    >>> shades_of(np.array([-2.0, 0, 1]))
    array([  1, 128, 192], dtype=uint8)
    >>> shades_of(np.array([-2.0, 0, 1]), scale=1)
    array([  1, 128, 255], dtype=uint8)
    """
    if scale is None:
        scale = np.abs(filters).max(initial=0)
    share = np.clip(filters / scale, -1, 1) if scale > 0 else np.zeros_like(filters)
    return np.rint(ZERO + 127 * share).astype(np.uint8)


def painted(filters: Array, scale: float | None = None, cmap: Cmap = "grey") -> Shades:
    """Turn a filter into the colour pictures that it makes.

    Parameters
    ----------
    filters : (C, h, w) array
        Finite numbers.
    scale : float, optional
        As `shades_of` takes it.
    cmap : "grey" or "diverging"

    Returns
    -------
    (P, h, w, 3) array of uint8
        Of three channels in grey, one picture, in which they are red, green and blue; else one for
        each channel.

    Examples
    --------
    >>> one = np.zeros((3, 5, 4))
    >>> painted(one).shape, painted(one, cmap="diverging").shape
    ((1, 5, 4, 3), (3, 5, 4, 3))
    """
    shades = shades_of(filters, scale)
    if len(filters) == 3 and cmap == "grey":
        return shades.transpose(1, 2, 0)[None]
    colours: Shades = table(cmap)[shades]
    return colours


@cache
def table(cmap: Cmap) -> Shades:
    """Return the colours of all shades, (256, 3), red, green and blue; not to be changed.

    >>> table("grey")[200].tolist(), table("diverging")[128].tolist()
    ([200, 200, 200], [245, 245, 245])
    """
    shade = np.arange(256)
    if cmap == "grey":
        colours = np.stack([shade] * 3, axis=1)
    else:
        share = np.maximum(shade - ZERO, -127) / 127
        far = np.abs(share)
        hue = np.deg2rad(np.where(share < 0, BLUE, ORANGE))
        chroma = CHROMA * np.sin(np.pi / 2 * np.minimum(1, far / FULL))
        light = WHITE + (DARK - WHITE) * far
        lab = np.stack([light, chroma * np.cos(hue), chroma * np.sin(hue)], axis=1)
        colours = np.rint(255 * _srgb(lab))
    found = colours.astype(np.uint8)
    found.flags.writeable = False
    return found


def _srgb(oklab: NDArray[Any]) -> NDArray[Any]:
    """Turn OKLab into sRGB from 0 to 1 (B. Ottosson, A perceptual color space, 2020)."""
    cones = oklab @ np.array(
        [
            [1, 1, 1],
            [0.3963377774, -0.1055613458, -0.0894841775],
            [0.2158037573, -0.0638541728, -1.2914855480],
        ]
    )
    linear = cones**3 @ np.array(
        [
            [4.0767416621, -1.2684380046, -0.0041960863],
            [-3.3077115913, 2.6097574011, -0.7034186147],
            [0.2309699292, -0.3413193965, 1.7076147010],
        ]
    )
    linear = np.clip(linear, 0, 1)
    curved = 1.055 * linear ** (1 / 2.4) - 0.055
    found: NDArray[Any] = np.where(linear <= 0.0031308, 12.92 * linear, curved)
    return found

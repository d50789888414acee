"""A layer's pictures as one image, and as files of their own where they are large.

A page of a small network keeps its numbers exactly: 8 bits each and a scale for each neuron,
without loss. Pictures of a large one would be hundreds of megabytes: it gets small ones for an
overview and large ones that are compressed with loss, and says so.
"""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from io import BytesIO
from math import ceil, sqrt
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from fdref.drawing.colours import painted
from fdref.drawing.grid import largest_of, side_by_side
from fdref.drawing.sizes import reduced
from fdref.engines.parallel import each

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from fdref.arrays import Array

    Shades = NDArray[np.uint8]
    """(h, w, 3): red, green and blue"""

Made = TypeVar("Made")

THUMBNAIL = 64
"""Pixels of the longer side up to which pictures of an overview are shown as they are."""
GAP = 1
"""Pixels between two pictures, or one would shine into the other on screens of odd sizes."""
NEUTRAL = 128
QUALITY = 60
"""Of WebP, 0 to 100, where there is a loss."""


@dataclass(frozen=True)
class Atlas:
    """Pictures of one size in rows, as one image.

    Attributes
    ----------
    data : bytes
        WebP.
    columns : int
    size : (height, width)
        Pixels of each picture; two neighbours are `GAP` pixels apart.
    """

    data: bytes
    columns: int
    size: tuple[int, int]


@dataclass(frozen=True)
class Files:
    """Pictures of one size, each as WebP, one after the other."""

    data: bytes
    ends: tuple[int, ...]
    size: tuple[int, int]


def shades(picture: Array, longest: int | None = None) -> Shades:
    """Return the colours of a picture (C, h, w) on its own contrast, made small enough.

    Its scale is that of the numbers, whatever of these the averages of small ones leave.
    """
    scale = largest_of(picture)
    return side_by_side(painted(fitted(picture, longest), scale))


def fitted(picture: Array, longest: int | None) -> Array:
    """Make a picture (C, h, w) small enough, if it is not."""
    height, width = picture.shape[1:]
    if longest is None or max(height, width) <= longest:
        return picture
    share = longest / max(height, width)
    return reduced(picture, max(1, round(share * height)), max(1, round(share * width)))


def largest(bank: Array) -> Array:
    """Return the number of every picture that is farthest from 0: black or white stands for it."""
    flat = bank.reshape(len(bank), -1)
    found: Array = np.take_along_axis(flat, np.abs(flat).argmax(axis=1)[:, None], 1)[:, 0]
    return found


def atlas(pictures: Sequence[Shades], *, exact: bool) -> Atlas:
    """Lay pictures of one size out in about a square."""
    columns = max(1, ceil(sqrt(len(pictures))))
    height, width = pictures[0].shape[:2]
    row, column = height + GAP, width + GAP
    rows = ceil(len(pictures) / columns)
    shape = (rows * row - GAP, columns * column - GAP, 3)
    page = np.full(shape, NEUTRAL, np.uint8)
    for k, picture in enumerate(pictures):
        top, left = k // columns * row, k % columns * column
        page[top : top + height, left : left + width] = picture
    return Atlas(webp(page, exact=exact), columns, (height, width))


def overview(bank: Array, *, exact: bool) -> Atlas:
    """Return an atlas of a bank; where it need not be exact, of pictures that are small enough."""
    longest = None if exact else THUMBNAIL
    return atlas(on_threads(lambda k: shades(bank[k], longest), len(bank)), exact=exact)


def files(bank: Array) -> Files:
    """Compress every picture by itself."""
    found = on_threads(lambda k: webp(shades(bank[k]), exact=False), len(bank))
    ends = np.cumsum([len(one) for one in found]).tolist()
    return Files(b"".join(found), tuple(ends), shades(bank[0]).shape[:2])


def on_threads(make: Callable[[int], Made], count: int) -> list[Made]:
    """Make something for each of so many pictures, on as many threads as there are."""
    found: dict[int, Made] = {}

    def keep(k: int) -> None:
        found[k] = make(k)

    each(keep, range(count))
    return [found[k] for k in range(count)]


def webp(page: Shades, *, exact: bool) -> bytes:
    """Write an image as WebP, of which every browser shows the same pixels."""
    file = BytesIO()
    # Without a loss, quality is effort: more of it saves one byte in fifty in three times the time.
    quality = 0 if exact else QUALITY
    Image.fromarray(page).save(file, "webp", lossless=exact, quality=quality, method=2)
    return file.getvalue()


def text_of(data: bytes) -> str:
    """Return bytes as text for a page."""
    return b64encode(data).decode()

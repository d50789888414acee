"""Images as a network is shown them: a set of one size, from 0 to 255, and what is no such set."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import ArgumentError, FileError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

CHUNK = 100
"""Images that are read at a time."""


class ImageSet:
    """Images in memory.

    Parameters
    ----------
    pixels : (N, C, H, W) array
        From 0 to 255.
    names : sequence of N str, optional
        Numbers from 0 by default.
    labels : (N,) array of int, optional
        Their classes.
    numbers : sequence of N int, optional
        Which they are of a larger set; counted from 0 by default.
    """

    notes: tuple[str, ...] = ()
    """what there is to be said about them"""

    def __init__(
        self,
        pixels: NDArray[Any],
        names: Sequence[str] | None = None,
        labels: NDArray[np.int64] | None = None,
        numbers: Sequence[int] | None = None,
    ) -> None:
        self._pixels = pixels
        self.shape: tuple[int, ...] = pixels.shape
        self.dtype = pixels.dtype
        self.numbers: Sequence[int] = range(len(pixels)) if numbers is None else tuple(numbers)
        self.names = tuple(map(str, range(len(pixels)))) if names is None else tuple(names)
        self.labels = labels

    def __len__(self) -> int:
        """Return how many."""
        return self.shape[0]

    def take(self, numbers: Sequence[int] | NDArray[np.intp]) -> NDArray[Any]:
        """Return the pixels (n, C, H, W) of some."""
        return self._pixels[np.asarray(numbers, np.intp)]

    def chunks(self, start: int = 0) -> Iterator[NDArray[Any]]:
        """Yield the pixels of all from a multiple of CHUNK on, some at a time."""
        for first in range(start, len(self), CHUNK):
            yield self.take(range(first, min(first + CHUNK, len(self))))

    def digest(self) -> str:
        """Return the SHA-256 of pixels, names and numbers."""
        told = f"{self.shape} {self.dtype.str} {self.names} {[*self.numbers]}"
        hashed = hashlib.sha256(told.encode())
        for chunk in self.chunks():
            hashed.update(np.ascontiguousarray(chunk).data)
        return hashed.hexdigest()

    def fingerprint(self) -> str:
        """Return what tells these from others, as far as that is known without reading files."""
        return self.digest()

    def only(self, numbers: Sequence[int]) -> ImageSet:
        """Return a set of some of the images, which is held in memory."""
        names = [self.names[n] for n in numbers]
        labels = None if self.labels is None else self.labels[list(numbers)]
        own = [self.numbers[n] for n in numbers]
        chosen = ImageSet(self.take(numbers), names, labels, own)
        chosen.notes = self.notes
        return chosen


def check_pixels(what: str, images: NDArray[Any], least: int) -> None:
    """Refuse what is no set of at least so many pictures.

    Raises
    ------
    ArgumentError
        For another dtype or shape, and for values that are no pixels from 0 to 255.
    """
    check_shape(what, images.shape, images.dtype, least)
    check_range(what, images)
    low, high = images.min(), images.max()
    if high <= 1 and images.dtype.kind == "f":
        raise from_0_to_1(what, low, high)


def check_shape(what: str, shape: tuple[int, ...], dtype: np.dtype[Any], least: int) -> None:
    """Refuse what cannot be at least so many pictures."""
    if dtype.kind not in "fiu":
        raise ArgumentError(f"{what} have dtype {dtype}; expected numbers")
    if len(shape) not in (3, 4):
        raise ArgumentError(f"{what} have shape {shape}; expected (N, H, W) or (N, C, H, W)")
    if shape[0] < least or 0 in shape:
        wanted = "one image" if least == 1 else "two images"
        raise ArgumentError(f"{what} have shape {shape}; expected at least {wanted}")


def check_range(what: str, images: NDArray[Any], first: int = 0) -> None:
    """Refuse values that are no pixels, in images of which the first has a number."""
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 255):  # NaN is neither
        bad = ~((images >= 0) & (images <= 255)).reshape(len(images), -1).all(axis=1)
        raise ArgumentError(
            f"{what} have values from {low} to {high}, first in image {first + bad.argmax()}; "
            "expected pixels from 0 to 255"
        )


def from_0_to_1(what: str, low: object, high: object) -> ArgumentError:
    """Say what is wrong with pixels of another unit."""
    return ArgumentError(
        f"{what} have values from {low} to {high}; expected pixels from 0 to 255, "
        "not from 0 to 1: multiply them by 255"
    )


def chosen(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Return which array of an archive holds images.

    Raises
    ------
    FileError
        If that cannot be told.
    """
    if "images" in shapes:
        return "images"
    several = [name for name, shape in shapes.items() if len(shape) in (3, 4)]
    if len(several) == 1:
        return several[0]
    listed = ", ".join(f"`{name}` {shape}" for name, shape in shapes.items()) or "none"
    raise FileError(
        f"{path} has no array `images`, and {len(several)} with three or four axes; expected one "
        f"of them: call it `images`; its arrays are {listed}"
    )

"""Images that somebody has: arrays in a .npz or .npy file, or pictures, one or a folder of them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from fdref.errors import ArgumentError, FileError
from fdref.weights import pictures
from fdref.weights.bounded import Budget, contents
from fdref.weights.files import refusal
from fdref.weights.mnist import mnist
from fdref.weights.npz import array_of, arrays_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from fdref.weights.pictures import Colours

EXPECTED = (
    "a .npz or .npy file of images (N, H, W) or (N, C, H, W) from 0 to 255, a picture, or a folder "
    "of pictures (PNG, JPEG)"
)
ARRAYS = (".npz", ".npy")
MNIST = ("train-images-idx3-ubyte", "train-images-idx3-ubyte.gz")
HELD = 2**28
"""Bytes of pixels up to which pictures are kept; those of more are read again when needed."""
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

    def chunks(self) -> Iterator[NDArray[Any]]:
        """Yield the pixels of all, some at a time."""
        for first in range(0, len(self), CHUNK):
            yield self.take(range(first, min(first + CHUNK, len(self))))

    def digest(self) -> str:
        """Return the SHA-256 of pixels, names and numbers."""
        told = f"{self.shape} {self.dtype.str} {self.names} {[*self.numbers]}"
        hashed = hashlib.sha256(told.encode())
        for chunk in self.chunks():
            hashed.update(np.ascontiguousarray(chunk).data)
        return hashed.hexdigest()

    def only(self, numbers: Sequence[int]) -> ImageSet:
        """Return a set of some of the images, which is held in memory."""
        names = [self.names[n] for n in numbers]
        labels = None if self.labels is None else self.labels[list(numbers)]
        own = [self.numbers[n] for n in numbers]
        chosen = ImageSet(self.take(numbers), names, labels, own)
        chosen.notes = self.notes
        return chosen


class Pictures(ImageSet):
    """Picture files of one size, all of which are read once, to see that they can be.

    Parameters
    ----------
    files : sequence of Path
    channels : int
        1 for grey, 3 for colour.
    colours : "rgb" or "bgr"
    progress : callable, optional
        Called after each picture with 1.

    Raises
    ------
    FileError
        If one cannot be read, or is of another size than the first.
    """

    def __init__(
        self,
        files: Sequence[Path],
        channels: int,
        colours: Colours = "rgb",
        progress: Callable[[int], object] | None = None,
    ) -> None:
        self.files, self.channels, self.colours = files, channels, colours
        first = self._read(0).pixels
        self.shape, self.dtype = (len(files), *first.shape), first.dtype
        self.names, self.labels = tuple(file.name for file in files), None
        self.numbers = range(len(files))
        kept, clear = [], []
        for number, file in enumerate(files):
            pixels, transparent = self._read(number)
            if transparent:
                clear.append(file.name)
            if self.shape[0] * first.nbytes <= HELD:
                kept.append(pixels)
            if progress is not None:
                progress(1)
        self._held = np.stack(kept) if kept else None
        if clear:
            more = f" and {len(clear) - 1} more" if len(clear) > 1 else ""
            self.notes = (f"{clear[0]}{more}: what is transparent lies over black",)

    def take(self, numbers: Sequence[int] | NDArray[np.intp]) -> NDArray[Any]:
        """Return the pixels (n, C, H, W) of some, read again where they were too many to keep."""
        if self._held is not None:
            return self._held[np.asarray(numbers, np.intp)]
        found = [self._read(int(n)).pixels for n in numbers]
        return np.stack(found) if found else np.zeros((0, *self.shape[1:]), self.dtype)

    def _read(self, number: int) -> pictures.Read:
        """Read one, and see that it is of the first one's size."""
        file = self.files[number]
        found = pictures.picture(file, self.channels, self.colours)
        shape = getattr(self, "shape", (0, *found.pixels.shape))[1:]
        if found.pixels.shape != shape:
            one, all_ = (f"{size[2]}x{size[1]}" for size in (found.pixels.shape, shape))
            problem = f"is {one} pixels, {self.files[0].name} is {all_}"
            remedy = "expected all of one size: resize or cut them, or name one picture"
            raise refusal(f"{file}", f"{problem}; {remedy}")
        return found


def images_in(
    path: Path,
    channels: int,
    colours: Colours = "rgb",
    progress: Callable[[int, int], object] | None = None,
) -> ImageSet:
    """Read the images that a file or a folder holds.

    Parameters
    ----------
    path : Path
        A .npz file: its array `images`, else the only one with three or four axes; `names` and
        `labels` are taken from arrays that are called so. A .npy file. A picture, PNG or JPEG. A
        folder: all pictures in it, sorted by name (what else lies in it is left alone), or MNIST's
        IDX files, the training images first.
    channels : int
        That the network takes: 1 makes pictures grey, 3 coloured. Arrays must have them.
    colours : "rgb" or "bgr"
        The order that the network takes; arrays have it already.
    progress : callable, optional
        Called after each picture with 1 and how many there are.

    Raises
    ------
    FileError
        If there are none, or one is damaged, too large, or of another size than the others.
    ArgumentError
        If arrays are no images.
    """
    if path.is_dir():
        return _in_folder(path, channels, colours, progress)
    kind = path.suffix.lower()
    if kind in pictures.SUFFIXES:
        _check_channels(path, channels)
        return Pictures([path], channels, colours)
    if kind not in ARRAYS and path.exists():
        raise FileError(f"{path} ends in {kind or 'nothing'}; expected {EXPECTED}")
    data = contents(path, EXPECTED)
    if kind == ".npy":
        pixels = array_of(data, f"{path}", Budget())
        return _of_arrays(f"{path}", f"{path}: the images", pixels, {})
    return _in_archive(path, data)


def _in_folder(
    folder: Path, channels: int, colours: Colours, progress: Callable[[int, int], object] | None
) -> ImageSet:
    """Read all pictures in a folder, or MNIST."""
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        raise refusal(f"{folder}", f"cannot be read: {error.strerror}") from error
    wanted = [
        folder / name
        for name in names
        if name.lower().endswith(pictures.SUFFIXES) and not name.startswith(".")
    ]
    if not wanted and any(name in names for name in MNIST):
        parts = mnist(folder)
        pixels, labels = (np.concatenate(both) for both in zip(*parts, strict=True))
        known = [f"{part} {n}" for part, own in parts._asdict().items() for n in range(len(own[0]))]
        return ImageSet(pixels[:, None], known, labels.astype(np.int64))
    if not wanted:
        others = f" among its {len(names)} entries" if names else ""
        raise refusal(f"{folder}", f"has no pictures{others}; expected files *.png or *.jpg")
    _check_channels(folder, channels)
    told = None if progress is None else lambda done: progress(done, len(wanted))
    return Pictures(wanted, channels, colours, told)


def _check_channels(path: Path, channels: int) -> None:
    """Refuse pictures where a network takes something else."""
    if channels not in pictures.MODES:
        raise ArgumentError(
            f"{path}: the network takes {channels} channels, a picture has 1 or 3; give it a .npz "
            f"file of images (N, {channels}, H, W)"
        )


class Chosen(NamedTuple):
    """Which array of an archive is meant."""

    name: str
    pixels: NDArray[Any]


def _in_archive(path: Path, data: bytes) -> ImageSet:
    """Choose the array that holds images, and those that tell about them."""
    arrays = arrays_of(data, f"{path}", Budget())
    name, pixels = _chosen(path, arrays)
    return _of_arrays(f"{path}", f"{path}: `{name}`", pixels, arrays)


def _chosen(path: Path, arrays: dict[str, NDArray[Any]]) -> Chosen:
    if "images" in arrays:
        return Chosen("images", arrays["images"])
    several = [name for name, array in arrays.items() if array.ndim in (3, 4)]
    if len(several) == 1:
        return Chosen(several[0], arrays[several[0]])
    listed = ", ".join(f"`{name}` {array.shape}" for name, array in arrays.items()) or "none"
    raise FileError(
        f"{path} has no array `images`, and {len(several)} with three or four axes; expected one "
        f"of them: call it `images`; its arrays are {listed}"
    )


def _of_arrays(
    path: str, what: str, pixels: NDArray[Any], beside: dict[str, NDArray[Any]]
) -> ImageSet:
    """Check what stands in a file."""
    check_pixels(what, pixels, 1)
    count = len(pixels)
    names, labels = beside.get("names"), beside.get("labels")
    if names is not None and (names.shape != (count,) or names.dtype.kind != "U"):
        raise ArgumentError(
            f"{path}: `names` are {names.dtype} {names.shape}; expected text ({count},), one for "
            "each image"
        )
    if labels is not None and (labels.shape != (count,) or labels.dtype.kind not in "iu"):
        raise ArgumentError(
            f"{path}: `labels` are {labels.dtype} {labels.shape}; expected whole numbers "
            f"({count},), the class of each image"
        )
    return ImageSet(
        pixels[:, None] if pixels.ndim == 3 else pixels,
        None if names is None else names.tolist(),
        None if labels is None else labels.astype(np.int64),
    )


def check_pixels(what: str, images: NDArray[Any], least: int) -> None:
    """Refuse what is no set of at least so many pictures.

    Raises
    ------
    ArgumentError
        For another dtype or shape, and for values that are no pixels from 0 to 255.
    """
    if images.dtype.kind not in "fiu":
        raise ArgumentError(f"{what} have dtype {images.dtype}; expected numbers")
    if images.ndim not in (3, 4):
        raise ArgumentError(f"{what} have shape {images.shape}; expected (N, H, W) or (N, C, H, W)")
    if len(images) < least or not images.size:
        wanted = "one image" if least == 1 else "two images"
        raise ArgumentError(f"{what} have shape {images.shape}; expected at least {wanted}")
    low, high = images.min(), images.max()
    if not (low >= 0 and high <= 255):  # NaN is neither
        bad = ~((images >= 0) & (images <= 255)).reshape(len(images), -1).all(axis=1)
        raise ArgumentError(
            f"{what} have values from {low} to {high}, first in image {bad.argmax()}; "
            "expected pixels from 0 to 255"
        )
    if high <= 1 and images.dtype.kind == "f":
        raise ArgumentError(
            f"{what} have values from {low} to {high}; expected pixels from 0 to 255, "
            "not from 0 to 1: multiply them by 255"
        )

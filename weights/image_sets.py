"""Images that somebody has: arrays in a .npz or .npy file, or pictures, one or a folder of them."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import ArgumentError, FileError
from fdref.weights import pictures
from fdref.weights.bounded import Budget, contents
from fdref.weights.files import refusal, told_of
from fdref.weights.mnist import mnist
from fdref.weights.npz import array_of, arrays_of
from fdref.weights.pixels import ImageSet, check_pixels, chosen
from fdref.weights.streams import read_once

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
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
    once : bool
        They will be gone through once: none but the first is read before, nor is any kept.

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
        *,
        once: bool = False,
    ) -> None:
        self.files, self.channels, self.colours = files, channels, colours
        first = self._read(0).pixels
        self.shape, self.dtype = (len(files), *first.shape), first.dtype
        self.names, self.labels = tuple(file.name for file in files), None
        self.numbers = range(len(files))
        kept, clear = [], []
        for number, file in enumerate(() if once else files):
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

    def fingerprint(self) -> str:
        """Return a hash of the files' names, sizes and times, and of what is read from them."""
        hashed = hashlib.sha256(f"{self.shape} {self.channels} {self.colours}".encode())
        for file in self.files:
            hashed.update(told_of(file).encode("utf-8", "surrogateescape"))
        return hashed.hexdigest()

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
    *,
    once: bool = False,
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
    once : bool
        They will be gone through once: however many there are, a few are in memory at a time, but
        for MNIST's, and arrays whose first axis changes fastest. Names and labels are not read.

    Raises
    ------
    FileError
        If there are none, or one is damaged, too large, or of another size than the others.
    ArgumentError
        If arrays are no images.
    """
    if path.is_dir():
        return _in_folder(path, channels, colours, progress, once=once)
    kind = path.suffix.lower()
    if kind in pictures.SUFFIXES:
        _check_channels(path, channels)
        return Pictures([path], channels, colours)
    if kind not in ARRAYS and path.exists():
        raise FileError(f"{path} ends in {kind or 'nothing'}; expected {EXPECTED}")
    if once:
        found = read_once(path)
        if found is not None:
            return found
    data = contents(path, EXPECTED)
    if kind == ".npy":
        pixels = array_of(data, f"{path}", Budget())
        return _of_arrays(f"{path}", f"{path}: the images", pixels, {})
    return _in_archive(path, data)


def _in_folder(
    folder: Path,
    channels: int,
    colours: Colours,
    progress: Callable[[int, int], object] | None,
    *,
    once: bool,
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
    return Pictures(wanted, channels, colours, told, once=once)


def _check_channels(path: Path, channels: int) -> None:
    """Refuse pictures where a network takes something else."""
    if channels not in pictures.MODES:
        raise ArgumentError(
            f"{path}: the network takes {channels} channels, a picture has 1 or 3; give it a .npz "
            f"file of images (N, {channels}, H, W)"
        )


def _in_archive(path: Path, data: bytes) -> ImageSet:
    """Choose the array that holds images, and those that tell about them."""
    arrays = arrays_of(data, f"{path}", Budget())
    name = chosen(path, {name: array.shape for name, array in arrays.items()})
    return _of_arrays(f"{path}", f"{path}: `{name}`", arrays[name], arrays)


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

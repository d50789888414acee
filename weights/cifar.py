"""CIFAR-10 from JPEGs, in an archive or in folders, or from its binary batches."""

from __future__ import annotations

import io
import re
import warnings
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.arguments import callback, path_of
from fdref.weights import tarred
from fdref.weights.bounded import contents
from fdref.weights.files import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from os import PathLike
    from pathlib import Path

    from numpy.typing import NDArray

CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
SIDE = 32
PIXELS = 3 * SIDE * SIDE
EACH = {"train": 5_000, "test": 1_000}
"""Images of each class."""
BATCHES = {**{f"data_batch_{n}.bin": "train" for n in range(1, 6)}, "test_batch.bin": "test"}
"""The binary version's files, in which every image follows its label."""
IN_A_BATCH = 10_000

PICTURE = re.compile(r"(?:.*/)?(train|test)/([^/]+)/([^/.][^/]*)\.(?i:jpe?g)", re.DOTALL)
BATCH = re.compile(r"(?:.*/)?(data_batch_[1-5]|test_batch)(\.bin)?", re.DOTALL)
LARGEST_PICTURE, LARGEST_BATCH, LARGEST_ARCHIVE = 2**16, 2**25, 2**29
"""Bytes; JPEGs with all that editors write into them, batches of the other versions, too."""
EXPECTED = (
    "train/CLASS/*.jpg and test/CLASS/*.jpg or CIFAR-10's binary batches (data_batch_1.bin to "
    "test_batch.bin), in a folder or a .tar, .tar.gz or .tar.xz"
)
FAULTS = (OSError, SyntaxError, ValueError, ArithmeticError, LookupError, Warning)
"""What Pillow raises over damaged files, and over claims that are too large."""


class Photos(NamedTuple):
    """Images (N, 3, 32, 32) of uint8, red, green and blue, and labels (N,) of uint8."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class Cifar(NamedTuple):
    """The training set, the test set, and what they are: "CIFAR-10" or "CIFAR-10 (JPEG)"."""

    train: Photos
    test: Photos
    version: str


def cifar(path: str | PathLike[str], progress: Callable[[int], object] | None = None) -> Cifar:
    """Read CIFAR-10, which does not ship with the package.

    Parameters
    ----------
    path : file or folder
        JPEGs named ``train/CLASS/NAME.jpg`` and ``test/CLASS/NAME.jpg``, in a tar archive (plain,
        ``.gz`` or ``.xz``) or in a folder; or the six files of CIFAR-10's binary version, likewise.
        Archives are read in memory; nothing is unpacked.
    progress : callable, optional
        Called from time to time with how many of the 60,000 images have been read since.

    Returns
    -------
    Cifar
        ``.train`` and ``.test``, each with ``.images`` (N, 3, 32, 32) and ``.labels`` (N,), uint8:
        5,000 and 1,000 images of each class; ``.version``. JPEGs come class by class and by name,
        those of batches in their order.

    Raises
    ------
    FileError
        If something is missing, damaged, too much or of another size, or no regular file; if an
        archive holds links.
    DependencyError
        If this Python cannot unpack xz.

    Examples
    --------
    >>> import fdref
    >>> fdref.cifar("nowhere.tar.xz")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
        ...
    fdref.errors.FileError: nowhere.tar.xz cannot be read, expected train/CLASS/*.jpg ...
    """
    place = path_of(path, "path")
    callback(progress, "progress")
    found = _Found(f"{place}", progress)
    if place.is_dir():
        files = _in_folder(place)
    else:
        files = tarred.members(contents(place, EXPECTED, LARGEST_ARCHIVE), f"{place}", _most)
    for name, data in files:
        found.add(name, data)
    return found.whole()


def _most(name: str) -> int | None:
    """Return how many bytes a file may have that is wanted."""
    if PICTURE.fullmatch(name):
        return LARGEST_PICTURE
    return LARGEST_BATCH if BATCH.fullmatch(name) else None


def _in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the names, from the folder on, and contents of the files that are wanted."""
    try:
        names = [f"{file.relative_to(folder).as_posix()}" for file in _wanted_in(folder)]
    except OSError as error:
        problem = f"cannot be read, expected {EXPECTED}: {error.strerror or error}"
        raise refusal(f"{folder}", problem) from error
    for name in names:
        most = _most(name)
        if most is not None:
            yield name, contents(folder / name, "an image or a batch of CIFAR-10", most)


def _wanted_in(folder: Path) -> Iterable[Path]:
    """List files three folders deep: train/CLASS/NAME.jpg, or those beside each other."""
    yield from sorted(file for file in folder.iterdir() if not file.is_dir())
    for part in EACH:
        if (folder / part).is_dir():
            for named in sorted(place for place in (folder / part).iterdir() if place.is_dir()):
                yield from sorted(named.iterdir())


@dataclass
class _Found:
    """Images, as they come."""

    source: str
    progress: Callable[[int], object] | None
    pictures: dict[tuple[str, int, str], NDArray[np.uint8]] = field(default_factory=dict)
    batches: dict[str, NDArray[np.uint8]] = field(default_factory=dict)

    def add(self, name: str, data: bytes) -> None:
        """Take the contents of a file."""
        place = f"{self.source}: {name}"
        picture, batch = PICTURE.fullmatch(name), BATCH.fullmatch(name)
        if picture is not None:
            self._add_picture(picture, data, place)
        elif batch is not None:
            self._add_batch(batch, data, place)
        if self.progress is not None:
            self.progress(1 if picture else IN_A_BATCH)

    def _add_picture(self, named: re.Match[str], data: bytes, place: str) -> None:
        part, label, stem = named.groups()
        if label not in CLASSES:
            raise refusal(place, f"is of no class of CIFAR-10, expected {', '.join(CLASSES)}")
        key = part, CLASSES.index(label), stem
        if key in self.pictures:
            raise refusal(place, "is there more than once, expected one")
        most = len(CLASSES) * sum(EACH.values())
        if len(self.pictures) == most:
            raise refusal(place, f"is one more image than CIFAR-10's {most}")
        self.pictures[key] = _pixels(data, place)

    def _add_batch(self, named: re.Match[str], data: bytes, place: str) -> None:
        name = f"{named[1]}.bin"
        if not named[2]:
            problem = "is of CIFAR-10's Python version, whose files are programs"
            raise refusal(place, f"{problem}: fetch the binary version (.bin)")
        if name in self.batches:
            raise refusal(place, "is there more than once, expected one")
        self.batches[name] = _records(data, place)

    def whole(self) -> Cifar:
        """Put everything together, once it is found to be all."""
        if self.pictures and self.batches:
            raise refusal(self.source, "has JPEGs and binary batches, expected one of them")
        if self.batches:
            return self._of_batches()
        if not self.pictures:
            raise refusal(self.source, f"has no images that we know, expected {EXPECTED}")
        for part in EACH:
            self._check_count(part, [label for own, label, _ in self.pictures if own == part])
        train, test = map(self._of_pictures, EACH)
        return Cifar(train, test, "CIFAR-10 (JPEG)")

    def _of_pictures(self, part: str) -> Photos:
        keys = sorted(key for key in self.pictures if key[0] == part)
        labels = np.array([label for _, label, _ in keys], np.uint8)
        return Photos(np.stack([self.pictures[key] for key in keys]), labels)

    def _of_batches(self) -> Cifar:
        missing = [name for name in BATCHES if name not in self.batches]
        if missing:
            raise refusal(self.source, f"lacks {', '.join(missing)}: fetch it again")
        train, test = map(self._of_records, EACH)
        return Cifar(train, test, "CIFAR-10")

    def _of_records(self, part: str) -> Photos:
        records = np.concatenate([self.batches[n] for n in BATCHES if BATCHES[n] == part])
        labels = records[:, 0].copy()
        self._check_count(part, labels.tolist())
        return Photos(records[:, 1:].reshape(-1, 3, SIDE, SIDE), labels)

    def _check_count(self, part: str, labels: Sequence[int]) -> None:
        counts = Counter(labels)
        for label, name in enumerate(CLASSES):
            if counts[label] != EACH[part]:
                problem = f"has {counts[label]} images of {part}/{name}, expected {EACH[part]}"
                raise refusal(self.source, f"{problem}: fetch it again")


def _pixels(data: bytes, place: str) -> NDArray[np.uint8]:
    """Read a JPEG of CIFAR-10's size."""
    from PIL import Image  # noqa: PLC0415 - takes its time

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # over claims that are odd, or too large
            with Image.open(io.BytesIO(data), formats=["JPEG"]) as picture:
                kind = picture.mode, *picture.size  # told before any pixel is unpacked
                if kind == ("RGB", SIDE, SIDE):
                    return np.ascontiguousarray(np.asarray(picture).transpose(2, 0, 1))
    except (Image.DecompressionBombError, *FAULTS) as error:
        raise refusal(place, f"is no JPEG, or damaged: fetch it again ({error})") from error
    raise refusal(place, f"is {kind[1]}x{kind[2]} {kind[0]}, expected {SIDE}x{SIDE} RGB")


def _records(data: bytes, place: str) -> NDArray[np.uint8]:
    """Read a binary batch: of each image its label, then the planes of red, green and blue."""
    if len(data) != IN_A_BATCH * (1 + PIXELS):
        problem = f"has {len(data)} bytes, expected {IN_A_BATCH * (1 + PIXELS)}"
        raise refusal(place, f"{problem}: fetch it again")
    records = np.frombuffer(data, np.uint8).reshape(IN_A_BATCH, 1 + PIXELS)
    if records[:, 0].max() >= len(CLASSES):
        problem = f"has the label {records[:, 0].max()}, expected 0 to {len(CLASSES) - 1}"
        raise refusal(place, f"{problem}: fetch it again")
    return records

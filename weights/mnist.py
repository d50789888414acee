"""MNIST from its IDX files, and the sample of it that ships with the package."""

from __future__ import annotations

import gzip
import hashlib
import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fdref.arguments import path_of
from fdref.errors import FileError
from fdref.weights.bounded import contents

if TYPE_CHECKING:
    from os import PathLike

    from numpy.typing import NDArray

SIDE = 28
SLACK = 2**20
"""Bytes that a small file may have beyond what is in it."""
IMAGES_MAGIC, LABELS_MAGIC = 2051, 2049

FILES = {
    "train-images-idx3-ubyte": (60_000, "6bbc9ace898e44ae57da46a324031adb"),
    "train-labels-idx1-ubyte": (60_000, "a25bea736e30d166cdddb491f175f624"),
    "t10k-images-idx3-ubyte": (10_000, "2646ac647ad5339dbf082846283269ea"),
    "t10k-labels-idx1-ubyte": (10_000, "27ae3e4e09519cfbb04c329615203637"),
    "sample-images-idx3-ubyte": (1_000, "658261784893cf2e575eb5cacabde307"),
    "sample-labels-idx1-ubyte": (1_000, "db8c854d9dc5446a4792347cd2d85006"),
}
"""Name: how many, and the MD5 of the unpacked file."""


class Digits(NamedTuple):
    """Images (N, 28, 28) of uint8, 0 the background and 255 the ink, and labels (N,) of uint8."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


class Mnist(NamedTuple):
    """The training set and the test set."""

    train: Digits
    test: Digits


def mnist(path: str | PathLike[str] | None = None) -> Mnist:
    """Read MNIST.

    Parameters
    ----------
    path : folder, optional
        With the four files ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``,
        ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``, each as it is or gzipped
        (``.gz``). Without it: the sample that ships with the package, the first 100 test images of
        each class in the test set's order, and an empty training set.

    Returns
    -------
    Mnist
        ``.train`` and ``.test``, each with ``.images`` (N, 28, 28) and ``.labels`` (N,), uint8.

    Raises
    ------
    FileError
        If a file is missing, damaged, or not MNIST's own (magic number, count, MD5 of the content).

    Examples
    --------
    >>> digits = mnist().test
    >>> digits.images.shape, digits.images.dtype.name, digits.labels[:5].tolist()
    ((1000, 28, 28), 'uint8', [7, 2, 1, 0, 4])
    """
    if path is None:
        sample = _read_digits(Path(__file__).parent, "sample")
        return Mnist(Digits(sample.images[:0], sample.labels[:0]), sample)
    folder = path_of(path, "path")
    return Mnist(_read_digits(folder, "train"), _read_digits(folder, "t10k"))


def _read_digits(folder: Path, part: str) -> Digits:
    images = _read(folder, f"{part}-images-idx3-ubyte", IMAGES_MAGIC, (SIDE, SIDE))
    return Digits(images, _read(folder, f"{part}-labels-idx1-ubyte", LABELS_MAGIC, ()))


def _read(folder: Path, name: str, magic: int, item: tuple[int, ...]) -> NDArray[np.uint8]:
    """Read one IDX file: a big-endian magic number and the sizes of its axes, then the bytes."""
    count, digest = FILES[name]
    shape = (count, *item)
    header = struct.pack(f">{1 + len(shape)}i", magic, *shape)
    size = len(header) + int(np.prod(shape))
    path, content = _content(folder, name, size)
    if content[: len(header)] != header:
        found = struct.unpack(f">{len(content[:16]) // 4}i", content[: len(content[:16]) // 4 * 4])
        raise FileError(
            f"{path} starts with the numbers {list(found[: 1 + len(shape)])}; "
            f"expected {[magic, *shape]}, magic number and sizes of MNIST's {name}"
        )
    if len(content) != size:
        raise FileError(
            f"{path} unpacks to {'more than ' * (len(content) > size)}"
            f"{min(len(content), size)} bytes; expected {size}: copy or download it again"
        )
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != digest:
        raise FileError(
            f"{path} is not MNIST's {name}: its content has another MD5 than {digest}; copy or "
            "download it again"
        )
    return np.frombuffer(content, np.uint8, offset=len(header)).reshape(shape).copy()


def _content(folder: Path, name: str, size: int) -> tuple[Path, bytes]:
    """Return the file's path and unpacked content, of which at most one byte too many."""
    plain, packed = folder / name, folder / f"{name}.gz"
    try:
        path = plain if plain.exists() else packed
        if not path.exists():
            raise FileError(
                f"{folder} has neither {name} nor {name}.gz; expected the four IDX files of MNIST"
            )
    except (OSError, ValueError) as error:  # such as a folder that must not be entered
        raise FileError(f"{plain} cannot be read: {error}; copy or download it again") from None
    data = contents(path, f"MNIST's {name}, plain or gzipped", 2 * size + SLACK)
    if path == plain:
        return path, data[: size + 1]
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return path, file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f"{path} cannot be read: {error}; copy or download it again") from None

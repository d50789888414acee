"""Mutants of archives of JPEGs: spoilt as they are packed, as tar files, or image by image."""

from __future__ import annotations

import gzip
import io
import lzma
import tarfile
from importlib import import_module
from typing import TYPE_CHECKING

import numpy as np
from fuzz.harness import Format
from fuzz.spoiling import damaged
from PIL import Image

import fdref

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

module = import_module("fdref.weights.cifar")  # `fdref.weights.cifar` is the function
EACH = {"train": 1, "test": 1}
HEADER = 512
PACKERS = {
    b"\x1f\x8b": (gzip.decompress, gzip.compress),
    b"\xfd7zXZ": (lzma.decompress, lzma.compress),
    b"": (bytes, bytes),
}
"""How a file is unpacked and packed again, by what it begins with."""


def archive(mode: str) -> bytes:
    """Pack a CIFAR-10 of one image of each class."""
    random, packed = np.random.default_rng(0), io.BytesIO()
    with tarfile.open(fileobj=packed, mode=mode) as tar:
        for part in EACH:
            for name in module.CLASSES:
                picture = io.BytesIO()
                pixels = random.integers(0, 256, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(picture, "JPEG")
                info = tarfile.TarInfo(f"{part}/{name}/0000.jpg")
                info.size = picture.tell()
                picture.seek(0)
                tar.addfile(info, picture)
    return packed.getvalue()


def mutate(data: bytes, random: Random) -> bytes:
    """Damage an archive, or what is in it, with checksums that are right again."""
    if random.random() < 0.3:
        return damaged(data, random)
    unpack, pack = next(both for mark, both in PACKERS.items() if data.startswith(mark))
    tar = bytearray(unpack(data))
    if random.random() < 0.3:
        return pack(damaged(bytes(tar), random))
    for _ in range(random.choice((1, 1, 3))):
        start = random.choice(
            [i for i in range(0, len(tar), HEADER) if tar[i + 257 : i + 262] == b"ustar"]
        )
        if random.random() < 0.5:
            tar[start + HEADER : start + 2 * HEADER] = damaged(
                bytes(tar[start + HEADER : start + 2 * HEADER]), random
            )
        else:
            header_mutant(tar, start, random)
    return pack(bytes(tar))


def header_mutant(tar: bytearray, start: int, random: Random) -> None:
    """Change a member's name, size or kind."""
    match random.randrange(4):
        case 0:
            name = random.choice(
                (b"train/cat/../../x.jpg", b"/etc/passwd", b"test/dog/0000.jpg", b"\xff")
            )
            tar[start : start + 100] = name.ljust(100, b"\0")
        case 1:
            size = random.choice(
                (b"77777777777\0", b"00000000000\0", b"\xff" * 12, b"\x80" + b"\xff" * 11)
            )
            tar[start + 124 : start + 136] = size
        case 2:
            tar[start + 156] = random.choice(b"0123456789xgLKSVDMN\0")
        case 3:
            at = start + random.randrange(HEADER)
            tar[at] = random.randrange(256)
    total = sum(tar[start : start + HEADER]) - sum(tar[start + 148 : start + 156]) + 8 * 32
    tar[start + 148 : start + 156] = b"%06o\0 " % total


def load(path: Path) -> str:
    """Read a mutant, and check that there is what there has to be."""
    module.EACH = EACH
    train, test, version = fdref.cifar(path)
    for images, labels in (train, test):
        assert (images.shape, images.dtype) == ((10, 3, 32, 32), np.uint8)
        assert labels.tolist() == [*range(10)]
    return version


def seeds() -> dict[str, bytes]:
    """Return whole files, packed in each way."""
    return {mode: archive(mode) for mode in ("w", "w:gz", "w:xz")}


FORMAT = Format("cifar", seeds, mutate, load, ".tar")

"""What worker processes are given in tests: they import this, and little else."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Dies:
    """Ends its process at the chunk with an image, and returns others' first numbers."""

    image: int

    def __call__(self, chunk):
        if chunk.first <= self.image < chunk.first + len(chunk.images):
            os._exit(3)
        return chunk.first


@dataclass(frozen=True)
class Total:
    """Adds up a chunk, by the weight of something large."""

    weight: bytes

    def __call__(self, chunk):
        return chunk.first, float(chunk.images.sum()) * len(self.weight)


@dataclass(frozen=True)
class DiesOnce:
    """Kills its process at each of some images, the first time; adds up other chunks."""

    folder: str
    images: tuple[int, ...]

    def __call__(self, chunk):
        for image in self.images:
            told = os.path.join(self.folder, f"{image}")  # noqa: PTH118
            inside = chunk.first <= image < chunk.first + len(chunk.images)
            if inside and not os.path.exists(told):  # noqa: PTH110
                with open(told, "w"):  # noqa: PTH123
                    os.kill(os.getpid(), signal.SIGKILL)
        return chunk.first, float(chunk.images.sum())


@dataclass(frozen=True)
class Raises:
    """Raises something."""

    error: type[Exception]

    def __call__(self, chunk):
        raise self.error("as asked\nfor")


@dataclass(frozen=True)
class Sleeps:
    """Takes its time."""

    seconds: float

    def __call__(self, chunk):
        time.sleep(self.seconds)
        return chunk.first


@dataclass(frozen=True)
class Holds:
    """Holds something large, and says how large that is."""

    large: object

    def __call__(self, chunk):
        return chunk.first, len(self.large)

"""What commands share that show images to a network: HDF5 made part by part, then pictures."""

from __future__ import annotations

import hashlib
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np

import fdref
from fdref.commands.decode import describe
from fdref.commands.drawing import drawing
from fdref.commands.images import add_images, read_images
from fdref.commands.messages import add_quiet, note, printable, tell, telling_what_is_kept
from fdref.commands.models import add_model, load, source_of
from fdref.commands.places import named
from fdref.commands.progress import progress_bar
from fdref.decoding.contents import digest
from fdref.drawing.text_table import table
from fdref.engines import engine_named
from fdref.errors import FdrefError, FileError
from fdref.files.folder import refusal, refuse_special
from fdref.files.parts import REMEDY, file_of_parts
from fdref.files.whole import folder_for
from fdref.weights.hdf5 import import_h5py

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from fdref.commands.progress import Advance
    from fdref.files.folder import Folder
    from fdref.files.laid_out import Described
    from fdref.files.parts import PartsFile, Replaced
    from fdref.network.graph import Network
    from fdref.weights.pixels import ImageSet

TOLD = 20
"""Images that are told of one by one."""

Pictures = dict[str, "Callable[[], bytes]"]
"""The names of pictures, and what draws them."""

NUMBERS = "numbers"
"""The dataset of what number each image has where it comes from."""

Shapes: TypeAlias = "Mapping[str, tuple[int, ...]]"
"""The shapes of a file's datasets, by name."""


@dataclass(frozen=True)
class Task:
    """A network, the images that it is shown, and what every dataset tells of both."""

    options: argparse.Namespace
    net: Network
    images: ImageSet
    facts: Mapping[str, Any]

    @property
    def precision(self) -> np.dtype[Any]:
        """The type of the engine's numbers."""
        return engine_named(self.options.engine).precision(self.net.dtype)

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the images."""
        return self.images.shape[2], self.images.shape[3]

    @property
    def names(self) -> NDArray[np.bytes_]:
        """The images' names, as HDF5 has them."""
        return np.array([name.encode(errors="replace") for name in self.images.names])

    def shown(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Return images (..., C, H, W) with red first, to be drawn."""
        swap = self.options.channels == "bgr" and pixels.shape[-3] == 3
        return pixels[..., ::-1, :, :] if swap else pixels


def add_options(parser: argparse.ArgumentParser, folder: str, *, each: bool) -> None:
    """Add the network, the images and where everything goes."""
    add_model(parser)
    add_images(parser, each=each)
    add = parser.add_argument
    add(
        "--engine",
        choices=("compiled", "reference"),
        default="compiled",
        help="Numba in the weights' precision, or plain NumPy in float64 (compiled)",
    )
    add("--no-pictures", action="store_true", help=f"write {folder}.h5 alone")
    add("--force", action="store_true", help="replace what DIR holds of something else")
    add("-o", dest="folder", metavar="DIR", type=named, default=Path(folder), help=f"({folder})")
    add_quiet(parser)


def read_task(options: argparse.Namespace, method: str) -> Task:
    """Read network and images."""
    net = load(options)
    images = read_images(net, options)
    average = b"" if net.average is None else np.ascontiguousarray(net.average).tobytes()
    facts = {
        "method": method,
        "engine": options.engine,
        "fdref_version": fdref.__version__,
        "network_sha256": digest(net),
        "average_sha256": hashlib.sha256(average).hexdigest(),
        "images_sha256": images.digest(),
        **describe(source_of(options)),
    }
    return Task(options, net, images, facts)


class Maker(Protocol):
    """What one command makes of its task."""

    task: Task
    drawer: str
    """the module that draws"""
    doing: str
    """what the progress bar says"""

    @property
    def described(self) -> Described:
        """The datasets; `names` and `numbers`, the images', will stand beside them."""

    @property
    def parts(self) -> int:
        """How many parts they are made of."""

    def names_of(self, shapes: Shapes, numbers: Sequence[int]) -> Sequence[str]:
        """Return the names of the pictures of a file with datasets of some shapes.

        `numbers` are those of its images.
        """

    def work(self, file: PartsFile, advance: Advance) -> None:
        """Write the parts that are not there; tell how much of each is done."""

    def pictures(self, file: PartsFile) -> Pictures:
        """Return what draws the pictures of a file that is whole."""

    def summary(self, file: PartsFile) -> str:
        """Say what was found."""


def make(maker: Maker) -> None:
    """Write an HDF5 file and pictures into a folder, wholly or not at all; go on where it stopped.

    Everything that can be refused is refused before anything is computed.
    """
    task, options = maker.task, maker.task.options
    out, final, drawn = options.folder, f"{options.stem}.h5", not options.no_pictures
    names, numbers = task.names, task.images.numbers
    text = import_h5py().string_dtype("utf-8", names.itemsize)
    described = {
        **maker.described,
        "names": (names.shape, text, dict(task.facts)),
        NUMBERS: (names.shape, np.dtype(np.int64), dict(task.facts)),
    }
    pictures = maker.names_of({name: shape for name, (shape, _, _) in described.items()}, numbers)
    if drawn:
        drawing(maker.drawer, "mend it, or use --no-pictures")
    with telling_what_is_kept(), folder_for(out) as folder:
        for name in pictures if drawn else ():
            refuse_special(folder, name)  # whatever is forced
        with file_of_parts(
            folder, final, described, maker.parts, force=options.force, told=(NUMBERS,)
        ) as file:
            if file.name != final:
                if drawn and not options.force:
                    _refuse_taken(folder, pictures)
                _fill(maker, file)
                file.publish(final)
                _remove(folder, {*_pictures_of(maker, file.replaced)} - {*pictures})
            if drawn:
                _draw(options, folder, maker.pictures(file))
            summary = maker.summary(file)
    too = " and the pictures" if drawn else ""
    tell(options, f"{summary}\nwrote {printable(str(out / final))}{too}")


def _pictures_of(maker: Maker, replaced: Replaced) -> Sequence[str]:
    """Return the names of the pictures of a file that was replaced."""
    numbers = replaced.values.get(NUMBERS, np.zeros(0, np.int64))
    known = numbers.ndim == 1 and numbers.dtype.kind in "iu"
    return maker.names_of(replaced.shapes, numbers.tolist() if known else [])


def _remove(folder: Folder, names: set[str]) -> None:
    """Delete pictures of a file that was replaced."""
    for name in names:
        found = folder.status(name)
        if found is not None and stat.S_ISREG(found.st_mode):
            folder.remove(name)


def _fill(maker: Maker, file: PartsFile) -> None:
    """Make what is not there yet."""
    options = maker.task.options
    if file.done:
        note(options, f"going on with {file.done:,} of {file.parts:,} parts found before")
    file.fill({"names": maker.task.names, NUMBERS: maker.task.images.numbers})
    with progress_bar(maker.doing, file.parts, file.done, quiet=options.quiet) as advance:
        maker.work(file, advance)


def _refuse_taken(folder: Folder, names: Sequence[str]) -> None:
    """Refuse to replace pictures that are not of a file of ours."""
    for name in names:
        if folder.status(name) is not None:
            raise refusal(folder.path / name, f"exists already; delete it, {REMEDY}")


def _draw(options: argparse.Namespace, folder: Folder, pictures: Pictures) -> None:
    """Draw everything."""
    with progress_bar("drawing", len(pictures), quiet=options.quiet) as advance:
        for name, draw in pictures.items():
            try:
                folder.replace(name, draw())
            except BaseException as error:
                kept = f"{options.stem}.h5 is written; the same command draws what is missing"
                if isinstance(error, (FdrefError, MemoryError)) or not isinstance(error, Exception):
                    error.add_note(kept)
                    raise
                reason = getattr(error, "strerror", None) or f"{type(error).__name__}: {error}"
                raise FileError(f"{name} cannot be drawn: {reason}; {kept}") from error
            advance(1)


def numbered(stem: str, numbers: Sequence[int]) -> list[str]:
    """Name a picture for each of some images by its number, so that they are listed in order.

    >>> numbered("image", [3]), numbered("image", [12, 3])
    (['image3.png'], ['image12.png', 'image03.png'])
    """
    digits = len(str(max(numbers, default=0)))
    return [f"{stem}{n:0{digits}}.png" for n in numbers]


def shortened(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Set the first rows, and say how many more there are."""
    more = f"\nand {len(rows) - TOLD} more images" if len(rows) > TOLD else ""
    return f"{table(header, rows[:TOLD])}{more}"

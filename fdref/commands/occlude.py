"""`fdref occlude`: which parts of an image a network needs (Zeiler & Fergus)."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

import fdref
from fdref.commands.info import by
from fdref.commands.jobs import layer_of
from fdref.commands.making import Task, add_options, make, numbered, read_task, shortened
from fdref.commands.messages import LONGEST_NAME, printable
from fdref.commands.models import size
from fdref.commands.workers import add_workers, workers
from fdref.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.commands.making import Pictures, Shapes
    from fdref.commands.progress import Advance
    from fdref.commands.workers import Workers
    from fdref.files.laid_out import Described
    from fdref.files.parts import PartsFile

METHOD = "occlusion: Zeiler & Fergus, arXiv 1311.2901"
COLUMNS = (
    "image",
    "class",
    "p, most",
    "p, least",
    "behind (row, column)",
    "still right",
    "picture",
)
TURNS = 4
"""Images that go to each worker before their maps are written."""
WORDS = ("average", "background")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "occlude",
        help="hide parts of images, and see what the network says",
        description="Move a square of one colour over each image, and ask the network at every "
        "place (Zeiler & Fergus, figure 7). Writes DIR/occluded.h5, with maps of the probability "
        "of the true class, of the most probable class and of the activity of the feature map that "
        "was strongest in the clean image, that map's projection, and a picture for each image. "
        "The true class is what a .npz file's `labels` say, else what the network says of the "
        "clean image. After a long run was interrupted or killed, the same command goes on where "
        "it stopped.",
    )
    add_options(parser, "occluded", each=True)
    add = parser.add_argument
    add("--size", metavar="7x7", type=size, required=True, help="height and width of the square")
    add("--stride", metavar="1x1", type=size, default=(1, 1), help="from place to place (1)")
    add(
        "--value",
        metavar="127.5",
        type=value,
        default=127.5,
        help="a pixel from 0 to 255, one for each channel (0,0,255), `average` (the network's), or "
        "`background` (the image's border's median) (127.5)",
    )
    add("--layer", metavar="L", type=layer_of, help="whose strongest map is watched (the last with "
        "filters that has several positions)")  # fmt: skip
    add_workers(parser)
    less = "; ask for fewer images, or a larger stride"
    parser.set_defaults(run=run, less=less, stem="occluded")


def value(text: str) -> float | str | tuple[float, ...]:
    """Read what a square shows.

    >>> value("0"), value("0,128,255"), value("average")
    (0.0, (0.0, 128.0, 255.0), 'average')
    """
    if text in WORDS:
        return text
    try:
        numbers = tuple(map(float, text.split(",")))
    except ValueError:
        numbers = ()
    if not numbers or not all(0 <= number <= 255 for number in numbers):
        raise argparse.ArgumentTypeError(
            f"{text!r} is no colour; expected a pixel from 0 to 255, one for each channel, "
            f"{' or '.join(WORDS)}"
        )
    return numbers[0] if len(numbers) == 1 else numbers


def run(options: argparse.Namespace) -> None:
    """Check everything, then occlude, write and draw."""
    task = read_task(options, METHOD)
    labels = task.images.labels
    worst = None if labels is None else [int(labels.max() if labels.min() >= 0 else labels.min())]
    # Whatever is asked for in vain is refused here, by a single place of the square.
    once = partial(fdref.occlude, task.net, task.net.prepare(task.images.take([0])))
    once(options.size, task.size, options.value, options.layer, worst, options.engine)
    found = once(task.size, 1, options.value, options.layer, worst, options.engine)
    with workers(options, task.net) as executor:
        make(Occluding(task, found.layer, executor, projected=found.projection is not None))


@dataclass
class Occluding:
    """Occludes image by image."""

    task: Task
    layer: int
    executor: Workers
    projected: bool
    """whether the map that is watched can be, as one above a softmax cannot"""
    drawer = "fdref.drawing.occlusions"
    doing = "occluding"

    @cached_property
    def places(self) -> tuple[int, int]:
        """How many places the square has, vertically and horizontally."""
        options = self.task.options
        sides = zip(self.task.size, options.size, options.stride, strict=True)
        high, wide = ((length - side) // step + 1 for length, side, step in sides)
        return high, wide

    @property
    def described(self) -> Described:
        """Datasets with a row for each image."""
        task, options, count = self.task, self.task.options, len(self.task.images)
        words = isinstance(options.value, str)
        about = {
            **task.facts,
            "size": list(options.size),
            "stride": list(options.stride),
            "value": options.value if words else np.atleast_1d(options.value).tolist(),
            "layer": self.layer,
            "layer_name": one_line(task.net[self.layer].name, None),
        }
        maps, real, whole = (count, *self.places), np.dtype(np.float64), np.dtype(np.int64)
        return {
            "images": (task.images.shape, task.images.dtype, about),
            "class": ((count,), whole, about),
            "probability": (maps, real, about),
            "label": (maps, whole, about),
            "map": ((count,), whole, about),
            "activity": (maps, real, about),
        } | ({"projection": (task.images.shape, task.precision, about)} if self.projected else {})

    @property
    def parts(self) -> int:
        """One for each image."""
        return len(self.task.images)

    def names_of(self, shapes: Shapes, numbers: Sequence[int]) -> list[str]:
        """Return the names of the pictures of a file, one for each image."""
        return numbered("image", numbers) if "class" in shapes else []

    @property
    def names(self) -> list[str]:
        """The pictures'."""
        return numbered("image", self.task.images.numbers)

    def work(self, file: PartsFile, advance: Advance) -> None:
        """Occlude image by image, or as many together as keep workers busy."""
        task, options, places = self.task, self.task.options, prod(self.places)
        step = 1 if self.executor is None else TURNS * self.executor.width
        for first in range(file.done, file.parts, step):
            numbers = np.arange(first, min(first + step, file.parts))
            images = task.images.take(numbers)
            labels = None if task.images.labels is None else task.images.labels[numbers]
            found = fdref.occlude(
                task.net,
                task.net.prepare(images),
                options.size,
                options.stride,
                options.value,
                self.layer,
                labels,
                options.engine,
                lambda done: advance(done / places),
                self.executor,
            )
            rows = {
                "images": images,
                "class": found.labels,
                "probability": found.probability,
                "label": found.label,
                "map": found.map,
                "activity": found.activity,
                "projection": found.projection,
            }
            for row, n in enumerate(numbers.tolist()):
                own = {name: np.asarray(rows[name])[[row]] for name in self.described}
                file.write(own, n)

    def pictures(self, file: PartsFile) -> Pictures:
        """Draw each image with its maps."""
        return {name: partial(self._maps, file, n) for n, name in enumerate(self.names)}

    def _maps(self, file: PartsFile, n: int) -> bytes:
        from fdref.drawing.occlusions import Maps, maps  # noqa: PLC0415 - matplotlib takes its time

        task, options = self.task, self.task.options
        one = {name: file.rows(name, n, 1)[0] for name in self.described}
        return maps(
            Maps(
                task.shown(one["images"]),
                one["activity"],
                task.shown(one["projection"]) if self.projected else None,
                one["probability"],
                one["label"],
            ),
            options.size,
            options.stride,
            f"Image {printable(task.images.names[n], LONGEST_NAME)}, {self._told()}",
            f"map {one['map']} of {printable(task.net.describe(self.layer), LONGEST_NAME)}",
            int(one["class"]),
            task.net.classes,
        )

    def _told(self) -> str:
        """Say what the square is."""
        options = self.task.options
        grey = options.value if isinstance(options.value, str) else f"{options.value}".strip("()")
        size_, stride = (by(pair) for pair in (options.size, options.stride))
        return f"behind a square of {size_}, stride {stride}, value {grey}"

    def summary(self, file: PartsFile) -> str:
        """Say where each image is least itself."""
        rows = []
        for n, name in enumerate(self.task.images.names):
            probability = file.rows("probability", n, 1)[0]
            place = np.unravel_index(probability.argmin(), probability.shape)
            corner = (int(p * s) for p, s in zip(place, self.task.options.stride, strict=True))
            true = int(file.rows("class", n, 1)[0])
            rows.append(
                (
                    printable(name, LONGEST_NAME),
                    f"{true}",
                    f"{probability.max():.4f}",
                    f"{probability.min():.4f}",
                    ", ".join(map(str, corner)),
                    f"{(file.rows('label', n, 1)[0] == true).mean():.1%}",
                    "" if self.task.options.no_pictures else self.names[n],
                )
            )
        return shortened(COLUMNS, rows)

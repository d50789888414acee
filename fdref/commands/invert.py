"""`fdref invert`: what a layer knows of an image, and what its filters make of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

import fdref
from fdref.commands.images import images_at
from fdref.commands.jobs import layer_of, ranges
from fdref.commands.making import Task, add_options, make, read_task, shortened
from fdref.commands.messages import LONGEST_NAME, printable
from fdref.errors import ArgumentError, one_line
from fdref.measure.image_search import Range, starts_of
from fdref.measure.inversion import ITERATIONS
from fdref.selection import filter_index

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike

    from fdref.arrays import Array
    from fdref.commands.making import Pictures, Shapes
    from fdref.commands.progress import Advance
    from fdref.files.laid_out import Described
    from fdref.files.parts import PartsFile
    from fdref.measure.image_search import Values

METHOD = "inversion: Mahendran & Vedaldi, arXiv 1412.0035; reallocation: Xia et al., 1608.04170"
PICTURE = "inverted.png"
TOGETHER = 8
"""Images that are searched, and written, at a time."""
BOUNDS = (0, 255)
COLUMNS = ("image", "map", "error", "correlation", "evaluations", "dead maps", "restarted")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "invert",
        help="find images that a layer answers alike",
        description="Search images whose activations of a layer are those of the given images, by "
        "L-BFGS-B from noise (Mahendran & Vedaldi), or those with their energy moved among the "
        "maps (Xia et al.): what texture does a filter make? Writes DIR/inverted.h5 and a picture "
        "of the images beside what was found. Takes pip install 'fdref[invert]'. After a long run "
        "was interrupted or killed, the same command goes on where it stopped.",
    )
    add_options(parser, "inverted", each=True)
    add = parser.add_argument
    add("--layer", metavar="L", required=True, help="number or name")
    add("--iterations", metavar="N", type=int, default=ITERATIONS, help=f"at most ({ITERATIONS})")
    add("--smooth", metavar="X", type=float, default=0.0, help="weight of total variation (0)")
    add("--seed", metavar="N", type=int, default=0, help="of the noise to start from (0)")
    moved = parser.add_mutually_exclusive_group()
    moved.add_argument(
        "--map", dest="maps", metavar="0-9,12", help="give all energy to one map, each in turn"
    )
    moved.add_argument(
        "--reallocate", choices=("random",), help="share the energy out among the maps at random"
    )
    moved.add_argument(
        "--style",
        metavar="FILE",
        type=Path,
        help="put the maps, by the rank of their energy, in the places of another image's (the "
        "first of FILE)",
    )
    less = "; ask for fewer images or a lower layer"
    parser.set_defaults(run=run, less=less, stem="inverted")


def run(options: argparse.Namespace) -> None:
    """Check everything, then search, write and draw."""
    task = read_task(options, METHOD)
    inverting = Inverting(task, task.net.number(layer_of(options.layer)))
    inverting.check()
    make(inverting)


class Wanted(NamedTuple):
    """Of which image a code is, and to which map its energy went; None: to none, or to several."""

    image: int
    map: int | None


@dataclass
class Inverting:
    """Inverts some images at a time."""

    task: Task
    layer: int
    drawer = "fdref.drawing.inversions"
    doing = "inverting"

    def names_of(self, shapes: Shapes, numbers: Sequence[int]) -> list[str]:  # noqa: ARG002
        """Return the name of the one picture."""
        return [PICTURE] if shapes else []

    @cached_property
    def wanted(self) -> list[Wanted]:
        """All images, each as often as there are maps."""
        maps: list[int | None] = [None]
        if self.task.options.maps is not None:
            parts = ranges("--map", self.task.options.maps)
            for part in parts:
                filter_index(self.task.net, self.layer, part[-1])
            maps = [k for part in parts for k in part]
        return [Wanted(n, k) for n in range(len(self.task.images)) for k in maps]

    @cached_property
    def style(self) -> Array | None:
        """The code of the image whose maps say where those of the others go."""
        task, path = self.task, self.task.options.style
        if path is None:
            return None
        try:
            return self._code(images_at(path, task.net, task.options).take([0]))
        except ArgumentError as error:
            raise ArgumentError(f"--style {path}: {error}") from None

    @property
    def moved(self) -> bool:
        """Tell whether codes are not the images' own."""
        options = self.task.options
        return not options.maps is options.reallocate is options.style is None

    def _code(self, images: np.ndarray) -> Array:
        net, engine = self.task.net, self.task.options.engine
        return fdref.forward(net, net.prepare(images), engine, self.layer)[self.layer]

    def code(self, one: Wanted) -> Array:
        """Return what is to be inverted."""
        options = self.task.options
        own = self._code(self.task.images.take([one.image]))
        if one.map is not None:
            return fdref.reallocate(own, "one", one.map)
        if options.reallocate is not None:
            return fdref.reallocate(own, "random", seed=options.seed + one.image)
        if self.style is not None:
            return fdref.reallocate(own, "like", style=self.style)
        return own

    def check(self) -> None:
        """Refuse at once what would be refused after long work."""
        for one in self.wanted:
            if not self.code(one).any():
                name = self.task.images.names[one.image]
                raise ArgumentError(
                    f"image {name}: its code at {self.task.net.describe(self.layer)} is zero "
                    "everywhere; choose another layer or image (--only)"
                )
        self.search([self.wanted[0]], self.starts[:1], 1)

    @cached_property
    def starts(self) -> Values:
        """What all searches start from."""
        task, bounds = self.task, Range.read(BOUNDS)
        count, seed = len(self.wanted), task.options.seed
        if seed < 0:
            raise ArgumentError(f"--seed is {seed}; expected at least 0")
        return starts_of(task.net, count, None, task.size, bounds, seed)

    def search(
        self,
        some: Sequence[Wanted],
        starts: Values,
        iterations: int,
        advance: Advance | None = None,
    ) -> fdref.Inversion:
        """Invert some codes."""
        task, total = self.task, len(some) * iterations
        again = task.images.take([one.image for one in some]) if self.moved else None
        told = None if advance is None else (lambda done: advance(done / total))
        return fdref.invert(
            task.net,
            np.concatenate([self.code(one) for one in some]),
            self.layer,
            starts,
            BOUNDS,
            task.options.smooth,
            iterations=iterations,
            restart=again,
            engine=task.options.engine,
            progress=told,
        )

    @property
    def described(self) -> Described:
        """Datasets with a row for each code, and the images."""
        task, options = self.task, self.task.options
        about = {
            **task.facts,
            "layer": self.layer,
            "layer_name": one_line(task.net[self.layer].name, None),
            "iterations": options.iterations,
            "smooth": options.smooth,
            "seed": options.seed,
            "reallocated": self._way(),
        }
        count, shape = len(self.wanted), task.images.shape
        numbers = np.dtype(np.int64)
        return {
            "originals": (shape, task.images.dtype, about),
            "images": ((count, *shape[1:]), task.precision, about),
            "image": ((count,), numbers, about),
            "map": ((count,), numbers, about),
            "errors": ((count,), np.dtype(np.float64), about),
            "evaluations": ((count,), numbers, about),
            "dead": ((count, task.net.channels[self.layer]), np.dtype(np.uint8), about),
            "restarted": ((count,), np.dtype(np.uint8), about),
        }

    def _way(self) -> str:
        """Say how energy is moved, for the attributes."""
        options = self.task.options
        if options.maps is not None:
            return f"one: {options.maps}"
        if self.style is not None:
            return f"like: energies {fdref.energies(self.style).tolist()}"[:1000]
        return options.reallocate or "no"

    @property
    def parts(self) -> int:
        """Some codes each."""
        return -(-len(self.wanted) // TOGETHER)

    def work(self, file: PartsFile, advance: Advance) -> None:
        """Search, some images at a time."""
        images = self.task.images
        for n in range(len(images)):
            file.fill({"originals": images.take([n])}, n)
        for part in range(file.done, file.parts):
            own = slice(part * TOGETHER, (part + 1) * TOGETHER)
            some = self.wanted[own]
            found = self.search(some, self.starts[own], self.task.options.iterations, advance)
            rows: dict[str, ArrayLike] = {
                "images": found.images,
                "image": [one.image for one in some],
                "map": [-1 if one.map is None else one.map for one in some],
                "errors": found.errors,
                "evaluations": found.evaluations,
                "dead": found.dead,
                "restarted": found.restarted,
            }
            file.write(rows, part * TOGETHER)

    def pictures(self, file: PartsFile) -> Pictures:
        """Draw images beside what was found."""
        return {PICTURE: partial(self._sheet, file)}

    def _sheet(self, file: PartsFile) -> bytes:
        from fdref.drawing.inversions import MOST, Found, sheet  # noqa: PLC0415 - matplotlib's time

        task, several = self.task, len(self.wanted) // len(self.task.images)
        found = [
            Found(
                task.shown(file.rows("images", n, 1)[0]),
                one.image,
                "" if one.map is None else f"map {one.map}",
                float(file.rows("errors", n, 1)[0]),
            )
            for n, one in enumerate(self.wanted[:MOST])
        ]
        count = -(-len(found) // several)
        label = printable(task.net.describe(self.layer), LONGEST_NAME)
        what = "inversions" if not self.moved else "inversions of moved energy"
        return sheet(
            task.shown(file.rows("originals", 0, count)),
            [printable(name, 12) for name in task.images.names[:count]],
            found,
            f"{label}: {what}",
            "each image, and what the layer answers "
            + ("as if its energy lay elsewhere" if self.moved else "in the same way"),
            len(self.wanted),
        )

    def summary(self, file: PartsFile) -> str:
        """Say how near each came."""
        return shortened(COLUMNS, list(self._rows(file)))

    def _rows(self, file: PartsFile) -> Iterator[tuple[str, ...]]:
        """Tell of each image; how alike it is to the original says nothing where energy moved."""
        for n, one in enumerate(self.wanted):
            pair = file.rows("images", n, 1), file.rows("originals", one.image, 1)
            alike = correlation(*pair)
            yield (
                printable(self.task.images.names[one.image], LONGEST_NAME),
                "" if one.map is None else f"{one.map}",
                f"{file.rows('errors', n, 1)[0]:.3g}",
                "" if self.moved else f"{alike:.3f}",
                f"{file.rows('evaluations', n, 1)[0]}",
                f"{file.rows('dead', n, 1).sum()}",
                "yes" if file.rows("restarted", n, 1)[0] else "",
            )


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Return Pearson's correlation of two images' pixels; 0 where one has no contrast."""
    a, b = (
        image.ravel().astype(np.float64) - image.mean(dtype=np.float64) for image in (one, other)
    )
    norm = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / norm) if norm > 0 else 0.0

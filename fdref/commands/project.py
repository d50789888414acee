"""`fdref project`: what excites neurons most, and what of it they saw (Zeiler & Fergus)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial
from math import prod
from typing import TYPE_CHECKING

import numpy as np

from fdref.commands.jobs import read_jobs
from fdref.commands.making import Task, add_options, make, read_task
from fdref.commands.messages import LONGEST_NAME, note, printable
from fdref.commands.workers import add_workers, workers
from fdref.drawing.text_table import table
from fdref.errors import ArgumentError, one_line
from fdref.measure.strongest import Strongest, strongest
from fdref.network.units import receptive_field
from fdref.walk.projection import RULES

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from fdref.commands.making import Pictures, Shapes
    from fdref.commands.progress import Advance
    from fdref.commands.workers import Workers
    from fdref.decoding.contents import Job
    from fdref.files.laid_out import Described
    from fdref.files.parts import PartsFile

METHOD = "deconvnet and its rules, of the strongest activations: Zeiler & Fergus, arXiv 1311.2901"
AT_ONCE = 2**26
"""Bytes of patches and projections that are made and written at a time."""
SEARCHING = 0.5
"""Of a layer's work the part that searching the images is taken to be."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "project",
        help="show which images excite neurons most, and what in them does",
        description="Find, for every neuron of a layer, the images that excite it most, and "
        "project each activation down to the image by itself (deconvnet; Zeiler & Fergus, figure "
        "2). Writes DIR/projected.h5, a group a layer (values, images, places, patches, "
        "projections), and one picture a layer: each neuron's projections beside the patches "
        "that it saw. After a long run was interrupted or killed, the same command goes on where "
        "it stopped.",
    )
    add_options(parser, "projected", each=False)
    add = parser.add_argument
    add("--layers", metavar="1,3-7", help="numbers, ranges or names of layers (all with filters)")
    add("--filters", metavar="0-9,12", help="numbers of filters, from 0 (all)")
    add("--count", metavar="N", type=int, default=9, help="how many images of each neuron (9)")
    add("--rule", choices=RULES, default="deconvnet", help="what a ReLU lets through (deconvnet)")
    add_workers(parser)
    parser.set_defaults(run=run, less="; ask for fewer filters or layers", stem="projected")


def run(options: argparse.Namespace) -> None:
    """Check everything, then search, project, write and draw."""
    if options.count < 1:
        raise ArgumentError(f"--count is {options.count}; expected at least 1")
    task = read_task(options, METHOD)
    jobs, missing = read_jobs(task.net, options.layers, options.filters)
    for message in missing:
        note(options, message)
    for job in jobs:  # what a layer or a rule refuses, it refuses now
        first = strongest(task.net, task.images.take([0]), job.number, [0], 1, options.engine)
        first.projections(options.rule)
    with workers(options, task.net) as executor:
        make(Projecting(task, jobs, executor))


@dataclass
class Projecting:
    """Searches and projects, layer by layer, some neurons at a time."""

    task: Task
    jobs: list[Job]
    executor: Workers
    """what searches the images; projections are made here"""
    drawer = "fdref.drawing.neurons"
    doing = "projecting"

    @cached_property
    def described(self) -> Described:
        """A group of datasets for each layer."""
        task = self.task
        described: Described = {}
        for job in self.jobs:
            neurons = (len(job.filters), min(self.task.options.count, len(task.images)))
            field = (task.images.shape[1], *receptive_field(task.net, job.number).size)
            about = {
                **task.facts,
                "rule": task.options.rule,
                "layer": job.number,
                "layer_name": one_line(task.net[job.number].name, None),
            }
            for name, shape, dtype in (
                ("filters", neurons[:1], np.dtype(np.int64)),
                ("values", neurons, task.precision),
                ("images", neurons, np.dtype(np.int64)),
                ("places", (*neurons, 2), np.dtype(np.int64)),
                ("patches", (*neurons, *field), task.images.dtype),
                ("projections", (*neurons, *field), task.precision),
            ):
                described[f"{job.stem}/{name}"] = shape, dtype, about
        return described

    def blocks(self, job: Job) -> list[range]:
        """Cut a layer's neurons into those whose pictures are made at a time."""
        one = sum(
            prod(shape[1:]) * dtype.itemsize
            for shape, dtype, _ in (
                self.described[f"{job.stem}/{name}"] for name in ("patches", "projections")
            )
        )
        step, count = max(1, AT_ONCE // one), len(job.filters)
        return [range(first, min(first + step, count)) for first in range(0, count, step)]

    @property
    def parts(self) -> int:
        """One for each search, and for each block of neurons."""
        return sum(1 + len(self.blocks(job)) for job in self.jobs)

    def names_of(self, shapes: Shapes, numbers: Sequence[int]) -> list[str]:  # noqa: ARG002
        """Return the names of the pictures of a file, one a layer."""
        return [name.replace("/values", ".png") for name in shapes if name.endswith("/values")]

    def work(self, file: PartsFile, advance: Advance) -> None:
        """Search, and project block by block."""
        part = 0
        for job in self.jobs:
            if part >= file.done:
                self._search(file, job, advance)
            part += 1
            for neurons in self.blocks(job):
                if part >= file.done:
                    self._project(file, job, neurons, advance)
                part += 1

    def _search(self, file: PartsFile, job: Job, advance: Advance) -> None:
        """Find the strongest activations."""
        task, count = self.task, len(self.task.images)
        options = task.options
        top = strongest(
            task.net,
            task.images.chunks(),
            job.number,
            list(job.filters),
            options.count,
            options.engine,
            lambda done: advance(done / count, job.stem),
            self.executor,
        )
        found = {name: getattr(top, name) for name in ("filters", "values", "images", "places")}
        file.write({f"{job.stem}/{name}": values for name, values in found.items()})

    def _project(self, file: PartsFile, job: Job, neurons: range, advance: Advance) -> None:
        """Show what some neurons saw, and what of it mattered."""
        first, total = neurons[0], len(neurons) * file.rooms[f"{job.stem}/values"].shape[1]
        top = self._found(file, job, neurons)
        patches = top.patches()
        projections = top.projections(
            self.task.options.rule, progress=lambda done: advance(done / total, job.stem)
        )
        file.write({f"{job.stem}/patches": patches, f"{job.stem}/projections": projections}, first)

    def _found(self, file: PartsFile, job: Job, neurons: range) -> Strongest:
        """Return what was found of some neurons, with the images that excited them alone."""
        task = self.task
        filters, values, images, places = (
            file.rows(f"{job.stem}/{name}", neurons[0], len(neurons))
            for name in ("filters", "values", "images", "places")
        )
        wanted, own = np.unique(images, return_inverse=True)
        return Strongest(
            task.net,
            job.number,
            filters.astype(np.intp),
            values,
            own.reshape(images.shape).astype(np.intp),
            places.astype(np.intp),
            task.images.take(wanted),
            task.options.engine,
        )

    def pictures(self, file: PartsFile) -> Pictures:
        """Draw a sheet of neurons for each layer."""
        return {f"{job.stem}.png": partial(self._sheet, file, job) for job in self.jobs}

    def _sheet(self, file: PartsFile, job: Job) -> bytes:
        from fdref.drawing.neurons import MOST, sheet  # noqa: PLC0415 - matplotlib takes its time

        count = min(len(job.filters), MOST)
        values, patches, projections = (
            file.rows(f"{job.stem}/{name}", 0, count)
            for name in ("values", "patches", "projections")
        )
        label, rule = printable(job.label, LONGEST_NAME), self.task.options.rule
        title = f"{label}: what excites its neurons most, and its projection ({rule})"
        labels = [
            f"{k}: {v.max():.3g} to {v.min():.3g}"
            for k, v in zip(job.filters, values, strict=False)
        ]
        return sheet(
            self.task.shown(projections),
            self.task.shown(patches),
            labels,
            title,
            len(job.filters),
            "projected.h5",
        )

    def summary(self, file: PartsFile) -> str:
        """Say how strong the strongest activations are."""
        return table(
            ("layer", "neurons", "images each", "weakest", "strongest", "group", "picture"),
            list(self._rows(file)),
        )

    def _rows(self, file: PartsFile) -> Iterator[tuple[str, ...]]:
        for job in self.jobs:
            values = file.rows(f"{job.stem}/values")
            yield (
                printable(job.label, LONGEST_NAME),
                str(len(values)),
                str(values.shape[1]),
                f"{values[:, 0].min():.4g}",
                f"{values[:, 0].max():.4g}",
                job.stem,
                "" if self.task.options.no_pictures else f"{job.stem}.png",
            )

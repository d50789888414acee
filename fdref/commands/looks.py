"""How pictures of filters are to look: the options of `fdref decode` and `fdref draw`."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from fdref.commands.drawing import drawing
from fdref.commands.jobs import ranges
from fdref.commands.messages import LONGEST_NAME, printable
from fdref.drawing.colours import CMAPS
from fdref.drawing.formats import FORMATS, check_format
from fdref.drawing.grid import CONTRASTS, LONGEST_PAGE, Look
from fdref.errors import ArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from fdref.arrays import Array
    from fdref.drawing.formats import Format

COUNT = re.compile("[1-9][0-9]{0,8}")


class Style(NamedTuple):
    """What a picture of filters is made with, beside the filters."""

    look: Look
    kind: Format
    reverse: bool
    """whether colours are blue, green, red"""

    def draw(
        self,
        bank: Array,
        about: Mapping[str, object],
        filters: Sequence[int],
        scale: float | None = None,
        progress: Callable[[int], object] | None = None,
    ) -> bytes:
        """Draw filters of a layer as a file.

        Parameters
        ----------
        bank : (K, C, h, w) array
        about : mapping
            What a dataset of decoded filters says of how they came about.
        filters : sequence of K int
            Their numbers.
        scale : float, optional
            Where they have one contrast, and it is not theirs alone.
        progress : callable, optional
            Called from time to time with how much of the `work` has been done since.
        """
        from fdref.drawing.formats import written  # noqa: PLC0415 - matplotlib takes its time
        from fdref.drawing.sheets import Words, page_of, work  # noqa: PLC0415

        if self.reverse and bank.shape[1] == 3:
            bank = bank[:, ::-1]
        title = title_of(about, filters)
        words = Words(title, unpooling_of(about), [str(k) for k in filters])
        picture = written(page_of(bank, words, self.look, scale, progress), self.kind, title)
        if progress is not None:
            progress(work(bank.shape) // 2)
        return picture


def add_look(parser: argparse.ArgumentParser) -> None:
    """Add what may be said of pictures."""
    group = parser.add_argument_group("pictures")
    add = group.add_argument
    add(
        "--only",
        metavar="LAYER:FILTERS",
        help="one picture of one filter, or of some of one layer, such as 5:384 or conv3:0-9,12, "
        "and no more: -o is its file",
    )
    add("--size", metavar="PIXELS", type=count, help="of the longer side of a filter (as they fit)")
    add("--columns", metavar="N", type=count, help="filters in a row (a page of four by three)")
    add(
        "--contrast",
        choices=CONTRASTS,
        default="own",
        help="each filter's own, or one for the layer (own)",
    )
    add(
        "--cmap",
        choices=CMAPS,
        default="grey",
        help="black to white, or blue to orange, which colour-blind people can read, too: then "
        "channels stand side by side (grey)",
    )
    add("--bare", action="store_true", help="the filters alone, without words and frames")
    add("--format", choices=FORMATS, help="(png, or how -o ends)")
    add(
        "--channels",
        choices=("rgb", "bgr"),
        default="rgb",
        help="the order of colours that the network takes, which pictures are drawn by (rgb)",
    )


def count(text: str) -> int:
    """Read a number of pixels or columns.

    >>> count("384")
    384
    """
    if COUNT.fullmatch(text) is None or int(text) > LONGEST_PAGE:
        raise argparse.ArgumentTypeError(
            f"{text!r} cannot be read; expected a whole number from 1 to {LONGEST_PAGE}"
        )
    return int(text)


def style_of(
    options: argparse.Namespace, place: Path | None = None, remedy: str = "mend it"
) -> Style:
    """Return how pictures are drawn; the format is that of a place's name, if there is one.

    Raises
    ------
    ArgumentError
        If the name is that of another format, or of none.
    FileError, DependencyError
        If nothing can be drawn.
    """
    kind: Format = options.format or "png"
    if place is not None:
        ending = place.suffix.lower().removeprefix(".")
        named: list[Format] = [one for one in FORMATS if one == ending]
        if named and options.format not in {None, ending}:
            raise ArgumentError(
                f"-o {place} ends in .{ending}, and --format is {options.format}; expected one of "
                "the two"
            )
        if not named and options.format is None:
            endings = ", ".join(f".{one}" for one in FORMATS)
            raise ArgumentError(
                f"-o {place} is to be a picture; expected a name in {endings}, or --format"
            )
        kind = options.format or named[0]
    drawing("fdref.drawing.sheets", remedy)
    check_format(kind)
    look = Look(options.size, options.columns, options.contrast, options.cmap, options.bare)
    return Style(look, kind, options.channels == "bgr")


def only_place(options: argparse.Namespace, layer: int, filters: Sequence[int]) -> Path:
    """Return where the one picture goes that `--only` asks for."""
    if options.output is not None:
        return Path(options.output)
    some = filters[0] if len(filters) == 1 else f"{filters[0]}-{filters[-1]}"
    return Path(f"layer{layer}-{some}.{options.format or 'png'}")


def read_only(text: str) -> tuple[str, list[int]]:
    """Read a layer, and which of its filters.

    >>> read_only("5:384"), read_only("a:b:0-2,7")
    (('5', [384]), ('a:b', [0, 1, 2, 7]))
    """
    layer, colon, filters = text.rpartition(":")
    if not colon or not layer.strip():
        raise ArgumentError(
            f"--only {text!r} cannot be read; expected a layer and its filters, such as 5:384"
        )
    return layer.strip(), [k for part in ranges("--only", filters) for k in part]


def title_of(about: Mapping[str, object], filters: Sequence[int]) -> str:
    """Name a picture.

    >>> title_of({"model": "lenet.mat", "layer": 5, "layer_name": "conv3"}, [384])
    "lenet.mat, layer 5 'conv3', filter 384"
    """
    name = printable(str(about.get("layer_name", "")), LONGEST_NAME)
    layer = f"layer {about['layer']}" + (f" {name!r}" if name else "")
    model = [printable(str(about["model"]), LONGEST_NAME)] if "model" in about else []
    return ", ".join([*model, layer, *([f"filter {filters[0]}"] if len(filters) == 1 else [])])


def unpooling_of(about: Mapping[str, object]) -> str:
    """Say how pools were undone, if there are any.

    >>> unpooling_of({"unpool": "bicubic", "pools": 2})
    'bicubic unpooling'
    >>> unpooling_of({"unpool": "bicubic", "pools": 0})
    ''
    """
    pools = about.get("pools", 1)  # older files do not say, but that there is a method
    return f"{about['unpool']} unpooling" if pools and "unpool" in about else ""

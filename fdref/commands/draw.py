"""`fdref draw`: pictures of filters that were decoded before."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

from fdref.commands.jobs import NUMBER, NUMBERS, ranges
from fdref.commands.looks import add_look, only_place, read_only, style_of
from fdref.commands.messages import add_quiet, printable, tell
from fdref.commands.places import check_places, named, write_to
from fdref.commands.progress import progress_bar
from fdref.decoding.reading import decoded_layers
from fdref.drawing.grid import largest_of
from fdref.errors import ArgumentError
from fdref.files.folder import refusal, refuse_special
from fdref.files.whole import folder_for

if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping

    from fdref.commands.looks import Style
    from fdref.commands.progress import Advance
    from fdref.decoding.reading import Decoded

FILE = Path("decoded/decoded.h5")


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "draw",
        help="draw decoded filters again, in another way",
        description="Draw filters that `fdref decode` has written, without decoding them again: a "
        "picture a layer, in place of those that are there, or one picture of some filters.",
    )
    add = parser.add_argument
    add("file", metavar="FILE", nargs="?", type=named, default=FILE, help=f"({FILE})")
    add("--layers", metavar="1,3-7", help="numbers, ranges or names of layers (all in the file)")
    add_look(parser)
    add("-o", dest="output", metavar="DIR", type=named, help="(FILE's; with --only, the picture)")
    add_quiet(parser)
    parser.set_defaults(run=run, less="; ask for a smaller size")


def run(options: argparse.Namespace) -> None:
    """Read and draw."""
    if options.only is not None and options.layers is not None:
        raise ArgumentError("--only says which layer; expected no --layers beside it")
    with decoded_layers(options.file) as layers:
        if options.only is None:
            drawn = _draw_layers(options, layers)
        else:
            drawn = _draw_only(options, layers)
    tell(options, f"wrote {printable(drawn)}")


def _draw_layers(options: argparse.Namespace, layers: Mapping[int, Decoded]) -> str:
    """Draw a picture a layer."""
    from fdref.drawing.sheets import work  # noqa: PLC0415 - matplotlib takes its time

    style = style_of(options)
    numbers = [n for n in _chosen(options, layers) if len(layers[n].bank)]
    amount = sum(work(layers[number].bank.shape) for number in numbers)
    place = options.output or options.file.parent
    with folder_for(place) as folder:
        names = {number: f"layer{number}.{style.kind}" for number in numbers}
        for name in names.values():
            refuse_special(folder, name)
        with progress_bar("drawing", amount, quiet=options.quiet) as advance:
            for number, name in names.items():
                picture = _picture(options, style, layers[number], None, advance)
                folder.replace(name, picture)
    return ", ".join(str(place / name) for name in names.values()) or "nothing: no filters"


def _draw_only(options: argparse.Namespace, layers: Mapping[int, Decoded]) -> str:
    """Draw one picture of some filters."""
    text, filters = read_only(options.only)
    number = _number(text, layers, options.file)
    layer = layers[number]
    rows = {k: row for row, k in enumerate(layer.filters)}
    missing = [k for k in filters if k not in rows]
    if missing:
        raise ArgumentError(
            f"filter {missing[0]} of layer {number} is not in {options.file}; expected one "
            "that was decoded"
        )
    place = only_place(options, number, filters)
    style = style_of(options, place)
    check_places({"-o": str(place)}, [options.file])
    scale = largest_of(layer.bank) if options.contrast == "layer" else None
    some = layer._replace(bank=layer.bank[[rows[k] for k in filters]], filters=tuple(filters))
    write_to(str(place), _picture(options, style, some, scale))
    return str(place)


def _picture(
    options: argparse.Namespace,
    style: Style,
    layer: Decoded,
    scale: float | None,
    advance: Advance | None = None,
) -> bytes:
    """Draw filters that have nothing but numbers."""
    if not isfinite(largest_of(layer.bank)) or (scale is not None and not isfinite(scale)):
        hold = f"holds NaN or infinite numbers in layer {layer.about['layer']}"
        raise refusal(options.file, f"{hold}; expected finite ones")
    return style.draw(layer.bank, layer.about, layer.filters, scale, advance)


def _chosen(options: argparse.Namespace, layers: Mapping[int, Decoded]) -> list[int]:
    """Return the layers that are meant."""
    if options.layers is None:
        return list(layers)
    found: list[int] = []
    for part in map(str.strip, options.layers.split(",")):
        if NUMBERS.fullmatch(part) and part not in _names(layers):
            (own,) = ranges("--layers", part)
            found += [n for n in layers if n in own] or [_number(part, layers, options.file)]
        else:
            found.append(_number(part, layers, options.file))
    return list(dict.fromkeys(found))


def _number(text: str, layers: Mapping[int, Decoded], path: Path) -> int:
    """Return the number of a layer, said by number or name."""
    names = _names(layers)
    number = int(text) if NUMBER.fullmatch(text) else names.get(text, 0)
    if number not in layers:
        there = ", ".join(f"{n} ({name})" for name, n in names.items())
        raise ArgumentError(f"layer {text!r} is not in {path}; there are {there or 'none'}")
    return number


def _names(layers: Mapping[int, Decoded]) -> dict[str, int]:
    return {str(one.about.get("layer_name", number)): number for number, one in layers.items()}

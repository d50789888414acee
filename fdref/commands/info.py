"""`fdref info`: a network's layers and what can be decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import fdref
from fdref.commands.jobs import out_of_sight
from fdref.commands.messages import LONGEST_NAME, add_quiet, printable, tell
from fdref.commands.models import add_model, load, source_of
from fdref.commands.places import add_json, check_places, write_json
from fdref.drawing.text_table import table
from fdref.errors import ArgumentError
from fdref.layers import (
    BatchNorm,
    Channels,
    Conv,
    ConvTranspose,
    Dropout,
    Normalize,
    Pool,
    ReLU,
    Unknown,
)

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from fdref.geometry import Margins, Pair, ReceptiveField
    from fdref.layers import Layer
    from fdref.network.graph import Network

COLUMNS = (
    *("layer", "name", "type", "takes", "filters", "details"),
    *("output", "field", "jump", "decodes to"),
)
WITH_FILTERS = Conv | ConvTranspose
LONGEST_LINE = 200
"""Characters of a line about the network that are shown."""

LARGEST = 2**53
"""The largest number that every program reads exactly; fields and jumps may be beyond."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "info",
        help="show a network's layers and what can be decoded",
        description="Show a network's layers: type, filters, output, receptive field and jump in "
        "pixels of the input, and the size of the decoded filters.",
    )
    add_model(parser)
    add_json(parser)
    add_quiet(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Tell what there is to know about a network."""
    source = source_of(options)
    check_places({"--json": options.json}, [source])
    net = load(options)
    write_json(options.json, as_json(source.name, net))
    model = "the shipped LeNet" if options.model is None else options.model
    lines = [printable(line, LONGEST_LINE) for line in about(model, net)]
    ways = [printable(line, None) for line in out_of_sight(net)]
    tell(options, "\n".join([*lines, "", table(COLUMNS, list(rows(net))), *ways]))


def as_json(model: str, net: Network) -> dict[str, Any]:
    """Return what is known of a network for programs; docs/files.md documents the keys."""
    return {
        "fdref": fdref.__version__,
        "model": model,
        "channels": net.channels[0],
        "size": net.input_size,
        "average": average(net),
        "weights": weights(net),
        "dtype": str(net.dtype),
        "classes": net.classes,
        "provenance": net.provenance,
        "layers": [
            {
                "number": number,
                "name": layer.name,
                "type": layer.kind,
                "takes": net.takes[number],
                "filters": layer.filters.shape if isinstance(layer, WITH_FILTERS) else None,
                "channels": channels,
                "size": size,
                "field": exact(field.size) if field else None,
                "jump": exact(field.stride) if field else None,
                "offset": exact(field.offset) if field else None,
                "decodes_to": exact((net.channels[0], *field.size))
                if field and isinstance(layer, WITH_FILTERS)
                else None,
                "parameters": parameters(layer),
            }
            for number, layer, channels, size, field in layers(net)
        ],
    }


def layers(net: Network) -> Iterator[tuple[int, Layer, int, Pair | None, ReceptiveField | None]]:
    """Yield each layer's number, itself, its channels, size of output and field, where known."""
    sizes = {} if net.input_size is None else net.sizes
    for number, layer in enumerate(net, 1):
        yield number, layer, net.channels[number], sizes.get(number), field_of(net, number)


def field_of(net: Network, number: int) -> ReceptiveField | None:
    """Return what a layer's pixels see of the image, if it has a single filter."""
    try:
        return fdref.receptive_field(net, number)
    except ArgumentError:
        return None


def takes(net: Network, number: int) -> str:
    """Say which maps a layer takes, if it is not that of the layer before it alone."""
    taken = net.takes[number]
    return "" if taken == (number - 1,) else ", ".join(map(str, taken))


def about(model: str, net: Network) -> list[str]:
    """Describe a network as a whole."""
    size = "any size" if net.input_size is None else by(net.input_size)
    lines = [
        f"model    {model}",
        f"input    {net.channels[0]} x {size}, average to subtract: {average(net) or 'none'}",
        f"weights  {weights(net):,} in filters, {net.dtype}",
    ]
    if net.classes:
        lines.append(f"classes  {len(net.classes)}: {', '.join(net.classes)}")
    if net.provenance:
        lines.append(f"origin   {net.provenance}")
    return lines


def average(net: Network) -> str | None:
    """Return what is subtracted from images: an image, a colour, or nothing."""
    if net.average is None:
        return None
    return "colour" if net.average.shape[1:] == (1, 1) else "image"


def weights(net: Network) -> int:
    """Count the weights in filters."""
    return sum(layer.filters.size for layer in net if isinstance(layer, WITH_FILTERS))


def rows(net: Network) -> Iterator[tuple[str, ...]]:
    """Describe each layer, in the order of `COLUMNS`."""
    for number, layer, channels, size, field in layers(net):
        yield (
            str(number),
            printable(layer.name, LONGEST_NAME),
            layer.kind,
            takes(net, number),
            by(layer.filters.shape) if isinstance(layer, WITH_FILTERS) else "",
            details(layer),
            f"{channels} x {by(size) if size else 'any'}",
            by(field.size) if field else "none",
            by(field.stride) if field else "none",
            f"{net.channels[0]} x {by(field.size)}"
            if field and isinstance(layer, WITH_FILTERS)
            else "",
        )


def parameters(layer: Layer) -> dict[str, Any]:
    """Return what programs may want to know of a layer beside its weights."""
    parts = {k: dict(v) if k == "fields" else v for k, v in layer.parts().items()}.items()
    return {
        name: part
        for name, part in parts
        if name != "name" and part is not None and not isinstance(part, np.ndarray)
    }


def details(layer: Layer) -> str:
    """Describe what is not as in the simplest layer of its kind."""
    match layer:
        case Conv(stride=stride, pad=pad, dilate=dilate):
            spread = f"dilate {by(dilate)}" if dilate != (1, 1) else ""
            return _join(_steps(stride, pad), spread)
        case Pool(method=method, window=window, stride=stride, pad=pad):
            return _join(f"{method} {by(window)}", _steps(stride, pad))
        case ReLU(leak=leak) if leak:
            return f"leak {leak:g}"
        case Normalize(size=size):
            constants = f"kappa {layer.kappa:g}, alpha {layer.alpha:g}, beta {layer.beta:g}"
            return f"{size} channels, {constants}"
        case BatchNorm(gain=gain):
            return f"{len(gain)} channels"
        case Channels(indices=indices):
            return f"{len(indices)} of them"
        case ReLU() | Dropout():
            return ""
        case Unknown(fields=fields):
            return printable(", ".join(f"{name} {value}" for name, value in fields), LONGEST_LINE)
        case _:
            return ", ".join(
                f"{name} {by(part) if isinstance(part, tuple) else part}"
                for name, part in parameters(layer).items()
            )


def by(numbers: Sequence[int]) -> str:
    """Write sizes as in 28x28.

    >>> by((28, 2**70))
    '28x2^70'
    """
    return "x".join(
        str(n) if abs(n) <= LARGEST else f"2^{int(n).bit_length() - 1}" for n in numbers
    )


def exact(numbers: Sequence[int]) -> Sequence[int] | None:
    """Return numbers as they are, fractions as floats; None where a program may read others."""
    plain = tuple(n if isinstance(n, int) else float(n) for n in numbers)
    return plain if max(map(abs, plain)) <= LARGEST else None


def _steps(stride: Pair, pad: Margins) -> str:
    return _join(
        f"stride {by(stride)}" if stride != (1, 1) else "",
        f"pad {' '.join(map(str, pad))}" if any(pad) else "",
    )


def _join(*parts: str) -> str:
    return ", ".join(filter(None, parts))

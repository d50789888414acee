"""`fdref info`: a network's layers and what can be decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import fdref
from fdref.commands.table import LONGEST_NAME, print_table, printable
from fdref.layers import BatchNorm, Conv, Normalize, Pool, ReLU

if TYPE_CHECKING:
    import argparse

    from fdref.geometry import Margins, Pair
    from fdref.layers import Layer
    from fdref.network import Network

COLUMNS = ("layer", "name", "type", "filters", "details", "output", "field", "jump", "decodes to")
LONGEST_LINE = 200
"""Characters of a line about the network that are shown."""


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "info",
        help="show a network's layers and what can be decoded",
        description="Show a network's layers: type, filters, output, receptive field and jump in "
        "pixels of the input, and the size of the decoded filters.",
    )
    parser.add_argument(
        "model", metavar="MODEL", nargs="?", help="a SimpleNN .mat file, v7.3 (the shipped LeNet)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """Print what there is to know about a network."""
    net = fdref.load(options.model)
    model = "the shipped LeNet" if options.model is None else options.model
    for line in about(model, net):
        print(printable(line, LONGEST_LINE))
    print()
    print_table(COLUMNS, [row(net, number) for number in range(1, len(net) + 1)])


def about(model: str, net: Network) -> list[str]:
    """Describe a network as a whole."""
    size = "any size" if net.input_size is None else by(net.input_size)
    count = sum(filters.size for filters in (x.filters for x in net if isinstance(x, Conv)))
    average = "none"
    if net.average is not None:
        average = "colour" if net.average.shape[1:] == (1, 1) else "image"
    lines = [
        f"model    {model}",
        f"input    {net.channels[0]} x {size}, average to subtract: {average}",
        f"weights  {count:,} in filters, {net.dtype}",
    ]
    if net.classes:
        lines.append(f"classes  {len(net.classes)}: {', '.join(net.classes)}")
    if net.provenance:
        lines.append(f"origin   {net.provenance}")
    return lines


def row(net: Network, number: int) -> tuple[str, ...]:
    """Describe one layer."""
    layer = net[number]
    field = fdref.receptive_field(net, number)
    filters = by(layer.filters.shape) if isinstance(layer, Conv) else ""
    sizes = None if net.input_size is None else net.map_sizes(net.input_size)
    size = by(sizes[number]) if sizes else "any"
    decoded = f"{net.channels[0]} x {by(field.size)}" if number in net.decodable else ""
    return (
        str(number),
        printable(layer.name, LONGEST_NAME),
        layer.kind,
        filters,
        details(layer),
        f"{net.channels[number]} x {size}",
        by(field.size),
        by(field.stride),
        decoded,
    )


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
        case _:
            return ""


def by(numbers: tuple[int, ...]) -> str:
    """Write sizes as in 28x28."""
    return "x".join(map(str, numbers))


def _steps(stride: Pair, pad: Margins) -> str:
    return _join(
        f"stride {by(stride)}" if stride != (1, 1) else "",
        f"pad {' '.join(map(str, pad))}" if any(pad) else "",
    )


def _join(*parts: str) -> str:
    return ", ".join(filter(None, parts))

"""The network in the variables of a MatConvNet file, wherever it stands, and what is told of it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.errors import NetworkError, one_line
from fdref.weights import dagnn, simplenn
from fdref.weights.assembly import Assembly
from fdref.weights.bounded import Budget
from fdref.weights.matlab import Unsupported
from fdref.weights.stored import Edit, Given
from fdref.weights.structs import (
    brief,
    described,
    from_matlab,
    structs,
    take,
    text,
    unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from fdref.geometry import Pair
    from fdref.network.graph import Network
    from fdref.weights.matlab import Value
    from fdref.weights.stored import Stored
    from fdref.weights.structs import Struct

AVERAGES = ("averageImage", "imageMean")
"""What the average is called, in a net, its `normalization`, or beside the net."""


def network_from(
    variables: Struct,
    budget: Budget | None = None,
    edit: Edit | None = None,
    given: Given | None = None,
) -> Network:
    """Put together the network in a file's variables.

    Parameters
    ----------
    variables : mapping
        As `fdref.weights.matlab.read` returns them.
    budget : Budget, optional
        What the network's own copies of the weights may take.
    edit : Edit, optional
        Which layers are left out, or translated by others.
    given : Given, optional
        What is known of the images, in place of what the file says.

    Raises
    ------
    NetworkError
        If there is none, or its layers do not fit.
    FileError
        If the weights would take too much memory.
    """
    budget, edit = Budget() if budget is None else budget, edit or Edit({}, ())
    given = given or Given()
    net = _net(variables)
    about = _about(net, variables)
    shapes = map(_input_shape, (about, net, variables))
    size, channels = next((shape for shape in shapes if any(shape)), (None, None))
    size, channels = given.size or size, given.channels or channels
    if "params" in net and "vars" in net:
        layers, inputs = dagnn.stored_layers(net, edit.hooks)
        layers = _renamed(layers, about)
        translate = partial(dagnn.translated, budget=budget)
    else:
        layers, inputs = simplenn.stored_layers(net), [simplenn.INPUT]
        translate = partial(simplenn.translated, budget=budget)
    assembly = Assembly(inputs, channels, size)
    assembly.told |= _input_channels(inputs, about)
    assembly.add(layers, translate, edit)
    average = _average([about, net, variables], assembly.channels, budget)
    return assembly.network(
        average=average,
        input_size=size,
        classes=_classes([about, variables]),
        provenance=text(about, "provenance"),
    )


def _net(variables: Struct) -> Struct:
    """Find the struct that has layers."""
    found = [struct for struct in _candidates(variables) if "layers" in struct]
    if found:
        return found[0]
    net = variables.get("net")
    if isinstance(net, Unsupported):
        raise NetworkError(f"`net` is {unsupported(net)}; expected a struct with a field `layers`")
    several = [name for name, value in variables.items() if _has_layers(value)]
    if len(several) > 1:
        raise NetworkError(
            f"there are {len(several)} networks among the file's variables "
            f"({one_line(', '.join(several), 400)}); expected one: save it alone, as `net`"
        )
    names = islice(sorted(variables.items()), 20)
    there = ", ".join(f"{name}: {brief(value)}" for name, value in names) or "none"
    raise NetworkError(
        f"there is no network among the file's variables ({one_line(there, 400)}); expected `net` "
        "with a field `layers`, or `layers` itself"
    )


def _about(net: Struct, variables: Struct) -> Struct:
    """Return what tells of a net: its `meta`, one beside it, or in older files the net itself."""
    found = [place.get("meta") for place in (net, variables)]
    return next((meta for meta in found if isinstance(meta, dict)), net)


def _candidates(variables: Struct) -> Iterator[Struct]:
    """Yield what may be a network, the likeliest first."""
    net = variables.get("net")
    if isinstance(net, dict):
        yield net
        inner = [one for one in net.values() if _has_layers(one)]
        if len(inner) == 1 and isinstance(inner[0], dict):
            yield inner[0]
    if isinstance(net, list):  # of structs: the layers themselves
        yield {"layers": net}
    yield variables
    others = [value for value in variables.values() if _has_layers(value)]
    inside = [
        inner
        for value in variables.values()
        if isinstance(value, dict)
        for inner in value.values()
        if _has_layers(inner)
    ]
    for found in (others, inside):
        if len(found) == 1 and isinstance(found[0], dict):
            yield found[0]


def _has_layers(value: Value) -> bool:
    return isinstance(value, dict) and "layers" in value


def _input_shape(about: Struct) -> tuple[Pair | None, int | None]:
    """Return the size and number of channels of the input, as far as a net's `meta` tells."""
    normalization = about.get("normalization")
    found = about.get("inputSize")
    if not _is_size(found) and isinstance(normalization, dict):
        found = normalization.get("imageSize")
    if not _is_size(found):  # DagNN's
        first = next(iter(structs(about, "inputs")), None)
        found = first.get("size") if isinstance(first, dict) else None
    if not isinstance(found, np.ndarray) or not _is_size(found):
        return None, None
    if found.size > 2 and np.isnan(found.ravel()[:2]).all() and found.ravel()[2] >= 1:
        return None, int(found.ravel()[2])
    shape = [int(n) if np.isfinite(n) else 0 for n in found.ravel()[:3]]
    if min(shape) < 1:
        return None, None
    return (shape[0], shape[1]), shape[2] if len(shape) > 2 else None


def _input_channels(inputs: Sequence[str], about: Struct) -> dict[int, int]:
    """Return the channels of the inputs that DagNN's `meta.inputs` names."""
    found = {}
    for struct in structs(about, "inputs"):
        if isinstance(struct, dict) and text(struct, "name") in inputs:
            size = struct.get("size")
            if isinstance(size, np.ndarray) and size.size > 2 and size.ravel()[2] >= 1:
                found[-inputs.index(text(struct, "name"))] = int(size.ravel()[2])
    return found


def _renamed(layers: Sequence[Stored], about: Struct) -> list[Stored]:
    """Give layers the names that they had before MATLAB wanted others: see `matconvnet_write`."""
    names = about.get("layerNames")
    if not isinstance(names, list) or len(names) != len(layers):
        return list(layers)
    return [
        replace(layer, name=name) if isinstance(name, str) else layer
        for layer, name in zip(layers, names, strict=True)
    ]


def _is_size(found: Value | None) -> bool:
    return isinstance(found, np.ndarray) and found.size >= 2


def _average(places: list[Struct], channels: int | None, budget: Budget) -> NDArray[Any] | None:
    """Return the average image (C, H, W) or colour (C,); one channel, or number, stands for all."""
    name, found = next(_averages(places), ("", None))
    if found is None:
        return None
    if not isinstance(found, np.ndarray):
        raise NetworkError(f"`{name}` is {described(found)}; expected an array of numbers")
    if found.size in (1, channels):
        take(budget, name, found)
        colour = found.ravel()
        return colour if found.size == channels else np.repeat(colour, channels or 1)
    image = from_matlab(found, 3)
    if channels and len(image) % channels:  # filters may be in groups
        if len(image) != 1:
            raise NetworkError(
                f"`{name}` has {len(image)} channels; expected {channels}, or one for all"
            )
        image = np.broadcast_to(image, (channels, *image.shape[1:]))  # as MATLAB subtracts it
    take(budget, name, image)
    return image


def _averages(places: list[Struct]) -> Iterator[tuple[str, Value]]:
    """Yield the averages that are there, and what they are called."""
    for place in places:
        normalization = place.get("normalization")
        inner = [normalization] if isinstance(normalization, dict) else []
        for struct in (*inner, place):
            for name in AVERAGES:
                value = struct.get(name)
                if value is not None and not (isinstance(value, np.ndarray) and not value.size):
                    yield name, value


def _classes(places: list[Struct]) -> list[str]:
    """Return the names of the classes, preferring words over codes."""
    for place in places:
        found = place.get("classes")
        if isinstance(found, dict):
            found = found.get("description", found.get("name"))
        if isinstance(found, list) and found:
            return [name if isinstance(name, str) else _class_number(name) for name in found]
    return []


def _class_number(name: Value) -> str:
    return str(name.item()) if isinstance(name, np.ndarray) and name.size == 1 else "?"

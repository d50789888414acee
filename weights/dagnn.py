"""MatConvNet's DagNN, as its `saveobj` writes it: layers, parameters and variables by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from fdref.errors import NetworkError, one_line
from fdref.layers import Concat, Pad, Product, Scale, Softmax, Sum
from fdref.weights.matconvnet_layers import TRANSLATIONS, arrays
from fdref.weights.matlab import Unsupported
from fdref.weights.stored import Stored, in_order
from fdref.weights.structs import structs, text, texts, unsupported, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from fdref.layers import Layer
    from fdref.weights.assembly import Map
    from fdref.weights.bounded import Budget
    from fdref.weights.matlab import Value
    from fdref.weights.structs import Struct

    Joining = Callable[[Stored, Sequence[Map], Budget], Layer | None]

SIMPLE = {
    "Conv": "conv",
    "ConvTranspose": "convt",
    "Pooling": "pool",
    "ReLU": "relu",
    "Sigmoid": "sigmoid",
    "BatchNorm": "bnorm",
    "LRN": "lrn",
    "DropOut": "dropout",
    "SoftMax": "softmax",
}
"""Types of one map, and what SimpleNN calls them."""
PREFIX = "dagnn."
CHANNELS = 3
"""MATLAB's number for the axis of channels."""
IMAGE = "input"


def stored_layers(net: Struct, hooked: Collection[str]) -> tuple[list[Stored], list[str]]:
    """Return the layers of a DagNN in an order in which they can be computed, and its inputs.

    Parameters
    ----------
    net : struct
    hooked : collection of str
        Types that whoever loads the file translates.

    Raises
    ------
    NetworkError
        If something is no struct, or named and not there, or layers stand on each other in a
        circle.
    """
    params = _params(net)
    layers = [
        layer
        for number, struct in enumerate(structs(net, "layers"), 1)
        for layer in _stored(number, struct, params)
    ]
    made, taken = {x.gives for x in layers}, {name for x in layers for name in x.takes}
    layers = [x for x in layers if x.gives in taken or not _only_compares(x)]
    kinds = {*SIMPLE, *JOINING, *hooked}
    known = [x for x in layers if x.kind in kinds]
    used = {name for x in known for name in x.takes[: 1 if x.kind == "Loss" else None]} - made
    order = [*_variables(net), *sorted(used)]
    # What only layers of people's own take is mostly what a loss compares with: no input.
    inputs = list(dict.fromkeys(name for name in order if name in used)) or [IMAGE]
    layers = [_without(x, taken - made - set(inputs)) for x in layers]
    ends = [x for x in layers if x.gives not in taken and x.kind not in kinds]
    inner = in_order([x for x in layers if x.gives in taken or x.kind in kinds], inputs)
    return [*inner, *in_order(ends, [*inputs, *(x.gives for x in inner)])], inputs


def translated(stored: Stored, taken: Sequence[Map], budget: Budget) -> Layer | None:
    """Translate a layer, if its type is MatConvNet's own."""
    if stored.kind in JOINING:
        return JOINING[stored.kind](stored, taken, budget)
    if stored.kind not in SIMPLE:
        return None
    if len(taken) != 1:
        raise NetworkError(f"it takes {len(taken)} maps; expected 1")
    return TRANSLATIONS[SIMPLE[stored.kind]](stored.fields, stored.name, budget)


def _params(net: Struct) -> dict[str, Value]:
    """Return the weights by their names."""
    found: dict[str, Value] = {}
    for number, struct in enumerate(structs(net, "params"), 1):
        if not isinstance(struct, dict) or not isinstance(struct.get("name"), str):
            raise NetworkError(f"parameter {number} has no name; expected a struct with `name`")
        found[text(struct, "name")] = struct.get("value", [])
    return found


def _variables(net: Struct) -> list[str]:
    """Return the names of the maps, in the file's order."""
    return [text(struct, "name") for struct in structs(net, "vars") if isinstance(struct, dict)]


def _stored(number: int, struct: Value, params: Mapping[str, Value]) -> list[Stored]:
    """Read one layer, once for each map that it makes."""
    kind = struct.get("type") if isinstance(struct, dict) else struct
    if isinstance(kind, Unsupported):
        raise NetworkError(f"layer {number} or its type is {unsupported(kind)}; expected text")
    if not isinstance(struct, dict) or not isinstance(kind, str):
        raise NetworkError(f"layer {number} has no type; expected a struct with a field `type`")
    name, block = text(struct, "name"), struct.get("block", {})
    label = f"layer {number} ({one_line(kind)} {one_line(name)!r})"
    if isinstance(block, Unsupported):
        raise NetworkError(f"{label}: its block is {unsupported(block)}; expected a struct")
    try:
        takes, gives, names = (texts(struct, key) for key in ("inputs", "outputs", "params"))
    except NetworkError as error:
        raise NetworkError(f"{label}: {error}") from None
    missing = [one for one in names if one not in params]
    if missing:
        raise NetworkError(
            f"{label} uses the parameter {one_line(missing[0])!r}, which the file does not have"
        )
    fields: dict[str, Value] = dict(block) if isinstance(block, dict) else {}
    if "poolSize" in fields:
        fields["pool"] = fields.pop("poolSize")
    fields["weights"] = [params[one] for one in names]
    return [
        Stored(kind.removeprefix(PREFIX), name, fields, tuple(takes), own, tuple(names))
        for own in gives or [f"(nothing) {number}"]
    ]


def _only_compares(layer: Stored) -> bool:
    """Tell a loss of MatConvNet's from the one that is a softmax, too, and its default."""
    return layer.kind == "Loss" and text(layer.fields, "loss") not in ("softmaxlog", "")


def _without(layer: Stored, maps: Collection[str]) -> Stored:
    """Return a layer that does not take some of the maps, unless it takes no others."""
    takes = tuple(name for name in layer.takes if name not in maps)
    return replace(layer, takes=takes) if takes else layer


def _sum(stored: Stored, taken: Sequence[Map], _: Budget) -> Layer:
    return Sum(name=stored.name) if len(taken) > 1 else Concat(stored.name)


def _concat(stored: Stored, _: Sequence[Map], __: Budget) -> Layer | None:
    axis = whole(stored.fields, "dim", CHANNELS)[0]
    return Concat(stored.name) if axis == CHANNELS else None


def _scale(stored: Stored, taken: Sequence[Map], budget: Budget) -> Layer:
    if len(taken) > 2 or (len(taken) == 2 and stored.fields["weights"]):
        raise NetworkError(
            f"it takes {len(taken)} maps and {len(stored.shares)} parameters; expected one map, or "
            "two without parameters: leave it out, or translate it"
        )
    if len(taken) == 2:
        return Product(stored.name)
    factor, offset = arrays(stored.fields, budget)[:2]
    count = taken[0].channels if taken and taken[0].channels else factor.size
    if factor.size not in (1, count) or offset.size not in (0, 1, count):
        found = " and ".join(str(own.size) for own in (factor, offset) if own.size)
        raise NetworkError(
            f"its parameters have {found} numbers; expected one for each of {count} channels"
        )
    own = factor.ravel() if factor.size == count else factor.ravel().repeat(count)
    shift = offset.ravel() if offset.size == count else offset.ravel().repeat(count)
    return Scale(own, shift if shift.size else None, stored.name)


def _crop(stored: Stored, taken: Sequence[Map], _: Budget) -> Layer:
    """Cut the first map to the size of the second."""
    if len(taken) != 2:
        raise NetworkError(f"it takes {len(taken)} maps; expected 2")
    large, small = taken[0].size, taken[1].size
    if large is None or small is None:
        raise NetworkError("how much it cuts depends on the size of the images; name input_size")
    first = (whole(stored.fields, "crop", 0) * 2)[:2]
    last = [large[a] - small[a] - first[a] for a in (0, 1)]
    return Pad((-first[0], -last[0], -first[1], -last[1]), stored.name)


def _loss(stored: Stored, _: Sequence[Map], __: Budget) -> Layer | None:
    return None if _only_compares(stored) else Softmax(stored.name)


JOINING: dict[str, Joining] = {
    "Sum": _sum,
    "Concat": _concat,
    "Scale": _scale,
    "Crop": _crop,
    "Loss": _loss,
}
"""Types that take several maps, or may."""

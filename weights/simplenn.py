"""MatConvNet's SimpleNN: a cell of structs, each a layer on the one before."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.errors import NetworkError
from fdref.weights.matconvnet_layers import TRANSLATIONS
from fdref.weights.matlab import Unsupported
from fdref.weights.stored import Stored
from fdref.weights.structs import structs, text, unsupported

if TYPE_CHECKING:
    from collections.abc import Sequence

    from fdref.layers import Layer
    from fdref.weights.assembly import Map
    from fdref.weights.bounded import Budget
    from fdref.weights.matlab import Value
    from fdref.weights.structs import Struct

INPUT = "input"
LOSSES = ("loss", "pdist")
"""Types that compare a network's answer with the right one: no part of it."""


def stored_layers(net: Struct) -> list[Stored]:
    """Return the layers of a SimpleNN struct; a loss at its end is left out.

    Raises
    ------
    NetworkError
        If one has no type.
    """
    layers: list[Stored] = []
    for number, struct in enumerate(structs(net, "layers"), 1):
        below = layers[-1].gives if layers else INPUT
        layers.append(_stored(number, struct, below))
    return layers[:-1] if layers and layers[-1].kind in LOSSES else layers


def _stored(number: int, struct: Value, below: str) -> Stored:
    kind = struct.get("type") if isinstance(struct, dict) else struct
    if isinstance(kind, Unsupported):
        raise NetworkError(f"layer {number} or its type is {unsupported(kind)}; expected text")
    if not isinstance(struct, dict) or not isinstance(kind, str):
        raise NetworkError(f"layer {number} has no type; expected a struct with a field `type`")
    return Stored(kind, text(struct, "name"), struct, (below,), f"map {number}")


def translated(stored: Stored, taken: Sequence[Map], budget: Budget) -> Layer | None:  # noqa: ARG001 - as all of them
    """Translate a layer, if its type is MatConvNet's own."""
    translation = TRANSLATIONS.get(stored.kind)
    return None if translation is None else translation(stored.fields, stored.name, budget)

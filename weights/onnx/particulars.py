"""What a network is told beside its layers, in a model's metadata: under keys of our own."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fdref.network.graph import Network

CLASSES, PROVENANCE, AVERAGE = "fdref.classes", "fdref.provenance", "fdref.average"
"""Keys; the last has the name of the value from which the average was subtracted."""


class Particulars(TypedDict):
    """Arguments of `Network`."""

    classes: list[str]
    provenance: str


def particulars(metadata: Mapping[str, str]) -> Particulars:
    """Return classes and provenance, as far as they are told."""
    try:
        found = json.loads(metadata.get(CLASSES, "[]"))
    except (ValueError, RecursionError):
        found = []
    words = isinstance(found, list) and all(isinstance(name, str) for name in found)
    return {"classes": found if words else [], "provenance": metadata.get(PROVENANCE, "")}


def metadata_of(net: Network) -> dict[str, str]:
    """Return the metadata that tell as much."""
    written = {CLASSES: json.dumps(net.classes) if net.classes else "", PROVENANCE: net.provenance}
    return {key: value for key, value in written.items() if value}

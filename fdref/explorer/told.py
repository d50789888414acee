"""What a page tells, as JSON: numbers short, and nothing that ends a script."""

from __future__ import annotations

import json
from math import isfinite
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.drawing.grid import SEAM, columns_within
from fdref.explorer.pictures import GAP, text_of
from fdref.layers import Pool
from fdref.network.fields import ancestors

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from fdref.explorer.connections import Link
    from fdref.explorer.contents import Asked, Layer, Others
    from fdref.explorer.pictures import Atlas
    from fdref.network.graph import Network

DIGITS, SCALE_DIGITS = 4, 9
"""Of what people read, and of what makes numbers of shades again: as many as float32 has."""
GREY, COLOURS = ("grey",), ("red", "green", "blue")


def json_of(value: object) -> str:
    r"""Return JSON that stands in a page as it is, whatever names a network's file has.

    >>> json_of("</script>")
    '"\\u003c/script>"'
    """
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c")


def told_of(
    asked: Asked,
    model: str,
    other: str,
    layers: Sequence[Layer],
    others: Sequence[Others],
) -> tuple[dict[str, Any], dict[str, dict[str, str]]]:
    """Return what a page tells, and its pictures by layer and by what they show."""
    net = asked.net
    channels = net.channels[0]
    names = {1: GREY, 3: COLOURS}.get(channels, tuple(map(str, range(channels))))
    told: dict[str, Any] = {
        "title": model,
        "model": model,
        "unpool": asked.unpool,
        "exact": asked.exact,
        "bgr": asked.bgr and channels == len(COLOURS),
        "inputs": list(names),
        "seam": SEAM,
        "layers": [_layer(asked, layer) for layer in layers],
    }
    pictures = {str(layer.number): _pictures(layer) for layer in layers}
    if asked.images is not None:
        told["images"] = list(asked.images.names)
    if asked.against is not None:
        told["other"] = {
            "model": other,
            "layers": [
                {"number": one.number, **_named(asked.against, one.number), **_bank(one)}
                for one in others
            ],
        }
        pictures |= {
            f"other{one.number}": {"overview": text_of(one.overview.data)} for one in others
        }
    return told, pictures


def _layer(asked: Asked, layer: Layer) -> dict[str, Any]:
    """Return what there is to tell of a layer."""
    net, own = asked.net, layer.traits
    told: dict[str, Any] = {
        "number": layer.number,
        **_named(net, layer.number),
        **_bank(layer),
        "unpools": any(n > 0 and isinstance(net[n], Pool) for n in ancestors(net, layer.number)),
        "energy": short(own.energy),
        "orientation": short(own.orientation),
        "oriented": short(own.oriented),
        "frequency": short(own.frequency),
        "colourfulness": short(own.colourfulness),
        "made": _links([parts.largest for parts in layer.made]),
        "rest": [[parts.others, _parts_of_10000(parts.rest)] for parts in layer.made],
        "used": _links(layer.used),
        "alike": [
            [
                number
                for k, cosine in zip(*both, strict=True)
                for number in (int(k), round(1000 * float(cosine)))
            ]
            for both in zip(*layer.alike, strict=True)
        ],
        "steps": [
            {
                "map": step.map,
                "name": net.describe(step.map),
                "channels": step.channels,
                "overview": _atlas(step.pictures),
            }
            for step in layer.steps
        ],
    }
    if net.channels[0] == 3:
        told["colour"] = [short(axis) for axis in own.colour]
    if layer.large is not None:
        told["large"] = {"ends": list(layer.large.ends), "size": list(layer.large.size)}
    if layer.excited is not None:
        told["excited"] = {
            "values": [short(row) for row in layer.excited.values],
            "images": layer.excited.images.tolist(),
            "patches": _atlas(layer.excited.patches),
            "projections": _atlas(layer.excited.projections),
        }
    if layer.matched is not None:
        told["matched"] = {
            "layer": layer.matched.other_layer,
            "partners": layer.matched.partners.tolist(),
            "likeness": short(layer.matched.likeness),
            "optimal": layer.matched.optimal,
        }
    if layer.number == _classifying(net):
        told["names"] = list(net.classes)
    return told


def _links(several: Sequence[Sequence[Link]]) -> dict[str, Any]:
    """Return connections as whole numbers, the layer once for all where it is one."""
    ends = {link.layer for links in several for link in links}
    one = ends.pop() if len(ends) == 1 else None
    return {
        "layer": one,
        "links": [
            [
                number
                for link in links
                for number in (
                    *(() if one is not None else (link.layer,)),
                    link.neuron,
                    _parts_of_10000(link.share),
                )
            ]
            for links in several
        ],
    }


def _parts_of_10000(share: float) -> int:
    return round(10000 * float(share))


def _classifying(net: Network) -> int | None:
    """Return the last layer with filters if its neurons are the classes."""
    last = net.decodable[-1] if net.decodable else None
    return last if last is not None and net.channels[last] == len(net.classes) else None


def _named(net: Network, number: int) -> dict[str, Any]:
    return {"name": net[number].name, "label": net.describe(number)}


def _bank(layer: Layer | Others) -> dict[str, Any]:
    return {
        "shape": list(layer.shape),
        "across": columns_within(layer.shape[1]),
        "largest": short(layer.largest, SCALE_DIGITS),
        "overview": _atlas(layer.overview),
    }


def _atlas(atlas: Atlas) -> dict[str, Any]:
    return {"columns": atlas.columns, "size": list(atlas.size), "gap": GAP}


def _pictures(layer: Layer) -> dict[str, str]:
    """Return a layer's pictures by what they show, as text."""
    found = {"overview": layer.overview.data}
    if layer.large is not None:
        found["large"] = layer.large.data
    if layer.excited is not None:
        found["patches"] = layer.excited.patches.data
        found["projections"] = layer.excited.projections.data
    found |= {f"step{n}": step.pictures.data for n, step in enumerate(layer.steps)}
    return {what: text_of(data) for what, data in found.items()}


def short(values: Iterable[float] | NDArray[Any], digits: int = DIGITS) -> list[float | None]:
    """Return numbers of so many digits; None for what is not finite.

    >>> short([0.123456, float("nan"), 1234567.0])
    [0.1235, None, 1235000.0]
    """
    rounded = (float(f"{value:.{digits}g}") for value in np.asarray(values, np.float64).tolist())
    return [value if isfinite(value) else None for value in rounded]

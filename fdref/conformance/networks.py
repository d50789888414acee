"""Networks as a case describes them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fdref
from fdref.layers import BatchNorm, Conv, Normalize, Pool, ReLU, Softmax
from fdref.network.graph import Network
from fdref.weights import SHIPPED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fdref.conformance.case import Arrays
    from fdref.layers import Layer


LENET, MODEL = "lenet.mat", "model.mat"
"""The networks that a kit may have as files: the shipped one, and somebody's own."""


def network_of(
    parameters: Mapping[str, Any], inputs: Arrays, folder: Path | None, model: Network | None = None
) -> Network:
    """Put together the parameter `network`; a file lies in the kit's folder.

    Without a folder, they are the shipped LeNet, and `model`.

    Raises
    ------
    FdrefError
        If the layers are wrong or do not fit each other, or the file cannot be read.
    """
    described = parameters["network"]
    if isinstance(described, dict):
        name = Path(described["file"]).name
        if name == MODEL and model is not None:
            return model
        if name != LENET and folder is None:
            raise fdref.NetworkError(f"{name} lies in a kit's folder; say which")
        path = SHIPPED if folder is None else folder / name
        return _loaded(path, path.stat().st_mtime_ns if path.exists() else 0)
    return Network(
        [layer_of(entry, inputs) for entry in described],
        input_channels=_input_channels(described, inputs),
    )


@lru_cache(maxsize=2)
def _loaded(path: Path, changed: int) -> Network:  # noqa: ARG001 - another file of that name
    return fdref.load(path)


def layer_of(entry: Mapping[str, Any], inputs: Arrays) -> Layer:
    """Put together one layer; its arrays are named."""
    match entry["type"]:
        case "conv":
            bias = None if entry["bias"] is None else inputs[entry["bias"]]
            filters = inputs[entry["filters"]]
            return Conv(filters, bias, entry["stride"], entry["pad"], entry["dilate"])
        case "pool":
            return Pool(entry["window"], entry["stride"], entry["pad"], entry["method"])
        case "relu":
            return ReLU(entry["leak"])
        case "normalize":
            return Normalize(entry["size"], entry["kappa"], entry["alpha"], entry["beta"])
        case "bnorm":
            moments = inputs[entry["moments"]]
            return BatchNorm(inputs[entry["gain"]], inputs[entry["bias"]], *moments.T)
        case "softmax":
            return Softmax()
        case other:
            raise fdref.NetworkError(f"a layer has the type {other!r}; see SPECIFICATION.md")


def _input_channels(described: list[Mapping[str, Any]], inputs: Arrays) -> int | None:
    """Return the channels of the images: the first layer with weights tells."""
    for entry in described:
        if entry["type"] == "conv":
            return int(inputs[entry["filters"]].shape[1]) * int(entry["groups"])
        if entry["type"] == "bnorm":
            return len(inputs[entry["gain"]])
    return None

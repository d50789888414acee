"""Networks as a case describes them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import fdref
from fdref.conformance.archives import packed, unpacked
from fdref.layers import (
    BatchNorm,
    Concat,
    Conv,
    ConvTranspose,
    Dropout,
    Elementwise,
    Normalize,
    Pool,
    Product,
    ReLU,
    Scale,
    Softmax,
    Sum,
)
from fdref.network.graph import Network
from fdref.weights import SHIPPED
from fdref.weights.bounded import Budget, contents
from fdref.weights.files import refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from fdref.conformance.archives import Format
    from fdref.conformance.case import Arrays
    from fdref.layers import Layer


WITHOUT_PARAMETERS: dict[str, Callable[[], Layer]] = {
    "softmax": Softmax,
    "sum": Sum,
    "concat": Concat,
    "product": Product,
    "dropout": Dropout,
}
"""Types of layers that are nothing but that."""

BEYOND_CHAINS = ("convt", "sum", "concat", "scale", "product", "sigmoid", "dropout")
"""Types of layers that only graphs have, as cases go."""

LENET, MODEL = "lenet", "model.mat"
"""The networks that a kit may have as files: the shipped one, and somebody's own."""

LENET_FILES: dict[Format, str] = {"npz": "lenet.npz", "h5": "lenet.mat"}
"""What the shipped one is called in kits of each format."""


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
        path = place_of(name, folder)
        return _loaded(path, path.stat().st_mtime_ns if path.exists() else 0)
    return Network(
        [layer_of(entry, inputs) for entry in described],
        wiring={n: own["inputs"] for n, own in enumerate(described, 1) if "inputs" in own},
        input_channels=_input_channels(described, inputs),
        input_size=parameters.get("input_size"),
    )


def is_graph(parameters: Mapping[str, Any]) -> bool:
    """Tell whether the parameter `network` lists layers of which section 9.1 speaks."""
    described = parameters.get("network")
    return isinstance(described, list) and any(
        "inputs" in own or own.get("type") in BEYOND_CHAINS for own in described
    )


def place_of(name: str, folder: Path | None) -> Path:
    """Return where the file of a network lies, in a kit's folder if there is one."""
    if folder is None:
        return SHIPPED
    files = LENET_FILES.values() if name == LENET else [name]
    return next((folder / file for file in files if (folder / file).exists()), folder / name)


@lru_cache(maxsize=2)
def _loaded(path: Path, changed: int) -> Network:  # noqa: ARG001 - another file of that name
    if path.suffix != ".npz":
        return fdref.load(path)
    arrays, parameters = unpacked(contents(path, "a network"), "npz", f"{path}", Budget())
    try:
        return network_of(json.loads(parameters), arrays, None)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise refusal(f"{path}", f"is no network: {type(error).__name__} {error}") from None


def lenet_bytes(form: Format) -> bytes:
    """Return the file of the shipped network, as MatConvNet has it or as a case's list of layers.

    >>> lenet_bytes("npz")[:2]
    b'PK'
    """
    if form == "h5":
        return SHIPPED.read_bytes()
    entries, arrays = listed(fdref.load())
    return packed(arrays, json.dumps({"network": entries}), "npz")


def listed(net: Network) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Describe a chain like LeNet as `network` does, and return its arrays by name.

    Raises
    ------
    NetworkError
        If it has groups, other layers than LeNet's, or joins maps.
    """
    entries: list[dict[str, Any]] = []
    arrays: dict[str, Any] = {}
    for number, layer in enumerate(net, 1):
        plain = net.is_chain and net.groups(number) == 1
        entry, own = _entry_of(layer) if plain else (None, {})
        if entry is None:
            raise fdref.NetworkError(f"{net.describe(number)} cannot be listed")
        named = {name: f"{name}{number}" for name in own}
        entries.append({"type": layer.kind} | named | entry)
        arrays |= {named[name]: values for name, values in own.items()}
    return entries, arrays


def _entry_of(layer: Layer) -> tuple[dict[str, Any] | None, dict[str, Any]]:
    """Return a layer's parameters and arrays."""
    match layer:
        case Conv(filters=filters, bias=bias, stride=stride, pad=pad, dilate=dilate):
            sizes = {"stride": [*stride], "pad": [*pad], "dilate": [*dilate], "groups": 1}
            if bias is None:
                return sizes | {"bias": None}, {"filters": filters}
            return sizes, {"filters": filters, "bias": bias}
        case Pool(window=window, stride=stride, pad=pad, method=method):
            sizes = {"window": [*window], "stride": [*stride], "pad": [*pad]}
            return sizes | {"method": method}, {}
        case ReLU(leak=leak):
            return {"leak": leak}, {}
        case Softmax():
            return {}, {}
        case _:
            return None, {}


def layer_of(entry: Mapping[str, Any], inputs: Arrays) -> Layer:  # noqa: C901 - a type is a case
    """Put together one layer; its arrays are named."""

    def array(name: str) -> Any:
        return None if entry[name] is None else inputs[entry[name]]

    match entry["type"]:
        case "conv":
            sizes = entry["stride"], entry["pad"], entry["dilate"]
            return Conv(array("filters"), array("bias"), *sizes)
        case "convt":
            sizes = entry["upsample"], entry["crop"], entry["groups"]
            return ConvTranspose(array("filters"), array("bias"), *sizes)
        case "pool":
            return Pool(entry["window"], entry["stride"], entry["pad"], entry["method"])
        case "relu":
            return ReLU(entry["leak"])
        case "normalize":
            return Normalize(entry["size"], entry["kappa"], entry["alpha"], entry["beta"])
        case "bnorm":
            return BatchNorm(array("gain"), array("bias"), *array("moments").T)
        case "scale":
            return Scale(array("factor"), array("offset"))
        case "sigmoid":
            return Elementwise("sigmoid")
        case kind if kind in WITHOUT_PARAMETERS:
            return WITHOUT_PARAMETERS[kind]()
        case other:
            raise fdref.NetworkError(f"a layer has the type {other!r}; see SPECIFICATION.md")


def _input_channels(described: list[Mapping[str, Any]], inputs: Arrays) -> int | None:
    """Return the channels of the images: the first layer with weights tells."""
    for entry in described:
        if entry["type"] == "conv":
            return int(inputs[entry["filters"]].shape[1]) * int(entry["groups"])
        if entry["type"] == "convt":
            return len(inputs[entry["filters"]])
        if entry["type"] == "scale":
            return len(inputs[entry["factor"]])
        if entry["type"] == "bnorm":
            return len(inputs[entry["gain"]])
    return None

"""Our networks as MatConvNet's structs: a chain as SimpleNN, other graphs as DagNN."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fdref.arguments import shown
from fdref.errors import NetworkError
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
    Unknown,
)
from fdref.weights.dagnn import PREFIX, SIMPLE
from fdref.weights.matlab_write import StructArray
from fdref.weights.structs import to_matlab

if TYPE_CHECKING:
    from fdref.arrays import Array
    from fdref.layers import Layer
    from fdref.network.graph import Network
    from fdref.weights.matlab import Value

TYPES: dict[type, str] = {
    Conv: "conv",
    ConvTranspose: "convt",
    Pool: "pool",
    ReLU: "relu",
    Elementwise: "sigmoid",
    Normalize: "normalize",
    BatchNorm: "bnorm",
    Dropout: "dropout",
    Softmax: "softmax",
}
"""What SimpleNN calls our kinds of layers."""
BLOCKS = {kind: name for name, kind in SIMPLE.items()} | {"normalize": "LRN"}
"""What DagNN calls SimpleNN's."""
JOINING: dict[type, str] = {Sum: "Sum", Concat: "Concat", Scale: "Scale", Product: "Scale"}
"""What DagNN has beside them."""
WITH_BIAS = ("Conv", "ConvTranspose", "Scale")


def variables_of(net: Network) -> dict[str, Value]:
    """Return the variables of a file that holds a network, for MATLAB and for `network_from`.

    Raises
    ------
    NetworkError
        If MatConvNet has no such layer, or something would not come back.
    """
    for number, layer in enumerate(net, 1):
        _check(net, number, layer)
    simple = net.is_chain and all(type(layer) in TYPES for layer in net)
    layers = _simplenn(net) if simple else _dagnn(net)
    return {"net": {**layers, "meta": _meta(net, simple=simple)}}


def check_same(net: Network, again: Network) -> None:
    """Refuse to write what would be read as something else."""
    for number, (own, read) in enumerate(zip(net, again, strict=True), 1):
        if own != read:
            raise NetworkError(
                f"{net.describe(number)} cannot be written, it would come back as {read!r}; "
                "expected one of fdref's own layers"
            )
    if net != again:
        raise NetworkError(f"{net!r} cannot be written, it would come back as another network")


def _check(net: Network, number: int, layer: Layer) -> None:
    """Refuse what MatConvNet does not know."""
    if isinstance(layer, Unknown):
        raise NetworkError(
            f"{net.describe(number)} cannot be written: expected one of fdref's own layers, of "
            "known type; leave it out"
        )
    other = isinstance(layer, Elementwise) and layer.function != "sigmoid"
    signed = isinstance(layer, Sum) and set(layer.factors or ()) - {1.0}
    cropped = isinstance(layer, ConvTranspose) and min(layer.crop) < 0
    many = isinstance(layer, Product) and len(net.takes[number]) != 2
    if (
        (type(layer) not in TYPES and type(layer) not in JOINING)
        or other
        or signed
        or cropped
        or many
    ):
        raise NetworkError(
            f"{net.describe(number)} cannot be written, MatConvNet has no such layer; expected "
            "convolutions, also transposed, pools, ReLUs, sigmoids, normalisations, scales, "
            "dropouts, softmaxes, sums, concatenations and products: `fdref convert` writes others "
            "as ONNX"
        )


def _meta(net: Network, *, simple: bool) -> dict[str, Value]:
    """Return what is told of a network beside its layers."""
    normalization: dict[str, Value] = {}
    if net.average is not None:
        normalization["averageImage"] = to_matlab(net.average)
    # The channels are always told: a first layer with groups does not. NaN: of any size.
    height, width = net.input_size or (np.nan, np.nan)
    shape = np.array([height, width, net.channels[0]], float)
    meta: dict[str, Value] = {"normalization": normalization, "inputSize": np.append(shape, 1.0)}
    if net.input_size is not None:
        normalization["imageSize"] = shape
    if not simple:
        meta["inputs"] = StructArray(
            {"name": _map(-n), "size": np.array([height, width, count, 1.0])}
            for n, count in enumerate(net.input_channels)
        )
        meta["layerNames"] = [whole_text(layer.name, "a layer's name") for layer in net]
    if net.classes:
        names: list[Value] = [whole_text(name, "a class's name") for name in net.classes]
        meta["classes"] = {"name": names, "description": names}
    if net.provenance:
        meta["provenance"] = whole_text(net.provenance, "provenance")
    return meta


def whole_text(value: str, what: str) -> str:
    """Refuse half characters, which MATLAB files hold and readers replace."""
    try:
        value.encode("utf-16-le")
    except UnicodeEncodeError:
        raise NetworkError(
            f"{what} is {shown(value)}, which holds half of a character and cannot be written; "
            "expected whole ones: rename it"
        ) from None
    return value


def _simplenn(net: Network) -> dict[str, Value]:
    layers: list[Value] = []
    for layer in net:
        arrays = _arrays(layer)
        struct: dict[str, Value] = {"type": TYPES[type(layer)]}
        struct["name"] = whole_text(layer.name, "a layer's name")
        if arrays:  # filters by themselves would stand for all of `weights`
            nothing: list[Value] = [np.zeros((0, 0), arrays[0].dtype)]
            struct["weights"] = [*arrays, *nothing[: 2 - len(arrays)]]
        layers.append({**struct, **_fields(layer)})
    return {"layers": layers}


def _dagnn(net: Network) -> dict[str, Value]:
    """Return what `DagNN.saveobj` would; MATLAB wants a name for each layer, no two the same."""
    layers, params = StructArray(), StructArray()
    for number, layer in enumerate(net, 1):
        block = JOINING.get(type(layer)) or BLOCKS[TYPES[type(layer)]]
        fields, arrays = _fields(layer), _arrays(layer)
        if "pool" in fields:
            fields["poolSize"] = fields.pop("pool")
        if block in WITH_BIAS:
            fields["hasBias"] = np.array(len(arrays) > 1)
        names = [f"layer{number}_{suffix}" for suffix, _ in zip("fbm", arrays, strict=False)]
        params += [{"name": n, "value": array} for n, array in zip(names, arrays, strict=True)]
        layers.append(
            {
                "name": f"layer{number}",
                "type": f"{PREFIX}{block}",
                "inputs": [_map(below) for below in net.takes[number]],
                "outputs": [_map(number)],
                "params": [*names],
                "block": fields,
            }
        )
    maps = [*range(0, -net.inputs, -1), *range(1, len(net) + 1)]
    variables = StructArray({"name": _map(n), "precious": np.zeros((), bool)} for n in maps)
    return {"vars": variables, "params": params, "layers": layers}


def _map(number: int) -> str:
    """Name a map: input, input2, ..., map1, map2, ..."""
    if number > 0:
        return f"map{number}"
    return f"input{1 - number}" if number else "input"


def _arrays(layer: Layer) -> list[Array]:
    """Return a layer's weights as MatConvNet has them."""
    match layer:
        case Conv(filters=filters, bias=bias) | ConvTranspose(filters=filters, bias=bias):
            return [to_matlab(filters), *([] if bias is None else [bias])]
        case BatchNorm():
            moments = np.stack([layer.mean, layer.deviation])
            return [layer.gain.reshape(1, -1), layer.bias.reshape(1, -1), moments]
        case Scale(factor=factor, offset=offset):
            found = [factor] if offset is None else [factor, offset]
            return [own.reshape(-1, 1, 1) for own in found]
    return []


def _fields(layer: Layer) -> dict[str, Value]:
    """Return what else MatConvNet wants to know of a layer."""
    fields: dict[str, Value] = {}
    match layer:
        case Normalize(size=size):
            fields["param"] = np.array([size, layer.kappa, layer.alpha, layer.beta])
        case ReLU(leak=leak):
            fields["leak"] = np.array(leak)
        case Dropout(rate=rate):
            fields["rate"] = np.array(rate)
        case Pool(method=method, window=window):
            fields["method"] = method
            fields["pool"] = np.array(window, float)
        case ConvTranspose(upsample=upsample, crop=crop, groups=groups):
            fields["upsample"] = np.array(upsample, float)
            fields["crop"] = np.array(crop, float)
            fields["numGroups"] = np.array(float(groups))
    if isinstance(layer, Conv | Pool):
        fields["stride"] = np.array(layer.stride, float)
        fields["pad"] = np.array(layer.pad, float)
    if isinstance(layer, Conv):
        fields["dilate"] = np.array(layer.dilate, float)
    return fields

"""MatConvNet's SimpleNN struct, as `fdref.weights.matlab` reads it, and our networks.

MATLAB's H x W x C x K arrays arrive with reversed axes, (K, C, W, H), less the leading axes of
length 1, which MATLAB drops; one swap of the last two axes makes them ours.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from fdref.arguments import shown
from fdref.errors import ArgumentError, FileError, NetworkError, one_line
from fdref.layers import BatchNorm, Conv, Dropout, Normalize, Pool, ReLU, Softmax
from fdref.network.graph import Network
from fdref.weights.bounded import Budget
from fdref.weights.matlab import Unsupported

KNOWN = Conv | Pool | ReLU | Normalize | BatchNorm | Dropout | Softmax
"""Kinds of layers that SimpleNN has."""

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from fdref.arrays import Array
    from fdref.geometry import Pair
    from fdref.layers import Layer
    from fdref.weights.matlab import Value

    Struct = Mapping[str, Value]

REMEDIES = {
    "gpuArray": "convert it with `gather` (all of a net with `vl_simplenn_move(net, 'cpu')`)",
    "string": "convert it with `char`",
    "sparse": "convert it with `full`",
    "dlarray": "convert it with `extractdata`",
    "dagnn.DagNN": "save what `net.saveobj()` returns",
}
"""What turns an object into something that can be read."""

KINDS = "conv, pool, relu, normalize, bnorm, dropout, softmax, softmaxloss"


def network_from(variables: Struct, budget: Budget | None = None) -> Network:
    """Put together the network in a file's variables: `net`, or its fields by themselves.

    Parameters
    ----------
    variables : mapping
        As `fdref.weights.matlab.read` returns them.
    budget : Budget, optional
        What the network's own copies of the weights may take.

    Raises
    ------
    NetworkError
        If there is none, or it is no SimpleNN network of layers that we know, or they do not fit.
    FileError
        If the weights would take too much memory.
    """
    net = variables.get("net", variables)
    if isinstance(net, Unsupported):
        raise NetworkError(f"`net` is {_unsupported(net)}; expected a struct with a field `layers`")
    if not isinstance(net, dict) or "layers" not in net:
        found = ", ".join(islice(sorted(variables), 20)) or "none"
        raise NetworkError(
            f"there is no network among the file's variables ({one_line(found)}); expected `net` "
            "with a field `layers`, or `layers` itself"
        )
    if "params" in net and "vars" in net:
        raise NetworkError("the network is a DagNN; expected a SimpleNN, a plain chain of layers")
    cell = net["layers"]
    if not isinstance(cell, list):  # one struct by itself, or []
        cell = [] if isinstance(cell, np.ndarray) and cell.size == 0 else [cell]
    budget = Budget() if budget is None else budget
    layers = [_layer(number, struct, budget) for number, struct in enumerate(cell, 1)]
    meta = net.get("meta")
    about: Struct = meta if isinstance(meta, dict) else net  # older nets have no `meta`
    size, channels = _input_shape(about)
    known = channels or next((x.filters.shape[1] for x in layers if isinstance(x, Conv)), None)
    average = _average(about, known, budget)
    if known and average is not None and len(average) % known:  # filters may be in groups
        raise NetworkError(
            f"`averageImage` has {len(average)} channels; expected {known}, or one for all"
        )
    return Network(
        layers,
        average=average,
        input_size=size,
        input_channels=channels,
        classes=_classes(about),
        provenance=_text(about, "provenance"),
    )


def variables_of(net: Network) -> dict[str, Value]:
    """Return the variables of a file that holds a network, for MATLAB and for `network_from`.

    Raises
    ------
    NetworkError
        If something of it would not come back.
    """
    _check_chain(net)
    normalization: dict[str, Value] = {}
    if net.average is not None:
        normalization["averageImage"] = _to_matlab(net.average)
    # The channels are always told: a first layer with groups does not. NaN: of any size.
    height, width = net.input_size or (np.nan, np.nan)
    shape = np.array([height, width, net.channels[0]], float)
    meta: dict[str, Value] = {"normalization": normalization, "inputSize": np.append(shape, 1.0)}
    if net.input_size is not None:
        normalization["imageSize"] = shape
    if net.classes:
        names: list[Value] = [_whole_text(name, "a class's name") for name in net.classes]
        meta["classes"] = {"name": names, "description": names}
    if net.provenance:
        meta["provenance"] = _whole_text(net.provenance, "provenance")
    layers: list[Value] = [_struct(layer) for layer in net]
    return {"net": {"layers": layers, "meta": meta}}


def _check_chain(net: Network) -> None:
    """Refuse what SimpleNN does not know."""
    for number, layer in enumerate(net, 1):
        if net.takes[number] != (number - 1,) or not isinstance(layer, KNOWN):
            raise NetworkError(
                f"{net.describe(number)} cannot be written, it takes maps {list(net.takes[number])}"
                "; expected a chain of convolutions, pools, ReLUs, normalisations, dropouts and "
                "softmaxes"
            )


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


def _whole_text(value: str, what: str) -> str:
    """Refuse half characters, which MATLAB files hold and readers replace."""
    try:
        value.encode("utf-16-le")
    except UnicodeEncodeError:
        raise NetworkError(
            f"{what} is {shown(value)}, which holds half of a character and cannot be written; "
            "expected whole ones: rename it"
        ) from None
    return value


def _layer(number: int, struct: Value, budget: Budget) -> Layer:
    """Make one layer; what is wrong with it is said with its number, type and name."""
    kind = struct.get("type") if isinstance(struct, dict) else struct
    if isinstance(kind, Unsupported):
        raise NetworkError(f"layer {number} or its type is {_unsupported(kind)}; expected text")
    if not isinstance(struct, dict) or not isinstance(kind, str):
        raise NetworkError(f"layer {number} has no type; expected a struct with a field `type`")
    name = _text(struct, "name")
    try:
        return _layer_of_kind(kind, struct, name, budget)
    except (NetworkError, ArgumentError, FileError) as error:
        label = f"{one_line(kind)} {one_line(name)!r}" if name else one_line(kind)
        family = FileError if isinstance(error, FileError) else NetworkError
        raise family(f"layer {number} ({label}): {error}") from None


def _layer_of_kind(kind: str, struct: Struct, name: str, budget: Budget) -> Layer:
    match kind:
        case "conv":
            filters, bias = _weights(struct, budget)[:2]
            return Conv(
                _from_matlab(filters, 4),
                bias.ravel() if bias.size else None,
                _whole(struct, "stride", 1),
                _whole(struct, "pad", 0),
                _whole(struct, "dilate", 1),
                name,
            )
        case "pool":
            window, stride = _whole(struct, "pool"), _whole(struct, "stride", 1)
            return Pool(window, stride, _whole(struct, "pad", 0), _method(struct), name)
        case "relu":
            return ReLU(float(_numbers(struct, "leak", 1, 0.0)[0]), name)
        case "normalize" | "lrn":
            return _normalize(struct, name)
        case "bnorm":
            return _batch_norm(struct, name, budget)
        case "dropout":
            return Dropout(float(_numbers(struct, "rate", 1, 0.5)[0]), name)
        case "softmax" | "softmaxloss":
            return Softmax(name)
    raise NetworkError(f"fdref does not know this type of layer; expected one of {KINDS}")


def _method(struct: Struct) -> str:
    """Return the method of pooling, which vl_nnpool, and only it, reads in any case."""
    found = struct.get("method", "")
    if isinstance(found, np.ndarray | list) and not len(found):
        found = ""
    if not isinstance(found, str):
        raise NetworkError(f"`method` is {_described(found)}; expected 'max' or 'avg'")
    method = one_line(found or "max")
    return method.lower() if method.lower() in ("max", "avg") else method


def _normalize(struct: Struct, name: str) -> Normalize:
    param = _numbers(struct, "param", 4)
    if len(param) != 4 or param[0] % 1:
        raise NetworkError(f"`param` is {param.tolist()}; expected [channels kappa alpha beta]")
    kappa, alpha, beta = map(float, param[1:])
    return Normalize(int(param[0]), kappa, alpha, beta, name)


def _batch_norm(struct: Struct, name: str, budget: Budget) -> BatchNorm:
    gain, bias, *more = _weights(struct, budget)
    if not more:
        raise NetworkError("there are no moments; expected weights {gain, bias, moments}")
    moments = more[0] if more[0].ndim == 2 else more[0].reshape(-1, 1)
    if len(moments) != 2:
        raise NetworkError(
            f"the moments have MATLAB size {_matlab_size(moments)}; expected one mean and one "
            "standard deviation for each channel"
        )
    return BatchNorm(gain.ravel(), bias.ravel(), moments[0], moments[1], name)


def _weights(struct: Struct, budget: Budget) -> list[NDArray[Any]]:
    """Return the arrays in `weights`, or in older nets' `filters` and `biases`."""
    values = struct.get("weights")
    if isinstance(values, np.ndarray) and values.size:  # filters alone, not in a cell
        values = [values]
    if isinstance(values, np.ndarray | None) or values == []:
        values = [struct[key] for key in ("filters", "biases", "moments") if key in struct]
    values = values if isinstance(values, list) else [values]
    arrays = []
    for value in values:
        if not isinstance(value, np.ndarray):
            found = _described(value)
            raise NetworkError(f"the weights are {found}; expected `weights` {{filters, biases}}")
        arrays.append(value)
    if not arrays:
        raise NetworkError("there are no weights; expected `weights` {filters, biases}")
    for array in arrays:
        _take(budget, "weights", array)
    return [*arrays, np.zeros(0)] if len(arrays) == 1 else arrays


def _take(budget: Budget, what: str, array: NDArray[Any]) -> None:
    """Count the network's own copy of an array: float32 stays, of the rest float64 is made."""
    itemsize = 4 if array.dtype in (np.float32, np.float16) else 8
    budget.take((f"the copy of `{what}`",), array.size * itemsize)
    budget.spare((f"the copy of `{what}`",), array.size)  # is each number finite?


def _described(value: Value) -> str:
    """Say what a value is that should be something else."""
    kinds: dict[type, str] = {dict: "a struct", list: "a cell", str: "text"}
    if isinstance(value, Unsupported):
        return _unsupported(value)
    return kinds.get(type(value), "an array of numbers")


def _unsupported(value: Unsupported) -> str:
    """Say what a value is that only MATLAB can read, and what to do there."""
    remedy = REMEDIES.get(value.kind, "save what it holds as plain arrays, text, cells or structs")
    return f"of MATLAB's class {one_line(value.kind)!r}, which cannot be read: in MATLAB, {remedy}"


def _from_matlab(array: NDArray[Any], ndim: int) -> NDArray[Any]:
    """Restore the axes that MATLAB dropped, and our order of rows and columns."""
    if array.ndim > ndim:
        raise NetworkError(f"an array has MATLAB size {_matlab_size(array)}; expected {ndim} axes")
    return array.reshape((1,) * (ndim - array.ndim) + array.shape).swapaxes(-1, -2)


def _matlab_size(array: NDArray[Any]) -> str:
    return " x ".join(map(str, array.shape[::-1]))


def _to_matlab(array: Array) -> Array:
    """Reverse `_from_matlab`."""
    swapped = array.swapaxes(-1, -2)
    while swapped.ndim > 2 and len(swapped) == 1:
        swapped = swapped[0]
    return np.ascontiguousarray(swapped)


def _numbers(struct: Struct, key: str, most: int, default: float | None = None) -> NDArray[Any]:
    """Return the numbers in a field; an absent or empty one means the default."""
    value = struct.get(key, np.zeros(0))
    if not isinstance(value, np.ndarray):
        raise NetworkError(f"`{key}` is {_described(value)}; expected numbers")
    if value.size == 0 and default is None:
        raise NetworkError(f"`{key}` is missing")
    if value.size > most:
        raise NetworkError(f"`{key}` is {_matlab_size(value)} numbers; expected at most {most}")
    return value.ravel() if value.size else np.array([default])


def _whole(struct: Struct, key: str, default: int | None = None) -> list[int]:
    numbers = _numbers(struct, key, 4, default)
    if not np.isfinite(numbers).all() or (numbers % 1).any() or (abs(numbers) > 2**53).any():
        raise NetworkError(f"`{key}` is {numbers.tolist()}; expected whole numbers")
    return [int(n) for n in numbers]


def _text(struct: Struct, key: str) -> str:
    value = struct.get(key, "")
    return value if isinstance(value, str) else ""


def _input_shape(about: Struct) -> tuple[Pair | None, int | None]:
    """Return the size and number of channels of the input, as far as a net's `meta` tells."""
    normalization = about.get("normalization")
    found = about.get("inputSize")
    if found is None and isinstance(normalization, dict):
        found = normalization.get("imageSize")
    if not isinstance(found, np.ndarray) or found.size < 2:
        return None, None
    if found.size > 2 and np.isnan(found.ravel()[:2]).all() and found.ravel()[2] >= 1:
        return None, int(found.ravel()[2])
    shape = [int(n) if np.isfinite(n) else 0 for n in found.ravel()[:3]]
    if min(shape) < 1:
        return None, None
    return (shape[0], shape[1]), shape[2] if len(shape) > 2 else None


def _average(about: Struct, channels: int | None, budget: Budget) -> NDArray[Any] | None:
    """Return the average image (C, H, W) or colour (C,); one channel stands for all."""
    normalization = about.get("normalization")
    found = normalization.get("averageImage") if isinstance(normalization, dict) else None
    if isinstance(found, Unsupported | str | list | dict):
        raise NetworkError(f"`averageImage` is {_described(found)}; expected an array of numbers")
    if found is None or found.size == 0:
        return None
    if found.size == channels:
        _take(budget, "averageImage", found)
        return found.ravel()
    image = _from_matlab(found, 3)
    if len(image) == 1 and channels:  # MATLAB subtracts it from each
        image = np.broadcast_to(image, (channels, *image.shape[1:]))
    _take(budget, "averageImage", image)
    return image


def _classes(about: Struct) -> list[str]:
    """Return the names of the classes, preferring words over codes."""
    found = about.get("classes")
    if isinstance(found, dict):
        found = found.get("description", found.get("name"))
    if not isinstance(found, list):
        return []
    return [name if isinstance(name, str) else _class_number(name) for name in found]


def _class_number(name: Value) -> str:
    return str(name.item()) if isinstance(name, np.ndarray) and name.size == 1 else "?"


def _struct(layer: Layer) -> dict[str, Value]:
    """Return a layer as MatConvNet's struct."""
    name = _whole_text(layer.name, "a layer's name")
    struct: dict[str, Value] = {"type": layer.kind, "name": name}
    match layer:
        case Conv(filters=filters, bias=bias):
            biases = np.zeros((0, 0), filters.dtype) if bias is None else bias
            struct["weights"] = [_to_matlab(filters), biases]
        case BatchNorm():
            moments = np.stack([layer.mean, layer.deviation])
            struct["weights"] = [layer.gain.reshape(1, -1), layer.bias.reshape(1, -1), moments]
        case Normalize(size=size, kappa=kappa, alpha=alpha, beta=beta):
            struct["param"] = np.array([size, kappa, alpha, beta])
        case ReLU(leak=leak):
            struct["leak"] = np.array(leak)
        case Dropout(rate=rate):
            struct["rate"] = np.array(rate)
        case Pool(method=method, window=window):
            struct["method"] = method
            struct["pool"] = np.array(window, float)
    if isinstance(layer, Conv | Pool):
        struct["stride"] = np.array(layer.stride, float)
        struct["pad"] = np.array(layer.pad, float)
    if isinstance(layer, Conv):
        struct["dilate"] = np.array(layer.dilate, float)
    return struct

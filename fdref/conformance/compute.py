"""The outputs of a case, by fdref's own public functions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

import fdref
from fdref.conformance.networks import network_of
from fdref.engine import engine_named
from fdref.errors import ArgumentError, NetworkError
from fdref.forward_pass import output
from fdref.layers import BatchNorm, Conv, Normalize, ReLU
from fdref.network import Network

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from fdref.conformance.case import Arrays, Case
    from fdref.layers import Layer

    Outputs = dict[str, NDArray[Any]]
    Parameters = Mapping[str, Any]


def compute(case: Case, engine: str = "compiled", folder: Path | None = None) -> Outputs:
    """Return the outputs of a case in the order of its stages.

    Parameters
    ----------
    case : Case
    engine : "compiled" or "reference"
    folder : path, optional
        The kit's, where the file of a network lies; by default the shipped one is taken.

    Returns
    -------
    dict
        Arrays by name, in the type of the inputs. Of a case that must be refused, ``refused``:
        1 if it was, 0 if not.

    Raises
    ------
    FdrefError
        If the case cannot be computed although it is not to be refused.
    """
    if not case.refused:
        return call(case.operation, case.inputs, case.parameters, engine, folder)
    try:
        call(case.operation, case.inputs, case.parameters, engine, folder)
    except (ArgumentError, NetworkError):  # a file that cannot be read is no answer
        return {"refused": np.array(1)}
    return {"refused": np.array(0)}


def call(
    operation: str,
    inputs: Arrays,
    parameters: Parameters,
    engine: str = "compiled",
    folder: Path | None = None,
) -> Outputs:
    """Carry out one operation of SPECIFICATION.md, in the type of the inputs.

    Raises
    ------
    FdrefError
        For an unknown operation, or inputs that it refuses.
    """
    found = unrounded(operation, inputs, parameters, engine, folder)
    if operation == "receptive_field":
        return found
    dtype = result_type(inputs)
    return {name: np.asarray(values, dtype) for name, values in found.items()}


def unrounded(  # noqa: C901 - an operation is a branch
    operation: str, inputs: Arrays, parameters: Parameters, engine: str, folder: Path | None
) -> Outputs:
    """Carry out one operation, in the type that the engine computes in."""
    given: dict[str, Any] = {**inputs, **parameters}
    match operation:
        case "correlate":
            del given["groups"]  # the shapes of filters and images tell
            return {"response": fdref.correlate(**given, engine=engine)}
        case "pool":
            return {"pooled": fdref.pool(**given, engine=engine)}
        case "substitute":
            return {"pictures": fdref.substitute(**given, engine=engine)}
        case "unpool":
            return {"pictures": fdref.unpool(**given, engine=engine)}
        case "relu":
            return {"rectified": _layer(ReLU(**parameters), inputs, engine)}
        case "normalize":
            return {"normalized": _layer(Normalize(**parameters), inputs, engine)}
        case "bnorm":
            norm = BatchNorm(inputs["gain"], inputs["bias"], *inputs["moments"].T)
            return {"normalized": _layer(norm, inputs, engine)}
        case "receptive_field":
            return _receptive_field(parameters)
        case "respond":
            return {"response": _respond(inputs, parameters, engine)}
        case "forward" | "decode" | "evaluate":
            net = network_of(parameters, inputs, folder)
            return _with_network(operation, net, inputs, parameters, engine)
        case _:
            raise ArgumentError(f"there is no operation {operation!r}; see SPECIFICATION.md")


def result_type(inputs: Arrays) -> np.dtype[Any]:
    """Return the type that results are rounded to: that of the inputs; LeNet's is float32."""
    return np.result_type(*inputs.values()) if inputs else np.dtype(np.float32)


def _layer(layer: Layer, inputs: Arrays, engine: str) -> NDArray[Any]:
    chosen, images = engine_named(engine), inputs["images"]
    if isinstance(layer, BatchNorm) and len(layer.gain) != images.shape[1]:
        raise ArgumentError(f"{len(layer.gain)} gains do not fit images of {images.shape}")
    return output(layer, [np.ascontiguousarray(images, chosen.precision(images.dtype))], chosen)


def _receptive_field(parameters: Parameters) -> Outputs:
    layers = [
        Conv(np.zeros((1, 1, *entry["window"])), stride=entry["stride"], pad=entry["pad"])
        for entry in parameters["network"]
    ]
    field = fdref.receptive_field(Network(layers), len(layers))
    return {
        "size": np.array(field.size),
        "stride": np.array(field.stride),
        "offset": np.array(field.offset),
    }


def _respond(inputs: Arrays, parameters: Parameters, engine: str) -> NDArray[Any]:
    """Respond as one convolution with windows of the same size at the same places."""
    bank, images = inputs["bank"], inputs["images"]
    if bank.ndim != 4 or bank.shape[1] != images.shape[1]:
        raise ArgumentError(f"a bank of shape {bank.shape} does not fit images of {images.shape}")
    pad = []
    for axis, count in enumerate(parameters["output"]):
        before = -parameters["offset"][axis]
        reach = (count - 1) * parameters["stride"][axis] + bank.shape[2 + axis] - before
        pad += [before, max(0, reach - images.shape[2 + axis])]
    net = Network([Conv(np.zeros((1, *bank.shape[1:])), stride=parameters["stride"], pad=pad)])
    height, width = parameters["output"]
    return fdref.respond(net, 1, bank, images, engine)[:, :, :height, :width]


def _with_network(
    operation: str, net: Network, inputs: Arrays, parameters: Parameters, engine: str
) -> Outputs:
    if operation == "forward":
        maps = fdref.forward(net, inputs["images"], engine)[1:]
        return {f"layer{number}": values for number, values in enumerate(maps, 1)}
    number, method = parameters["layer"], parameters["unpool"]
    if operation == "decode":
        wanted = parameters["filters"]
        stages = fdref.decode(net, number, wanted, method, engine, steps=True)
        return {f"stage{stage}": pictures for stage, pictures in enumerate(stages, 1)}
    images = inputs["images"]
    bank = fdref.decode(net, number, None, method, engine)
    found = fdref.evaluate(net, images, [number], method, engine)[number]
    return {
        "response": fdref.forward(net, images, engine)[number],
        "predicted": fdref.respond(net, number, bank, images, engine),
        "errors": found.errors,
        "correlations": found.correlations,
        "mean": np.array(found.mean),
        "std": np.array(found.std),
    }

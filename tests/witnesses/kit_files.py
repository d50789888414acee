"""Answer a conformance kit through its files: all that the Python examples here share.

Copy this file and one of the examples beside it as a start for checking an implementation of your
own; it needs NumPy, and h5py for LeNet's weights. An example gives `answer` a function for each
operation that it knows; it is called with the case's inputs and parameters by name.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Layer = dict[str, Any]
    """A layer of section 1, with the arrays in place of their names."""
    Operation = Callable[..., "Array | Mapping[str, Array]"]
    """Returns the only output, or outputs by name."""


class NotAttemptedError(Exception):
    """The implementation does not know how; the case is left out."""


def answer(operations: Mapping[str, Operation], refusals: tuple[type[Exception], ...]) -> None:
    """Write RESULTS for `python SCRIPT KIT RESULTS`.

    `refusals` are the errors that the implementation raises at what cannot be computed.
    """
    if len(sys.argv) != 3:
        sys.exit(f"usage: {sys.argv[0]} KIT RESULTS")
    kit, results = Path(sys.argv[1]), Path(sys.argv[2])
    results.mkdir(parents=True, exist_ok=True)
    for case in json.loads((kit / "manifest.json").read_text(encoding="utf-8"))["cases"]:
        name = case["id"]
        if case["operation"] not in operations:
            continue
        given = arguments(kit, name, case["parameters"])
        try:
            found = operations[case["operation"]](**given)
        except NotAttemptedError as reason:
            print(f"{name}: not attempted: {reason}", file=sys.stderr)
            continue
        except refusals as error:
            if not case["refused"]:  # nothing is saved, and it counts as not attempted
                print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
                continue
            found = np.array(1)
        else:
            found = np.array(0) if case["refused"] else found
        if not isinstance(found, dict):
            [only] = case["outputs"]
            found = {only["name"]: found}
        np.savez(results / f"{name}.npz", **found)


def arguments(kit: Path, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return a case's inputs and parameters; a network is a list of layers with their arrays."""
    with np.load(kit / "cases" / f"{name}.npz") as file:
        inputs = {key: file[key] for key in file.files if key != "parameters"}
    network = parameters.get("network")
    if isinstance(network, dict):
        return inputs | parameters | {"network": matconvnet_layers(kit / network["file"])}
    if network is None:
        return inputs | parameters
    layers = [
        {key: inputs.get(v, v) if isinstance(v, str) else v for key, v in layer.items()}
        for layer in network
    ]
    used = {v for layer in network for v in layer.values() if isinstance(v, str)}
    inputs = {key: array for key, array in inputs.items() if key not in used}
    return inputs | parameters | {"network": layers}


def matconvnet_layers(path: Path) -> list[Layer]:
    """Return the layers of LeNet's file: those that it has, conv, pool, relu and softmax."""
    with h5py.File(path) as file:

        def text(codes: h5py.Dataset) -> str:
            return "".join(map(chr, np.ravel(codes)))

        def numbers(values: h5py.Dataset) -> list[int]:
            return [int(value) for value in np.ravel(values)]

        def layer(group: h5py.Group) -> Layer:
            kind = text(group["type"])
            if kind == "conv":
                # HDF5 shows MATLAB's axes reversed, K x C x width x height.
                filters, bias = (np.array(file[at]) for at in np.ravel(group["weights"]))
                return {
                    "type": "conv",
                    "filters": filters.swapaxes(2, 3),
                    "bias": bias.ravel(),
                    **{key: numbers(group[key]) for key in ("stride", "pad", "dilate")},
                    "groups": 1,
                }
            if kind == "pool":
                size = {key: numbers(group[key]) for key in ("stride", "pad")}
                size["window"] = numbers(group["pool"])
                return {"type": "pool", "method": text(group["method"]), **size}
            if kind == "relu":
                return {"type": "relu", "leak": float(np.ravel(group["leak"])[0])}
            return {"type": "softmax"}  # softmaxloss too

        return [layer(file[at]) for at in np.ravel(file["net/layers"])]

"""Answer a conformance kit through its files: all that the Python examples here share.

Copy this file and one of the examples beside it as a start for checking an implementation of your
own; it needs NumPy. An example gives `answer` a function for each
operation that it knows; it is called with the case's inputs and parameters by name.
"""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]
    Layer = dict[str, Any]
    """A layer of section 1, with the arrays in place of their names."""
    Operation = Callable[..., "Array | Mapping[str, Array]"]
    """Returns the only output, or outputs by name."""


CHOOSING = ("layers", "stages", "origin")
"""Parameters that choose among outputs: what is not asked for is not written."""

IN_CHAINS = {"conv", "pool", "relu", "normalize", "bnorm", "softmax"}


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
            found = called(operations[case["operation"]], given)
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
        asked = [one["name"] for one in case["outputs"]]
        if not isinstance(found, dict):
            found = {asked[0]: found}
        np.savez(results / f"{name}.npz", **{output: found[output] for output in asked})


def called(operation: Operation, given: dict[str, Any]) -> Any:
    """Call an operation, unless it does not know a parameter."""
    try:
        inspect.signature(operation).bind(**given)
    except TypeError as reason:
        raise NotAttemptedError(str(reason)) from reason
    return operation(**given)


def demand_chain(network: Sequence[Layer]) -> None:
    """Leave the case out if the network is no chain, or has layers that only others have."""
    for layer in network:
        if "inputs" in layer or layer["type"] not in IN_CHAINS:
            raise NotAttemptedError(f"the network is no chain: {layer['type']}")


def demand_number(number: int, first: int, end: int, what: str) -> None:
    """Refuse what Python would count from the end, or not reach."""
    if not first <= number < end:
        raise ValueError(f"there is no {what} {number}: they are {first} to {end - 1}")


def demand_from(least: int, numbers: Sequence[int], what: str) -> None:
    """Refuse what would crop where it should pad, or hide nothing."""
    if min(numbers) < least:
        raise ValueError(f"{what} of {numbers}: they begin at {least}")


def arguments(kit: Path, name: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Return a case's inputs and parameters; a network is a list of layers with their arrays."""
    parameters = {key: value for key, value in parameters.items() if key not in CHOOSING}
    with np.load(kit / "cases" / f"{name}.npz") as file:
        inputs = {key: file[key] for key in file.files if key != "parameters"}
    network = parameters.get("network")
    if network is None:
        return inputs | parameters
    if isinstance(network, dict):  # LeNet, which lies there as a case does
        with np.load(kit / f"{network['file']}.npz") as file:
            inputs |= {key: file[key] for key in file.files if key != "parameters"}
            network = json.loads(str(file["parameters"]))["network"]
    layers = [
        {key: inputs.get(v, v) if isinstance(v, str) else v for key, v in layer.items()}
        for layer in network
    ]
    # The other arrays are the network's.
    inputs = {key: array for key, array in inputs.items() if key == "images"}
    return inputs | parameters | {"network": layers}

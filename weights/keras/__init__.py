"""Keras's files: `.h5` with a graph and `.keras`, read without Keras, TensorFlow or their code."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from fdref.arguments import path_of
from fdref.errors import ArgumentError, FileError, NetworkError
from fdref.geometry import pair
from fdref.weights import hdf5, zipped
from fdref.weights.bounded import Budget, contents
from fdref.weights.bounded_json import parsed
from fdref.weights.files import refusal
from fdref.weights.hdf5_damage import Damaged
from fdref.weights.keras.arrays import NamedArrays, counted, listed
from fdref.weights.keras.call import Origin
from fdref.weights.keras.graph import model_of
from fdref.weights.keras.network import network_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from os import PathLike

    from fdref.geometry import Pair
    from fdref.network.graph import Network

__all__ = ["is_keras", "network_from_bytes", "network_from_keras"]

EXPECTED = "a network that Keras saved (model.save, .h5 or .keras)"
GRAPH, WEIGHTS, ABOUT = "config.json", "model.weights.h5", "metadata.json"
WEIGHTS_ALONE = ("layers", "_layer_checkpoint_dependencies", "model_weights")
"""Groups of Keras's that hold arrays; MATLAB's have a class."""
WITHOUT_GRAPH = (
    "expected a graph: build the model in Keras, load these weights and call model.save; or build "
    "the network of its arrays, as in fdref.Conv(kernel.transpose(3, 2, 0, 1), bias)"
)


def network_from_keras(
    data: bytes | str | PathLike[str],
    *,
    input_size: int | Sequence[int] | None = None,
    budget: Budget | None = None,
) -> Network:
    """Read a network from a file that Keras 1, 2 or 3 saved with its graph.

    Parameters
    ----------
    data : path, or bytes
        An `.h5` or `.keras` file, or what is in it; what it is its content tells.
    input_size : int or (height, width), optional
        Of the images, where the file does not tell it, or for others.
    budget : Budget, optional
        What reading may take; afterwards, what it took.

    Returns
    -------
    Network
        Layers carry the names of Keras's. Activations inside a layer are layers of their own,
        called as in "conv2d/relu"; layers of models within models as in "inner/conv2d". What
        flattens, reshapes or does nothing after training is no layer.

    Raises
    ------
    FileError
        If it cannot be read, is damaged, holds no graph, or would take too much memory.
    NetworkError
        If a layer of it cannot be said in fdref's, naming it, or does not fit.
    DependencyError
        If h5py cannot be imported.

    Examples
    --------
    >>> import io, json, h5py, numpy as np
    >>> edges = {"name": "edges", "filters": 8, "kernel_size": 3, "activation": "relu"}
    >>> edges["batch_input_shape"] = [None, 9, 9, 1]
    >>> layers = [{"class_name": "Conv2D", "config": edges}]
    >>> graph = {"class_name": "Sequential", "config": {"name": "net", "layers": layers}}
    >>> data = io.BytesIO()
    >>> with h5py.File(data, "w") as file:
    ...     file.attrs["keras_version"], file.attrs["model_config"] = "2.9.0", json.dumps(graph)
    ...     group = file.create_group("model_weights/edges")
    ...     group.attrs["weight_names"] = ["kernel", "bias"]
    ...     group["kernel"], group["bias"] = np.ones((3, 3, 1, 8)), np.zeros(8)
    >>> network_from_keras(data.getvalue())
    <Network of 2 layers: conv, relu>
    """
    budget = Budget() if budget is None else budget
    if isinstance(data, bytes):
        return network_from_bytes(data, input_size=input_size, budget=budget)
    source = f"{path_of(data, 'data')}"
    found = contents(source, EXPECTED, budget.largest)
    return network_from_bytes(found, name=source, input_size=input_size, budget=budget)


def network_from_bytes(
    data: bytes,
    *,
    name: str = "",
    input_size: int | Sequence[int] | None = None,
    budget: Budget | None = None,
) -> Network:
    """Read a network from a file's bytes; `name` is the file's, for messages.

    Raises
    ------
    FileError, NetworkError, DependencyError
        As `network_from_keras`.
    """
    size = None if input_size is None else pair(input_size, "input_size")
    budget = Budget() if budget is None else budget
    try:
        return _read(data, name or "the file", budget, size)
    except (NetworkError, ArgumentError) as error:
        raise NetworkError(f"{name}: {error}" if name else f"{error}") from None


def is_keras(data: bytes, name: str = "the file") -> bool:
    """Tell a file that Keras saved, with its graph or weights alone, from others.

    Raises
    ------
    FileError
        If it is so damaged that this cannot be told.
    """
    budget = Budget()
    budget.file(len(data))
    if data.startswith(zipped.SIGNATURE):
        with zipped.opened(data, name, budget) as archive:
            return {GRAPH, WEIGHTS} <= set(zipped.names(archive))
    if not hdf5.is_hdf5(data):
        return False
    with _opened(data, name, budget) as file:
        if any(file.has(file.file, key) for key in ("model_config", "layer_names")):
            return True
        groups = [file.find(file.file, key, (name,)) for key in WEIGHTS_ALONE]
        mine = (one for one in groups if one is not None and file.kind(one) == "group")
        return any(not file.has(one, "MATLAB_class") for one in mine)


def _read(data: bytes, name: str, budget: Budget, size: Pair | None) -> Network:
    budget.file(len(data))
    try:
        if data.startswith(zipped.SIGNATURE):
            return _from_zip(data, name, budget, size)
        if hdf5.is_hdf5(data):
            return _from_hdf5(data, name, budget, size)
    except FileError as error:
        raise error if f"{error}".startswith(name) else FileError(f"{name}: {error}") from None
    found = "neither HDF5 nor a zip, or cut off" if data else "empty"
    raise refusal(name, f"is {found}, expected {EXPECTED}")


@contextmanager
def _opened(data: bytes, name: str, budget: Budget) -> Iterator[hdf5.Hdf5]:
    try:
        with hdf5.opened(data, budget) as file:
            yield file
    except Damaged as error:
        raise refusal(name, f"is damaged or cut off, fetch it again ({error})") from error


def _from_hdf5(data: bytes, name: str, budget: Budget, size: Pair | None) -> Network:
    with _opened(data, name, budget) as file:
        text = file.text(file.file, "model_config")
        if not text:
            found = listed(file) or "none"
            problem = f"holds no graph of Keras's, at most weights alone (arrays: {found})"
            raise refusal(name, f"{problem}, {WITHOUT_GRAPH}")
        budget.take((name,), 2 * len(text))
        config = parsed(text.encode(errors="surrogatepass"), f"{name}: model_config", budget)
        about = {key: file.text(file.file, key) for key in ("keras_version", "backend")}
        group = file.find(file.file, "model_weights", (name,))
        arrays = NamedArrays(file, file.file if group is None else group)
        origin = Origin(about["keras_version"], about["backend"])
        return network_of(model_of(config, budget), arrays, origin, budget, size)


def _from_zip(data: bytes, name: str, budget: Budget, size: Pair | None) -> Network:
    with zipped.opened(data, name, budget) as archive:
        found = {key: zipped.member(archive, key, name, budget) for key in (GRAPH, ABOUT, WEIGHTS)}
        names = ", ".join(zipped.names(archive)[:6])
    graph, weights = found[GRAPH], found[WEIGHTS]
    if graph is None or weights is None:
        problem = (
            f"is a zip of {names or 'nothing'}, expected {EXPECTED} with {GRAPH} and {WEIGHTS}"
        )
        raise refusal(name, problem)
    about = parsed(found[ABOUT] or b"{}", f"{name}: {ABOUT}", budget)
    version = about.get("keras_version") if isinstance(about, dict) else None
    origin = Origin(version if isinstance(version, str) else "3", "")
    model = model_of(parsed(graph, f"{name}: {GRAPH}", budget), budget)
    with _opened(weights, f"{name}: {WEIGHTS}", budget) as file:
        return network_of(model, counted(file, model), origin, budget, size)

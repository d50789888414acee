"""Networks in ONNX files: how those who train with PyTorch, Keras or JAX get here, and back.

A file's bytes become plain values (`model`, `tensors`), what does not depend on the images is
computed (`folding`), and node by node the rest becomes layers (`translation`, by the table in
`operators`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.arguments import path_of
from fdref.errors import ArgumentError, FileError, NetworkError
from fdref.geometry import pair
from fdref.weights.bounded import Budget, contents
from fdref.weights.files import refusal
from fdref.weights.onnx.model import read_model
from fdref.weights.onnx.translation import translated
from fdref.weights.onnx.wire import is_onnx
from fdref.weights.onnx.writing import encoded_onnx

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike
    from pathlib import Path

    from fdref.network.graph import Network

__all__ = ["encoded_onnx", "is_onnx", "network_from_bytes", "network_from_onnx"]

EXPECTED = "an ONNX model"


def network_from_onnx(
    path: str | PathLike[str],
    *,
    input_size: int | Sequence[int] | None = None,
    budget: Budget | None = None,
) -> Network:
    """Read a network from an ONNX file.

    Parameters
    ----------
    path : path
        Arrays may be in files beside it, as PyTorch writes them (``model.onnx.data``).
    input_size : int or (height, width), optional
        Of the images, where the file leaves it open; flattening, pools of whole maps and borders
        chosen by size need it.
    budget : Budget, optional
        What reading may take.

    Returns
    -------
    Network
        With the file's batch left out: any number of images can be put through it.

    Raises
    ------
    FileError
        If the file cannot be read, is damaged, or would take too much memory.
    NetworkError
        If a node cannot be a layer; the message names it, and the file.
    DependencyError
        If the extra `onnx` is not installed.

    Examples
    --------
    >>> import fdref, tempfile, pathlib
    >>> from fdref.weights.onnx import encoded_onnx, network_from_onnx
    >>> with tempfile.TemporaryDirectory() as folder:  # doctest: +SKIP
    ...     file = pathlib.Path(folder, "lenet.onnx")
    ...     size = file.write_bytes(encoded_onnx(fdref.load()))
    ...     network_from_onnx(file)
    <Network of 8 layers: conv, pool, conv, pool, conv, relu, conv, softmax>
    """
    source = path_of(path, "path")
    budget = Budget() if budget is None else budget
    data = contents(source, EXPECTED, budget.largest)
    return network_from_bytes(
        data, name=f"{source}", folder=source.parent, input_size=input_size, budget=budget
    )


def network_from_bytes(
    data: bytes,
    *,
    name: str = "the model",
    folder: Path | None = None,
    input_size: int | Sequence[int] | None = None,
    budget: Budget | None = None,
) -> Network:
    """Read a network from an ONNX file's bytes; `folder` is where files beside it would be.

    Raises
    ------
    FileError, NetworkError, DependencyError
        As `network_from_onnx`.
    """
    size = None if input_size is None else pair(input_size, "input_size")
    budget = Budget() if budget is None else budget
    if not is_onnx(data):
        raise refusal(name, f"is no ONNX model, expected {EXPECTED}")
    try:
        return translated(read_model(data, name, folder, budget), size)[0]
    except FileError as error:
        message = f"{error}"
        raise FileError(message if message.startswith(name) else f"{name}: {message}") from None
    except (NetworkError, ArgumentError) as error:
        raise NetworkError(f"{name}: {error}") from None

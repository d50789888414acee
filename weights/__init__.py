"""Where networks come from: MatConvNet's files, ONNX, the shipped LeNet and its training, MNIST."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from fdref.arguments import instance, path_of
from fdref.errors import ArgumentError, FileError, NetworkError
from fdref.network import Network
from fdref.weights.bounded import Budget, contents
from fdref.weights.matlab import EXPECTED, is_matlab, read_bytes, variables
from fdref.weights.matlab_write import encoded
from fdref.weights.mnist import Digits, Mnist, mnist
from fdref.weights.simplenn import check_same, network_from, variables_of
from fdref.whole_files import replace_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from os import PathLike

__all__ = ["SHIPPED", "Digits", "Mnist", "load", "mnist", "save"]

SHIPPED = Path(__file__).with_name("lenet.mat")
"""The LeNet that ships with the package."""


def load(
    path: str | PathLike[str] | None = None, *, input_size: int | Sequence[int] | None = None
) -> Network:
    """Read a network: MatConvNet's SimpleNN from a MATLAB v7.3 file, or an ONNX model.

    Parameters
    ----------
    path : path, optional
        A file that holds `net`, or its fields as variables; or an ONNX model. What it is is told
        by its content. The shipped LeNet by default.
    input_size : int or (height, width), optional
        Of the images, for an ONNX model that leaves it open.

    Returns
    -------
    Network
        With the weights' own precision.

    Raises
    ------
    FileError
        If the file cannot be read, is no v7.3 file, or is damaged, or would take more than 4 GiB,
        or more than 100 times its own size (256 MiB at least).
    NetworkError
        If it holds no network, a layer of a type that fdref does not know, numbers out of range, or
        layers that do not fit each other. Every message names the file.
    DependencyError
        If h5py, or for an ONNX model onnx, cannot be imported.

    Examples
    --------
    >>> import fdref
    >>> fdref.load()
    <Network of 8 layers: conv, pool, conv, pool, conv, relu, conv, softmax>
    """
    source = SHIPPED if path is None else path_of(path, "path")
    budget = Budget()
    data = contents(source, EXPECTED, budget.largest)
    if not is_matlab(data):  # others are told by signatures; ONNX has none
        from fdref.weights.onnx import is_onnx, network_from_bytes  # noqa: PLC0415 - rarely needed

        if is_onnx(data):
            return network_from_bytes(
                data,
                name=f"{source}",
                folder=source.parent,
                input_size=input_size,
                budget=budget,
            )
    found = read_bytes(data, f"{source}", budget)
    try:
        return network_from(found, budget)
    except FileError as error:
        raise FileError(f"{source}: {error}") from None
    except (NetworkError, ArgumentError) as error:
        raise NetworkError(f"{source}: {error}") from None


def save(net: Network, path: str | PathLike[str]) -> None:
    """Write a network as a SimpleNN to a MATLAB v7.3 file, bit for bit the same each time.

    `load` makes an equal network of it: it decodes, forwards and describes the same.

    Parameters
    ----------
    net : Network
    path : path
        A file that exists is replaced, once everything is written.

    Raises
    ------
    FileError
        If the file cannot be written; nothing is left behind.
    NetworkError, ArgumentError
        If something of the network would not come back, or it is more than `load` reads.

    Examples
    --------
    >>> import fdref, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fdref.save(fdref.load(), f"{folder}/copy.mat")
    ...     (fdref.load(f"{folder}/copy.mat")[3].filters == fdref.load()[3].filters).all()
    np.True_
    """
    target = path_of(path, "path")
    data = encoded(variables_of(instance(net, Network, "net")))
    budget = Budget()
    try:
        again = network_from(variables(data, "the network", budget), budget)
    except FileError as error:
        raise NetworkError(f"{net!r} cannot be written so that it can be read: {error}") from None
    check_same(net, again)
    replace_file(target, data)

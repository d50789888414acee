"""Where networks come from: files of MatConvNet, ONNX and Keras, shipped ones; and images."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fdref.arguments import instance, path_of, whole_number
from fdref.files.whole import replace_file
from fdref.geometry import LARGEST_NUMBER, pair
from fdref.network.graph import Network
from fdref.weights.cifar import Cifar, Photos, cifar
from fdref.weights.mnist import Digits, Mnist, mnist
from fdref.weights.reading import network_in
from fdref.weights.shipped import NETWORKS, SHIPPED, network_file
from fdref.weights.stored import Edit, Given
from fdref.weights.writing import matlab_bytes, onnx_bytes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike

    from fdref.weights.stored import Drop, Hook

__all__ = [
    "NETWORKS",
    "SHIPPED",
    "Cifar",
    "Digits",
    "Mnist",
    "Photos",
    "cifar",
    "load",
    "mnist",
    "network_file",
    "save",
]


def load(
    path: str | PathLike[str] | None = None,
    *,
    layers: Mapping[str, Hook] | None = None,
    drop: Drop = (),
    input_size: int | Sequence[int] | None = None,
    input_channels: int | None = None,
) -> Network:
    """Read a network from a file, whatever its name.

    MatConvNet's SimpleNN and DagNN of every age, in MATLAB files of version 5 to 7.3; ONNX (with
    the extra `onnx`); Keras's `.h5` and `.keras`. A MatConvNet layer of a type that fdref does not
    know is `fdref.Unknown`: what lies below it can be used.

    Parameters
    ----------
    path : path or str, optional
        The file; or ``"lenet"`` or ``"cifar"``, the networks that ship with the package: the
        former by default. Their files of the same names are ``"./lenet"`` or ``Path("lenet")``.
    layers : mapping, optional
        ``{type: function}`` for layers of somebody's own in a MatConvNet file. A function takes a
        dict of what the file says of a layer (arrays with the axes that MATLAB shows, `weights` as
        a list, and `input_channels`, None where not known) and returns one of fdref's layers, or
        several that follow each other.
    drop : int, str, or sequence of them, optional
        Layers to leave out, by number or name: whoever takes their maps takes what they took.
    input_size : int or (height, width), optional
        Of the images, in place of what the file says.
    input_channels : int, optional
        Likewise; needed where neither the file nor a layer's weights tell.

    Returns
    -------
    Network
        With the weights' own precision.

    Raises
    ------
    FileError
        If the file cannot be read, is of no kind that fdref knows, or is damaged, or would take
        more than 4 GiB, or more than 100 times its own size (256 MiB at least).
    NetworkError
        If it holds no network, numbers out of range, or layers that do not fit each other. Every
        message names the file.
    ArgumentError
        If there is no such layer to drop, or no such function.
    DependencyError
        If the package that reads such files cannot be imported.

    Examples
    --------
    >>> import fdref
    >>> fdref.load()
    <Network of 8 layers: conv, pool, conv, pool, conv, relu, conv, softmax>
    >>> fdref.load(drop=["relu3", 8])
    <Network of 6 layers: conv, pool, conv, pool, conv, conv>
    """
    source = network_file(path)
    edit = Edit.of(layers, drop)
    size = None if input_size is None else pair(input_size, "input_size")
    channels = None
    if input_channels is not None:
        channels = whole_number(input_channels, "input_channels", 1, LARGEST_NUMBER)
    return network_in(source, edit, Given(size, channels))


def save(net: Network, path: str | PathLike[str]) -> None:
    """Write a network to a file, bit for bit the same each time.

    To a MATLAB v7.3 file, a chain as SimpleNN, another graph as DagNN: `load` makes an equal
    network of it. To ONNX if the file's name ends in ``.onnx``: `load` makes one that computes the
    same.

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
    DependencyError
        If the package onnx is needed and cannot be imported.

    Examples
    --------
    >>> import fdref, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     fdref.save(fdref.load(), f"{folder}/copy.mat")
    ...     (fdref.load(f"{folder}/copy.mat")[3].filters == fdref.load()[3].filters).all()
    np.True_
    """
    target = path_of(path, "path")
    own = instance(net, Network, "net")
    is_onnx = target.suffix.lower() == ".onnx"
    replace_file(target, onnx_bytes(own) if is_onnx else matlab_bytes(own))

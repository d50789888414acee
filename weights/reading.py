"""What kind of file a network is in, told by its content, and the network in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from fdref.errors import ArgumentError, FileError, NetworkError, one_line
from fdref.network.graph import Network
from fdref.weights import keras, matlab, zipped
from fdref.weights.bounded import Budget, contents
from fdref.weights.files import refusal
from fdref.weights.hdf5 import is_hdf5
from fdref.weights.matconvnet import network_from
from fdref.weights.matlab5 import is_matlab5
from fdref.weights.stored import number_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fdref.weights.stored import Edit, Given

    Known: TypeAlias = Callable[[bytes], bool]

EXPECTED = "a network of MatConvNet's (MATLAB v5 to v7.3), ONNX or Keras"
EXPORT = "write it with torch.onnx.export(model.eval(), example, 'model.onnx')"
FOREIGN: tuple[tuple[Known, str, str], ...] = (
    (lambda data: _first_in_zip(data).endswith(b"/data.pkl"), "PyTorch's", EXPORT),
    (lambda data: _first_in_zip(data).endswith(b"/data/0"), "PyTorch's (TorchScript)", EXPORT),
    (lambda data: data.startswith(b"\x80\x02\x8a\nl\xfcF\xf9"), "PyTorch's", EXPORT),
    (lambda data: data[:1] == b"\x80" and data[1:2] in b"\2\3\4\5", "a Python pickle", EXPORT),
    (
        lambda data: data[8:9] == b"{" and data[4:8] == bytes(4),
        "safetensors: weights alone",
        EXPORT,
    ),
    (
        lambda data: data[4:8] == b"TFL3",
        "TensorFlow Lite's",
        "save the Keras model it was made of with model.save('model.keras')",
    ),
    (
        lambda data: data.startswith(b"\x93NUMPY") or _first_in_zip(data).endswith(b".npy"),
        "NumPy's arrays alone",
        "put them together with fdref.Network, and fdref.save it",
    ),
    (
        lambda data: data.startswith((b"# Created by Octave", b"Octave-1-")),
        "in Octave's own format, its default",
        "load it in Octave and `save -v7`",
    ),
    (lambda data: data.startswith(b"\x1f\x8b"), "compressed by gzip", "unpack it with gunzip"),
    (
        lambda data: data.lstrip()[:1] == b"{" and b'"class_name"' in data[:4096],
        "Keras's JSON: a graph without weights",
        "build the model in Keras, load its weights and call model.save('model.keras')",
    ),
)
"""Kinds of files that people have, whose network cannot be read, and what to do."""


def _first_in_zip(data: bytes) -> bytes:
    """Return the name of the first file in a zip, which writers choose; of others, none."""
    length = int.from_bytes(data[26:28], "little")
    return data[30 : 30 + length] if data.startswith(zipped.SIGNATURE) else b""


def network_in(source: Path, edit: Edit, given: Given) -> Network:
    """Read the network in a file; see `fdref.load`."""
    budget = Budget()
    data = contents(source, EXPECTED, budget.largest)
    name = f"{source}"
    if b"OCTAVE_NEW_FORMAT" in data[: 2**16] and is_hdf5(data):
        raise refusal(name, f"is Octave's own HDF5, expected {EXPECTED}: write it with `save -v7`")
    is_matlab = is_matlab5(data) or data.startswith(b"MATLAB")
    if is_matlab or (is_hdf5(data) and not keras.is_keras(data, name)):
        found = matlab.variables(data, name, budget)
        return _named(name, lambda: network_from(found, budget, edit, given))
    for known, kind, remedy in FOREIGN:
        if known(data):
            raise refusal(name, f"is {kind}, expected {EXPECTED}: {remedy}")
    _check_is_matconvnets_own(edit)
    if is_hdf5(data) or (data.startswith(zipped.SIGNATURE) and keras.is_keras(data, name)):
        net = keras.network_from_bytes(data, name=name, input_size=given.size, budget=budget)
    else:
        net = _onnx(data, source, given, budget)
    return _named(name, lambda: without(net, edit, given))


def _onnx(data: bytes, source: Path, given: Given, budget: Budget) -> Network:
    """Read what has no mark, and so is asked last; or say what it is instead."""
    from fdref.weights import onnx  # noqa: PLC0415 - many small modules, rarely needed

    name = f"{source}"
    if onnx.is_onnx(data):
        return onnx.network_from_bytes(
            data, name=name, folder=source.parent, input_size=given.size, budget=budget
        )
    first = matlab.first_of_version_4(data)
    if first:
        problem = f"is a MATLAB v4 file (its first variable is `{first}`), expected {EXPECTED}"
        raise refusal(name, f"{problem}: load it in MATLAB or Octave and `save -v7`")
    kind = "no file that fdref knows, or cut off" if data else "empty"
    begins = f" (it begins with {bytes(data[:8])!r})" if data else ""
    raise refusal(name, f"is {kind}{begins}, expected {EXPECTED}")


def _named(name: str, read: Callable[[], Network]) -> Network:
    """Say of every error which file it is about."""
    try:
        return read()
    except FileError as error:
        raise FileError(f"{name}: {error}") from None
    except (NetworkError, ArgumentError) as error:
        raise type(error)(f"{name}: {error}") from None


def _check_is_matconvnets_own(edit: Edit) -> None:
    if edit.hooks:
        raise ArgumentError(
            f"layers translates MatConvNet's type {one_line(next(iter(edit.hooks)))!r}, but the "
            "file is another one's; leave it out"
        )


def without(net: Network, edit: Edit, given: Given) -> Network:
    """Leave layers of a network out: whoever takes their maps takes what they took.

    Raises
    ------
    ArgumentError
        If there is no such layer, or the images have other channels than given.
    NetworkError
        If what is left does not fit.
    """
    if given.channels not in (None, net.channels[0]):
        raise ArgumentError(
            f"input_channels is {given.channels}, but the file says {net.channels[0]}"
        )
    dropped = {number_of(one, [layer.name for layer in net], "drop") for one in edit.drop}
    if not dropped:
        return net
    place = {-n: -n for n in range(net.inputs)}
    layers, wiring = [], {}
    for number, layer in enumerate(net, 1):
        lost = [below for below in net.takes[number] if below not in place]
        if lost:
            raise NetworkError(
                f"{net.describe(number)} takes the map of {net.describe(lost[0])}, of several "
                "maps, which is left out; leave this one out, too"
            )
        taken = [place[below] for below in net.takes[number]]
        if number not in dropped:
            layers.append(layer)
            place[number] = len(layers)
            wiring[len(layers)] = taken
        elif len(taken) == 1:
            (place[number],) = taken
    return Network(**{**net.parts(), "layers": layers, "wiring": wiring})

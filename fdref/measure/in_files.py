"""Networks and decoded filters that workers read themselves, from files that they have, too."""

from __future__ import annotations

import hashlib
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fdref.decoding.contents import digest
from fdref.decoding.reading import decoded_layers
from fdref.errors import FileError
from fdref.measure.sending import AbsentError
from fdref.weights import load, network_file
from fdref.weights.bounded import opened

if TYPE_CHECKING:
    from collections.abc import Mapping

    from fdref.arrays import Array
    from fdref.geometry import Pair
    from fdref.network.graph import Network


@dataclass(frozen=True)
class NetworkFile:
    """A network's file, and how it was read.

    Parameters
    ----------
    model : str
        The absolute name of the file, or the name of a network that ships: that of the worker.
    sha256 : str
        Of the file.
    network_sha256 : str
        `fdref.decoding.contents.digest` of the network: weights may lie in further files.
    drop, input_size, input_channels
        As `fdref.load` took them.
    """

    model: str
    sha256: str
    network_sha256: str
    drop: tuple[int | str, ...] = ()
    input_size: Pair | None = None
    input_channels: int | None = None

    def load(self) -> Network:
        """Read the network.

        Raises
        ------
        AbsentError
            If there is no such file.
        FileError
            If it is another one.
        """
        try:
            with opened(network_file(self.model), "the network's file") as file:
                own = hashlib.file_digest(file, "sha256").hexdigest()
        except FileError as error:
            raise AbsentError(str(error)) from None
        if own != self.sha256:
            raise _another(self.model, "SHA-256", own, self.sha256)
        net = load(
            self.model,
            drop=self.drop,
            input_size=self.input_size,
            input_channels=self.input_channels,
        )
        found = digest(net)
        if found != self.network_sha256:
            raise _another(self.model, "digest of the weights", found, self.network_sha256)
        return net


@dataclass(frozen=True)
class BankFile:
    """Decoded filters of a layer in a file that `fdref.decode_to` has written.

    Parameters
    ----------
    path : str
        Absolute.
    layer : int
    shape : (K, C0, Rh, Rw)
    about : mapping
        How they came about: the dataset's attributes.
    """

    path: str
    layer: int
    shape: tuple[int, ...]
    about: Mapping[str, Any]

    def load(self) -> Array:
        """Map the filters: of several workers on a machine they take memory once.

        Raises
        ------
        AbsentError
            If there is no such file.
        FileError
            If it holds others.
        """
        try:
            with decoded_layers(Path(self.path)) as layers:
                found = layers.get(self.layer)
        except FileError as error:
            raise AbsentError(str(error)) from None
        own = None if found is None else (found.bank.shape, dict(found.about))
        if found is None or own != (self.shape, dict(self.about)):
            raise _another(self.path, f"layer {self.layer}", str(own), "the same")
        return found.bank


def _another(path: str, what: str, found: str, expected: str) -> FileError:
    """Say which computer has another file."""
    return FileError(
        f"{path} on the worker {socket.gethostname()} is another file than here: its {what} is "
        f"{found}; expected {expected}: copy ours there, or delete that one and ours is sent"
    )
